"""The semivariogram of a map, its uncertainty, and null maps that pass for good ones.

gamma(h) is half the mean squared difference of all pairs of pixels a distance h apart (Matheron 1963, Economic
Geology 58, 1246). The models fitted to it, and the share they give, are in `hsichem.maps.variogram`. The share says how
smooth a map is, not whether it is right; `null_maps` makes maps that show it.
"""

import warnings
from itertools import product
from numbers import Integral

import numpy as np
from scipy import fft, ndimage, stats

from hsichem._base import InputError
from hsichem.maps.variogram import MODELS, Variogram, fit_variogram

__all__ = ["MODELS", "Variogram", "fit_variogram", "masked_values", "null_maps", "semivariogram", "variogram_interval"]
DIRECTIONS = (0, 45, 90, 135)
OFFSETS = 24  # of the robust estimate, per lag: up to 7 pixels there are no more


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


def semivariogram(map, mask, max_lag: int, direction=None, estimator="classical", mean_lags=False):
    """Semivariogram over all pairs of masked pixels, in all directions or one.

    map: (rows, cols), any unit; mask: (rows, cols) bool; max_lag: pixels.
    direction: degrees, counter-clockwise on the image as shown (row 0 on top), within 22.5 degrees to either side.
    0 pairs pixels along a row, 90 along a column, 45 lower left with upper right, 135 upper left with lower right.
    Every pair is in exactly one of the four: on whole pixels no angle is a tie.
    estimator: "classical", exact over all pairs by three correlations of the mask m, z m and z^2 m (Marcotte 1996,
    doi 10.1016/S0098-3004(96)00026-X); or "robust" against outlying pixels, from the fourth power of the mean root
    difference (Cressie & Hawkins 1980, doi 10.1007/BF01035243; right for normal differences), offset by offset, exact
    up to 7 pixels, then with 24 offsets a lag, evenly spread over the angles.

    Returns lags (max_lag,) 1..max_lag in pixels, or with `mean_lags` the mean distance of their pairs; gamma
    (max_lag,) float64, in the map's unit squared, NaN where a lag has no pair; pairs (max_lag,) int64, each pair
    counted once. A pair belongs to the whole number of pixels nearest to its distance. There is no tie to break: a
    squared distance between pixels is a whole number, (k + 1/2)^2 is not.
    Raises InputError as `masked_values` does, for a max_lag outside 1..the image's diagonal, and for an unknown
    direction or estimator.
    """
    z, m = _centred(map, mask, max_lag)
    if direction is not None and direction not in DIRECTIONS:
        raise InputError(f"direction is {direction!r}; expected one of {DIRECTIONS} degrees, or None for all.")
    if estimator not in ("classical", "robust"):
        raise InputError(f"estimator is {estimator!r}; expected 'classical' or 'robust'.")
    sums = _lag_sums if estimator == "classical" else _root_sums
    lags, gamma, pairs = _per_pair(sums(z, m, max_lag, direction))
    if estimator == "robust":
        n = np.where(pairs > 0, pairs, np.nan)
        gamma = gamma**4 / 2 / (0.457 + 0.494 / n + 0.045 / n**2)
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


