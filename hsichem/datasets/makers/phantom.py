"""Pork bellies as a push-broom camera writes them, with the fat content of every pixel known.

The spectra rest on measurements (see meat); the scene and the camera are assumed, each effect with a knob.
"""

import copy
import csv
import tempfile
from pathlib import Path

import numpy as np
from scipy import fft, ndimage
from tqdm import tqdm

from hsichem._base import InputError, replacing
from hsichem.datasets.makers.meat import (
    BASELINES,
    CONTENTS,
    composition,
    constituent_spectra,
    distributions,
    draw_shift,
)
from hsichem.loaders import write_cube

COUNTED = frozenset("samples animals rows cols sensor_bands binning strips layers reference_lines".split())
DIVISORS = frozenset("pitch_mm length_mm width_mm penetration_mm edge_mm peak_width_nm electrons_per_count".split())
KNOBS = (COUNTED | DIVISORS).union(
    "first_nm last_nm dispersion fat_low fat_high side_sd waviness_mm lean_fat adipose_fat marbling_share marbling_mm "
    "path_mean path_spread scatter_spread residual_spread share_between share_smooth patch_mm pigment_sd blur_mm "
    "base_absorbance lean_absorbance thickness_mm thickness_sd_mm tilt_per_mm edge_shadow conveyor blood_spots "
    "blood_mm glint_share glint_mm glint_strength peak_nm white_level dark_level column_gain column_dark read_noise "
    "lab_fat lab_water lab_protein".split()
)
LINES = 16  # scan lines computed at once: 50 MB an array at full size


def make(folder, knobs: dict, seed: int, keep=None) -> None:
    """Write captures, references.csv and truth/ into `folder`; the same knobs and seed give the same bytes.

    knobs: a number for exactly the names in KNOBS; values and meanings stand in data_manifest.yaml.
    `<id>/capture/` holds `<id>`, `WHITEREF_<id>` and `DARKREF_<id>`, each .raw and .hdr: uint16 counts of 12 bits.
    references.csv: id, split (0 test, 1-5 folds), animal; fat, water, protein of the whole belly in % w/w, with
    laboratory error. truth/<id>.npy: (rows, cols) float32 % fat, 0 beside the belly; truth/<id>_mask.npy: bool.
    keep(name): called when the capture of a belly is complete, to keep something else of it.
    A third of the animals is the test set; an animal's bellies share a split. Raises InputError on unusable knobs.
    """
    _check(knobs)
    folder, table, statistics = Path(folder), [], distributions()
    for index in tqdm(range(knobs["samples"]), desc="phantom bellies", unit="belly"):
        name = f"belly_{index + 1:03d}"
        (animal, split, _), tissue, optics, rng = _belly(knobs, statistics, seed, index)
        _record(folder / name / "capture", name, knobs, optics, statistics, rng, rng)
        if keep:
            keep(name)
        for suffix, values in (("", tissue["fat"].astype(np.float32)), ("_mask", tissue["mask"])):
            with replacing(folder / "truth" / f"{name}{suffix}.npy") as path, open(path, "wb") as file:
                np.save(file, values)
        fat = tissue["fat"][tissue["mask"]].mean()
        values = (fat, *(composition(statistics, what, fat, optics["shift"]) for what in CONTENTS[1:]))
        values = [value + knobs[f"lab_{w}"] * rng.standard_normal() for w, value in zip(CONTENTS, values, strict=True)]
        table.append([name, split, animal, *(f"{value:.2f}" for value in values)])
    with replacing(folder / "references.csv") as path, open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "split", "animal", *CONTENTS), *table])


def expose_again(folder, knobs: dict, seed: int, index: int, times: int, camera_seed) -> None:
    """Write `times` more captures of the belly of that index, `<number>/capture/`: only the camera's noise is new."""
    statistics, cameras = distributions(), np.random.default_rng(camera_seed).spawn(times)
    _, _, optics, rng = _belly(knobs, statistics, seed, index)
    for number, camera in enumerate(cameras):
        name, sensor = f"{number:03d}", copy.deepcopy(rng)  # the same sensor each time
        _record(Path(folder) / name / "capture", name, knobs, optics, statistics, sensor, camera)


