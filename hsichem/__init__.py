"""Hyperspectral images into chemical maps, and which map to believe.

Read the modules in the order of the data flow: cube, files, header, counts, capture, envi, matlab, formats, meat,
phantom, mosaic, masks, references, manifest, samples, own, download, data, preprocess, pls, calibration, diagnostics,
losses, weights, tiles, unet, pixelnet, train, variogram, spatial, uncertainty, evaluate, baselines, shortcuts, claims,
plotting. Then what notebooks and commands need: folder_check, results, settings, exercises, rerun, summary, report,
cli.
"""

from hsichem.cube import Cube, InputError

__version__ = "0.1.0"
__all__ = ["Cube", "InputError"]
