"""references.csv or references.xlsx: a line for each sample, every fault named; splits assigned where it has none."""

import csv
import io
import re
import unicodedata
import zipfile
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from hsichem._base import InputError, closest, few, is_number, to_float

NAMES = ("references.csv", "references.xlsx")
GROUPS = ("group", "animal")  # columns that say which samples belong together; without one, each stands alone
LABELS = ("id", "split", *GROUPS)  # columns without reference values
PLAIN = re.compile(r"\w[\w .+()-]*(?<![ .])")  # a name that is one folder's on every system
HEADING = re.compile(r"(?P<name>.*?)\s*[(\[](?P<unit>.*)[)\]]")  # fat (% w/w)
ALLOWED = "letters, digits, blanks and . _ + - ( ), beginning with a letter or digit"  # what PLAIN says
NUMBER = re.compile(r"([-+]?\d+(?:[.,]\d+)?)\s*(%.*|[mµμ]?g ?/ ?(?:100 ?)?(?:g|kg))?", re.IGNORECASE)  # 13,3 and 13.3 %
SHEETS = (".csv", ".xlsx", ".xls", ".ods", ".tsv", ".txt")  # what a table of references may have been saved as
TABLE_BYTES = 2**24  # at most
SEED = 0  # with which splits are assigned


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
    ignored: columns without a number in them. problems: a sentence for each fault.
    """

    path: Path
    rows: list[Row]
    ids: list[str]
    units: dict[str, str | None]
    ignored: list[str]
    problems: list[str]

    @property
    def assigned(self) -> bool:
        """Whether the splits are assigned here, because the table has none."""
        return any(row.split is None for row in self.rows)

    def splits(self, seed: int = SEED) -> list[int]:
        """Each row's split, its own or assigned: a third of the groups are 0, the test set, the others folds, five
        where there are two groups for each, else fewer. A group is never divided; the rows' order does not matter.

        Raises InputError for fewer than six groups: two to test on, and two folds of two.
        """
        if not self.assigned:
            return [row.split for row in self.rows]
        names = sorted({row.group for row in self.rows})
        if len(names) < 6:
            raise InputError(
                f"{self.path}: no column 'split', and splits are assigned to 6 groups of samples or more; found "
                f"{len(names)}. Add samples, or the column (0 test, 1 to 5 folds)."
            )
        test = round(len(names) / 3)
        folds = min(5, (len(names) - test) // 2)
        order = np.random.default_rng(seed).permutation(len(names))
        splits = {names[k]: 0 if place < test else 1 + (place - test) % folds for place, k in enumerate(order)}
        return [splits[row.group] for row in self.rows]


def one_test_group(groups, splits) -> str | None:
    """What is wrong when all samples of the test set are of one group, else None."""
    tested = {group for group, split in zip(groups, splits, strict=True) if split == 0}
    if len(tested) != 1:
        return None
    return (
        f"all samples of the test set (split 0) are of one group, {tested.pop()!r}; intervals need two or more. Move "
        "samples of another group there, or delete the column 'split', and splits are assigned."
    )


def read_table(folder, references=None) -> Table:
    """The table in `folder`, its rows without a fault, and a sentence for each fault.

    Columns: `id`, `split` (0 test, 1 to 5 folds) and `group` or `animal` if any, and reference values, whose heading
    may state a unit, `fat (% w/w)`. references: the columns to read; None: all others in which there is a number, or
    mostly numbers with a decimal comma or a unit behind them, each of which is then a fault.
    Raises InputError when there is no table, two of them, or one that cannot be read.
    """
    path = find_table(folder)
    (_, headings), *lines = _read_csv(path) if path.suffix == ".csv" else _read_xlsx(path)
    units = _read_headings(path, headings)
    cells = [(line, dict(zip_longest(units, row, fillvalue=""))) for line, row in lines]
    others = [name for name in units if name not in LABELS]
    with_numbers = [name for name in others if _has_numbers([row[name] for _, row in cells])]
    wanted = with_numbers if references is None else list(references)
    if absent := [name for name in ("id", *wanted) if name not in units]:
        raise InputError(f"{path}: no column {absent[0]!r}; found {', '.join(units)}.")
    group = next((name for name in GROUPS if name in units), "id")
    rows, first_lines = [], {}
    problems = [] if cells else [f"{path}: no samples in it; add a line for each."]
    for line, row in cells:
        faults = _faults(row, wanted, group, first_lines.get(row["id"]))
        first_lines.setdefault(row["id"], line)
        problems += [f"{path}, line {line}: {fault}." for fault in faults]
        if not faults:
            split = int(row["split"]) if "split" in row else None
            rows.append(Row(line, row["id"], split, row[group], {name: float(row[name]) for name in wanted}))
    ignored = [name for name in others if name not in wanted] if references is None else []
    return Table(path, rows, [row["id"] for _, row in cells], {name: units[name] for name in wanted}, ignored, problems)


def find_table(folder) -> Path:
    """The references table of a folder. Raises InputError when there is none or two."""
    paths = [Path(folder, name) for name in NAMES]
    found = [path for path in paths if path.is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{paths[0]}: there is {NAMES[1]}, too; keep one.")
    check_place(folder)
    files = sorted(path.name for path in Path(folder).glob("[!.~]*") if path.suffix.lower() in SHEETS)
    like = [name for name in files if closest(name.lower(), NAMES)]
    like = like or [name for name in files if not name.endswith(".txt")]  # of wavelengths, as likely
    hint = f" Is it {few(like, 3)}? Rename it, or save it again as one of these." if like else ""
    raise InputError(
        f"{paths[0]}: missing, and no {NAMES[1]} either; a data set needs this table of its samples.{hint}"
    )


def check_place(folder) -> None:
    """Raises InputError for a folder without a table where its subfolders have one: one of these is meant."""
    inside = sorted({path.parent.name for name in NAMES for path in Path(folder).glob(f"*/{name}")})
    if inside and not any(Path(folder, name).is_file() for name in NAMES):
        raise InputError(f"{folder}: has no references table, but its subfolder {few(inside)} has; give that folder.")


def _read_headings(path: Path, headings: list[str]) -> dict[str, str | None]:
    """Column -> unit, in the table's order; None where the heading states none."""
    units = {}
    for position, heading in enumerate(headings, start=1):
        match = HEADING.fullmatch(heading)
        name, unit = (match["name"], match["unit"].strip() or None) if match else (heading, None)
        name = name.lower() if name.lower() in LABELS else name or f"column {position}"
        if name in units:
            raise InputError(f"{path}: two columns are called {name!r}; rename or delete one.")
        units[name] = unit
    return units


