"""Maps of any number of captures: what is written, what is kept, what is said, and how much memory it takes."""

import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from helpers.fitted import NM, image, models
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import gaussian_filter
from spectral.io import envi

from hsichem import Cube, InputError
from hsichem.cli import main
from hsichem.lab import find_captures, load_model, map_captures, mapping, save_model
from hsichem.loaders import write_cube
from hsichem.unet import build_network

ROOT = Path(__file__).parents[2]


def write_image(header, cube):
    write_cube(header, cube.values, cube.wavelengths, {"pixel pitch mm": cube.pitch_mm} if cube.pitch_mm else {})


def write_capture(folder, name, cube):
    """As a camera's folder, whose counts give the cube's reflectance."""
    frames = {"": cube.values, "WHITEREF_": np.ones((5, *cube.values.shape[1:])), "DARKREF_": np.zeros((5, 20, 12))}
    for prefix, values in frames.items():
        counts = (100 + 50_000 * values).round().astype(np.uint16)
        write_cube(folder / name / "capture" / f"{prefix}{name}.hdr", counts, NM, {"pixel pitch mm": 1.0})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """{method: its folder}."""
    folder = tmp_path_factory.mktemp("run")
    return {name: save_model(folder, model) for name, model in models().items()}


@pytest.fixture
def captures(tmp_path):
    """A folder of two captures and an image, without references.csv."""
    folder = tmp_path / "day"
    for k, name in enumerate(("a", "b")):
        write_capture(folder, name, image(25 + 10 * k, seed=50 + k))
    write_image(folder / "c.hdr", image(45, seed=60))
    return folder


def call(*arguments):
    return CliRunner().invoke(main, ["map", *map(str, arguments)])


