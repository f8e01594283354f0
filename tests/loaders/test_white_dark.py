"""Folders of cameras: which file is which, white and dark references, integration times."""

import warnings

import numpy as np
import pytest
from scipy.io import netcdf_file

from hsichem import InputError
from hsichem.loaders import envi
from hsichem.loaders.white_dark import find_frames

NM = [900.0, 910.5, 930.0, 950.25, 1000.0]


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


def without_light(folder, columns, bands, level=0):
    """The capture with white at or below dark there; returns what is said."""
    _, white, dark = make_capture(folder, white_lines=1, dark_lines=1)
    white[:, columns, bands] = dark[:, columns, bands] - level
    envi.write_cube(folder / "WHITEREF_pork.hdr", white.astype("u2"), NM)
    with pytest.raises(InputError) as error:
        envi.read_capture(folder)
    return str(error.value)


def test_why_white_is_not_above_dark(tmp_path):
    every = slice(None)
    assert "Hardly any light from 950 to 1000 nm" in without_light(tmp_path, every, [3, 4])
    said = without_light(tmp_path, [0, 3], [0, 4])  # noise: half of the columns are above
    assert "Hardly any light from" not in said and "A dead pixel?" in said  # two pixels of a band each
    assert "from 900 to 900 nm, 1000 to 1000 nm: the lamp gives none" in without_light(tmp_path, slice(2), [0, 4])
    assert "swapped, or was there no light?" in without_light(tmp_path, every, every, level=1)
    assert "A dead pixel? Set its band to 0" in without_light(tmp_path, 2, 3)


def test_a_band_without_light_is_left_out_by_the_scenes_header(tmp_path):
    without_light(tmp_path, slice(None), [3, 4])
    header = tmp_path / "pork.hdr"
    header.write_text(header.read_text() + "bbl = {1, 1, 1, 0, 0}\n")
    assert envi.read_capture(tmp_path).wavelengths.tolist() == NM[:3]


@pytest.mark.parametrize("products", [["pork_rd", "pork_rd_rf"], ["pork_rad"], ["REFLECTANCE_pork"]])
def test_products_beside_the_scene_are_named_and_what_to_give(tmp_path, products):
    raw, *_ = make_capture(tmp_path)
    for name in products:
        envi.write_cube(tmp_path / f"{name}.hdr", np.float32(raw / 4095), NM)
    with pytest.raises(InputError, match="a product of the camera's program") as error:
        envi.read_capture(tmp_path)
    said = str(error.value)
    assert ("give" in said) == (products != ["pork_rad"]) and "The scene alone, by its own name, is counts" in said
    assert f"give {products[-1]}.hdr by its own name, as reflectance" in said or products == ["pork_rad"]
    for suffix in (".hdr", ".raw"):
        (tmp_path / f"pork{suffix}").unlink()
    if len(products) == 1:  # calibrated already, and not to be calibrated again
        with pytest.raises(InputError, match="no scene as the camera stored it"):
            envi.read_capture(tmp_path)


@pytest.mark.parametrize("sign", ["description = {\nNumber of background = 200\n}\n", ""])
def test_a_hyspex_scene_without_a_dark_frame(tmp_path, sign):
    make_capture(tmp_path)
    for suffix in (".hdr", ".raw"):
        (tmp_path / f"DARKREF_pork{suffix}").unlink()
    (tmp_path / "pork.hdr").write_text((tmp_path / "pork.hdr").read_text() + sign)
    if not sign:
        (tmp_path / "pork.raw").rename(tmp_path / "pork.hyspex")
    with pytest.raises(InputError, match=r"pork.hdr: HySpex cameras keep the dark frame in the head .* DARKREF_<id>"):
        envi.read_capture(tmp_path)


def test_a_long_list_of_names_is_cut(tmp_path):
    for k in range(30):
        (tmp_path / f"ham{k:02d}.hdr").write_text("ENVI\n")
    with pytest.raises(InputError, match=r"found ham00.hdr, .*, ham05.hdr and 24 more\. Give"):
        find_frames(tmp_path, ".hdr")


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


def make_folder(folder):
    make_capture(folder)
    return folder


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
    with pytest.raises(InputError, match=r"exactly one <id>.hdr, found beef.hdr, pork.hdr. Give the file of one"):
        envi.read_capture(tmp_path)
    assert envi.read_capture(tmp_path / "beef.hdr").name == "beef"
    envi.write_cube(tmp_path / "DARKREF_ham.hdr", white.astype("u2"), NM)
    with pytest.raises(InputError, match=r"exactly one DARKREF_<id>.hdr, found DARKREF_ham.hdr, DARKREF_pork.hdr"):
        envi.read_capture(tmp_path / "beef.hdr")
    np.testing.assert_array_equal(  # pork has one of its own
        envi.read_capture(tmp_path / "pork.hdr").values, envi.read_capture(make_folder(tmp_path / "alone")).values
    )
    with pytest.raises(InputError, match="no such folder"):
        envi.read_capture(tmp_path / "none")


