import copy
import json

import pytest

from hsichem import InputError
from hsichem.maps.claims import claims_table

METRICS = {
    "methods": {
        "PLS": {
            "mean": {"rmsep": 2.0},
            "map": {
                "pixel_rmse": 30.0,
                "correlation": 0.51,
                "low": -700.0,
                "high": 900.0,
                "outside_share": 0.4,
            },
            "variogram": {"correlated_share": 0.0253},
        },
        "PLS few components": {"map": {"pixel_rmse": 14.0}},
        "PLS smoothed": {"map": {"pixel_rmse": 9.0}},
        "PLS binned": {"map": {"pixel_rmse": 9.5}},
        "U-Net": {
            "mean": {"rmsep": 1.8},
            "map": {
                "pixel_rmse": 8.0,
                "correlation": 0.83,
                "low": 2.0,
                "high": 97.0,
                "outside_share": 0.0,
            },
            "variogram": {"correlated_share": 0.9991},
        },
    },
    "nulls": {
        "blurred noise": {"correlated_share": 0.9912, "correlation": -0.02},
        "ramp": {"correlated_share": 1.0, "correlation": -0.001},
    },
    "difference": {"U-Net": {"rmsep_ratio": 0.9, "rmsep_ratio_interval": [0.85, 0.96]}},
    "unet_against": {
        "PLS": {"pixel_rmse_ratio": 0.27, "pixel_rmse_ratio_interval": [0.25, 0.3]},
        "PLS few components": {"pixel_rmse_ratio": 0.57, "pixel_rmse_ratio_interval": [0.5, 0.7]},
        "PLS smoothed": {"pixel_rmse_ratio": 0.89, "pixel_rmse_ratio_interval": [0.81, 0.97]},
        "PLS binned": {"pixel_rmse_ratio": 0.84, "pixel_rmse_ratio_interval": [0.71, 0.99]},
    },
}
BETTER, SAME, UNET_SHARE, PLS_SHARE, INSIDE, FAR, TRUTH = range(7)


def with_changes(*changes):
    metrics = copy.deepcopy(METRICS)
    for path, value in changes:
        *where, last = path.split("/")
        section = metrics
        for key in where:
            section = section[key]
        section[last] = value
    return metrics


@pytest.mark.parametrize(
    ("row", "held", "changes"),
    [
        (BETTER, "yes", []),
        (BETTER, "not shown", [("difference/U-Net/rmsep_ratio_interval", [0.85, 1.02])]),
        (BETTER, "no", [("difference/U-Net/rmsep_ratio_interval", [1.05, 1.4])]),
        (SAME, "no", []),
        (SAME, "not shown", [("difference/U-Net/rmsep_ratio_interval", [0.85, 1.02])]),
        (SAME, "yes", [("difference/U-Net/rmsep_ratio_interval", [0.95, 1.02])]),
        (SAME, "yes", [("difference/U-Net/rmsep_ratio_interval", [1.05, 1.4])]),
        (UNET_SHARE, "yes", []),
        (UNET_SHARE, "no", [("methods/U-Net/variogram/correlated_share", 0.94)]),
        (UNET_SHARE, "not shown", [("methods/U-Net/variogram/correlated_share", None)]),
        (UNET_SHARE, "not shown", [("methods/U-Net/variogram/correlated_share", float("nan"))]),
        (PLS_SHARE, "yes", []),
        (PLS_SHARE, "no", [("methods/PLS/variogram/correlated_share", 0.11)]),
        (INSIDE, "yes", []),
        (INSIDE, "no", [("methods/U-Net/map/outside_share", 1e-5)]),
        (FAR, "yes", []),
        (FAR, "yes", [("methods/PLS/map/low", 0.0)]),
        (FAR, "no", [("methods/PLS/map/low", -99.0), ("methods/PLS/map/high", 199.0)]),
        (TRUTH, "yes", []),
        (TRUTH, "no", [("unet_against/PLS smoothed/pixel_rmse_ratio_interval", [1.01, 1.1])]),
        (TRUTH, "not shown", [("unet_against/PLS smoothed/pixel_rmse_ratio_interval", [0.9, 1.01])]),
        (TRUTH, "not shown", [("unet_against/PLS binned/pixel_rmse_ratio_interval", [0.6, 1.2])]),  # not the best one
        (TRUTH, "not shown", [("unet_against", {})]),
    ],
)
def test_claims_are_held_against_the_numbers(row, held, changes):
    table = claims_table(with_changes(*changes))
    assert table[row]["held"] == held
    assert all(set(r) == {"claim", "paper", "here", "held", "why"} for r in table)
    json.dumps(table, allow_nan=False)