def _faults(row: dict[str, str], wanted: list[str], group: str, first_line: int | None) -> list[str]:
    """What is wrong with a line, in parts of sentences. first_line: the line that has the same id already."""
    faults = []
    for name in wanted:
        cell = row[name]
        if not cell:
            faults.append(f"no value of {name}; measure it, or delete the line")
        elif not _is_number(cell):
            faults.append(f"{name} is {cell!r}; {_number_hint(cell)}")
    if row.get("split", "0") not in tuple("012345"):
        faults.append(f"split is {row['split']!r}; expected 0 to 5: 0 to test on, the others folds")
    if not PLAIN.fullmatch(row["id"]):
        faults.append(
            f"id {row['id']!r} is missing or no plain folder name; give the name of its capture: {ALLOWED}. Rename the "
            "capture where it has others"
        )
    elif first_line:
        faults.append(f"id {row['id']!r} is given twice, first in line {first_line}; keep one")
    elif not row[group]:
        faults.append(f"no {group}; give every sample one, or delete the column")
    return faults


def _is_number(cell: str) -> bool:
    return is_number(to_float(cell))


def _has_numbers(column: list[str]) -> bool:
    filled = [cell for cell in column if cell]
    alike = sum(NUMBER.fullmatch(cell) is not None for cell in filled)
    return any(map(_is_number, filled)) or 2 * alike > len(filled)


def _number_hint(cell: str) -> str:
    match = NUMBER.fullmatch(cell)
    if match and match[2]:
        return f"the unit belongs into the heading, '({match[2]})', and the number alone into the cell"
    if match:
        return "use a decimal point. A program set to decimal commas writes them; save as references.xlsx instead"
    return "expected a finite number"


def _read_csv(path: Path) -> list[tuple[int, list[str]]]:
    _check_size(path, path.stat().st_size)
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.split("\n", 1)[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
        return _filled(path, ((reader.line_num, row) for row in reader))
    except UnicodeDecodeError:
        raise InputError(f'{path}: not UTF-8; save it again as "CSV UTF-8".') from None
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}.") from None


def _read_xlsx(path: Path) -> list[tuple[int, list[str]]]:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as archive:  # a workbook is compressed, and counts with the size it has unpacked
            _check_size(path, sum(member.file_size for member in archive.infolist()))
        # data_only: of a formula, the value it had when saved
        with closing(load_workbook(path, read_only=True, data_only=True)) as book:
            if len(sheets := book.worksheets) != 1:
                raise InputError(f"{path}: {len(sheets)} sheets; expected one, with the table.")
            lines = list(sheets[0].iter_rows(values_only=True))
    except InputError:
        raise
    except Exception as error:  # a broken workbook makes zipfile, XML and openpyxl raise what they like
        raise InputError(f"{path}: cannot be read as a workbook: {error or type(error).__name__}.") from None
    return _filled(path, enumerate((["" if cell is None else str(cell) for cell in row] for row in lines), start=1))


def _check_size(path: Path, size: int) -> None:
    if size > TABLE_BYTES:
        raise InputError(f"{path}: {size} bytes, longer than the {TABLE_BYTES} that a table of samples may have.")


def _filled(path: Path, lines) -> list[tuple[int, list[str]]]:
    """Lines with something in them, without blanks around the cells, no wider than the first, the headings.

    In Unicode's form NFC: what looks alike is alike, an id and the name of its folder.
    """
    filled = [(line, [unicodedata.normalize("NFC", cell).strip() for cell in row]) for line, row in lines]
    filled = [(line, cells) for line, cells in filled if any(cells)]
    if not filled:
        raise InputError(f"{path}: empty; expected a line of headings, id, the references, split if any.")
    width = max(position for position, heading in enumerate(filled[0][1], start=1) if heading)
    for line, cells in filled:
        if any(cells[width:]):
            raise InputError(f"{path}, line {line}: more cells than the {width} headings; is a comma unquoted?")
    return [(line, cells[:width]) for line, cells in filled]
