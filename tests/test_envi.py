import numpy as np
import pytest
from scipy.io import netcdf_file

from hsichem import InputError, envi

NM = [900.0, 910.5, 930.0, 950.25, 1000.0]
HEADER = {"samples": 4, "lines": 3, "bands": 5, "data type": 12, "interleave": "bil", "byte order": 0}
HEADER |= {"wavelength": "{900, 910.5, 930, 950.25, 1000}", "wavelength units": "nm"}
VALUES = np.arange(60).reshape(3, 4, 5) + 7  # (rows, cols, bands)


def write(folder, name="x", drop=(), data=None, first_line="ENVI", suffix=".raw", **changed):
    """A header and its data by hand; `changed` names header keys with _ for a blank."""
    keys = HEADER | {key.replace("_", " "): value for key, value in changed.items()}
    lines = [first_line, *(f"{key} = {value}" for key, value in keys.items() if key not in drop)]
    header = folder / f"{name}.hdr"
    header.write_bytes("\n".join(lines).encode("latin-1"))
    (folder / f"{name}{suffix}").write_bytes(
        VALUES.astype("<u2").transpose(0, 2, 1).tobytes() if data is None else data
    )
    return header


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip", "BIL"])
@pytest.mark.parametrize("code, kind", [(1, "u1"), (2, "i2"), (3, "i4"), (4, "f4"), (5, "f8"), (12, "u2"), (15, "u8")])
@pytest.mark.parametrize("order", [0, 1])
def test_every_interleave_dtype_and_byte_order(tmp_path, interleave, code, kind, order):
    rows, cols, bands = VALUES.shape
    places = {  # the pixel order of the file, spelled out
        "bsq": [(r, c, b) for b in range(bands) for r in range(rows) for c in range(cols)],
        "bil": [(r, c, b) for r in range(rows) for b in range(bands) for c in range(cols)],
        "bip": [(r, c, b) for r in range(rows) for c in range(cols) for b in range(bands)],
    }[interleave.lower()]
    data = np.array([VALUES[place] for place in places], dtype="<>"[order] + kind).tobytes()
    header = write(tmp_path, data=data, data_type=code, interleave=interleave, byte_order=order)
    counts, found = envi.read_counts(header)
    assert counts.dtype == np.dtype("<>"[order] + kind) and not counts.flags.writeable
    np.testing.assert_array_equal(counts, VALUES)
    assert found["data type"] == str(code)
    cube = envi.read_cube(header)
    np.testing.assert_array_equal(cube.values, VALUES.astype(np.float32))
    np.testing.assert_array_equal(cube.wavelengths, NM)
    assert cube.values.flags.c_contiguous and cube.pitch_mm is None and cube.name == "x"


def test_defaults_offset_scale_pitch_and_micrometres(tmp_path):
    data = b"skip me" + VALUES.astype("<u2").transpose(0, 2, 1).tobytes()
    scaled = {"header_offset": 7, "reflectance_scale_factor": 200, "pixel_pitch_mm": 0.25}
    micrometres = {"wavelength": "{0.9, 0.9105, 0.93,\n0.95025, 1.0}", "wavelength_units": "Micrometers"}
    header = write(tmp_path, data=data, drop=["byte order"], **scaled, **micrometres)
    cube = envi.read_cube(header)
    np.testing.assert_allclose(cube.values, VALUES / 200, rtol=1e-6)
    np.testing.assert_allclose(cube.wavelengths, NM, rtol=1e-12)
    assert cube.pitch_mm == 0.25


@pytest.mark.parametrize("suffix", ["", ".RAW", ".img", ".dat"])
def test_the_data_file_is_found_by_its_name(tmp_path, suffix):
    np.testing.assert_array_equal(envi.read_cube(write(tmp_path, suffix=suffix)).values, VALUES)


