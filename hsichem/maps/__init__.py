"""How good is a map, with and without the truth; what else can be made of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "claims": ["claims_table"],
        "filters": [
            "FILTERS",
            "Tuned",
            "blend_weight",
            "filtered",
            "looks",
            "map_grid",
            "noise_of",
            "tune",
            "with_mean",
        ],
        "held_out": ["held_out_error", "held_out_square", "looks_of", "shared_noise"],
        "intervals": ["bootstrap_interval", "cv_plus", "pixel_rmse_against", "rmsep_against", "rmsep_interval"],
        "metrics": ["average_metrics", "edge_width", "judge", "map_metrics", "mean_metrics"],
        "nulls": ["null_maps"],
        "variogram": [
            "MODELS",
            "Variogram",
            "fit_variogram",
            "masked_values",
            "pooled_variogram",
            "semivariogram",
            "variogram_interval",
        ],
        "verdict": ["find_verdict"],
    },
)
