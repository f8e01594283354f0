"""A file or a camera's folder becomes a Cube."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "any_file": ["READERS", "read_any"],
        "envi": ["DATA_SUFFIXES", "read_capture", "read_counts", "read_cube", "write_cube"],
        "exposure": ["exposure_times"],
        "mask_file": ["MASK_SUFFIXES", "read_mask"],
        "white_dark": ["find_frames"],
    },
)
