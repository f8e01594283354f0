"""A user's folder as a data set: added under a name, opened with its masks, refused when it has changed."""

import hashlib
import json
import math
import shlex
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.captures import NM, SAMPLE, make_folder, table_of, write_table
from scipy.io import savemat

from hsichem import InputError, cli
from hsichem.cli import main
from hsichem.datasets import store as data
from hsichem.lab.report import write_report
from hsichem.lab.results import Results
from hsichem.lab.runner import find_notebooks, run_notebooks
from hsichem.loaders import write_cube

CHAIN = ("01_preprocessing", "02_pls_maps", "03_unet_training", "04_spatial_variance", "05_which_map")
CHAIN += ("06_map_explorer", "08_more_questions")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "meat", samples=12)


@pytest.fixture
def folder(sound, tmp_path, monkeypatch):
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path / "cache"))
    return shutil.copytree(sound, tmp_path / "mine")


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_from_a_folder_to_a_name_that_everything_takes(folder):
    done = call("data", "add", folder, "--name", "my-meat")
    assert done.exit_code == 0, done.output
    assert "fat (% w/w). Assigned by group, seed 0" in done.stdout
    images = data.open_dataset("my-meat", size="lesson")
    assert (images.response, images.unit, images.crop_nm, images.bin) == ("fat", "% w/w", None, 1)
    assert [sample.id for sample in images.samples] == [f"c{k + 1:02d}" for k in range(12)]
    sample = images.samples[2]
    assert sample.references == {"fat": 25.0} and sample.group == "pig1" and sample.truth() is None
    assert (sample.load().mask != SAMPLE).sum() <= 4
    assert {sample.split for sample in images.samples} == {0, 1, 2}
    assert "my-meat" in images.describe() and "yours" in call("data", "list").stdout
    assert data.verify("my-meat") == [] and data.status("my-meat") == "yours"
    for command in ("fetch", "make"):
        refused = call("data", command, "my-meat")
        assert refused.exit_code == 2 and ("your own folder" in refused.stderr or "not made" in refused.stderr)