@pytest.mark.parametrize(
    "names",
    [
        {"scene": "2020-01-01_ham-3", "white": "WHITEREF_2020-01-01_ham-3", "dark": "DARKREF_2020-01-01_ham-3"},
        {"scene": "444", "white": "WHITEREF_444", "dark": "DARKREF_444", "white dark": "WHITEDARKREF_444"},
        {"scene": "raw", "white": "whiteReference", "dark": "darkReference"},
        {"scene": "leaf", "white": "leaf_whiteReference", "dark": "leaf_darkReference"},
        {"scene": "ham_VNIR_1800_SN00812_raw", "white": "ham_white", "dark": "ham_dark"},
        {"scene": "capture", "white": "white", "dark": "black"},
        {"scene": "ham_SWIR_384_raw", "white": "white panel", "dark": "ham_background"},
        {"scene": "white_bread_dark_crust", "white": "White Ref", "dark": "Dark-Reference"},
        {"scene": "leaf.bil", "white": "white.bil", "dark": "dark.bil"},
        {"scene": "leaf.raw", "white": "WHITEREF_leaf.raw", "dark": "DARKREF_leaf.raw"},
        {"scene": "rd_1", "white": "white", "dark": "dark"},
        {"scene": "meat_white", "white": "WHITEREF_meat_white", "dark": "DARKREF_meat_white"},
    ],
)
def test_names_that_cameras_give(tmp_path, names):
    for other in ("manifest.xml", "._raw.hdr", "raw.png", "ham.log"):
        (tmp_path / other).write_bytes(b"")
    paths = {kind: tmp_path / f"{name}.HDR" for kind, name in names.items()}
    for path in paths.values():
        path.write_text("ENVI\n")
    assert find_frames(tmp_path, ".hdr") == paths


def test_references_of_another_form_than_the_scene(tmp_path):
    _, white, _ = make_capture(tmp_path, white_lines=1, dark_lines=4)
    expected = envi.read_capture(tmp_path).values
    header = tmp_path / "WHITEREF_pork.hdr"  # big-endian float32, bsq, bands from the long end, a comment
    text = header.read_text().replace("data type = 12", "data type = 4").replace("byte order = 0", "byte order = 1")
    text = text.replace("bil", "BSQ").replace(" , ".join(map(str, NM)), " , ".join(map(str, NM[::-1])))
    header.write_text(text + "; white\n")
    (tmp_path / "WHITEREF_pork.raw").write_bytes(white[:, :, ::-1].transpose(2, 0, 1).astype(">f4").tobytes())
    header = tmp_path / "DARKREF_pork.hdr"  # no wavelengths: those of the scene
    header.write_text("\n".join(line for line in header.read_text().split("\n") if "wavelength" not in line))
    np.testing.assert_array_equal(envi.read_capture(tmp_path).values, expected)


def test_ignored_pixels_and_bad_bands_of_a_capture(tmp_path):
    raw, *_ = make_capture(tmp_path)
    plain = envi.read_capture(tmp_path)
    for name in ("pork", "WHITEREF_pork", "DARKREF_pork"):
        header = tmp_path / f"{name}.hdr"
        header.write_text(header.read_text() + "bbl = {1, 0, 1, 1, 1}\n")
    scene = tmp_path / "pork.hdr"
    scene.write_text(scene.read_text() + f"data ignore value = {raw[3, 2, 4]}\n")
    cube = envi.read_capture(tmp_path)
    assert not cube.mask[3, 2] and (cube.values[~cube.mask] == 0).all() and cube.wavelengths.tolist() == NM[:1] + NM[2:]
    np.testing.assert_array_equal(cube.values[cube.mask], plain.values[cube.mask][:, [0, 2, 3, 4]])
    white = tmp_path / "WHITEREF_pork.hdr"
    white.write_text(white.read_text() + f"data ignore value = {int(envi.read_counts(white)[0][0, 0, 0])}\n")
    with pytest.raises(InputError, match="pixels of a reference have the 'data ignore value'"):
        envi.read_capture(tmp_path)


def add(folder, **lines):
    for name, line in lines.items():
        header = folder / f"{name}.hdr"
        header.write_text(header.read_text() + line + "\n")


@pytest.mark.parametrize("key", ["tint", "Integration Time", "exposure time (ms)", "shutter"])
def test_a_white_reference_at_another_integration_time(tmp_path, key):
    make_capture(tmp_path)
    plain = envi.read_capture(tmp_path).values
    add(tmp_path, pork=f"{key} = 20.0", WHITEREF_pork=f"{key} = 5", DARKREF_pork=f"{key} = 20")
    with pytest.warns(UserWarning, match=r"WHITEREF_pork.hdr: integration time 0.25 times that of the scene") as said:
        cube = envi.read_capture(tmp_path)
    assert len(said) == 1
    np.testing.assert_allclose(cube.values, 0.25 * plain, rtol=1e-6)  # a quarter of the light made the same white


