"""The paper's claims against what was measured here, each held or not by a rule that stands in the code."""

import math

from hsichem._base import InputError

# Where the paper gives a number but no limit, these decide when a claim holds here.
SMALLEST_GAIN = 0.93  # RMSE ratio U-Net / PLS of the arXiv v5, the least the authors report
NEARLY_ALL, LITTLE = 0.95, 0.10  # spatially correlated share: 99.91 % and 2.53 % in the paper
FAR = 100  # % w/w beyond 0 or 100


def claims_table(metrics: dict) -> list[dict]:
    """The paper's claims (doi 10.1002/cem.70041; the thesis is arXiv 2510.13452) against what was measured here.

    metrics: metrics.json as a dict, of which these top-level sections are read:
      methods: {name: `hsichem.maps.metrics.judge` | {"variogram": {"correlated_share"}}}, of which "U-Net", "PLS" and
        the pixel_rmse of every other linear map are used;
      nulls: {null map's name: {"correlated_share", "correlation"}}, the correlation with the truth;
      difference: {"U-Net": `hsichem.maps.intervals.rmsep_against` PLS};
      unet_against: {linear map's name: `hsichem.maps.intervals.pixel_rmse_against` it}, empty where there is no truth;
      02_pls_maps: {"rmsep_of_mean_spectra"} of PLS, if there: a map can lose the mean that its model knows.
    Returns rows with the keys claim, paper, here, held ("yes", "no", "not shown") and why: strings all.
    Raises InputError when a section, method or key is missing.
    """
    try:
        unet, pls = metrics["methods"]["U-Net"], metrics["methods"]["PLS"]
        of_spectra = metrics.get("02_pls_maps", {}).get("rmsep_of_mean_spectra")
        return [
            *_mean_claims(unet["mean"]["rmsep"], pls["mean"]["rmsep"], metrics["difference"]["U-Net"], of_spectra),
            *_share_claims(unet, pls, metrics["nulls"]),
            *_range_claims(unet["map"], pls["map"]),
            _truth_claim(metrics["methods"], metrics["unet_against"]),
        ]
    except KeyError as missing:
        raise InputError(
            f"metrics has no {missing}; expected it under methods, nulls, difference or unet_against. "
            "Run notebooks 02 and 03 first."
        ) from None


def _row(claim, paper, here, holds, why):
    """holds: True, False, or None where these images cannot tell."""
    held = {True: "yes", False: "no", None: "not shown"}[holds]
    return {"claim": claim, "paper": paper, "here": here, "held": held, "why": why}


def _mean_claims(unet, pls, difference, of_spectra):
    ratio, (low, high) = difference["rmsep_ratio"], difference["rmsep_ratio_interval"]
    gain = f"a gain of {100 * (1 - SMALLEST_GAIN):.0f} %"
    if high < 1 and of_spectra is not None and of_spectra <= unet:  # a fair chance for the baseline
        why = f"PLS predicts the mean spectra with {of_spectra:.2f}; only its map loses the mean, "
        better = equal = None, why + "by a preprocessing that is not linear"
    elif high < 1:
        better = True, "the whole interval is below 1"
        equal = False, "the U-Net is better: the whole interval is below 1"
    else:
        better = (False, "the whole interval is above 1") if low > 1 else (None, "it includes 1")
        # No difference shown is not equality shown: the smallest gain that the paper reports has to be ruled out.
        equal = None, f"the interval includes 1 and {gain}: too few images to tell"
        if low > SMALLEST_GAIN:
            equal = True, f"{gain} or more is outside the interval"
    here = f"RMSEP {unet:.2f} against {pls:.2f}: ratio {ratio:.2f}, interval {low:.2f} to {high:.2f}"
    paper = "RMSE 9-13 % lower (journal), 7 % lower (arXiv v5)"
    return [
        _row("The U-Net predicts the mean better than PLS", paper, here, *better),
        _row("PLS does at least as well for the mean", "thesis", here, *equal),
    ]


def _share_claims(unet, pls, nulls):
    beside = "; ".join(f"{name} {_share(null, null)}" for name, null in nulls.items())

    def row(claim, paper, method, holds, why):
        here = f"{_share(method['variogram'], method['map'])}. Null maps: {beside}"
        if math.isnan(_number(method["variogram"])):
            holds, why = None, "a flat map has no variance to share out"
        return _row(claim, paper, here, holds, why)

    share, of_pls = _number(unet["variogram"]), _number(pls["variogram"])
    as_high = ", ".join(name for name, null in nulls.items() if _number(null) >= share - 0.01)
    why = f"as smooth, knowing nothing: {as_high}" if as_high else "no null map scores as high"
    claim = "Nearly all variance of the U-Net's map is spatially correlated"
    rows = [row(claim, "99.91 %", unet, share >= NEARLY_ALL, why)]
    claim, paper = "Little variance of the PLS map is spatially correlated", "2.53 % (journal), 2.37 % (arXiv v5)"
    why = f"little is at most {100 * LITTLE:.0f} %; the share depends on the variogram model"
    return [*rows, row(claim, paper, pls, of_pls <= LITTLE, why)]


def _number(variogram):
    """The share; NaN where a flat map has none."""
    share = variogram["correlated_share"]
    return math.nan if share is None else share


def _share(variogram, map_):
    """A share never stands alone: always with the pixel correlation to the truth."""
    share, correlation = _number(variogram), map_.get("correlation")
    text = "no value" if math.isnan(share) else f"{100 * share:.2f} %"
    return f"{text} (correlation {'unknown' if correlation is None else format(round(correlation, 2) + 0.0, '.2f')})"


def _range_claims(unet, pls):
    def here(m):
        return f"{m['low']:.1f} to {m['high']:.1f} %, {100 * m['outside_share']:.2f} % of pixels outside"

    inside, far = unet["outside_share"] == 0, pls["low"] < -FAR or pls["high"] > 100 + FAR
    why = "no pixel of any test image is outside" if inside else "some pixels are outside"
    rows = [_row("The U-Net's map stays inside 0-100 %", "inside", here(unet), inside, why)]
    claim, paper = "The PLS map leaves 0-100 % by far", "colour scale about -1000 to 1500 %"
    why = f"far is more than {FAR} % beyond either end, in any pixel"
    return [*rows, _row(claim, paper, here(pls), far, why)]


def _truth_claim(methods, against):
    claim, paper = "The U-Net's map is nearer to the truth than any linear map", "no pixel truth; implied"
    if not against:
        why = "only the mean, the range and the smoothness are known"
        return _row(claim, paper, "no pixel truth", None, why)
    best = max(against, key=lambda name: against[name]["pixel_rmse_ratio"])
    ratio, (low, high) = against[best]["pixel_rmse_ratio"], against[best]["pixel_rmse_ratio_interval"]
    error, least = (methods[name]["map"]["pixel_rmse"] for name in ("U-Net", best))
    here = (
        f"pixel RMSE {error:.1f}; smallest of {len(against)} linear maps: {best} {least:.1f}, "
        f"ratio {ratio:.2f}, interval {low:.2f} to {high:.2f}"
    )
    # each map is asked alone, and all have to agree: so no correction for asking many
    ends = {name: each["pixel_rmse_ratio_interval"] for name, each in against.items()}
    holds, why = True, "below 1 against each of them"
    if open_ := [name for name, (_, end) in ends.items() if end > 1]:
        holds, why = None, f"not below 1 against {', '.join(open_)}"
    if nearer := [name for name, (start, _) in ends.items() if start > 1]:
        holds, why = False, f"above 1 against {', '.join(nearer)}"
    return _row(claim, paper, here, holds, f"the paired interval is {why}")
