"""Hyperspectral images into chemical maps, and which map to believe.

Read the modules in the order of the data flow: cube, files, envi, meat, phantom, mosaic, manifest, samples, data,
preprocess, pls, losses, weights, tiles, unet, pixelnet, train, variogram, spatial, evaluate, plotting. Then what
notebooks and commands need: results, settings, exercises, rerun, report, cli.
"""

from hsichem.cube import Cube, InputError

__version__ = "0.1.0"
__all__ = ["Cube", "InputError"]
