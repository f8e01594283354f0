import gstools
import numpy as np
import pytest

from hsichem import InputError
from hsichem.maps.variogram import fit_variogram, semivariogram, variogram_interval


def brute_force(map_, mask, max_lag, direction=None):
    """(gamma, pairs, mean distances): every pair on its own."""
    points, values = np.argwhere(mask), map_[mask].astype(np.float64)
    i, j = np.triu_indices(len(points), 1)
    down, right = (points[j] - points[i]).T
    steep = 1 + np.sqrt(2)  # tan 67.5 degrees
    along = {
        None: np.ones(len(i), bool),
        0: np.abs(right) > steep * np.abs(down),
        90: np.abs(down) > steep * np.abs(right),
    }
    slanting = ~along[0] & ~along[90]
    along |= {45: slanting & (down * right < 0), 135: slanting & (down * right > 0)}
    distance, difference = np.hypot(down, right), np.abs(values[i] - values[j])
    gamma, pairs, mean = np.full(max_lag, np.nan), np.zeros(max_lag, int), np.full(max_lag, np.nan)
    for h in range(1, max_lag + 1):
        here = along[direction] & (np.abs(distance - h) < 0.5)
        if n := here.sum():
            d = difference[here]
            gamma[h - 1] = np.mean(d**2) / 2
            pairs[h - 1], mean[h - 1] = n, distance[here].mean()
    return gamma, pairs, mean


@pytest.fixture
def holes():
    """A map on a mask with holes and a ragged edge, NaN outside; more alike along rows than along columns."""
    rng = np.random.default_rng(8)
    mask = rng.random((26, 33)) < 0.6
    mask[:9, :12] = mask[10:15, 15:20] = False
    return np.where(mask, 700 + np.cumsum(rng.normal(size=mask.shape), axis=1), np.nan), mask


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
    expected_gamma, expected_pairs, _ = brute_force(map_, mask, max_lag)
    np.testing.assert_array_equal(lags, np.arange(1, max_lag + 1))
    np.testing.assert_array_equal(pairs, expected_pairs)
    np.testing.assert_allclose(gamma, expected_gamma, rtol=1e-10)


@pytest.mark.parametrize("direction", [None, 0, 45, 90, 135])
def test_directions_equal_brute_force(holes, direction):
    lags, gamma, pairs = semivariogram(*holes, 30, direction, mean_lags=True)
    expected_gamma, expected_pairs, expected_lags = brute_force(*holes, 30, direction)
    np.testing.assert_array_equal(pairs, expected_pairs)
    np.testing.assert_allclose(gamma, expected_gamma, rtol=1e-10)
    np.testing.assert_allclose(lags, expected_lags, rtol=1e-10)


@pytest.mark.parametrize("direction", [None, 0, 45, 90, 135])
def test_semivariogram_equals_that_of_gstools(holes, direction):
    map_, mask = holes
    rows, cols = np.nonzero(mask)
    angle = {} if direction is None else {"angles": np.radians(direction), "angles_tol": np.pi / 8}
    _, expected, counts = gstools.vario_estimate(
        (cols, -rows),  # x to the right, y up
        map_[mask],
        np.arange(0.5, 21),
        return_counts=True,
        **angle,
    )
    _, gamma, pairs = semivariogram(map_, mask, 20, direction)
    np.testing.assert_array_equal(pairs, counts)
    np.testing.assert_allclose(gamma, expected, rtol=1e-10)


def test_the_four_directions_share_the_pairs(holes):
    each = [semivariogram(*holes, 20, direction) for direction in (0, 45, 90, 135)]
    _, gamma, pairs = semivariogram(*holes, 20)
    np.testing.assert_array_equal(sum(n for _, _, n in each), pairs)
    np.testing.assert_allclose(sum(np.nan_to_num(g) * n for _, g, n in each), gamma * pairs, rtol=1e-10)


