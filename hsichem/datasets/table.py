"""references.csv or references.xlsx: a line for each sample, every fault named; splits dealt where it has none."""

import csv
import io
import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsichem._base import InputError, to_float

NAMES = ("references.csv", "references.xlsx")
GROUPS = ("group", "animal")  # columns that say which samples belong together; without one, each stands alone
PLAIN = re.compile(r"\w[\w .+()-]*(?<![ .])")  # a name that is one folder's on every system
HEADING = re.compile(r"(?P<name>.*?)\s*[(\[](?P<unit>.*)[)\]]")  # fat (% w/w)
LONGEST = 2**24  # bytes
SEED = 0  # of the dealing of splits


@dataclass(frozen=True)
class Row:
    """One sample of the table. split: None where there is no such column."""

    line: int
    id: str
    split: int | None
    group: str
    values: dict[str, float]


@dataclass(frozen=True)
class Table:
    """rows: those without a fault. ids: of all lines. units: column -> unit, None where its heading states none.
    ignored: columns without a number in them.
    """

    path: Path
    rows: list[Row]
    ids: list[str]
    units: dict[str, str | None]
    ignored: list[str]
    problems: list[str]

    @property
    def dealt(self) -> bool:
        """Whether the splits are dealt here, because the table has none."""
        return any(row.split is None for row in self.rows)

    def splits(self, seed: int = SEED) -> list[int]:
        """Each row's split, its own or dealt: a third of the groups are 0, the test set, the others folds, five where
        there are two groups for each, else fewer. A group is never divided; the order of the rows does not matter.

        Raises InputError for fewer than six groups: two to test on, and two folds of two.
        """
        if not self.dealt:
            return [row.split for row in self.rows]
        names = sorted({row.group for row in self.rows})
        if len(names) < 6:
            raise InputError(
                f"{self.path}: no column 'split', and splits are dealt to 6 groups of samples or more; found "
                f"{len(names)}. Add samples, or the column (0 test, 1 to 5 folds)."
            )
        test = round(len(names) / 3)
        folds = min(5, (len(names) - test) // 2)
        order = np.random.default_rng(seed).permutation(len(names))
        dealt = {names[k]: 0 if place < test else 1 + (place - test) % folds for place, k in enumerate(order)}
        return [dealt[row.group] for row in self.rows]


def read_table(folder, references=None) -> Table:
    """The table in `folder`, its rows without a fault, and a sentence for each fault.

    Columns: `id`, `split` (0 test, 1 to 5 folds) and `group` or `animal` if any, and reference values, whose heading
    may state a unit, `fat (% w/w)`. references: the columns to read; None: all others in which there is a number.
    Raises InputError when there is no table, two of them, or one that cannot be read.
    """
    path = find_table(folder)
    _check_length(path)
    (_, headings), *lines = _from_csv(path) if path.suffix == ".csv" else _from_xlsx(path)
    units = {}
    for position, heading in enumerate(headings, start=1):
        match = HEADING.fullmatch(heading)
        name, unit = (match["name"], match["unit"].strip() or None) if match else (heading, None)
        name = name.lower() if name.lower() in ("id", "split", *GROUPS) else name or f"column {position}"
        if name in units:
            raise InputError(f"{path}: two columns are called {name!r}; rename or delete one.")
        units[name] = unit
    columns = list(units)
    others = [name for name in columns if name not in ("id", "split", *GROUPS)]
    cells = [(line, dict(zip(columns, values, strict=True))) for line, values in lines]
    wanted = [name for name in others if any(_number(c[name]) is not None for _, c in cells)]
    wanted = wanted if references is None else list(references)
    if absent := [name for name in ("id", *wanted) if name not in columns]:
        raise InputError(f"{path}: no column {absent[0]!r}; found {', '.join(columns)}.")
    group = next((name for name in GROUPS if name in columns), "id")
    rows, problems, seen = [], [], {}
    for line, row in cells:
        faults = [fault for name in wanted if (fault := _fault(name, row[name]))]
        split = row.get("split")
        if split is not None and split not in tuple("012345"):
            faults.append(f"split is {split!r}; expected 0 to 5: 0 to test on, the others folds")
        if not PLAIN.fullmatch(row["id"]):
            faults.append(f"id {row['id']!r} is missing or no plain folder name; give the name of its capture")
        elif row["id"] in seen:
            faults.append(f"id {row['id']!r} is given twice, first in line {seen[row['id']]}; keep one")
        elif not row[group]:
            faults.append(f"no {group}; give every sample one, or delete the column")
        seen.setdefault(row["id"], line)
        problems += [f"{path}, line {line}: {fault}." for fault in faults]
        if not faults:
            values = {name: _number(row[name]) for name in wanted}
            rows.append(Row(line, row["id"], None if split is None else int(split), row[group], values))
    if not cells:
        problems.append(f"{path}: no samples in it; add a line for each.")
    ignored = [name for name in others if name not in wanted] if references is None else []
    ids = [row["id"] for _, row in cells]
    return Table(path, rows, ids, {name: units[name] for name in wanted}, ignored, problems)


def find_table(folder) -> Path:
    """The references table of a folder. Raises InputError when there is none or two."""
    found = [Path(folder, name) for name in NAMES if Path(folder, name).is_file()]
    if len(found) != 1:
        csv_, xlsx = Path(folder, NAMES[0]), NAMES[1]
        missing = f"missing, and no {xlsx} either; a data set needs this table of its samples"
        raise InputError(f"{csv_}: {f'there is {xlsx}, too; keep one' if found else missing}.")
    return found[0]


def _check_length(path: Path) -> None:
    """Refuse what would fill the memory; a workbook is compressed, and counts with the size it has unpacked."""
    length = path.stat().st_size
    if path.suffix == ".xlsx":
        try:
            with zipfile.ZipFile(path) as archive:
                length = sum(member.file_size for member in archive.infolist())
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read as a workbook: {error}.") from None
    if length > LONGEST:
        raise InputError(f"{path}: {length} bytes, longer than the {LONGEST} that a table of samples may have.")


def _number(cell: str) -> float | None:
    number = to_float(cell)
    return None if number is None or not math.isfinite(number) else number


def _fault(name: str, cell: str) -> str | None:
    if _number(cell) is not None:
        return None
    if not cell:
        return f"no value of {name}; measure it, or delete the line"
    if _number(cell.replace(",", ".", 1)) is not None:
        return f"{name} is {cell!r}; write a point for the decimal comma"
    return f"{name} is {cell!r}; expected a finite number"


def _from_csv(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.split("\n", 1)[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
        return _filled(path, ((reader.line_num, row) for row in reader))
    except UnicodeDecodeError:
        raise InputError(f'{path}: not UTF-8; save it again as "CSV UTF-8".') from None
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}.") from None


def _from_xlsx(path: Path) -> list[tuple[int, list[str]]]:
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)  # of a formula, the value it had when saved
        sheets = book.worksheets
        rows = list(enumerate(sheets[0].iter_rows(values_only=True), start=1)) if len(sheets) == 1 else []
        book.close()
    except Exception as error:  # a broken workbook makes zipfile, XML and openpyxl raise what they like
        raise InputError(f"{path}: cannot be read as a workbook: {error or type(error).__name__}.") from None
    if len(sheets) != 1:
        raise InputError(f"{path}: {len(sheets)} sheets; expected one, with the table.")
    return _filled(path, ((line, ["" if cell is None else str(cell) for cell in row]) for line, row in rows))


def _filled(path: Path, lines) -> list[tuple[int, list[str]]]:
    """Lines with something in them, their cells stripped; the first are the headings."""
    filled = [(line, [cell.strip() for cell in row]) for line, row in lines]
    filled = [(line, row) for line, row in filled if any(row)]
    if not filled:
        raise InputError(f"{path}: empty; expected a line of headings, id, the references, split if any.")
    headings = filled[0][1]
    while headings and not headings[-1]:
        headings.pop()
    for line, row in filled:
        if any(row[len(headings) :]):
            raise InputError(f"{path}, line {line}: more cells than the {len(headings)} headings; is a comma unquoted?")
    return [(line, (row + [""] * len(headings))[: len(headings)]) for line, row in filled]
