"""Mosaics of real near-infrared pixels with known pixel truth, from images of weighed mineral mixtures.

A well-mixed powder is homogeneous, so the mixture's composition is the truth of each of its pixels. A mosaic lays
pixels of several mixtures side by side: the spectra and their noise are a camera's, only the scene is made.
"""

import csv
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.io import loadmat

from hsichem._base import InputError, replacing
from hsichem.loaders import write_cube

# file -> column of the abundance table; the names' numbers are not the abundances (see the manifest's doubts)
MIXTURES = {f"Fe_Al_{name}": column for column, name in enumerate((125, 25, 375, 50, 625, 75, 875))}
PURE = {"Pure_Al_from_Al_Si": 0.0, "Pure_Fe": 100.0}  # % iron
EDGE = 30  # pixels along the side of a source image
REPLICATES = {0: 2, 1: 0, 2: 1}  # split -> replicate: what is held out was measured at another time, on other powder


def make(folder, knobs: dict, seed: int, source) -> None:
    """Write the mosaics `<id>/<id>.hdr|.raw`, their truth/<id>.npy (% iron) and references.csv into `folder`.

    knobs: `calibration` and `test` (numbers of mosaics), `side` (pixels), `regions` (per mosaic), `evenness` (of the
    Dirichlet weights of the mixtures: smaller means fewer mixtures per mosaic and a wider spread of means), `warp`
    (pixels by which noise bends the regions' borders) and `reference_error` (standard deviation, % iron).
    source: the folder that holds Fe_Al/. Folds 1 and 2 and the test set (split 0) have a replicate each, so that splits
    share no source pixel; the mosaics of a fold do, and are one group.
    The same seed gives the same bytes. Raises InputError for a file that is not as documented.
    """
    folder, rows = Path(folder), []
    pixels, iron, wavelengths = read_mixtures(source)
    for index in range(knobs["calibration"] + knobs["test"]):
        split = 1 + index % 2 if index < knobs["calibration"] else 0
        rng = np.random.default_rng([seed, index])  # a mosaic does not change when others are added
        labels = irregular_regions(knobs["side"], knobs["regions"], knobs["warp"], rng)
        weights = rng.dirichlet(np.full(len(iron), knobs["evenness"]))
        cube = np.empty((*labels.shape, len(wavelengths)), dtype=np.float32)
        truth = np.empty(labels.shape, dtype=np.float32)
        for region in np.unique(labels):
            mixture = rng.choice(len(iron), p=weights)
            image = pixels[mixture, REPLICATES[split]]
            inside = labels == region
            cube[inside] = image[tiled_indices(knobs["side"], rng)[inside]]
            truth[inside] = iron[mixture]
        name = f"mosaic{index + 1:03d}"
        write_cube(folder / name / f"{name}.hdr", cube, wavelengths, {"description": "real pixels, made scene"})
        with replacing(folder / "truth" / f"{name}.npy") as path, open(path, "wb") as file:
            np.save(file, truth)
        reference = truth.mean(dtype=np.float64) + rng.normal(0, knobs["reference_error"])
        rows.append((name, split, f"replicate {REPLICATES[split]}" if split else name, f"{reference:.3f}"))
    with replacing(folder / "references.csv") as path, open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "split", "group", "iron"), *rows])


def read_mixtures(source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The source images: pixels (mixtures, 3 replicates, 900, bands) float32, iron (mixtures,) % and wavelengths nm.

    Pure Al has five replicates; the first three are used, as for the others.
    """
    folder = Path(source) / "Fe_Al"
    abundance = loadmat(folder / "Abundance_FeAl.mat")["Abundance_FeAl"]  # (2, 7), row 0 iron
    iron = PURE | {name: 100 * abundance[0, column] for name, column in MIXTURES.items()}
    names = sorted(iron, key=iron.get)
    images, wavelengths = [], None
    for name in names:
        file = loadmat(folder / f"{name}.mat")
        nm = file["lambda"].ravel()
        replicates = np.stack([file[f"{name.removesuffix('_from_Al_Si')}_{number}"] for number in range(3)])
        if replicates.shape[1:] != (EDGE, EDGE, nm.size) or (wavelengths is not None and (nm != wavelengths).any()):
            raise InputError(
                f"{folder / name}.mat: images of shape {replicates.shape[1:]} for {nm.size} wavelengths; expected "
                f"({EDGE}, {EDGE}, bands) at the wavelengths of the other mixtures. Fetch the files again."
            )
        images.append(replicates.reshape(3, EDGE * EDGE, nm.size).astype(np.float32))
        wavelengths = nm
    return np.stack(images), np.array([iron[name] for name in names]), wavelengths


def irregular_regions(side: int, regions: int, warp: float, rng: np.random.Generator) -> np.ndarray:
    """(side, side) int labels: nearest of `regions` random points, seen through a smooth random displacement."""
    points = rng.uniform(0, side, (regions, 2))
    here = np.indices((side, side)).reshape(2, -1).T.astype(np.float64)
    for axis in range(2):
        noise = ndimage.gaussian_filter(rng.standard_normal((side, side)), side / 16, mode="wrap")
        here[:, axis] += warp * (noise / noise.std()).ravel()
    distance = ((here[:, None] - points[None]) ** 2).sum(axis=2)  # (pixels, regions)
    return distance.argmin(axis=1).reshape(side, side)


def tiled_indices(side: int, rng: np.random.Generator) -> np.ndarray:
    """(side, side) int: which of a source image's 900 pixels lies where.

    The plane is tiled with the whole image, each tile flipped at random, from a random offset. Tiles are not turned:
    lines of the camera stay lines, and so does the noise they share.
    """
    image = np.arange(EDGE * EDGE).reshape(EDGE, EDGE)
    flipped = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
    across = -(-side // EDGE) + 1
    plane = np.block([[flipped[rng.integers(4)] for _ in range(across)] for _ in range(across)])
    row, col = rng.integers(EDGE, size=2)
    return plane[row : row + side, col : col + side]