def make_unlike(folder):
    """All that a user's set may have in another way than the kit's: twelve images of different odd sizes, without
    frames, pitch or truth, some values below 0, every third mask in two parts; two folds; another unit; a column with
    one value only. The response is the share of one of two spectra, so that it can be learnt.
    """
    rng, nm, rows = np.random.default_rng(0), np.linspace(935, 1720, 37), []
    pure = 0.5 + 0.2 * np.stack([np.sin(nm / 70), np.cos(nm / 90)])
    (folder / "masks").mkdir(parents=True)
    for k in range(12):
        mask = np.zeros((17 + 2 * k, 35 - k), bool)
        mask[3:-3, 2:-3] = True
        if k % 3 == 0:
            mask[:, mask.shape[1] // 2 - 1 : mask.shape[1] // 2 + 2] = False
            np.save(folder / "masks" / f"s{k}.npy", mask)
        share = np.clip(rng.normal(0.1 + 0.07 * (7 * k % 12), 0.1, mask.shape), 0, 1)[:, :, None]
        values = np.where(mask[:, :, None], share * pure[0] + (1 - share) * pure[1], 0) + rng.normal(
            0, 0.03, (*mask.shape, 37)
        )
        write_cube(folder / f"s{k}.hdr", values.astype(np.float32), nm)
        rows.append([f"s{k}", f"lot{k // 2}", k // 2 % 3, f"{100 * share[mask].mean():.2f}", 5])
    write_table(folder, [["id", "group", "split", "dry matter (% of fresh matter)", "age (d)"], *rows])


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """(samples, outputs by name, results folder) of the notebooks, run on such a folder."""
    place = tmp_path_factory.mktemp("unlike")
    make_unlike(place / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSICHEM_DATA", str(place / "cache"))
        patch.chdir(Path(__file__).parents[2])
        data.add(place / "mine", "unlike")
        images = data.open_dataset("unlike")
        cli._check_suitable(images)
        given = {
            "dataset": "unlike",
            "preset": "fast",
            "epochs": 1,
            "ladder_epochs": 1,
            "results_dir": str(place / "run"),
        }
        outputs = run_notebooks([path for path in find_notebooks() if path.stem in CHAIN], place / "run", given)
        yield (
            images.samples,
            {path.stem: json.loads(path.read_text("utf-8"))["cells"] for path in outputs},
            place / "run",
        )


def test_every_notebook_runs_on_captures_without_truth(executed):
    _, books, _ = executed
    assert tuple(books) == CHAIN
    outputs = [output for cells in books.values() for cell in cells for output in cell.get("outputs", [])]
    printed = "\n".join("".join(output.get("text", "")) for output in outputs)
    assert "nan" not in printed.lower().split() and "Warning" not in printed, printed
    assert "only a truth map can tell" in printed and "Nobody knows the answer here" in printed
    assert "% of fresh matter" in printed


def test_no_figure_of_a_map_is_empty_without_truth(executed):
    for name, cells in executed[1].items():
        figures = [cell for cell in cells if "report" in cell["metadata"]["tags"]]
        drawn = [any("image/png" in each.get("data", {}) for each in cell["outputs"]) for cell in figures]
        said = [any("known here" in "".join(each.get("text", "")) for each in cell["outputs"]) for cell in figures]
        if name in ("05_which_map", "08_more_questions"):  # a figure of what only a truth tells
            assert all(a != b for a, b in zip(drawn, said, strict=True)) and sum(said) == 1
        else:
            assert any(drawn) if name == "01_preprocessing" else all(drawn), name  # 01 has some of the camera's frames


def test_without_truth_there_are_means_and_no_pixel_errors(executed):
    samples, _, folder = executed
    results, test = Results(folder), [sample for sample in samples if sample.split == 0]
    methods = results.metrics()["methods"]
    assert {"PLS", "linear", "linear non-local means", "U-Net", "pixel network"} <= set(methods)
    for judged in methods.values():
        assert set(judged["map"]) == {"outside_share", "outside_share_interval", "low", "high"}
        assert math.isfinite(judged["mean"]["rmsep"]) and judged["mean"]["n"] == len(test) == 4
    spread = np.std([sample.references["dry matter"] for sample in test])
    assert methods["PLS"]["mean"]["rmsep"] < spread / 3
    for sample in test:
        rows, cols = sample.load().values.shape[:2]
        assert results.maps("reader")[sample.id].shape == (rows, cols)
        for name in methods:
            assert results.maps(name)[sample.id].shape == (rows // 2, cols // 2)


def test_the_report_without_truth_says_what_is_not_known(executed):
    folder = executed[2]
    metrics = Results(folder).metrics()
    assert metrics["unet_against"] == metrics["calibration"] == {}
    assert set(metrics["nulls"]) == {"blurred noise", "ramp", "flat"}
    assert metrics["verdict"]["without_truth"] in metrics["methods"] and "with_truth" not in metrics["verdict"]
    page = write_report(folder).read_text("utf-8")
    assert "no truth maps" in page and ">pixel RMSE<" not in page
    *_, truth = metrics["05_which_map"]["claims"]
    assert (truth["here"], truth["held"]) == ("no pixel truth", "not shown")


def test_images_of_any_format_masks_and_truths(folder):
    values = np.random.default_rng(0).uniform(0.1, 0.9, (24, 20, 6)).astype(np.float32)
    for name in ("c01", "c02"):
        shutil.rmtree(folder / name)
    write_cube(folder / "c01.hdr", values, NM)
    (folder / "c01.hdr").rename(folder / "c01.raw.hdr")
    savemat(folder / "c02.mat", {"cube": values, "wavelength": NM})
    (folder / "masks").mkdir()
    (folder / "truth").mkdir()
    np.save(folder / "masks" / "c01.npy", ~SAMPLE)
    np.save(folder / "truth" / "c01.npy", values[:, :, 0])
    (folder / ".hidden").mkdir()
    (folder / "readme.txt").touch()
    data.add(folder, "mixed", mask="none")
    first, second, third = data.open_dataset("mixed").samples[:3]
    np.testing.assert_array_equal(first.load().mask, ~SAMPLE)
    np.testing.assert_array_equal(first.truth(), values[:, :, 0])
    np.testing.assert_array_equal(second.load().values, values)
    assert second.load().mask.all() and third.load().mask.all()  # "none" leaves no pixel out


def test_the_way_to_the_mask_is_kept(folder):
    data.add(folder, "on-a-band", mask=760)
    data.add(folder, "on-pca", mask="pca")
    for name in ("on-a-band", "on-pca"):
        assert (data.open_dataset(name).samples[0].load().mask != SAMPLE).sum() <= 4


def test_a_changed_table_is_not_opened_until_it_is_added_again(folder):
    data.add(folder, "my-meat")
    rows = table_of(folder)
    write_table(folder, rows[:-1])
    with pytest.raises(InputError, match="not what it was when it was added"):
        data.open_dataset("my-meat")
    assert "not what it was" in data.verify("my-meat")[0]
    data.add(folder, "my-meat")
    assert len(data.open_dataset("my-meat").samples) == 11
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"is not there; bring it back, .*data move my-meat NEWFOLDER"):
        data.open_dataset("my-meat")
    assert data.status("my-meat") == "absent" and call("data", "list").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "tecator"], "there already"),
        (["--name", "../evil"], "not a valid name for a data set"),
        (["--name", ".hidden"], "not a valid name for a data set"),
        (["--name", "m", "--response", "water"], "no column 'water'"),
        (["--name", "m", "--unit", "%"], "says '% w/w', not '%'"),
        (["--name", "m", "--mask", "otsu"], "brightness, pca, none"),
        ([], "--name"),
    ],
)
def test_misuse_ends_with_2_and_leaves_nothing(folder, tmp_path, arguments, message):
    refused = call("data", "add", folder, *arguments)
    assert refused.exit_code == 2 and message in refused.stderr
    assert not (tmp_path / "cache" / "own").exists() and not list(tmp_path.rglob("*evil*"))


