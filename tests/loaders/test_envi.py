import warnings

import numpy as np
import pytest
import spectral

from hsichem import InputError
from hsichem.loaders import envi, scaling

NM = [900.0, 910.5, 930.0, 950.25, 1000.0]
HEADER = {"samples": 4, "lines": 3, "bands": 5, "data type": 12, "interleave": "bil", "byte order": 0}
HEADER |= {"wavelength": "{900, 910.5, 930, 950.25, 1000}", "wavelength units": "nm"}
CODES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
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
@pytest.mark.parametrize("code, kind", CODES.items())
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
        ({"lines": 0}, "'lines' is '0'; expected a whole number, 1 to"),
        ({"lines": "1_0"}, "'lines' is '1_0'; expected a number"),
        ({"lines": "{3}"}, "'lines' is ['3']; expected a number"),
        ({"lines": 1e300}, "'lines' is '1e+300'; expected a whole number"),
        ({"lines": 2**40, "samples": 2**40, "bands": 2**40}, "120 bytes, but its header declares 26584559915"),
        ({"lines": 2**40 + 1}, "'lines' is '1099511627777'; expected a whole number, 1 to 1099511627776"),
        ({"lines": 2**40, "samples": 2**40}, "120 bytes, but its header declares 1208925819614629174706176"),
        ({"samples": -4}, "'samples' is '-4'"),
        ({"bands": 2.5}, "'bands' is '2.5'"),
        ({"bands": "five"}, "'bands' is 'five'; expected a number"),
        ({"lines": "inf"}, "'lines' is 'inf'; expected a number"),
        ({"header_offset": -1}, "'header offset' is '-1'"),
        ({"data_type": 6}, "'data type' is 6, complex numbers, and a reflectance is real; expected one of 1, 2,"),
        ({"data_type": 7}, "'data type' is 7, unknown to ENVI"),
        ({"byte_order": 2}, "'byte order' is '2'; expected a whole number, 0 to 1"),
        ({"file_type": "ENVI Classification"}, "file type is 'ENVI Classification'"),
        ({"file_type": "ENVI Spectral Library"}, "file type is 'ENVI Spectral Library'"),
        ({"lines": 2}, "120 bytes, but its header declares 80"),
        ({"data": b"short"}, "5 bytes, but its header declares 120"),
        ({"drop": ["wavelength"]}, "no 'wavelength = {...}'"),
        ({"wavelength": "{900, 910}"}, "'wavelength' has 2 values for 5 bands"),
        ({"wavelength": "900"}, "'wavelength' has 1 values for 5 bands"),
        ({"wavelength": "{900, 910, 920, 930 940}"}, "'wavelength' has 4 values"),
        ({"wavelength": "{900, 910, , 930, 940}"}, "'wavelength' holds ''; expected finite numbers"),
        ({"wavelength": "{900, 910, 920, 910, 930}"}, "bands 2 and 4 both have the wavelength 910 nm"),
        ({"file_compression": 1}, "its data are compressed ('file compression' is not 0)"),
        ({"major_frame_offsets": "{0, 128}"}, "its data are framed"),
        ({"wavelength": "{513.342, 513.342, 513.342, 513.342, 513.342}"}, "every band has the wavelength 513.342 nm"),
        ({"wavelength": "{900, 910, 920, 930, nan}"}, "'wavelength' holds 'nan'"),
        ({"wavelength": "{0.9, 0.91, 0.92, 0.93, 0.94}"}, "State 'wavelength units = nm', um or cm-1"),
        ({"wavelength_units": "furlongs"}, "'furlongs'; expected nm, um or cm-1"),
        ({"wavelength": "{900, 910"}, "the { of 'wavelength' is not closed"),
        ({"first_line": "ENVO"}, "not an ENVI header"),
        ({"bbl": "{1, 1, 1}"}, "'bbl' has 3 values for 5 bands"),
        ({"bbl": "{0, 0, 0, 0, 0}"}, "not 0 for all"),
        ({"bbl": "{1, 1, 0.5, 1, 1}"}, "'bbl' must hold 0 for bad and 1"),
        ({"reflectance_scale_factor": 0}, "'reflectance scale factor' is 0"),
        ({"reflectance_scale_factor": "nan"}, "'reflectance scale factor' is 'nan'"),
        ({"reflectance_scale_factor": 1e-60}, "the value at row 0, column 0, 900 nm is inf"),
        ({"data_gain_values": "{1, 1, 1e38, 1, 1}"}, "the value at row 0, column 0, 930 nm is inf"),
        ({"data_offset_values": "{1, 1, 1, 1, -1e39}"}, "the value at row 0, column 0, 1000 nm is -inf"),
        ({"data_gain_values": "{1, 1}"}, "'data gain values' has 2 values for 5 bands"),
        ({"data_gain_values": "{2, 2, 2, 2, 2}", "reflectance_scale_factor": 10}, "both; apply and remove one"),
        ({"data_reflectance_gain_values": "{1, 1, 1, 1, 1}"}, "'data reflectance gain values' is not supported"),
        ({"data_ignore_value": "none"}, "'data ignore value' is 'none'; expected a number"),
        ({"pixel_pitch_mm": -1}, "'pixel pitch mm' is -1"),
        ({"suffix": ".zip"}, "exactly one data file"),
    ],
)
def test_a_bad_header_or_file_is_refused(tmp_path, fault, message):
    with pytest.raises(InputError) as error:
        envi.read_cube(write(tmp_path, **fault))
    assert message in str(error.value) and "x." in str(error.value)


