"""Maps that know nothing: the mean and spread they are to have, and how well they score."""

import numpy as np
import pytest

from hsichem.maps.nulls import null_maps
from hsichem.maps.variogram import MODELS, fit_variogram, semivariogram


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


@pytest.mark.filterwarnings("ignore:the .* fit does not reach its sill", "ignore:gamma bends up")
@pytest.mark.parametrize("model", MODELS)
def test_null_maps_score_near_100_percent_and_know_nothing(reference, model):
    map_, mask = reference
    for name in ("blurred noise", "ramp"):
        null = null_maps(map_, mask, 37.5, seed=0)[name]
        assert fit_variogram(*semivariogram(null, mask, 20), model).correlated_share > 0.95
        assert abs(np.corrcoef(null[mask], map_[mask])[0, 1]) < 0.1
