"""A user's own data sets: a folder of captures and its references table become an entry in the cache folder."""

import hashlib
from pathlib import Path

import yaml

from hsichem._base import InputError, is_number, replacing, short
from hsichem.datasets import manifest
from hsichem.datasets.samples import find_images, image_problems
from hsichem.datasets.table import PLAIN, SEED, Table, find_table, read_table

WAYS = manifest.FIELDS["own"]["mask"]["anyOf"][1]["enum"]  # to find a mask, beside a wavelength in nm


def check_way(mask) -> None:
    """Raises InputError for a way to find masks that is none."""
    if not (mask in WAYS or (is_number(mask) and mask > 0)):
        raise InputError(f"mask {short(mask)}; expected {', '.join(WAYS)}, or a wavelength in nm.")


def choose_response(table: Table, response: str | None, unit: str | None) -> tuple[str, str]:
    """The column that is to be predicted (the first, unless named) and its unit, from its heading or as given.

    Raises InputError when there is no such column, or no unit or two, or one that does not run from 0 to 100 %.
    """
    if not table.units:
        raise InputError(f"{table.path}: no column of numbers beside id, split and group; add the reference values.")
    response = response or next(iter(table.units))
    if response not in table.units:
        raise InputError(f"{table.path}: no column {response!r} with numbers; found {', '.join(table.units)}.")
    heading = table.units[response]
    if heading and unit and heading != unit:
        raise InputError(f"{table.path}: the heading of {response} says {heading!r}, not {unit!r}; change one.")
    unit = heading or unit
    if not unit:
        raise InputError(
            f"{table.path}: the unit of {response} is not stated; head its column '{response} (% w/w)', or give --unit."
        )
    if not unit.startswith("%"):
        raise InputError(
            f"{table.path}: the unit of {response} is {unit!r}; losses and colour scales are made for 0 to 100 %. "
            "Convert the values (g/kg to % w/w: divide by 10) and state the new unit."
        )
    return response, unit


def state_splits(table: Table) -> str:
    """How the samples are split, in a sentence. Raises InputError when they are too few for splits to be assigned."""
    folds = max(table.splits(), default=0)
    if not table.assigned:
        return f"As {table.path.name} has them."
    return f"Assigned by group, seed {SEED}: a third is split 0, the fixed test set, the others are folds 1 to {folds}."


def make_entry(folder: Path, name: str, response: str | None, unit: str | None, mask: str | float) -> dict:
    """The manifest's entry for a folder. Its table's checksum is kept: with another table, the splits may differ.

    Raises InputError for a name that is no plain one, an unknown way to find masks, and for all that keeps the folder
    from being opened.
    """
    if not PLAIN.fullmatch(name):
        raise InputError(f"{name!r} is not a valid name for a data set; use letters, digits, '-' and '_'.")
    check_way(mask)
    table = read_table(folder)
    if problems := table.problems + image_problems([row.id for row in table.rows], find_images(folder)):
        raise InputError("\n".join([*problems, "Not added. `hsichem data check` looks into the images, too."]))
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
    }


def write_entry(cache: Path, name: str, entry: dict) -> None:
    """Keep an entry as own/<name>.yaml: a file for each, so that two processes at once do not lose one.

    Raises InputError when it cannot be written.
    """
    with replacing(cache / "own" / f"{name}.yaml") as part:
        part.write_text(yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True), encoding="utf-8")
        manifest.read(part)  # what cannot be read again must not be kept


def read_entries(cache: Path, taken) -> dict:
    """The user's entries by name. Raises InputError for one that is not right, or has a name that is `taken`."""
    entries = {}
    for path in sorted((cache / "own").glob("*.yaml")):
        found = manifest.read(path)
        if list(found) != [path.stem] or path.stem in taken or "folder" not in found[path.stem]:
            raise InputError(
                f"{path}: holds {', '.join(found)}; expected one folder of captures, {path.stem!r}, a name that no "
                "data set of the kit has. Delete the file and add the folder again."
            )
        entries |= found
    return entries


def check_unchanged(name: str, entry: dict) -> None:
    """Raises InputError when the folder of the captures is gone, or its table is not the one that was added."""
    folder, (file,) = Path(entry["folder"]), entry["files"]
    if not folder.is_dir():
        raise InputError(f"{name}: {folder} is not there; bring it back, or add the folder where it is now.")
    if hashlib.sha256(find_table(folder).read_bytes()).hexdigest() != file["sha256"]:
        raise InputError(
            f"{name}: {file['path']} is not what it was when it was added, so its splits may differ. "
            f"Run `hsichem data add {folder} --name {name}` again, and results anew."
        )
