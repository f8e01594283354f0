import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq, curve_fit
from scipy.spatial.distance import cdist
from scipy.special import gamma as gamma_function
from scipy.special import kv

from hsichem import InputError
from hsichem.maps.variogram import MODELS, fit_variogram, semivariogram


def matern_correlation(h, effective_range, nu=1.5):
    """Stein 1999, section 2.10: 2^(1 - nu) / Gamma(nu) t^nu K_nu(t), scaled to 5 % at the effective range."""

    def correlation(t):
        return 2 ** (1 - nu) / gamma_function(nu) * t**nu * kv(nu, t)

    return correlation(np.asarray(h) / effective_range * brentq(lambda t: correlation(t) - 0.05, 1, 10))


FORMULAS = {
    "exponential": lambda h, nugget, sill, r: nugget + sill * (1 - np.exp(-3 * h / r)),
    "gaussian": lambda h, nugget, sill, r: nugget + sill * (1 - np.exp(-3 * h * h / (r * r))),
    "matern": lambda h, nugget, sill, r: nugget + sill * (1 - matern_correlation(h, r)),
    "spherical": lambda h, nugget, sill, r: nugget + sill * np.where(h < r, 1.5 * h / r - (h / r) ** 3 / 2, 1),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("truth", [(3.0, 9.0, 12.3), (0.0, 400.0, 5.5), (970.0, 30.0, 31.0)])
def test_fit_recovers_exact_models(model, truth):
    lags = np.arange(1, 41)
    gamma = FORMULAS[model](lags, *truth)
    fit = fit_variogram(lags, gamma, 50_000 - 1000 * lags, model)
    assert (fit.nugget, fit.partial_sill, fit.range) == pytest.approx(truth, rel=1e-5, abs=1e-5)
    assert fit.correlated_share == pytest.approx(truth[1] / (truth[0] + truth[1]), rel=1e-5)
    np.testing.assert_allclose(fit(lags), gamma, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_fit_equals_an_iterative_weighted_fit(model):
    rng = np.random.default_rng(1)
    lags = np.arange(1, 31)
    pairs = rng.integers(10, 5000, 30)
    gamma = FORMULAS[model](lags, 4, 11, 14) + rng.normal(0, 20, 30) / np.sqrt(pairs)
    expected, _ = curve_fit(FORMULAS[model], lags, gamma, p0=(4, 11, 14), sigma=1 / np.sqrt(pairs))
    fit = fit_variogram(lags, gamma, pairs, model)
    assert (fit.nugget, fit.partial_sill, fit.range) == pytest.approx(expected, rel=1e-3)


def test_fit_recovers_simulated_fields():
    truth, n = (4.0, 16.0, 15.0), 30
    points = np.argwhere(np.ones((n, n)))
    covariance = sum(truth[:2]) - FORMULAS["spherical"](cdist(points, points), *truth)
    np.fill_diagonal(covariance, sum(truth[:2]))  # gamma(0) is 0, not the nugget
    fields = np.linalg.cholesky(covariance) @ np.random.default_rng(5).normal(size=(n * n, 200))
    mask = np.ones((n, n), bool)
    results = [semivariogram(field.reshape(n, n), mask, 20) for field in fields.T]
    lags, _, pairs = results[0]
    fit = fit_variogram(lags, np.mean([gamma for _, gamma, _ in results], axis=0), pairs, "spherical")
    # whole-pixel lags put diagonal neighbours into lag 1, which alone adds 6 % to this nugget
    assert (fit.nugget, fit.partial_sill, fit.range) == pytest.approx(truth, rel=0.1)
    assert fit.correlated_share == pytest.approx(0.8, abs=0.025)


@pytest.mark.filterwarnings("ignore:the .* fit does not reach its sill")
@pytest.mark.parametrize("model", MODELS)
def test_white_noise_is_nugget(model):
    noise = np.random.default_rng(3).normal(size=(80, 80))
    assert fit_variogram(*semivariogram(noise, np.ones(noise.shape, bool), 20), model).correlated_share < 0.05


def test_fit_warns_only_when_the_sill_is_not_reached():
    lags = np.arange(1, 21)
    with pytest.warns(UserWarning, match="does not reach its sill within 20"):
        fit = fit_variogram(lags, 2.0 * lags, np.ones(20), "spherical")
    assert fit.range == pytest.approx(20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_variogram(lags, FORMULAS["spherical"](lags, 1, 2, 12), np.ones(20), "spherical")


def test_a_nugget_alone_has_no_range():
    fit = fit_variogram(np.arange(1, 11), np.full(10, 7.0), np.ones(10), "gaussian")
    assert fit.nugget == pytest.approx(7) and fit.correlated_share == 0 and np.isnan(fit.range)
    assert fit([1, 2]) == pytest.approx([7, 7])


def test_a_range_below_two_pixels_is_not_told_from_a_nugget():
    lags = np.arange(1, 21)
    assert fit_variogram(lags, FORMULAS["exponential"](lags, 0, 10, 1.0), np.ones(20), "exponential").range >= 2


def test_fit_leaves_out_lags_without_pairs():
    lags = np.arange(1, 31)
    gamma = FORMULAS["exponential"](lags, 1, 2, 10)
    gamma[5], pairs = np.nan, np.where(lags == 6, 0, 100)
    fit = fit_variogram(lags, gamma, pairs, "exponential")
    assert (fit.nugget, fit.partial_sill, fit.range) == pytest.approx((1, 2, 10), rel=1e-5)


def test_fit_refuses():
    lags = np.arange(1, 11)
    for unknown in ("linear", "spherical+exponential", None):
        with pytest.raises(InputError, match="is unknown; expected one of exponential, spherical, gaussian"):
            fit_variogram(lags, lags, lags, unknown)
    with pytest.raises(InputError, match="at least 4"):
        fit_variogram(lags[:3], lags[:3], lags[:3], "spherical")
    with pytest.raises(InputError, match="three"):
        fit_variogram(lags, lags, lags[:5], "spherical")


@pytest.mark.filterwarnings("ignore:the .* fit does not reach its sill")
@pytest.mark.parametrize("mean_lags", [False, True])
def test_fit_warns_of_blur_and_only_of_blur(mean_lags):
    """Fields with a straight start, as they are and as optics of 1 pixel (standard deviation) would show them."""
    rng, inside = np.random.default_rng(0), np.ones((60, 60), bool)
    points = np.argwhere(inside)
    root = np.linalg.cholesky(1 + 1e-9 - FORMULAS["spherical"](cdist(points, points), 0, 1 - 1e-9, 15))
    for _ in range(4):
        field = (root @ rng.normal(size=3600)).reshape(60, 60) + rng.normal(0, 0.2, (60, 60))
        blurred = gaussian_filter(field, 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="gamma bends up")
            for model in ("spherical", "exponential"):
                fit_variogram(*semivariogram(field, inside, 24, mean_lags=mean_lags), model)
            for model in ("gaussian", "matern"):
                fit_variogram(*semivariogram(blurred, inside, 24, mean_lags=mean_lags), model)
        with pytest.warns(UserWarning, match="gamma bends up over the first three lags, where the spherical"):
            fit_variogram(*semivariogram(blurred, inside, 24, mean_lags=mean_lags), "spherical")
