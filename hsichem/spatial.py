"""The semivariogram of a map, the models fitted to it, and null maps that pass for good ones.

gamma(h) is half the mean squared difference of all pairs of pixels a distance h apart (Matheron 1963, Economic
Geology 58, 1246). Partial sill / (nugget + partial sill) is the share of the variance that is spatially correlated
(as used on chemical maps by Herrero-Langreo et al. 2019, doi 10.1016/j.aca.2019.05.067). The share says how smooth a
map is, not whether it is right; `null_maps` makes maps that show it.
"""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy import fft, ndimage, optimize

from hsichem.cube import InputError

# Shape of each model for x = h / range, from 0 towards 1. Range is the *effective* range: exponential and gaussian
# reach 1 - exp(-3) = 95 % there. (scikit-gstat writes exp(-4 x^2) for gaussian, which is 98 %.)
MODELS = {
    "exponential": lambda x: -np.expm1(-3 * x),
    "spherical": lambda x: np.where(x < 1, 1.5 * x - 0.5 * x**3, 1.0),
    "gaussian": lambda x: -np.expm1(-3 * x**2),
}


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


def semivariogram(map, mask, max_lag: int):
    """Exact isotropic semivariogram over all pairs of masked pixels.

    map: (rows, cols), any unit; mask: (rows, cols) bool; max_lag: pixels.
    Returns lags (max_lag,) 1..max_lag in pixels; gamma (max_lag,) float64, half the mean squared difference, in the
    map's unit squared, NaN where a lag has no pair; pairs (max_lag,) int64, each pair counted once.
    A pair belongs to the whole number of pixels nearest to its distance. There is no tie to break: a squared distance
    between pixels is a whole number, (k + 1/2)^2 is not.

    By three correlations of the mask m, z m and z^2 m (Marcotte 1996, doi 10.1016/S0098-3004(96)00026-X).
    Raises InputError as `masked_values` does, and for a max_lag outside 1..the image's diagonal.
    """
    values = masked_values(map, mask)
    diagonal = round(np.hypot(*(n - 1 for n in mask.shape)))
    if isinstance(max_lag, bool) or not isinstance(max_lag, Integral) or not 1 <= max_lag <= diagonal:
        raise InputError(
            f"max_lag is {max_lag!r}; expected a whole number of pixels from 1 to {diagonal}, the image's diagonal."
        )
    box = mask[ndimage.find_objects(mask.astype(np.uint8))[0]]
    reach = [min(max_lag, n - 1) for n in box.shape]
    # The mean must go first: gamma is a difference of sums of squares. Clipped, so that a flat map leaves exact zeros.
    centred = values - np.clip(values.mean(), values.min(), values.max())
    z, m = np.zeros(box.shape), box.astype(np.float64)
    z[box] = centred

    shape = [fft.next_fast_len(n + r, real=True) for n, r in zip(box.shape, reach, strict=True)]
    f_m, f_z, f_z2 = (fft.rfft2(x, shape) for x in (m, z, z * z))
    pairs = fft.irfft2(np.abs(f_m) ** 2, shape)
    half_squares = fft.irfft2((f_m.conj() * f_z2).real - np.abs(f_z) ** 2, shape)  # sum over pairs of (z - z')^2 / 2

    rows, cols = np.arange(reach[0] + 1)[:, None], np.arange(-reach[1], reach[1] + 1)
    once = (rows > 0) | (cols > 0)  # half the plane: offset (r, c) and (-r, -c) are the same pair
    lag = np.where(once, np.rint(np.hypot(rows, cols)), 0).astype(int).ravel()
    pairs = np.bincount(lag, np.rint(pairs[rows, cols]).ravel(), max_lag + 1)[1 : max_lag + 1]
    half_squares = np.bincount(lag, half_squares[rows, cols].ravel(), max_lag + 1)[1 : max_lag + 1]
    gamma = np.full(max_lag, np.nan)
    np.divide(np.maximum(half_squares, 0), pairs, out=gamma, where=pairs > 0)
    return np.arange(1, max_lag + 1), gamma, pairs.astype(np.int64)


