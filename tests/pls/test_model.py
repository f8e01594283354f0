"""PLS against scikit-learn: coefficients, cross-validation, maps."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from hsichem import Cube, InputError
from hsichem.cubes import make_pipeline
from hsichem.pls.diagnostics import t2_and_q
from hsichem.pls.model import cross_validate, deal_folds, fit_pls

EXACT = {"scale": False, "tol": 1e-14, "max_iter": 10_000}  # of several responses its weights come by iteration


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


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("preprocessing", [None, "absorbance+snv+sg1"])
def test_one_fit_holds_the_model_of_every_smaller_count(calibration, preprocessing, several):
    spectra, y = calibration
    y = np.stack([y, 3 - 0.1 * y**2], axis=1) if several else y
    largest = fit_pls(spectra, y, None, 20, preprocessing)
    new = spectra[::-1] * 1.1
    for count in range(1, 21):
        ours, refit = largest.with_components(count), fit_pls(spectra, y, None, count, preprocessing)
        assert (ours.n_components, ours.cv, ours.preprocessing) == (count, None, preprocessing)
        np.testing.assert_allclose(ours.coefficients, refit.coefficients, rtol=1e-10)
        np.testing.assert_allclose(ours.intercept, refit.intercept, rtol=1e-10)
        np.testing.assert_allclose(ours.predict(new), refit.predict(new), rtol=1e-10)
        np.testing.assert_allclose(t2_and_q(ours, new), t2_and_q(refit, new), rtol=1e-10)
    assert np.shape(largest.intercept) == y.shape[1:]
    for wrong in (0, 21, 2.0, "cv"):
        with pytest.raises(InputError, match="expected a count from 1 to 20"):
            largest.with_components(wrong)


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


def test_preprocessing_that_learns_is_fitted_in_each_fold(calibration):
    spectra, y = calibration
    fold = np.arange(len(y)) % 5
    cv = cross_validate(spectra, y, fold, 3, "msc")
    errors = np.zeros((3, len(y)))
    for a in range(1, 4):
        for k in range(5):
            out = fold == k
            reference = spectra[~out].mean(axis=0)
            lines = [np.polyfit(reference, x, 1) for x in spectra]
            seen = np.array([(x - offset) / slope for x, (slope, offset) in zip(spectra, lines, strict=True)])
            model = PLSRegression(a, scale=False).fit(seen[~out], y[~out])
            errors[a - 1, out] = y[out] - model.predict(seen[out]).ravel()
    np.testing.assert_allclose(cv.rmsecv, np.sqrt((errors**2).mean(axis=1)), rtol=1e-6)


def test_several_responses_count_the_same_in_the_choice(calibration):
    spectra, y = calibration
    table = np.stack([y, 100 * y[::-1]], axis=1)  # the second cannot be predicted, and is large
    fold = np.arange(len(y)) % 5
    cv = cross_validate(spectra, table, fold, 6)
    scale = table.std(axis=0)
    errors = np.zeros((6, len(y), 2))
    for a in range(1, 7):
        for k in range(5):
            out = fold == k
            inside = table[~out] / table[~out].std(axis=0)
            model = PLSRegression(a, **EXACT).fit(spectra[~out], inside)
            errors[a - 1, out] = table[out] - model.predict(spectra[out]) * table[~out].std(axis=0)
    np.testing.assert_allclose(cv.rmsecv, np.sqrt((errors**2).mean(axis=1)), rtol=1e-5)
    np.testing.assert_allclose(cv.loss, ((errors / scale) ** 2).mean(axis=(1, 2)), rtol=1e-5)
    assert cv.best == cv.loss.argmin() + 1 and cv.predicted.shape == (1, 6, 40, 2)


def test_repeats_average_the_error_but_not_the_standard_error_away(calibration):
    spectra, y = calibration
    folds = deal_folds(len(y), None, 0, repeats=4)
    each = [cross_validate(spectra, y, fold, 5) for fold in folds]
    cv = cross_validate(spectra, y, folds, 5)
    np.testing.assert_allclose(cv.rmsecv**2, np.mean([one.rmsecv**2 for one in each], axis=0))
    np.testing.assert_allclose(cv.loss_error, np.mean([one.loss_error for one in each], axis=0))
    assert cv.predicted.shape == (4, 5, 40)
    np.testing.assert_allclose(np.sqrt(np.mean((cv.predicted - y) ** 2, axis=(0, 2))), cv.rmsecv)


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


PIPELINES = [None, "absorbance", "snv", "msc", "sg1", "snv+sg1", "msc+sg2", "sg1+snv", "sg1+msc+sg2", "absorbance+snv"]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("preprocessing", PIPELINES)
def test_map_is_the_prediction_of_each_pixel(calibration, preprocessing, several):
    """The map works block by block through a folded vector; here every pixel goes through the pipeline alone."""
    spectra, y = calibration
    y = np.stack([y, 3 - 0.1 * y**2], axis=1) if several else y
    model = fit_pls(spectra, y, n_components=3, preprocessing=preprocessing)
    mask = np.random.default_rng(4).random((70, 90)) < 0.7  # more than one block
    mask[:45] = True  # a block without background
    mask[45, :2] = False
    rng = np.random.default_rng(2)
    values = spectra[rng.integers(40, size=(70, 90))] * rng.uniform(0.7, 1.4, (70, 90, 1))
    cube = Cube(values + rng.normal(0, 0.002, values.shape), np.arange(25) + 750.0, mask)
    pixels = cube.values[mask].astype(float)
    seen = make_pipeline(preprocessing).fit(spectra).transform(pixels)
    trained = make_pipeline(preprocessing).fit_transform(spectra)
    scaled = PLSRegression(3, **EXACT).fit(trained, (y - y.mean(axis=0)) / y.std(axis=0))
    expected = scaled.predict(seen).reshape(-1, *y.shape[1:]) * y.std(axis=0) + y.mean(axis=0)
    got = model.predict_map(cube)
    assert got.dtype == np.float32 and got.shape == (70, 90, *y.shape[1:])
    assert np.isnan(got[~mask]).all()
    size = (np.abs(seen) @ np.abs(model.coefficients)).max()  # what rounding to float32 is measured by
    np.testing.assert_allclose(got[mask], expected, rtol=1e-6, atol=1e-6 * size)
    np.testing.assert_allclose(model.predict(pixels), expected, rtol=1e-6, atol=1e-7 * size)


def test_a_map_needs_the_bands_of_the_model(calibration):
    with pytest.raises(InputError, match="the cube has 24 bands; this model needs 25"):
        fit_pls(*calibration, n_components=2).predict_map(Cube(np.ones((2, 2, 24)), np.arange(24.0)))


def test_a_flat_pixel_has_no_snv(calibration):
    cube = Cube(np.full((1, 2, 25), 0.5), np.arange(25.0))
    assert np.isnan(fit_pls(*calibration, n_components=2, preprocessing="snv").predict_map(cube)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(40)}, "differ"),
        ({"y": np.ones(39)}, "expected"),
        ({"y": np.ones((40, 2, 2))}, "expected"),
        ({"y": np.stack([np.arange(40), np.ones(40)], 1)}, "differ"),
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


def test_a_flat_calibration_spectrum_has_no_snv(calibration):
    spectra, y = calibration
    spectra[3] = 0.5
    with pytest.warns(UserWarning, match="flat"), np.errstate(invalid="ignore"):
        with pytest.raises(InputError, match="'snv' has no value for some spectra"):
            fit_pls(spectra, y, preprocessing="snv")


def test_wrong_band_count_is_refused(calibration):
    model = fit_pls(*calibration, n_components=2)
    with pytest.raises(InputError, match="needs \\(n, 25\\)"):
        model.predict(np.ones((4, 24)))
