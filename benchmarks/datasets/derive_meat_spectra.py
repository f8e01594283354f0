"""Tecator's meat absorbances -> the two small tables that the phantom draws its spectra from.

    python benchmarks/datasets/derive_meat_spectra.py <tecator.csv> <folder for the tables>

Model (extended multiplicative signal correction; Martens & Stark 1991, doi 10.1016/0731-7085(91)80188-F):
    A_i = path_i * (mean + fat_i * e_fat + water_i * e_water + protein_i * e_protein) + quadratic_i + residual_i
with centred contents in % w/w, fitted by alternating least squares: effects with path and quadratic held, then
path and quadratic per sample with the effects held. Plain least squares fails: the three contents nearly sum
to 100 % and the path length varies four-fold.
"""

import csv
import sys
from pathlib import Path

import numpy as np

CONTENTS = ("fat", "water", "protein")
SCALES = ("path", "offset", "slope", "curvature")
RESIDUALS = 3  # components; they hold 94 % of the residual variance


def read_tecator(path):
    """(216, 100) absorbance and (216, 3) fat, water, protein in % w/w, the 24 repeated rows left out."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [f"absorbance_{i}" for i in range(1, 101)] + ["fat", "moisture", "protein"]
    distinct = dict.fromkeys(tuple(float(row[name]) for name in columns) for row in rows)
    return np.split(np.array(list(distinct)), [100], axis=1)


def fit(absorbance, contents, quadratic, rounds=500):
    """Alternating least squares: (4, 100) mean and effects; (216, 4) path and quadratic; (216, 100) residuals."""
    design = np.column_stack([np.ones(len(contents)), contents - contents.mean(axis=0)])
    path, baseline = np.ones(len(design)), np.zeros_like(absorbance)
    for _ in range(rounds):
        effects = np.linalg.lstsq(design * path[:, None], absorbance - baseline, rcond=None)[0]
        shapes = design @ effects
        scales = np.array(
            [
                np.linalg.lstsq(np.column_stack([shape, quadratic]), row, rcond=None)[0]
                for shape, row in zip(shapes, absorbance, strict=True)
            ]
        )
        path = scales[:, 0] = scales[:, 0] / scales[:, 0].mean()
        baseline = scales[:, 1:] @ quadratic.T
    return effects, scales, absorbance - path[:, None] * shapes - baseline


def anchor(effects, quadratic):
    """The fit leaves a quadratic per effect free. Choose it as chemistry does: neither fat, water nor protein
    has a band at 850 nm (value and slope 0), and the bands are over at 1050 nm (value 0)."""
    ends = np.stack([quadratic[0], quadratic[3] - quadratic[0], quadratic[-1]])
    values = np.stack([effects[:, 0], effects[:, 3] - effects[:, 0], effects[:, -1]])
    return effects - (quadratic @ np.linalg.solve(ends, values)).T


def main(source, folder):
    absorbance, contents = read_tecator(source)
    wavelengths = np.linspace(850, 1050, 100)
    quadratic = np.vander(np.linspace(-1, 1, 100), 3, increasing=True)  # in (nm - 950) / 100
    effects, scales, residuals = fit(absorbance, contents, quadratic)
    effects = anchor(effects, quadratic)
    _, sizes, shapes = np.linalg.svd(residuals, full_matrices=False)
    signs = np.sign(shapes[np.arange(100), np.abs(shapes).argmax(axis=1)])  # svd leaves the sign open
    loadings = (sizes * signs / np.sqrt(len(residuals)))[:RESIDUALS, None] * shapes[:RESIDUALS]
    write(
        folder / "meat_spectra.csv",
        ["wavelength_nm", "mean", *CONTENTS, *(f"residual_{i + 1}" for i in range(RESIDUALS))],
        [
            [f"{w:.2f}", *(f"{v:.6f}" for v in row)]
            for w, row in zip(wavelengths, np.vstack([effects, loadings]).T, strict=True)
        ],
    )

    # What composition explains of path and baseline belongs to light sent *through* minced meat, so keep the rest.
    design = np.column_stack([np.ones(len(contents)), contents])
    scales[:, 0] = np.log(scales[:, 0])
    spread = scales - design @ np.linalg.lstsq(design, scales, rcond=None)[0]
    on_fat = design[:, :2]
    line = np.linalg.lstsq(on_fat, contents[:, 1:], rcond=None)[0]
    off_line = contents[:, 1:] - on_fat @ line
    rows = [[f"{name}_mean", contents[:, i].mean()] for i, name in enumerate(CONTENTS)]
    for i, name in enumerate(CONTENTS[1:]):
        rows += [[f"{name}_at_no_fat", line[0, i]], [f"{name}_per_fat", line[1, i]]]
        rows += [[f"{name}_sd_given_fat", off_line[:, i].std()]]
    rows += [["water_protein_correlation_given_fat", np.corrcoef(off_line.T)[0, 1]], ["residual_sd", residuals.std()]]
    factor = np.linalg.cholesky(np.cov(spread.T))  # draws = factor @ standard normals
    rows += [[f"{SCALES[i]}_{j + 1}", factor[i, j]] for i in range(4) for j in range(i + 1)]
    write(folder / "meat_distributions.csv", ["quantity", "value"], [[name, f"{value:.6f}"] for name, value in rows])


def write(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
