"""A regression vector that pays for the noise it lets into a map.

The mean spectra of whole images hold almost no pixel noise, so nothing in a fit to them pays for it. Here it does:

    minimise  mean (y - x b)^2 + penalty * b' S b,      S: covariance of the noise of a pixel's spectrum

It is Tikhonov regularisation (Kalivas 2012, doi 10.1002/cem.2429) with the noise in place of the identity. S is half
the covariance of differences between neighbouring pixels; the largest differences are borders, and left out.
"""

from dataclasses import dataclass, replace

import numpy as np

from hsichem.cubes import Cube, make_pipeline
from hsichem.pls.model import LinearModel, checked, deal_folds

PENALTIES = tuple(np.geomspace(1e-4, 1, 9).round(5).tolist())
PIXELS = 2 * 10**5  # of all images together, that are enough to measure noise on
WITHIN = 0.7  # of the differences, by their size in all bands together, are no borders


@dataclass(frozen=True)
class Penalised(LinearModel):
    """A LinearModel that pays for pixel noise.

    penalty: its price; rmsecv: {penalty: RMSECV} of those tried, empty where it was given.
    moments: of the calibration: mean spectrum, mean of y, covariances (bands, bands) of spectra and (bands,) with y,
    and the noise (bands, bands), all after the preprocessing.
    """

    penalty: float
    rmsecv: dict[float, float]
    moments: tuple

    def with_penalty(self, penalty: float) -> "Penalised":
        """The model with another price for noise, equal to a new fit."""
        vector, intercept = _solve(self.moments, penalty)
        return replace(self, coefficients=vector, intercept=intercept, penalty=penalty)


def noise_covariance(cubes: list[Cube], pipeline) -> np.ndarray:
    """(bands, bands) covariance of a pixel's noise after the pipeline, from differences of neighbours in a row."""
    steps, pixels = [], sum(cube.foreground.size for cube in cubes)
    every = 4 * max(1, -(-pixels // (4 * PIXELS)))  # a quarter of the rows is plenty
    for cube in cubes:
        values, inside = cube.values[::every], cube.foreground[::every]
        pairs = inside[:, 1:] & inside[:, :-1]
        step = pipeline.transform(np.float64(values[:, 1:][pairs])) - pipeline.transform(
            np.float64(values[:, :-1][pairs])
        )
        size = np.square(step / np.median(np.abs(step), axis=0)).sum(axis=1)
        steps.append(step[size <= np.quantile(size, WITHIN)])
    return np.cov(np.concatenate(steps), rowvar=False) / 2


def fit_penalised(mean_spectra, y, cubes, groups=None, penalty="cv", preprocessing=None, seed: int = 0) -> Penalised:
    """Fit y (n,) on mean spectra (n, bands) of the images `cubes`, with a penalty on pixel noise.

    penalty: a number, or "cv": the one of PENALTIES with the lowest RMSECV. What judges maps has to be unbiased first
    and quiet second; a larger penalty gives a quieter map.
    groups: (n,) labels held out together, as for `fit_pls`; where they are all the same, single samples are held out.
    preprocessing: see `hsichem.cubes.make_pipeline`; the noise is measured after it. seed: assigns the folds.
    Raises InputError as `fit_pls` does.
    """
    spectra, y = checked(mean_spectra, y)
    pipeline, rmsecv = make_pipeline(preprocessing).fit(spectra), {}
    seen, noise = pipeline.transform(spectra), noise_covariance(cubes, pipeline)
    if penalty == "cv":
        alone = groups is None or len(set(groups)) < 2
        folds = deal_folds(len(y), None if alone else groups, seed)[0]
        rmsecv = {each: _rmsecv(seen, y, noise, each, folds) for each in PENALTIES}
        penalty = min(rmsecv, key=rmsecv.get)
    moments = _moments(seen, y, noise)
    return Penalised(pipeline, *_solve(moments, penalty), preprocessing, penalty, rmsecv, moments)


def read_without(mean_spectra, y, cubes, folds, groups=None, wanted=None, seed: int = 0) -> dict[int, list[np.ndarray]]:
    """{fold: a map of each of the images `cubes`, by fit_penalised on those outside the fold}.

    What a network is trained or judged against must not know the images that are held out. folds: (n,) whole numbers;
    wanted: folds, by default all there are; for one that holds no image, nothing is left out. Others as fit_penalised.
    """
    spectra, y, folds, found = np.asarray(mean_spectra), np.asarray(y), np.asarray(folds), {}
    whole = None
    for fold in map(int, np.unique(folds) if wanted is None else wanted):
        keep = folds != fold
        if keep.all() and whole:
            found[fold] = whole
            continue
        seen = [cube for cube, kept in zip(cubes, keep, strict=True) if kept]
        own = None if groups is None else np.asarray(groups)[keep]
        reader = fit_penalised(spectra[keep], y[keep], seen, own, seed=seed)
        found[fold] = [reader.predict_map(cube) for cube in cubes]
        whole = found[fold] if keep.all() else whole
    return found


def _moments(seen, y, noise):
    centred = seen - seen.mean(axis=0)
    return seen.mean(axis=0), y.mean(), centred.T @ centred / len(y), centred.T @ (y - y.mean()) / len(y), noise


def _solve(moments, penalty):
    mean, mean_of_y, gram, cross, noise = moments
    steady = 1e-12 * np.trace(gram) * np.eye(len(gram))  # where noise is 0 in a band
    vector = np.linalg.solve(gram + penalty * noise + steady, cross)
    return vector, float(mean_of_y - mean @ vector)


def _rmsecv(seen, y, noise, penalty, folds):
    errors = np.empty(len(y))
    for fold in np.unique(folds):
        out = folds == fold
        vector, intercept = _solve(_moments(seen[~out], y[~out], noise), penalty)
        errors[out] = seen[out] @ vector + intercept - y[out]
    return float(np.sqrt(np.mean(errors**2)))
