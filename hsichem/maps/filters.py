"""What a network has to beat: cheap remedies for the noise of a linear map. None of them sees a test image."""

import warnings

import numpy as np

from hsichem._base import InputError
from hsichem.maps.variogram import fit_variogram, masked_values, pooled_variogram
from hsichem.pls import fit_pls


def components_by_nugget(spectra, y, cubes, groups=None, max_components=20, preprocessing=None, seed=0):
    """PLS components for a map: the count with the least RMSECV^2 + nugget, and the nuggets.

    What all pixels of an image share (RMSECV) and noise from pixel to pixel (nugget) add up to the squared error of a
    pixel; cross-validation on mean spectra sees the first only. spectra (n, bands), y (n,), groups, max_components,
    preprocessing, seed: as for `fit_pls`. cubes: {id: Cube}, some of the calibration images, on which the nugget is
    measured: spherical model, all pairs of all of them up to a quarter of the smaller side.
    Returns the count and the nuggets of 1..A components, (A,) in the unit of y squared.
    """
    cv = fit_pls(spectra, y, groups, preprocessing=preprocessing, seed=seed, max_components=max_components).cv
    masks = {name: cube.foreground for name, cube in cubes.items()}
    longest = max(8, min(min(mask.shape) for mask in masks.values()) // 4)
    largest, nuggets = fit_pls(spectra, y, n_components=len(cv.rmsecv), preprocessing=preprocessing), []
    for count in range(1, len(cv.rmsecv) + 1):
        model = largest.with_components(count)
        points = pooled_variogram({name: model.predict_map(cube) for name, cube in cubes.items()}, masks, longest)
        with warnings.catch_warnings():  # of a sill beyond these distances, which the nugget does not depend on
            warnings.simplefilter("ignore")
            nuggets.append(fit_variogram(*points, "spherical").nugget)
    return 1 + int(np.argmin(cv.rmsecv**2 + nuggets)), np.array(nuggets)


def median_filtered(map, mask, side: int) -> np.ndarray:
    """(rows, cols) float32: of each pixel of the mask, the median of the pixels of the mask in a square around it.

    map, mask: (rows, cols); side: of the square, in pixels, odd. NaN outside the mask. (scipy.ndimage.median_filter
    would take what lies outside the mask into the median.) Raises InputError as `masked_values` does, and for
    an even side.
    """
    if side % 2 == 0:
        raise InputError(f"side is {side}; expected an odd number of pixels, so that the square has a middle.")
    masked_values(map, mask)  # refuses what cannot be filtered
    padded = np.pad(np.where(mask, map, np.nan).astype(np.float32), side // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    out = np.full(mask.shape, np.nan, np.float32)
    out[mask] = np.nanmedian(windows[mask].reshape(-1, side * side), axis=1)
    return out
