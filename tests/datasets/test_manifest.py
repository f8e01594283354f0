from importlib import import_module

import pytest
import yaml

from hsichem import InputError
from hsichem.datasets import manifest, own
from hsichem.datasets import store as data
from hsichem.datasets.samples import LAYOUTS

GOOD = """\
# line 1
meat:
  title: Meat
  teaches: Something.
  layout: captures
  recipe:
    maker: phantom
    version: 1
    seed: 1
    sizes:
      small: {samples: 2}
  files:
    - path: a/b.csv
      sha256: 22a6d0f71931f6178b169905e99ae610e35387aa4d5630b43ea550277e1a8964
      bytes: 10
      url: null
  licence: unknown
  citation: Nobody.
  units: reflectance
  references: {fat: "%"}
  response: fat
  splits: By animal.
  crop_nm: [750, null]
  bin: {small: 2}
  doubts:
    - Made up.
"""


def read(tmp_path, text):
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    return manifest.read(tmp_path / "m.yaml")


def test_a_good_manifest_is_read_as_it_stands(tmp_path):
    assert read(tmp_path, GOOD) == yaml.safe_load(GOOD)


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("title: Meat", "titel: Meat", ["'meat'", "line 3", "unknown field 'titel'"]),
        ("  units: reflectance\n", "", ["'meat'", "line 3", "'units' is missing"]),
        ("citation: Nobody.", "citation: 5", ["line 18", "'citation' is 5 (int); expected str"]),
        ("bin: {small: 2}", "bin: two", ["line 24", "'bin'", "expected int or dict"]),
        ("bin: {small: 2}", "bin: true", ["line 24", "'bin' is True (bool)"]),
        ("bin: {small: 2}", "bin: 2.0", ["line 24", "'bin' is 2.0 (float)"]),
        ("bin: {small: 2}", "bin: 0", ["line 24", "whole number from 1"]),
        ("bin: {small: 2}", "bin: {large: 2}", ["line 24", "each size of the recipe (small)"]),
        ("bytes: 10", "bytes: ten", ["file 1", "line 15", "'bytes' is 'ten'"]),
        ("url: null", "uri: null", ["file 1", "line 16", "unknown field 'uri'"]),
        ("bin: {small: 2}", "bin: {small: true}", ["line 24", "whole number from 1"]),
        ("path: a/b.csv", "path: ../b.csv", ["line 13", "leaves the data set's folder"]),
        ("path: a/b.csv", "path: /etc/passwd", ["line 13", "leaves the data set's folder"]),
        ("path: a/b.csv", "path: 'C:b.csv'", ["line 13", "leaves the data set's folder"]),
        ("path: a/b.csv", 'path: "a\\n/../b"', ["line 13", "leaves the data set's folder"]),
        ("22a6", "ZZZZ", ["line 14", "64 digits"]),
        ("22a6", "222a6", ["line 14", "64 digits"]),
        ("response: fat", "response: water", ["line 21", "one of the references"]),
        ('{fat: "%"}', "{fat: 3}", ["line 20", "both text"]),
        ('{fat: "%"}', '{5: "%"}', ["line 20", "both text"]),
        ("crop_nm: [750, null]", "crop_nm: [750]", ["line 23", "[low, high]"]),
        ("crop_nm: [750, null]", "crop_nm: [low, high]", ["line 23", "[low, high]"]),
        ("layout: captures", "layout: photos", ["line 5", "one of captures"]),
        ("maker: phantom", "maker: os", ["line 7", "'maker' is not one of phantom, mosaic"]),
        ("      small: {samples: 2}", "      small: 2", ["line 10", "'sizes'"]),
        ("sizes:\n      small: {samples: 2}", "sizes: {}", ["line 10", "'sizes'"]),
        ("      small: {samples: 2}", "      5: {samples: 2}", ["line 24", "size of the recipe (5)"]),
        ("seed: 1", "seed: 1.5", ["recipe", "line 9", "'seed' is 1.5"]),
        ("- Made up.", "- 3", ["line 25", "sentences"]),
        ("  response: fat", "  title: Again\n  response: fat", ["line 21", "'title' is given twice"]),
        ("response: fat", "!!binary response: fat", ["line 21", "unknown field 'response'"]),
        ("title: Meat", "? !!str {=: title}\n  : Meat", ["line 3", "no plain text"]),
        ("maker: phantom", "<<: {maker: phantom}", ["line 7", "unknown field '<<'"]),
        ("meat:\n", "meat: 3\nmore:\n", ["'meat'", "line 2", "expected fields"]),
        ("title: Meat", "title: !!python/object/apply:os.getcwd []", ["line 3", "constructor"]),
        ("title: Meat", "title: [", ["cannot be read as YAML"]),
        (GOOD, "", ["expected entries"]),
        (GOOD, GOOD + GOOD.removeprefix("# line 1\n"), ["line 27", "'meat' is given twice"]),
    ],
)
def test_a_fault_is_named_with_entry_field_and_line(tmp_path, old, new, expected):
    assert GOOD.count(old) == 1
    with pytest.raises(InputError) as error:
        read(tmp_path, GOOD.replace(old, new))
    assert not [words for words in expected if words not in str(error.value)], str(error.value)


