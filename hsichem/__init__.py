"""Hyperspectral images into chemical maps, and which map to believe.

Seven rooms, in the order of the data flow:

    cubes      an image in memory, and what happens to it before a model
    loaders    a file or a camera's folder becomes a Cube
    datasets   a name becomes Samples with references, splits and, where known, truth
    pls        mean spectra become a model, a model becomes a map
    unet       the network, its loss, its training, its prediction
    maps       how good is a map, with and without truth; filters
    lab        a notebook, a run, a page, the explorer

Each room's face names what it offers and loads it on first use.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["datasets"],
    submod_attrs={"_base": ["InputError"], "cubes": ["Cube"], "lab.models": ["load_model"]},
)
