"""Hyperspectral images into chemical maps, and which map to believe.

Read the modules in the order of the data flow: cube, files, header, counts, capture, envi, matlab, formats, meat,
phantom, mosaic, manifest, samples, data, preprocess, pls, calibration, diagnostics, losses, weights, tiles, unet,
pixelnet, train, variogram, spatial, uncertainty, evaluate, baselines, shortcuts, claims, plotting. Then what notebooks
and commands need: results, settings, exercises, rerun, summary, report, cli; and the explorer: layers, sources,
answers, snapshot, canvas, controls, explorer.
"""

from hsichem.cube import Cube, InputError

__version__ = "0.1.0"
__all__ = ["Cube", "InputError"]
