import json

import numpy as np
import pytest
from scipy import ndimage, stats
from sklearn.metrics import r2_score, root_mean_squared_error

from hsichem import InputError
from hsichem.maps.intervals import bootstrap_interval, rmsep_interval
from hsichem.maps.metrics import average_metrics, edge_width, judge, map_metrics, mean_metrics
from hsichem.maps.variogram import pooled_variogram, semivariogram


def test_mean_metrics_against_scikit_learn():
    rng = np.random.default_rng(0)
    reference = rng.uniform(20, 70, 25)
    predicted = reference + rng.normal(1.5, 2, 25)
    m = mean_metrics(reference, predicted)
    assert m["n"] == 25
    assert m["rmsep"] == pytest.approx(root_mean_squared_error(reference, predicted), rel=1e-12)
    assert m["r2"] == pytest.approx(r2_score(reference, predicted), rel=1e-12)
    assert m["bias"] == pytest.approx(predicted.mean() - reference.mean(), rel=1e-12)
    assert m["sep"] == pytest.approx(stats.tstd(predicted - reference), rel=1e-12)
    assert m["rpd"] == pytest.approx(stats.tstd(reference) / stats.tstd(predicted - reference), rel=1e-12)
    assert m["rmsep"] ** 2 == pytest.approx(m["bias"] ** 2 + m["sep"] ** 2 * 24 / 25, rel=1e-12)


def test_mean_metrics_of_one_sample():
    assert mean_metrics([40], [42]) == {"n": 1, "rmsep": 2, "bias": 2, "sep": None, "r2": None, "rpd": None}


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1]), ([], []), ([1, np.nan], [1, 2]), ([[1]], [[1]])])
def test_mean_metrics_refuses(a, b):
    with pytest.raises(InputError):
        mean_metrics(a, b)


@pytest.fixture
def maps():
    rng = np.random.default_rng(5)
    mask = rng.random((30, 20)) < 0.6
    truth = rng.uniform(0, 100, mask.shape)
    prediction = 20 + 0.8 * truth + rng.normal(0, 15, mask.shape)
    return np.where(mask, prediction, np.nan).astype(np.float32), np.where(mask, truth, np.nan).astype(np.float32), mask


def test_map_metrics_against_scipy(maps):
    prediction, truth, mask = maps
    p, t = prediction[mask].astype(float), truth[mask].astype(float)
    line = stats.linregress(t, p)
    m = map_metrics(prediction, truth, mask)
    assert m["pixel_rmse"] == pytest.approx(root_mean_squared_error(t, p), rel=1e-10)
    assert m["correlation"] == pytest.approx(line.rvalue, rel=1e-10)
    assert m["slope"] == pytest.approx(line.slope, rel=1e-10)
    assert m["sd_ratio"] == pytest.approx(stats.tstd(p) / stats.tstd(t), rel=1e-10)
    assert m["outside_share"] == sum(v < 0 or v > 100 for v in p) / len(p) > 0
    assert (m["low"], m["high"]) == (min(p), max(p))
    assert map_metrics(prediction, truth, mask, bounds=(-1000, 1000))["outside_share"] == 0


def test_map_metrics_without_truth(maps):
    prediction, _, mask = maps
    assert set(map_metrics(prediction, None, mask)) == {"outside_share", "low", "high"}


def test_map_metrics_of_flat_maps_are_json(maps):
    prediction, truth, mask = maps
    flat = np.full(mask.shape, 41.3)
    m = map_metrics(prediction, flat, mask)
    assert m["slope"] is m["correlation"] is m["sd_ratio"] is None
    n = map_metrics(flat, truth, mask)
    assert n["correlation"] is None and n["sd_ratio"] == 0 and n["slope"] == pytest.approx(0, abs=1e-6)
    json.dumps([m, n], allow_nan=False)


