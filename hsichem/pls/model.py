"""PLS regression: mean spectra to mean concentrations, then the same vector applied to every pixel."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from hsichem._base import InputError
from hsichem.cubes import Cube, make_pipeline

PIXELS_AT_ONCE = 1 << 12  # the spectra of a block, 1 or 2 MB at 62 bands, stay in the cache of the processor


@dataclass(frozen=True)
class CrossValidation:
    """The curve the component count was read from; entry a - 1 belongs to a components.

    rmsecv: (A,) in the unit of y, over all held-out samples and all repeats; (A, responses) for several responses.
    standard_error: of rmsecv, the same shape, from the spread of the folds. It is that of one repeat, averaged:
      more repeats even out the luck of the deal, but they add no samples.
    loss, loss_error: (A,) mean squared error over the variance of y, mean over the responses, and its standard error.
    best: components at the lowest loss; chosen: fewest components within one standard error of it.
    predicted: (repeats, A, n) or (repeats, A, n, responses), the prediction of each sample while it was held out.
    """

    rmsecv: np.ndarray
    standard_error: np.ndarray
    loss: np.ndarray
    loss_error: np.ndarray
    best: int
    chosen: int
    predicted: np.ndarray


@dataclass(frozen=True)
class LinearModel:
    """Concentration = intercept + pipeline(spectrum) @ coefficients.

    pipeline: fitted, of `hsichem.cubes.make_pipeline`; preprocessing: its steps, as they were given.
    coefficients: (bands,) the regression vector, (bands, responses) for several responses; intercept: a number,
    (responses,) for several.
    """

    pipeline: object
    coefficients: np.ndarray
    intercept: float | np.ndarray
    preprocessing: str | None

    def predict(self, spectra: np.ndarray) -> np.ndarray:
        """Spectra (n, bands) -> (n,) or (n, responses) in the unit of y. Raises InputError on a wrong band count."""
        return self.preprocessed(spectra) @ self.coefficients + self.intercept

    def preprocessed(self, spectra: np.ndarray) -> np.ndarray:
        """(n, bands) spectra as the regression sees them. Raises InputError on a wrong band count."""
        return self.pipeline.transform(self.check_bands(spectra))

    def check_bands(self, spectra) -> np.ndarray:
        """Spectra (n, bands) as float64. Raises InputError on a wrong band count."""
        spectra, bands = np.asarray(spectra, dtype=np.float64), len(self.coefficients)
        if spectra.ndim != 2 or spectra.shape[1] != bands:
            raise InputError(f"spectra have shape {spectra.shape}; this model needs (n, {bands}).")
        return spectra

    def predict_map(self, cube: Cube) -> np.ndarray:
        """Cube -> (rows, cols) or (rows, cols, responses) float32 map, each foreground pixel on its own; NaN elsewhere.

        Linear filters, and an SNV or MSC that only they follow, act through the regression vector. The sums are float32
        unless absorbance comes first: a pixel may differ from `predict` by rounding, far below any camera's noise
        (benchmarks/pls/model.py). With MSC it is more where a pixel's slope over the reference is near 0; its value
        means nothing there. Raises InputError on a wrong band count.
        """
        if cube.values.shape[2] != len(self.coefficients):
            raise InputError(f"the cube has {cube.values.shape[2]} bands; this model needs {len(self.coefficients)}.")
        return per_pixel(cube, folded(self.pipeline, self.coefficients, self.intercept), np.shape(self.intercept))


@dataclass(frozen=True)
class PLSModel(LinearModel):
    """A LinearModel by partial least squares.

    fitted: ikpls' PLS of n_components or more. Of the calibration it has the weights W, rotations R, loadings P, scores
    T, loadings Q of y scaled to variance 1 (a column for each component) and X_mean, the mean preprocessed spectrum.
    cv: None if the count was given.
    """

    n_components: int
    fitted: object
    cv: CrossValidation | None = None

    @classmethod
    def of(cls, fitted, count: int, pipeline, preprocessing, shape=(), cv=None) -> "PLSModel":
        """The model of the first `count` components of a fit; shape: () or (responses,)."""
        coefficients = (fitted.B[count - 1] * fitted.Y_std).reshape(-1, *shape)
        intercept = fitted.Y_mean.reshape(shape) - fitted.X_mean[0] @ coefficients
        return cls(pipeline, coefficients, intercept, preprocessing, int(count), fitted, cv)

    def with_components(self, count: int) -> "PLSModel":
        """The model of the first `count` components, equal to a new fit. Raises InputError if there are fewer."""
        check_count(count, self.fitted.A)
        return PLSModel.of(self.fitted, count, self.pipeline, self.preprocessing, np.shape(self.intercept))


def deal_folds(n: int, groups, seed: int, repeats: int = 1) -> np.ndarray:
    """(repeats, n) fold of each sample: the groups themselves up to ten, else ten folds of whole groups.

    Up to ten groups can be held out in one way only: then there is one repeat, however many were asked for.
    """
    from sklearn.model_selection import GroupKFold

    groups = np.arange(n) if groups is None else np.asarray(groups)
    if groups.shape != (n,):
        raise InputError(f"groups has shape {groups.shape}; expected one group for each of the {n} samples.")
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError("all samples are in one group, so none can be held out; give at least two groups.")
    if len(names) <= 10:
        return group[None]
    folds = np.empty((repeats, n), int)
    for deal, fold in enumerate(folds):
        splitter = GroupKFold(10, shuffle=True, random_state=seed + deal)
        for number, (_, held_out) in enumerate(splitter.split(group, groups=group)):
            fold[held_out] = number
    return folds


def fit_without(fold, spectra, y, n_components: int, preprocessing):
    """For each fold: (held out (n,) bool, pipeline, ikpls' PLS), the last two fitted on the other folds alone."""
    for k in np.unique(fold):
        held_out = fold == k
        yield held_out, *fit_once(spectra[~held_out], y[~held_out], n_components, preprocessing)


def fit_once(spectra, y, n_components: int, preprocessing):
    """(pipeline, ikpls' PLS), both fitted on these spectra: MSC learns its reference from them."""
    from ikpls.numpy import PLS

    pipeline = make_pipeline(preprocessing)
    return pipeline, PLS(scale_X=False, scale_Y=True).fit(pipeline.fit_transform(spectra), y, n_components)


def cross_validate(spectra, y, folds, max_components: int, preprocessing=None) -> CrossValidation:
    """RMSECV for 1..max_components components and the count by the one-standard-error rule.

    spectra (n, bands) reflectance, y (n,) or (n, responses), folds (n,) or (repeats, n). The rule (Hastie, Tibshirani
    and Friedman 2009, section 7.10): the fewest components whose loss is within one standard error of the lowest.
    """
    folds, table = np.atleast_2d(folds), y.reshape(len(y), -1)
    smallest_training_set = len(y) - max(np.bincount(fold).max() for fold in folds)
    a = min(max_components, smallest_training_set - 1, spectra.shape[1])
    predicted = np.empty((len(folds), a, *table.shape))
    for repeat, fold in enumerate(folds):
        for held_out, pipeline, fitted in fit_without(fold, spectra, table, a, preprocessing):
            predicted[repeat][:, held_out] = fitted.predict(pipeline.transform(spectra[held_out]))

    def over_folds(squares):  # (repeats, A, n, ...) -> mean and its standard error, (A, ...) both
        errors = []
        for fold, square in zip(folds, squares, strict=True):
            means = np.array([square[:, fold == k].mean(axis=1) for k in np.unique(fold)])
            errors.append(means.std(axis=0, ddof=1) / np.sqrt(len(means)))
        return squares.mean(axis=(0, 2)), np.mean(errors, axis=0)

    if not np.isfinite(predicted).all():
        raise InputError(f"preprocessing {preprocessing!r} has no value for some spectra: SNV of a flat one has none.")
    squares = (predicted - table) ** 2
    loss, loss_error = over_folds((squares / table.var(axis=0)).mean(axis=3))
    best = int(loss.argmin())
    chosen = int(np.flatnonzero(loss <= loss[best] + loss_error[best])[0])
    predicted, squares = (array.reshape(len(folds), a, *y.shape) for array in (predicted, squares))
    mse, mse_error = over_folds(squares)
    rmsecv = np.sqrt(mse)
    return CrossValidation(rmsecv, mse_error / (2 * rmsecv), loss, loss_error, best + 1, chosen + 1, predicted)


def fit_pls(
    mean_spectra, y, groups=None, n_components="cv", preprocessing=None, seed: int = 0, max_components: int = 20
) -> PLSModel:
    """Fit y on mean spectra.

    mean_spectra: (n, bands) reflectance, one mean spectrum per image; y: (n,) reference values, or (n, responses)
    for one model of several (PLS2; each response counts the same, whatever its variance).
    groups: (n,) labels held out together (the folds, or the animals); None holds out single samples.
    n_components: a count, or "cv": chosen by cross-validation, at most max_components.
    preprocessing: see `hsichem.cubes.make_pipeline`; seed: deals more than ten groups into ten folds.
    Fitted by improved kernel PLS, algorithm 1 (Dayal and MacGregor 1997,
    doi 10.1002/(SICI)1099-128X(199701)11:1<73::AID-CEM435>3.0.CO;2-#), spectra mean-centred and not scaled.
    Raises InputError on shapes that disagree, values that are not finite, a constant y, an impossible count.
    """
    spectra, y = checked(mean_spectra, y)
    cv = None
    if n_components == "cv":
        cv = cross_validate(spectra, y, deal_folds(len(y), groups, seed), max_components, preprocessing)
        n_components = cv.chosen
    check_count(n_components, min(len(y) - 1, spectra.shape[1]), 'expected "cv" or')
    pipeline, fitted = fit_once(spectra, y, n_components, preprocessing)
    return PLSModel.of(fitted, n_components, pipeline, preprocessing, y.shape[1:], cv)


def check_count(count, limit: int, expected="expected") -> None:
    """Raises InputError unless count is a whole number from 1 to limit."""
    if not (isinstance(count, int | np.integer) and 1 <= count <= limit):
        raise InputError(f"n_components is {count!r}; {expected} a count from 1 to {limit}.")


def checked(spectra, y) -> tuple[np.ndarray, np.ndarray]:
    """Spectra (n, bands) and y (n,) or (n, responses) as float64. Raises InputError where they cannot be fitted."""
    spectra, y = np.asarray(spectra, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if spectra.ndim != 2 or y.ndim not in (1, 2) or len(y) != len(spectra) or y.size == 0:
        expected = "(n, bands) and (n,) or (n, responses)"
        raise InputError(f"spectra of shape {spectra.shape} and y of shape {y.shape}; expected {expected}.")
    if not (np.isfinite(spectra).all() and np.isfinite(y).all()):
        raise InputError("spectra or y hold NaN or infinity; leave those samples out first.")
    if len(y) < 3 or (np.ptp(y, axis=0) == 0).any():
        raise InputError(f"{len(y)} samples with y from {y.min(0)} to {y.max(0)}; PLS needs 3 or more that differ.")
    return spectra, y


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

    pipeline: of `make_pipeline`, fitted; vector: (bands,) or (bands, responses); intercept: float or (responses,).
    What the pipeline ends with is folded into the vector: filters, and an SNV or MSC before them.
    """
    from chemotools.derivative import SavitzkyGolay
    from chemotools.scatter import MultiplicativeScatterCorrection, StandardNormalVariate

    steps = [step for _, step in pipeline.steps]
    while steps and isinstance(steps[-1], SavitzkyGolay):  # linear, x A: then (x A) b = x (A b)
        vector = steps.pop().transform(np.eye(len(vector))) @ vector
    # (x - mean) / sd, (x - offset) / slope: what is subtracted drops out, for the vector of such spectra adds up to
    # 0. They differ from their mean by nothing along (1, 1, ..., 1), and a derivative of that is nothing, too.
    product = _plain
    if steps and isinstance(steps[-1], StandardNormalVariate):
        steps.pop()
        product = _after_snv
    elif steps and isinstance(steps[-1], MultiplicativeScatterCorrection):
        product = partial(_after_msc, steps.pop())

    def predict(spectra):
        for step in steps:
            spectra = step.transform(spectra)
        return product(vector, spectra) + intercept

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


def _after_msc(msc, vector, spectra):
    centred = spectra - msc.reference_.astype(spectra.dtype)
    slope = centred @ msc.pinv_A_[0].astype(spectra.dtype) + 1  # that of the reference, which was taken away, is 1
    return ((_plain(vector, centred) + msc.reference_ @ vector).T / slope).T
