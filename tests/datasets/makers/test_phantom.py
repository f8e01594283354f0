"""The phantom's bytes, its camera against a calibration written out here, its tables against Tecator's features."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hsichem import InputError
from hsichem.datasets.makers import meat, phantom
from hsichem.loaders import read_capture, read_counts

ROOT = Path(__file__).parents[3]
SIZES = yaml.safe_load((ROOT / "data_manifest.yaml").read_text())["phantom-belly"]["recipe"]["sizes"]
TINY = SIZES["lesson"] | {"samples": 6, "animals": 3, "rows": 48, "cols": 40, "length_mm": 120, "width_mm": 96}
ONE = TINY | {"samples": 1, "animals": 1}
QUIET = {"electrons_per_count": 1e15, "read_noise": 0, "column_gain": 0, "column_dark": 0}
PLAIN = QUIET | {"glint_share": 0, "blood_spots": 0, "edge_shadow": 0, "tilt_per_mm": 0, "penetration_mm": 1e-9}


def fingerprint(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def truth(folder, name="belly_001"):
    fat, mask = (np.load(folder / "truth" / f"{name}{end}.npy", allow_pickle=False) for end in ("", "_mask"))
    return fat, mask


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    phantom.make(folder, TINY, seed=3)
    return folder


@pytest.fixture
def one(tmp_path):
    """make(**knobs) -> folder of a data set of one belly, seed 3."""

    def make(**knobs):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        phantom.make(folder, ONE | knobs, seed=3)
        return folder

    return make


def test_layout(tiny):
    expected = {"references.csv"}
    for i in range(1, 7):
        name = f"belly_{i:03d}"
        expected |= {f"truth/{name}.npy", f"truth/{name}_mask.npy"}
        expected |= {
            f"{name}/capture/{kind}{name}.{end}" for kind in ("", "WHITEREF_", "DARKREF_") for end in ("raw", "hdr")
        }
    assert set(fingerprint(tiny)) == expected
    cube = read_capture(tiny / "belly_002")
    assert cube.values.shape == (48, 40, 150)
    assert cube.pitch_mm == 3.0


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_bytes_in_another_process(tiny, tmp_path, threads):
    code = "import sys, yaml; from hsichem.datasets.makers import phantom as p; "
    code += "p.make(sys.argv[1], yaml.safe_load(sys.argv[2]), 3)"
    variables = {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    knobs = yaml.safe_dump(TINY, default_flow_style=True, width=10**6).strip().replace("'", '"')
    subprocess.run([sys.executable, "-c", code, str(tmp_path), knobs], cwd=ROOT, env=os.environ | variables, check=True)
    assert fingerprint(tmp_path) == fingerprint(tiny)


def test_another_seed_differs_everywhere(tiny, tmp_path):
    phantom.make(tmp_path, TINY, seed=4)
    ours, others = fingerprint(tiny), fingerprint(tmp_path)
    same = {name for name in ours if ours[name] == others[name]}
    assert all(name.endswith(".hdr") for name in same)


def test_bellies_do_not_depend_on_later_ones(tiny, tmp_path):
    """Each belly has its own stream: with the same animal behind it, only the number of animals could matter."""
    phantom.make(tmp_path, TINY | {"fat_low": 30, "fat_high": 30, "side_sd": 0}, seed=3)
    phantom.make(tmp_path / "b", TINY | {"fat_low": 30, "fat_high": 30, "side_sd": 0, "samples": 3}, seed=3)
    raw = "belly_002/capture/belly_002.raw"
    assert (tmp_path / raw).read_bytes() == (tmp_path / "b" / raw).read_bytes()


def test_a_belly_exposed_again_differs_by_noise_alone(tiny, tmp_path):
    phantom.expose_again(tmp_path, TINY, 3, 1, 40, camera_seed=0)
    read = [read_counts(path / "capture" / f"{path.name}.hdr")[0] for path in sorted(tmp_path.iterdir())]
    shots = np.array([np.asarray(counts, float) for counts in read])
    first, signal = np.asarray(read_counts(tiny / "belly_002/capture/belly_002.hdr")[0], float), shots.mean(axis=0)
    # shot and read noise of two binned bands, and rounding to counts (1/12)
    expected = ((signal - 100) / TINY["electrons_per_count"] + TINY["read_noise"] ** 2) / TINY["binning"] + 1 / 12
    far = signal > 300  # where the dark's own columns hardly count, and nothing is clipped at 0
    assert np.mean(shots.var(axis=0, ddof=1)[far] / expected[far]) == pytest.approx(1, abs=0.03)
    # the data set's own capture is one more of them
    assert np.mean((first - signal)[far] ** 2 / expected[far]) == pytest.approx(1 + 1 / 40, abs=0.05)


def test_counts_are_12_bit_and_ordered(tiny):
    folder = tiny / "belly_001" / "capture"
    scene, white, dark = (read_counts(folder / f"{kind}belly_001.hdr")[0] for kind in ("", "WHITEREF_", "DARKREF_"))
    assert scene.dtype == np.uint16
    assert max(scene.max(), white.max()) <= 4095
    _, mask = truth(tiny)
    in_scene = np.asarray(scene)[mask].mean(axis=0)
    assert (dark.mean(axis=(0, 1)) < in_scene).all()
    assert (in_scene < white.mean(axis=(0, 1))).all()


@pytest.mark.parametrize("nm", [420, 577, 760, 870, 930, 970, 1000])
def test_calibration_recovers_the_noise_free_scene(one, nm):
    """Reflectance by Beer's law, written out from the tables for each pixel's composition, without what varies."""
    still = {"scatter_spread": 0, "residual_spread": 0, "path_spread": 0, "pigment_sd": 0, "blur_mm": 0}
    exact = {"lab_fat": 0, "lab_water": 0, "lab_protein": 0, "peak_width_nm": 1e4}  # as many counts in every band
    folder = one(**PLAIN, **still, **exact)
    cube = read_capture(folder / "belly_001")
    fat, mask = truth(folder)
    assert np.allclose(cube.values[~mask], ONE["conveyor"], atol=0.5 / 3200)
    with (folder / "references.csv").open() as file:
        reference = {name: float(value) for name, value in next(csv.DictReader(file)).items() if name in meat.CONTENTS}
    table = np.genfromtxt(meat.TABLES / "meat_spectra.csv", delimiter=",", names=True)
    d, band = meat.distributions(), np.abs(cube.wavelengths - nm).argmin()
    nm, fat = cube.wavelengths[band], fat[mask].astype(float)
    lean = 1 - fat / 100
    contents = {"fat": fat}
    for what in ("water", "protein"):  # what this belly has beside Tecator's line belongs to its lean
        line = d[f"{what}_at_no_fat"] + d[f"{what}_per_fat"] * fat
        contents[what] = line + (reference[what] - line.mean()) * lean / lean.mean()
    effects = {name: np.interp(nm, table["wavelength_nm"], table[name]) * (nm > 850) for name in table.dtype.names}
    absorbance = effects["mean"] + sum(effects[w] * (contents[w] - d[f"{w}_mean"]) for w in meat.CONTENTS)
    amounts = {what: values / 100 for what, values in contents.items()} | {"pigment": lean, "blood": 0}
    for what, centre, width, height in meat.BANDS:
        absorbance = absorbance + amounts[what] * height * np.exp(-((nm - centre) ** 2) / (2 * width**2))
    expected = 10 ** -(ONE["path_mean"] * absorbance + ONE["base_absorbance"] + ONE["lean_absorbance"] * lean)
    assert np.allclose(cube.values[mask][:, band], expected, atol=1 / 3200)  # half a count of scene and of white


def test_glints_saturate(one):
    counts, _ = read_counts(one(glint_strength=50) / "belly_001" / "capture" / "belly_001.hdr")
    assert counts.max() == 4095


def test_noise_is_what_the_knobs_say(one):
    folder = one(electrons_per_count=2, read_noise=10, reference_lines=400, column_gain=0, column_dark=0)
    white, dark = (
        np.asarray(read_counts(folder / "belly_001" / "capture" / f"{kind}REF_belly_001.hdr")[0], float)
        for kind in ("WHITE", "DARK")
    )
    rounding = 1 / 12
    assert dark.var() == pytest.approx(10**2 / 2 + rounding, rel=0.02)  # two bands are averaged
    signal = white.mean(axis=(0, 1)) - dark.mean()
    assert np.allclose(white.var(axis=(0, 1)), signal / (2 * 2) + 10**2 / 2 + rounding, rtol=0.08)


def test_references_are_the_truth_with_laboratory_error(tmp_path):
    phantom.make(tmp_path, TINY | {"samples": 40, "animals": 20, "sensor_bands": 2}, seed=1)
    rows = list(csv.DictReader((tmp_path / "references.csv").open()))
    means = np.array([fat[mask].mean() for fat, mask in (truth(tmp_path, row["id"]) for row in rows)])
    error = np.array([float(row["fat"]) for row in rows]) - means
    assert 0.35 < error.std() < 0.7  # 0.5 with 40 draws
    assert abs(error.mean()) < 0.3
    assert means.min() >= 19.5 and means.max() <= 70.5 and np.ptp(means) > 40
    total = np.array([sum(float(row[c]) for c in meat.CONTENTS) for row in rows])
    assert (np.abs(total - 98.9) < 4).all()  # the rest is ash; Tecator's samples sum to 91.8-101.5
    assert all(len(row["fat"].split(".")[1]) == 2 for row in rows)


def test_splits():
    splits = phantom._animals(SIZES["lesson"], np.random.default_rng(0))
    assert np.bincount([split for _, split, _ in splits]).tolist() == [10, 4, 4, 4, 4, 4]  # two bellies each


def test_an_animal_stays_in_one_split(tiny):
    rows = list(csv.DictReader((tiny / "references.csv").open()))
    by_animal = {}
    for row in rows:
        by_animal.setdefault(row["animal"], []).append(row["split"])
    assert [len(found) for found in by_animal.values()] == [2, 2, 2]
    assert all(len(set(found)) == 1 for found in by_animal.values())
    assert sorted(found[0] for found in by_animal.values()) == ["0", "1", "2"]


@pytest.mark.parametrize("size", ["lesson", "paper"])
def test_62_bands_are_left(size):
    nm = phantom.band_centres(SIZES[size])
    kept = nm[nm >= 750]
    assert len(kept) // (2 // SIZES[size]["binning"]) == 62
    assert (nm[0] - 386, 1015 - nm[-1]) < (1.5, 1.5)
    assert len(nm) - len(kept) == 176 // SIZES[size]["binning"]  # the published first band


@pytest.mark.parametrize(
    ("knob", "off", "measure", "direction"),
    [
        ("glint_share", 0, lambda r, fat, mask: r[mask].max(), "falls"),
        ("glint_strength", 0, lambda r, fat, mask: r[mask].max(), "falls"),
        # the darkest belly pixel at 577 nm, where blood absorbs
        ("blood_spots", 0, lambda r, fat, mask: r[mask][:, 44:47].mean(axis=1).min(), "rises"),
        ("edge_shadow", 0, lambda r, fat, mask: r[mask].mean(), "rises"),
        ("thickness_sd_mm", 0, lambda r, fat, mask: r[mask & (fat > 80)].std(axis=0).mean(), "falls"),
        ("tilt_per_mm", 0, lambda r, fat, mask: r[mask & (fat > 80)].std(axis=0).mean(), "falls"),
        ("scatter_spread", 0, lambda r, fat, mask: r[mask & (fat > 80)].std(axis=0).mean(), "falls"),
        ("residual_spread", 0, lambda r, fat, mask: r[mask & (fat > 80)][:, 125].std(), "falls"),
        ("path_spread", 0, lambda r, fat, mask: r[mask & (fat > 80)][:, 129].std(), "falls"),
        ("lean_absorbance", 0, lambda r, fat, mask: r[mask & (fat < 5)].mean(), "rises"),
        ("path_mean", 0, lambda r, fat, mask: np.ptp(r[mask].mean(axis=0)), "falls"),
        ("conveyor", 0, lambda r, fat, mask: r[~mask].mean(), "falls"),
        ("marbling_share", 0, lambda r, fat, mask: ((fat[mask] > 10) & (fat[mask] < 50)).mean(), "falls"),
        ("blur_mm", 6, lambda r, fat, mask: np.abs(np.diff(r.mean(axis=2), axis=1)).max(), "falls"),
        ("penetration_mm", 20, lambda r, fat, mask: r[mask].mean(), "falls"),
        ("adipose_fat", 70, lambda r, fat, mask: np.percentile(fat[mask], 99), "falls"),
        ("waviness_mm", 0, lambda r, fat, mask: np.abs(np.diff(fat, axis=0))[mask[1:]].mean(), "falls"),
    ],
)
def test_each_knob_acts(one, knob, off, measure, direction):
    # the other sources of variation are off, save the one through which this knob acts
    calm = {"scatter_spread", "residual_spread", "path_spread", "glint_share", "blood_spots", "tilt_per_mm"}
    calm -= {knob, {"glint_strength": "glint_share", "thickness_sd_mm": "tilt_per_mm"}.get(knob)}

    def measured(**knobs):
        folder = one(**(QUIET | dict.fromkeys(calm, 0) | knobs))
        return measure(read_capture(folder / "belly_001").values, *truth(folder))

    on, without = measured(), measured(**{knob: off})
    assert without < on if direction == "falls" else without > on


def test_shot_noise_and_column_gain(one):
    def spread(**knobs):
        folder = one(**(QUIET | knobs))
        white = np.asarray(read_counts(folder / "belly_001" / "capture" / "WHITEREF_belly_001.hdr")[0], float)
        return white[:, :, 60].std(axis=0).mean(), white[:, :, 60].mean(axis=0).std()

    assert spread() == (0, 0)
    along, across = spread(column_gain=0.02)
    assert along == 0 and across > 20
    assert spread(electrons_per_count=1)[0] > 20


def test_fat_peaks_at_929_nm_and_dips_at_975_nm():
    """Fat that replaces water and protein as it does in meat, beside the quadratic that the fit leaves free."""
    table = np.genfromtxt(meat.TABLES / "meat_spectra.csv", delimiter=",", names=True)
    d, nm = meat.distributions(), table["wavelength_nm"]
    effect = table["fat"] + d["water_per_fat"] * table["water"] + d["protein_per_fat"] * table["protein"]
    beside = effect - np.polyval(np.polyfit(nm - 950, effect, 2), nm - 950)
    assert nm[beside.argmax()] == pytest.approx(929, abs=1)
    assert nm[beside.argmin()] == pytest.approx(975, abs=1)
    assert d["residual_sd"] == pytest.approx(0.005, abs=0.0002)


def test_pure_tissue_looks_as_in_the_literature():
    """Water peaks near 970 nm and fat near 930 nm, and neither absorbs less than nothing."""
    nm, d = np.arange(850.0, 1016), meat.distributions()
    spectra = meat.constituent_spectra(nm, d)
    no_shift = {"water": 0, "protein": 0}

    def tissue(fat):
        contents = [fat] + [meat.composition(d, w, fat, no_shift) for w in ("water", "protein")]
        return spectra[0] + (np.array(contents) - [d[f"{w}_mean"] for w in meat.CONTENTS]) @ spectra[1:4]

    assert nm[tissue(3).argmax()] == pytest.approx(972, abs=6)
    assert nm[tissue(86).argmax()] == pytest.approx(930, abs=4)
    assert tissue(3).min() > -0.01 and tissue(86).min() > -0.01
    assert spectra.shape == (12, 166)


def test_spectra_have_no_step_where_tables_and_literature_meet():
    nm = np.arange(800.0, 900, 0.5)
    assert np.abs(np.diff(meat.constituent_spectra(nm, meat.distributions()), n=2, axis=1)).max() < 0.003


def test_tables_are_derived_from_tecator(mirror, tmp_path):
    script = ROOT / "benchmarks" / "datasets" / "derive_meat_spectra.py"
    subprocess.run([sys.executable, script, mirror / "tecator" / "tecator.csv", tmp_path], check=True)
    for name in ("meat_spectra.csv", "meat_distributions.csv"):
        committed, derived = (list(csv.reader((at / name).open())) for at in (meat.TABLES, tmp_path))
        assert committed[0] == derived[0]
        names = name == "meat_distributions.csv"
        assert [row[0] for row in committed] == [row[0] for row in derived]
        values = [np.array([row[names:] for row in rows[1:]], float) for rows in (committed, derived)]
        assert np.allclose(*values, atol=2e-4)


def test_permission_note_is_attached():
    note = (meat.TABLES / "tecator_permission.txt").read_text()
    assert note.count("Statement of permission from Tecator") == 1
    assert "The data can be redistributed as long as this permission note is attached." in note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glints": 1}, r"unknown \['glints'\]"),
        ({"rows": 0}, "'rows' is 0; expected a whole number from 1"),
        ({"rows": 48.5}, "'rows' is 48.5"),
        ({"samples": True}, "'samples' is True"),
        ({"pitch_mm": 0}, "'pitch_mm' is 0; expected a number above 0"),
        ({"read_noise": -1}, "'read_noise' is -1; expected 0 or more"),
        ({"read_noise": float("nan")}, "'read_noise' is nan"),
        ({"lab_fat": "0.5"}, "'lab_fat' is '0.5'"),
        ({"animals": 4}, "samples 6 is no multiple of animals 4"),
        ({"share_between": 0.9}, "sum to more than 1"),
    ],
)
def test_unusable_knobs(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        phantom.make(tmp_path, TINY | change, seed=0)
    assert not list(tmp_path.iterdir())


def test_missing_knob_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing \['blood_mm'\]"):
        phantom.make(tmp_path, {name: value for name, value in TINY.items() if name != "blood_mm"}, seed=0)