def test_average_metrics():
    samples = [
        {"outside_share": 0.0, "low": 1.0, "high": 90.0, "slope": 0.5, "correlation": None},
        {"outside_share": 0.5, "low": -9.0, "high": 80.0, "slope": None, "correlation": None},
    ]
    expected = {"outside_share": 0.25, "low": -9.0, "high": 90.0, "slope": 0.5, "correlation": None}
    assert average_metrics(samples) == expected
    with pytest.raises(InputError):
        average_metrics([])


@pytest.fixture
def scene():
    """Layers of many widths in a mask with a hole; the blur keeps inside the mask."""
    rng = np.random.default_rng(6)
    rows, cols = np.mgrid[:90, :110]
    truth = np.where(np.sin(cols / 9 + rows / 40 + 2 * np.sin(cols / 23)) > 0.2, 85.0, 12.0)
    mask = (rows > 4) & (cols < 104) & ((rows - 40) ** 2 + (cols - 50) ** 2 > 80)

    def blurred(sigma):
        inside = ndimage.gaussian_filter(mask.astype(float), sigma, mode="constant")
        summed = ndimage.gaussian_filter(np.where(mask, truth, 0.0), sigma, mode="constant")
        return summed / np.maximum(inside, 1e-9)

    return truth, mask, blurred, rng


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 4.0])
def test_edge_width_of_a_blurred_step_is_2563_sigma(sigma):
    x = np.arange(200) - 99.5
    step = np.broadcast_to(np.where(x > 0, 90.0, 10.0), (60, 200))
    rise = np.broadcast_to(10 + 80 * stats.norm.cdf(x / sigma), (60, 200))  # analytic, not by a filter
    everywhere = np.ones(step.shape, bool)
    # the step of the truth may lie anywhere between two pixels: the variance of a box of one pixel adds
    exact = 2 * stats.norm.ppf(0.9) * np.sqrt(sigma**2 + 1 / 12)
    assert edge_width(rise, step, everywhere) == pytest.approx(exact, rel=0.012)
    assert edge_width(rise, step, everywhere, pitch=0.3) == pytest.approx(0.3 * exact, rel=0.012)
    if sigma >= 2:  # where the profile has points enough to read the width off
        assert np.ptp(np.interp([18, 82], rise[0], x)) == pytest.approx(exact, rel=0.02)


def test_edge_width_survives_noise_contrast_and_offset(scene):
    truth, mask, blurred, rng = scene
    for sigma in (1.0, 3.0):
        found = [edge_width(30 + 0.4 * blurred(sigma) + rng.normal(0, 15, mask.shape), truth, mask) for _ in range(6)]
        assert np.mean(found) == pytest.approx(2.5631 * sigma, rel=0.06)
        assert edge_width(blurred(sigma), truth, mask) == pytest.approx(2.5631 * sigma, rel=1e-3)


def test_edge_width_of_the_truth_is_zero_and_of_no_border_none(scene):
    truth, mask, blurred, _ = scene
    assert edge_width(truth, truth, mask) == 0
    assert edge_width(100 - blurred(1.0), truth, mask) is None
    assert edge_width(np.full(mask.shape, 40.0), truth, mask) is None
    assert edge_width(blurred(1.0), np.full(mask.shape, 40.0), mask) is None
    assert edge_width(blurred(40.0), truth, mask) is None  # beyond what the image can show


def test_edge_width_does_not_look_outside_the_mask(scene):
    truth, mask, blurred, _ = scene
    outside = np.where(mask, blurred(2.0), -1e6)
    assert edge_width(outside, np.where(mask, truth, np.nan), mask) == edge_width(blurred(2.0), truth, mask)