@dataclass(frozen=True)
class Variogram:
    """gamma(h) = nugget + partial_sill * shape(h / range), the shapes as in `MODELS`.

    nugget, partial_sill: the map's unit squared. range: effective range in the unit of the lags, NaN where there is
    no partial sill. Call it with lags to get gamma.
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
        lags = np.asarray(lags, dtype=np.float64)
        if self.partial_sill == 0:
            return np.full(lags.shape, self.nugget)
        return self.nugget + self.partial_sill * MODELS[self.model](lags / self.range)


def fit_variogram(lags, gamma, pairs, model: str) -> Variogram:
    """Weighted least squares fit: minimises sum over lags of pairs * (gamma - model)^2.

    lags, gamma, pairs: (n,) as `semivariogram` returns them; lags without pairs are left out.
    model, with x = h / range (Cressie 1993, Statistics for Spatial Data, section 2.3.1; range as effective range):
      exponential 1 - exp(-3 x), gaussian 1 - exp(-3 x^2), spherical 1.5 x - 0.5 x^3 up to x = 1, then 1.
    Nugget and partial sill are not negative. For a given range both follow from non-negative least squares, so only
    the range is searched (variable projection): on a grid, then refined. It is held between twice the first lag
    (anything narrower cannot be told from a nugget) and the last lag.
    The share depends on the model, so name it beside the number. It is a little low for short ranges, because lag 1
    holds the diagonal neighbours (1.41 pixels) too: 0.75 to 0.79 instead of 0.80 at a range of 9 pixels.

    Warns when the range ends at the last lag: the sill is not reached, so partial sill and range are not known.
    Raises InputError for an unknown model, or when fewer than four lags have pairs.
    """
    if model not in MODELS:
        raise InputError(f"variogram model {model!r} is unknown; expected one of {', '.join(MODELS)}.")
    lags, gamma, pairs = (np.asarray(a, dtype=np.float64) for a in (lags, gamma, pairs))
    if not lags.shape == gamma.shape == pairs.shape or lags.ndim != 1:
        raise InputError(f"lags {lags.shape}, gamma {gamma.shape}, pairs {pairs.shape}; expected three (n,) arrays.")
    used = pairs > 0
    lags, gamma, pairs = lags[used], gamma[used], pairs[used]
    if lags.size < 4 or not np.isfinite(gamma).all():
        raise InputError(f"{lags.size} lags with pairs; a fit of three numbers needs at least 4 with a finite gamma.")
    scale = gamma.max()
    if scale == 0:
        return Variogram(model, 0.0, 0.0, float("nan"))
    weights = np.sqrt(pairs / pairs.max())  # sigma = 1 / sqrt(pairs)

    def solve(range_):
        design = np.column_stack([np.ones_like(lags), MODELS[model](lags / range_)])
        return optimize.nnls(design * weights[:, None], gamma / scale * weights)  # (nugget, sill), residual norm

    grid = np.geomspace(2 * lags[0], lags[-1], 60)
    best = int(np.argmin([solve(r)[1] for r in grid]))
    near = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    refined = optimize.minimize_scalar(lambda r: solve(r)[1], bounds=near, method="bounded", options={"xatol": 1e-9})
    range_ = refined.x if refined.fun < solve(grid[best])[1] else grid[best]
    nugget, partial_sill = solve(range_)[0] * scale
    if partial_sill < 1e-9 * scale:  # rounding, not structure
        return Variogram(model, float(nugget), 0.0, float("nan"))
    if range_ > 0.999 * lags[-1]:
        warnings.warn(
            f"the {model} fit does not reach its sill within {lags[-1]:g}: take the partial sill and range as lower "
            "bounds, or raise max_lag.",
            stacklevel=2,
        )
    return Variogram(model, float(nugget), float(partial_sill), float(range_))


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