def _root_sums(z, m, max_lag, direction):
    """(3, max_lag): pairs, and the sums of their distances and of the roots of their differences."""
    rows, cols, lag = _offsets(m.shape, max_lag, direction)
    lag = np.where((rows > 0) | (rows == 0) & (cols > 0), lag, 0)  # one way
    inside, sums = m > 0, np.zeros((3, max_lag))
    for k in range(1, max_lag + 1):
        found = np.argwhere(lag == k) + np.array([rows[0, 0], cols[0, 0]])
        found = found[np.argsort(np.arctan2(*found.T))]
        for r, c in found[np.unique(np.arange(OFFSETS) * len(found) // OFFSETS)] if len(found) else ():
            left, right = slice(max(-c, 0), z.shape[1] - max(c, 0)), slice(max(c, 0), z.shape[1] + min(c, 0))
            one, other = (slice(z.shape[0] - r), left), (slice(r, None), right)
            both = inside[one] & inside[other]
            pairs = np.count_nonzero(both)
            roots = np.sqrt(np.abs(z[one] - z[other]))
            sums[:, k - 1] += pairs, pairs * np.hypot(r, c), np.sum(roots, where=both)
    return sums


def variogram_interval(maps, masks, max_lag: int, model: str, seed, block=None, draws=300):
    """A model fitted to the pooled variogram of maps, and 95 % intervals by a block bootstrap.

    maps, masks: sequences of (rows, cols), one or more images; max_lag, model as in `semivariogram`, `fit_variogram`;
    seed: a seed or a Generator; block: side of the square blocks in pixels, None for a quarter of the shortest side;
    draws: how many times the blocks are drawn with replacement and the model is fitted anew.
    Returns the Variogram, fitted at the lags' mean distances, and {"nugget", "correlated_share": (low, high)}.

    A pair belongs to the blocks of its two ends, half to each, so none is cut by a block's edge (blocks of blocks,
    Kuensch 1989, doi 10.1214/aos/1176347265). Percentiles are taken further out where blocks are few (Hesterberg 2015,
    doi 10.1080/00031305.2015.1089789). Blocks should be wider than the range.
    benchmarks/maps/variogram.py counts how often the intervals hold the truth.
    Raises InputError as the two functions do, and for fewer than 8 blocks with pixels.
    """
    if len(maps) != len(masks) or not (block is None or (isinstance(block, Integral) and block >= 1)):
        raise InputError(
            f"{len(maps)} maps, {len(masks)} masks, block {block!r}; expected pairs, and whole pixels or None."
        )
    block = max(1, min(min(np.shape(mask)) for mask in masks) // 4) if block is None else block
    sums = [each for map, mask in zip(maps, masks, strict=True) for each in _block_sums(map, mask, max_lag, block)]
    n = len(sums)
    if n < 8:
        raise InputError(f"{n} blocks of {block} x {block} pixels; expected at least 8. Take a smaller block.")
    fitted = fit_variogram(*_per_pair(np.sum(sums, axis=0)), model)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said once, of the maps themselves
        fits = [fit_variogram(*_per_pair(np.tensordot(counts, sums, 1)), model) for counts in drawn]
    tail = stats.norm.cdf(stats.t.ppf(0.025, n - 1) * np.sqrt(n / (n - 1)))
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


def null_maps(reference_map, mask, mean: float, seed: int) -> dict[str, np.ndarray]:
    """Three maps that know nothing of the sample but its mean, and still look spatially correlated.

    reference_map: (rows, cols), the truth, or the best there is; mask: (rows, cols) bool; mean: wanted in the mask.
    Returns (rows, cols) float32 maps, NaN outside the mask, each with the mean given and the reference's standard
    deviation in the mask: "blurred noise" (white noise, Gaussian filter), "ramp" (a tilted plane) and
    "truth rotated" (by 180 degrees in the mask's bounding box, its edge values carried to where the mask has no pair).
    Raises InputError as `masked_values` does.
    """
    values = masked_values(reference_map, mask)
    sigma = max(2.0, 0.05 * np.sqrt(values.size))  # pixels; well above one, well below the sample
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(mask.shape), sigma)
    rows, cols = np.indices(mask.shape)
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    rotated = np.asarray(reference_map, dtype=np.float64)[tuple(nearest)]
    rotated[box] = rotated[box][::-1, ::-1].copy()

    nulls = {}
    for name, null in {"blurred noise": noise, "ramp": rows + cols, "truth rotated": rotated}.items():
        inside = null[mask] - null[mask].mean()
        spread = inside.std()
        nulls[name] = np.full(mask.shape, np.nan, dtype=np.float32)
        nulls[name][mask] = mean + inside * (values.std() / spread if spread > 0 else 0)
    return nulls
