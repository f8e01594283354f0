"""Integration times where cameras write them: keys, a description, comments; and what is said where there are none."""

import warnings

import numpy as np
import pytest

from hsichem import InputError
from hsichem.loaders import envi
from hsichem.loaders.envi_header import parse
from hsichem.loaders.exposure import TIME, exposure_times

NM = [900.0, 950.0, 1000.0]
HYSPEX = """description = {{
Frameperiod           = 25000
Integration time      = {}
Binning               = 1
Number of frames      = 3
ID                    = SWIR_384_SN3154
}}
"""
MVX = "sensor type = Headwall MV.X\n;Nuc folder = C:/nuc\n;Exposure (ms) : {}\n;Exposure mode = manual\n"
PLAIN = "tint = {}\n; tint = 99\n"  # what is a key goes before a comment

FORMS = [
    (HYSPEX, "integration time", 8500, 4250),
    ("description = {{HySpex, Integration time = {}, Frameperiod = 25000}}\n", "integration time", 8500, 4250),
    (MVX, "exposure (ms)", 8.5, 4.25),
    ("; exposure_time = {}\n", "exposure time", "8.5 ms", "4.25 ms"),
    (";Camera exposure: {} \n", "camera exposure", "2e1", "1e1"),
    (PLAIN, "tint", 8.5, 4.25),
]


def make(folder, scene="", white="", dark="", names=("ham", "WHITEREF_ham", "DARKREF_ham")):
    """A capture whose reflectance is 1 where its frames are equally long."""
    for name, text, count in zip(names, (scene, white, dark), (1100, 1100, 100), strict=True):
        envi.write_cube(folder / f"{name}.hdr", np.full((2, 4, 3), count, "u2"), NM)
        header = folder / f"{name}.hdr"
        header.write_text(header.read_text() + text)
    return folder


@pytest.mark.parametrize(("form", "key", "scene", "white"), FORMS)
def test_half_the_time_is_half_the_reflectance_wherever_it_stands(tmp_path, form, key, scene, white):
    make(tmp_path, form.format(scene), form.format(white), form.format(scene))
    header = tmp_path / "ham.hdr"
    assert exposure_times(parse(header), header) == {key: str(scene)}
    with pytest.warns(UserWarning, match=r"WHITEREF_ham.hdr: integration time 0.5 times that of the scene") as said:
        np.testing.assert_allclose(envi.read_capture(tmp_path).values, 0.5, rtol=1e-6)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("text", "name", "camera"),
    [
        ("description = {HySpex SWIR-384 radiance}\n", "ham", "HySpex"),
        ("", "ham_SWIR_384_SN3154", "HySpex"),
        ("; camera = MV.X\n", "ham", "Headwall's MV.X"),
        ("sensor type = FX17e , Lumo - Scanner v2018\n", "ham", "Specim's"),
        ("sensor type = SPECIM IQ\n", "ham", "Specim's"),
        ("; Resonon Pika L\n", "ham", "Resonon's"),
    ],
)
def test_a_camera_that_writes_its_time_and_has_not_is_said(tmp_path, text, name, camera):
    make(tmp_path, text, names=(name, f"WHITEREF_{name}", f"DARKREF_{name}"))
    with pytest.warns(UserWarning, match=rf"{name}.hdr: {camera} cameras write their integration time") as said:
        envi.read_capture(tmp_path)
    assert len(said) == 1 and "write 'tint = ...' into both headers" in str(said[0].message)


def test_a_time_in_one_header_only_is_said(tmp_path):
    make(tmp_path, HYSPEX.format(8500), "tint = 4250\n")
    with pytest.warns(UserWarning, match=r"no integration time in common \(scene: .* 8500, white: tint 4250\)"):
        envi.read_capture(tmp_path)
    make(tmp_path, "tint = 20\n")
    with pytest.warns(UserWarning, match=r"no integration time in common \(scene: tint 20\)"):
        envi.read_capture(tmp_path)


def test_nothing_is_said_of_cameras_without_a_custom(tmp_path):
    make(tmp_path, "description = {exposed by hand, 5 = five}\n; a note: none\n", "; exposure mode = auto\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(envi.read_capture(tmp_path).values, 1)


def test_times_that_contradict_are_refused(tmp_path):
    make(tmp_path, "; exposure = 5\n; Exposure: 6\n", "; exposure = 5\n")
    with pytest.raises(InputError, match="'exposure' is '5' and '6' in its description or comments"):
        envi.read_capture(tmp_path)
    make(tmp_path, "; exposure = 5 ms\n", "; exposure = 5 us\n")
    with pytest.raises(InputError, match="'exposure' is '5 us', beside it '5 ms'; expected numbers"):
        envi.read_capture(tmp_path)


KEYS = "tint|tint1|tint ms|t int|shutter|shutter speed|exposure|exposure time|exposuretime|exposure (ms)|exposure [us]"
KEYS += "|exposure time in us|integration time|integrationtime|int. time|camera exposure|integrationszeit (ms)"
OTHERS = "int|tin|exposure mode|exposures|auto exposure|time|start time|shutter count|integration|frameperiod|tint unit"


@pytest.mark.parametrize("key", [*KEYS.split("|"), *OTHERS.split("|")])
def test_what_is_a_time_and_what_is_not(key):
    assert (TIME.fullmatch(key) is not None) == (key in [*KEYS.split("|"), "integration"])