@pytest.mark.parametrize(
    "fault, message",
    [
        *[({"drop": [key]}, f"'{key}' is missing") for key in ("samples", "lines", "bands", "data type")],
        ({"drop": ["interleave"]}, "'interleave' is None"),
        ({"interleave": "bup"}, "'interleave' is 'bup'; expected bsq, bil or bip"),
        ({"lines": 0}, "'lines' is 0; expected a whole number from 1"),
        ({"samples": -4}, "'samples' is -4"),
        ({"bands": 2.5}, "'bands' is 2.5"),
        ({"bands": "five"}, "'bands' is 'five'; expected a number"),
        ({"lines": "inf"}, "'lines' is inf"),
        ({"header_offset": -1}, "'header offset' is -1"),
        ({"data_type": 6}, "'data type' is 6; expected one of"),
        ({"byte_order": 2}, "'byte order' is 2"),
        ({"lines": 2}, "120 bytes, but its header declares 80"),
        ({"data": b"short"}, "5 bytes, but its header declares 120"),
        ({"drop": ["wavelength"]}, "no list 'wavelength"),
        ({"wavelength": "{900, 910}"}, "2 wavelengths for 5 bands"),
        ({"wavelength": "{900, 910, 920, 930,}"}, "no number"),
        ({"wavelength": "{900, 910, 920, 930, 925}"}, "do not ascend"),
        ({"wavelength": "{900, 910, 920, 930, nan}"}, "expected 100 to 30000"),
        ({"wavelength": "{0.9, 0.91, 0.92, 0.93, 0.94}"}, "State 'wavelength units = um'"),
        ({"wavelength_units": "furlongs"}, "'furlongs'; expected one of nm"),
        ({"wavelength": "{900, 910"}, "not an ENVI header"),
        ({"first_line": "ENVO"}, "not an ENVI header"),
        ({"first_line": "\xef\xbb\xbfENVI"}, "not an ENVI header"),
        ({"description": "{caf\xe9}"}, "not an ENVI header"),
        ({"reflectance_scale_factor": 0}, "'reflectance scale factor' is 0"),
        ({"data_gain_values": "{1, 1, 1, 1, 1}"}, "'data gain values' is not supported"),
        ({"data_ignore_value": -9999}, "'data ignore value' is not supported"),
        ({"suffix": ".zip"}, "exactly one data file"),
    ],
)
def test_a_bad_header_or_file_is_refused(tmp_path, fault, message):
    with pytest.raises(InputError) as error:
        envi.read_cube(write(tmp_path, **fault))
    assert message in str(error.value) and "x." in str(error.value)


def test_a_missing_header_and_two_data_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        envi.read_cube(tmp_path / "none.hdr")
    header = write(tmp_path)
    (tmp_path / "x.dat").write_bytes(b"")
    with pytest.raises(InputError, match=r"found \['x.dat', 'x.raw'\]"):
        envi.read_cube(header)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8"])
def test_write_cube_gives_these_bytes_and_reads_back(tmp_path, dtype):
    for name in ("a", "b"):
        envi.write_cube(tmp_path / f"{name}.hdr", VALUES.astype(dtype), NM, {"pixel pitch mm": 0.5})
    assert (tmp_path / "a.raw").read_bytes() == VALUES.astype("<" + dtype).transpose(0, 2, 1).tobytes()
    assert (tmp_path / "a.hdr").read_bytes() == (tmp_path / "b.hdr").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.hdr", "a.raw", "b.hdr", "b.raw"]
    cube = envi.read_cube(tmp_path / "a.hdr")
    np.testing.assert_array_equal(cube.values, VALUES)
    assert cube.pitch_mm == 0.5 and list(cube.wavelengths) == NM


@pytest.mark.parametrize(
    "name, values, nm",
    [
        ("a.hdr", VALUES.astype(complex), NM),
        ("a.hdr", VALUES[0], NM),
        ("a.hdr", VALUES.astype("u2"), NM[1:]),
        ("a.txt", VALUES.astype("u2"), NM),
    ],
)
def test_write_cube_refuses_and_leaves_nothing(tmp_path, name, values, nm):
    with pytest.raises(InputError):
        envi.write_cube(tmp_path / name, values, nm)
    assert not list(tmp_path.iterdir())


