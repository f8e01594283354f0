"""Layers: their scales, their steps, what a slider makes."""

import numpy as np
import pytest
from helpers.explored import small_cube, small_maps, small_model
from numpy.testing import assert_allclose, assert_array_equal

from hsichem import Cube, InputError
from hsichem.cubes import smooth
from hsichem.lab.explorer.scene import band_layer, false_colour, map_layer, smoothed_prediction, step_of


@pytest.mark.parametrize("preprocessing", [None, "snv"])
def test_smoothing_maps_the_smoothed_image(preprocessing):
    cube = small_cube()
    model = small_model(cube, 3, preprocessing)
    found = smoothed_prediction(model, cube, model.predict_map(cube), 1.3)
    assert_allclose(found, model.predict_map(smooth(cube, 1.3)), atol=1e-3)


def test_no_smoothing_leaves_the_map():
    cube = small_cube()
    values = small_maps(cube)["PLS"]
    assert_array_equal(smoothed_prediction(small_model(cube, 3), cube, values, 0.0), values)


@pytest.mark.parametrize(
    ("shape", "full", "step"), [((10, 7), (20, 14), 2), ((10, 7), (21, 15), 2), ((5, 5), (5, 5), 1)]
)
def test_step(shape, full, step):
    assert step_of(shape, full) == step


@pytest.mark.parametrize("shape", [(10, 14), (30, 20), (7, 3), (0, 0)])
def test_a_map_that_does_not_fit_its_image(shape):
    with pytest.raises(InputError, match=r"does not fit \(20, 14\)"):
        step_of(shape, (20, 14))


def test_only_residuals_and_deviations_have_their_own_scale():
    values = np.linspace(0, 7, 200).reshape(20, 10)
    assert map_layer("PLS few components", values, (20, 10)).scale is None
    own = map_layer("PLS Q", values, (20, 10))
    assert own.scale == (0, pytest.approx(np.percentile(values, 99), rel=1e-5)) and own.unit == ""
    assert map_layer("U-Net SD", values, (20, 10)).unit == "%"
    assert map_layer("pls q", values, (20, 10)).scale == own.scale  # named by its folder
    assert map_layer("", values, (20, 10)).scale is None
    assert map_layer("PLS Q", np.full((20, 10), np.nan), (20, 10)).scale == (0, 1)


def test_false_colour_takes_visible_light_where_there_is_some():
    nm = np.arange(400, 1001, 10.0)
    values = np.random.default_rng(0).uniform(0, 1, (6, 5, nm.size))
    layer = false_colour(Cube(values, nm))
    assert layer.note == "640, 550, 460 nm" and layer.values.dtype == np.uint8
    for channel, wanted in enumerate((640, 550, 460)):  # the order of brightness is kept
        band = values[:, :, list(nm).index(wanted)]
        assert np.corrcoef(band.ravel(), layer.values[:, :, channel].ravel())[0, 1] > 0.99
    assert false_colour(small_cube()).note != layer.note


def test_light_keeps_its_colour():
    nm = np.arange(400, 1001, 10.0)
    values = np.random.default_rng(0).uniform(0.2, 0.4, (6, 5, nm.size))
    values[:, :, list(nm).index(640)] *= 2
    red, green, blue = false_colour(Cube(values, nm)).values.reshape(-1, 3).mean(axis=0)
    assert red > 1.7 * green and green == pytest.approx(blue, rel=0.2)


def test_a_band_keeps_its_numbers():
    cube = small_cube()
    assert_array_equal(band_layer(cube, 4).values, cube.values[:, :, 4])


def test_a_message_holds_all_numbers():
    cube = small_cube()
    header, data = band_layer(cube, 4).message("band")
    assert (header["name"], header["rows"], header["cols"], header["photo"]) == ("band", 20, 14, False)
    assert_array_equal(np.frombuffer(data, np.float32).reshape(20, 14), cube.values[:, :, 4])
    photo = false_colour(cube)
    header, data = photo.message("image")
    pixels = np.frombuffer(data, np.uint8).reshape(20, 14, 4)
    assert header["photo"] and (pixels[:, :, 3] == 255).all()
    assert_array_equal(pixels[:, :, :3], photo.values)
