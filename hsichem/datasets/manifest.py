"""The manifest: data_manifest.yaml read and checked, each fault named with its entry, field and line."""

import reprlib
from pathlib import PurePath, PurePosixPath

import yaml

from hsichem._base import InputError
from hsichem.datasets.table import PLAIN

TEXT, NUMBER, NOTHING = (str,), (int, float), type(None)
ENTRY = {
    **{"title": TEXT, "teaches": TEXT, "layout": TEXT, "files": (list,), "licence": TEXT, "citation": TEXT},
    **{"units": TEXT, "references": (dict,), "response": (str, NOTHING), "splits": TEXT},
    **{"crop_nm": (list, NOTHING), "bin": (int, dict), "doubts": (list,)},
}
RECIPE = {"maker": TEXT, "version": (int,), "seed": (int,), "sizes": (dict,)}
FILE = {"path": TEXT, "sha256": TEXT, "bytes": (int,), "url": (str, NOTHING)}
OWN = {"folder": TEXT, "mask": (str, *NUMBER)}  # of a user's folder, layout "folder"
LAYOUTS = ("captures", "cubes", "tecator", "jasper-ridge", "specim-fx10", "folder")
MAKERS = ("phantom", "mosaic")
MASKS = ("brightness", "pca", "none")  # ways to find one; a number is a wavelength in nm
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast, where it was built in
LONGEST = 2**18  # characters
MOST_ALIASES = 8  # they can double what is built with every second one
DEEPEST = 20  # lists and mappings within each other


def read(path) -> dict:
    """The entries by name. Raises InputError for YAML that cannot be parsed and for any wrong or missing field."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise InputError(f"{path}: longer than the {LONGEST} characters a manifest may have.")
        _check_growth(path, text)
        root, entries = yaml.compose(text, LOADER), yaml.load(text, LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected entries, 'name: {{title: ..., ...}}'; found {type(entries).__name__}.")
    _fields(path, root)  # refuses an entry given twice, of which YAML would keep the last without a word
    for key, node in root.value:
        if key.value not in entries or not PLAIN.fullmatch(key.value):  # 5 is read as a number, << as a merge
            line = key.start_mark.line + 1
            raise InputError(f"{path}, line {line}: {key.value!r} is no name of a data set; use letters and digits.")
        _check_entry(f"{path}, entry {key.value!r}", node, entries[key.value])
    return entries


def _check_growth(path, text: str) -> None:
    """Refuse what would take a parser's time or memory without end, before anything is built of it."""
    aliases = depth = 0
    for event in yaml.parse(text, LOADER):
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if aliases > MOST_ALIASES:
            raise InputError(f"{path}: more than {MOST_ALIASES} aliases (*name); write out what they stand for.")
        if depth > DEEPEST:
            raise InputError(f"{path}: lists in lists deeper than {DEEPEST}; a manifest needs none.")


def _check_entry(where: str, node, entry) -> None:
    recipe = {"recipe": (dict,)} if isinstance(entry, dict) and "recipe" in entry else {}
    own = OWN if isinstance(entry, dict) and entry.get("layout") == "folder" else {}
    lines = _check(where, node, entry, ENTRY | recipe | own)
    nodes = {key.value: value for key, value in node.value}

    def refuse(field, expected):
        found = reprlib.repr(entry[field])  # not repr: of aliases within aliases it has no end
        raise InputError(f"{where}, line {lines[field]}: {field!r} is {found}; expected {expected}.")

    for number, (item, value) in enumerate(zip(nodes["files"].value, entry["files"], strict=True), start=1):
        file_lines = _check(f"{where}, file {number}", item, value, FILE)
        path = PurePosixPath(value["path"])
        if path.is_absolute() or ".." in path.parts or "\\" in value["path"] or ":" in value["path"]:
            raise InputError(
                f"{where}, line {file_lines['path']}: 'path' leaves the data set's folder: {value['path']!r}."
            )
        if len(value["sha256"]) != 64 or set(value["sha256"]) - set("0123456789abcdef"):
            raise InputError(f"{where}, line {file_lines['sha256']}: 'sha256' needs 64 digits of 0-9 and a-f.")
    sizes = []
    if recipe:
        recipe_lines = _check(f"{where}, recipe", nodes["recipe"], entry["recipe"], RECIPE)
        sizes = list(entry["recipe"]["sizes"])
        if entry["recipe"]["maker"] not in MAKERS:
            raise InputError(f"{where}, line {recipe_lines['maker']}: 'maker' is not one of {', '.join(MAKERS)}.")
        if not sizes or not all(isinstance(knobs, dict) for knobs in entry["recipe"]["sizes"].values()):
            raise InputError(f"{where}, line {recipe_lines['sizes']}: 'sizes' needs 'name: {{knob: value, ...}}'.")
    if entry["layout"] not in LAYOUTS:
        refuse("layout", f"one of {', '.join(LAYOUTS)}")
    if own and not PurePath(entry["folder"]).is_absolute():
        refuse("folder", "the whole path of the folder with the captures")
    if own and len(entry["files"]) != 1:
        refuse("files", "one, the folder's references table")
    if own and isinstance(entry["mask"], str) and entry["mask"] not in MASKS:
        refuse("mask", f"{', '.join(MASKS)}, or a wavelength in nm")
    if entry["response"] is not None and entry["response"] not in entry["references"]:
        refuse("response", "one of the references, or null")
    if not all(isinstance(text, str) for text in [*entry["references"].values(), *entry["references"]]):
        refuse("references", "'name: unit', both text")
    if not all(isinstance(text, str) for text in entry["doubts"]):
        refuse("doubts", "a list of sentences")
    crop = entry["crop_nm"]
    if crop is not None and (len(crop) != 2 or not all(_is(end, (*NUMBER, NOTHING)) for end in crop)):
        refuse("crop_nm", "[low, high] in nm, either of them null, or null")
    bins = entry["bin"].values() if isinstance(entry["bin"], dict) else [entry["bin"]]
    if not all(_is(bands, (int,)) and bands > 0 for bands in bins):
        refuse("bin", "a whole number from 1, or one for each size")
    if isinstance(entry["bin"], dict) and set(entry["bin"]) != set(sizes):
        refuse("bin", f"one number, or one for each size of the recipe ({', '.join(sizes) or 'it has none'})")


def _check(where: str, node, value, schema: dict) -> dict[str, int]:
    """Check a mapping's fields and their types; return each field's line."""
    if not isinstance(value, dict):
        raise InputError(f"{where}, line {node.start_mark.line + 1}: expected fields, found {type(value).__name__}.")
    lines = _fields(where, node)
    for field, line in lines.items():
        if field not in schema:
            raise InputError(f"{where}, line {line}: unknown field {field!r}; known: {', '.join(schema)}.")
        if not _is(value[field], schema[field]):
            wanted = " or ".join("null" if kind is NOTHING else kind.__name__ for kind in schema[field])
            found = type(value[field]).__name__
            shown = reprlib.repr(value[field])
            raise InputError(f"{where}, line {line}: {field!r} is {shown} ({found}); expected {wanted}.")
    if absent := [field for field in schema if field not in lines]:
        line = node.start_mark.line + 1
        raise InputError(f"{where}, line {line}: field {absent[0]!r} is missing from what starts here; add it.")
    return lines


def _fields(where, node) -> dict[str, int]:
    lines = {}
    for key, _ in node.value:
        if key.value in lines:
            raise InputError(f"{where}, line {key.start_mark.line + 1}: {key.value!r} is given twice.")
        lines[key.value] = key.start_mark.line + 1
    return lines


def _is(value, kinds) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)  # Python's True is an int; YAML's is not
