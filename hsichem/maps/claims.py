"""The paper's claims against what was measured here, each held or not by a rule that stands in the code."""

from hsichem._base import InputError

# Where the paper gives a number but no limit, these decide when a claim holds here.
SMALLEST_GAIN = 0.93  # RMSE ratio U-Net / PLS of the arXiv v5, the least the authors report
NEARLY_ALL, LITTLE = 0.95, 0.10  # spatially correlated share: 99.91 % and 2.53 % in the paper
FAR = 100  # % w/w beyond 0 or 100


def claims_table(metrics: dict) -> list[dict]:
    """The paper's claims (doi 10.1002/cem.70041; the thesis is arXiv 2510.13452) against what was measured here.

    metrics: metrics.json as a dict, of which these top-level sections are read:
      methods: {name: `hsichem.maps.metrics.judge` | {"variogram": {"correlated_share"}}}, of which "U-Net", "PLS" and
        the pixel_rmse of every other PLS map are used;
      nulls: {null map's name: {"correlated_share", "correlation"}}, the correlation with the truth;
      difference: {"U-Net": `hsichem.maps.intervals.rmsep_against` PLS};
      unet_against: {PLS map's name: `hsichem.maps.intervals.pixel_rmse_against` it}, empty where there is no truth;
      02_pls_maps: {"rmsep_of_mean_spectra"} of PLS, if there: a map can lose the mean that its model knows.
    Returns rows with the keys claim, paper, here, held ("yes", "no", "not shown") and why: strings all.
    Raises InputError when a section, method or key is missing.
    """
    try:
        unet, pls = metrics["methods"]["U-Net"], metrics["methods"]["PLS"]
        return [
            *_mean_claims(
                unet["mean"]["rmsep"],
                pls["mean"]["rmsep"],
                metrics["difference"]["U-Net"],
                metrics.get("02_pls_maps", {}).get("rmsep_of_mean_spectra"),
            ),
            *_share_claims(unet, pls, metrics["nulls"]),
            *_range_claims(unet["map"], pls["map"]),
            _truth_claim(metrics["methods"], metrics["unet_against"]),
        ]
    except KeyError as missing:
        raise InputError(
            f"metrics has no {missing}; expected it under methods, nulls, difference or unet_against. "
            "Run notebooks 02 and 03 first."
        ) from None


def _mean_claims(unet, pls, difference, of_spectra):
    ratio, (low, high) = difference["rmsep_ratio"], difference["rmsep_ratio_interval"]
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
    if better == "yes" and of_spectra is not None and of_spectra <= unet:  # a fair chance for the baseline
        better = equal = "not shown"
        why[better] = same[equal] = (
            f"PLS predicts the mean spectra with {of_spectra:.2f}; only its map loses the mean, "
            "by a preprocessing that is not linear"
        )
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


def _truth_claim(methods, against):
    claim, paper = "The U-Net's map is nearer to the truth than any PLS map", "no pixel truth; implied"
    if not against:
        known = "only the mean, the range and the smoothness are known"
        return _row(claim, paper, "no pixel truth", "not shown", known)
    best = max(against, key=lambda name: against[name]["pixel_rmse_ratio"])
    error, least = (methods[name]["map"]["pixel_rmse"] for name in ("U-Net", best))
    low, high = against[best]["pixel_rmse_ratio_interval"]
    here = (
        f"pixel RMSE {error:.1f}; smallest of {len(against)} PLS maps: {best} {least:.1f}, "
        f"ratio {against[best]['pixel_rmse_ratio']:.2f}, interval {low:.2f} to {high:.2f}"
    )
    ends = {name: ratio["pixel_rmse_ratio_interval"] for name, ratio in against.items()}
    nearer, open_ = ([name for name in ends if ends[name][k] > 1] for k in (0, 1))
    # each map is asked alone, and all have to agree: so no correction for asking many
    held = "no" if nearer else "not shown" if open_ else "yes"
    why = {"no": f"above 1 against {', '.join(nearer)}", "not shown": f"not below 1 against {', '.join(open_)}"}
    return _row(claim, paper, here, held, f"the paired interval is {why.get(held, 'below 1 against each of them')}")


def _share(map_):
    """A share never stands alone: always with the pixel correlation to the truth."""
    share, correlation = map_["correlated_share"], map_.get("correlation")
    text = "no value" if share is None or share != share else f"{100 * share:.2f} %"
    return f"{text} (correlation {'unknown' if correlation is None else format(round(correlation, 2) + 0.0, '.2f')})"


def _row(*texts):
    return dict(zip(("claim", "paper", "here", "held", "why"), texts, strict=True))
