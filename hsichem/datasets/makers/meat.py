"""Meat's absorbance from 386 to 1015 nm: what fat, water, protein and pigments do to a spectrum.

Measured at 850-1050 nm: Tecator's meat samples (Tecator Infratec Food and Feed Analyzer), fitted by
benchmarks/datasets/derive_meat_spectra.py; their note is tables/tecator_permission.txt. Assumed elsewhere: bands at
positions from the literature. Adipose tissue (86 % fat) extrapolates Tecator, whose fattest sample has 58.5 %.
"""

import csv
from pathlib import Path

import numpy as np

TABLES = Path(__file__).parent / "tables"
CONTENTS = ("fat", "water", "protein")
ABSORBERS = ("mean", *CONTENTS, "pigment", "blood", "residual_1", "residual_2", "residual_3")
BASELINES = ("offset", "slope", "curvature")
# Absorbance at path 1: (what, centre nm, width nm as standard deviation, height). Positions: water, Kou et al. 1993,
# doi 10.1364/AO.32.003531; fat and its carotenoids, van Veen et al. 2005, doi 10.1117/1.2085149; myoglobin, Bowen
# 1949, J. Biol. Chem. 179:235; haemoglobin, Jacques 2013, doi 10.1088/0031-9155/58/11/R37. The heights are ours.
BANDS = [
    *[("water", 740, 16, 0.05), ("water", 838, 16, 0.03)],  # of 100 % water
    *[("fat", 415, 15, 1.4), ("fat", 450, 22, 1.2), ("fat", 484, 12, 0.5), ("fat", 760, 12, 0.06)],  # of 100 % fat
    *[("pigment", 418, 20, 6.0), ("pigment", 505, 30, 0.9), ("pigment", 544, 14, 2.5), ("pigment", 579, 11, 2.3)],
    *[("pigment", 632, 16, 0.4), ("pigment", 760, 18, 0.06)],  # of lean with average myoglobin
    *[("blood", 415, 22, 9.0), ("blood", 542, 14, 5.5), ("blood", 577, 11, 5.5)],  # of the middle of a spot
    *[("blood", 760, 20, 0.15), ("blood", 920, 90, 0.5)],
]


def constituent_spectra(wavelengths: np.ndarray, statistics: dict) -> np.ndarray:
    """(12, bands) absorbance: ABSORBERS at path 1 (contents per % away from Tecator's mean), then BASELINES.

    Tecator's effects are 0 with slope 0 at 850 nm, so they join the literature's bands without a step.
    """
    with open(TABLES / "meat_spectra.csv", newline="") as file:
        table = {name: np.array(column, float) for name, *column in zip(*csv.reader(file), strict=True)}
    nm = table.pop("wavelength_nm")
    rows = {name: np.interp(wavelengths, nm, table.get(name, 0 * nm)) for name in ABSORBERS}
    for name in ABSORBERS[-3:]:  # residuals are not 0 at 850 nm: they fade out below it
        rows[name] *= np.exp(-(((nm[0] - np.minimum(wavelengths, nm[0])) / 25) ** 2))
    for what, centre, width, height in BANDS:
        band = height * np.exp(-0.5 * ((wavelengths - centre) / width) ** 2)
        if what in CONTENTS:
            rows["mean"] += band / 100 * statistics[f"{what}_mean"]
            band /= 100
        rows[what] += band
    x = (wavelengths - 950) / 100  # Tecator's baselines are quadratic in x; below 850 nm they level off at x = -2
    x = np.where(x < -1, np.exp(np.minimum(x, -1) + 1) - 2, x)
    return np.stack([*rows.values(), x**0, x, x**2])


def composition(statistics: dict, what: str, fat, shift: dict):
    """Water or protein in % w/w that goes with `fat`, on Tecator's line; a belly's own `shift` is in its lean part."""
    return statistics[f"{what}_at_no_fat"] + statistics[f"{what}_per_fat"] * fat + shift[what] * (1 - fat / 100)


def draw_shift(statistics: dict, rng: np.random.Generator) -> dict[str, float]:
    """A belly's own water and protein, % w/w beside what its fat implies, correlated as in Tecator."""
    r = statistics["water_protein_correlation_given_fat"]
    water, other = rng.standard_normal(2)
    protein = r * water + np.sqrt(1 - r**2) * other
    return {"water": water * statistics["water_sd_given_fat"], "protein": protein * statistics["protein_sd_given_fat"]}


def distributions() -> dict[str, float]:
    """How Tecator's samples vary: contents, what goes with a fat content, path length and baseline (as a Cholesky
    factor of their covariance: `path_1`, `offset_1`, `offset_2`, ... multiply standard normal draws)."""
    with open(TABLES / "meat_distributions.csv", newline="") as file:
        return {row["quantity"]: float(row["value"]) for row in csv.DictReader(file)}