def test_a_folder_that_cannot_be_opened_is_not_added(folder, tmp_path):
    write_table(folder, [*table_of(folder), ["c77", "pig9", "30"], ["c78", "pig9", "x"]])
    refused = call("data", "add", folder, "--name", "m")
    assert refused.exit_code == 2 and "c77: no capture" in refused.stderr and "line 15: fat is 'x'" in refused.stderr
    assert "is it 'c07'" in refused.stderr or "is it 'c11'" in refused.stderr or "copy it there" in refused.stderr
    assert not (tmp_path / "cache" / "own").exists()


def test_a_name_belongs_to_one_folder(folder, tmp_path):
    data.add(folder, "my-meat")
    other = shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(InputError, match="'my-meat' is there already"):
        data.add(other, "my-meat")
    assert data.read_manifest()["my-meat"]["folder"] == str(folder)


def test_many_at_once_lose_none(folder, tmp_path):
    names = [f"meat-{k}" for k in range(8)]
    threads = [threading.Thread(target=data.add, args=(folder, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(names) <= set(data.read_manifest())
    assert sorted(path.name for path in (tmp_path / "cache" / "own").iterdir()) == [f"{name}.yaml" for name in names]


def test_a_cache_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path / "file"))
    refused = call("data", "add", folder, "--name", "m")
    assert refused.exit_code == 2 and "cannot be written" in refused.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("my-meat:", "tecator:", "expected one folder of captures"),
        ("my-meat:", "../x:", "not a valid name"),
        ("layout: folder", "layout: tecator", "unknown field 'folder'"),
        ("path: references.csv", "path: ../references.csv", "leaves the data set's folder"),
        ("mask: brightness", "mask: otsu", "brightness, pca, none"),
        ("folder: /", "folder: ", "the whole path"),
    ],
)
def test_an_entry_edited_by_hand_is_checked(folder, tmp_path, old, new, message):
    data.add(folder, "my-meat")
    path = tmp_path / "cache" / "own" / "my-meat.yaml"
    data.add(folder, "sound")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=r"my-meat\.yaml") as error:
        data.open_dataset("my-meat")
    assert message in str(error.value) and "`hsichem data remove my-meat`" in str(error.value)
    assert len(data.open_dataset("sound").samples) == 12  # the others are not stopped
    listed = call("data", "list")
    assert listed.exit_code == 2 and "phantom-belly" in listed.stdout and message in listed.stderr
    with pytest.raises(InputError, match=r"my-meat\.yaml"):  # nor is what is in the file lost
        data.add(folder, "my-meat")
    assert call("data", "remove", "my-meat").exit_code == 0 and call("data", "list").exit_code == 0


