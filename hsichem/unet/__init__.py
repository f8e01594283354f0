"""The network, its loss, its training, its prediction."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "images": ["TrainingImage"],
        "loss": ["PUBLISHED_WEIGHTS", "TERMS", "map_losses"],
        "network": ["ChemicalUNet", "Ensemble", "PixelNetwork"],
        "predict": ["predict_looks", "predict_map"],
        "train": ["TrainConfig", "build_network", "config_from", "one_after_another", "train_fold", "train_folds"],
        "weights": ["check_state", "load_published", "load_state", "published_input"],
    },
)
