"""The semivariogram of a map, models fitted to it, and how much of a map's variance is spatially correlated.

gamma(h) is half the mean squared difference of all pairs of pixels a distance h apart (Matheron 1963, Economic
Geology 58, 1246). Partial sill / (nugget + partial sill) is the share of the variance that is spatially correlated (as
used on chemical maps by Herrero-Langreo et al. 2019, doi 10.1016/j.aca.2019.05.067). The share says how smooth a map
is, not whether it is right; `null_maps` makes maps that show it.
"""

import warnings
from dataclasses import dataclass
from itertools import product
from numbers import Integral

import numpy as np
from scipy import fft, ndimage, optimize, special  # scipy.stats takes long to import

from hsichem._base import InputError

DIRECTIONS = (0, 45, 90, 135)
_MATERN = 4.743864518390587  # (1 + a) exp(-a) = 0.05

# Shape of each model for x = h / range, from 0 towards 1. Range is the *effective* range: exponential, gaussian and
# matern reach 95 % there. (scikit-gstat writes exp(-4 x^2) for gaussian, which is 98 %.) Matern has nu = 3/2, stated
# and not fitted: the first lags alone tell nu and nugget, and one number cannot be had twice. Exponential is nu = 1/2.
MODELS = {
    "exponential": lambda x: -np.expm1(-3 * x),
    "spherical": lambda x: np.where(x < 1, 1.5 * x - 0.5 * x**3, 1.0),
    "gaussian": lambda x: -np.expm1(-3 * x**2),
    "matern": lambda x: 1 - (1 + _MATERN * x) * np.exp(-_MATERN * x),
}
ROUND = {"gaussian", "matern"}  # these start flat, the others straight


def masked_values(map, mask) -> np.ndarray:
    """(pixels,) float64: the map inside the mask, row by row. NaN is allowed outside the mask only.

    map: (rows, cols); mask: (rows, cols) bool. Raises InputError for shapes that disagree, a mask that is not bool or
    is empty, and values in the mask that are not finite.
    """
    map, mask = np.asarray(map), np.asarray(mask)
    if map.ndim != 2 or mask.shape != map.shape or mask.dtype != bool:
        raise InputError(
            f"map of shape {map.shape} with a {mask.dtype} mask of shape {mask.shape}; "
            "expected a (rows, cols) map and a bool mask of the same shape."
        )
    if not mask.any():
        raise InputError("the mask is empty; expected at least one True pixel.")
    values = map[mask].astype(np.float64)
    if not np.isfinite(values).all():
        bad = np.count_nonzero(~np.isfinite(values))
        raise InputError(f"{bad} of {values.size} pixels in the mask are not finite; take them out of the mask first.")
    return values


def semivariogram(map, mask, max_lag: int, direction=None, mean_lags=False):
    """Semivariogram over all pairs of masked pixels, in all directions or one.

    It is exact, by three correlations of the mask m, z m and z^2 m (Marcotte 1996, doi 10.1016/S0098-3004(96)00026-X).

    map: (rows, cols), any unit; mask: (rows, cols) bool; max_lag: pixels.
    direction: degrees, counter-clockwise on the image as shown (row 0 on top), within 22.5 degrees to either side.
    0 pairs pixels along a row, 90 along a column, 45 lower left with upper right, 135 upper left with lower right.
    Every pair is in exactly one of the four: on whole pixels no angle is a tie.

    Returns lags (max_lag,) 1..max_lag in pixels, or with `mean_lags` the mean distance of their pairs; gamma
    (max_lag,) float64, in the map's unit squared, NaN where a lag has no pair; pairs (max_lag,) int64, each pair
    counted once. A pair belongs to the whole number of pixels nearest to its distance. There is no tie to break: a
    squared distance between pixels is a whole number, (k + 1/2)^2 is not.
    Raises InputError as `masked_values` does, for a max_lag outside 1..the image's diagonal, and for an unknown
    direction.
    """
    z, m = _centred(map, mask, max_lag)
    if direction is not None and direction not in DIRECTIONS:
        raise InputError(f"direction is {direction!r}; expected one of {DIRECTIONS} degrees, or None for all.")
    lags, gamma, pairs = _per_pair(_lag_sums(z, m, max_lag, direction))
    return lags if mean_lags else np.arange(1, max_lag + 1), gamma, pairs.astype(np.int64)