EARLIER = """\
my-meat:
  title: my-meat
  teaches: What your own captures say.
  layout: folder
  folder: {folder}
  mask: brightness
  files:
  - path: references.csv
    sha256: {sha256}
    bytes: {bytes}
    url: null
  licence: not stated
  citation: not stated
  units: reflectance (1 = white), calibrated where the folder has white and dark frames
  references:
    fat: '% w/w'
  response: fat
  splits: 'Dealt by group, seed 0: a third is split 0, the fixed test set, the others are folds 1 to 2.'
  crop_nm: null
  bin: 1
  doubts: []
"""


def test_what_an_earlier_version_added_still_opens(folder, tmp_path):
    table = (folder / "references.csv").read_bytes()
    path = tmp_path / "cache" / "own" / "my-meat.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(EARLIER.format(folder=folder, sha256=hashlib.sha256(table).hexdigest(), bytes=len(table)))
    images = data.open_dataset("my-meat")
    data.add(folder, "again")
    splits = [sample.split for sample in images.samples]
    assert len(splits) == 12 and splits == [sample.split for sample in data.open_dataset("again").samples]
    assert images.samples[0].load().mask.any() and data.verify("my-meat") == []


def test_an_entry_cannot_take_the_name_of_a_set_of_the_kit(folder, tmp_path):
    data.add(folder, "my-meat")
    path = tmp_path / "cache" / "own" / "my-meat.yaml"
    path.with_name("tecator.yaml").write_text(path.read_text().replace("my-meat:", "tecator:", 1))
    assert data.status("tecator") == "absent"  # the kit's
    listed = call("data", "list")
    assert listed.exit_code == 2 and "tecator.yaml: holds tecator; expected one folder of captures" in listed.stderr
    assert call("data", "remove", "tecator").exit_code == 0 and call("data", "list").exit_code == 0


def test_a_moved_folder_is_moved_with_all_that_was_set(folder, tmp_path):
    data.add(folder, "my meat", mask=760)
    path = data.entry_file("my meat")
    path.write_text(path.read_text().replace("crop_nm: null", "crop_nm: [750, null]").replace("bin: 1", "bin: 2"))
    before = data.read_manifest()["my meat"]
    elsewhere = folder.rename(tmp_path / "else where")
    refused = call("data", "add", elsewhere, "--name", "my meat")
    assert refused.exit_code == 2 and "`hsichem data move my meat NEWFOLDER`" in refused.stderr
    assert "data move 'my meat' NEWFOLDER" in call("run", "--dataset", "my meat").stderr
    moved = call("data", "move", "my meat", elsewhere)
    assert moved.exit_code == 0 and str(elsewhere) in moved.stdout
    assert data.read_manifest()["my meat"] == before | {"folder": str(elsewhere)}
    images = data.open_dataset("my meat")
    assert images.cube(images.samples[0]).values.shape[2] == 2