def make_capture(folder, white_lines=3, dark_lines=2):
    rng = np.random.default_rng(5)
    raw, dark = rng.integers(100, 4000, (6, 4, 5)), rng.integers(50, 90, (dark_lines, 4, 5))
    white = rng.integers(3000, 4000, (white_lines, 4, 5))
    for name, values in {"pork": raw, "WHITEREF_pork": white, "DARKREF_pork": dark}.items():
        envi.write_cube(folder / f"{name}.hdr", values.astype("u2"), NM, {"pixel pitch mm": 0.5})
    return raw, white, dark


@pytest.mark.parametrize("subfolder", ["", "capture"])
def test_calibration_against_a_loop(tmp_path, subfolder):
    (tmp_path / subfolder).mkdir(exist_ok=True)
    raw, white, dark = make_capture(tmp_path / subfolder)
    expected = np.empty(raw.shape)
    for r in range(6):
        for c in range(4):
            for b in range(5):
                w = sum(line[c, b] for line in white) / 3
                d = sum(line[c, b] for line in dark) / 2
                expected[r, c, b] = (raw[r, c, b] - d) / (w - d)
    cube = envi.read_capture(tmp_path)
    np.testing.assert_allclose(cube.values, expected, rtol=1e-5, atol=1e-6)
    assert cube.name == "pork" and cube.pitch_mm == 0.5 and cube.values.dtype == np.float32
    np.testing.assert_array_equal(cube.wavelengths, NM)


def test_white_not_above_dark_is_counted_and_placed(tmp_path):
    _, white, dark = make_capture(tmp_path, white_lines=1, dark_lines=1)
    white[0, 2, 3] = dark[0, 2, 3]
    envi.write_cube(tmp_path / "WHITEREF_pork.hdr", white.astype("u2"), NM)
    with pytest.raises(InputError, match="in 1 of 20"):  # equal is as useless as darker
        envi.read_capture(tmp_path)
    white[0, 3, 0] = 0
    envi.write_cube(tmp_path / "WHITEREF_pork.hdr", white.astype("u2"), NM)
    with pytest.raises(InputError, match=r"in 2 of 20 column-band pairs, first at column 2, band 3 \(950.2 nm\)"):
        envi.read_capture(tmp_path)


def test_missing_doubled_or_unfitting_references_are_refused(tmp_path):
    raw, white, _ = make_capture(tmp_path)
    envi.write_cube(tmp_path / "WHITEREF_pork.hdr", white[:, :3].astype("u2"), NM)
    with pytest.raises(InputError, match=r"3 columns x 5 bands; the scene has 4 x 5"):
        envi.read_capture(tmp_path)
    envi.write_cube(tmp_path / "WHITEREF_pork.hdr", white.astype("u2"), np.add(NM, 1))
    with pytest.raises(InputError, match="same columns, bands and wavelengths"):
        envi.read_capture(tmp_path)
    (tmp_path / "WHITEREF_pork.hdr").unlink()
    with pytest.raises(InputError, match=r"exactly one WHITEREF_<id>.hdr, found none"):
        envi.read_capture(tmp_path)
    make_capture(tmp_path)
    envi.write_cube(tmp_path / "beef.hdr", raw.astype("u2"), NM)
    with pytest.raises(InputError, match=r"exactly one <id>.hdr, found beef.hdr, pork.hdr"):
        envi.read_capture(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        envi.read_capture(tmp_path / "none")


def test_a_real_capture_against_its_own_netcdf_files(mirror):
    counts = {}
    for name in ("capture", "white", "black"):
        with netcdf_file(mirror / "specim-fx10" / "nc" / f"{name}.nc", mmap=False) as file:
            variable = next(v for v in file.variables.values() if v.shape == (2, 1024, 448))
            counts[name] = variable[:, 400:528, :].astype(float)
    white, dark = counts["white"].mean(axis=0), counts["black"].mean(axis=0)
    cube = envi.read_capture(mirror / "specim-fx10" / "derived_specim_folder")
    np.testing.assert_allclose(cube.values, (counts["capture"] - dark) / (white - dark), rtol=1e-5)
    assert (cube.wavelengths[0], cube.wavelengths[-1]) == (397.01, 1004.52)