def test_a_share_never_stands_alone():
    table = claims_table(METRICS)
    for row, own in ((UNET_SHARE, "99.91 % (correlation 0.83)"), (PLS_SHARE, "2.53 % (correlation 0.51)")):
        assert table[row]["here"].startswith(own)
        assert "blurred noise 99.12 % (correlation -0.02); ramp 100.00 % (correlation 0.00)" in table[row]["here"]
    assert table[UNET_SHARE]["why"] == "as smooth, knowing nothing: blurred noise, ramp"
    low = {"blurred noise": {"correlated_share": 0.9, "correlation": None}}
    assert claims_table(with_changes(("nulls", low)))[UNET_SHARE]["why"] == "no null map scores as high"


@pytest.mark.parametrize(("of_spectra", "held"), [(0.5, "not shown"), (1.8, "not shown"), (1.9, "yes"), (2.0, "yes")])
def test_a_map_that_loses_the_mean_does_not_speak_for_its_model(of_spectra, held):
    """With absorbance or SNV, the mean of a noisy map is not the prediction of the mean spectrum."""
    metrics = copy.deepcopy(METRICS) | {"02_pls_maps": {"rmsep_of_mean_spectra": of_spectra}}
    better, same = claims_table(metrics)[BETTER], claims_table(metrics)[SAME]
    assert better["held"] == held and same["held"] == ("no" if held == "yes" else held)
    assert (f"mean spectra with {of_spectra:.2f}" in better["why"] and better["why"] == same["why"]) == (held != "yes")
    worse = with_changes(("difference/U-Net/rmsep_ratio_interval", [1.1, 1.3]))
    assert claims_table(worse | {"02_pls_maps": {"rmsep_of_mean_spectra": of_spectra}})[BETTER]["held"] == "no"


def test_claims_show_their_numbers():
    table = claims_table(METRICS)
    assert table[BETTER]["here"] == "RMSEP 1.80 against 2.00: ratio 0.90, interval 0.85 to 0.96"
    assert table[FAR]["here"] == "-700.0 to 900.0 %, 40.00 % of pixels outside"
    expected = "pixel RMSE 8.0; smallest of 4 linear maps: PLS smoothed 9.0, ratio 0.89, interval 0.81 to 0.97"
    assert table[TRUTH]["here"] == expected
    assert table[TRUTH]["why"] == "the paired interval is below 1 against each of them"
    wide = with_changes(("unet_against/PLS binned/pixel_rmse_ratio_interval", [0.6, 1.2]))
    assert claims_table(wide)[TRUTH]["why"] == "the paired interval is not below 1 against PLS binned"


def test_without_truth_no_claim_is_made_of_it():
    metrics = with_changes(("unet_against", {}))
    for method in metrics["methods"].values():
        for key in ("pixel_rmse", "correlation"):
            method["map"].pop(key, None)
    for null in metrics["nulls"].values():
        del null["correlation"]
    table = claims_table(metrics)
    assert (table[TRUTH]["here"], table[TRUTH]["held"]) == ("no pixel truth", "not shown")
    assert table[UNET_SHARE]["here"].startswith("99.91 % (correlation unknown)")
    assert [row["held"] for row in table[:TRUTH]] == [row["held"] for row in claims_table(METRICS)[:TRUTH]]


@pytest.mark.parametrize("missing", ["methods", "nulls", "difference", "unet_against"])
def test_claims_need_all_sections(missing):
    with pytest.raises(InputError, match=missing):
        claims_table({k: v for k, v in METRICS.items() if k != missing})
