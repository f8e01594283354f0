import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error

from hsichem import InputError
from hsichem.maps.intervals import (
    bootstrap_interval,
    cv_plus,
    pixel_rmse_against,
    rmsep_against,
    rmsep_interval,
)


def rmse(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


def test_the_interval_of_a_mean_is_students():
    x = np.random.default_rng(1).normal(10, 3, 12)
    for level in (0.95, 0.8):
        low, high = bootstrap_interval(np.mean, x, repeats=20000, level=level)
        expected = stats.t.interval(level, 11, x.mean(), stats.sem(x))
        assert (low + high) / 2 == pytest.approx(x.mean(), rel=1e-12)
        assert high - low == pytest.approx(np.ptp(expected), rel=0.02)


def test_the_spread_is_the_bootstrap_standard_error_of_scipy():
    rng = np.random.default_rng(2)
    y = rng.uniform(20, 70, 30)
    p = y + rng.normal(0, 2, 30)
    found = stats.bootstrap((y, p), rmse, paired=True, vectorized=False, n_resamples=4000, rng=0)
    half = stats.t.ppf(0.975, 29) * np.sqrt(30 / 29) * found.standard_error
    low, high = bootstrap_interval(rmse, y, p, repeats=4000)
    assert (low + high) / 2 == pytest.approx(rmse(y, p), rel=1e-12)
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)


def test_bootstrap_draws_whole_groups():
    x = np.random.default_rng(3).normal(size=12)
    single = bootstrap_interval(np.mean, x)
    grouped = bootstrap_interval(np.mean, np.tile(x, 4), groups=np.tile(np.arange(12), 4))
    assert grouped == pytest.approx(single, rel=1e-12)  # four images of each animal tell no more than one


def test_groups_are_told_apart_by_one_sort_and_drawn_as_they_were():
    class Label(str):
        compared = 0
        __hash__ = str.__hash__

        def __lt__(self, other):
            Label.compared += 1
            return str.__lt__(self, other)

        def __eq__(self, other):
            Label.compared += 1
            return str.__eq__(self, other)

        def __ne__(self, other):
            return not self == other

    rng, n = np.random.default_rng(5), 400
    x, names = rng.normal(size=n), [f"animal {k}" for k in rng.integers(n, size=n)]
    labels = np.array([Label(name) for name in names], dtype=object)
    low, high = bootstrap_interval(np.mean, x, groups=labels, repeats=20)
    assert Label.compared < 30 * n  # n log n; each label with each would be 0.6 n^2
    members = [np.flatnonzero(np.equal(names, name)) for name in sorted(set(names))]
    drawn = np.random.default_rng(0).integers(len(members), size=(20, len(members)))
    means = [x[np.concatenate([members[k] for k in draw])].mean() for draw in drawn]
    g = len(members)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, g - 1) * np.sqrt(g / (g - 1)) * np.std(means), rel=1e-9)


def test_bootstrap_of_several_figures_is_that_of_each():
    x = np.random.default_rng(4).normal(size=(15, 3))
    low, high = bootstrap_interval(lambda rows: rows.mean(axis=0), x)
    for k in range(3):
        assert (low[k], high[k]) == pytest.approx(bootstrap_interval(np.mean, x[:, k]), rel=1e-12)


def test_the_comparison_is_paired():
    rng = np.random.default_rng(5)
    y = rng.uniform(20, 70, 20)
    a = y + rng.normal(0, 3, 20)
    b = y + 1.1 * (a - y)  # always 10 % worse, on every image
    groups = np.repeat(np.arange(10), 2)
    found = rmsep_against(y, b, a, groups)
    assert [found["rmsep_ratio"], *found["rmsep_ratio_interval"]] == pytest.approx([1.1] * 3, rel=1e-12)
    c = y + rng.normal(0, 3, 20)
    found, back = rmsep_against(y, c, a, groups), rmsep_against(y, a, c, groups)
    of_c, of_a = root_mean_squared_error(y, c), root_mean_squared_error(y, a)
    assert found["rmsep_ratio"] == pytest.approx(of_c / of_a, rel=1e-12)
    assert found["rmsep_difference"] == pytest.approx(of_c - of_a, rel=1e-12)
    turned = [1 / end for end in back["rmsep_ratio_interval"][::-1]]
    assert found["rmsep_ratio_interval"] == pytest.approx(turned, rel=1e-9)
    turned = [-end for end in back["rmsep_difference_interval"][::-1]]
    assert found["rmsep_difference_interval"] == pytest.approx(turned, rel=1e-9)
    assert rmsep_against(y, c, a, groups, seed=1) != found == rmsep_against(y, c, a, groups)


def test_the_difference_has_the_spread_that_scipy_finds():
    rng = np.random.default_rng(11)
    y = rng.uniform(20, 70, 30)
    shared = rng.normal(0, 2, 30)
    a, b = y + shared + rng.normal(0, 1, 30), y + shared + rng.normal(0, 2, 30)
    spread = stats.bootstrap(
        (y, a, b), lambda y, a, b: rmse(y, a) - rmse(y, b), paired=True, vectorized=False, n_resamples=2000, rng=0
    ).standard_error
    low, high = rmsep_against(y, a, b)["rmsep_difference_interval"]
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 29) * np.sqrt(30 / 29) * spread, rel=0.08)


