import csv

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hsichem import InputError
from hsichem.datasets import store as data
from hsichem.datasets.makers import mosaic
from hsichem.loaders import read_cube

KNOBS = {"calibration": 6, "test": 3, "side": 40, "regions": 5, "evenness": 1.0, "warp": 3, "reference_error": 0.0}
NM = np.array([1100.0, 1100.2, 1105.0, 1111.0])
NOMINAL = ["125", "25", "375", "50", "625", "75", "875"]


def write_source(folder, wavelengths_of_fe=NM):
    """Files as the origin writes them, of random pixels, so that a pixel names its image."""
    rng, images = np.random.default_rng(0), folder / "Fe_Al"
    images.mkdir(parents=True)
    shares = np.linspace(0.3, 0.95, 7)
    savemat(images / "Abundance_FeAl.mat", {"Abundance_FeAl": np.stack([shares, 1 - shares])})
    for file in ["Pure_Fe", "Pure_Al_from_Al_Si", *(f"Fe_Al_{name}" for name in NOMINAL)]:
        name, count = file.removesuffix("_from_Al_Si"), 5 if "Pure_Al" in file else 3
        replicates = {f"{name}_{number}": rng.random((30, 30, 4)) for number in range(count)}
        nm = wavelengths_of_fe if file == "Pure_Fe" else NM
        savemat(images / f"{file}.mat", replicates | {"lambda": nm[:, None]})
    return folder


def where_pixels_come_from(source):
    """float32 spectrum as bytes -> (% iron, replicate), read from the files without the module's help."""
    shares = loadmat(source / "Fe_Al" / "Abundance_FeAl.mat")["Abundance_FeAl"][0]
    iron = dict(zip((f"Fe_Al_{name}" for name in NOMINAL), 100 * shares, strict=True))
    iron |= {"Pure_Fe": 100.0, "Pure_Al": 0.0}
    origin = {}
    for path in (source / "Fe_Al").glob("*.mat"):
        for variable, image in loadmat(path).items():
            name, _, number = variable.rpartition("_")
            if name in iron and number.isdigit():
                for pixel in image.reshape(900, -1).astype(np.float32):
                    origin[pixel.tobytes()] = (np.float32(iron[name]), int(number))
    return origin


def check_every_pixel(folder, source):
    origin = where_pixels_come_from(source)
    with open(folder / "references.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        cube = read_cube(folder / row["id"] / f"{row['id']}.hdr")
        truth = np.load(folder / "truth" / f"{row['id']}.npy")
        found = [origin[pixel.tobytes()] for pixel in cube.values.reshape(truth.size, -1)]  # KeyError: no real pixel
        np.testing.assert_array_equal(truth.ravel(), [iron for iron, _ in found])
        assert {number for _, number in found} == {{"0": 2, "1": 0, "2": 1}[row["split"]]}
    return rows


def test_every_pixel_is_a_real_one_of_the_right_replicate_with_its_truth(tmp_path):
    source, folder = write_source(tmp_path / "source"), tmp_path / "made"
    mosaic.make(folder, KNOBS, 1, source)
    rows = check_every_pixel(folder, source)
    assert [row["split"] for row in rows] == ["1", "2", "1", "2", "1", "2", "0", "0", "0"]
    for row in rows:
        truth = np.load(folder / "truth" / f"{row['id']}.npy")
        assert float(row["iron"]) == pytest.approx(truth.astype(float).mean(), abs=6e-4)
        assert truth.dtype == np.float32 and truth.shape == (40, 40)
        assert row["group"] == (row["id"] if row["split"] == "0" else f"replicate {int(row['split']) - 1}")
    assert len({tuple(np.unique(np.load(path))) for path in (folder / "truth").iterdir()}) > 3


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    source = write_source(tmp_path / "source")
    contents = []
    for folder, seed in [("a", 1), ("b", 1), ("c", 2)]:
        mosaic.make(tmp_path / folder, KNOBS, seed, source)
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path / folder)): path.read_bytes() for path in files})
    assert contents[0] == contents[1] and len(contents[0]) == 9 * 3 + 1
    assert contents[0].keys() == contents[2].keys()
    assert contents[0]["references.csv"] != contents[2]["references.csv"]


def test_the_reference_error_is_as_large_as_asked_for(tmp_path):
    source = write_source(tmp_path / "source")
    knobs = KNOBS | {"calibration": 150, "test": 50, "side": 8, "reference_error": 0.5}
    mosaic.make(tmp_path / "made", knobs, 4, source)
    with open(tmp_path / "made" / "references.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    truths = [np.load(tmp_path / "made" / "truth" / f"{row['id']}.npy").mean(dtype=float) for row in rows]
    errors = np.array([float(row["iron"]) for row in rows]) - truths
    assert errors.std() == pytest.approx(0.5, rel=0.15) and abs(errors.mean()) < 0.12  # 3 standard errors of 200


def test_tiles_keep_a_pixel_beside_its_neighbours():
    plane = mosaic.tiled_indices(96, np.random.default_rng(3))
    rows, cols = np.divmod(plane, 30)
    assert (np.abs(np.diff(cols, axis=0)) == 0).mean() > 0.95  # not turned: columns stay columns
    for axis in (0, 1):
        steps = np.abs(np.diff(rows, axis=axis)) + np.abs(np.diff(cols, axis=axis))
        assert (steps == 1).mean() > 0.95  # seams are 3 or 4 of 95 pairs
    assert set(range(900)) == set(plane.ravel())
    whole = np.sort(plane.ravel().astype(int))
    assert np.bincount(whole).max() <= 16  # at most one use in each of the 4 x 4 tiles it touches


def test_regions_without_warp_are_the_nearest_points_and_with_it_are_not():
    straight = mosaic.irregular_regions(24, 5, 0.0, np.random.default_rng(8))
    points = np.random.default_rng(8).uniform(0, 24, (5, 2))
    for row in range(24):
        for col in range(24):
            distances = [(row - y) ** 2 + (col - x) ** 2 for y, x in points]
            assert straight[row, col] == distances.index(min(distances))
    bent = mosaic.irregular_regions(24, 5, 3.0, np.random.default_rng(8))
    assert 0.05 < (bent != straight).mean() < 0.6


def test_images_at_other_wavelengths_are_refused(tmp_path):
    source = write_source(tmp_path / "source", wavelengths_of_fe=NM + 1)
    with pytest.raises(InputError, match=r"Pure_Fe\.mat.*wavelengths of the other mixtures"):
        mosaic.make(tmp_path / "made", KNOBS, 1, source)
    assert not (tmp_path / "made" / "references.csv").exists()


def test_the_kits_mosaics_are_real_pixels(mirror):
    dataset = data.open_dataset("mineral-mixtures")
    rows = check_every_pixel(dataset.samples[0].folder.parent, mirror / "mineral-mixtures")
    assert len(rows) == 60 and sum(row["split"] == "0" for row in rows) == 20
    means = np.array([sample.references["iron"] for sample in dataset.samples])
    assert means.min() > 0 and means.max() < 100 and np.ptp(means) > 50
    assert dataset.samples[0].load().values.shape == (96, 96, 113)