@pytest.mark.parametrize(("direction", "step"), [(0, (0, 1)), (45, (-1, 1)), (90, (1, 0)), (135, (1, 1))])
def test_stripes_do_not_change_along_themselves(direction, step):
    rows, cols = np.indices((40, 40))
    stripes = np.sin(2 * np.pi * (step[1] * rows - step[0] * cols) / 10)
    first = {d: semivariogram(stripes, stripes < 2, 1, d)[1].item() for d in (0, 45, 90, 135)}
    assert first.pop(direction) < 1e-12 and min(first.values()) > 0.05


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


@pytest.mark.parametrize("options", [{"direction": 30}, {"direction": "0"}])
def test_semivariogram_refuses_unknown_options(options):
    with pytest.raises(InputError, match="expected"):
        semivariogram(np.zeros((4, 5)), np.ones((4, 5), bool), 2, **options)


def simulated(rng, nugget=5.0, partial_sill=15.0, effective_range=12.0, side=64):
    """A Gaussian field with a spherical variogram, by circulant embedding (Dietrich & Newsam 1993)."""
    away = np.minimum(np.arange(2 * side), 2 * side - np.arange(2 * side))
    model = gstools.Spherical(dim=2, var=partial_sill, len_scale=effective_range)
    spectrum = np.fft.fft2(model.covariance(np.hypot(away[:, None], away))).real.clip(0)
    noise = rng.normal(size=(2, *spectrum.shape)).T @ [1, 1j]
    field = np.fft.fft2(np.sqrt(spectrum) * noise).real[:side, :side] / (2 * side)
    return field + rng.normal(0, np.sqrt(nugget), field.shape)


def test_the_blocks_of_maps_add_up_to_all_pairs(holes):
    maps = [holes[0], holes[0][::-1, 5:] * 1.5]
    masks = [holes[1], holes[1][::-1, 5:]]
    each = [semivariogram(*pair, 14, mean_lags=True) for pair in zip(maps, masks, strict=True)]
    pairs = sum(n for _, _, n in each)
    lags, gamma = (sum(found[k] * found[2] for found in each) / pairs for k in (0, 1))
    expected = fit_variogram(lags, gamma, pairs, "spherical")
    fit, intervals = variogram_interval(maps, masks, 14, "spherical", seed=0, draws=20)
    assert (fit.nugget, fit.partial_sill, fit.range) == pytest.approx(
        (expected.nugget, expected.partial_sill, expected.range), rel=1e-6
    )
    assert intervals == variogram_interval(maps, masks, 14, "spherical", seed=0, draws=20)[1]
    assert intervals != variogram_interval(maps, masks, 14, "spherical", seed=1, draws=20)[1]


def test_intervals_hold_the_truth_of_simulated_fields():
    truth, n, rng = {"nugget": 5.0, "correlated_share": 0.75}, 8, np.random.default_rng(11)
    held, widths, everywhere = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0.0), np.ones((64, 64), bool)
    for _ in range(n):
        fit, found = variogram_interval([simulated(rng)], [everywhere], 20, "spherical", rng, draws=60)
        for name, (low, high) in found.items():
            assert low < getattr(fit, name) < high
            held[name] += low <= truth[name] <= high
            widths[name] += (high - low) / n
    assert min(held.values()) >= 6  # the full count is in benchmarks/maps/variogram.py
    assert widths["nugget"] < 4 and widths["correlated_share"] < 0.25


def test_more_maps_make_a_narrower_interval():
    rng = np.random.default_rng(3)
    maps, masks = [simulated(rng) for _ in range(8)], [np.ones((64, 64), bool)] * 8
    few, many = (variogram_interval(maps[:k], masks[:k], 20, "spherical", 0, draws=60)[1] for k in (1, 8))
    for name in few:
        assert np.diff(many[name]) < 0.7 * np.diff(few[name])


def test_interval_refuses():
    map_, mask = np.random.default_rng(0).normal(size=(40, 40)), np.zeros((40, 40), bool)
    mask[:20, :30] = True
    with pytest.raises(InputError, match="6 blocks of 10 x 10 pixels"):
        variogram_interval([map_], [mask], 10, "spherical", 0)
    with pytest.raises(InputError, match="2 maps and 1 masks"):
        variogram_interval([map_] * 2, [mask], 10, "spherical", 0)
