"""The map explorer: a picture one can ask questions of.

The browser (explorer.js) draws, hovers, zooms and takes the lasso by itself; only pins and polygons come here, and
maps and plots go back. No callback uses pyplot: what it draws is drawn in the browser, or on a Figure of its own.
"""

import base64
import io
import threading
from dataclasses import replace
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import traitlets as t

from hsichem._base import InputError, replacing
from hsichem.cubes import Cube
from hsichem.lab.explorer import answers
from hsichem.lab.explorer import saved as snapshot
from hsichem.lab.explorer.canvas import MapCanvas, Picture, State
from hsichem.lab.explorer.controls import make_controls, read_places, write_places
from hsichem.lab.explorer.scene import band_layer, component_maps, smoothed_prediction
from hsichem.lab.explorer.sources import open_source

WEIGHT, BY_WEIGHT = "U-Net weight ", "U-Net by weight"
PARTS = ("spectra", "region", "variogram")


def explore(results_or_maps, cube: Cube | None = None, polygon=(), pins=(), plain: bool = False):
    """Explore the maps of a run, or any maps: show the value as the last line of a cell.

    results_or_maps: a results folder (a path, or hsichem.lab.results.Results), or {name: map} with maps (rows, cols) in
    % w/w and their `cube`. polygon: corners of the region, pins: pixels, both [(row, col), ...] in pixels of the
    image; a rerun repeats them. plain: without anywidget, where a front end cannot run it.
    Raises InputError when there is nothing to show, or the maps do not fit together.
    """
    return Explorer(open_source(results_or_maps, cube), polygon, pins, plain)


