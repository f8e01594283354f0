"""Filters, and the choice among them, on maps whose noise is known."""

import numpy as np
import pytest
from scipy import ndimage

from hsichem import InputError
from hsichem.maps import held_out_error
from hsichem.maps.filters import FILTERS, Tuned, blend_weight, filtered, noise_of, tune, with_mean

ALL = [(kind, strength) for kind, strengths in FILTERS.items() for strength in strengths]


@pytest.fixture
def squares():
    """(truth, mask): squares of 80 on 20, with a ragged mask."""
    rows, cols = np.indices((48, 40))
    truth = np.where((rows // 12 + cols // 10) % 2, 80.0, 20.0)
    return truth, np.hypot(rows - 24, cols - 20) < 19


@pytest.mark.parametrize(("kind", "strength"), ALL)
def test_a_filter_sees_the_mask_alone_and_keeps_a_constant(squares, kind, strength):
    truth, mask = squares
    rng = np.random.default_rng(0)
    noisy = truth + rng.normal(0, 10, truth.shape)
    made = filtered(noisy, mask, kind, strength, 10.0)
    assert made.dtype == np.float32 and (np.isnan(made) == ~mask).all()
    again = filtered(np.where(mask, noisy, 1e6), mask, kind, strength, 10.0)
    np.testing.assert_array_equal(made, again)
    flat = filtered(np.full(truth.shape, 37.0), mask, kind, strength, 10.0)
    np.testing.assert_allclose(flat[mask], 37, rtol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in FILTERS if kind != "none"])
def test_some_strength_of_each_filter_takes_noise_away(squares, kind):
    truth, mask = squares
    noisy = truth + np.random.default_rng(1).normal(0, 10, truth.shape)
    errors = [np.std((filtered(noisy, mask, kind, s, 10.0) - truth)[mask]) for s in FILTERS[kind]]
    assert min(errors) < 8


def test_an_unknown_filter_is_refused(squares):
    with pytest.raises(InputError, match=r"filter 'wavelet' is unknown; expected one of none, Gaussian"):
        filtered(*squares, "wavelet", 1, 1.0)


def pairs(truths, noise, rng):
    return {k: np.stack([truth + rng.normal(0, noise, truth.shape) for _ in range(2)]) for k, truth in truths.items()}


def test_tuning_finds_the_strength_with_the_least_true_error_without_the_truth(squares):
    truth, mask = squares
    rng = np.random.default_rng(2)
    truths, masks = {k: truth for k in "abc"}, dict.fromkeys("abc", mask)
    looks, readings = pairs(truths, 14, rng), pairs(truths, 14, rng)
    assert noise_of(looks, masks) == pytest.approx(14 / 2**0.5, rel=0.05)
    # what is hidden from a look is read by the other: the reading of look 0 must not share its noise
    biased = {k: 0.5 * pair + 20 for k, pair in looks.items()}
    found = tune({"right": (1.0, looks), "biased": (9.0, biased)}, readings, masks)
    assert len(found) == 2 * len(ALL) and found[0].model == "right" and found[-1].total > found[0].total
    true = {
        (t.kind, t.strength): np.mean([np.std((t.apply(looks[k], mask) - truth)[mask]) for k in "abc"])
        for t in found
        if t.model == "right"
    }
    assert true[found[0].kind, found[0].strength] < 1.15 * min(true.values())
    assert found[0].total == pytest.approx(np.hypot(1.0, found[0].held_out))
    one = {k: found[0].apply_to_looks(looks[k], mask) for k in "abc"}
    assert found[0].held_out == held_out_error(one, readings, masks)["held_out"]


def test_a_tuned_filter_acts_on_the_mean_of_two_looks(squares):
    truth, mask = squares
    looks = np.stack([truth - 3, truth + 3])
    made = Tuned("m", "none", 0, 1.0, 0.0, 0.0).apply(looks, mask)
    np.testing.assert_allclose(made[mask], truth[mask])


def test_looks_are_filtered_alone_and_for_their_own_noise(squares):
    truth, mask = squares
    looks = truth + np.random.default_rng(5).normal(0, 10, (2, *truth.shape))
    tuned = Tuned("m", "total variation", 1.0, 10 / 2**0.5, 0.0, 0.0)
    made = tuned.apply_to_looks(looks, mask)
    for one, alone in zip(looks, made, strict=True):
        np.testing.assert_allclose(alone, filtered(one, mask, "total variation", 1.0, 10.0))


def test_a_blend_has_the_least_squared_error():
    rng = np.random.default_rng(3)
    y = rng.normal(40, 10, 30)
    one, other = y + rng.normal(0, 2, 30), y + rng.normal(0, 1, 30)
    weight = blend_weight(y, one, other)
    errors = [np.sum((one + w * (other - one) - y) ** 2) for w in np.linspace(0, 1, 201)]
    assert weight == pytest.approx(np.linspace(0, 1, 201)[np.argmin(errors)], abs=0.005)
    assert blend_weight(y, y, other) == 0 and blend_weight(y, one, y) == 1


@pytest.mark.parametrize("mean", [12.0, 40.0, 88.0])
def test_another_mean_keeps_a_map_in_its_bounds_and_its_order(mean):
    map_ = np.random.default_rng(4).uniform(1, 99, (20, 20)).astype(np.float32)
    mask = ndimage.binary_erosion(np.ones((20, 20), bool))
    made = with_mean(map_, mask, mean)
    assert made[mask].mean() == pytest.approx(mean, abs=1e-3) and 0 < made[mask].min() and made[mask].max() < 100
    assert (np.argsort(made[mask]) == np.argsort(map_[mask])).all() and (made[~mask] == map_[~mask]).all()
    wide = with_mean(map_ * 3 - 100, mask, mean)  # not within 0-100 %: shifted
    assert np.ptp(wide - (map_ * 3 - 100)) < 1e-3 and wide[mask].mean() == pytest.approx(mean, abs=1e-2)
