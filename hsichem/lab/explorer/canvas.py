"""What the explorer draws, as a widget: in the browser through anywidget, or as a picture."""

from pathlib import Path

import ipywidgets as widgets
import traitlets as t

from hsichem.lab.explorer.answers import COLOURS
from hsichem.lab.explorer.saved import lookup_table

try:
    from anywidget import AnyWidget
except ImportError:
    AnyWidget = None

HERE = Path(__file__).parent


class State(t.HasTraits):
    """What there is to draw. pins and corners of the polygon: [[row, col], ...] in pixels of the image."""

    title = t.Unicode().tag(sync=True)
    grid = t.Dict().tag(sync=True)
    layers = t.List().tag(sync=True)
    images = t.List().tag(sync=True)  # bytes of each layer
    lut = t.Bytes(lookup_table()).tag(sync=True)
    colours = t.List(COLOURS).tag(sync=True)
    limits = t.List([0, 100]).tag(sync=True)
    pins = t.List().tag(sync=True)
    polygon = t.List().tag(sync=True)
    plots = t.List().tag(sync=True)
    region = t.Dict().tag(sync=True)
    status = t.Unicode().tag(sync=True)


if AnyWidget is None:
    MapCanvas = None
else:

    class MapCanvas(State, AnyWidget):
        """The maps, drawn in the browser."""

        _esm = HERE / "explorer.js"
        _css = HERE / "explorer.css"


class Picture(State, widgets.Image):
    """The maps as a picture, drawn here: for front ends that do not run anywidget."""
