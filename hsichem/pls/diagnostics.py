"""What a PLS model rests on, which spectra are unlike those it was fitted on, and how much noise it passes on."""

import numpy as np

from hsichem.cubes import REFLECTANCE_FLOOR, Cube, absorbance
from hsichem.pls.model import LinearModel, PLSModel, checked, deal_folds, fit_without, per_pixel


def t2_and_q(model: PLSModel, spectra) -> np.ndarray:
    """(n, 2): Hotelling's T2 and Q of spectra (n, bands).

    T2: squared distance from the centre of the calibration within the space of the components, in variances of the
    calibration's scores. Q, in squares of the preprocessed spectrum's unit: squared length of what the components
    cannot describe. (Naes et al. 2002, A User-Friendly Guide to Multivariate Calibration and Classification, ch. 14.)
    """
    return _t2_and_q(model.fitted, model.n_components, model.preprocessed(spectra))


def _t2_and_q(fitted, count, preprocessed):
    rotations, loadings, calibration = (part[:, :count] for part in (fitted.R, fitted.P, fitted.T))
    centred = preprocessed - fitted.X_mean
    scores = centred @ rotations
    t2, rest = scores**2 / calibration.var(axis=0, ddof=1), centred - scores @ loadings.T
    return np.stack([t2.sum(axis=1), (rest**2).sum(axis=1)], axis=1)


def t2_and_q_maps(model: PLSModel, cube: Cube) -> tuple[np.ndarray, np.ndarray]:
    """(rows, cols) float32 maps of T2 and of Q; NaN in the background."""
    maps = per_pixel(cube, lambda spectra: t2_and_q(model, spectra), (2,))
    return maps[:, :, 0], maps[:, :, 1]


def t2_and_q_limits(model: PLSModel, spectra, y, groups=None, level=0.95, seed=0) -> tuple[float, float]:
    """T2 and Q that a new spectrum of the calibration's kind exceeds with probability 1 - level, each.

    spectra (n, bands), y, groups and seed: those that the model was fitted on. Both statistics are computed for samples
    that were held out, and a scaled chi-square distribution g chi2(h) is given their mean and variance (Box 1954,
    doi 10.1214/aoms/1177728786; Nomikos and MacGregor 1995, doi 10.1080/00401706.1995.10485888). What the fit leaves of
    its own samples would be too small, and flag too many: benchmarks/pls/limits.py counts the false alarms.
    """
    from scipy.stats import chi2

    spectra, y = checked(spectra, y)
    table, (fold,) = y.reshape(len(y), -1), deal_folds(len(y), groups, seed)
    values = np.empty((len(y), 2))
    for held_out, pipeline, fitted in fit_without(fold, spectra, table, model.n_components, model.preprocessing):
        values[held_out] = _t2_and_q(fitted, model.n_components, pipeline.transform(spectra[held_out]))
    mean, variance = values.mean(axis=0), values.var(axis=0, ddof=1)
    t2, q = variance / (2 * mean) * chi2.ppf(level, 2 * mean**2 / variance)
    return float(t2), float(q)


def noise_gain(model: LinearModel, spectra) -> np.ndarray:
    """(n,) or (n, responses): standard deviation of the prediction per unit of reflectance noise, for each spectrum.

    The norm of the gradient of the prediction by the reflectance of the bands: noise of standard deviation s,
    independent from band to band, becomes noise of s times the gain (to first order: for small s). It is the norm of
    the regression vector, the same for all spectra, where the preprocessing is none or a filter; absorbance makes it
    larger in dark pixels, SNV and MSC in flat spectra.
    spectra: (n, bands) reflectance. Raises InputError on a wrong band count.
    """
    steps, seen = [step for _, step in model.pipeline.steps], [model.check_bands(spectra)]
    for step in steps:
        seen.append(step.transform(seen[-1]))
    gains = []
    for vector in model.coefficients.reshape(len(model.coefficients), -1).T:
        gradient = np.broadcast_to(vector, seen[-1].shape)
        for step, before, after in zip(steps[::-1], seen[-2::-1], seen[:0:-1], strict=True):
            gradient = _through(step, before, after, gradient)
        gains.append(np.linalg.norm(gradient, axis=1))
    return np.stack(gains, axis=1).reshape(-1, *np.shape(model.intercept))


def noise_gain_map(model: LinearModel, cube: Cube) -> np.ndarray:
    """(rows, cols) float32, (rows, cols, responses) for several: `noise_gain` of every pixel; NaN in the background."""
    return per_pixel(cube, lambda spectra: noise_gain(model, spectra), np.shape(model.intercept))


def _through(step, x, z, gradient):
    """Gradient by x (n, bands), given that by z = step(x): the chain rule, one step backwards."""
    from chemotools.derivative import SavitzkyGolay
    from chemotools.scatter import MultiplicativeScatterCorrection, StandardNormalVariate

    if isinstance(step, SavitzkyGolay):  # z = x A
        return gradient @ step.transform(np.eye(x.shape[1])).T
    if isinstance(step, StandardNormalVariate):
        along = (gradient * z).mean(axis=1, keepdims=True)
        return (gradient - gradient.mean(axis=1, keepdims=True) - z * along) / x.std(axis=1, keepdims=True)
    if isinstance(step, MultiplicativeScatterCorrection):  # z = (x - offset) / slope
        slope, offset = step.pinv_A_
        along, total = (gradient * z).sum(axis=1, keepdims=True), gradient.sum(axis=1, keepdims=True)
        return (gradient - total * offset - along * slope) / (x @ slope)[:, None]
    if step.func is absorbance:
        return gradient * (x > REFLECTANCE_FLOOR) / (-np.log(10) * np.maximum(x, REFLECTANCE_FLOOR))
    return gradient