def test_a_move_to_what_is_not_the_same_is_refused(folder, tmp_path):
    data.add(folder, "my-meat")
    entry = data.entry_file("my-meat").read_bytes()
    other = shutil.copytree(folder, tmp_path / "other")
    shutil.rmtree(other / "c03")
    write_table(shutil.copytree(folder, tmp_path / "third"), table_of(folder)[:-1])
    for name, place, words in [
        ("my-meat", other, "c03: no capture or image of this name"),
        ("my-meat", tmp_path / "third", "not the table that my-meat was added with"),
        ("my-meat", tmp_path / "none", "no such folder"),
        ("tecator", other, "is a data set of the kit"),
        ("my-meet", other, "did you mean 'my-meat'?"),
    ]:
        refused = call("data", "move", name, place)
        assert refused.exit_code == 2 and words in refused.stderr, refused.stderr
    assert data.entry_file("my-meat").read_bytes() == entry


def test_what_is_removed_is_forgotten_and_its_captures_stay(folder, tmp_path):
    data.add(folder, "my-meat")
    before = sorted(folder.rglob("*"))
    assert call("data", "remove", "my-meat").exit_code == 0
    assert "my-meat" not in data.read_manifest() and sorted(folder.rglob("*")) == before
    for name in ("my-meat", "phantom-belly", "../../x", ""):
        refused = call("data", "remove", name)
        assert refused.exit_code == 2 and "is no folder of yours that was added; yours: none" in refused.stderr
    data.add(folder, "my-meat")


def test_the_command_to_add_again_can_be_pasted_and_loses_nothing(folder, tmp_path):
    spaced = folder.rename(tmp_path / "my own")
    data.add(spaced, "my-meat", mask=760)
    path = data.entry_file("my-meat")
    path.write_text(path.read_text().replace("crop_nm: null", "crop_nm: [750, null]"))
    write_table(spaced, table_of(spaced)[:-1])
    with pytest.raises(InputError, match="not what it was") as error:
        data.open_dataset("my-meat")
    words = shlex.split(str(error.value).split("`")[1])
    assert words[:4] == ["hsichem", "data", "add", str(spaced)]
    assert call(*words[1:]).exit_code == 0
    entry = data.read_manifest()["my-meat"]
    assert (entry["mask"], entry["crop_nm"], entry["response"]) == (760, [750, None], "fat")
    assert len(data.open_dataset("my-meat").samples) == 11


def test_accents_in_the_other_unicode_form_are_the_same_name(folder):
    rows = table_of(folder)
    rows[1][0] = "Mu\u0308ll\u00e9"
    write_table(folder, rows)
    (folder / "c01" / "capture").rename(folder / "c01" / "away")
    (folder / "c01").rename(folder / "M\u00fclle\u0301")
    (folder / "M\u00fclle\u0301" / "away").rename(folder / "M\u00fclle\u0301" / "capture")
    for place in ("masks", "truth"):
        (folder / place).mkdir()
    np.save(folder / "masks" / "Mu\u0308lle\u0301.npy", ~SAMPLE)
    np.save(folder / "truth" / "M\u00fcll\u00e9.NPY", SAMPLE)
    (folder / "truth" / "M\u00fcll\u00e9.NPY.npy").rename(folder / "truth" / "M\u00fcll\u00e9.NPY")
    data.add(folder, "my-meat")
    sample = data.open_dataset("my-meat").samples[0]
    np.testing.assert_array_equal(sample.load().mask, ~SAMPLE)
    np.testing.assert_array_equal(sample.truth(), SAMPLE)


def test_add_says_which_columns_could_have_been_chosen(folder):
    heading, *rows = table_of(folder)
    write_table(folder, [[*heading, "water (%)"], *([*row, float(row[2]) + 1] for row in rows)])
    done = call("data", "add", folder, "--name", "m")
    assert "m: fat (% w/w). --response chooses another: water. Assigned" in done.stdout
    assert str(data.entry_file("m")) in done.stdout
    assert "--response" not in call("data", "add", folder, "--name", "m", "--response", "water").stdout
