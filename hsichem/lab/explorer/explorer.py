"""The map explorer: a picture one can ask questions of.

What decides what is shown: `sample`, `shown`, `pins`, `regions`, and the values of `controls`. The rest follows:

1. **Layers**, the sample's maps. All are new with the sample; SLIDERS says which are new with which slider.
2. **Answers**. The browser makes those that need no more than the maps: tables, histogram, a difference of two maps.
   It does so in a saved page, too. PARTS are made here: "spectra" of pins and regions, with the regression vector, and
   the "variogram" of one map. A part is stale from a change of what it rests on until `_renew`.

Who sends what. Here: a new sample goes out as the canvas's traits `layers` and `images`, a moved slider as one message
with the layer that it made, the answers as `plots`. The browser (explorer.js) draws, hovers, zooms and takes the lasso
by itself; it sends `shown`, `pins`, `regions`, `limits`, `band`, and two messages: "at" asks for the spectrum under the
cursor, "settled" says that it has drawn and nothing has moved since. Only then are answers renewed after a slider or a
new sample: they would hold up the next step. Pins, regions or another map for the variogram are answered at once, and
who reads answers here gets them fresh.

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
from hsichem.cubes import Cube, polygon_mask
from hsichem.lab.explorer import answers
from hsichem.lab.explorer.figure import static_figure
from hsichem.lab.explorer.scene import SLIDERS
from hsichem.lab.explorer.sources import MapSource, RunSource
from hsichem.lab.explorer.widgets import SCRIPTS, MapCanvas, make_controls
from hsichem.lab.pages import write_page
from hsichem.lab.results import Results

PARTS = ("spectra", "variogram")


def explore(results_or_maps, cube: Cube | None = None):
    """Explore the maps of a run, or any maps: show the value as the last line of a cell.

    results_or_maps: a results folder (a path, or hsichem.lab.Results), or {name: map} with maps (rows, cols) in % w/w
    and their `cube`. Raises InputError when there is nothing to show, or the maps do not fit together.
    """
    if isinstance(results_or_maps, dict):
        return Explorer(MapSource(results_or_maps, cube))
    return Explorer(RunSource(results_or_maps if isinstance(results_or_maps, Results) else Results(results_or_maps)))


class Explorer(VBox):
    """The widget that `explore` returns. From a cell, set .sample, .shown (names of maps), .pins and .regions.

    pins are [(row, col), ...], regions {name: [(row, col), ...]} with three corners or more, both in pixels of the
    image; InputError for what lies outside it or is no region. In a notebook it shows itself, with a picture of the
    same content for where no widget can run.
    """

    sample = t.Unicode()
    shown = t.List()
    pins = t.List()
    regions = t.Dict()

    def __init__(self, source):
        self._source, self._lock = source, threading.RLock()  # one lock for the models and what is made with them
        self._answers, self._stale, self._side, self.controls = {}, set(), 1, {}
        self.canvas = MapCanvas(limits=list(source.limits))
        super().__init__(sample=next(iter(source.names.values())))
        self._open()
        self.controls = make_controls(self._scene, source)
        self.children = [HBox([*self.controls.values()], layout={"flex_flow": "row wrap"}), self.canvas]
        for name in ("shown", "pins", "regions"):
            t.link((self, name), (self.canvas, name))
        self._renew()
        if "sample" in self.controls:
            t.link((self, "sample"), (self.controls["sample"], "value"))
        if "band" in self.controls:
            t.link((self.controls["band"], "value"), (self.canvas, "band"))
        for slider in self.controls.keys() & SLIDERS.keys():
            self.controls[slider].observe(lambda _, layers=SLIDERS[slider]: self._move(layers), "value")
        self.controls["variogram"].observe(lambda _: self._renew("variogram"), "value")
        self.observe(lambda _: self._open(), "sample")
        self.observe(lambda _: self._renew("spectra"), ["pins", "regions"])
        self.observe(lambda _: self._finest() == self._side or self._renew("spectra"), "shown")
        self.canvas.on_msg(self._heard)

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
                self.canvas.mask = np.packbits(scene.mask).tobytes()
                self.canvas.layers, self.canvas.images = map(list, zip(*messages, strict=True))
            self.pins = [pin for pin in self.pins if pin[0] < rows and pin[1] < cols]
            self.regions = {k: v for k, v in self.regions.items() if polygon_mask(v, scene.mask.shape).any()}
            self.shown = [name for name in self.shown if name in scene.layers] or scene.first
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
            if names[0] in shown and names[0] not in self.shown:
                self.shown = [*self.shown, names[0]]  # who moves a slider wants to see what it moves
            self._stale |= set(PARTS) if "PLS" in names else {"variogram"}

    # ---- answers

    def _finest(self) -> int:
        """Side of the smallest pixels that are shown, in pixels of the image: spectra are of pixels that large."""
        shown = (self._scene.layers[name] for name in self.shown if name in self._scene.layers)
        return min((layer.step for layer in shown if not layer.photo), default=1)

    def _renew(self, *changed):
        """Make the parts that have changed or are stale anew, and send them."""
        with self._lock:
            stale, scene = self._stale | set(changed), self._scene
            if "spectra" in stale:
                model = scene.models[self._at()["components"] - 1] if scene.models else None
                self._side = self._finest()
                self._answers["spectra"] = answers.spectra_plots(scene.cube, self.pins, self.regions, model, self._side)
            if "variogram" in stale:
                name = self.controls["variogram"].value
                layers = [scene.layers[name]] if name in scene.layers else []  # another sample may have other maps
                self._answers["variogram"] = [answers.variogram_plot(name, each, scene.pitch_mm) for each in layers]
            self._stale = set()
            if stale:
                self.canvas.plots = [plot for part in PARTS for plot in self._answers[part]]

    def _heard(self, _, message, __):
        """What the browser says: that it has come to rest, or over which pixel the cursor is."""
        if message["kind"] == "settled":
            self._renew()
        elif (cube := self._scene.cube) is not None:
            row, col = (min(n, last - 1) for n, last in zip(message["place"], cube.foreground.shape, strict=True))
            spectrum = answers.spectrum_at(cube, (row, col), self._finest()).astype(np.float32).tobytes()
            self.canvas.send({"kind": "spectrum", "place": [row, col]}, [spectrum])

    def region_values(self, region: str | None = None) -> dict[str, np.ndarray]:
        """Name -> (n,) values of each map in the region of this name, or in the whole sample."""
        if region is not None and region not in self.regions:
            raise InputError(f"no region {region!r}; expected one of {', '.join(self.regions) or 'none: draw one'}.")
        return answers.in_region(self._scene, self.regions.get(region))

    @t.validate("pins")
    def _pixels(self, proposal):
        rows, cols = self._scene.mask.shape
        for row, col in _places(proposal["value"]):
            if not (0 <= row < rows and 0 <= col < cols):
                raise InputError(f"pixel {row}, {col} is outside the image of {rows} rows and {cols} columns.")
        return [[int(n) for n in pin] for pin in proposal["value"]]

    @t.validate("regions")
    def _outlines(self, proposal):
        shape = self._scene.mask.shape
        for name, corners in proposal["value"].items():
            if not polygon_mask(_places(corners), shape).any():
                raise InputError(
                    f"region {name!r} holds no pixel of the image of {shape[0]} rows and {shape[1]} columns."
                )
        return {name: [[float(n) for n in place] for place in corners] for name, corners in proposal["value"].items()}

    # ---- without a kernel

    def figure(self):
        """A matplotlib Figure of what is shown, for print."""
        self._renew()
        regions = answers.in_regions(self._scene, self.regions)
        histogram = answers.histogram_plot(self._scene, self.shown, regions)
        plots = [*self._answers["spectra"], histogram, *self._answers["variogram"]]
        layers = {name: self._scene.layers[name] for name in self._scene.layers if name in self.shown}
        return static_figure(self._scene, layers, self.canvas.limits, self.pins, self.regions, plots)

    def save_html(self, path) -> Path:
        """One HTML page of this sample that hovers, zooms, pins and compares regions without a kernel or a network."""
        self._renew()
        return write_page(path, "explorer/saved.html.j2", state=self.canvas.state(), scripts=SCRIPTS)

    def save_csv(self, path) -> Path:
        """The regions' table, as the button saves it: quantity, region, of, at, value, unit."""
        self._renew()
        with replacing(path) as part:
            text = answers.regions_csv(self._scene, self.regions, self._answers["spectra"])
            part.write_text(text, encoding="utf-8")
        return Path(path)

    def _repr_mimebundle_(self, **kwargs):
        file = io.BytesIO()
        self.figure().savefig(file, format="png", pil_kwargs={"compress_level": 2})  # a cell waits for it
        return super()._repr_mimebundle_(**kwargs) | {"image/png": base64.b64encode(file.getvalue()).decode()}


def _places(places):
    """The (row, col) places themselves. Raises InputError where one has not two numbers."""
    if any(len(place) != 2 for place in places):
        raise InputError(f"{places}; expected (row, column) each.")
    return places
