"""A name becomes Samples with references, splits and, where it is known, the truth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "check": ["check_folder"],
        "check_images": ["draw_masks", "mask_doubts"],
        "own": ["check_way"],
        "samples": ["Sample", "drawn_mask", "find_images"],
        "store": [
            "Dataset",
            "add",
            "broken_entries",
            "entry_file",
            "expose_again",
            "fetch",
            "make",
            "move",
            "open_dataset",
            "read_manifest",
            "remove",
            "status",
            "verify",
        ],
        "table": ["one_test_group"],
    },
)
