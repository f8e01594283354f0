"""Masks against shapes drawn with another tool, and against what was planted."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from hsichem import Cube, InputError
from hsichem.cubes.masks import foreground_mask, otsu_threshold, pixel_kinds, polygon_mask, saturated, valley_depth

ROWS, COLS = np.mgrid[:60, :50]
DISC = (ROWS - 30) ** 2 + (COLS - 25) ** 2 < 18**2
NM = [800.0, 900.0, 1000.0]


def scene(sample, background, seed=0):
    """A disc of one spectrum on another, with a little noise."""
    values = np.where(DISC[:, :, None], sample, background)
    return Cube(values + np.random.default_rng(seed).normal(0, 0.01, values.shape), NM)


def test_otsu_equals_a_search_over_every_threshold():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0.1, 0.03, 400), rng.normal(0.6, 0.1, 300)])
    edges = np.histogram_bin_edges(values, 256)

    def within(t):
        low, high = values[values < t], values[values >= t]
        return len(low) * low.var() + len(high) * high.var()

    best = min(edges[1:-1], key=within)
    assert within(otsu_threshold(values)) <= within(best) * 1.001  # bins against exact values


def test_foreground_finds_a_disc_with_glints_and_a_hole():
    rng = np.random.default_rng(3)
    brightness = np.where(DISC, 0.5, 0.05) + rng.normal(0, 0.02, DISC.shape)
    brightness[30, 25] = 0.02  # a dark spot inside
    brightness[28:30, 20] = 12.0  # a glint
    brightness[2, 2] = 0.6  # a crumb on the belt
    cube = Cube(np.repeat(brightness[:, :, None], 4, axis=2), np.arange(4) + 800.0)
    assert (foreground_mask(cube) != DISC).sum() <= 8  # opening may shave corner pixels off the rim


def test_foreground_refuses_nan():
    with pytest.raises(InputError, match="1 pixels hold NaN"):
        foreground_mask(Cube(np.where(np.arange(12).reshape(3, 4, 1) == 5, np.nan, 1.0), [800.0]))


@pytest.mark.parametrize(
    ("sample", "background", "on"),
    [
        ([0.5, 0.5, 0.5], [0.1, 0.1, 0.1], "brightness"),
        ([0.5, 0.2, 0.3], [0.1, 0.5, 0.4], 800),
        ([0.5, 0.2, 0.3], [0.1, 0.5, 0.4], "pca"),  # equally bright
        ([0.1, 0.5, 0.4], [0.5, 0.2, 0.3], "pca"),  # and the other way round
        ([0.1, 0.1, 0.1], [0.6, 0.6, 0.6], "pca"),  # dark on a bright belt
    ],
)
def test_the_sample_is_found(sample, background, on):
    assert (foreground_mask(scene(sample, background), on) != DISC).sum() <= 8


def test_brightness_does_not_find_what_is_equally_bright():
    assert (foreground_mask(scene([0.5, 0.2, 0.3], [0.1, 0.5, 0.4])) != DISC).sum() > 500


RADIUS = np.sqrt((ROWS - 30) ** 2 + (COLS - 25) ** 2) / 18
GRAINS = {  # brightness of a cut-out sample, where Otsu's threshold would lie inside it
    "rounded": 0.2 + 0.4 * np.sqrt(np.clip(1 - RADIUS**2, 0, 1)),
    "with a dark germ": 0.5 - 0.3 * np.exp(-((ROWS - 42) ** 2 + (COLS - 25) ** 2) / 60),
    "of two halves": np.where(ROWS < 30, 0.3, 0.6),
    "even": np.full(DISC.shape, 0.5),
}


def on_zero(brightness, noise=0.02, shape=DISC):
    values = brightness[:, :, None] * [0.9, 1, 1.1] + np.random.default_rng(1).normal(0, noise, (*DISC.shape, 3))
    return np.where(shape[:, :, None], values, 0)


@pytest.mark.parametrize("on", ["brightness", "pca", 900])
@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("ignored", [False, True])
def test_a_cut_out_sample_is_all_that_is_not_blank(grain, on, ignored):
    values = on_zero(GRAINS[grain])
    cube = Cube(values, NM, DISC) if ignored else Cube(values, NM)
    assert (foreground_mask(cube, on) != DISC).sum() <= 8
    assert valley_depth(cube, on) == 1


@pytest.mark.parametrize("on", ["brightness", "pca", 900])
def test_a_belt_beside_blank_pixels_is_not_the_sample(on):
    scene = np.where(DISC, 0.5, 0.1)
    blank_edge = np.ones_like(DISC)
    blank_edge[:, -7:] = False  # an image that does not fill its frame
    assert (foreground_mask(Cube(on_zero(scene, shape=blank_edge), NM), on) != DISC).sum() <= 8


def test_a_few_dead_pixels_are_no_background():
    values = np.where(DISC, 0.5, 0.1)[:, :, None] + np.random.default_rng(0).normal(0, 0.01, (*DISC.shape, 3))
    values[::20, ::10] = 0
    assert (foreground_mask(Cube(values, NM)) != DISC).sum() <= 8


def test_the_valley_is_deep_between_two_kinds_and_shallow_within_one():
    rng = np.random.default_rng(0)
    assert valley_depth(scene([0.5, 0.5, 0.5], [0.1, 0.1, 0.1])) > 0.9
    assert valley_depth(Cube(rng.normal(0.5, 0.1, (60, 50, 1)), [900.0])) < 0.2  # one kind of pixel
    for apart, low, high in [(0.1, 0, 0.2), (0.3, 0.3, 0.8), (0.6, 0.9, 1)]:  # two kinds that overlap less and less
        values = np.where(DISC, apart, 0) + rng.normal(0.3, 0.07, DISC.shape)
        assert low <= valley_depth(Cube(values[:, :, None], [900.0])) <= high, apart


def test_an_image_of_zeros_is_named():
    with pytest.raises(InputError, match="every pixel is 0 in all bands"):
        foreground_mask(Cube(np.zeros((9, 9, 3)), NM))


@pytest.mark.parametrize("on", ["brightness", "pca", 900])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 4, 3)])
def test_where_all_pixels_are_alike_no_sample_is_found(on, shape):
    values = np.full(shape, [0.2, 0.3, 0.4])
    with pytest.raises(InputError, match="no sample found; every pixel is about equally bright"):
        foreground_mask(Cube(values, NM), on)
    if values.size > 3:  # one glint of 20 pixels is cut off with the brightest hundredth
        values[2, 2] = 0.9
        with pytest.raises(InputError, match="no sample found"):
            foreground_mask(Cube(values, NM), on)
    values[0, 0, 1] = np.nan
    with pytest.raises(InputError, match="1 pixels hold NaN" if on != 800 else ""):
        foreground_mask(Cube(values, NM), on)


def test_what_is_not_finite_is_counted():
    values = scene([0.5, 0.5, 0.5], [0.1, 0.1, 0.1]).values.copy()
    values[3, 4, 1] = np.nan
    for on in ("brightness", 900, "pca"):
        with pytest.raises(InputError, match="1 pixels hold NaN"):
            foreground_mask(Cube(values, NM), on)


@pytest.mark.parametrize("on", ["PCA", 700, 1200.0, True, None])
def test_an_unknown_way_is_refused(on):
    with pytest.raises(InputError, match="brightness, pca, or a wavelength of 800 to 1000 nm"):
        foreground_mask(scene([1, 1, 1], [0, 0, 0]), on)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_polygons_as_matplotlib_has_them(seed, step):
    corners = np.random.default_rng(seed).uniform(-5, 40, (7 if seed else 3, 2))  # also outside; five cross themselves
    row, col = np.mgrid[: 30 // step, : 36 // step]
    centres = (np.column_stack([row.ravel(), col.ravel()]) + 0.5) * step
    expected = np.zeros(row.size, bool)
    for k in range(1, len(corners) - 1):  # even-odd: each pixel is in the polygon when in an odd number of its fan
        expected ^= Outline(corners[[0, k, k + 1]]).contains_points(centres)
    assert expected.any()
    np.testing.assert_array_equal(polygon_mask(corners.tolist(), row.shape, step), expected.reshape(row.shape))


def test_a_polygon_counts_from_the_corner_of_the_image():
    mask = polygon_mask([(1, 2), (1, 4), (3, 4), (3, 2)], (4, 6))
    assert np.argwhere(mask).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]


@pytest.mark.parametrize("corners", [[], [(1, 1), (2, 2)], [(1, 1, 1)] * 3, [(0, np.nan)] * 3])
def test_what_is_no_polygon_is_refused(corners):
    with pytest.raises(InputError, match=r"polygon of shape .*; expected three or more"):
        polygon_mask(corners, (5, 5))


def test_a_polygon_beside_the_image_holds_nothing():
    assert not polygon_mask([(9, 9), (9, 8), (8, 8)], (5, 5)).any()


def test_saturation_is_the_converters_highest_number():
    counts = np.random.default_rng(1).integers(100, 3000, (6, 5, 4)).astype(np.uint16)
    assert not saturated(counts).any()  # its highest is no converter's limit
    counts[2, 3, 1] = counts[5, 0, 0] = 4095
    assert np.argwhere(saturated(counts)).tolist() == [[2, 3], [5, 0]]
    assert not saturated(counts.astype(np.float32)).any()


def test_each_pixel_is_of_one_kind():
    values = np.array(scene([0.5, 0.5, 0.5], [0.1, 0.1, 0.1]).values)
    values[28:30, 20] += 0.4  # a glint on the sample
    values[2, 2] += 0.4  # and one beside it
    counts = np.uint16(values * 1000)
    counts[30, 25, 0] = 4095
    found = pixel_kinds(Cube(values, NM, DISC), counts)
    assert (sum(mask.astype(int) for mask in found.values()) == 1).all()
    assert np.argwhere(found["saturated"]).tolist() == [[30, 25]]
    assert found["specular"][28:30, 20].all() and found["specular"].sum() <= 3
    np.testing.assert_array_equal(found["background"], ~DISC)
    assert not pixel_kinds(Cube(values, NM, DISC))["saturated"].any()
    with pytest.raises(InputError, match="mask is empty"):
        pixel_kinds(Cube(values, NM, DISC & False))
