import csv

import numpy as np
import pytest
from scipy.io import loadmat

from hsichem import Cube, InputError
from hsichem.datasets import samples
from hsichem.datasets import store as data
from hsichem.loaders import write_cube

UNITS = {"fat": "%", "water": "%"}


def write_table(folder, text):
    (folder / "references.csv").write_text(text)
    return folder


def test_samples_from_a_table(tmp_path):
    write_table(tmp_path, "id,split,animal,fat,water\nb1,0,pig7,30.5,50\nb2,3,pig8,40,45\n")
    values = np.random.default_rng(1).random((4, 6, 3)).astype(np.float32)
    (tmp_path / "b1").mkdir()
    (tmp_path / "b2").mkdir()
    write_cube(tmp_path / "b1" / "b1.hdr", values, [900, 950, 1000])
    (tmp_path / "truth").mkdir()
    np.save(tmp_path / "truth" / "b1.npy", values[:, :, 0])
    first, second = samples.LAYOUTS["cubes"](tmp_path, UNITS)
    assert (first.id, first.split, first.group, first.references) == ("b1", 0, "pig7", {"fat": 30.5, "water": 50.0})
    assert (second.split, second.group, second.folder) == (3, "pig8", tmp_path / "b2")
    np.testing.assert_array_equal(first.load().values, values)
    np.testing.assert_array_equal(first.truth(), values[:, :, 0])
    assert second.truth() is None and first.load().mask is None


def test_a_capture_comes_calibrated_and_masked(tmp_path):
    write_table(tmp_path, "id,split,fat,water\nb1,0,30.5,50\n")
    capture = tmp_path / "b1" / "capture"
    capture.mkdir(parents=True)
    raw = np.full((20, 20, 3), 200)
    raw[3:17, 3:17] = 1600
    for name, values in {"b1": raw, "WHITEREF_b1": np.full((2, 20, 3), 2100), "DARKREF_b1": raw[:2] * 0 + 100}.items():
        write_cube(capture / f"{name}.hdr", values.astype("u2"), [900, 950, 1000])
    (sample,) = samples.LAYOUTS["captures"](tmp_path, UNITS)
    cube = sample.load()
    np.testing.assert_allclose(cube.values, (raw - 100) / 2000, rtol=1e-6)
    assert cube.mask[4:16, 4:16].all() and not cube.mask[raw[:, :, 0] == 200].any()
    assert sample.group == "b1"
    header = capture / "b1.hdr"
    header.write_text(header.read_text() + "data ignore value = 1601\n")
    counts = np.fromfile(capture / "b1.raw", "<u2").reshape(20, 3, 20)
    counts[10, :, 9] = 1601  # inside the sample, where filling holes would bring it back
    counts.tofile(capture / "b1.raw")
    assert np.argwhere(sample.load().mask != cube.mask).tolist() == [[10, 9]]


@pytest.mark.parametrize(
    "text, message",
    [
        ("id,split,fat\nb1,0,3\n", "no column 'water'"),
        ("id,fat,water\nb1,0,3\n", "no column 'split', and splits are assigned to 6 groups"),
        ("id,split,fat,water\nb1,0,3,x\n", "line 2"),
        ("id,split,fat,water\nb1,0,3,4\nb2,0,3\n", "line 3"),
        ("id,split,fat,water\nb1,6,3,4\n", "expected 0 to 5"),
        ("id,split,fat,water\nb1,0,nan,4\n", "finite"),
        ("id,split,fat,water\nb1,0,3,4\nb1,1,3,4\n", "line 3: id 'b1' is given twice"),
        ("id,split,fat,water\n../b1,0,3,4\n", "no plain folder name"),
        ("id,split,fat,water\n", "no samples"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, message):
    (tmp_path / "b1").mkdir()
    with pytest.raises(InputError) as error:
        samples.LAYOUTS["cubes"](write_table(tmp_path, text), UNITS)
    assert message in str(error.value) and "references.csv" in str(error.value)
    (tmp_path / "references.csv").unlink()
    with pytest.raises(InputError, match="missing"):
        samples.LAYOUTS["cubes"](tmp_path, UNITS)


def test_tecator_without_its_duplicates(mirror):
    with open(mirror / "tecator" / "tecator.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    seen = {}  # the spectrum and the laboratory values as text -> first row
    for number, row in enumerate(rows):
        key = tuple(value for name, value in row.items() if not name.startswith("principal"))
        seen.setdefault(key, number)
    dataset = data.open_dataset("tecator")
    assert [sample.id for sample in dataset.samples] == [f"tecator{n:03d}" for n in seen.values()]
    assert len(dataset.samples) == 216
    for sample in dataset.samples:
        number = int(sample.id[-3:])
        row = rows[number]
        assert sample.references == {"fat": row["fat"], "water": row["moisture"], "protein": row["protein"]}
        assert (sample.split == 0) == (number >= 172)
    spectrum = dataset.samples[20].load()
    expected = [10 ** -rows[20][f"absorbance_{channel}"] for channel in range(1, 101)]
    np.testing.assert_allclose(spectrum.values[0, 0], expected, rtol=1e-6)
    assert spectrum.values.shape == (1, 1, 100) and (spectrum.wavelengths[0], spectrum.wavelengths[-1]) == (850, 1050)


def test_jasper_ridge_pixels_lie_column_by_column(mirror):
    (sample,) = data.open_dataset("jasper-ridge").samples
    cube, truth = sample.load(), sample.truth()
    stored = loadmat(mirror / "jasper-ridge" / "JasperRidge2_R198.mat")
    abundance = loadmat(mirror / "jasper-ridge" / "JasperRidge2_end4.mat")["A"]
    for row, col in [(0, 0), (3, 0), (0, 3), (17, 84), (99, 99)]:
        np.testing.assert_allclose(cube.values[row, col], stored["Y"][:, row + 100 * col] / 5000, rtol=1e-6)
        assert truth[row, col] == pytest.approx(100 * abundance[1, row + 100 * col], rel=1e-6)
    assert cube.values.shape == (100, 100, 198) and truth.shape == (100, 100)
    assert sum(sample.references.values()) == pytest.approx(100, abs=1e-3)
    # independent of the order assumed above: open water is dark in the near infrared
    infrared = cube.values[:, :, (cube.wavelengths > 850) & (cube.wavelengths < 900)].mean(axis=2)
    assert infrared[truth > 90].mean() < 0.2 * infrared[truth < 10].mean()


def test_specim_is_one_capture_without_references(mirror):
    (sample,) = data.open_dataset("specim-fx10").samples
    cube = sample.load()
    assert isinstance(cube, Cube) and cube.values.shape == (2, 128, 448) and cube.mask is None
    assert sample.references == {} and sample.truth() is None
