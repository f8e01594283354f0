"""The explorer's widgets: the canvas that the browser draws, and the sliders and pickers above it."""

import base64
from pathlib import Path

import ipywidgets
import traitlets as t
from anywidget import AnyWidget

from hsichem.lab.explorer.answers import COLOURS, DASHES
from hsichem.lab.explorer.figure import lookup_table

HERE = Path(__file__).parent
SCRIPTS = ("regions.js", "plots.js", "explorer.js")  # one module, in this order: a notebook's widget is one script


class MapCanvas(AnyWidget):
    """What the browser draws. pins and corners of regions: [[row, col], ...] in pixels of the image."""

    _esm = "\n".join((HERE / name).read_text("utf-8") for name in SCRIPTS)
    _css = HERE / "explorer.css"
    title = t.Unicode().tag(sync=True)
    grid = t.Dict().tag(sync=True)
    layers = t.List().tag(sync=True)
    images = t.List().tag(sync=True)  # bytes of each layer
    mask = t.Bytes().tag(sync=True)  # of the sample, a bit for each pixel
    shown = t.List().tag(sync=True)
    difference = t.List(["", ""]).tag(sync=True)  # names of two maps
    band = t.Int(None, allow_none=True).tag(sync=True)
    lut = t.Bytes(lookup_table()).tag(sync=True)
    colours = t.List(COLOURS).tag(sync=True)
    dashes = t.List(DASHES).tag(sync=True)
    limits = t.List([0, 100]).tag(sync=True)
    pins = t.List().tag(sync=True)
    regions = t.Dict().tag(sync=True)
    plots = t.List().tag(sync=True)

    def state(self) -> dict:
        """Name -> value of all that is drawn, as a saved page keeps it: bytes in base64."""
        kept = {name: getattr(self, name) for name in MapCanvas.class_own_traits()}
        lut, mask, *images = (base64.b64encode(data).decode() for data in (self.lut, self.mask, *self.images))
        return kept | {"lut": lut, "mask": mask, "images": images}


def make_controls(scene, source) -> dict:
    """Name -> widget, only for what the scene (scene.Scene) and its source (see sources) have."""
    made, start = {}, source.start
    if len(source.names) > 1:
        made["sample"] = ipywidgets.Dropdown(options=list(source.names.items()), description="sample")
    if scene.cube is not None:
        bands = [(f"{nm:.0f} nm", k) for k, nm in enumerate(scene.cube.wavelengths)]
        made["band"] = ipywidgets.SelectionSlider(options=bands, value=start["band"], description="band")
    if source.models:
        count = {"min": 1, "max": len(source.models), "value": start["components"]}
        made["components"] = ipywidgets.IntSlider(description="PLS components", **count)
        width = {"min": 0, "max": max(5.0, start["smoothing"]), "step": 0.25, "value": start["smoothing"]}
        made["smoothing"] = ipywidgets.FloatSlider(description="PLS smoothing (pixels)", **width)
    if scene.by_weight:
        made["weight"] = ipywidgets.SelectionSlider(
            options=list(scene.by_weight), description="U-Net smoothness weight"
        )
    names = [name for name, layer in scene.layers.items() if not layer.photo]
    first = "PLS" if "PLS" in names else names[-1]
    made["variogram"] = ipywidgets.Dropdown(options=names, value=first, description="variogram of")
    for each in made.values():
        each.style = {"description_width": "initial"}
    return made
