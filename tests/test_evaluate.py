import copy
import json

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score, root_mean_squared_error

from hsichem import InputError
from hsichem.evaluate import average_metrics, bootstrap_interval, claims_table, map_metrics, mean_metrics


def rmse(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


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


def test_bootstrap_of_a_mean_against_its_standard_error():
    x = np.random.default_rng(1).normal(10, 3, 80)
    low, high = bootstrap_interval(np.mean, x, repeats=8000)
    half = stats.norm.ppf(0.975) * x.std() / np.sqrt(80)
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.06 * half)
    low, high = bootstrap_interval(np.mean, x, level=0.8, repeats=8000)
    assert high - low == pytest.approx(2 * half * stats.norm.ppf(0.9) / stats.norm.ppf(0.975), rel=0.05)


def test_bootstrap_of_rmsep_against_scipy():
    rng = np.random.default_rng(2)
    y = rng.uniform(20, 70, 30)
    p = y + rng.normal(0, 2, 30)
    expected = stats.bootstrap(
        (y, p), rmse, paired=True, vectorized=False, method="percentile", n_resamples=4000, rng=0
    )
    assert bootstrap_interval(rmse, y, p, repeats=4000) == pytest.approx(tuple(expected.confidence_interval), rel=0.03)


def test_bootstrap_draws_whole_groups():
    x = np.random.default_rng(3).normal(size=12)
    single = bootstrap_interval(np.mean, x)
    grouped = bootstrap_interval(np.mean, np.tile(x, 4), groups=np.tile(np.arange(12), 4))
    assert grouped == pytest.approx(single, rel=1e-12)  # four images of each animal tell no more than one
    careless = bootstrap_interval(np.mean, np.tile(x, 4))
    assert careless[1] - careless[0] == pytest.approx((single[1] - single[0]) / 2, rel=0.1)


def test_bootstrap_keeps_methods_paired():
    rng = np.random.default_rng(4)
    y = rng.uniform(20, 70, 20)
    a = y + rng.normal(0, 3, 20)
    b = y + 1.1 * (a - y)  # always 10 % worse, on every image
    low, high = bootstrap_interval(lambda y, a, b: rmse(y, b) / rmse(y, a), y, a, b, groups=np.repeat(np.arange(10), 2))
    assert (low, high) == pytest.approx((1.1, 1.1), rel=1e-12)
    assert bootstrap_interval(rmse, y, a, seed=1) == bootstrap_interval(rmse, y, a, seed=1)
    assert bootstrap_interval(rmse, y, a, seed=1) != bootstrap_interval(rmse, y, a, seed=2)


def test_bootstrap_refuses():
    with pytest.raises(InputError, match="equal lengths"):
        bootstrap_interval(rmse, [1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="at least two"):
        bootstrap_interval(np.mean, [1, 2, 3], groups=["a", "a", "a"])
    with pytest.raises(InputError, match="level is 95"):
        bootstrap_interval(np.mean, [1, 2, 3], level=95)


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


METRICS = {
    "methods": {
        "PLS": {
            "mean": {"rmsep": 2.0},
            "map": {"pixel_rmse": 30.0, "correlation": 0.51, "low": -700.0, "high": 900.0, "outside_share": 0.4},
            "variogram": {"correlated_share": 0.0253},
        },
        "PLS few components": {"map": {"pixel_rmse": 14.0}},
        "PLS smoothed": {"map": {"pixel_rmse": 9.0}},
        "PLS binned": {"map": {"pixel_rmse": 9.5}},
        "U-Net": {
            "mean": {"rmsep": 1.8},
            "map": {"pixel_rmse": 8.0, "correlation": 0.83, "low": 2.0, "high": 97.0, "outside_share": 0.0},
            "variogram": {"correlated_share": 0.9991},
        },
    },
    "nulls": {
        "blurred noise": {"correlated_share": 0.9912, "correlation": -0.02},
        "ramp": {"correlated_share": 1.0, "correlation": 0.06},
    },
    "difference": {"rmsep_ratio": 0.9, "interval": [0.85, 0.96]},
}
BETTER, SAME, UNET_SHARE, PLS_SHARE, INSIDE, FAR, TRUTH = range(7)


def with_changes(*changes):
    metrics = copy.deepcopy(METRICS)
    for path, value in changes:
        *where, last = path.split("/")
        section = metrics
        for key in where:
            section = section[key]
        section[last] = value
    return metrics


@pytest.mark.parametrize(
    ("row", "held", "changes"),
    [
        (BETTER, "yes", []),
        (BETTER, "not shown", [("difference/interval", [0.85, 1.02])]),
        (BETTER, "no", [("difference/interval", [1.05, 1.4])]),
        (SAME, "no", []),
        (SAME, "not shown", [("difference/interval", [0.85, 1.02])]),
        (SAME, "yes", [("difference/interval", [0.95, 1.02])]),
        (SAME, "yes", [("difference/interval", [1.05, 1.4])]),
        (UNET_SHARE, "yes", []),
        (UNET_SHARE, "no", [("methods/U-Net/variogram/correlated_share", 0.94)]),
        (UNET_SHARE, "not shown", [("methods/U-Net/variogram/correlated_share", None)]),
        (UNET_SHARE, "not shown", [("methods/U-Net/variogram/correlated_share", float("nan"))]),
        (PLS_SHARE, "yes", []),
        (PLS_SHARE, "no", [("methods/PLS/variogram/correlated_share", 0.11)]),
        (INSIDE, "yes", []),
        (INSIDE, "no", [("methods/U-Net/map/outside_share", 1e-5)]),
        (FAR, "yes", []),
        (FAR, "yes", [("methods/PLS/map/low", 0.0)]),
        (FAR, "no", [("methods/PLS/map/low", -99.0), ("methods/PLS/map/high", 199.0)]),
        (TRUTH, "yes", []),
        (TRUTH, "no", [("methods/U-Net/map/pixel_rmse", 9.5)]),
        (TRUTH, "not shown", [("methods/PLS smoothed/map", {})]),
    ],
)
def test_claims_are_held_against_the_numbers(row, held, changes):
    table = claims_table(with_changes(*changes))
    assert table[row]["held"] == held
    assert all(set(r) == {"claim", "paper", "here", "held", "why"} for r in table)
    json.dumps(table, allow_nan=False)


def test_a_share_never_stands_alone():
    table = claims_table(METRICS)
    for row, own in ((UNET_SHARE, "99.91 % (correlation 0.83)"), (PLS_SHARE, "2.53 % (correlation 0.51)")):
        assert table[row]["here"].startswith(own)
        assert "blurred noise 99.12 % (correlation -0.02); ramp 100.00 % (correlation 0.06)" in table[row]["here"]
    assert table[UNET_SHARE]["why"] == "as smooth, knowing nothing: blurred noise, ramp"
    low = {"blurred noise": {"correlated_share": 0.9, "correlation": None}}
    assert claims_table(with_changes(("nulls", low)))[UNET_SHARE]["why"] == "no null map scores as high"


def test_claims_show_their_numbers():
    table = claims_table(METRICS)
    assert table[BETTER]["here"] == "RMSEP 1.80 against 2.00: ratio 0.90, interval 0.85 to 0.96"
    assert table[FAR]["here"] == "-700.0 to 900.0 %, 40.00 % of pixels outside"
    assert "PLS smoothed 9.0" in table[TRUTH]["here"]


@pytest.mark.parametrize("missing", ["methods", "nulls", "difference"])
def test_claims_need_all_sections(missing):
    with pytest.raises(InputError, match=missing):
        claims_table({k: v for k, v in METRICS.items() if k != missing})
