"""PLS regression: mean spectra to a mean concentration, then the same vector applied to every pixel."""

from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np

from hsichem.cube import Cube, InputError
from hsichem.preprocess import make_pipeline

PIXELS_AT_ONCE = 1 << 16  # keeps the float64 spectra of one block under 100 MB at 150 bands


@dataclass(frozen=True)
class CrossValidation:
    """The curve the component count was read from; entry a - 1 belongs to a components.

    rmsecv: (A,) in the unit of y, over all held-out samples.
    standard_error: (A,) of rmsecv, from the spread of the folds.
    best: components at the minimum; chosen: fewest components within one standard error of it.
    """

    rmsecv: np.ndarray
    standard_error: np.ndarray
    best: int
    chosen: int


@dataclass(frozen=True)
class PLSModel:
    """A fitted model: concentration = intercept + pipeline(spectrum) @ coefficients.

    coefficients: (bands,) the regression vector; cv: the cross-validation, None if the count was given.
    """

    n_components: int
    coefficients: np.ndarray
    intercept: float
    pipeline: object
    cv: CrossValidation | None = None

    def predict(self, spectra: np.ndarray) -> np.ndarray:
        """Spectra (n, bands) -> (n,) concentrations in the unit of y. Raises InputError on a wrong band count."""
        spectra = np.asarray(spectra, dtype=np.float64)
        if spectra.ndim != 2 or spectra.shape[1] != len(self.coefficients):
            raise InputError(f"spectra have shape {spectra.shape}; this model needs (n, {len(self.coefficients)}).")
        return self.pipeline.transform(spectra) @ self.coefficients + self.intercept

    def predict_map(self, cube: Cube) -> np.ndarray:
        """Cube -> (rows, cols) float32 map, every foreground pixel on its own; NaN in the background."""
        pixels = cube.values[cube.foreground]
        out = np.full(cube.values.shape[:2], np.nan, np.float32)
        blocks = np.array_split(pixels, range(PIXELS_AT_ONCE, len(pixels), PIXELS_AT_ONCE))
        out[cube.foreground] = np.concatenate([self.predict(block) for block in blocks])
        return out


def _folds(n: int, groups, seed: int) -> np.ndarray:
    """(n,) fold of each sample: the groups themselves up to ten, else ten folds of whole groups."""
    from sklearn.model_selection import GroupKFold

    groups = np.arange(n) if groups is None else np.asarray(groups)
    if groups.shape != (n,):
        raise InputError(f"groups has shape {groups.shape}; expected one group for each of the {n} samples.")
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError("all samples are in one group, so none can be held out; give at least two groups.")
    if len(names) <= 10:
        return group
    fold = np.empty(n, int)
    splitter = GroupKFold(10, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(group, groups=group)):
        fold[held_out] = number
    return fold


def cross_validate(spectra: np.ndarray, y: np.ndarray, fold: np.ndarray, max_components: int) -> CrossValidation:
    """RMSECV for 1..max_components components and the count by the one-standard-error rule.

    spectra (n, bands) as the regression sees them, y (n,), fold (n,). The rule (Hastie, Tibshirani and Friedman
    2009, section 7.10): the fewest components whose mean squared error is within one standard error of the lowest.
    """
    from ikpls.fast_cross_validation.numpy import PLS

    def squared_errors(held_out, predicted):  # (n_val, 1), (A, n_val, 1) -> (A, n_val)
        return ((predicted - held_out) ** 2)[:, :, 0]

    smallest_training_set = len(y) - np.bincount(fold).max()
    a = min(max_components, smallest_training_set - 1, spectra.shape[1])
    model = PLS(scale_X=False, scale_Y=False)
    with redirect_stdout(None):  # it reports every call, whatever `verbose` says
        by_fold = model.cross_validate(spectra, y, a, fold, squared_errors, n_jobs=1, verbose=0).values()
    mse = np.concatenate(list(by_fold), axis=1).mean(axis=1)  # (A,)
    fold_mse = np.array([errors.mean(axis=1) for errors in by_fold])  # (folds, A)
    error_of_mse = fold_mse.std(axis=0, ddof=1) / np.sqrt(len(fold_mse))
    best = int(mse.argmin())
    chosen = int(np.flatnonzero(mse <= mse[best] + error_of_mse[best])[0])
    rmsecv = np.sqrt(mse)
    return CrossValidation(rmsecv, error_of_mse / (2 * rmsecv), best + 1, chosen + 1)


def fit_pls(
    mean_spectra, y, groups=None, n_components="cv", preprocessing=None, seed: int = 0, max_components: int = 20
) -> PLSModel:
    """Fit y on mean spectra.

    mean_spectra: (n, bands) reflectance, one mean spectrum per image; y: (n,) reference values.
    groups: (n,) labels held out together (the folds, or the animals); None holds out single samples.
    n_components: a count, or "cv": chosen by cross-validation, at most max_components.
    preprocessing: see preprocess.make_pipeline; seed: deals more than ten groups into ten folds.
    Fitted by improved kernel PLS, algorithm 1 (Dayal and MacGregor 1997,
    doi 10.1002/(SICI)1099-128X(199701)11:1<73::AID-CEM435>3.0.CO;2-#), mean-centred and not scaled.
    Raises InputError on shapes that disagree, values that are not finite, a constant y, an impossible count.
    """
    from ikpls.numpy import PLS

    spectra, y = np.asarray(mean_spectra, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if spectra.ndim != 2 or y.shape != spectra.shape[:1]:
        raise InputError(f"spectra of shape {spectra.shape} and y of shape {y.shape}; expected (n, bands) and (n,).")
    if not (np.isfinite(spectra).all() and np.isfinite(y).all()):
        raise InputError("spectra or y hold NaN or infinity; leave those samples out first.")
    if len(y) < 3 or np.ptp(y) == 0:
        raise InputError(f"{len(y)} samples with y from {y.min()} to {y.max()}; PLS needs 3 or more that differ.")
    pipeline = make_pipeline(preprocessing)
    seen = pipeline.fit_transform(spectra)
    cv = None
    if n_components == "cv":
        cv = cross_validate(seen, y, _folds(len(y), groups, seed), max_components)
        n_components = cv.chosen
    limit = min(len(y) - 1, spectra.shape[1])
    if not (isinstance(n_components, int | np.integer) and 1 <= n_components <= limit):
        raise InputError(f'n_components is {n_components!r}; expected "cv" or a count from 1 to {limit}.')
    fitted = PLS(scale_X=False, scale_Y=False).fit(seen, y, n_components)
    coefficients = np.asarray(fitted.B)[n_components - 1, :, 0]
    return PLSModel(int(n_components), coefficients, float(y.mean() - seen.mean(axis=0) @ coefficients), pipeline, cv)