def test_pixel_errors_are_compared_image_by_image():
    rng, groups = np.random.default_rng(12), np.repeat(np.arange(8), 2)
    hard = np.exp(rng.normal(3, 1, 16))  # some images are hard for every method
    found = pixel_rmse_against(0.9 * hard, hard, groups)
    assert [found["pixel_rmse_ratio"], *found["pixel_rmse_ratio_interval"]] == pytest.approx([0.9] * 3, rel=1e-12)
    other = hard * np.exp(rng.normal(0, 0.1, 16))
    found = pixel_rmse_against(other, hard, groups)
    assert found["pixel_rmse_ratio"] == pytest.approx(other.sum() / hard.sum(), rel=1e-12)
    # the delta method: the standard error of log(a / b) from the residuals a - ratio b of whole animals
    rest = (other - found["pixel_rmse_ratio"] * hard).reshape(8, 2).sum(axis=1)
    half = stats.t.ppf(0.975, 7) * np.sqrt(8 / 7 * np.sum(rest**2)) / other.sum()
    low, high = np.log(found["pixel_rmse_ratio_interval"])
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """100 trials, 6 animals: the standard error of a coverage of 0.94 is 0.024; bootstrap percentiles reach 0.8."""
    rng, groups, hits = np.random.default_rng(6), np.repeat(np.arange(6), 2), np.zeros(4)
    for trial in range(100):
        shared = rng.normal(size=(6, 1, 1))  # two images of an animal err alike
        error = np.sqrt(0.4) * shared + np.sqrt(0.6) * rng.normal(size=(6, 2, 2))
        a, b = 2.0 * error[..., 0].ravel(), 1.6 * error[..., 1].ravel()
        low, high = rmsep_interval(np.zeros(12), a, groups, seed=trial)
        against = rmsep_against(np.zeros(12), b, a, groups, seed=trial)
        first, last = against["rmsep_ratio_interval"]
        least, most = against["rmsep_difference_interval"]
        pixels = pixel_rmse_against(0.8 * np.exp(b / 5), np.exp(a / 4), groups, seed=trial)  # both of one distribution
        start, end = pixels["pixel_rmse_ratio_interval"]
        hits += low < 2.0 < high, first < 0.8 < last, least < -0.4 < most, start < 0.8 < end
    assert (hits >= 87).all() and (hits < 100).all()


def test_bootstrap_refuses():
    with pytest.raises(InputError, match="equal lengths"):
        bootstrap_interval(rmse, [1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="at least two"):
        bootstrap_interval(np.mean, [1, 2, 3], groups=["a", "a", "a"])
    with pytest.raises(InputError, match="level is 95"):
        bootstrap_interval(np.mean, [1, 2, 3], level=95)


def by_fold(x, y, folds, new):
    """(held-out predictions, {fold: predictions of the new images}) of straight lines."""
    held_out, predicted = np.empty(len(y)), {}
    for fold in np.unique(folds):
        model = LinearRegression().fit(x[folds != fold], y[folds != fold])
        held_out[folds == fold], predicted[fold] = model.predict(x[folds == fold]), model.predict(new)
    return held_out, predicted


def test_cv_plus_against_its_definition():
    rng = np.random.default_rng(8)
    x, folds, new = rng.normal(size=(23, 1)), np.arange(23) % 5, rng.normal(size=(4, 1))
    y = 3 * x[:, 0] + rng.normal(size=23)
    held_out, predicted = by_fold(x, y, folds, new)
    found = cv_plus(y, held_out, folds, predicted, level=0.8)
    for j in range(4):  # Barber et al. 2021: the floor(alpha (n + 1))-th smallest and ceil((1 - alpha) (n + 1))-th
        low = sorted(predicted[k][j] - abs(y[i] - held_out[i]) for i, k in enumerate(folds))
        high = sorted(predicted[k][j] + abs(y[i] - held_out[i]) for i, k in enumerate(folds))
        assert found[j] == pytest.approx([low[4 - 1], high[20 - 1]])  # 0.2 * 24 = 4.8, 0.8 * 24 = 19.2


def test_cv_plus_holds_new_values_as_often_as_it_says():
    rng, hits = np.random.default_rng(9), []
    for _ in range(60):
        x, new, folds = rng.normal(size=(40, 3)), rng.normal(size=(10, 3)), np.arange(40) % 5
        y, values = (z.sum(axis=1) + rng.standard_t(3, len(z)) for z in (x, new))  # heavy tails are no matter
        held_out, predicted = by_fold(x, y, folds, new)
        low, high = cv_plus(y, held_out, folds, predicted).T
        hits.append(np.mean((low <= values) & (values <= high)))
    assert 0.88 < np.mean(hits) < 0.95


def test_cv_plus_refuses():
    y, folds = np.arange(8.0), np.arange(8) % 2
    with pytest.raises(InputError, match=r"at most 0\.889"):
        cv_plus(y, y, folds, {0: y, 1: y})
    assert cv_plus(y, y, folds, {0: y, 1: y}, level=8 / 9).shape == (8, 2)
    with pytest.raises(InputError, match="a model of each fold"):
        cv_plus(y, y, folds, {0: y}, level=0.8)
    with pytest.raises(InputError, match=r"three \(n,\) arrays"):
        cv_plus(y, y[:7], folds, {0: y, 1: y}, level=0.8)