def test_integration_times_by_a_light_of_known_strength(tmp_path):
    rng = np.random.default_rng(3)
    reflectance, gain = rng.uniform(0.1, 0.9, (6, 4, 5)), rng.uniform(50, 90, (4, 5))
    bias, leak = rng.uniform(90, 99, (4, 5)), rng.uniform(1, 2, (4, 5))  # of a dark frame: constant, and with time

    def counts(light, time):
        return (bias + time * (leak + gain * light)).astype("f4")

    frames = {"ham": (reflectance, 20), "WHITEREF_ham": (np.ones((3, 4, 5)), 8)}
    frames |= {"DARKREF_ham": (np.zeros((2, 4, 5)), 20), "WHITEDARKREF_ham": (np.zeros((2, 4, 5)), 8)}
    for name, (light, time) in frames.items():
        envi.write_cube(tmp_path / f"{name}.hdr", counts(light, time), NM, {"tint": time})
    with pytest.warns(UserWarning, match="integration time 0.4 times"):
        np.testing.assert_allclose(envi.read_capture(tmp_path).values, reflectance, rtol=1e-4)


def test_integration_times_that_say_nothing_or_contradict(tmp_path):
    make_capture(tmp_path)
    plain = envi.read_capture(tmp_path).values
    add(tmp_path, pork="tint = 20 ms", WHITEREF_pork="tint = 20 ms")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(envi.read_capture(tmp_path).values, plain)
    add(tmp_path, pork="exposure = 5", DARKREF_pork="exposure = 6")
    with pytest.warns(UserWarning, match=r"DARKREF_pork.hdr: dark frame of another integration time"):
        np.testing.assert_array_equal(envi.read_capture(tmp_path).values, plain)
    for scene, white, message in [
        ("tint1 = 5\ntint2 = 6", "tint1 = 10\ntint2 = 6", "one factor is needed"),  # Specim's FENIX has two sensors
        ("tint = 20 ms", "tint = 5000 us", "'tint' is '5000 us', beside it '20 ms'; expected numbers"),
        ("tint = 0", "tint = 5", "expected numbers"),
        ("gain = 6.0", "gain = 0", "the camera's gain is '0', that of the scene '6.0'; capture both at one"),
    ]:
        make_capture(tmp_path)
        add(tmp_path, pork=scene, WHITEREF_pork=white)
        with pytest.raises(InputError, match=message):
            envi.read_capture(tmp_path)


def test_lines_taken_with_the_shutter_closed_are_the_dark_frame(tmp_path):
    raw, white, dark = make_capture(tmp_path)
    expected = envi.read_capture(tmp_path).values
    for name in ("pork", "DARKREF_pork"):
        for suffix in (".hdr", ".raw"):
            (tmp_path / f"{name}{suffix}").unlink()
    scene = np.concatenate([raw, dark]).astype("u2")
    envi.write_cube(tmp_path / "pork.hdr", scene, NM, {"autodarkstartline": 6})
    assert find_frames(tmp_path, ".hdr")["dark"] == tmp_path / "pork.hdr"
    with pytest.warns(
        UserWarning, match=r"pork.hdr: from line 6 on \('autodarkstartline'\), dark frames; they are left"
    ) as said:
        np.testing.assert_array_equal(envi.read_capture(tmp_path).values, expected)
    assert len(said) == 1
    np.testing.assert_array_equal(envi.read_counts(tmp_path / "pork.hdr")[0], raw)
    np.testing.assert_array_equal(envi.read_counts(tmp_path / "pork.hdr", dark=True)[0], dark)
    # a dark frame in a file of its own goes before; the white's own dark lines are the white's only
    envi.write_cube(tmp_path / "DARKREF_pork.hdr", (dark + 7).astype("u2"), NM)
    both = np.concatenate([white, dark + 20]).astype("u2")
    envi.write_cube(tmp_path / "WHITEREF_pork.hdr", both, NM, {"autodarkstartline": 3})
    with pytest.warns(UserWarning, match="from line"):
        values = envi.read_capture(tmp_path).values
    means = white.mean(axis=0) - dark.mean(axis=0) - 20
    np.testing.assert_allclose(values, (raw - dark.mean(axis=0) - 7) / means, rtol=1e-5)


def test_a_scene_that_is_named_is_no_reference(tmp_path):
    raw, white, dark = make_capture(tmp_path)
    names = {"pork": "darkReference", "WHITEREF_pork": "darkReference_whiteReference"}
    for old, new in {**names, "DARKREF_pork": "darkReference_darkReference"}.items():  # of PlantCV's examples
        for suffix in (".hdr", ".raw"):
            (tmp_path / f"{old}{suffix}").rename(tmp_path / f"{new}{suffix}")
    expected = (raw - dark.mean(axis=0)) / (white.mean(axis=0) - dark.mean(axis=0))
    values = envi.read_capture(tmp_path / "darkReference.hdr").values
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match=r"exactly one WHITEREF_<id>.hdr, found none"):
        envi.read_capture(tmp_path / "darkReference_whiteReference.hdr")


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
