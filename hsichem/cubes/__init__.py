"""An image, in memory or on disk, and what happens to it before a model sees it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cube": ["Cube"],
        "masks": ["foreground_mask", "otsu_threshold", "pixel_kinds", "polygon_mask", "saturated", "valley_depth"],
        "blocks": ["binned", "block_mean", "diagonal_mean", "shown_columns", "whole_blocks"],
        "preprocess": [
            "PIXELS",
            "REFLECTANCE_FLOOR",
            "NoiseScale",
            "absorbance",
            "crop_and_bin",
            "make_pipeline",
            "scale_by_noise",
            "smooth",
        ],
        "stored": ["SUFFIX", "VERSION", "OnDisk", "open_cube", "store_cube"],
    },
)
