"""The map explorer: a picture one can ask questions of.

What decides what is shown: `sample`, `pins`, `polygon`, and the values of `controls`. All else follows in two steps.

1. **Layers**, the sample's maps. All are new with the sample; SLIDERS says which are new with which slider.
2. **Answers** in three PARTS: "spectra" of pins and region, with the regression vector; "region", which is histogram,
   table and CSV of all maps; "variogram" of one map. A part is stale from a change of what it rests on until `_renew`.

Who sends what. Here: a new sample goes out as the canvas's traits `layers` and `images`, a moved slider as one message
with the layer that it made, the answers as `plots` and `region`. The browser (explorer.js) draws, hovers, zooms, hides
and takes the lasso by itself; it sends `pins`, `polygon`, `limits`, and a message when it has drawn and nothing has
moved since. Only then are answers renewed after a slider or a new sample: they would hold up the next step. Pins, a
region or another map for the variogram are answered at once, and who reads answers here gets them fresh.

No callback uses pyplot: what it draws is drawn in the browser, or on a Figure of its own.
"""

import base64
import io
import threading
from pathlib import Path

import numpy as np
import traitlets as t
from ipywidgets import HBox, VBox

from hsichem._base import InputError, replacing
from hsichem.cubes import Cube
from hsichem.lab.explorer import answers
from hsichem.lab.explorer.figure import static_figure
from hsichem.lab.explorer.scene import SLIDERS
from hsichem.lab.explorer.sources import MapSource, RunSource
from hsichem.lab.explorer.widgets import MapCanvas, make_controls
from hsichem.lab.pages import write_page
from hsichem.lab.results import Results

PARTS = ("spectra", "region", "variogram")


def explore(results_or_maps, cube: Cube | None = None):
    """Explore the maps of a run, or any maps: show the value as the last line of a cell.

    results_or_maps: a results folder (a path, or hsichem.lab.Results), or {name: map} with maps (rows, cols) in % w/w
    and their `cube`. Raises InputError when there is nothing to show, or the maps do not fit together.
    """
    if isinstance(results_or_maps, dict):
        return Explorer(MapSource(results_or_maps, cube))
    return Explorer(RunSource(results_or_maps if isinstance(results_or_maps, Results) else Results(results_or_maps)))


