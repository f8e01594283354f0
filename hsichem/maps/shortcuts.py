"""Images from which something is missing: a predictor that does not miss it never used it."""

import dataclasses

import numpy as np

from hsichem._base import InputError
from hsichem.cubes.cube import Cube


def shortcut_cubes(cube: Cube, average, seed: int) -> dict[str, Cube]:
    """Three images without the spatial or spectral information of `cube`; the background is kept in all of them.

    average: (bands,) mean spectrum of other images, in the units of the cube; seed: of the shuffle.
    Returns "pixels shuffled": the spectra of the mask in random places, so that all spectra are there and no structure;
    "mean spectrum": each spectrum of the mask replaced by their mean; "mask alone": each replaced by `average`, so that
    of the sample only its outline is left, and what surrounds it.
    A predictor that keeps its mean prediction on one of them did not use what is missing there. On the mask alone
    nothing can be known of the sample, so whatever still varies between images is a shortcut.
    Raises InputError when the mask is empty or `average` has another number of bands.
    """
    average = np.asarray(average)
    if average.shape != cube.wavelengths.shape:
        raise InputError(f"average has shape {average.shape}; expected {cube.wavelengths.shape}, one value per band.")
    mask, spectra = cube.foreground, cube.values[cube.foreground]
    inside = {
        "pixels shuffled": np.random.default_rng(seed).permutation(spectra),
        "mean spectrum": cube.mean_spectrum(),
        "mask alone": average,
    }
    cubes = {}
    for name, replaced in inside.items():
        values = cube.values.copy()
        values[mask] = replaced
        cubes[name] = dataclasses.replace(cube, values=values)
    return cubes
