"""T2, Q, their limits and noise gain: against the definitions, and against simulation."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from hsichem import Cube, InputError
from hsichem.cubes import make_pipeline
from hsichem.pls.diagnostics import noise_gain, noise_gain_map, t2_and_q, t2_and_q_limits, t2_and_q_maps
from hsichem.pls.model import fit_pls

PIPELINES = [None, "absorbance", "snv", "msc", "sg1", "absorbance+snv+sg1", "sg2+msc", "absorbance+msc+snv"]


def simulated(rng, n, loadings, noise=0.01):
    """n spectra of normal scores on loadings (k, bands), normal noise, and y (n,) that depends on the scores."""
    scores = rng.normal(size=(n, len(loadings)))
    spectra = 0.5 + scores @ loadings + rng.normal(0, noise, (n, loadings.shape[1]))
    return spectra, scores @ np.arange(1, len(loadings) + 1) + rng.normal(0, 0.1, n)


@pytest.fixture
def calibration():
    rng = np.random.default_rng(0)
    return simulated(rng, 50, 0.05 * rng.normal(size=(4, 25)))


def test_t2_and_q_against_their_definitions(calibration):
    spectra, y = calibration
    model = fit_pls(spectra, y, n_components=3, preprocessing="absorbance")
    theirs = PLSRegression(3, scale=False).fit(-np.log10(spectra), y)
    new = spectra[::-1] * 1.05
    seen = -np.log10(new)
    scores = theirs.transform(seen)
    inverse = np.linalg.inv(np.cov(theirs.x_scores_.T))
    left = seen - theirs.inverse_transform(scores)
    got = t2_and_q(model, new)
    np.testing.assert_allclose(got[:, 0], np.einsum("na,ab,nb->n", scores, inverse, scores), rtol=1e-6)
    np.testing.assert_allclose(got[:, 1], (left**2).sum(axis=1), rtol=1e-6)


def test_maps_are_the_statistics_of_each_pixel(calibration):
    model = fit_pls(*calibration, n_components=3, preprocessing="snv")
    mask = np.random.default_rng(1).random((9, 11)) < 0.6
    cube = Cube(np.random.default_rng(2).uniform(0.3, 0.9, (9, 11, 25)), np.arange(25.0), mask)
    t2, q = t2_and_q_maps(model, cube)
    assert t2.dtype == q.dtype == np.float32 and np.isnan(t2[~mask]).all() and np.isnan(q[~mask]).all()
    np.testing.assert_allclose(np.stack([t2[mask], q[mask]], 1), t2_and_q(model, cube.values[mask]), rtol=1e-5)


@pytest.mark.parametrize(("n", "components"), [(48, 3), (48, 8), (150, 8)])
def test_false_alarms_are_as_many_as_asked_for(n, components):
    """40 calibrations of simulated normal data, each tried on 500 new spectra: 5 % should be beyond each limit."""
    rng = np.random.default_rng(3)
    rates, naive = [], []
    for _ in range(40):
        loadings = 0.05 * rng.normal(size=(4, 30))
        spectra, y = simulated(rng, n, loadings)
        model = fit_pls(spectra, y, n_components=components)
        new, own = t2_and_q(model, simulated(rng, 500, loadings)[0]), t2_and_q(model, spectra)
        rates.append((new > t2_and_q_limits(model, spectra, y, level=0.95)).mean(axis=0))
        naive.append((new[:, 1] > np.quantile(own[:, 1], 0.95)).mean())
    t2, q = np.mean(rates, axis=0)
    assert 0.035 < t2 < 0.07 and 0.035 < q < 0.07
    assert np.mean(naive) > 1.2 * q  # why the limits are from held-out samples


def test_a_stricter_level_has_wider_limits_and_groups_count(calibration):
    model = fit_pls(*calibration, n_components=3)
    loose, strict = (t2_and_q_limits(model, *calibration, level=level) for level in (0.9, 0.99))
    assert loose[0] < strict[0] and loose[1] < strict[1]
    grouped = t2_and_q_limits(model, *calibration, groups=np.arange(50) // 25)
    assert grouped != t2_and_q_limits(model, *calibration)


def test_a_foreign_spectrum_is_beyond_the_limit_of_q_and_a_diluted_one_is_not(calibration):
    spectra, y = calibration
    model = fit_pls(spectra, y, n_components=4)
    t2, q = t2_and_q_limits(model, spectra, y, level=0.99)
    foreign = spectra.mean(axis=0) + 0.3 * (np.arange(25) == 12)  # a band that no component knows
    pls = model.fitted
    extreme = pls.X_mean[0] + 6 * pls.T[:, 0].std() * pls.P[:, 0]  # known, but far out
    got = t2_and_q(model, np.stack([foreign, extreme]))
    assert got[0, 1] > 10 * q and got[1, 1] < q and got[1, 0] > t2


@pytest.mark.parametrize("preprocessing", PIPELINES)
def test_noise_gain_is_the_norm_of_the_numerical_gradient(calibration, preprocessing):
    spectra, y = calibration
    model = fit_pls(spectra, np.stack([y, y**2], 1), n_components=3, preprocessing=preprocessing)
    new, step = spectra[:4], 1e-6
    gradient = np.empty((4, 2, 25))
    for band in range(25):
        up, down = (new + sign * step * (np.arange(25) == band) for sign in (1, -1))
        gradient[:, :, band] = (model.predict(up) - model.predict(down)) / (2 * step)
    np.testing.assert_allclose(noise_gain(model, new), np.linalg.norm(gradient, axis=2), rtol=1e-5)


def test_noise_gain_is_the_noise_of_a_map_per_noise_of_reflectance(calibration):
    spectra, y = calibration
    model = fit_pls(spectra, y, n_components=3, preprocessing="absorbance+snv")
    cube = Cube(spectra[None, :6], np.arange(25.0))
    gain = noise_gain_map(model, cube)
    assert gain.shape == (1, 6) and gain.dtype == np.float32
    sigma, rng = 1e-4, np.random.default_rng(5)
    noisy = [model.predict(spectra[:6] + rng.normal(0, sigma, (6, 25))) for _ in range(1500)]
    np.testing.assert_allclose(np.std(noisy, axis=0) / sigma, gain[0], rtol=0.08)


def test_a_filter_has_one_gain_for_all_and_absorbance_has_not(calibration):
    spectra, y = calibration
    linear = noise_gain(fit_pls(spectra, y, n_components=3, preprocessing="sg1"), spectra)
    assert np.ptp(linear) < 1e-9 * linear.mean()
    model = fit_pls(spectra, y, n_components=3, preprocessing="absorbance")
    dark, bright = noise_gain(model, np.stack([spectra[0] / 4, spectra[0]]))
    assert dark == pytest.approx(4 * bright)
    floor = noise_gain(model, np.zeros((1, 25)))  # below the floor absorbance does not move
    assert floor == 0


def test_wrong_band_counts_are_refused(calibration):
    model = fit_pls(*calibration, n_components=2)
    for function in (noise_gain, t2_and_q):
        with pytest.raises(InputError, match=r"needs \(n, 25\)"):
            function(model, np.ones((4, 24)))


def test_the_pipeline_is_fitted_anew_for_the_limits(calibration):
    """MSC's reference too: held-out residuals must not come from a reference that has seen them."""
    spectra, y = calibration
    model = fit_pls(spectra, y, n_components=3, preprocessing="msc")
    held_out = []
    for k in range(5):
        out = np.arange(50) // 10 == k
        pipeline = make_pipeline("msc").fit(spectra[~out])
        inner = PLSRegression(3, scale=False).fit(pipeline.transform(spectra[~out]), y[~out])
        seen = pipeline.transform(spectra[out])
        held_out.append(((seen - inner.inverse_transform(inner.transform(seen))) ** 2).sum(axis=1))
    q = np.concatenate(held_out)
    draws = np.random.default_rng(6).gamma(q.mean() ** 2 / q.var(ddof=1), q.var(ddof=1) / q.mean(), 400_000)
    assert t2_and_q_limits(model, spectra, y, np.arange(50) // 10)[1] == pytest.approx(
        np.quantile(draws, 0.95), rel=0.02
    )
