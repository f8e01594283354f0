"""PLS against scikit-learn: coefficients, cross-validation, maps."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from hsichem import Cube, InputError
from hsichem.pls import cross_validate, deal_folds, fit_pls
from hsichem.preprocess import absorbance


@pytest.fixture
def calibration():
    rng = np.random.default_rng(0)
    n, bands = 40, 25
    pure = np.cumsum(rng.normal(size=(4, bands)), axis=1)
    amounts = rng.uniform(0, 1, size=(n, 4))
    spectra = 0.5 + 0.02 * (amounts @ pure + 0.05 * rng.normal(size=(n, bands)))
    return spectra, 100 * amounts[:, 0]


@pytest.mark.parametrize("components", [1, 3, 6])
def test_predictions_equal_scikit_learn(calibration, components):
    spectra, y = calibration
    ours = fit_pls(spectra, y, n_components=components)
    theirs = PLSRegression(components, scale=False).fit(spectra, y)
    new = spectra[::-1] * 1.1
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new).ravel(), rtol=1e-8)
    np.testing.assert_allclose(ours.coefficients, theirs.coef_.ravel(), rtol=1e-6, atol=1e-6)


def test_cross_validation_equals_a_loop_over_folds(calibration):
    spectra, y = calibration
    fold = np.arange(len(y)) % 5
    cv = cross_validate(spectra, y, fold, max_components=8)
    errors = np.zeros((8, len(y)))
    for a in range(1, 9):
        for k in range(5):
            held_out = fold == k
            model = PLSRegression(a, scale=False).fit(spectra[~held_out], y[~held_out])
            errors[a - 1, held_out] = y[held_out] - model.predict(spectra[held_out]).ravel()
    mse = (errors**2).mean(axis=1)
    np.testing.assert_allclose(cv.rmsecv, np.sqrt(mse), rtol=1e-6)
    fold_mse = np.array([(errors[:, fold == k] ** 2).mean(axis=1) for k in range(5)])
    limit = mse.min() + fold_mse[:, mse.argmin()].std(ddof=1) / np.sqrt(5)
    se = fold_mse.std(axis=0, ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(cv.standard_error, se / (2 * np.sqrt(mse)), rtol=1e-5)  # error of a square root
    assert cv.best == mse.argmin() + 1
    assert cv.chosen == min(a for a in range(1, 9) if mse[a - 1] <= limit)


def test_one_standard_error_rule_never_asks_for_more_than_the_minimum(calibration):
    spectra, y = calibration
    model = fit_pls(spectra, y, groups=np.arange(len(y)) // 4)
    assert model.n_components == model.cv.chosen <= model.cv.best


def test_groups_are_held_out_whole():
    """With every spectrum doubled, ungrouped folds see the twin of each held-out sample; grouped ones do not."""
    rng = np.random.default_rng(1)
    spectra, y = np.repeat(rng.normal(size=(24, 60)), 2, axis=0), np.repeat(rng.normal(size=24), 2)
    apart = fit_pls(spectra, y, groups=np.repeat(np.arange(24), 2)).cv.rmsecv
    leaky = fit_pls(spectra, y).cv.rmsecv
    assert leaky[-1] < 0.5 * apart[-1]


def test_up_to_ten_groups_are_the_folds_and_more_are_dealt_into_ten():
    few = np.array(["b", "a", "c", "a"])
    assert deal_folds(4, few, 0, repeats=3).tolist() == [[1, 0, 2, 0]]
    many = np.repeat(np.arange(24), 2)
    fold, again = deal_folds(48, many, 0, repeats=2)
    assert set(fold) == set(range(10))
    assert all(len(set(fold[many == group])) == 1 for group in range(24))
    assert (fold != again).any() and (again == deal_folds(48, many, 1)[0]).all()


def test_map_is_the_prediction_of_each_pixel(calibration):
    spectra, y = calibration
    model = fit_pls(spectra, y, n_components=3, preprocessing="absorbance")
    mask = np.ones((7, 5), bool)
    mask[2, :3] = False
    cube = Cube(np.random.default_rng(2).uniform(0.3, 0.9, (7, 5, 25)), np.arange(25) + 750.0, mask)
    pixel = PLSRegression(3, scale=False).fit(absorbance(spectra), y)
    expected = pixel.predict(-np.log10(cube.values.reshape(-1, 25).astype(float))).reshape(7, 5)
    got = model.predict_map(cube)
    assert got.dtype == np.float32
    assert np.isnan(got[~mask]).all()
    np.testing.assert_allclose(got[mask], expected[mask], rtol=1e-4, atol=1e-3)


def test_a_map_in_blocks_equals_a_map_in_one_piece(calibration, monkeypatch):
    spectra, y = calibration
    model = fit_pls(spectra, y, n_components=2, preprocessing="snv")
    cube = Cube(np.random.default_rng(3).uniform(0.3, 0.9, (9, 11, 25)), np.arange(25) + 750.0)
    whole = model.predict_map(cube)
    monkeypatch.setattr("hsichem.pls.PIXELS_AT_ONCE", 13)
    np.testing.assert_array_equal(model.predict_map(cube), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(40)}, "differ"),
        ({"y": np.ones(39)}, "expected"),
        ({"n_components": 0}, "count from 1"),
        ({"n_components": "CV"}, '"cv"'),
        ({"preprocessing": "svn"}, "unknown step 'svn'"),
        ({"groups": np.zeros(40)}, "two groups"),
        ({"groups": np.zeros(3)}, "one group for each"),
    ],
)
def test_bad_input_is_named(calibration, change, message):
    spectra, y = calibration
    with pytest.raises(InputError, match=message):
        fit_pls(**({"mean_spectra": spectra, "y": y} | change))


def test_nan_is_refused(calibration):
    spectra, y = calibration
    spectra[3, 4] = np.nan
    with pytest.raises(InputError, match="NaN"):
        fit_pls(spectra, y)


def test_wrong_band_count_is_refused(calibration):
    model = fit_pls(*calibration, n_components=2)
    with pytest.raises(InputError, match="needs \\(n, 25\\)"):
        model.predict(np.ones((4, 24)))
