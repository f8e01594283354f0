"""A user's own data sets: a folder of captures and its references table become an entry in the cache folder."""

import hashlib
import re
import shlex
from itertools import pairwise
from pathlib import Path

import yaml

from hsichem._base import InputError, gathered, is_number, refused, replacing, short
from hsichem.datasets import manifest
from hsichem.datasets.samples import find_images, image_problems
from hsichem.datasets.table import PLAIN, SEED, Table, find_table, read_table

FEWEST = 5  # samples, for their numbers to be taken for a running one
DATE_NAME = re.compile(r"date|datum|\b(day|tag|year|jahr|time|zeit)\b", re.IGNORECASE)
WAYS = manifest.FIELDS["own"]["mask"]["anyOf"][1]["enum"]  # to find a mask, beside a wavelength in nm


def check_way(mask) -> None:
    """Raises InputError for a way to find masks that is none."""
    if not (mask in WAYS or (is_number(mask) and mask > 0)):
        raise InputError(f"mask {short(mask)}; expected {', '.join(WAYS)}, or a wavelength in nm.")


def choose_response(table: Table, response: str | None, unit: str | None) -> tuple[str, str]:
    """The column that is to be predicted (the first, unless named) and its unit, from its heading or as given.

    Raises InputError when there is no such column, or no unit or two, or one that does not run from 0 to 100 %; also
    when the first column is a running number or a date, and no name was given.
    """
    if not table.units:
        raise InputError(f"{table.path}: no column of numbers beside id, split and group; add the reference values.")
    columns = ", ".join(table.units)
    other = f"; or choose another column with --response ({columns})" if len(table.units) > 1 and not response else ""
    if response is None and (label := _looks_like_a_label(table)):
        raise InputError(
            f"{table.path}: the first column with numbers, {label}. Choose with --response ({columns}), or delete it."
        )
    response = response or next(iter(table.units))
    if response not in table.units:
        raise InputError(f"{table.path}: no column {response!r} with numbers; found {columns}.")
    heading = table.units[response]
    if heading and unit and heading != unit:
        raise InputError(f"{table.path}: the heading of {response} says {heading!r}, not {unit!r}; change one{other}.")
    unit = heading or unit
    if not unit:
        raise InputError(
            f"{table.path}: the unit of {response} is not stated; head its column '{response} (% w/w)', or give --unit"
            f"{other}."
        )
    if not unit.startswith("%"):
        raise InputError(
            f"{table.path}: the unit of {response} is {unit!r}; losses and colour scales are made for 0 to 100 %. "
            f"Convert the values (g/kg to % w/w: divide by 10) and state the new unit{other}."
        )
    return response, unit


def _looks_like_a_label(table: Table) -> str | None:
    """What the first column is, if its numbers are no reference values: counted on from line to line, or dates."""
    name, unit = next(iter(table.units.items()))
    values = sorted(row.values[name] for row in table.rows)
    if unit or len(values) < FEWEST:
        return None
    if all(after - before == 1 for before, after in pairwise(values)):
        return f"{name!r}, counts from {values[0]:g} to {values[-1]:g} and looks like a running number"
    if DATE_NAME.search(name) or all(1990_01_01 <= value <= 2100_12_31 and value % 100 <= 31 for value in values):
        return f"{name!r}, looks like a date"
    return None


def state_splits(table: Table) -> str:
    """How the samples are split, in a sentence. Raises InputError when they are too few for splits to be assigned."""
    folds = max(table.splits(), default=0)
    if not table.assigned:
        return f"As {table.path.name} has them."
    return f"Assigned by group, seed {SEED}: a third is split 0, the fixed test set, the others are folds 1 to {folds}."


KEPT = ("title", "teaches", "licence", "citation", "crop_nm", "bin", "doubts")  # what a user may have changed by hand


def make_entry(
    folder: Path, name: str, response: str | None, unit: str | None, mask: str | float, earlier: dict | None = None
) -> dict:
    """The manifest's entry for a folder. Its table's checksum is kept: with another table, the splits may differ.

    earlier: the entry of the same name, of which KEPT is taken over.
    Raises InputError for a name that is no plain one, an unknown way to find masks, and for all that keeps the folder
    from being opened.
    """
    if not PLAIN.fullmatch(name):
        raise InputError(f"{name!r} is not a valid name for a data set; use letters, digits, '-' and '_'.")
    check_way(mask)
    table = read_table(folder)
    if problems := table.problems + image_problems([row.id for row in table.rows], find_images(folder), folder):
        raise InputError(
            "\n".join([*gathered(problems), "Not added. `hsichem data check` looks into the images, too."])
        )
    response, unit = choose_response(table, response, unit)
    content = table.path.read_bytes()
    file = {"path": table.path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "url": None}
    return {
        "title": name,
        "teaches": "What your own captures say.",
        "layout": "folder",
        "folder": str(folder),
        "mask": mask,
        "files": [file],
        "licence": "not stated",
        "citation": "not stated",
        "units": "reflectance (1 = white), calibrated where the folder has white and dark frames",
        "references": {each: stated or "unit not stated" for each, stated in table.units.items()} | {response: unit},
        "response": response,
        "splits": state_splits(table),
        "crop_nm": None,
        "bin": 1,
        "doubts": [],
    } | {field: earlier[field] for field in KEPT if earlier}