def _belly(knobs, statistics, seed, index) -> tuple:
    """The animal, tissue and optics of a belly, and the Generator that drew them; no belly depends on the others."""
    first, *seeds = np.random.SeedSequence(seed).spawn(1 + knobs["samples"])
    animals = _animals(knobs, np.random.Generator(np.random.PCG64(first)))
    animal, rng = (
        animals[index * knobs["animals"] // knobs["samples"]],
        np.random.Generator(np.random.PCG64(seeds[index])),
    )
    fat = np.clip(animal[2] + knobs["side_sd"] * rng.standard_normal(), knobs["fat_low"], knobs["fat_high"])
    tissue = draw_tissue(knobs, fat, rng)
    return animal, tissue, draw_optics(knobs, statistics, tissue, rng), rng


def band_centres(knobs: dict) -> np.ndarray:
    """(bands,) nm after binning. A spectrograph's step grows along the sensor, by 2 `dispersion` a band."""
    i, last = np.arange(knobs["sensor_bands"]), knobs["sensor_bands"] - 1
    step = (knobs["last_nm"] - knobs["first_nm"]) / last - knobs["dispersion"] * last
    nm = knobs["first_nm"] + step * i + knobs["dispersion"] * i**2
    return nm.reshape(-1, knobs["binning"]).mean(axis=1).round(2)


def draw_tissue(knobs: dict, mean_fat: float, rng: np.random.Generator) -> dict:
    """One belly as (rows, cols) maps: fat in % w/w (0 beside it), mask, and the distances to edge and cut in mm.

    The slab is cut lengthwise into strips, laid side by side with the cut faces up, so that layers of adipose and
    lean tissue run along the rows. A pixel across a border holds its share of both. mean_fat: % w/w of the belly.
    """
    shape, pitch = (knobs["rows"], knobs["cols"]), knobs["pitch_mm"]
    row, col = ((np.arange(n) - (n - 1) / 2) * pitch for n in shape)
    outline = (row[:, None] / (knobs["length_mm"] / 2)) ** 6 + (col / (knobs["width_mm"] / 2)) ** 6
    mask = outline < 1 + 0.15 * field(rng, shape, 25 / pitch)
    strip_mm = knobs["width_mm"] / knobs["strips"]
    across = (col + knobs["width_mm"] / 2) / strip_mm  # in strips
    shift = 0.05 * rng.standard_normal(knobs["strips"] + 2)  # the knife is never set twice the same
    depth = across + shift[np.clip(across.astype(int) + 1, 0, knobs["strips"] + 1)] + rng.uniform()
    depth = depth + knobs["waviness_mm"] / strip_mm * field(rng, shape, 20 / pitch, stretch=3)

    streaks = field(rng, shape, knobs["marbling_mm"] / pitch, stretch=3)
    streaks = 0.6 * np.clip(streaks - np.quantile(streaks, 1 - knobs["marbling_share"]), 0, 1)
    lean = knobs["lean_fat"] * np.exp(0.2 * field(rng, shape, 15 / pitch))
    adipose = np.minimum(knobs["adipose_fat"] + 2 * field(rng, shape, 8 / pitch), 97)
    lean += streaks * (adipose - lean)
    layers = np.cos(2 * np.pi * knobs["layers"] * depth) + 0.35 * field(rng, shape, 15 / pitch, stretch=3)
    share = np.clip((mean_fat - lean[mask].mean()) / (adipose - lean)[mask].mean(), 0, 1)
    layers -= np.quantile(layers[mask], 1 - share)
    per_pixel = np.hypot(*np.gradient(layers)) + 1e-9
    fat = lean + np.clip(0.5 + layers / per_pixel, 0, 1) * (adipose - lean)
    return {
        "fat": fat.round(3) * mask,
        "mask": mask,
        "edge": ndimage.distance_transform_edt(mask) * pitch,
        "cut": np.broadcast_to(np.abs(across - across.round()) * strip_mm, shape),
    }


def draw_optics(knobs: dict, statistics: dict, tissue: dict, rng: np.random.Generator) -> dict:
    """What the light meets: `amounts` (12, rows, cols) of constituent_spectra, and `gain` and `floor` (rows, cols):
    reflectance = gain * 10**-absorbance + floor. `shift`: this belly's water and protein beside what its fat implies.
    """
    shape, pitch, mask = tissue["mask"].shape, knobs["pitch_mm"], tissue["mask"]

    def blurred(values):  # light spreads sideways in the tissue before it returns
        return ndimage.gaussian_filter(values, knobs["blur_mm"] / pitch, mode="constant")

    cover = blurred(mask.astype(float))
    fat = blurred(tissue["fat"]) / np.maximum(cover, 1e-6)
    shift = draw_shift(statistics, rng)
    amounts = _amounts(knobs, statistics, fat, shift, mask, rng)

    thickness = np.maximum(knobs["thickness_mm"] + knobs["thickness_sd_mm"] * field(rng, shape, 40 / pitch), 1)
    shade = 1 + knobs["tilt_per_mm"] * (thickness - knobs["thickness_mm"])  # nearer the lamp is brighter
    shade *= 1 - knobs["edge_shadow"] * np.exp(-np.minimum(tissue["edge"], tissue["cut"]) / knobs["edge_mm"])
    thickness *= 1 - np.exp(-tissue["edge"] / knobs["edge_mm"])  # a rounded rim
    through = np.exp(-thickness / knobs["penetration_mm"])  # light that reaches the conveyor
    wet = field(rng, shape, knobs["glint_mm"] / pitch)
    glint = knobs["glint_strength"] * mask * np.maximum(wet - np.quantile(wet, 1 - knobs["glint_share"]), 0)
    floor = knobs["conveyor"] * (cover * shade * through + 1 - cover) + glint
    return {"amounts": amounts, "gain": cover * shade * (1 - through), "floor": floor, "shift": shift}


def _amounts(knobs, statistics, fat, shift, mask, rng) -> np.ndarray:
    """(12, rows, cols) that multiply constituent_spectra; path, baselines and residuals vary as Tecator's do."""
    between, smooth = knobs["share_between"], knobs["share_smooth"]

    def mixed():  # variance 1: a share per belly, a share in patches, the rest pixel by pixel
        patches = np.sqrt(smooth) * field(rng, fat.shape, knobs["patch_mm"] / knobs["pitch_mm"])
        rest = np.sqrt(1 - between - smooth) * rng.standard_normal(fat.shape)
        return np.sqrt(between) * rng.standard_normal() + patches + rest

    pigment = (1 - fat / 100) * np.exp(knobs["pigment_sd"] * rng.standard_normal())
    residuals = [knobs["residual_spread"] * mixed() for _ in range(3)]
    draws = [mixed() for _ in range(4)]
    log_path, *baselines = (
        sum(statistics[f"{name}_{j + 1}"] * draws[j] for j in range(i + 1))
        for i, name in enumerate(("path", *BASELINES))
    )
    water, protein = (composition(statistics, what, fat, shift) for what in CONTENTS[1:])
    contents = zip(CONTENTS, (fat, water, protein), strict=True)
    deviations = [values - statistics[f"{what}_mean"] for what, values in contents]
    absorbers = [np.ones(fat.shape), *deviations, pigment, _blood(knobs, mask, rng), *residuals]
    path = knobs["path_mean"] * np.exp(knobs["path_spread"] * log_path)
    baselines = [knobs["scatter_spread"] * values for values in baselines]
    baselines[0] += knobs["base_absorbance"] + knobs["lean_absorbance"] * (1 - fat / 100)
    return np.stack([*(path * amount for amount in absorbers), *baselines])


def field(rng: np.random.Generator, shape: tuple, pixels: float, stretch: float = 1) -> np.ndarray:
    """Gaussian random field, mean 0, variance 1: white noise smoothed over `pixels`, further along the rows."""
    spectrum = ndimage.fourier_gaussian(fft.rfft2(rng.standard_normal(shape)), (stretch * pixels, pixels), shape[1])
    smooth = fft.irfft2(spectrum, shape)
    return (smooth - smooth.mean()) / smooth.std()


def _blood(knobs, mask, rng) -> np.ndarray:
    """(rows, cols) haemoglobin: round spots that fade outwards, 1 in the middle of one."""
    blood, inside = np.zeros(mask.shape), np.argwhere(mask)
    row, col = np.ogrid[: mask.shape[0], : mask.shape[1]]
    for _ in range(rng.poisson(knobs["blood_spots"])):
        centre, radius = rng.choice(inside), knobs["blood_mm"] * rng.uniform(0.5, 2) / knobs["pitch_mm"]
        blood += np.exp(-((row - centre[0]) ** 2 + (col - centre[1]) ** 2) / (2 * radius**2))
    return blood


def _record(folder, name, knobs, optics, statistics, rng, camera) -> None:
    """Expose white, dark and scene, line by line. float64 throughout: rounding to counts then hides the last bits,
    in which processors and thread counts differ. rng draws the sensor, camera the noise."""
    wavelengths = band_centres(knobs)
    spectra = constituent_spectra(wavelengths, statistics)
    rows, cols = optics["gain"].shape
    light = np.exp(-0.5 * ((wavelengths - knobs["peak_nm"]) / knobs["peak_width_nm"]) ** 2)  # lamp times sensor
    per_unit = knobs["white_level"] * np.outer(light, 1 + knobs["column_gain"] * rng.standard_normal(cols))
    dark = knobs["dark_level"] + knobs["column_dark"] * rng.standard_normal(cols)
    electrons = knobs["electrons_per_count"] * knobs["binning"]  # binned bands are averaged, so are their noises
    read = knobs["read_noise"] / np.sqrt(knobs["binning"])

    def expose(reflectance):  # (lines, bands, cols) -> counts
        signal = per_unit * reflectance
        noise = np.sqrt(signal / electrons + read**2) * camera.standard_normal(signal.shape)
        return np.clip(np.rint(dark + signal + noise), 0, 4095).astype(np.uint16)

    def write(prefix, counts):
        metadata = {"description": f"phantom {name}", "pixel pitch mm": knobs["pitch_mm"]}
        write_cube(folder / f"{prefix}{name}.hdr", counts.transpose(0, 2, 1), wavelengths, metadata)

    ones = np.ones((knobs["reference_lines"], len(wavelengths), cols))
    write("WHITEREF_", expose(ones))
    write("DARKREF_", expose(0 * ones))
    with tempfile.TemporaryFile(dir=folder) as scratch:
        for start in range(0, rows, LINES):  # written, not mapped: a full disk is then an error, not a bus error
            expose(reflectance(optics, spectra, slice(start, start + LINES))).tofile(scratch)
        write("", np.memmap(scratch, np.uint16, "r", shape=(rows, len(wavelengths), cols)))


def reflectance(optics: dict, spectra: np.ndarray, block: slice) -> np.ndarray:
    """(lines, bands, cols) float64: the noise-free scene of some rows, as an ideal camera would see it."""
    absorbance = spectra.T @ optics["amounts"][:, block].transpose(1, 0, 2)
    return optics["gain"][block, None] * 10.0**-absorbance + optics["floor"][block, None]


def _animals(knobs, rng) -> list:
    """(name, split, nominal fat) of each animal: fat spread evenly over the range, in random order."""
    n = knobs["animals"]
    test = round(n / 3)
    splits = [0] * test + [1 + i % 5 for i in range(n - test)]
    fat = rng.permutation(np.linspace(knobs["fat_low"], knobs["fat_high"], n))
    return [(f"animal_{i + 1:02d}", split, fat[i]) for i, split in enumerate(splits)]


def _check(knobs) -> None:
    unknown, missing = sorted(set(knobs) - KNOBS), sorted(KNOBS - set(knobs))
    if unknown or missing:
        raise InputError(f"phantom knobs: unknown {unknown}, missing {missing}; give exactly the manifest's names.")
    for name, value in knobs.items():
        whole, least = name in COUNTED, 1 if name in COUNTED else 0
        good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (good and least <= value < np.inf) or (name in DIVISORS and value == 0):
            kind = "a whole number from 1" if whole else "a number above 0" if name in DIVISORS else "0 or more"
            raise InputError(f"phantom knob {name!r} is {value!r}; expected {kind}.")
    for total, part in (("samples", "animals"), ("sensor_bands", "binning")):
        if knobs[total] % knobs[part]:
            raise InputError(f"phantom knobs: {total} {knobs[total]} is no multiple of {part} {knobs[part]}.")
    if knobs["share_between"] + knobs["share_smooth"] > 1:
        raise InputError("phantom knobs: share_between and share_smooth sum to more than 1; lower one.")
