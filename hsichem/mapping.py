"""A regression vector applied to every pixel, at about the speed at which memory can be read."""

from functools import partial

import numpy as np

from hsichem.cube import Cube

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

    pipeline: of `hsichem.preprocess.make_pipeline`, fitted; vector: (bands,) or (bands, responses); intercept: float or
    (responses,). What the pipeline ends with is folded into the vector: filters, and an SNV or MSC before them.
    """
    from chemotools.derivative import SavitzkyGolay
    from chemotools.scatter import MultiplicativeScatterCorrection, StandardNormalVariate

    steps = [step for _, step in pipeline.steps]
    while steps and isinstance(steps[-1], SavitzkyGolay):  # linear, x A: then (x A) b = x (A b)
        vector = steps.pop().transform(np.eye(len(vector))) @ vector
    # (x - mean) / sd, (x - offset) / slope: what is subtracted drops out, for the vector of such spectra adds up to
    # 0. They differ from their mean by nothing along (1, 1, ..., 1), and a derivative of that is nothing, too.
    scatter, of_centre = None, 0
    if steps and isinstance(steps[-1], StandardNormalVariate):
        steps.pop()
        scatter = _spread
    elif steps and isinstance(steps[-1], MultiplicativeScatterCorrection):
        step = steps.pop()
        scatter, of_centre = partial(_slope, step), step.reference_ @ vector

    def predict(spectra):
        for step in steps:
            spectra = step.transform(spectra)
        if scatter is None:
            return spectra @ vector.astype(spectra.dtype) + intercept
        spectra, divisor = scatter(spectra)
        return ((spectra @ vector.astype(spectra.dtype) + of_centre).T / divisor).T + intercept

    return predict


# SNV and MSC: (n, bands) spectra -> what is left of them, and (n,) what that is to be divided by. They are centred
# before anything is summed: float32 would lose a small difference of two large sums.


def _spread(spectra):
    """Standard deviation of each spectrum; NaN for one that is flat."""
    bands = spectra.shape[1]
    average = np.full(bands, 1 / bands, spectra.dtype)  # as a product: NumPy's own mean of short rows is slow
    mean = spectra @ average
    centred = spectra - mean[:, None]
    variance = np.square(centred) @ average
    return centred, np.sqrt(np.where(variance > 1e-13 * mean**2, variance, np.nan))  # less is float32's rounding


def _slope(msc, spectra):
    """Slope of each spectrum over the reference; that of the reference itself, which is taken away, is 1."""
    centred = spectra - msc.reference_.astype(spectra.dtype)
    return centred, centred @ msc.pinv_A_[0].astype(spectra.dtype) + 1
