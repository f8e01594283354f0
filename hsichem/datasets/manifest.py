"""The manifest: data_manifest.yaml read and checked, each fault named with its entry, field and line.

manifest_fields.yaml beside this module says what a field may be, as JSON Schema.
"""

import reprlib
from functools import cache
from pathlib import Path, PurePath, PurePosixPath

import fastjsonschema  # jsonschema is slow to import
import yaml

from hsichem._base import InputError
from hsichem.datasets.table import PLAIN

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast, where it was built in
FIELDS = yaml.load(Path(__file__).with_name("manifest_fields.yaml").read_text("utf-8"), LOADER)
DRAFT = "http://json-schema.org/draft-04/schema"  # the draft to which 2.0 is no integer
TYPES = {"string": "str", "integer": "int", "number": "float", "array": "list", "object": "dict", "null": "null"}
MANIFEST_CHARACTERS = 2**18
MOST_ALIASES = 8  # they can double what is built with every second one
DEEPEST = 20  # lists and mappings within each other


def read(path) -> dict:
    """The entries by name. Raises InputError for YAML that cannot be parsed and for any wrong or missing field."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MANIFEST_CHARACTERS + 1)
        if len(text) > MANIFEST_CHARACTERS:
            raise InputError(f"{path}: longer than the {MANIFEST_CHARACTERS} characters a manifest may have.")
        _check_growth(path, text)
        root, entries = yaml.compose(text, LOADER), yaml.load(text, LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected entries, 'name: {{title: ..., ...}}'; found {type(entries).__name__}.")
    for name, (line, node) in _children(path, root).items():
        if name not in entries or not PLAIN.fullmatch(name):  # 5 is read as a number, << as a merge
            raise InputError(f"{path}, line {line}: {name!r} is not a valid name; use letters and digits.")
        _check_entry(f"{path}, entry {name!r}", node, entries[name])
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
    own = isinstance(entry, dict) and entry.get("layout") == "folder"
    fields = _check_fields(where, node, entry, "own" if own else "entry")
    _, files = fields["files"]
    for number, (item, file) in enumerate(zip(files.value, entry["files"], strict=True), start=1):
        _check_fields(f"{where}, file {number}", item, file, "file")
    if "recipe" in entry:
        _check_fields(f"{where}, recipe", fields["recipe"][1], entry["recipe"], "recipe")

    def refuse(field, expected):  # what two fields say together, no schema can check
        found = reprlib.repr(entry[field])  # not repr: of aliases within aliases it has no end
        raise InputError(f"{where}, line {fields[field][0]}: {field!r} is {found}; expected {expected}.")

    if not all(isinstance(name, str) for name in entry["references"]):
        refuse("references", "'name: unit', both text")
    if entry["response"] not in (None, *entry["references"]):
        refuse("response", "one of the references, or null")
    sizes = entry.get("recipe", {}).get("sizes", {})
    if isinstance(entry["bin"], dict) and entry["bin"].keys() != sizes.keys():
        listed = ", ".join(map(str, sizes)) or "it has none"
        refuse("bin", f"one number, or one for each size of the recipe ({listed})")


def _check_fields(where: str, node, value, part: str) -> dict[str, tuple]:
    """Check a mapping against a part of manifest_fields.yaml; return each field's line and node."""
    known, start = FIELDS[part], node.start_mark.line + 1
    if not isinstance(value, dict):
        raise InputError(f"{where}, line {start}: expected fields, found {type(value).__name__}.")
    fields = _children(where, node)
    for field, (line, _) in fields.items():
        if field not in known or field not in value:  # the second: a tag can make another key of a field's name
            raise InputError(f"{where}, line {line}: unknown field {field!r}; known: {', '.join(known)}.")
    for field, rule in known.items():
        if field not in value and not rule.get("optional"):
            raise InputError(f"{where}, line {start}: field {field!r} is missing from what starts here; add it.")
    try:
        _validator(part)(value)
    except fastjsonschema.JsonSchemaValueException as error:
        field = error.path[1]  # after "data"
        fault = _fault(error, known[field], value[field])
        raise InputError(f"{where}, line {fields[field][0]}: {field!r} {fault}.") from None
    return fields


@cache
def _validator(part: str):
    formats = {"absolute path": lambda path: PurePath(path).is_absolute(), "path inside": _stays_inside}
    return fastjsonschema.compile({"$schema": DRAFT, "properties": FIELDS[part]}, formats=formats)


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not (pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path)


def _fault(error: fastjsonschema.JsonSchemaValueException, rule: dict, value) -> str:
    """What is wrong with a field, as the end of a sentence."""
    found = reprlib.repr(value)
    if error.rule == "type" and len(error.path) == 2:  # of the field itself, not of something in it
        types = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
        return f"is {found} ({type(value).__name__}); expected {' or '.join(TYPES[each] for each in types)}"
    if error.rule == "enum":
        return f"is not one of {', '.join(rule['enum'])}; found {found}"
    return rule["fault"].replace("{found}", found)


def _children(where, node) -> dict[str, tuple]:
    """The line and the node of each name in a mapping."""
    found = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{where}, line {line}: a name that is no plain text; write 'name: value'.")
        if key.value in found:  # YAML would keep the last without a word
            raise InputError(f"{where}, line {line}: {key.value!r} is given twice.")
        found[key.value] = line, value
    return found
