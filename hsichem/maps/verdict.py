"""Which map to believe, from the numbers of a run. What follows from it is said in words in report.html.j2."""

import math

from hsichem.maps.held_out import SHARED


def find_verdict(metrics: dict, trained=True) -> dict | None:
    """The map with the least error, the one it is held against, and whether they differ. None before maps are compared.

    metrics: metrics.json as a dict. trained: False leaves the networks out, which then are evidence of nothing.

    Where the truth is known, the pixel RMSE decides. Elsewhere the error to expect of a pixel decides: the root sum of
    squares of the error of the mean and the held-out error.
    Two maps differ when the paired 95 % interval of their ratio leaves out 1. Pairs are known with the opponent only,
    the best linear map, and where the truth is. Where a pair is not known, the intervals of the two pixel RMSEs, or
    held-out errors, have to be apart, which is cautious. Where neighbouring pixels share noise, held-out errors are too
    small, and nothing is sure without a truth.

    Returns method; known, whether the truth has decided; error, {method: error}, least first, of which the second is
    the next; rival, the opponent, or the next if the opponent has won; ratio and interval, of the method's error to the
    rival's, or None; apart, whether the method differs from the next; shared, whether pixels share noise; sure, what
    follows from the two; blind, the choice without the truth; left_out, the networks that are not judged.
    """
    methods, difference = metrics.get("methods", {}), metrics.get("difference", {})
    fitted = metrics.get("02_pls_maps", {})
    # linear are what notebook 02 has tuned, and the baseline, which is compared with itself; all others are networks
    linear = {name for name, each in difference.items() if each["rmsep_ratio"] == 1} | fitted.get("tuned", {}).keys()
    judged = {name: found for name, found in methods.items() if trained or name in linear}
    true = {name: found["map"]["pixel_rmse"] for name, found in judged.items() if "pixel_rmse" in found.get("map", {})}
    expected = {
        name: math.hypot(found["mean"]["rmsep"], found["held_out"]["held_out"])
        for name, found in judged.items()
        if "held_out" in found
    }
    error = true or expected
    if not error or not difference:
        return None
    method, *others = sorted(error, key=error.get)
    shared = fitted.get("shared_noise", {}).get("excess", 0) > SHARED
    rival, pair, apart = None, None, False
    if others:
        section, key = ("map", "pixel_rmse_interval") if true else ("held_out", "held_out_interval")
        (_, end), (start, _) = (judged[name][section][key] for name in (method, others[0]))
        apart = end < start
    if others and true:
        rival, pair = _paired(method, others[0], fitted.get("opponent"), difference)
        if rival == others[0]:
            apart = pair[2] < 1
    return {
        "method": method,
        "known": bool(true),
        "error": {name: error[name] for name in (method, *others)},
        "rival": rival,
        "ratio": pair and pair[0],
        "interval": pair and pair[1:],
        "apart": apart,
        "shared": shared,
        "sure": apart and (bool(true) or not shared),
        "blind": min(expected, key=expected.get, default=None),
        "left_out": [name for name in methods if name not in judged],
    }


def _paired(method, following, opponent, difference):
    """The rival, and (ratio, low, high) of the method's error to the rival's."""
    if method == opponent:
        found = difference[following]
        low, high = found["pixel_rmse_ratio_interval"]
        return following, (1 / found["pixel_rmse_ratio"], 1 / high, 1 / low)
    found = difference[method]
    return opponent, (found["pixel_rmse_ratio"], *found["pixel_rmse_ratio_interval"])
