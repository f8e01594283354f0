import warnings

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.spatial.distance import cdist, pdist

from hsichem import InputError
from hsichem.spatial import MODELS, fit_variogram, null_maps, semivariogram

FORMULAS = {
    "exponential": lambda h, nugget, sill, r: nugget + sill * (1 - np.exp(-3 * h / r)),
    "gaussian": lambda h, nugget, sill, r: nugget + sill * (1 - np.exp(-3 * h * h / (r * r))),
    "spherical": lambda h, nugget, sill, r: nugget + sill * np.where(h < r, 1.5 * h / r - (h / r) ** 3 / 2, 1),
}


def brute_force(map_, mask, max_lag):
    """Every pair on its own."""
    distance = np.floor(pdist(np.argwhere(mask)) + 0.5)
    half_square = pdist(map_[mask][:, None].astype(np.float64), "sqeuclidean") / 2
    pairs = np.array([np.sum(distance == h) for h in range(1, max_lag + 1)])
    gamma = [half_square[distance == h].mean() if pairs[h - 1] else np.nan for h in range(1, max_lag + 1)]
    return np.array(gamma), pairs


@pytest.mark.parametrize(
    ("shape", "max_lag"), [((23, 31), 37), ((23, 31), 5), ((1, 17), 16), ((19, 2), 18), ((9, 9), 3)]
)
@pytest.mark.parametrize("share", [1.0, 0.4, 0.05])
def test_semivariogram_equals_all_pairs_by_brute_force(shape, max_lag, share):
    rng = np.random.default_rng(max_lag)
    mask = rng.random(shape) < share
    mask[0, 0] = True
    map_ = np.where(mask, 5000 + np.cumsum(rng.normal(size=shape), axis=1), np.nan)  # a large mean costs digits
    lags, gamma, pairs = semivariogram(map_, mask, max_lag)
    expected_gamma, expected_pairs = brute_force(map_, mask, max_lag)
    np.testing.assert_array_equal(lags, np.arange(1, max_lag + 1))
    np.testing.assert_array_equal(pairs, expected_pairs)
    np.testing.assert_allclose(gamma, expected_gamma, rtol=1e-10)


def test_semivariogram_of_a_plane_is_known():
    rows, cols, a, b = 41, 30, 0.7, -0.3
    i, j = np.indices((rows, cols))
    _, gamma, pairs = semivariogram(a * i + b * j, np.ones((rows, cols), bool), 20)
    for h in (1, 7, 20):  # a pair (dr, dc) differs by a dr + b dc, and there are (rows - dr)(cols - |dc|) of them
        offsets = [
            (r, c) for r in range(h + 1) for c in range(-h, h + 1) if (r, c) > (0, 0) and round(np.hypot(r, c)) == h
        ]
        n = np.array([(rows - r) * (cols - abs(c)) for r, c in offsets])
        squares = np.array([(a * r + b * c) ** 2 for r, c in offsets])
        assert pairs[h - 1] == n.sum()
        assert gamma[h - 1] == pytest.approx((n * squares).sum() / n.sum() / 2, rel=1e-10)


def test_semivariogram_of_white_noise_is_its_variance():
    noise = np.random.default_rng(0).normal(30, 4, (200, 200))
    _, gamma, _ = semivariogram(noise, np.ones(noise.shape, bool), 20)
    np.testing.assert_allclose(gamma, 16, rtol=0.03)  # the variance itself is known to 0.7 %


def test_a_flat_map_has_exactly_no_variance():
    flat = np.full((20, 21), 41.3, np.float32)
    _, gamma, pairs = semivariogram(flat, np.ones(flat.shape, bool), 8)
    assert (gamma == 0).all() and (pairs > 0).all()
    fit = fit_variogram(np.arange(1, 9), gamma, pairs, "exponential")
    assert np.isnan(fit.correlated_share) and (fit([1, 5]) == 0).all()