def test_pooled_variogram_is_that_of_all_pairs_together(maps):
    prediction, truth, mask = maps
    lags, gamma, pairs = pooled_variogram({"a": prediction, "b": truth}, {"a": mask, "b": mask}, 9)
    # side by side, too far apart for a pair between the two
    both = np.concatenate([prediction, np.full((30, 12), np.nan), truth], axis=1)
    where = np.concatenate([mask, np.zeros((30, 12), bool), mask], axis=1)
    expected = semivariogram(both, where, 9, mean_lags=True)
    assert lags == pytest.approx(expected[0], rel=1e-12) and (pairs == expected[2]).all()
    # the means of the two differ, so rounding does too
    assert gamma == pytest.approx(expected[1], rel=1e-9)
    across = pooled_variogram({"a": prediction}, {"a": mask}, 9, direction=90)
    assert across[1] == pytest.approx(semivariogram(prediction, mask, 9, direction=90)[1], rel=1e-12)


def test_judge_gathers_what_the_parts_say():
    rng = np.random.default_rng(7)
    names, mask = [f"s{i}" for i in range(8)], rng.random((16, 18)) < 0.8
    truths = {name: rng.uniform(0, 100, mask.shape) for name in names}
    maps = {name: 5 + 0.7 * truths[name] + rng.normal(0, 9, mask.shape) for name in names}
    masks, groups = dict.fromkeys(names, mask), np.repeat(np.arange(4), 2)
    reference = np.array([truths[name][mask].mean() for name in names])
    judged = judge(maps, truths, masks, reference, groups, seed=1, pitch=0.5)
    predicted = np.array([maps[name][mask].mean() for name in names])
    assert judged["mean"]["predicted"] == pytest.approx(predicted)
    assert judged["mean"]["rmsep_interval"] == rmsep_interval(reference, predicted, groups, seed=1)
    averaged = {"outside_share", "pixel_rmse", "correlation", "slope", "sd_ratio", "edge_width"}
    assert set(judged["map"]) == {"low", "high"} | averaged | {f"{key}_interval" for key in averaged}
    slopes = [stats.linregress(truths[name][mask], maps[name][mask]).slope for name in names]
    assert judged["map"]["slope"] == pytest.approx(np.mean(slopes))
    expected = bootstrap_interval(np.mean, slopes, groups=groups, seed=1)
    assert judged["map"]["slope_interval"] == pytest.approx(expected, rel=1e-9)
    expected = bootstrap_interval(np.mean, predicted - reference, groups=groups, seed=1)
    assert judged["mean"]["bias_interval"] == pytest.approx(expected, rel=1e-9)
    json.dumps(judged, allow_nan=False)


def test_judge_without_a_truth_or_with_a_flat_map_knows_less():
    mask = np.ones((6, 7), bool)
    maps = {"a": np.full(mask.shape, 30.0), "b": np.arange(42.0).reshape(6, 7), "c": np.arange(42.0).reshape(6, 7)}
    masks, reference = dict.fromkeys(maps, mask), [31, 20, 22]
    blind = judge(maps, dict.fromkeys(maps), masks, reference, ["x", "y", "z"], 0, pitch=1)
    assert set(blind["map"]) == {"outside_share", "outside_share_interval", "low", "high"}
    assert blind["map"]["outside_share_interval"] == [0, 0]
    half = {"a": maps["a"], "b": maps["b"] - 20, "c": maps["c"]}  # half of one map below 0
    low, high = judge(half, dict.fromkeys(half), masks, reference, ["x", "y", "z"], 0)["map"]["outside_share_interval"]
    assert low == 0 and 0.4 < high < 1  # a share does not go below 0
    some = judge(maps, {"a": None, "b": maps["c"], "c": maps["c"]}, masks, reference, ["x", "y", "z"], 0)
    assert some["map"]["pixel_rmse"] == 0 and some["map"]["pixel_rmse_interval"] is None  # known of two images
    seen = judge(maps, dict.fromkeys(maps, maps["b"]), masks, reference, ["x", "y", "z"], 0)
    assert seen["map"]["correlation_interval"] is None  # the flat map has none
    assert seen["map"]["correlation"] == pytest.approx(1)
    assert "edge_width" not in seen["map"]
