"""A regression vector applied to every pixel, block by block; benchmarks/pls/model.py measures how fast."""

from functools import partial

import numpy as np

from hsichem.cubes.cube import Cube

PIXELS_AT_ONCE = 1 << 12  # the spectra of a block, 1 or 2 MB at 62 bands, stay in the cache of the processor


def per_pixel(cube: Cube, function, shape=()) -> np.ndarray:
    """(rows, cols, *shape) float32 map of function((n, bands) float32 spectra) -> (n, *shape); NaN in the background.

    Block by block: beside the map, memory holds the spectra of PIXELS_AT_ONCE pixels, whatever the size of the cube.
    """
    rows, cols, bands = cube.values.shape
    inside, out = cube.foreground, np.full((rows, cols, *shape), np.nan, np.float32)
    step = max(1, PIXELS_AT_ONCE // cols)
    for start in range(0, rows, step):
        block = slice(start, start + step)
        spectra, values = cube.values[block].reshape(-1, bands), out[block].reshape(-1, *shape)  # the latter a view
        if (here := np.flatnonzero(inside[block])).size == len(spectra):
            values[:] = function(spectra)
        elif here.size:
            values[here] = function(spectra.take(here, axis=0))
    return out


def folded(pipeline, vector, intercept):
    """A function of (n, bands) spectra: the pipeline, the vector and the intercept, in as few passes as there can be.

    pipeline: of `make_pipeline`, fitted; vector: (bands,) or (bands, responses); intercept: float or
    (responses,). What the pipeline ends with is folded into the vector: filters, and an SNV or MSC before them.
    """
    from chemotools.derivative import SavitzkyGolay
    from chemotools.scatter import MultiplicativeScatterCorrection, StandardNormalVariate

    steps = [step for _, step in pipeline.steps]
    while steps and isinstance(steps[-1], SavitzkyGolay):  # linear, x A: then (x A) b = x (A b)
        vector = steps.pop().transform(np.eye(len(vector))) @ vector
    # (x - mean) / sd, (x - offset) / slope: what is subtracted drops out, for the vector of such spectra adds up to
    # 0. They differ from their mean by nothing along (1, 1, ..., 1), and a derivative of that is nothing, too.
    if steps and isinstance(steps[-1], StandardNormalVariate):
        steps.pop()
        product = partial(_after_snv, vector)
    elif steps and isinstance(steps[-1], MultiplicativeScatterCorrection):
        product = partial(_after_msc, vector, steps.pop())
    else:
        product = partial(_plain, vector)

    def predict(spectra):
        for step in steps:
            spectra = step.transform(spectra)
        return product(spectra) + intercept

    return predict


# (n, bands) spectra -> (n,) or (n, responses): their products with the vector, in the type of the spectra. SNV and MSC
# centre before anything is summed: float32 would lose a small difference of two large sums.


def _plain(vector, spectra):
    return spectra @ vector.astype(spectra.dtype)


def _after_snv(vector, spectra):
    average = np.full(spectra.shape[1], 1 / spectra.shape[1], spectra.dtype)  # NumPy's own mean of short rows is slow
    mean = spectra @ average
    centred = spectra - mean[:, None]
    products = _plain(vector, centred)
    variance = np.square(centred, out=centred) @ average
    # a spectrum that is flat, but for what float32 rounds, has no SNV
    return (products.T / np.sqrt(np.where(variance > 1e-13 * mean**2, variance, np.nan))).T


def _after_msc(vector, msc, spectra):
    centred = spectra - msc.reference_.astype(spectra.dtype)
    slope = centred @ msc.pinv_A_[0].astype(spectra.dtype) + 1  # that of the reference, which was taken away, is 1
    return ((_plain(vector, centred) + msc.reference_ @ vector).T / slope).T