def test_the_fields_allow_what_the_code_knows():
    entry, recipe = manifest.FIELDS["entry"], manifest.FIELDS["recipe"]
    assert set(entry["layout"]["enum"]) == set(LAYOUTS)
    for maker in recipe["maker"]["enum"]:
        assert callable(import_module(f"hsichem.datasets.makers.{maker}").make)
    for way in manifest.FIELDS["own"]["mask"]["anyOf"][1]["enum"]:
        own.check_way(way)


def test_the_manifest_of_the_kit():
    entries = data.read_manifest()
    assert list(entries) == ["phantom-belly", "mineral-mixtures", "tecator", "jasper-ridge", "specim-fx10"]
    assert "redistributed as long as this permission note is attached" in entries["tecator"]["licence"]
    for name, entry in entries.items():
        assert entry["doubts"] and ("recipe" in entry or entry["files"]), name
        for file in entry["files"]:
            assert file["url"] is None or " " not in file["url"]


def test_the_manifest_agrees_with_the_files(mirror):
    for name, entry in data.read_manifest().items():
        for file in entry["files"]:
            assert (mirror / name / file["path"]).stat().st_size == file["bytes"], file["path"]


BOMB = "a: &b0 {x: 1}\n" + "".join(f"b{k}: &b{k + 1} {{<<: [*b{k}, *b{k}]}}\n" for k in range(9))


@pytest.mark.parametrize(
    "text, message",
    [
        (BOMB, "more than 8 aliases"),
        ("x: &x [*x]\n", "expected fields"),
        ("x: " + "[" * 20_000, "lists in lists deeper than 20"),
        ("5: {title: x}\n", "line 1: '5' is not a valid name"),
        ("<<: {title: x}\n", "'<<' is not a valid name"),
        ("../up: {title: x}\n", "'../up' is not a valid name"),
        ("#" * 2**18 + "\n", "longer than the 262144"),
    ],
    ids=["merges", "itself", "deep", "number", "merge", "path", "long"],
)
@pytest.mark.parametrize("loader", sorted({yaml.SafeLoader, manifest.LOADER}, key=str))
def test_a_manifest_meant_to_harm_is_refused(tmp_path, monkeypatch, text, message, loader):
    monkeypatch.setattr(manifest, "LOADER", loader)
    with pytest.raises(InputError, match=r"m\.yaml") as error:
        read(tmp_path, text)
    assert message in str(error.value) and len(str(error.value)) < 1000


def test_aliases_within_aliases_are_not_spelt_out(tmp_path):
    doubled = "".join(f"    - &d{k} [*d{k - 1}, *d{k - 1}]\n" for k in (1, 2, 3, 4))
    text = GOOD.replace("    - Made up.\n", "    - &d0 [1, 1, 1]\n" + doubled)
    with pytest.raises(InputError, match="sentences") as error:
        read(tmp_path, text)
    assert len(str(error.value)) < 700
