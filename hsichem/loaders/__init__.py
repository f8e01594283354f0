"""A file or a camera's folder becomes a Cube."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "any_file": ["EXPORT", "READERS", "NotReflectance", "open_lines", "read_any"],
        "envi": ["read_capture", "read_counts", "read_cube", "write_cube"],
        "envi_header": ["DATA_SUFFIXES"],
        "exposure": ["exposure_times"],
        "mask_file": ["MASK_SUFFIXES", "read_mask"],
        "lines": ["Lines"],
        "white_dark": ["find_frames", "has_references", "scenes"],
    },
)
