"""How good is a prediction, of the mean and of the map."""

from functools import partial

import numpy as np
from scipy import ndimage, optimize, special  # scipy.stats takes long to import

from hsichem._base import InputError
from hsichem.maps.intervals import bootstrap_interval, rmsep_interval
from hsichem.maps.variogram import masked_values

EXTREMES = {"low": np.min, "high": np.max}  # over all images; all other figures are averaged
# What a figure can be at all; the others have no upper end, and 0 as their lower.
LIMITS = {"outside_share": (0, 1), "correlation": (-1, 1), "slope": (-np.inf, np.inf)}


def mean_metrics(reference, predicted) -> dict:
    """Errors of predicted sample means, in the unit of the reference.

    reference, predicted: (n,). Returns n; rmsep = sqrt(mean(e^2)) with e = predicted - reference; bias = mean(e);
    sep, the standard deviation of e (n - 1); r2 = 1 - sum(e^2) / sum((reference - mean)^2); rpd, the standard deviation
    of the reference (n - 1) over sep.
    (Naes et al. 2002, A User-Friendly Guide to Multivariate Calibration and Classification, chapter 13; rpd: Williams
    and Norris 1987, Near-Infrared Technology in the Agricultural and Food Industries.)
    sep, r2 and rpd are None where they have no meaning (one sample, a constant reference, no scatter at all).
    Raises InputError for shapes that disagree, nothing at all, or values that are not finite.
    """
    reference, predicted = (np.asarray(a, dtype=np.float64) for a in (reference, predicted))
    if reference.shape != predicted.shape or reference.ndim != 1 or reference.size == 0:
        raise InputError(f"reference {reference.shape}, predicted {predicted.shape}; expected two (n,) arrays, n >= 1.")
    error = predicted - reference
    if not np.isfinite(error).all():
        raise InputError("a reference or a prediction is not finite; leave that sample out first.")
    total = np.sum((reference - reference.mean()) ** 2)
    sep = float(error.std(ddof=1)) if error.size > 1 else None
    return {
        "n": error.size,
        "rmsep": float(np.sqrt(np.mean(error**2))),
        "bias": float(error.mean()),
        "sep": sep,
        "r2": float(1 - np.sum(error**2) / total) if total > 0 else None,
        "rpd": float(reference.std(ddof=1)) / sep if sep and total > 0 else None,
    }


def map_metrics(prediction, truth, mask, bounds=(0, 100)) -> dict:
    """A map against pixel truth, inside the mask.

    prediction, truth: (rows, cols) in % w/w; mask: (rows, cols) bool; bounds: the values that are possible.
    Returns outside_share (0-1 of the pixels beyond bounds), low and high; with a truth also pixel_rmse, correlation,
    slope (of predicted on true, 1 = full contrast) and sd_ratio (predicted / true).
    Without a truth (None) only the first three can be known. What has no value (a constant map) is None, as in JSON.
    Raises InputError as `hsichem.maps.variogram.masked_values` does.
    """
    p = masked_values(prediction, mask)
    outside = (p < bounds[0]) | (p > bounds[1])
    metrics = {"outside_share": float(outside.mean()), "low": float(p.min()), "high": float(p.max())}
    if truth is None:
        return metrics
    t = masked_values(truth, mask)
    # ptp tells a constant map; rounding can leave its standard deviation just above zero
    sd_p, sd_t = (x.std() if np.ptp(x) > 0 else 0.0 for x in (p, t))
    covariance = np.mean((p - p.mean()) * (t - t.mean()))
    return metrics | {
        "pixel_rmse": float(np.sqrt(np.mean((p - t) ** 2))),
        "correlation": float(covariance / (sd_p * sd_t)) if sd_p > 0 and sd_t > 0 else None,
        "slope": float(covariance / sd_t**2) if sd_t > 0 else None,
        "sd_ratio": float(sd_p / sd_t) if sd_t > 0 else None,
    }


def average_metrics(samples: list[dict]) -> dict:
    """One dict of `map_metrics` for many images: means over the images that have a value, None where none has;
    low and high are the extremes over all images."""
    if not samples:
        raise InputError("no images to average over; expected at least one.")
    average = {}
    for key in dict.fromkeys(key for s in samples for key in s):  # of some images the truth may be known, of others not
        values = [s[key] for s in samples if s.get(key) is not None]
        combine = EXTREMES.get(key, np.mean)
        average[key] = float(combine(values)) if values else None
    return average


