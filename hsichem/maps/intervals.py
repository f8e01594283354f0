"""How sure: intervals for figures and for predicted means."""

import numpy as np
from scipy import special  # scipy.stats takes long to import

from hsichem._base import InputError


def bootstrap_interval(statistic, *arrays, groups=None, level=0.95, repeats=1000, seed=0):
    """(low, high) = statistic(*arrays) -+ t sqrt(g / (g - 1)) s, with s its bootstrap standard error over g groups.

    arrays: (n, ...) each; the same rows are drawn from all of them, so two methods on the same images stay paired.
    groups: (n,) labels; whole groups are drawn, since images of one animal are not independent. None: every row is its
    own group. t: quantile of Student's distribution, g - 1 degrees of freedom. The root mends the bootstrap's spread,
    which is too narrow by just that much for a mean (Hesterberg 2015, doi 10.1080/00031305.2015.1089789).
    A statistic that is positive and skewed, as an RMSEP, belongs in here as its logarithm (see `rmsep_interval`).
    For arrays of numbers the statistic may return an array; low and high then have its shape.
    Raises InputError when lengths disagree, there are fewer than two groups, or level is not between 0 and 1.
    """
    arrays = [np.asarray(a) for a in arrays]
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    if any(len(a) != len(labels) for a in arrays):
        raise InputError(f"arrays of {[len(a) for a in arrays]} rows and {len(labels)} groups; expected equal lengths.")
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(sizes)[:-1])  # rows of each group, in one sort
    g = len(sizes)
    if g < 2:
        raise InputError(f"{g} group to draw from; an interval needs at least two.")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a number between 0 and 1, as 0.95.")
    values = []
    for draw in np.random.default_rng(seed).integers(g, size=(repeats, g)):
        rows = np.concatenate([members[k] for k in draw])
        values.append(statistic(*(a[rows] for a in arrays)))
    half = special.stdtrit(g - 1, (1 + level) / 2) * np.sqrt(g / (g - 1)) * np.std(values, axis=0)
    return statistic(*arrays) - half, statistic(*arrays) + half


def rmsep_interval(reference, predicted, groups=None, seed=0) -> tuple[float, float]:
    """(low, high): 95 % bootstrap interval of the RMSEP, on a log scale. reference, predicted, groups: (n,).

    It holds the true value about as often as it says; percentiles would not (benchmarks/maps/intervals.py).
    """

    def log_rmsep(y, p):
        return 0.5 * np.log(np.mean((p - y) ** 2))

    return tuple(map(float, np.exp(bootstrap_interval(log_rmsep, reference, predicted, groups=groups, seed=seed))))


def rmsep_against(reference, predicted, baseline, groups=None, seed=0) -> dict:
    """Two methods on the same images: "rmsep_ratio", predicted / baseline, "rmsep_difference", predicted - baseline.

    reference, predicted, baseline, groups: (n,). Below 1 and below 0 the first is better; the difference is in the unit
    of the reference. Beside each stands its 95 % interval, "rmsep_ratio_interval": [low, high]. They are paired: an
    image that is hard for both does not widen them. The ratio's is on a log scale, where a ratio is a difference.
    benchmarks/maps/intervals.py counts how often they hold the true values.
    """

    def compare(y, p, b):
        p, b = np.mean((p - y) ** 2), np.mean((b - y) ** 2)
        return np.array([0.5 * np.log(p / b), np.sqrt(p) - np.sqrt(b)])

    arrays = [np.asarray(a, dtype=np.float64) for a in (reference, predicted, baseline)]
    ratios, differences = np.transpose(
        [compare(*arrays), *bootstrap_interval(compare, *arrays, groups=groups, seed=seed)]
    )
    ratio, *ratio_ends = np.exp(ratios).tolist()
    difference, *ends = differences.tolist()
    found = {"rmsep_ratio": ratio, "rmsep_ratio_interval": ratio_ends}
    return found | {"rmsep_difference": difference, "rmsep_difference_interval": ends}


def pixel_rmse_against(errors, baseline, groups=None, seed=0) -> dict:
    """Two maps of the same images: {"pixel_rmse_ratio": errors / baseline, "pixel_rmse_ratio_interval": [low, high]}.

    errors, baseline, groups: (n,), the pixel RMSE of each image; their means over the images are divided. The 95 %
    interval is paired and on a log scale, as in `rmsep_against`, and counted in the same benchmark.
    """

    def log_ratio(e, b):
        return np.log(np.mean(e) / np.mean(b))

    ends = np.exp(bootstrap_interval(log_ratio, errors, baseline, groups=groups, seed=seed)).tolist()
    return {"pixel_rmse_ratio": float(np.mean(errors) / np.mean(baseline)), "pixel_rmse_ratio_interval": ends}


def cv_plus(reference, held_out, folds, predicted_by_fold: dict, level=0.9) -> np.ndarray:
    """(m, 2) prediction intervals for the means of m new images, from the residuals of cross-validation.

    reference, held_out, folds: (n,) the calibration images' values, their predictions by the model fitted
    without their fold, and that fold. predicted_by_fold: {fold: (m,) predictions of the new images by that model}.
    The CV+ of Barber et al. 2021 (doi 10.1214/20-AOS1965, section 3): with the residual r_i = |y_i - mu_-k(i)(x_i)|,
    the ends are quantiles of mu_-k(i)(x) - r_i and of mu_-k(i)(x) + r_i over i. It asks of new images that they come
    from where the calibration images came from, and of the model nothing; it promises to hold at least 2 level - 1 less
    min(2 (1 - 1/K) / (n/K + 1), (1 - K/n) / (K + 1)) for K folds (their theorem 4), and usually holds about level.
    It is for a mean, never for a pixel.
    Raises InputError for lengths or folds that disagree, and for too few images: a level of 0.9 needs 9.
    """
    reference, held_out, folds = np.asarray(reference, float), np.asarray(held_out, float), np.asarray(folds)
    n = len(reference)
    if not reference.shape == held_out.shape == folds.shape == (n,) or set(folds.tolist()) != set(predicted_by_fold):
        raise InputError(
            f"reference {reference.shape}, held_out {held_out.shape}, folds {folds.shape} of {sorted(set(folds))}, "
            f"models of {sorted(predicted_by_fold)}; expected three (n,) arrays and a model of each fold."
        )
    rank = int(np.ceil(level * (n + 1) - 1e-9))  # 0.9 * 10 is 9, whatever the floating point says
    if not 0 < level < 1 or rank > n:
        raise InputError(f"level {level} with {n} images; at most {n / (n + 1):.3f} can be had, above 0.")
    residual = np.abs(reference - held_out)[:, None]  # (n, 1)
    centre = np.array([predicted_by_fold[fold] for fold in folds.tolist()])  # (n, m)
    low, high = np.sort(centre - residual, axis=0)[n - rank], np.sort(centre + residual, axis=0)[rank - 1]
    return np.stack([low, high], axis=1)