class Explorer(widgets.VBox):
    """The widget that `explore` returns. Set .sample, .pins and .polygon to move it from a cell.

    In a notebook it shows itself, with a picture of the same content for where no widget can run.
    """

    sample = t.Unicode()
    pins = t.List()
    polygon = t.List()

    def __init__(self, source, polygon, pins, plain):
        self._source, self._lock = source, threading.RLock()  # one lock for the models and what is made with them
        self._plain = plain or MapCanvas is None
        self._answers, self._stale, self.controls = {}, set(PARTS), {}
        self.canvas = (Picture if self._plain else MapCanvas)(limits=list(source.limits))
        super().__init__(sample=next(iter(source.names.values())))
        self._load()
        self.controls = make_controls(self._scene, source, self._by_weight)
        self._listen()
        row = widgets.HBox([*self.controls.values()], layout={"flex_flow": "row wrap"})
        self.children = [row, self.canvas]
        self.pins, self.polygon = list(pins), list(polygon)
        for name in ("pins", "polygon"):
            t.link((self, name), (self.canvas, name))
            self._typed_in(name)
        self._tell(PARTS)
        self.observe(self._load, "sample")
        self.observe(lambda _: self._tell({"spectra"}), "pins")
        self.observe(lambda _: self._tell({"spectra", "region"}), "polygon")
        self.canvas.on_msg(lambda *_: self._catch_up())  # the browser has drawn, and nothing moved since

    # ---- what is shown

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """Name -> (rows, cols) map as it is shown."""
        return {name: layer.values for name, layer in self._scene.layers.items() if not layer.photo}

    def _load(self, _=None):
        """Another sample: every layer anew, with the sliders where they are."""
        with self._lock:
            scene = self._source.scene(self.sample)
            self._scene, self._by_components = scene, None
            names = [name for name in scene.layers if name.startswith(WEIGHT)]
            self._by_weight = {name.removeprefix(WEIGHT): scene.layers.pop(name) for name in names}
            if names:
                scene.layers[BY_WEIGHT] = self._of_weight()
            for name, make in self._live().items():
                scene.layers[name] = make()
            rows, cols = scene.mask.shape
            self.pins = [pin for pin in self.pins if pin[0] < rows and pin[1] < cols]
            with self.canvas.hold_sync():
                self.canvas.title = f"Maps of {scene.name}"
                self.canvas.grid = {"rows": rows, "cols": cols, "pitch": scene.pitch_mm}
                self.canvas.layers = [layer.header(name) for name, layer in scene.layers.items()]
                self.canvas.images = [layer.bytes() for layer in scene.layers.values()]
            self._changed(PARTS)

    def _live(self) -> dict:
        """Layer name -> what makes it from the slider; only the sliders that are there."""
        makers = {"band": ("band", lambda: band_layer(self._scene.cube, self.controls["band"].value))}
        makers |= {"components": ("PLS", self._pls)}
        makers |= {"smoothing": ("PLS smoothed", self._smoothed), "weight": (BY_WEIGHT, self._of_weight)}
        there = self.controls.keys()
        return {name: make for key, (name, make) in makers.items() if key in there and name in self._scene.layers}

    def _pls(self):
        if self._by_components is None:
            self._by_components = component_maps(self._scene.cube, self._source.models)
        count = self.controls["components"].value
        values = np.ascontiguousarray(self._by_components[:, :, count - 1])
        return replace(self._scene.layers["PLS"], values=values, note=f"{count} components")

    def _smoothed(self):
        width, model = self.controls["smoothing"].value, self._model()
        values = smoothed_prediction(model, self._scene.cube, self._scene.layers["PLS"].values, width)
        return replace(self._scene.layers["PLS smoothed"], values=values, note=f"{width:g} pixels")

    def _model(self):
        return self._source.models[self.controls["components"].value - 1] if self._source.models else None

    def _of_weight(self):
        weight = self.controls["weight"].value if "weight" in self.controls else next(iter(self._by_weight))
        return replace(self._by_weight.get(weight) or next(iter(self._by_weight.values())), note=f"weight {weight}")

    def _move(self, *names):
        """Make layers anew and send them alone; the answers follow when the browser has drawn them."""
        with self._lock:
            for name, make in self._live().items():
                if name in names:
                    layer = self._scene.layers[name] = make()
                    index, header, data = list(self._scene.layers).index(name), layer.header(name), layer.bytes()
                    # Changed in place: no message repeats the other maps, and a page that reloads gets these.
                    self.canvas.layers[index], self.canvas.images[index] = header, data
                    self.canvas.send({"kind": "layer", "index": index, "layer": header}, [data])
            self._changed({"region", "variogram"} | ({"spectra"} if "PLS" in names else set()))

    def _changed(self, parts):
        self._stale = self._stale | set(parts)
        if self._plain and self.controls:
            self._tell(self._stale)

    # ---- what is answered

    def _tell(self, parts):
        """Renew these answers: plots, table and CSV."""
        with self._lock:
            scene, polygon = self._scene, self.polygon
            if "spectra" in parts:
                self._answers["spectra"] = answers.spectra_plots(scene.cube, self.pins, polygon, self._model())
            if "region" in parts:
                self._in_region = answers.in_region(scene, polygon)
                self._answers["region"] = [answers.histogram_plot(scene, self._in_region)]
            if "variogram" in parts:
                name = self.controls["variogram"].value
                layers = [scene.layers[name]] if name in scene.layers else []  # another sample may have other maps
                self._answers["variogram"] = [answers.variogram_plot(name, each, scene.pitch_mm) for each in layers]
            self._stale = self._stale - set(parts)
            plots = [plot for part in PARTS for plot in self._answers[part]]
            rows = answers.region_rows(scene, self._in_region)
            text = answers.region_csv(scene, self._in_region, plots, polygon)
            title = "The region" if polygon else "The whole sample"
            with self.canvas.hold_sync():
                self.canvas.plots = plots
                self.canvas.region = {"title": title, "rows": rows, "csv": text}
            if self._plain:
                self.canvas.value = self._png()

    # ---- controls

    def _listen(self):
        """What each control does."""
        if "sample" in self.controls:
            t.link((self, "sample"), (self.controls["sample"], "value"))
        moved = {"band": ["band"], "components": ["PLS", "PLS smoothed"], "smoothing": ["PLS smoothed"]}
        for key, layers in (moved | {"weight": [BY_WEIGHT]}).items():
            if key in self.controls:
                self.controls[key].observe(lambda _, layers=layers: self._move(*layers), "value")
        self.controls["variogram"].observe(lambda _: self._tell({"variogram"}), "value")

    def _typed_in(self, name):
        """Keep the text field and the places in step; what cannot be read is said in the status line."""
        field = self.controls[name]

        def write(_=None):
            field.value = write_places(getattr(self, name))

        def read(_):
            try:
                setattr(self, name, read_places(field.value))
                self.canvas.status = ""
            except ValueError as error:
                self.canvas.status = f"{field.description} not understood: {error}"

        write()
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

    def _catch_up(self):
        with self._lock:
            if self._stale:
                self._tell(self._stale)

    def region_values(self) -> dict[str, np.ndarray]:
        """Name -> (n,) values of each map in the region, or in the whole sample where there is none."""
        with self._lock:
            self._catch_up()
            return self._in_region

    # ---- without a kernel

    def figure(self):
        """A matplotlib Figure of what is shown, for print."""
        with self._lock:
            self._catch_up()
            canvas = self.canvas
            return snapshot.static_figure(self._scene, canvas.limits, self.pins, self.polygon, canvas.plots)

    def save_html(self, path) -> Path:
        """One HTML page of this sample that hovers, zooms and pins without a kernel and without a network."""
        with self._lock:
            self._catch_up()
            return snapshot.write_page(path, {name: getattr(self.canvas, name) for name in State.class_trait_names()})

    def save_csv(self, path) -> Path:
        """The region's table, as the button saves it: quantity, of, at, value, unit."""
        with self._lock:
            self._catch_up()
            with replacing(path) as part:
                part.write_text(self.canvas.region["csv"], encoding="utf-8")
            return Path(path)

    def _png(self) -> bytes:
        file = io.BytesIO()
        self.figure().savefig(file, format="png")
        return file.getvalue()

    def _repr_mimebundle_(self, **kwargs):
        picture = base64.b64encode(self._png()).decode()
        return super()._repr_mimebundle_(**kwargs) | {"image/png": picture}
