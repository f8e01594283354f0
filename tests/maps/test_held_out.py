"""Held-out pixels against the truth that they do without."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

from hsichem.cubes import block_mean
from hsichem.maps.held_out import held_out_error, looks_of, shared_noise

NOISE = 8.0


@pytest.fixture
def scene():
    """Truths (constant within blocks) of four images, and what an unbiased model reads in their pixels."""
    rng = np.random.default_rng(0)
    truths = {
        k: 50 + 80 * ndimage.gaussian_filter(rng.normal(size=(48, 40)), 3).repeat(2, 0).repeat(2, 1) for k in "abcd"
    }
    readings = {k: truth + rng.normal(0, NOISE, truth.shape) for k, truth in truths.items()}
    masks = {k: np.ones((48, 40), bool) for k in truths}
    for mask in masks.values():
        mask[:5, :7] = False
    return truths, readings, masks


def test_it_is_the_error_against_the_truth_that_it_never_sees(scene):
    truths, readings, masks = scene
    read = {k: looks_of(each) for k, each in readings.items()}
    ways = {
        "as it is": lambda look: look,
        "smoothed": lambda look: ndimage.gaussian_filter(look, 1),
        "flat": lambda look: np.full(look.shape, look.mean()),
        "biased": lambda look: ndimage.gaussian_filter(look, 1) * 0.5 + 25,
    }
    found, true = {}, {}
    for name, way in ways.items():
        looks = {k: np.stack([way(look) for look in pair]) for k, pair in read.items()}
        found[name] = held_out_error(looks, read, masks)
        errors = [(looks[k] - block_mean(truths[k]))[:, masks[k]] for k in truths]
        true[name] = np.sqrt(np.mean(np.square(errors)))
        assert found[name]["held_out"] == pytest.approx(true[name], rel=0.05, abs=0.3), name
        low, high = found[name]["held_out_interval"]
        assert low <= found[name]["held_out"] <= high
        each = [np.mean(np.square(error)) for error in errors]  # of each image
        np.testing.assert_allclose(found[name]["squares"], each, rtol=0.15, atol=2)
    assert min(true, key=true.get) == "smoothed" == min(found, key=lambda name: found[name]["held_out"])
    assert found["flat"]["noise"] == pytest.approx(NOISE / 2**0.5, rel=0.05)  # of two pixels


def test_groups_widen_the_interval_where_images_are_alike(scene):
    _, readings, masks = scene
    read = {k: looks_of(each) for k, each in readings.items()}
    looks = {k: pair + (5 if k in "ab" else 0) for k, pair in read.items()}
    alone = np.ptp(held_out_error(looks, read, masks)["held_out_interval"])
    assert np.ptp(held_out_error(looks, read, masks, groups=[1, 1, 2, 2])["held_out_interval"]) > 2 * alone


@pytest.mark.parametrize(("blur", "warned"), [(0, False), (0.6, True)])
def test_noise_that_neighbours_share_is_said(scene, blur, warned):
    truths, _, masks = scene
    rng, whole = np.random.default_rng(1), {k: mask.repeat(2, 0).repeat(2, 1) for k, mask in masks.items()}
    noise = {k: ndimage.gaussian_filter(rng.normal(size=truth.shape), blur) for k, truth in truths.items()}
    maps = {k: truth + NOISE * noise[k] / noise[k].std() for k, truth in truths.items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = shared_noise(maps, whole)
    assert [("share noise" in str(each.message)) for each in caught] == [True] * warned
    assert len(found["lags"]) == 4 and abs(found["lags"][3]) < 0.05
    assert found["excess"] > 0.1 if warned else abs(found["excess"]) < 0.02
