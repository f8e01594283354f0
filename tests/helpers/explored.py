"""A small image and maps of it, for the tests of the explorer."""

import numpy as np

from hsichem import Cube
from hsichem.lab import explore
from hsichem.pls import fit_pls

SQUARE = {"square": [(4, 2), (14, 2), (14, 10), (4, 10)]}


def small_cube(rows=20, cols=14, bands=12, seed=0, name="small"):
    rng = np.random.default_rng(seed)
    mask = np.zeros((rows, cols), bool)
    mask[2:-2, 1:-1] = True
    values = rng.uniform(0.2, 0.9, (rows, cols, bands))
    return Cube(values, np.linspace(750, 1000, bands), mask, 0.5, name)


def small_maps(cube, seed=1):
    rng = np.random.default_rng(seed)
    full = np.where(cube.mask, rng.uniform(-40, 150, cube.mask.shape), np.nan)
    half = rng.uniform(10, 60, (cube.mask.shape[0] // 2, cube.mask.shape[1] // 2))
    return {"PLS": full, "U-Net": half, "PLS Q": np.abs(full)}


def explored(regions=(), pins=(), **of_cube):
    """The explorer of the small maps, with these regions and pins."""
    cube = small_cube(**of_cube)
    explorer = explore(small_maps(cube), cube)
    explorer.regions, explorer.pins = dict(regions), list(pins)
    return explorer


def small_model(cube, components, preprocessing=None):
    rng = np.random.default_rng(2)
    spectra = rng.uniform(0.2, 0.9, (15, len(cube.wavelengths)))
    y = 40 + 30 * spectra[:, 3] - 20 * spectra[:, 7] + rng.normal(0, 1, 15)
    return fit_pls(spectra, y, n_components=components, preprocessing=preprocessing)
