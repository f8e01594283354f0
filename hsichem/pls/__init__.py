"""Mean spectra become a model, a model becomes a map."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "choose": ["CANDIDATES", "choose_pls", "linear_models", "preprocessing_name"],
        "diagnostics": ["noise_gain", "noise_gain_map", "t2_and_q", "t2_and_q_limits", "t2_and_q_maps"],
        "penalised": ["PENALTIES", "fit_penalised", "read_without"],
        "model": ["LinearModel", "PLSModel", "cross_validate", "deal_folds", "fit_pls", "per_pixel"],
    },
)
