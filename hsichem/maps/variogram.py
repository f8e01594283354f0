"""Models of a semivariogram and their fit: how much of a map's variance is spatially correlated.

Partial sill / (nugget + partial sill) is the share of the variance that is spatially correlated (as used on chemical
maps by Herrero-Langreo et al. 2019, doi 10.1016/j.aca.2019.05.067). The share says how smooth a map is, not whether it
is right; `hsichem.maps.spatial.null_maps` makes maps that show it.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import optimize

from hsichem._base import InputError

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


@dataclass(frozen=True)
class Variogram:
    """gamma(h) = nugget + sum over structures of partial_sill * shape(h / range), the shapes as in `MODELS`.

    nugget, partial_sill (of all structures): the map's unit squared. range: effective range, of the longer structure,
    in the unit of the lags, NaN where there is no partial sill. structures: (shape, partial sill, range) of each part
    of a nested model, empty for a single one. Call it with lags to get gamma.
    """

    model: str
    nugget: float
    partial_sill: float
    range: float
    structures: tuple[tuple[str, float, float], ...] = ()

    @property
    def correlated_share(self) -> float:
        """partial_sill / (nugget + partial_sill), 0-1; NaN for a flat map. Smoothness, not correctness."""
        sill = self.nugget + self.partial_sill
        return self.partial_sill / sill if sill > 0 else float("nan")

    def __call__(self, lags):
        gamma = np.full(np.shape(lags), self.nugget)
        for shape, sill, range_ in self.structures or [(self.model, self.partial_sill, self.range)]:
            if sill > 0:
                gamma = gamma + sill * MODELS[shape](np.asarray(lags, dtype=np.float64) / range_)
        return gamma


def fit_variogram(lags, gamma, pairs, model: str) -> Variogram:
    """Weighted least squares fit: minimises sum over lags of pairs * (gamma - model)^2.

    lags, gamma, pairs: (n,) as `hsichem.maps.spatial.semivariogram` returns them; lags without pairs are left out.
    model, with x = h / range (Cressie 1993, Statistics for Spatial Data, section 2.3.1; range as effective range):
      exponential 1 - exp(-3 x), gaussian 1 - exp(-3 x^2), spherical 1.5 x - 0.5 x^3 up to x = 1, then 1,
      matern (nu = 3/2) 1 - (1 + a x) exp(-a x) with a = 4.744 (Stein 1999, Interpolation of Spatial Data),
      or two of them, "spherical+exponential": the first has the shorter range.
    Nugget and partial sills are not negative. For given ranges they follow from non-negative least squares, so only
    the ranges are searched (variable projection): on a grid, then refined. They are held between twice the first lag
    (anything narrower cannot be told from a nugget) and the last lag.
    The share depends on the model, so name it beside the number. With whole lags it is a little low for short ranges,
    because lag 1 holds the diagonal neighbours (1.41 pixels) too: 0.75 to 0.79 instead of 0.80 at a range of 9 pixels.
    The mean distances, which `semivariogram` gives on request, are free of that.

    Warns when the range ends at the last lag: the sill is not reached, so partial sill and range are not known.
    Warns when gamma bends up over its first three lags, by more than 3 standard errors, and the model cannot: blur
    rounds off the straight start and hides the nugget. Gaussian and matern start round, so with them it is silent.
    Raises InputError for an unknown model, or when there are not more lags with pairs than numbers to fit.
    """
    shapes = str(model).split("+")
    if len(shapes) > 2 or not set(shapes) <= set(MODELS):
        raise InputError(
            f"variogram model {model!r} is unknown; expected one of {', '.join(MODELS)}, or two joined by '+'."
        )
    lags, gamma, pairs = (np.asarray(a, dtype=np.float64) for a in (lags, gamma, pairs))
    if not lags.shape == gamma.shape == pairs.shape or lags.ndim != 1:
        raise InputError(f"lags {lags.shape}, gamma {gamma.shape}, pairs {pairs.shape}; expected three (n,) arrays.")
    used = pairs > 0
    lags, gamma, pairs = lags[used], gamma[used], pairs[used]
    fitted = 1 + 2 * len(shapes)
    if lags.size <= fitted or not np.isfinite(gamma).all():
        raise InputError(
            f"{lags.size} lags with pairs; a fit of {fitted} numbers needs at least {fitted + 1} with a finite gamma."
        )
    scale = gamma.max()
    if scale == 0:
        return Variogram(model, 0.0, 0.0, float("nan"))

    ranges, (nugget, *sills) = _least_squares(lags, gamma / scale, np.sqrt(pairs / pairs.max()), shapes)
    parts = [
        (shape, float(sill * scale) if sill > 1e-9 else 0.0, float(range_) if sill > 1e-9 else float("nan"))
        for shape, sill, range_ in zip(shapes, sills, ranges, strict=True)  # below 1e-9: rounding, not structure
    ]
    longest = max((range_ for _, sill, range_ in parts if sill > 0), default=float("nan"))
    if longest > 0.999 * lags[-1]:
        warnings.warn(
            f"the {model} fit does not reach its sill within {lags[-1]:g}: take the partial sill and range as lower "
            "bounds, or raise max_lag.",
            stacklevel=2,
        )
    if not ROUND & set(shapes) and _bends_up(lags, gamma, pairs):
        warnings.warn(
            f"gamma bends up over the first three lags, where the {model} model can only bend down: the map is blurred "
            "(optics, smoothing, a network). Take the nugget as a lower bound and the share as an upper one.",
            stacklevel=2,
        )
    total = sum(sill for _, sill, _ in parts)
    return Variogram(model, float(nugget * scale), total, longest, tuple(parts) if len(parts) > 1 else ())


def _least_squares(lags, gamma, weights, shapes):
    """(ranges, [nugget, sill of each shape]) with the smallest weighted squares; ranges ascending."""

    def solve(ranges):
        parts = [MODELS[shape](lags / range_) for shape, range_ in zip(shapes, ranges, strict=True)]
        design = np.column_stack([np.ones_like(lags), *parts])
        return optimize.nnls(design * weights[:, None], gamma * weights)  # (nugget, sills), residual norm

    def misfit(log_ranges):
        return solve(np.exp(log_ranges))[1] if np.all(np.diff(log_ranges) > 0) else np.inf

    grid = np.log(np.geomspace(2 * lags[0], lags[-1], 20 if len(shapes) == 1 else 12))
    best = min(combinations(grid, len(shapes)), key=misfit)
    bounds, tolerance = [(grid[0], grid[-1])] * len(shapes), {"xatol": 1e-6, "fatol": np.inf}
    refined = optimize.minimize(misfit, best, method="Nelder-Mead", bounds=bounds, options=tolerance)
    ranges = np.exp(refined.x if refined.fun < misfit(best) else best)
    return ranges, solve(ranges)[0]


def _bends_up(lags, gamma, pairs) -> bool:
    """Whether gamma at the first lag is 3 standard errors above the line through the next two.

    A wrong variance moves all three alike; what is left to each is the error of a mean product of two pixels,
    gamma^2 / pairs: exact for white noise, and about right for the fields of benchmarks/maps/variogram.py.
    """
    slope = (lags[1] - lags[0]) / (lags[2] - lags[1])
    line = np.array([1.0, -1 - slope, slope])
    return line @ gamma[:3] > 3 * np.sqrt(np.sum((line * gamma[:3]) ** 2 / pairs[:3]))
