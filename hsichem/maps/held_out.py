"""Which map to believe where nobody knows the truth: hold it against pixels that it was not made from.

Every 2 x 2 block of the image is one pixel of the map, and its two diagonals are two looks at nearly the same material.
A map made from one look is held against what an unbiased linear model reads in the other:

    mean (map - reading)^2 = (error of the map)^2 + noise,      noise = mean (reading - other reading)^2 / 2

The noise of the hidden pixels is not that of the visible ones, so a map gains nothing by copying it, and a smooth map
nothing by being smooth. It is cross-validation over pixels (Noise2Self, arXiv 1901.11365; Neighbor2Neighbor, arXiv
2101.02824). It cannot see a bias that both looks share; the error of the mean can. Where neighbouring pixels share
noise it flatters maps that copy it: `shared_noise` tells.
"""

import warnings

import numpy as np

from hsichem.cubes import diagonal_mean
from hsichem.maps.intervals import bootstrap_interval

SHARED = 0.02  # of neighbouring differences at lag 1 beyond lags 2 to 4; without shared noise it is below 0.01


def looks_of(map_) -> np.ndarray:
    """(2, rows // 2, cols // 2): a map made pixel by pixel, (rows, cols), as it is with diagonal 0 and 1 hidden."""
    return np.stack([diagonal_mean(map_, 1), diagonal_mean(map_, 0)])


def held_out_error(looks: dict, readings: dict, masks: dict, groups=None, seed=0) -> dict:
    """Pixel error of a method's maps, estimated without a truth.

    looks: {image: (2, rows, cols)} the method's map made while diagonal 0, and 1, of every block was hidden;
    readings: {image: (2, rows, cols)} what an unbiased linear model reads in the pixels that were seen then, as
    `looks_of` its map; masks: {image: (rows, cols) bool} of the map's grid; groups: (n,) labels drawn together.
    Returns held_out, the root of the mean squared error less the noise (0 where the noise is larger), with its 95 %
    interval by bootstrap over the groups, and noise, the standard deviation of a reading, all in the unit of the map;
    and squares, the squared error of each image in order, from which two methods can be compared in pairs.
    """
    squares, noise = zip(*(held_out_square(looks[name], readings[name], masks[name]) for name in looks), strict=True)
    low, high = bootstrap_interval(np.mean, squares, groups=groups, seed=seed)
    root = np.sqrt(np.maximum([np.mean(squares), low, high], 0)).tolist()
    found = {"held_out": root[0], "held_out_interval": root[1:], "noise": float(np.sqrt(np.mean(noise)))}
    return found | {"squares": [float(square) for square in squares]}


def held_out_square(looks, readings, mask) -> tuple[float, float]:
    """Of one image: the mean squared error less the noise, which chance can make negative, and the noise's variance.

    looks, readings: (2, rows, cols); mask: (rows, cols) bool; as for `held_out_error`.
    """
    (first, second), (a, b) = looks, readings
    noise = np.mean((a - b)[mask] ** 2) / 2
    # what was hidden from the first look is what the second sees
    return (np.mean((first - b)[mask] ** 2) + np.mean((second - a)[mask] ** 2)) / 2 - noise, noise


def shared_noise(maps: dict, masks: dict) -> dict:
    """Whether neighbouring pixels of a map share noise, which held-out pixels then cannot tell from structure.

    maps: {image: (rows, cols)} of a model that sees one pixel at a time, at full resolution; masks: bool.
    Differences of neighbours along a row are correlated with those 1 to 4 rows below, and likewise along columns; the
    largest three of ten are borders and left out. Independent noise gives 0 at all lags, borders a little at all lags.
    Returns lags: (4,) the correlations, the larger direction at each lag; excess: lag 1 beyond the mean of the others.
    Warns where that is more than SHARED.
    """
    found = np.zeros((2, 4, 2))  # direction, lag, (sum of products, sum of squares)
    for name, map_ in maps.items():
        for direction, (values, mask) in enumerate([(map_, masks[name]), (map_.T, masks[name].T)]):
            step, inside = np.diff(values, axis=1), mask[:, 1:] & mask[:, :-1]
            inside &= np.abs(step) <= np.quantile(np.abs(step[inside]), 0.7) if inside.any() else False
            for lag in range(1, 5):
                both = inside[lag:] & inside[:-lag]
                one, other = step[lag:][both], step[:-lag][both]
                found[direction, lag - 1] += one @ other, np.sqrt((one @ one) * (other @ other))
    lags = (found[:, :, 0] / found[:, :, 1]).max(axis=0)
    excess = float(lags[0] - lags[1:].mean())
    if excess > SHARED:
        warnings.warn(
            f"neighbouring pixels share noise (correlation of their differences {lags[0]:.2f} at lag 1, "
            f"{lags[1:].mean():.2f} beyond): the held-out error is too low for maps that keep it. Rank maps by it with "
            "care; optical blur, smear along the scan or interpolation may be the cause.",
            stacklevel=2,
        )
    return {"lags": lags.tolist(), "excess": excess}
