"""Hyperspectral images into chemical maps, and which map to believe.

Read the modules in the order of the data flow:

    images     cube, files, header, counts, capture, envi, matlab, formats, masks
    data sets  meat, phantom, mosaic, references, manifest, samples, own, download, data, folder_check
    PLS        preprocess, mapping, pls, calibration, diagnostics, baselines
    networks   losses, weights, tiles, unet, pixelnet, train
    judgement  variogram, spatial, uncertainty, evaluate, shortcuts, claims
    pages      plotting, results, settings, exercises, rerun, summary, report, cli
    explorer   layers, sources, answers, snapshot, canvas, controls, explorer
"""

from hsichem._base import InputError
from hsichem.cubes.cube import Cube

__version__ = "0.1.0"
__all__ = ["Cube", "InputError"]
