"""A name becomes Samples with references, splits and, where it is known, the truth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "check": ["check_folder"],
        "samples": ["Sample"],
        "store": ["Dataset", "add", "fetch", "make", "open_dataset", "read_manifest", "status", "verify"],
        "table": ["one_test_group"],
    },
)
