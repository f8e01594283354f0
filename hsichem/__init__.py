"""Hyperspectral images into chemical maps, and which map to believe.

Read the modules in the order of the data flow: cube, envi, phantom, mosaic, data, preprocess, pls, unet,
losses, train, spatial, evaluate, plotting, results, rerun, report, cli.
"""

from hsichem.cube import Cube, InputError

__version__ = "0.1.0"
__all__ = ["Cube", "InputError"]