def lines_of(folder):
    with open(folder / "maps.csv", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("method", ["PLS", "linear total variation", "U-Net"])
def test_a_folder_of_captures_becomes_maps_a_table_and_a_page(saved, captures, tmp_path, method):
    out, model = tmp_path / "out", load_model(saved[method])
    result = call(saved[method], captures, "-o", out)
    assert result.exit_code == 0 and "3 of 3 captures mapped" in result.output, result.output
    rows = lines_of(out)
    assert list(rows) == ["a", "b", "c"]
    read = envi.open(out / "maps" / "c.hdr")
    found = read.read_band(0)
    inside = np.isfinite(found)
    cube = image(45, seed=60)
    expected = model.map(cube)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # the mask is found, and is that of the image
    assert read.metadata["model sha256"] == model.checksum and read.metadata["band names"] == ["fat (% w/w)"]
    assert float(read.metadata["pixel pitch mm"]) == model.step and read.metadata["data ignore value"] == "nan"
    row = {key: float(rows["c"][key]) for key in mapping.FIGURES}
    assert row["mean"] == pytest.approx(expected[inside].mean(), rel=1e-4)
    assert (row["low"], row["high"]) == pytest.approx((row["mean"] - 2, row["mean"] + 2), abs=1e-3)
    assert (row["lowest"], row["highest"]) == pytest.approx((expected[inside].min(), expected[inside].max()), rel=1e-4)
    assert row["outside_share"] == 0 and 0 < row["t2_over_limit"] < 1 and row["held_out"] > 0
    assert rows["c"]["model"] == model.checksum and not rows["c"]["problem"]
    with Image.open(out / "maps" / "a.png") as picture:
        assert min(picture.size) > 100
    page = (out / "index.html").read_text()
    assert page.count("<section") == 3 and "maps/b.png" in page and "no wavelengths" not in page


def test_captures_are_calibrated(saved, captures, tmp_path):
    assert call(saved["PLS"], captures / "a", "-o", tmp_path / "out").exit_code == 0
    found = envi.open(tmp_path / "out" / "maps" / "a.hdr").read_band(0)
    np.testing.assert_allclose(found, load_model(saved["PLS"]).map(image(25, seed=50)), atol=0.2)  # counts are whole


def test_a_bad_capture_is_listed_and_the_others_are_mapped(saved, captures, tmp_path):
    (captures / "a" / "capture" / "WHITEREF_a.raw").write_bytes(b"cut")
    even = image(45).values[:1, :1].repeat(24, axis=0).repeat(20, axis=1)  # has no sample, but that is not said first
    write_image(captures / "d.hdr", Cube(even, NM + 300))
    result = call(saved["PLS"], captures, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "2 of 4 captures mapped" in result.output and "2 of 4 captures could not be mapped" in result.output
    rows = lines_of(tmp_path / "out")
    assert "3 bytes, but its header declares" in rows["a"]["problem"] and "by up to 300.0 nm" in rows["d"]["problem"]
    assert not (tmp_path / "out" / "maps" / "a.hdr").exists() and (tmp_path / "out" / "maps" / "b.hdr").exists()
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Not mapped" in page and "3 bytes, but its header declares" in page


def test_a_stopped_call_goes_on_and_maps_what_is_new(saved, captures, tmp_path, monkeypatch):
    out, model = tmp_path / "out", load_model(saved["PLS"])
    write, seen = mapping._map_into, []

    def stopping(model, name, path, folder, way):
        if name == "b" and not seen.count("b"):
            seen.append(name)
            raise KeyboardInterrupt
        seen.append(name)
        return write(model, name, path, folder, way)

    monkeypatch.setattr(mapping, "_map_into", stopping)
    with pytest.raises(KeyboardInterrupt):
        map_captures(model, find_captures([captures]), out)
    assert list(lines_of(out)) == ["a"] and (out / "index.html").exists()
    map_captures(model, find_captures([captures]), out)
    assert seen == ["a", "b", "b", "c"]
    map_captures(model, find_captures([captures]), out)
    assert len(seen) == 4
    os.utime(captures / "a" / "capture" / "a.raw", (2**31, 2**31))  # captured anew
    (captures / "masks").mkdir()
    drawn = np.zeros((24, 20), bool)
    drawn[4:12, 4:12] = True
    np.save(captures / "masks" / "c.npy", drawn)
    os.utime(captures / "masks" / "c.npy", (2**31, 2**31))
    map_captures(model, find_captures([captures]), out)
    assert seen[4:] == ["a", "c"]
    assert (np.isfinite(envi.open(out / "maps" / "c.hdr").read_band(0)) == drawn).all()


def test_a_bad_capture_is_tried_again(saved, captures, tmp_path):
    path, out = captures / "c.raw", tmp_path / "out"
    whole = path.read_bytes()
    assert call(saved["PLS"], captures, "-o", out).exit_code == 0
    path.write_bytes(whole[:-1])
    os.utime(path, (2**31, 2**31))
    assert call(saved["PLS"], captures, "-o", out).exit_code == 1
    path.write_bytes(whole)
    os.utime(path, (0, 0))  # as a copy that keeps the time: older than the map that was made before
    assert call(saved["PLS"], captures, "-o", out).exit_code == 0 and not lines_of(out)["c"]["problem"]


def test_maps_of_two_models_do_not_mix(saved, captures, tmp_path):
    assert call(saved["PLS"], captures / "c.hdr", "-o", tmp_path / "out").exit_code == 0
    result = call(saved["U-Net"], captures / "c.hdr", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "holds maps by another model" in result.output
    (tmp_path / "out" / "maps.csv").write_text("id,mean\na,5\n")
    result = call(saved["PLS"], captures / "c.hdr", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "is not a table of maps" in result.output


def test_a_folder_may_hold_files_of_other_kinds(saved, tmp_path):
    cube, nm = image(45, seed=60), " ".join(map(str, NM))
    for name in ("a.npy", "b.mat", "c.nc"):
        (tmp_path / "day" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "day" / name).with_suffix(".wavelengths.txt").write_text(nm)
    np.save(tmp_path / "day" / "a.npy", cube.values)
    savemat(tmp_path / "day" / "b.mat", {"cube": cube.values})
    with h5py.File(tmp_path / "day" / "c.nc", "w") as file:
        file["cube"] = cube.values
    (tmp_path / "day" / "notes.txt").touch()
    result = call(saved["PLS"], tmp_path / "day", "-o", tmp_path / "out")
    assert result.exit_code == 0 and "3 of 3" in result.output, result.output
    expected = load_model(saved["PLS"]).map(cube)
    for name in "abc":
        found = envi.open(tmp_path / "out" / "maps" / f"{name}.hdr").read_band(0)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_captures_are_found_wherever_they_lie(captures, tmp_path):
    day = {"a": captures / "a", "b": captures / "b", "c": captures / "c.hdr"}
    assert find_captures([captures]) == day
    assert find_captures([captures / "c.hdr", captures / "a", captures]) == day | {"c": captures / "c.hdr"}
    assert find_captures([captures / "a" / "capture"]) == {"a": captures / "a" / "capture"}
    shelf = captures / "a" / "capture"
    (shelf / "a2.hdr").touch()
    assert find_captures([captures / "a"]) == {"a": shelf / "a.hdr", "a2": shelf / "a2.hdr"}
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="no capture or image in it"):
        find_captures([tmp_path / "other"])
    write_image(tmp_path / "other" / "b.hdr", image(20))
    with pytest.raises(InputError, match="two captures are called 'b'"):
        find_captures([captures, tmp_path / "other"])


def test_doubts_about_a_capture_stand_in_the_table_and_on_the_page(saved, tmp_path):
    write_image(tmp_path / "x.hdr", image(80, seed=3, pitch=0.25))
    assert call(saved["PLS"], tmp_path / "x.hdr", "-o", tmp_path / "out").exit_code == 0
    notes = lines_of(tmp_path / "out")["x"]["notes"]
    assert "pixel pitch 0.25 mm" in notes and "beyond the references of 10 to 60" in notes
    assert "beyond the references of 10 to 60" in (tmp_path / "out" / "index.html").read_text()


def test_a_spectrum_of_another_material_is_said_and_gets_no_interval(saved, captures, tmp_path):
    flat = image(30, seed=3)
    write_image(captures / "d.hdr", dataclasses.replace(flat, values=flat.values + 0.02 * np.sin(NM / 5)))
    done = call(saved["PLS"], captures, "-o", tmp_path / "out")
    assert done.exit_code == 0 and "to look at:\nd: mean spectrum unlike those of the calibration" in done.stdout
    lines = lines_of(tmp_path / "out")
    assert "Do not trust this map." in lines["d"]["notes"] and not lines["d"]["low"] and lines["a"]["low"]
    assert not lines["a"]["notes"] and float(lines["a"]["q_over_limit"]) < 3 < float(lines["d"]["q_over_limit"])


def test_an_image_without_background_needs_another_mask(saved, tmp_path):
    light = gaussian_filter(np.random.default_rng(0).normal(size=(24, 20, 1)), (3, 3, 0))  # brighter here and there
    write_image(tmp_path / "x.hdr", dataclasses.replace(image(30), values=0.5 + light * np.ones(len(NM)), mask=None))
    out = tmp_path / "out"
    assert call(saved["PLS"], tmp_path / "x.hdr", "-o", out).exit_code == 0
    assert "cuts through pixels of one kind" in lines_of(out)["x"]["notes"]
    done = call(saved["PLS"], tmp_path / "x.hdr", "-o", out, "--mask", "none")  # the map by another mask is not kept
    assert done.exit_code == 0 and "cuts through" not in done.output
    assert lines_of(out)["x"]["mask"] == "none" and np.isfinite(envi.open(out / "maps" / "x.hdr").read_band(0)).all()
    refused = call(saved["PLS"], tmp_path / "x.hdr", "-o", out, "--mask", "nowhere")
    assert refused.exit_code == 2 and "mask 'nowhere'; expected" in refused.output


@pytest.mark.parametrize("way", ["none", "pca", 930.0])
def test_masks_are_found_as_those_of_the_calibration_images(saved, tmp_path, way):
    cube = image(30, seed=4)
    write_image(tmp_path / "x.hdr", cube)
    model = load_model(saved["PLS"])
    model = dataclasses.replace(model, facts=model.facts | {"mask": way, "references": [0, 100]})
    map_, _, _ = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    assert (np.isfinite(map_) == (True if way == "none" else cube.mask)).all()


@pytest.mark.parametrize("way", ["none", "brightness"])
def test_pixels_without_data_are_in_no_map(saved, tmp_path, way):
    values = image(30, seed=4).values.copy()
    values[10, 8] = -1
    write_cube(tmp_path / "x.hdr", values, NM, {"data ignore value": -1})
    model = load_model(saved["PLS"])
    model = dataclasses.replace(model, facts=model.facts | {"mask": way, "references": [0, 100]})
    map_, *_ = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    assert np.isnan(map_[10, 8]) and np.isfinite(map_[9:12, 7:10]).sum() == 8


def test_a_mask_at_a_wavelength_that_the_image_lacks_is_refused(saved, tmp_path):
    write_image(tmp_path / "x.hdr", image(30))
    model = load_model(saved["PLS"])
    model = dataclasses.replace(model, facts=model.facts | {"mask": 1500})
    with pytest.raises(InputError, match="masks are found at 1500 nm; the image covers 800-1000 nm"):
        mapping.map_capture(model, tmp_path / "x.hdr", "x")


@pytest.mark.parametrize("method", ["PLS", "linear total variation", "U-Net"])
def test_strips_give_the_map_of_the_whole(saved, tmp_path, monkeypatch, method):
    cube = image(40, seed=7, shape=(151, 41))  # odd sides: a line and a column are left over
    write_image(tmp_path / "x.hdr", cube)
    model = load_model(saved[method])
    whole, pitch, figures = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    np.testing.assert_allclose(whole, model.map(cube), rtol=1e-5)
    monkeypatch.setattr(mapping, "STRIP_BYTES", 10 * 41 * 12 * 4)
    seen = []
    monkeypatch.setattr(mapping, "_prepared", lambda *a, f=mapping._prepared: seen.append(a[2:]) or f(*a))
    strips, same_pitch, same_figures = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    assert len(seen) > 14 and pitch == same_pitch
    np.testing.assert_allclose(strips, whole, rtol=1e-5)
    assert same_figures == pytest.approx(figures, rel=1e-5)


def test_strips_are_wide_enough_for_a_network_without_padding(tmp_path, monkeypatch):
    cube, model = image(40, seed=7, shape=(440, 40)), models()["U-Net"]
    write_image(tmp_path / "x.hdr", cube)
    config = dataclasses.replace(model.config, padding="valid", depth=3)
    model = dataclasses.replace(model, networks=(build_network(config, len(NM), 1),), config=config)
    whole, *_ = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    monkeypatch.setattr(mapping, "STRIP_BYTES", 40 * 40 * 12 * 4)
    strips, *_ = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    np.testing.assert_allclose(strips, whole, rtol=1e-5)
    assert np.nanstd(whole) > 0.05


def test_a_halo_that_is_too_narrow_would_be_seen(saved, tmp_path, monkeypatch):
    write_image(tmp_path / "x.hdr", image(40, seed=7, shape=(151, 41)))
    model = load_model(saved["U-Net"])
    whole, *_ = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    monkeypatch.setattr(mapping, "STRIP_BYTES", 10 * 41 * 12 * 4)
    monkeypatch.setattr(type(model), "halo", 0)
    strips, *_ = mapping.map_capture(model, tmp_path / "x.hdr", "x")
    assert np.nanmax(np.abs(strips - whole)) > 1e-2


LARGE = """
import re, sys
from pathlib import Path
from hsichem.lab import find_captures, load_model, map_captures

row, = map_captures(load_model(sys.argv[1]), find_captures([sys.argv[2]]), sys.argv[3])
status = Path("/proc/self/status").read_text()  # resource's ru_maxrss counts what the parent had, too
print(row["problem"], row["mean"], int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_capture_of_two_gigabytes_takes_a_quarter_of_that(tmp_path):
    lines, cols, many = 3600, 1200, 20  # camera bands for each of the model's
    nm = (NM[:, None] + np.ptp(NM) / 11 * (np.arange(many) - 9.5) / many).ravel()
    model = models()["PLS"]
    place = save_model(tmp_path, dataclasses.replace(model, facts=model.facts | {"bin": many}))
    tile = np.repeat(image(40, seed=8, shape=(200, cols)).values, many, axis=2)
    counts = (100 + 50_000 * tile).round().astype("<u2").transpose(0, 2, 1)
    folder = tmp_path / "big"
    for prefix, level in (("", 0), ("WHITEREF_", 50_100), ("DARKREF_", 100)):
        write_cube(folder / f"{prefix}big.hdr", np.full((3, cols, len(nm)), level, np.uint16), nm)
    with open(folder / "big.raw", "wb") as file:
        for _ in range(lines // 200):
            counts.tofile(file)
    header = (folder / "big.hdr").read_text()
    (folder / "big.hdr").write_text(header.replace("lines = 3", f"lines = {lines}"))
    assert (folder / "big.raw").stat().st_size > 2e9
    command = [sys.executable, "-c", LARGE, str(place), str(folder), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *problem, mean, most = done.stdout.split()
    assert not problem and float(mean) == pytest.approx(40, abs=2)
    assert int(most) < 600, "MB of memory"