def entry_file(cache: Path, name: str) -> Path:
    """Where the entry of a user's data set is kept."""
    return cache / "own" / f"{name}.yaml"


def write_entry(cache: Path, name: str, entry: dict) -> None:
    """Keep an entry as own/<name>.yaml: a file for each, so that two processes at once do not lose one.

    Raises InputError when it cannot be written.
    """
    with replacing(entry_file(cache, name)) as part:
        part.write_text(yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True), encoding="utf-8")
        manifest.read(part)  # what cannot be read again must not be kept


def read_entries(cache: Path, taken) -> tuple[dict, dict[str, str]]:
    """The user's entries by name, and by the same names what is wrong with those that cannot be used: one that is not
    right, or has a name that is `taken`."""
    entries, broken = {}, {}
    for path in sorted((cache / "own").glob("*.yaml")):
        try:
            entries |= _read_entry(path, taken)
        except InputError as error:
            broken[path.stem] = f"{error} Mend the file, or `hsichem data remove {shlex.quote(path.stem)}`."
    return entries, broken


def _read_entry(path: Path, taken) -> dict:
    found = manifest.read(path)
    if list(found) != [path.stem] or path.stem in taken or "folder" not in found[path.stem]:
        raise InputError(
            f"{path}: holds {', '.join(found) or 'nothing'}; expected one folder of captures, {path.stem!r}, a name "
            "that no data set of the kit has."
        )
    return found


def remove_entry(cache: Path, name: str) -> Path:
    """Forget the user's data set `name`, right or broken; its captures stay. Returns the file that was removed.

    Raises InputError when there is none, or it cannot be removed.
    """
    path = entry_file(cache, name)
    if not PLAIN.fullmatch(name) or not path.is_file():
        mine = ", ".join(sorted(file.stem for file in (cache / "own").glob("*.yaml"))) or "none"
        raise InputError(f"{name!r} is no folder of yours that was added; yours: {mine}.")
    try:
        path.unlink()
    except OSError as error:
        raise refused(path, error) from error
    return path


def moved_entry(entry: dict, name: str, folder: Path) -> dict:
    """The entry with its captures in another folder. Raises InputError unless the table there is the one it had, and
    each sample has its image."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the one to which the captures of {name} were moved.")
    if _checksum(folder) != entry["files"][0]["sha256"]:
        raise InputError(
            f"{find_table(folder)}: not the table that {name} was added with, so not moved. If it is meant, "
            f"`hsichem data remove {shlex.quote(name)}`, and add this folder."
        )
    rows = read_table(folder, entry["references"]).rows
    if problems := image_problems([row.id for row in rows], find_images(folder), folder):
        raise InputError("\n".join([*gathered(problems), "Not moved."]))
    return entry | {"folder": str(folder)}


def _checksum(folder: Path) -> str:
    return hashlib.sha256(find_table(folder).read_bytes()).hexdigest()


def check_unchanged(name: str, entry: dict) -> None:
    """Raises InputError when the folder of the captures is gone, or its table is not the one that was added."""
    folder, (file,) = Path(entry["folder"]), entry["files"]
    if not folder.is_dir():
        raise InputError(
            f"{name}: {folder} is not there; bring it back, or say where it is now: `hsichem data move "
            f"{shlex.quote(name)} NEWFOLDER`. `hsichem data remove {shlex.quote(name)}` forgets it."
        )
    if _checksum(folder) != file["sha256"]:
        response = entry["response"]
        again = ["hsichem", "data", "add", str(folder), "--name", name, "--response", response]
        again += ["--unit", entry["references"][response], "--mask", str(entry["mask"])]
        raise InputError(
            f"{name}: {file['path']} is not what it was when it was added, so its splits may differ. Run `"
            f"{shlex.join(again)}` again, which keeps crop_nm and bin, and results anew."
        )
