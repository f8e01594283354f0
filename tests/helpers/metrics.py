"""metrics.json as the notebooks write it, with and without truth maps."""

import copy

METRICS = {
    "settings": {"dataset": "phantom-belly", "preset": "lesson", "variant": "<b>published</b>"},
    "methods": {
        "PLS": {
            "mean": {"rmsep": 1.234, "rmsep_interval": [0.9, 1.6], "bias": -0.05},
            "map": {"pixel_rmse": 151.6, "pixel_rmse_interval": [140.2, 163.0], "correlation": 0.31, "slope": 0.9,
                    "sd_ratio": 7.5, "edge_width": 1.875, "outside_share": 0.4321, "low": -1012.3, "high": 1488.2},
            "held_out": {"held_out": 140.0, "held_out_interval": [130.0, 150.0], "noise": 60.0},
            "variogram": {"nugget": 90.0, "partial_sill": 2.0, "range": 8.0, "correlated_share": 0.0253},
        },
        "U-Net": {"mean": {"rmsep": 2.5},
                  "map": {"correlation": None, "pixel_rmse": 31.8, "pixel_rmse_interval": [30, 34]},
                  "held_out": {"held_out": 30.0, "held_out_interval": [28.0, 32.0]},
                  "variogram": {"correlated_share": 0.9991}},
    },
    "nulls": {"ramp": {"correlated_share": 1.0, "correlation": -0.02, "pixel_rmse": 20.0}},
    "02_pls_maps": {"opponent": "PLS", "tuned": {}},
    "difference": {"PLS": {"rmsep_ratio": 1.0},
                   "U-Net": {"rmsep_ratio": 2.026, "rmsep_ratio_interval": [1.4, 2.9],
                             "rmsep_difference": 1.27, "rmsep_difference_interval": [0.6, 1.94],
                             "pixel_rmse_ratio": 0.21, "pixel_rmse_ratio_interval": [0.18, 0.25]}},
    "unet_against": {"PLS": {"pixel_rmse_ratio": 0.21, "pixel_rmse_ratio_interval": [0.18, 0.25]}},
    "ladder": {"bound": {"mean": {"rmsep": 3.5}, "map": {"slope": 0.2}, "held_out": {"held_out": 30.0}}},
    "smoothness": {"weight 20": {"correlated_share": 1.0, "slope": 0.08, "sd_ratio": 0.1, "pixel_rmse": 33.3}},
    "shortcuts": {"U-Net, mask alone": {"rmsep": 9.0, "correlation": None, "moved": 8.5},
                  "PLS, as it is": {"rmsep": 1.23, "correlation": 0.97, "moved": 0.0}},
    "conformal": {"PLS": {"promised_share": 0.9, "held_share": 0.95, "held_share_interval": [0.75, 1.0],
                          "width": 7.0, "n": 20}},
    "calibration": {"U-Net": {"ratio": 6.2, "rank_correlation": 0.25, "spread": [1.0], "error": [6.2]}},
    "05_which_map": {
        "claims": [{"claim": "share & <i>sense</i>", "paper": "99.91 %", "here": "99 %", "held": "yes", "why": "it is"}]
    },
}  # fmt: skip


def without_truth():
    """METRICS as notebooks 04 and 05 write them where no sample has a truth map."""
    metrics = copy.deepcopy(METRICS) | {"unet_against": {}, "calibration": {}}
    for method in metrics["methods"].values():
        method["map"] = {key: method["map"].get(key) for key in ("outside_share", "low", "high")}
    metrics["nulls"] = {"ramp": {"correlated_share": 1.0, "outside_share": 0.0}}
    metrics["difference"]["U-Net"] = {"rmsep_ratio": 2.026, "rmsep_difference": 1.27}
    del metrics["smoothness"]["weight 20"]["slope"], metrics["smoothness"]["weight 20"]["pixel_rmse"]
    return metrics
