"""How good is a prediction: of the mean, of the map, and against what the paper claims."""

import numpy as np

from hsichem.cube import InputError
from hsichem.spatial import masked_values

PLS_VARIANTS = ("PLS", "PLS few components", "PLS smoothed", "PLS binned")

# Where the paper gives a number but no limit, these decide when a claim holds here.
SMALLEST_GAIN = 0.93  # RMSE ratio U-Net / PLS of the arXiv v5, the least the authors report
NEARLY_ALL, LITTLE = 0.95, 0.10  # spatially correlated share: 99.91 % and 2.53 % in the paper
FAR = 100  # % w/w beyond 0 or 100


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


def bootstrap_interval(statistic, *arrays, groups=None, level=0.95, repeats=2000, seed=0) -> tuple[float, float]:
    """(low, high): percentile bootstrap interval of statistic(*arrays) (Efron & Tibshirani 1993, chapter 13).

    arrays: (n, ...) each; the same rows are drawn from all of them, so two methods on the same images stay paired.
    groups: (n,) labels; whole groups are drawn (images of one animal are not independent; scipy.stats.bootstrap
    draws single rows). None: every row is its own group.
    With few groups the interval is too narrow: for an RMSEP of normal errors, 95 % intervals from 10, 20 and 40 groups
    held the true value in 81, 88 and 90 % of 400 trials.
    Raises InputError when lengths disagree, there are fewer than two groups, or level is not between 0 and 1.
    """
    arrays = [np.asarray(a) for a in arrays]
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    if any(len(a) != len(labels) for a in arrays):
        raise InputError(f"arrays of {[len(a) for a in arrays]} rows and {len(labels)} groups; expected equal lengths.")
    members = [np.flatnonzero(labels == g) for g in np.unique(labels)]
    if len(members) < 2:
        raise InputError(f"{len(members)} group to draw from; an interval needs at least two.")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a number between 0 and 1, as 0.95.")
    draws = np.random.default_rng(seed).integers(len(members), size=(repeats, len(members)))
    values = []
    for draw in draws:
        rows = np.concatenate([members[g] for g in draw])
        values.append(statistic(*(a[rows] for a in arrays)))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def map_metrics(prediction, truth, mask, bounds=(0, 100)) -> dict:
    """A map against pixel truth, inside the mask.

    prediction, truth: (rows, cols) in % w/w; mask: (rows, cols) bool; bounds: the values that are possible.
    Returns outside_share (0-1 of the pixels beyond bounds), low and high; with a truth also pixel_rmse, correlation,
    slope (of predicted on true, 1 = full contrast) and sd_ratio (predicted / true).
    Without a truth (None) only the first three can be known. What has no value (a constant map) is None, as in JSON.
    Raises InputError as `hsichem.spatial.masked_values` does.
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
    for key in samples[0]:
        values = [s[key] for s in samples if s[key] is not None]
        combine = {"low": np.min, "high": np.max}.get(key, np.mean)
        average[key] = float(combine(values)) if values else None
    return average


def judge(maps: dict, truths: dict, masks: dict, reference, groups, seed: int) -> dict:
    """One method on many images: {"mean": mean_metrics and its bootstrap interval, "map": average_metrics}.

    maps, truths, masks: {sample id: (rows, cols)} in one order, truths may hold None; reference: (n,) mean values in
    the same order; groups: (n,) labels drawn together, e.g. animals. The mean predicted for an image is its map's.
    """
    predicted = np.array([masked_values(map_, masks[name]).mean() for name, map_ in maps.items()])
    reference = np.asarray(reference, dtype=np.float64)

    def rmsep(y, p):
        return np.sqrt(np.mean((p - y) ** 2))

    interval = bootstrap_interval(rmsep, reference, predicted, groups=groups, seed=seed)
    return {
        "mean": mean_metrics(reference, predicted) | {"rmsep_interval": interval, "predicted": predicted.tolist()},
        "map": average_metrics([map_metrics(map_, truths[name], masks[name]) for name, map_ in maps.items()]),
    }


def claims_table(metrics: dict) -> list[dict]:
    """The paper's claims (doi 10.1002/cem.70041; the thesis is arXiv 2510.13452) against what was measured here.

    metrics: metrics.json as a dict, of which these top-level sections are read:
      methods: {name: {"mean": {"rmsep"}, "map": `average_metrics`, "variogram": {"correlated_share"}}} with the names
        those of PLS_VARIANTS and "U-Net" (more keys may stand beside these);
      nulls: {null map's name: {"correlated_share", "correlation"}}, the correlation with the truth;
      difference: {"rmsep_ratio": U-Net / PLS, "interval": [low, high] of the ratio, paired over images}.
    Returns rows with the keys claim, paper, here, held ("yes", "no", "not shown") and why: strings all.
    Raises InputError when a section, method or key is missing.
    """
    try:
        unet, pls = metrics["methods"]["U-Net"], metrics["methods"]["PLS"]
        return [
            *_mean_claims(unet["mean"]["rmsep"], pls["mean"]["rmsep"], metrics["difference"]),
            *_share_claims(unet, pls, metrics["nulls"]),
            *_range_claims(unet["map"], pls["map"]),
            _truth_claim(unet["map"], {name: metrics["methods"][name]["map"] for name in PLS_VARIANTS}),
        ]
    except KeyError as missing:
        raise InputError(
            f"metrics has no {missing}; expected it under methods, nulls or difference. Run notebooks 02 and 03 first."
        ) from None


def _mean_claims(unet, pls, difference):
    ratio, (low, high) = difference["rmsep_ratio"], difference["interval"]
    here = f"RMSEP {unet:.2f} against {pls:.2f}: ratio {ratio:.2f}, interval {low:.2f} to {high:.2f}"
    better = "yes" if high < 1 else "no" if low > 1 else "not shown"
    # No difference shown is not equality shown: as well means that the smallest gain the paper reports is ruled out.
    equal = "no" if high < 1 else "yes" if low > SMALLEST_GAIN else "not shown"
    why = {"yes": "the whole interval is below 1", "no": "the whole interval is above 1", "not shown": "it includes 1"}
    same = {
        "no": "the U-Net is better: the whole interval is below 1",
        "yes": f"a gain of {100 * (1 - SMALLEST_GAIN):.0f} % or more is outside the interval",
        "not shown": f"the interval includes 1 and a gain of {100 * (1 - SMALLEST_GAIN):.0f} %: too few images to tell",
    }
    paper = "RMSE 9-13 % lower (journal), 7 % lower (arXiv v5)"
    return [
        _row("The U-Net predicts the mean better than PLS", paper, here, better, why[better]),
        _row("PLS does at least as well for the mean", "thesis", here, equal, same[equal]),
    ]


def _share_claims(unet, pls, nulls):
    beside = "; ".join(f"{name} {_share(null)}" for name, null in nulls.items())
    rows = []
    for name, method, paper, holds in (
        ("Nearly all variance of the U-Net's map is", unet, "99.91 %", lambda share: share >= NEARLY_ALL),
        (
            "Little variance of the PLS map is",
            pls,
            "2.53 % (journal), 2.37 % (arXiv v5)",
            lambda share: share <= LITTLE,
        ),
    ):
        share = method["variogram"]["correlated_share"]
        known = share is not None and share == share  # NaN: a flat map
        held = "not shown" if not known else "yes" if holds(share) else "no"
        score = _share({"correlated_share": share, "correlation": method["map"].get("correlation")})
        as_high = [n for n, null in nulls.items() if known and (null["correlated_share"] or 0) >= share - 0.01]
        why = f"as smooth, knowing nothing: {', '.join(as_high)}" if as_high else "no null map scores as high"
        if method is pls:
            why = f"little is at most {100 * LITTLE:.0f} %; the share depends on the variogram model"
        why = why if known else "a flat map has no variance to share out"
        rows.append(_row(f"{name} spatially correlated", paper, f"{score}. Null maps: {beside}", held, why))
    return rows


def _range_claims(unet, pls):
    def here(m):
        return f"{m['low']:.1f} to {m['high']:.1f} %, {100 * m['outside_share']:.2f} % of pixels outside"

    inside, far = unet["outside_share"] == 0, pls["low"] < -FAR or pls["high"] > 100 + FAR
    return [
        _row(
            "The U-Net's map stays inside 0-100 %",
            "inside",
            here(unet),
            "yes" if inside else "no",
            "no pixel of any test image is outside" if inside else "some pixels are outside",
        ),
        _row(
            "The PLS map leaves 0-100 % by far",
            "colour scale about -1000 to 1500 %",
            here(pls),
            "yes" if far else "no",
            f"far is more than {FAR} % beyond either end, in any pixel",
        ),
    ]


def _truth_claim(unet, variants):
    claim, paper = "The U-Net's map is nearer to the truth than any PLS map", "no pixel truth; implied"
    errors = {name: m.get("pixel_rmse") for name, m in {"U-Net": unet, **variants}.items()}
    if None in errors.values():
        return _row(
            claim, paper, "no pixel truth", "not shown", "only the mean, the range and the smoothness are known"
        )
    here = "pixel RMSE " + ", ".join(f"{name} {error:.1f}" for name, error in errors.items())
    best = min(errors, key=errors.get)
    why = f"smallest error: {best}; no interval, images are averaged"
    return _row(claim, paper, here, "yes" if best == "U-Net" else "no", why)


def _share(map_):
    """A share never stands alone: always with the pixel correlation to the truth."""
    share, correlation = map_["correlated_share"], map_.get("correlation")
    text = "no value" if share is None or share != share else f"{100 * share:.2f} %"
    return f"{text} (correlation {'unknown' if correlation is None else format(correlation, '.2f')})"


def _row(*texts):
    return dict(zip(("claim", "paper", "here", "held", "why"), texts, strict=True))