def test_a_lag_without_pairs_is_nan():
    mask = np.zeros((5, 9), bool)
    mask[2, [0, 6]] = True
    _, gamma, pairs = semivariogram(np.arange(45.0).reshape(5, 9), mask, 7)
    np.testing.assert_array_equal(pairs, [0, 0, 0, 0, 0, 1, 0])
    assert gamma[5] == pytest.approx(18) and np.isnan(np.delete(gamma, 5)).all()


@pytest.mark.parametrize(
    ("map_", "mask", "max_lag", "message"),
    [
        (np.zeros((4, 5)), np.zeros((4, 5), bool), 2, "empty"),
        (np.zeros((4, 5)), np.ones((5, 4), bool), 2, "same shape"),
        (np.zeros((4, 5)), np.ones((4, 5)), 2, "float64 mask"),
        (np.zeros((4, 5, 1)), np.ones((4, 5, 1), bool), 2, "rows, cols"),
        (np.full((4, 5), np.nan), np.eye(4, 5, dtype=bool), 2, "4 of 4 pixels"),
        (np.full((4, 5), np.inf), np.eye(4, 5, dtype=bool), 2, "not finite"),
        (np.zeros((4, 5)), np.ones((4, 5), bool), 0, "from 1 to 5"),
        (np.zeros((4, 5)), np.ones((4, 5), bool), 6, "from 1 to 5"),
        (np.zeros((4, 5)), np.ones((4, 5), bool), 2.0, "whole number"),
        (np.zeros((4, 5)), np.ones((4, 5), bool), True, "whole number"),
    ],
)
def test_semivariogram_refuses(map_, mask, max_lag, message):
    with pytest.raises(InputError, match=message):
        semivariogram(map_, mask, max_lag)


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
    with pytest.raises(InputError, match="'linear' is unknown; expected one of exponential, spherical, gaussian"):
        fit_variogram(lags, lags, lags, "linear")
    with pytest.raises(InputError, match="at least 4"):
        fit_variogram(lags[:3], lags[:3], lags[:3], "spherical")
    with pytest.raises(InputError, match="three"):
        fit_variogram(lags, lags, lags[:5], "spherical")


@pytest.fixture
def reference():
    """A ragged mask off the middle, NaN outside: rotated, most of its edge falls on background."""
    rng = np.random.default_rng(2)
    mask = np.zeros((60, 50), bool)
    mask[5:45, 8:46] = True
    mask[5:20, 8:20] = False
    map_ = np.where(mask, rng.uniform(0, 100, mask.shape), np.nan)
    return map_, mask


def test_null_maps_have_the_mean_and_spread(reference):
    map_, mask = reference
    nulls = null_maps(map_, mask, 37.5, seed=0)
    assert list(nulls) == ["blurred noise", "ramp", "truth rotated"]
    for null in nulls.values():
        assert null.dtype == np.float32 and np.isnan(null[~mask]).all()
        assert null[mask].mean(dtype=float) == pytest.approx(37.5, abs=1e-4)
        assert null[mask].std(dtype=float) == pytest.approx(map_[mask].std(), rel=1e-5)
    assert np.array_equal(null_maps(map_, mask, 37.5, seed=0)["blurred noise"], nulls["blurred noise"], equal_nan=True)
    assert not np.array_equal(
        null_maps(map_, mask, 37.5, seed=1)["blurred noise"], nulls["blurred noise"], equal_nan=True
    )


def test_rotated_null_is_the_truth_turned_round():
    truth = np.random.default_rng(4).uniform(0, 100, (12, 9))
    rotated = null_maps(truth, np.ones(truth.shape, bool), truth.mean(), 0)["truth rotated"]
    np.testing.assert_allclose(rotated, np.rot90(truth, 2), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:the .* fit does not reach its sill")
@pytest.mark.parametrize("model", MODELS)
def test_null_maps_score_near_100_percent_and_know_nothing(reference, model):
    map_, mask = reference
    for name in ("blurred noise", "ramp"):
        null = null_maps(map_, mask, 37.5, seed=0)[name]
        assert fit_variogram(*semivariogram(null, mask, 20), model).correlated_share > 0.95
        assert abs(np.corrcoef(null[mask], map_[mask])[0, 1]) < 0.1
