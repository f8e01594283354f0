"""ENVI headers: everything cameras write is read, everything ambiguous refused, whatever the bytes."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsichem import InputError
from hsichem.loaders import envi, envi_header

REAL = {"1": "u1", "2": "i2", "3": "i4", "4": "f4", "5": "f8", "12": "u2", "13": "u4", "14": "i8", "15": "u8"}
AXES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}
UNITS = {"nm": 1, "Nanometers": 1, "um": 1e3, "µm": 1e3, "Micrometers": 1e3, "Angstroms": 0.1, "": 1, "Unknown": 1}


@st.composite
def images(draw):
    """(header bytes, data bytes, expected values, mask or None, nm) over all that a header may say."""
    rows, cols, bands = (draw(st.integers(1, 4)) for _ in range(3))
    code = draw(st.sampled_from(list(REAL)))
    order, offset = draw(st.integers(0, 1)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stored = rng.integers(0, 100, (rows, cols, bands)).astype(REAL[code])
    nm = np.sort(rng.choice(np.arange(400, 2500), bands, replace=False)) + 0.25
    unit = draw(st.sampled_from([*UNITS, "cm-1", "Wavenumber"]))
    written = 1e7 / nm if unit in ("cm-1", "Wavenumber") else nm / UNITS[unit]
    interleave = draw(st.sampled_from(list(AXES)))
    keys = {"samples": cols, "lines": rows, "bands": bands, "data type": code, "interleave": interleave}
    keys |= {"header offset": offset, "made up key": "{what, ever}", "description": "{a = {b},\n samples = 99}"}
    if order or draw(st.booleans()):
        keys["byte order"] = order
    if unit or draw(st.booleans()):
        keys["wavelength units"] = unit
    values, mask, keep = stored.astype(float), None, np.ones(bands, bool)
    scaling = draw(st.sampled_from(["none", "factor", "gain", "gain and offset"]))
    if scaling == "factor":
        keys["reflectance scale factor"] = 12.5
        values = values / 12.5
    if "gain" in scaling:
        gain = rng.integers(1, 9, bands) / 4
        keys["data gain values"] = "{" + ", ".join(map(str, gain)) + "}"
        values = values * gain
    if "offset" in scaling:
        keys["data offset values"] = "{" + ", ".join(str(-band) for band in range(bands)) + "}"
        values = values - np.arange(bands)
    if draw(st.booleans()):
        keep[rng.random(bands) < 0.4] = False
        keep[rng.integers(bands)] = True
        keys["bbl"] = "{" + ", ".join("1.0" if good else " 0" for good in keep) + "}"
    if draw(st.booleans()):
        ignored = int(stored[0, 0, np.flatnonzero(keep)[0]])
        keys["data ignore value"] = ignored
        mask = ~(stored[:, :, keep] == ignored).any(axis=2)
        values[~mask] = 0
    values, nm = values[:, :, keep], nm[keep]
    if draw(st.booleans()):  # the camera counts its bands from the long end
        for key in ("bbl", "data gain values", "data offset values"):
            if key in keys:
                keys[key] = "{" + ",".join(keys[key].strip("{}").split(",")[::-1]) + "}"
        written, stored = written[::-1], stored[:, :, ::-1]
    comma = draw(st.sampled_from([", ", ",\n", " ,\n ", "\n;comment\n,"]))
    keys["wavelength"] = draw(st.sampled_from(["{", "{\n", "{, ", "\n{"])) + comma.join(map(repr, map(float, written)))
    keys["wavelength"] += draw(st.sampled_from(["}", "\n}", ",}", ",\n }"]))
    case = draw(st.sampled_from([str.lower, str.upper, str.title]))
    equals = draw(st.sampled_from(["=", " = ", "\t=  "]))
    lines = [
        "ENVI",
        "; by hand",
        *(f"{case(key)}{equals}{value}" for key, value in draw(st.permutations([*keys.items()]))),
    ]
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join("\n".join([*lines, "operator = Jürgen", ""]).split("\n"))
    data = stored.astype("<>"[order] + REAL[code]).transpose(AXES[interleave]).tobytes()
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]))), bytes(offset) + data, values, mask, nm


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=images())
def test_whatever_a_header_may_say_comes_back(tmp_path, image):
    text, data, values, mask, nm = image
    (tmp_path / "x.hdr").write_bytes(text)
    (tmp_path / "x.raw").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is dropped, so nothing is to be said
        cube = envi.read_cube(tmp_path / "x.hdr")
    np.testing.assert_allclose(cube.values, values, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(cube.wavelengths, nm, rtol=1e-12)
    assert (cube.mask is None) == (mask is None)
    np.testing.assert_array_equal(cube.foreground, True if mask is None else mask)


GOOD = b"ENVI\nsamples = 2\nlines = 1\nbands = 2\ndata type = 1\ninterleave = bil\nwavelength = {900, 950}\n"
PIECES = [b"{", b"}", b"=", b",", b"\n", b";", b"\0", b"-", b"1e300", b"nan", b"inf", b"\xff", b"9" * 400, b"bbl = {0}"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 6), st.sampled_from(PIECES)), max_size=4))
@pytest.mark.filterwarnings("ignore:.*no 'key = value'")
def test_a_damaged_header_is_read_or_refused_and_nothing_else(tmp_path, cuts):
    text = GOOD
    for place, length, piece in cuts:
        text = text[:place] + piece + text[place + length :]
    (tmp_path / "x.hdr").write_bytes(text)
    (tmp_path / "x.raw").write_bytes(b"abcd")
    try:
        assert envi.read_cube(tmp_path / "x.hdr").values.size in (2, 4)  # `bbl` may have dropped a band
    except InputError as error:
        assert "x." in str(error) and len(str(error)) < 500


def parsed(tmp_path, text):
    path = tmp_path / "x.hdr"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return envi_header.parse(path)


def test_parsing_by_example(tmp_path):
    text = "ENVI\nFPS  Qpf = 30.13\nerrors = {none}\nhimg={1, 384,}\n ; a = comment\n"
    text += "wavelength =\n{\n1,\n;2,\n3\n}\nempty =\n"
    wanted = {"fps qpf": "30.13", "errors": ["none"], "himg": ["1", "384"], "wavelength": ["1", "3"], "empty": ""}
    assert parsed(tmp_path, text) == wanted


def test_a_line_that_is_no_key_is_said(tmp_path):
    with pytest.warns(UserWarning, match="ignored: 'gain 2'"):
        assert parsed(tmp_path, "ENVI\nlines = 2\ngain 2\n") == {"lines": "2"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "first line is not 'ENVI'"),
        ("ENVO\nlines = 1", "first line is not 'ENVI'"),
        ("BYTEORDER I\nLAYOUT BIL\nNROWS 5\n", "first line is not 'ENVI'"),  # Esri's .hdr
        ("nrows 5\nncols 4\nnbands 3\nbyteorder I\nlayout bil\n", "It is Esri's: `gdal_translate -of ENVI"),
        ("ENVI\n".encode("utf-16"), "it is no text"),
        (b"ENVI\nlines = \0 3", "it is no text"),
        ("ENVI\nwavelength = {1, 2\nlines = 3\n", "the { of 'wavelength' is not closed"),
        ("ENVI\nwavelength = {1, 2} nm\n", "the { of 'wavelength' is not closed by a } at the end of a line"),
        ("ENVI\nlines = 3\nLines = 4\n", "'lines' is given twice"),
    ],
)
def test_what_is_no_header_is_refused(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        parsed(tmp_path, text)
    assert message in str(error.value)


def test_a_header_that_cannot_be_opened_is_refused(tmp_path, monkeypatch):
    (tmp_path / "loop.hdr").symlink_to(tmp_path / "loop.hdr")
    for path in (tmp_path, tmp_path / "none.hdr"):
        with pytest.raises(InputError, match="no such file"):
            envi_header.parse(path)
    with pytest.raises(InputError, match="a link that leads nowhere"):
        envi_header.parse(tmp_path / "loop.hdr")
    with pytest.raises(InputError, match=r"no such file|cannot be opened"):
        envi_header.parse("nul\0l.hdr")
    monkeypatch.setattr(envi_header, "HEADER_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes"):
        parsed(tmp_path, "ENVI\nlines = 1\n")


@pytest.mark.parametrize("unit", ["nm", " NM ", "Nanometers", "nanometre", "", "unknown"])
def test_units_named_and_inferred(unit):
    np.testing.assert_array_equal(envi_header.to_nm(np.array([400.0, 2500.0]), unit, "x"), [400, 2500])


@pytest.mark.parametrize(
    "values, unit, nm",
    [
        ([0.4, 2.5], "", [400, 2500]),
        ([0.4, 2.5], "Micrometers", [400, 2500]),
        ([0.4, 2.5], "μm", [400, 2500]),  # Greek letter; the micro sign is in the property test
        ([10_000, 4_000], "cm-1", [1000, 2500]),
        ([10_000, 4_000], "1/cm", [1000, 2500]),
        ([0.0004], "mm", [400]),
    ],
)
def test_conversion(values, unit, nm):
    np.testing.assert_allclose(envi_header.to_nm(np.array(values, float), unit, "x"), nm, rtol=1e-12)


@pytest.mark.parametrize(
    "values, unit, message",
    [
        ([4000, 10_000], "", "could be more than one"),
        ([100, 200], "", "could be more than one"),
        ([0.1, 500], "", "could be more than one"),
        ([400, 500], "furlongs", "'furlongs'; expected nm, um or cm-1"),
        ([1, 2], "Index", "'Index'; expected nm"),
        ([0.4, 0.5], "nm", "not all within 100 to 30000 nm"),
        ([0, 100], "cm-1", "not all within"),
        ([-400, 500], "nm", "not all within"),
    ],
)
def test_units_refused(values, unit, message):
    with pytest.raises(InputError) as error:
        envi_header.to_nm(np.array(values, float), unit, "x")
    assert message in str(error.value)


def test_order():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for nm in ([1.0, 3, 4], [4.0, 3, 1], [4.0]):
            assert np.array(nm)[envi_header.in_order(np.array(nm), "x")].tolist() == sorted(nm)
    for nm, order, message in (
        ([900.0, 910, 905, 930], [0, 2, 1, 3], "910 nm is followed by 905 nm, so the bands are sorted"),
        ([930.0, 910, 915, 900], [3, 1, 2, 0], "910 nm is followed by 915 nm"),
    ):
        with pytest.warns(UserWarning, match=message):
            assert envi_header.in_order(np.array(nm), "x").tolist() == order
    for nm, message in (
        ([513.342] * 3, "every band has the wavelength 513.342 nm"),
        ([900.0, 910, 910], "bands 2 and 3 both have the wavelength 910 nm"),
        ([910.0, 900, 920, 910], "bands 1 and 4 both have the wavelength 910 nm"),
    ):
        with pytest.raises(InputError, match=message):
            envi_header.in_order(np.array(nm), "x")
