"""Images on disk against the same in memory; what was changed, cut or is of another version is not taken for them."""

import pickle

import numpy as np
import pytest

from hsichem import Cube, InputError
from hsichem.cubes import OnDisk, open_cube, scale_by_noise, stored

MANY = {"float32": 1, "uint16": 10**9}  # images in a set


def scene(rows=70, cols=12, bands=9, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.4, 0.2, (rows, cols, bands)).astype(np.float32)
    return Cube(values, np.arange(bands) + 900.0, rng.random((rows, cols)) < 0.8, 0.3, "belly")


def written(folder, kind="float32", cube=None, key=""):
    path = folder / "a.safetensors"
    stored.store_cube(path, cube or scene(), MANY[kind], key)
    return path


@pytest.mark.parametrize("kind", MANY)
def test_all_of_a_cube_comes_back(tmp_path, kind):
    cube, again = scene(), open_cube(written(tmp_path, kind))
    assert isinstance(again.values, OnDisk) and again.values.shape == cube.values.shape
    assert (again.name, again.pitch_mm) == ("belly", 0.3)
    np.testing.assert_array_equal(again.wavelengths, cube.wavelengths)
    np.testing.assert_array_equal(again.mask, cube.mask)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    bare = Cube(cube.values, cube.wavelengths)
    assert open_cube(written(tmp_path, kind, bare)).mask is None


def test_a_small_set_is_kept_to_the_bit_and_a_large_one_within_half_a_step(tmp_path):
    cube = scene()
    assert open_cube(written(tmp_path, "float32")).values[:].tobytes() == cube.values.tobytes()
    size = written(tmp_path, "float32").stat().st_size
    path = written(tmp_path, "uint16")
    assert path.stat().st_size < 0.6 * size
    step = float(np.ptp(cube.values)) / 65535
    error = open_cube(path).values - cube.values.astype(np.float64)
    assert step / 4 < np.abs(error).max() < 0.51 * step
    assert error.std() == pytest.approx(step / 12**0.5, rel=0.05)  # as rounding makes it


def test_where_a_set_is_large(tmp_path, monkeypatch):
    cube = scene()
    monkeypatch.setattr(stored, "SMALL", 5 * cube.values.nbytes)
    for many, kind in ((5, "<f4"), (6, "<u2")):
        stored.store_cube(tmp_path / "b.safetensors", cube, many)
        assert open_cube(tmp_path / "b.safetensors").values.stored == kind


def test_a_cube_of_one_value_is_stored(tmp_path):
    flat = Cube(np.full((4, 4, 3), 0.25), [900, 901, 902])
    np.testing.assert_array_equal(open_cube(written(tmp_path, "uint16", flat)).values, 0.25)


MASK = np.random.default_rng(1).random((70, 12)) < 0.5
KEYS = {
    "all": slice(None),
    "a row": 3,
    "rows": slice(5, 60, 2),
    "a pixel": (3, 4),
    "a band": (slice(None), slice(None), 2),
    "bands": (slice(3), slice(None), slice(1, 4)),
    "the last band": (..., -1),
    "mirrored": np.ix_([2, 1, 0, 1], [5, 6, 5]),
    "mask": MASK,
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("scaled", [False, True])
def test_what_is_indexed_is_what_an_array_would_give(tmp_path, key, scaled):
    cube, again = scene(), open_cube(written(tmp_path))
    if scaled:
        cube, again = (scale_by_noise({"a": one}, ["a"])["a"] for one in (cube, again))
        assert isinstance(again.values, OnDisk)
    found = again.values[key]
    assert type(found) is np.ndarray and found.dtype == np.float32
    assert found.tobytes() == np.ascontiguousarray(cube.values[key]).tobytes()


def test_it_counts_as_an_array(tmp_path):
    cube, values = scene(), open_cube(written(tmp_path)).values
    np.testing.assert_array_equal(values - cube.values, 0)
    np.testing.assert_array_equal(2 - values, 2 - cube.values)
    np.testing.assert_array_equal(values.mean(axis=2), cube.values.mean(axis=2))
    np.testing.assert_array_equal(np.diff(values, axis=1), np.diff(cube.values, axis=1))
    assert (values == cube.values).all() and values.ndim == 3 and values.nbytes == cube.values.nbytes
    with pytest.raises(AttributeError):
        values.no_such_thing()


def test_a_scaled_image_can_be_scaled_again(tmp_path):
    once = scale_by_noise({"a": open_cube(written(tmp_path))}, ["a"])
    kept = scale_by_noise({"a": scene()}, ["a"])
    for _ in range(2):
        once, kept = scale_by_noise(once, ["a"]), scale_by_noise(kept, ["a"])
    np.testing.assert_array_equal(once["a"].values, kept["a"].values)


def test_it_is_sent_as_a_name_and_no_file_stays_open(tmp_path):
    cube = open_cube(written(tmp_path, cube=scene(500)))
    sent = pickle.dumps(cube.values)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent), cube.values)
    opened = np.memmap(cube.values.path, np.uint8, "r")
    assert opened.nbytes > cube.values.nbytes


def test_of_another_key_or_version_or_not_there_is_none(tmp_path, monkeypatch):
    path = written(tmp_path, key="bin 2")
    assert open_cube(path, "bin 2") is not None and open_cube(path) is not None
    assert open_cube(path, "bin 1") is None and open_cube(tmp_path / "no") is None
    monkeypatch.setattr(stored, "VERSION", stored.VERSION + 1)
    assert open_cube(path, "bin 2") is None


DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-50],
    "longer": lambda content: content + b"0",
    "a number": lambda content: content[:-9000] + bytes([content[-9000] ^ 1]) + content[-8999:],
    "the mask": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "its gain": lambda content: content.replace(rb"\"offset\": 0.0", rb"\"offset\": 1.0"),
    "text": lambda content: b"no image at all, but text",
    "other": lambda content: b"\x02\0\0\0\0\0\0\0{}",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_edited_file_is_named(tmp_path, damage):
    path = written(tmp_path)
    content = path.read_bytes()
    assert damage(content) != content
    path.write_bytes(damage(content))
    with pytest.raises(InputError, match=r"a\.safetensors: not the image that was stored \(.*Delete it"):
        open_cube(path)


def test_a_file_that_goes_while_it_is_used_is_named(tmp_path):
    cube = open_cube(path := written(tmp_path))
    path.unlink()
    with pytest.raises(InputError, match=r"a\.safetensors: was there, and cannot be read any more"):
        cube.mean_spectrum()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, bad):
    values = scene().values.copy()
    values[3, 3, 3] = bad
    with pytest.raises(InputError, match=r"'x': values from .* expected finite"):
        written(tmp_path, cube=Cube(values, np.arange(9.0), name="x"))
    assert list(tmp_path.iterdir()) == []