@pytest.mark.parametrize("name", ["x.raw", "x"])
def test_a_header_named_after_the_whole_file(tmp_path, name):
    header = write(tmp_path, name=name, suffix="")
    assert header.name == f"{name}.hdr"
    np.testing.assert_array_equal(envi.read_cube(header).values, VALUES)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(
    "stated, stored", [("-9999", -9999), ("nan", np.nan), ("-3.40282e38", -3.4028235e38), ("-inf", -np.inf), ("0", 0)]
)
def test_ignored_pixels_are_out_of_the_mask_and_others_must_be_finite(tmp_path, kind, stated, stored):
    values = VALUES.astype(kind)
    values[1, 2, 3] = stored
    data = {"data": values.transpose(0, 2, 1).tobytes(), "data_type": {"f4": 4, "f8": 5}[kind]}
    cube = envi.read_cube(write(tmp_path, data_ignore_value=stated, reflectance_scale_factor=2, **data))
    assert np.argwhere(~cube.mask).tolist() == [[1, 2]]
    expected = VALUES / 2
    expected[1, 2] = 0
    np.testing.assert_array_equal(cube.values, expected)
    # not when the bad band is dropped
    cube = envi.read_cube(write(tmp_path, data_ignore_value=stated, bbl="{1, 1, 1, 0, 1}", **data))
    assert cube.mask.all() and cube.wavelengths.tolist() == NM[:3] + NM[4:]
    if np.isnan(stored):
        with pytest.raises(InputError, match=r"row 1, column 2, 950.25 nm is nan. Mark pixels without data"):
            envi.read_cube(write(tmp_path, **data))


def test_an_infinity_that_only_float32_has_is_refused(tmp_path):
    values = VALUES.astype("f8")
    values[2, 1, 0] = 1e39
    with pytest.raises(InputError, match="row 2, column 1, 900 nm is inf"):
        envi.read_cube(write(tmp_path, data=values.transpose(0, 2, 1).tobytes(), data_type=5))
    values[2, 1, 0] = 3e38  # two of them: their sum overflows, they do not
    values[2, 1, 1] = 3e38
    cube = envi.read_cube(write(tmp_path, data=values.transpose(0, 2, 1).tobytes(), data_type=5))
    assert cube.values[2, 1, 1] == np.float32(3e38)


def test_blocks_of_lines_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "BLOCK", 2 * VALUES[0].size)  # two lines, then the third
    cube = envi.read_cube(write(tmp_path, data_ignore_value=VALUES[2, 0, 0]))
    assert np.argwhere(~cube.mask).tolist() == [[2, 0]]
    np.testing.assert_array_equal(cube.values[cube.mask], VALUES[cube.mask])


def test_a_cube_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    def empty(shape, dtype):
        raise MemoryError

    monkeypatch.setattr(scaling.np, "empty", empty)
    with pytest.raises(InputError, match="3 x 4 x 5 values of 4 bytes do not fit into memory"):
        envi.read_cube(write(tmp_path))