def edge_width(prediction, truth, mask, pitch=1.0) -> float | None:
    """10-90 % width of the borders that a map adds to those of the truth, in the unit of pitch.

    prediction, truth, mask: (rows, cols); pitch: distance of neighbouring pixels, in mm where it is known.
    The Gaussian blur of the truth, within the mask, that explains the prediction best: sigma minimises
    sum (prediction - a - b blurred)^2 over sigma, a and b; a step blurred so rises from 10 to 90 % within 2.563 sigma.
    (A profile across one border would meet the next one in a layered sample.) Noise from pixel to pixel does not bias
    it. Layers much narrower than the blur leave it open: there, blur and loss of contrast look the same.
    None where the map shows no border: it does not rise with the truth, or no sigma up to a quarter of the smaller
    side is best.
    """
    p, t = masked_values(prediction, mask), masked_values(truth, mask)
    inside, filled = mask.astype(np.float64), np.where(mask, truth, 0).astype(np.float64)
    if np.ptp(p) == 0 or np.ptp(t) == 0:
        return None

    def fit(sigma):  # -> unexplained part, slope
        blur = partial(ndimage.gaussian_filter, sigma=sigma, mode="constant")
        blurred = blur(filled)[mask] / blur(inside)[mask]
        (variance, covariance), (_, total) = np.cov(blurred, p)
        return total - covariance**2 / variance, covariance

    grid = np.concatenate([[0.0], np.geomspace(0.3, min(mask.shape) / 4, 16)])
    best = int(np.argmin([fit(sigma)[0] for sigma in grid]))
    if best == len(grid) - 1 or fit(grid[best])[1] <= 0:
        return None
    near = grid[max(best - 1, 0)], grid[best + 1]
    found = optimize.minimize_scalar(lambda s: fit(s)[0], bounds=near, method="bounded", options={"xatol": 1e-3})
    sigma = found.x if found.fun < fit(grid[best])[0] else grid[best]
    return float(2 * special.ndtri(0.9) * sigma * pitch)


def judge(maps: dict, truths: dict, masks: dict, reference, groups, seed: int, pitch=None) -> dict:
    """One method on many images: {"mean": `mean_metrics` and predicted (n,), "map": `average_metrics`}.

    maps, truths, masks: {sample id: (rows, cols)} in one order, truths may hold None; reference: (n,) mean values in
    the same order; groups: (n,) labels drawn together, e.g. animals. The mean predicted for an image is its map's.
    pitch: of the maps; where it is given, and a truth, the map has its `edge_width` too.
    Beside rmsep, bias and each average of "map" stands a 95 % bootstrap interval, e.g. slope_interval: [low, high]. It
    is cut where its figure ends (a share at 0), and None where an image has no figure.
    """
    predicted = np.array([masked_values(map_, masks[name]).mean() for name, map_ in maps.items()])
    reference = np.asarray(reference, dtype=np.float64)
    each = {name: map_metrics(map_, truths[name], masks[name]) for name, map_ in maps.items()}
    for name in each if pitch else ():
        if truths[name] is not None:
            each[name]["edge_width"] = edge_width(maps[name], truths[name], masks[name], pitch)
    figures = list(each.values())
    averaged = [key for key in dict.fromkeys(key for f in figures for key in f) if key not in EXTREMES]
    values = np.array([[f.get(key) for key in averaged] for f in figures], dtype=float)  # (n, figures), None is NaN
    low, high = bootstrap_interval(partial(np.mean, axis=0), values, groups=groups, seed=seed)
    intervals = {}
    for key, ends in zip(averaged, np.stack([low, high], axis=1), strict=True):
        ends = np.clip(ends, *LIMITS.get(key, (0, np.inf))).tolist()
        intervals[f"{key}_interval"] = ends if np.isfinite(ends).all() else None
    bias = bootstrap_interval(np.mean, predicted - reference, groups=groups, seed=seed)
    ends = {"rmsep_interval": rmsep_interval(reference, predicted, groups, seed), "bias_interval": bias}
    return {
        "mean": mean_metrics(reference, predicted) | ends | {"predicted": predicted.tolist()},
        "map": average_metrics(figures) | intervals,
    }
