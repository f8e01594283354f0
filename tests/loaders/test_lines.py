"""Some lines of an image are those of the whole; what is no camera's folder is not taken for one."""

import numpy as np
import pytest
from helpers.captures import NM, change, make_capture

from hsichem import Cube, InputError
from hsichem.loaders import Lines, has_references, open_lines, read_any, write_cube


def same(lines, whole):
    assert lines.shape == whole.values.shape
    parts = [lines.read(start, start + 5) for start in range(0, lines.shape[0], 5)]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)
    np.testing.assert_array_equal(np.concatenate([part.foreground for part in parts]), whole.foreground)
    np.testing.assert_array_equal(parts[0].wavelengths, whole.wavelengths)
    assert {part.name for part in parts} == {whole.name} and {part.pitch_mm for part in parts} == {whole.pitch_mm}


@pytest.fixture
def capture(tmp_path):
    make_capture(tmp_path, "a")
    return tmp_path / "a"


def test_lines_of_a_capture_are_those_of_the_whole(capture):
    whole = read_any(capture)
    same(open_lines(capture), whole)
    same(open_lines(capture / "capture" / "a.hdr"), whole)  # a scene beside its references is calibrated with them
    same(open_lines(capture / "capture" / "a.raw"), whole)


@pytest.mark.parametrize("interleave", ["bil", "bip", "bsq"])
def test_lines_of_an_image_are_those_of_the_whole(tmp_path, interleave):
    values = np.random.default_rng(0).random((12, 7, 6)).astype(np.float32)
    values[8, 3] = -1
    write_cube(tmp_path / "x.hdr", values, NM, {"data ignore value": -1, "pixel pitch mm": 0.5})
    axes = {"bil": (0, 2, 1), "bip": (0, 1, 2), "bsq": (2, 0, 1)}[interleave]
    (tmp_path / "x.raw").write_bytes(values.transpose(axes).tobytes())
    header = (tmp_path / "x.hdr").read_text()
    (tmp_path / "x.hdr").write_text(header.replace("interleave = bil", f"interleave = {interleave}"))
    same(open_lines(tmp_path / "x.hdr"), read_any(tmp_path / "x.hdr"))
    np.save(tmp_path / "y.npy", np.abs(values))
    (tmp_path / "y.wavelengths.txt").write_text(" ".join(map(str, NM)))
    same(open_lines(tmp_path / "y.npy"), read_any(tmp_path / "y.npy"))


def test_lines_of_a_cube_in_memory_have_its_mask():
    same(Lines.of(cube := Cube(np.random.default_rng(0).random((11, 4, 6)), NM, np.eye(11, 4, dtype=bool))), cube)


def test_a_value_at_fault_is_named_by_its_row_in_the_image(tmp_path):
    values = np.ones((12, 7, 6), np.float32)
    values[8, 3, 0] = np.nan
    write_cube(tmp_path / "x.hdr", values, NM)
    with pytest.raises(InputError, match="at row 8, column 3"):
        open_lines(tmp_path / "x.hdr").read(6, 12)


def test_what_is_wrong_with_references_is_said_before_a_line_is_read(capture):
    change(capture / "capture" / "WHITEREF_a.hdr", lambda counts: counts.fill(0))
    with pytest.raises(InputError, match="white is not above dark"):
        open_lines(capture)
    with pytest.raises(InputError, match="no such file or folder"):
        open_lines(capture / "b")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["a.hdr", "b.hdr"], False),
        (["a.hdr", "DARKREF_a.hdr"], True),
        (["capture/a.hdr"], True),
        (["a.nc", "whiteReference.nc"], True),
        (["chocolate_white.hdr", "chocolate_dark.hdr"], False),
        (["a.hdr", "a_white.hdr", "a_dark.hdr"], True),
        (["WHITEREF_a.txt"], False),
    ],
)
def test_a_cameras_folder_is_known_by_its_references(tmp_path, files, found):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert has_references(tmp_path) == found