def test_spy_reads_the_same(tmp_path):
    header = write(tmp_path, reflectance_scale_factor=200)
    image = spectral.open_image(str(header))
    np.testing.assert_array_equal(envi.read_cube(header).values, np.asarray(image.load()))
    np.testing.assert_array_equal(envi.read_cube(header).wavelengths, image.bands.centers)


def test_a_missing_header_and_two_data_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        envi.read_cube(tmp_path / "none.hdr")
    header = write(tmp_path)
    (tmp_path / "._x.dat").write_bytes(b"macOS leaves these")
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


def test_write_cube_keeps_every_digit_and_key_and_spy_reads_it(tmp_path):
    nm = np.random.default_rng(3).uniform(400, 1000, 5).cumsum()
    keys = {"pixel pitch mm": 0.1 + 0.2, "tint": 12.5, "description": "phantom one", "default bands": [3, 2, 1]}
    big = VALUES.astype(">i4").transpose(2, 0, 1).copy().transpose(1, 2, 0)  # neither little-endian nor in order
    envi.write_cube(tmp_path / "x.hdr", big, nm, keys)
    cube = envi.read_cube(tmp_path / "x.hdr")
    np.testing.assert_array_equal(cube.wavelengths, nm)
    np.testing.assert_array_equal(cube.values, VALUES)
    _, header = envi.read_counts(tmp_path / "x.hdr")
    assert float(header["pixel pitch mm"]) == 0.1 + 0.2 and header["default bands"] == ["3", "2", "1"]
    assert header["tint"] == "12.5" and header["description"] == ["phantom one"]
    image = spectral.open_image(str(tmp_path / "x.hdr"))
    np.testing.assert_array_equal(np.asarray(image.load()), VALUES)
    np.testing.assert_array_equal(image.bands.centers, nm)


def test_what_cannot_be_mapped_is_refused(tmp_path, monkeypatch):
    header = write(tmp_path)
    monkeypatch.setattr(np, "memmap", lambda *_, **__: (_ for _ in ()).throw(OSError("no maps here")))
    with pytest.raises(InputError, match=r"x.raw: cannot be mapped into memory"):
        envi.read_counts(header)


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


@pytest.mark.parametrize(
    "name, shape, ends, low",
    [
        ("envi-fenix-lumo/Radiometric_8x2_1x1", (1, 384, 363), (379.87, 2503.73), 0.002),
        (
            "envi-pycoal/ang20150420t182808_corr_v1e_img_4200-4210_70-80",
            (10, 10, 373),
            (381.3602678, 2505.0363678),
            -0.04,
        ),
    ],
)
def test_real_images(mirror, name, shape, ends, low):
    cube = envi.read_cube(mirror / f"{name}.hdr")
    assert cube.values.shape == shape and (cube.wavelengths[0], cube.wavelengths[-1]) == ends
    assert cube.values.min() == pytest.approx(low, abs=0.005)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SPy's, of keys in capitals
        image = spectral.open_image(str(mirror / f"{name}.hdr"))
    good = np.array(image.metadata.get("bbl", [1] * image.nbands), float) == 1
    np.testing.assert_array_equal(cube.values, np.asarray(image.load())[:, :, good])


def test_a_real_image_of_overlapping_detectors(mirror):
    path = mirror / "envi-pycoal" / "f080702t01p00r08rdn_c_sc01_ort_img_123_456.hdr"
    with pytest.warns(UserWarning, match=r"667.561 nm is followed by 655.292 nm, so the bands are sorted"):
        cube = envi.read_cube(path)
    image = spectral.open_image(str(path))
    pairs = sorted(zip(image.bands.centers, image.load().ravel(), strict=True))
    np.testing.assert_allclose(np.c_[cube.wavelengths, cube.values.ravel()], pairs)


@pytest.mark.parametrize(
    "name, message",
    [
        ("envi-fenix-lumo/hypercloud", "'data type' is missing"),
        ("envi-fenix-lumo/image", "exactly one data file"),
        ("envi-pycoal/ang20140912t192359_corr_v1c_img_400-410_10-20_class", "'ENVI Classification'"),
    ],
)
def test_real_files_that_are_no_usable_image(mirror, name, message):
    with pytest.raises(InputError) as error:
        envi.read_cube(mirror / f"{name}.hdr")
    assert message in str(error.value)
