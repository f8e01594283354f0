"""A folder of tiny captures, sound and with planted faults, each of which must be named."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.captures import NM, SAMPLE, change, make_capture, make_folder, table_of, write_table

from hsichem import InputError
from hsichem.cli import main
from hsichem.datasets.check import check_folder
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
    for words in ["20 captures", "20 lines, 10 groups", "fat (% w/w)", "c01: 24 x 20 pixels, 6 bands, sample 46%"]:
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


def test_the_command_ends_with_1_for_problems_and_2_for_misuse(folder, sound, tmp_path):
    def call(*arguments):
        return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])

    clean = call(sound)
    assert clean.exit_code == 0 and "no problems" in clean.stdout
    plant(folder)
    found = call(folder)
    assert found.exit_code == 1 and " 10. " in found.stderr and "10 problems" in found.stderr
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
    only_problem(folder, "c03: half of its values are above 8", "not reflectance", mask="none")
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