def _per_pair(sums):
    """(lags, gamma, pairs), each (max_lag,), of `_lag_sums`: mean distance and mean half square, NaN without pairs."""
    pairs, distances, differences = sums
    some = np.where(pairs > 0, pairs, np.nan)
    return distances / some, differences / some, pairs


def _centred(map, mask, max_lag):
    """The map less its mean, 0 outside the mask, and the mask; (rows, cols) float64 of the mask's bounding box."""
    values, mask = masked_values(map, mask), np.asarray(mask)
    diagonal = round(np.hypot(*(n - 1 for n in mask.shape)))
    if isinstance(max_lag, bool) or not isinstance(max_lag, Integral) or not 1 <= max_lag <= diagonal:
        raise InputError(
            f"max_lag is {max_lag!r}; expected a whole number of pixels from 1 to {diagonal}, the image's diagonal."
        )
    box = mask[ndimage.find_objects(mask.astype(np.uint8))[0]]
    z = np.zeros(box.shape)
    # The mean must go first: gamma is a difference of sums of squares. Clipped, so that a flat map leaves exact zeros.
    z[box] = values - np.clip(values.mean(), values.min(), values.max())
    return z, box.astype(np.float64)


def _offsets(shape, max_lag, direction):
    """All offsets between two pixels, both ways: rows (r, 1), columns (1, c), lag (r, c), 0 where it does not count."""
    reach = [min(max_lag, n - 1) for n in shape]
    rows, cols = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    lag = np.rint(np.hypot(rows, cols)).astype(int)
    lag[lag > max_lag] = 0
    if direction is not None:
        lag[np.rint(np.degrees(np.arctan2(-rows, cols)) / 45) % 4 != direction // 45] = 0
    return rows, cols, lag


def _lag_sums(z, m, max_lag, direction=None, part=None):
    """(3, max_lag): pairs, and the sums of their distances and half squared differences.

    part: (rows, cols) bool; only pairs with an end in it, those with one end there counted half.
    """
    rows, cols, lag = _offsets(m.shape, max_lag, direction)
    lengths = zip(m.shape, (rows, cols), (False, True), strict=True)
    shape = [fft.next_fast_len(n + offsets.size // 2, real) for n, offsets, real in lengths]

    def read(spectrum):  # irfft2 at the offsets alone
        return fft.irfft(fft.ifft(spectrum, axis=0, overwrite_x=True)[rows.ravel()], shape[1])[:, cols.ravel()]

    f_m, f_z, f_z2 = ends = [fft.rfft2(x, shape) for x in (m, z, z * z)]
    p_m, p_z, p_z2 = ends if part is None else [fft.rfft2(x * part, shape) for x in (m, z, z * z)]
    pairs = read(p_m.conj() * f_m).round() / 2  # half: both ways
    squares = read((p_m.conj() * f_z2 + p_z2.conj() * f_m) / 2 - p_z.conj() * f_z) / 2
    found = [
        np.bincount(lag.ravel(), each.ravel(), max_lag + 1)[1:]
        for each in (pairs, pairs * np.hypot(rows, cols), squares)
    ]
    return np.maximum(found, 0)


def pooled_variogram(maps: dict, masks: dict, max_lag: int, direction=None):
    """Lags, gamma and pairs of all pairs within each of the images, lags at the mean distance of their pairs.

    maps, masks: {sample id: (rows, cols)}; max_lag in pixels, direction as of `semivariogram`.
    """
    each = np.array([semivariogram(maps[name], masks[name], max_lag, direction, mean_lags=True) for name in maps])
    pairs = each[:, 2].sum(axis=0)
    sums = (np.nan_to_num(each[:, :2]) * each[:, 2:]).sum(axis=0)  # (2, lags), a lag without pairs is no part
    lags, gamma = np.divide(sums, pairs, out=np.full(sums.shape, np.nan), where=pairs > 0)
    return lags, gamma, pairs


@dataclass(frozen=True)
class Variogram:
    """gamma(h) = nugget + partial_sill * shape(h / range), with a shape of `MODELS`. Call it with lags to get gamma.

    nugget, partial_sill: the map's unit squared; range: effective, in the unit of the lags, NaN without a partial sill.
    """

    model: str
    nugget: float
    partial_sill: float
    range: float

    @property
    def correlated_share(self) -> float:
        """partial_sill / (nugget + partial_sill), 0-1; NaN for a flat map. Smoothness, not correctness."""
        sill = self.nugget + self.partial_sill
        return self.partial_sill / sill if sill > 0 else float("nan")

    def __call__(self, lags):
        if self.partial_sill == 0:
            return np.full(np.shape(lags), self.nugget)
        return self.nugget + self.partial_sill * MODELS[self.model](np.asarray(lags, dtype=np.float64) / self.range)


def fit_variogram(lags, gamma, pairs, model: str) -> Variogram:
    """Weighted least squares fit: minimises sum over lags of pairs * (gamma - model)^2.

    lags, gamma, pairs: (n,) as `semivariogram` returns them; lags without pairs are left out.
    model, with x = h / range (Cressie 1993, Statistics for Spatial Data, section 2.3.1; range as effective range):
      exponential 1 - exp(-3 x), gaussian 1 - exp(-3 x^2), spherical 1.5 x - 0.5 x^3 up to x = 1, then 1,
      matern (nu = 3/2) 1 - (1 + a x) exp(-a x) with a = 4.744 (Stein 1999, Interpolation of Spatial Data).
    Nugget and partial sill are not negative. For a given range they follow from non-negative least squares, so only the
    range is searched (variable projection), between twice the first lag, below which it cannot be told from a nugget,
    and the last lag.
    The share depends on the model, so name it beside the number. At whole lags it is a little low for short ranges, at
    the mean distances, which `semivariogram` gives on request, it is not (benchmarks/maps/variogram.py).

    Warns when the range ends at the last lag: the sill is not reached, so partial sill and range are not known.
    Warns when gamma bends up over its first three lags, by more than 3 standard errors, and the model cannot: blur
    rounds off the straight start and hides the nugget. Gaussian and matern start round, so with them it is silent.
    Raises InputError for an unknown model, or when there are not more lags with pairs than numbers to fit.
    """
    if str(model) not in MODELS:
        raise InputError(f"variogram model {model!r} is unknown; expected one of {', '.join(MODELS)}.")
    lags, gamma, pairs = (np.asarray(a, dtype=np.float64) for a in (lags, gamma, pairs))
    if not lags.shape == gamma.shape == pairs.shape or lags.ndim != 1:
        raise InputError(f"lags {lags.shape}, gamma {gamma.shape}, pairs {pairs.shape}; expected three (n,) arrays.")
    used = pairs > 0
    lags, gamma, pairs = lags[used], gamma[used], pairs[used]
    if lags.size < 4 or not np.isfinite(gamma).all():
        raise InputError(f"{lags.size} lags with pairs; a fit of 3 numbers needs at least 4 with a finite gamma.")
    scale = gamma.max()
    if scale == 0:
        return Variogram(model, 0.0, 0.0, float("nan"))

    range_, (nugget, sill) = _least_squares(lags, gamma / scale, np.sqrt(pairs / pairs.max()), MODELS[model])
    if sill <= 1e-9:  # rounding, not structure
        sill, range_ = 0.0, float("nan")
    if range_ > 0.999 * lags[-1]:
        warnings.warn(
            f"the {model} fit does not reach its sill within {lags[-1]:g}: take the partial sill and range as lower "
            "bounds, or raise max_lag.",
            stacklevel=2,
        )
    if model not in ROUND and _bends_up(lags, gamma, pairs):
        warnings.warn(
            f"gamma bends up over the first three lags, where the {model} model can only bend down: the map is blurred "
            "(optics, smoothing, a network). Take the nugget as a lower bound and the share as an upper one.",
            stacklevel=2,
        )
    return Variogram(model, float(nugget * scale), float(sill * scale), range_)


def _least_squares(lags, gamma, weights, shape):
    """(range, [nugget, sill]) with the smallest weighted squares."""

    def solve(log_range):
        design = np.column_stack([np.ones_like(lags), shape(lags / np.exp(log_range))])
        return optimize.nnls(design * weights[:, None], gamma * weights)  # [nugget, sill], residual norm

    def misfit(log_range):
        return solve(log_range)[1]

    grid = np.log(np.geomspace(2 * lags[0], lags[-1], 20))
    best, tolerance = min(grid, key=misfit), {"xatol": 1e-6, "fatol": np.inf}
    refined = optimize.minimize(misfit, best, method="Nelder-Mead", bounds=[(grid[0], grid[-1])], options=tolerance)
    best = refined.x[0] if refined.fun < misfit(best) else best
    return float(np.exp(best)), solve(best)[0]


def _bends_up(lags, gamma, pairs) -> bool:
    """Whether gamma at the first lag is 3 standard errors above the line through the next two.

    A wrong variance moves all three alike; what is left to each is the error of a mean product of two pixels,
    gamma^2 / pairs: exact for white noise, and about right for the fields of benchmarks/maps/variogram.py.
    """
    slope = (lags[1] - lags[0]) / (lags[2] - lags[1])
    line = np.array([1.0, -1 - slope, slope])
    return line @ gamma[:3] > 3 * np.sqrt(np.sum((line * gamma[:3]) ** 2 / pairs[:3]))


def variogram_interval(maps, masks, max_lag: int, model: str, seed, draws=300):
    """A model fitted to the pooled variogram of maps, and 95 % intervals by a block bootstrap.

    maps, masks: sequences of (rows, cols), one or more images; max_lag, model as in `semivariogram`, `fit_variogram`;
    seed: a seed or a Generator; draws: how many times square blocks, as wide as a quarter of the shortest side, are
    drawn with replacement and the model is fitted anew.
    Returns the Variogram, fitted at the lags' mean distances, and {"nugget", "correlated_share": (low, high)}.

    A pair belongs to the blocks of its two ends, half to each, so none is cut by a block's edge (blocks of blocks,
    Kuensch 1989, doi 10.1214/aos/1176347265). Percentiles are taken further out where blocks are few (Hesterberg 2015,
    doi 10.1080/00031305.2015.1089789). Blocks should be wider than the range.
    benchmarks/maps/variogram.py counts how often the intervals hold the truth.
    Raises InputError as the two functions do, and for fewer than 8 blocks with pixels.
    """
    if len(maps) != len(masks):
        raise InputError(f"{len(maps)} maps and {len(masks)} masks; expected a mask for each map.")
    block = max(1, min(min(np.shape(mask)) for mask in masks) // 4)
    sums = [each for map, mask in zip(maps, masks, strict=True) for each in _block_sums(map, mask, max_lag, block)]
    n = len(sums)
    if n < 8:
        raise InputError(f"{n} blocks of {block} x {block} pixels meet the masks; expected at least 8. Give more maps.")
    fitted = fit_variogram(*_per_pair(np.sum(sums, axis=0)), model)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said once, of the maps themselves
        fits = [fit_variogram(*_per_pair(np.tensordot(counts, sums, 1)), model) for counts in drawn]
    tail = special.ndtr(special.stdtrit(n - 1, 0.025) * np.sqrt(n / (n - 1)))
    names = ("nugget", "correlated_share")
    found = {name: np.quantile([getattr(fit, name) for fit in fits], [tail, 1 - tail]) for name in names}
    return fitted, {name: (float(low), float(high)) for name, (low, high) in found.items()}


def _block_sums(map, mask, max_lag, block):
    """Yield `_lag_sums` (3, max_lag) of each square block that has pixels; they add up to the map's."""
    z, m = _centred(map, mask, max_lag)
    for top, left in product(range(0, m.shape[0], block), range(0, m.shape[1], block)):
        first = max(top - max_lag, 0), max(left - max_lag, 0)
        near = slice(first[0], top + block + max_lag), slice(first[1], left + block + max_lag)
        part = np.zeros(m[near].shape, bool)
        part[top - first[0] :, left - first[1] :][:block, :block] = True
        if m[near][part].any():
            yield _lag_sums(z[near], m[near], max_lag, part=part)
