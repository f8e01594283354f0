"""The explorer as a picture: its colours, and all that the widget shows."""

import base64

import numpy as np
from helpers.explored import explored
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose, assert_array_equal

from hsichem.lab.explorer.figure import coloured
from hsichem.lab.explorer.scene import map_layer
from hsichem.lab.plotting import MAP_COLOURS, OVER, UNDER


def test_the_notebook_gets_a_picture_beside_the_widget():
    bundle = explored()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_the_figure_shows_the_shown_maps_and_every_plot():
    explorer = explored({"left": [(2, 1), (2, 6), (18, 6)]}, pins=[(5, 5)])
    explorer.shown = ["PLS", "band"]
    figure = explorer.figure()
    texts = " ".join(text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")))
    for wanted in ("band", "PLS", "left", "Spectra", "pin 1", "Histogram", "Variogram of PLS"):
        assert wanted in texts
    assert "U-Net" not in texts and "PLS Q" not in texts


def test_colours_are_those_of_the_style():
    layer = map_layer("PLS", [[-1.0, 0.0, 50.0], [100.0, 101.0, np.nan]], (2, 3))
    found = coloured(layer, (0, 100))
    assert_allclose(found[[0, 0, 1], [1, 2, 0]], MAP_COLOURS(np.array([0, 127, 255])) * 255, atol=1)
    assert_allclose(found[0, 0, :3], np.array(to_rgb(UNDER)) * 255, atol=1)
    assert_allclose(found[1, 1, :3], np.array(to_rgb(OVER)) * 255, atol=1)
    assert found[1, 2, 3] == 0
    narrow = coloured(layer, (40, 60))  # inside 0-100, limits only stretch the scale
    assert_array_equal(narrow[0, 1], found[0, 1])
