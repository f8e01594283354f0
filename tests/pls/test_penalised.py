"""The regression vector that pays for noise: against a minimiser, and against noise that is known."""

import numpy as np
import pytest
from scipy.optimize import minimize

from hsichem import Cube, InputError
from hsichem.cubes import make_pipeline
from hsichem.pls import penalised
from hsichem.pls.penalised import PENALTIES, fit_penalised, noise_covariance, read_without

NM = np.arange(6.0) + 900


def cubes_of(rng, spectra, covariance):
    """Images of one spectrum each, half of them darker, so that there is a border, with noise of this covariance."""
    made = []
    for spectrum in spectra:
        light = np.where(np.arange(30) < 15, 1.0, 0.5)[:, None]
        values = light * spectrum + rng.multivariate_normal(np.zeros(6), covariance, (24, 30))
        made.append(Cube(values, NM))
    return made


@pytest.fixture
def calibration():
    rng = np.random.default_rng(0)
    loading = rng.normal(size=(6, 6)) * [0.003, 0.003, 0.002, 0.02, 0.02, 0.002]
    covariance = loading.T @ loading / 6
    y = rng.uniform(10, 60, 25)
    spectra = 0.5 + np.outer(y, [1e-3, 2e-3, 0, 1e-3, -1e-3, 5e-4]) + rng.normal(0, 0.002, (25, 6))
    return spectra, y, cubes_of(rng, spectra, covariance), covariance


def test_the_noise_is_measured_beside_a_border(calibration):
    _, _, cubes, covariance = calibration
    found = noise_covariance(cubes, make_pipeline(None).fit(np.ones((2, 6))))
    # the largest 30 % of the differences are left out, so it is smaller by a factor, and of the same shape
    factor = np.trace(found) / np.trace(covariance)
    assert 0.3 < factor < 1
    np.testing.assert_allclose(found / factor, covariance, atol=0.12 * np.abs(covariance).max())


def test_the_noise_of_large_sets_is_measured_on_some_of_their_rows(monkeypatch):
    cubes = cubes_of(np.random.default_rng(1), [np.linspace(0.2, 0.8, 6)] * 40, 0.01 * np.eye(6))
    pipeline, used = make_pipeline(None).fit(np.ones((2, 6))), []
    monkeypatch.setattr(pipeline, "transform", lambda spectra: used.append(len(spectra)) or spectra)
    whole, pairs = noise_covariance(cubes, pipeline), sum(used)
    used.clear()
    monkeypatch.setattr(penalised, "PIXELS", 2500)
    some = noise_covariance(cubes, pipeline)
    assert sum(used) == pairs / 3
    np.testing.assert_allclose(some, whole, atol=0.15 * whole.max())


def test_the_vector_minimises_what_the_docstring_says(calibration):
    spectra, y, cubes, _ = calibration
    model = fit_penalised(spectra, y, cubes, penalty=0.5)
    noise = noise_covariance(cubes, model.pipeline)
    seen, centred = spectra - spectra.mean(axis=0), y - y.mean()

    def cost(b):
        return np.mean((centred - seen @ b) ** 2) + 0.5 * b @ noise @ b

    least = minimize(cost, np.zeros(6), method="BFGS", options={"gtol": 1e-9, "maxiter": 10**5})
    assert cost(model.coefficients) <= least.fun * (1 + 1e-6)
    assert model.predict(spectra).mean() == pytest.approx(y.mean())


def test_a_larger_penalty_gives_a_quieter_map_and_a_worse_fit(calibration):
    spectra, y, cubes, covariance = calibration
    models = [fit_penalised(spectra, y, cubes, penalty=penalty) for penalty in (1e-4, 1e-2, 1.0)]
    noise = [model.coefficients @ covariance @ model.coefficients for model in models]
    errors = [np.mean((model.predict(spectra) - y) ** 2) for model in models]
    assert noise[0] > noise[1] > noise[2] and errors[0] < errors[1] < errors[2]
    again = models[0].with_penalty(1.0)
    np.testing.assert_allclose(again.coefficients, models[2].coefficients)
    assert again.intercept == pytest.approx(models[2].intercept) and again.penalty == 1.0
    pixels = models[0].predict_map(cubes[3])[:, :15]
    assert pixels.std() == pytest.approx(noise[0] ** 0.5, rel=0.1)
    assert pixels.mean() == pytest.approx(y[3], abs=4)


def test_the_penalty_has_the_lowest_rmsecv_over_held_out_groups(calibration):
    spectra, y, cubes, _ = calibration
    folds = np.arange(25) % 5
    model = fit_penalised(spectra, y, cubes, groups=folds)
    noise = noise_covariance(cubes, model.pipeline)
    for penalty in PENALTIES:
        errors = np.empty(25)
        for fold in range(5):
            keep = folds != fold
            centre, mean = spectra[keep].mean(axis=0), y[keep].mean()
            seen = spectra[keep] - centre
            inverse = np.linalg.inv(seen.T @ seen / keep.sum() + penalty * noise)
            vector = inverse @ (seen.T @ (y[keep] - mean)) / keep.sum()
            errors[~keep] = (spectra[~keep] - centre) @ vector + mean - y[~keep]
        assert model.rmsecv[penalty] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)
    assert model.penalty == min(model.rmsecv, key=model.rmsecv.get)


def test_it_refuses_what_cannot_be_fitted(calibration):
    spectra, y, cubes, _ = calibration
    with pytest.raises(InputError, match="NaN or infinity"):
        fit_penalised(np.where(spectra > 0.6, np.nan, spectra), y, cubes, penalty=0.1)
    with pytest.raises(InputError, match="needs \\(n, 6\\)"):
        fit_penalised(spectra, y, cubes, penalty=0.1).predict(np.ones((3, 5)))


def test_a_reading_knows_nothing_of_the_images_of_its_fold(calibration):
    spectra, y, cubes, _ = calibration
    folds, groups = np.arange(25) % 3 + 1, np.arange(25) // 2
    found = read_without(spectra, y, cubes, folds, groups, [1, 2, 3, 4, 5])
    wrong = np.where(folds == 2, 1000.0, y)
    again = read_without(spectra, wrong, cubes, folds, groups)
    np.testing.assert_array_equal(found[2], again[2])
    assert not np.allclose(found[1], again[1]) and list(again) == [1, 2, 3]
    keep = folds != 2
    alone = fit_penalised(spectra[keep], y[keep], [c for c, k in zip(cubes, keep, strict=True) if k], groups[keep])
    np.testing.assert_array_equal(found[2][7], alone.predict_map(cubes[7]))
    whole = fit_penalised(spectra, y, cubes, groups)
    np.testing.assert_array_equal(found[4][7], whole.predict_map(cubes[7]))
    assert found[5] is found[4]  # fitted once