class Explorer(VBox):
    """The widget that `explore` returns. Set .sample, .pins (pixels) and .polygon (corners of the region) from a cell.

    Both are [(row, col), ...] in pixels of the image; InputError for what lies outside it or is no region. In a
    notebook it shows itself, with a picture of the same content for where no widget can run.
    """

    sample = t.Unicode()
    pins = t.List()
    polygon = t.List()

    def __init__(self, source):
        self._source, self._lock = source, threading.RLock()  # one lock for the models and what is made with them
        self._answers, self._stale, self.controls = {}, set(), {}
        self.canvas = MapCanvas(limits=list(source.limits))
        super().__init__(sample=next(iter(source.names.values())))
        self._open()
        self.controls = make_controls(self._scene, source)
        self.children = [HBox([*self.controls.values()], layout={"flex_flow": "row wrap"}), self.canvas]
        for name in ("pins", "polygon"):
            t.link((self, name), (self.canvas, name))
            self._link_field(name)
        self._renew()
        if "sample" in self.controls:
            t.link((self, "sample"), (self.controls["sample"], "value"))
        for slider in self.controls.keys() & SLIDERS.keys():
            self.controls[slider].observe(lambda _, layers=SLIDERS[slider]: self._move(layers), "value")
        self.controls["variogram"].observe(lambda _: self._renew("variogram"), "value")
        self.observe(lambda _: self._open(), "sample")
        self.observe(lambda _: self._renew("spectra"), "pins")
        self.observe(lambda _: self._renew("spectra", "region"), "polygon")
        self.canvas.on_msg(lambda *_: self._renew())

    # ---- layers

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """Name -> (rows, cols) map as it is shown."""
        return {name: layer.values for name, layer in self._scene.layers.items() if not layer.photo}

    def _at(self) -> dict:
        """Where the sliders are."""
        return self._source.start | {name: control.value for name, control in self.controls.items()}

    def _open(self):
        """Another sample: every layer anew, with the sliders where they are, and all answers stale."""
        with self._lock:
            scene = self._scene = self._source.scene(self.sample, self._at())
            rows, cols = scene.mask.shape
            with self.canvas.hold_sync():
                self.canvas.title = f"Maps of {scene.name}"
                self.canvas.grid = {"rows": rows, "cols": cols, "pitch": scene.pitch_mm}
                messages = [layer.message(name) for name, layer in scene.layers.items()]
                self.canvas.layers, self.canvas.images = map(list, zip(*messages, strict=True))
            self.pins = [pin for pin in self.pins if pin[0] < rows and pin[1] < cols]
            self._stale = set(PARTS)

    def _move(self, names):
        """A slider: make its layers anew and send each alone; what rests on them is stale."""
        with self._lock:
            shown = list(self._scene.layers)
            for name in names:
                if name in shown:
                    header, data = self._scene.make(name, self._at()).message(name)
                    index = shown.index(name)
                    # Changed in place: no message repeats the other maps, and a page that reloads gets these.
                    self.canvas.layers[index], self.canvas.images[index] = header, data
                    self.canvas.send({"kind": "layer", "index": index, "layer": header}, [data])
            self._stale |= set(PARTS) if "PLS" in names else {"region", "variogram"}

    # ---- answers

    def _renew(self, *changed):
        """Make the parts that have changed or are stale anew, and send them."""
        with self._lock:
            stale, scene, polygon = self._stale | set(changed), self._scene, self.polygon
            if not stale:
                return
            if "spectra" in stale:
                model = scene.models[self._at()["components"] - 1] if scene.models else None
                self._answers["spectra"] = answers.spectra_plots(scene.cube, self.pins, polygon, model)
            if "region" in stale:
                self._in_region = answers.in_region(scene, polygon)
                self._answers["region"] = [answers.histogram_plot(scene, self._in_region)]
            if "variogram" in stale:
                name = self.controls["variogram"].value
                layers = [scene.layers[name]] if name in scene.layers else []  # another sample may have other maps
                self._answers["variogram"] = [answers.variogram_plot(name, each, scene.pitch_mm) for each in layers]
            self._stale = set()
            plots = [plot for part in PARTS for plot in self._answers[part]]
            region = {"title": "The region" if polygon else "The whole sample"}
            region["rows"] = answers.region_rows(scene, self._in_region)
            region["csv"] = answers.region_csv(region["rows"], plots, polygon)
            with self.canvas.hold_sync():
                self.canvas.plots, self.canvas.region = plots, region

    def region_values(self) -> dict[str, np.ndarray]:
        """Name -> (n,) values of each map in the region, or in the whole sample where there is none."""
        self._renew()
        return self._in_region

    # ---- pins and region

    def _link_field(self, name):
        """Keep places and text field, "row, column; ...", in step; what cannot be read is said in the status line."""
        field = self.controls[name]

        def write(change):
            field.value = "; ".join(f"{row:g}, {col:g}" for row, col in change["new"])

        def read(change):
            places = (place.split(",") for place in change["new"].split(";") if place.strip())
            try:
                setattr(self, name, [[float(number) for number in place] for place in places])
                self.canvas.status = ""
            except ValueError as error:
                self.canvas.status = f"{field.description} not understood: {error}"

        self.observe(write, name)
        field.observe(read, "value")

    @t.validate("pins", "polygon")
    def _places(self, proposal):
        pins, places = proposal["trait"].name == "pins", proposal["value"]
        if any(len(place) != 2 for place in places) or (not pins and 0 < len(places) < 3):
            raise InputError(f"{places}; expected (row, column) each, and three or more for a region.")
        rows, cols = self._scene.mask.shape
        for row, col in places if pins else ():
            if not (0 <= row < rows and 0 <= col < cols):
                raise InputError(f"pixel {row}, {col} is outside the image of {rows} rows and {cols} columns.")
        return [[int(n) if pins else float(n) for n in place] for place in places]

    # ---- without a kernel

    def figure(self):
        """A matplotlib Figure of what is shown, for print."""
        self._renew()
        return static_figure(self._scene, self.canvas.limits, self.pins, self.polygon, self.canvas.plots)

    def save_html(self, path) -> Path:
        """One HTML page of this sample that hovers, zooms and pins without a kernel and without a network."""
        self._renew()
        return write_page(path, "explorer/saved.html.j2", state=self.canvas.state())

    def save_csv(self, path) -> Path:
        """The region's table, as the button saves it: quantity, of, at, value, unit."""
        self._renew()
        with replacing(path) as part:
            part.write_text(self.canvas.region["csv"], encoding="utf-8")
        return Path(path)

    def _repr_mimebundle_(self, **kwargs):
        file = io.BytesIO()
        self.figure().savefig(file, format="png")
        return super()._repr_mimebundle_(**kwargs) | {"image/png": base64.b64encode(file.getvalue()).decode()}
