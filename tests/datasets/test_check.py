"""A folder of tiny captures, sound and with planted faults, each of which must be named."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.captures import NM, SAMPLE, change, make_capture, make_folder, table_of, write_table
from PIL import Image

from hsichem import InputError
from hsichem.cli import main
from hsichem.datasets import store as data
from hsichem.datasets.check import _run_bytes, check_folder
from hsichem.loaders import write_cube


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "mine")


def test_a_sound_folder_has_no_problems(sound):
    findings = check_folder(sound)
    assert findings.problems == []
    text = "\n".join(findings.found)
    for words in [
        "20 captures",
        "20 lines, 10 groups",
        "fat (% w/w)",
        "20 images of 24 x 20 pixels, 6 bands, sample 46% of",
    ]:
        assert words in text
    assert "Assigned by group, seed 0" in text and "{0: 6, 1: 6, 2: 4, 3: 4}" in text


def plant(folder):
    """Ten faults; returns words that the message of each must have."""
    rows = table_of(folder)
    rows[2][0] = "c01"  # 1. an id twice, which leaves 2. a capture without a line
    rows[4][2] = "130"  # 3. out of range
    rows[5][2] = "12,5"  # 4. a decimal comma
    rows[0][2] = "fat"  # 5. no unit
    rows.append(["c99", "pig99", "40"])  # 6. a line without its capture
    write_table(folder, rows)
    raw = folder / "c06" / "capture" / "c06.raw"
    raw.write_bytes(raw.read_bytes()[:-100])  # 7. cut off

    def overexpose(counts):
        counts[SAMPLE, 0] = 4095

    change(folder / "c07" / "capture" / "c07.hdr", overexpose)  # 8.
    change(folder / "c08" / "capture" / "c08.hdr", lambda counts: counts[:, 5, 2].fill(700))  # 9. a dead element
    make_capture(folder, "c09", light=0.8)  # 10. its white reference too dark
    return [
        ["line 3", "'c01' is given twice"], ["c02", "no line in the table"], ["line 5", "fat is 130"],
        ["line 6", "'12,5'", "use a decimal point"], ["the unit of fat is not stated", "'fat (% w/w)'"],
        ["c99", "no capture"], ["c06", "bytes", "declares"], ["c07", "saturated", "shorter exposure"],
        ["c08", "1 of 120 detector elements", "column 5, 820 nm"], ["c09", "white reference is at 80%"],
    ]  # fmt: skip


def test_ten_planted_faults_are_all_named(folder):
    planted = plant(folder)
    problems = check_folder(folder).problems
    for words in planted:
        assert [problem for problem in problems if all(word in problem for word in words)], words
    assert len(problems) == len(planted), "\n".join(problems)


def test_the_command_ends_with_1_for_what_hinders_and_2_for_misuse(folder, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])

    clean = call(sound)
    assert clean.exit_code == 0 and "no problems" in clean.stdout
    plant(folder)
    found = call(folder)
    assert found.exit_code == 1 and " 10. " in found.stderr and "problems: 10, of which hinder: 6" in found.stderr
    assert call(tmp_path / "nowhere").exit_code == 2
    misuse = call(sound, "--mask", "otsu")
    assert misuse.exit_code == 2 and "brightness, pca, none" in misuse.stderr
    assert call(sound, "--mask", "none").exit_code == 0 and call(sound, "--mask", "850").exit_code == 0


def only_problem(folder, *words, **arguments):
    (problem,) = check_folder(folder, **arguments).problems
    assert not [word for word in words if word not in problem], problem


def test_faults_of_the_values(folder):
    heading, *rows = table_of(folder)
    write_table(folder, [heading, *([*row[:2], "35"] for row in rows)])
    only_problem(folder, "fat is the same in all samples")
    write_table(folder, [heading, *([*row[:2], float(row[2]) / 100] for row in rows)])
    only_problem(folder, "from 0.2 to 0.675, as shares of 1 are", "multiply by 100")
    write_table(folder, [["id", "animal", "fat [g/kg]"], *rows])
    only_problem(folder, "'g/kg'", "divide by 10")
    write_table(folder, [["id", "animal", "fat"], *rows])
    assert check_folder(folder, unit="% w/w").problems == []
    only_problem(folder, "no column 'water'", response="water")


def test_faults_of_the_splits(folder):
    heading, *rows = table_of(folder)
    splits = [0] * 8 + [1] * 4 + [2] * 4 + [3] * 4
    write_table(folder, [[*heading, "split"], *([*row, split] for row, split in zip(rows, splits, strict=True))])
    assert check_folder(folder).problems == []
    splits[8] = 0
    write_table(folder, [[*heading, "split"], *([*row, split] for row, split in zip(rows, splits, strict=True))])
    only_problem(folder, "'pig4' is in splits [0, 1]")
    splits = [1] * 10 + [2] * 10
    write_table(folder, [[*heading, "split"], *([*row, split] for row, split in zip(rows, splits, strict=True))])
    only_problem(folder, "0 samples in the test set (split 0)")
    splits = [0] * 2 + [1] * 10 + [2] * 8
    write_table(folder, [[*heading, "split"], *([*row, split] for row, split in zip(rows, splits, strict=True))])
    only_problem(folder, "all samples of the test set (split 0) are of one group, 'pig0'")
    splits = [0] * 8 + [1] * 11 + [2]
    write_table(folder, [["id", "none", "fat (%)", "split"], *([*r, s] for r, s in zip(rows, splits, strict=True))])
    only_problem(folder, "1 samples in fold 2")
    write_table(folder, [heading, *rows[:10]])
    assert "splits are assigned to 6 groups of samples or more; found 5" in check_folder(folder).problems[0]


def test_faults_of_the_images(folder):
    shutil.rmtree(folder / "c03")
    make_capture(folder, "c03", nm=np.linspace(700, 950, 6))
    only_problem(folder, "c03: 6 bands of 700.0 to 950.0 nm, most others have 6 of 700.0 to 1000.0 nm")
    shutil.rmtree(folder / "c03")
    write_cube(folder / "c03.hdr", np.random.default_rng(0).uniform(800, 900, (24, 20, 6)).astype("f4"), NM)
    only_problem(folder, "c03: ", "half of its values are above 8", "not reflectance", mask="none")
    make_capture(folder, "c03")
    only_problem(folder, "c03: two images, c03 and c03.hdr")
    (folder / "c03.hdr").unlink()
    change(folder / "c03" / "capture" / "WHITEREF_c03.hdr", lambda counts: counts[:, 3, 3].fill(4095))
    only_problem(folder, "c03: 5.0% of its white reference is saturated")
    change(folder / "c03" / "capture" / "WHITEREF_c03.hdr", lambda counts: counts[:, 3, 3].fill(0))
    only_problem(folder, "c03: cannot be used", "white is not above dark")
    make_capture(folder, "c03")
    (folder / "masks").mkdir()
    np.save(folder / "masks" / "c03.npy", SAMPLE[:-1])
    only_problem(folder, "c03.npy: the mask has (23, 20) pixels")
    one_pixel = np.zeros(SAMPLE.shape, bool)
    one_pixel[3, 3] = True
    np.save(folder / "masks" / "c03.npy", one_pixel)
    only_problem(folder, "c03: its mask covers 0.2%")


def test_without_a_table_the_images_are_looked_at_all_the_same(folder):
    (folder / "references.csv").unlink()
    (folder / "c05" / "capture" / "c05.raw").unlink()
    missing, cut = check_folder(folder).problems
    assert "references.csv: missing, and no references.xlsx" in missing and "c05: cannot be used" in cut
    with pytest.raises(InputError, match="no such folder"):
        check_folder(folder / "nowhere")


def call(*arguments):
    return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])


def test_what_does_not_hinder_is_listed_and_ends_with_0(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_capture(folder, "c09", light=0.8)
    make_capture(folder, "spare")
    done = call(folder)
    assert done.exit_code == 0 and "nothing hinders; to look at:" in done.stdout and "  2. " in done.stdout
    assert "spare: no line in the table" in done.stdout and "white reference is at 80%" in done.stdout
    assert "\n  3. " not in done.stdout and "Error" not in done.stderr
    assert check_folder(folder).hindering == [] and len(check_folder(folder).problems) == 2


def test_what_many_have_in_common_is_one_sentence(folder):
    rows = table_of(folder)
    for row in rows[2:]:
        row[2] = row[2].replace(".", ",")
    write_table(folder, rows)
    for k in range(20):
        change(folder / f"c{k + 1:02d}" / "capture" / f"c{k + 1:02d}.hdr", lambda counts: counts[:, 5, 2].fill(700))
    commas, dead = check_folder(folder).problems
    assert commas.startswith(f"19 alike ({folder / 'references.csv'}, line 3, 4, 5, 6, 7, 8 and 13 more), the first: ")
    assert "line 3: fat is '22,5'; use a decimal point" in commas
    assert dead.startswith("20 alike (c01, c02, c03, c04, c05, c06 and 14 more), the first: c01: 1 of 120 detector")


def test_an_overview_of_the_masks_is_drawn_where_one_works_and_not_among_the_captures(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(folder)
    assert f"masks: drawn in {tmp_path / 'masks.png'}" in done.stdout
    with Image.open(tmp_path / "masks.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    outline = (abs(pixels - [0xD5, 0x5E, 0x00]) < 40).all(axis=2)
    rows, cols = np.nonzero(outline)
    assert len(rows) > 500 and np.ptp(rows) > 0.6 * len(pixels) and np.ptp(cols) > 0.6 * pixels.shape[1]  # one each
    before = set(folder.rglob("*"))
    monkeypatch.chdir(folder)
    done = call(".")
    assert done.exit_code == 0 and "masks: not drawn" in done.stdout and set(folder.rglob("*")) == before
    assert call(".", "--out", tmp_path / "other" / "m.png").exit_code == 0
    assert (tmp_path / "other" / "m.png").stat().st_size > 1000


def test_a_mask_whose_threshold_cuts_through_one_kind_of_pixel_is_said(folder):
    rng = np.random.default_rng(0)
    for name in ("c04", "c05"):
        shutil.rmtree(folder / name)
        write_cube(folder / f"{name}.hdr", rng.normal(0.5, 0.1, (24, 20, 1)).repeat(6, 2).astype("f4"), NM)
    (folder / "masks").mkdir()
    np.save(folder / "masks" / "c05.npy", SAMPLE)  # drawn: no threshold
    only_problem(folder, "c04: the mask's threshold cuts through pixels of one kind", "--mask", "'masks'")
    assert check_folder(folder, mask="none").problems == []


def test_a_background_of_zeros_is_no_dead_detector(folder):
    for k in range(20):
        shutil.rmtree(folder / (name := f"c{k + 1:02d}"))
        values = np.where(SAMPLE[:, :, None], np.random.default_rng(k).uniform(0.3, 0.7, (24, 20, 6)), 0)
        write_cube(folder / f"{name}.hdr", values.astype("f4"), NM)
    assert check_folder(folder).problems == []
    change(folder / "c03.hdr", lambda counts: counts[:, :, 4].fill(0))
    only_problem(folder, "c03: 14 of 120 detector elements", "column 3, 940 nm")


def test_what_the_loaders_warn_of_is_listed(folder):
    for name, tint in {"c02": 10, "WHITEREF_c02": 5}.items():
        header = folder / "c02" / "capture" / f"{name}.hdr"
        header.write_text(header.read_text() + f"tint = {tint}\n")
    for k in (2, 3, 4):  # in all, so that their whites are as bright for their time
        shutil.rmtree(folder / f"c{k + 1:02d}")
    problems = check_folder(folder).remarks
    assert any("c02: " in each and "integration time 0.5 times that of the scene" in each for each in problems)


def test_a_folder_without_an_image_is_passed_over_and_masks_without_a_sample_are_not(folder):
    (folder / "Fotos").mkdir()
    (folder / "Fotos" / "IMG_1.jpg").touch()
    assert check_folder(folder).problems == [] and check_folder(folder).found[0] == "20 captures and images"
    (folder / "masks").mkdir()
    np.save(folder / "masks" / "c1.npy", SAMPLE)
    only_problem(folder, "masks: c1.npy: no sample of this name, so not used")


def test_the_folder_above_is_told_in_a_sentence(folder):
    with pytest.raises(InputError, match="has no references table, but its subfolder mine has; give that folder"):
        check_folder(folder.parent)


def test_ids_that_lost_their_zeros_or_lie_in_another_form(folder):
    rows = table_of(folder)
    rows[1][0], rows[2][0], rows[3][0] = "7", "Ku\u0308ken", "x"
    write_table(folder, rows)
    (folder / "c01").rename(folder / "007")
    (folder / "c02").rename(folder / "K\u00fcken")
    change_names = {"007": "c01", "K\u00fcken": "c02"}
    assert set(change_names) <= {path.name for path in folder.iterdir()}
    (folder / "c03").rename(folder / "away")
    (folder / "x.cu3s").touch()
    first, second = check_folder(folder).hindering
    assert "7: no capture" in first and "is it '007'?" in first and "format the column 'id' as text" in first
    assert "x: no capture" in second and "x.cu3s is not of a kind that is read: export it as ENVI" in second


def test_a_running_number_or_a_date_is_not_taken_for_the_response(folder):
    heading, *rows = table_of(folder)
    for name, values in {"nr": range(1, 21), "Messdatum": [20260101 + k for k in range(20)]}.items():
        write_table(
            folder, [["id", name, *heading[1:]], *([r[0], v, *r[1:]] for r, v in zip(rows, values, strict=True))]
        )
        said = check_folder(folder).hindering
        assert len(said) - (name != "nr") <= 1 and f"'{name}'" in said[0] and f"--response ({name}, fat)" in said[0]
        assert "response: fat (% w/w)" in check_folder(folder, response="fat").found
    write_table(folder, [[*heading, "water (%)"], *([*row, float(row[2]) + 1] for row in rows)])
    assert "response: fat (% w/w); --response chooses another: water" in check_folder(folder).found


def test_memory_and_time_are_estimated(folder, monkeypatch):
    said = check_folder(folder)
    look = next(iter(said.looks.values()))
    (rows, cols, bands), n = look.shape, len(said.looks)
    need = 550 + (4 * 4 * rows * cols * bands + 40 * n * rows * cols + 24 * n * rows * cols * bands) / 1e6
    assert f"memory: 0.0 MB for the largest image, 0.2 MB for all; a run needs about {need:.1f} MB" in "\n".join(
        said.found
    )
    assert re.search(r"time: reading them took \d+\.\d s; a run takes about 1 min on two cores", "\n".join(said.found))
    monkeypatch.setattr("os.sysconf", lambda name: 2**14, raising=False)  # 0.27 GB
    only_problem(folder, f"memory: a run needs about {need:.1f} MB, and this computer has 268.4 MB", "crop_nm")


def test_many_images_need_hardly_more_memory_than_few():
    def needed(many, shape=(1992, 904, 62)):
        look = SimpleNamespace(shape=shape)
        return _run_bytes({str(number): look for number in range(many)})

    one = 4 * 1992 * 904 * 62
    assert needed(1) > 4 * one and needed(180) - needed(10) < 170 * one / 6


def test_an_image_that_does_not_fit_into_memory_is_named(folder, monkeypatch):
    def full(folder, name, path, mask):
        raise MemoryError

    data.add(folder, "mine", root=folder.parent)
    images = data.open_dataset("mine", root=folder.parent)
    monkeypatch.setattr("hsichem.datasets.store.crop_and_bin", lambda *_: full(0, 0, 0, 0))
    with pytest.raises(InputError, match=r"mine, c01: memory is full. Average or leave out bands, by bin or crop_nm"):
        images.cube(images.samples[0])
    monkeypatch.setattr("hsichem.datasets.check.look_at", full)
    (problem,) = check_folder(folder).problems
    assert problem.startswith("20 alike (c01, ") and "does not fit into memory; cut the image" in problem
