"""What the explorer shows of one sample: its image and every map of it, each with its unit and its scale."""

from dataclasses import dataclass, field, replace

import numpy as np

from hsichem._base import InputError
from hsichem.cubes import Cube, block_mean, smooth

RED_GREEN_BLUE = (640, 550, 460)  # nm
OWN_SCALE = {"T2": "", "Q": "", "SD": "%"}  # last word of the name -> unit; the others share one scale
BY_WEIGHT = "U-Net by weight"
SINGLE = "PLS single pixels"
KINDS = {  # of map, in the order of the list to choose from -> how names begin
    "truth": ("truth",),
    "linear models": ("pls", "linear"),
    "networks": ("u-net", "u net", "pixel network"),
    "other maps": (),
    "how sure": (),
    "camera": (),
}
SLIDERS = {  # -> the layers that follow it
    "band": ("band",),
    "components": ("PLS", SINGLE, "PLS smoothed"),
    "smoothing": ("PLS smoothed",),
    "weight": (BY_WEIGHT,),
}


@dataclass(frozen=True)
class Layer:
    """One picture of a sample.

    values: (rows, cols) float32, NaN where there is nothing; or (rows, cols, 3) uint8 for a photograph.
    step: side of its pixels in pixels of the image; scale: (low, high), None for the scale all concentrations share;
    note: what it was made with, for example "4 components".
    """

    values: np.ndarray
    unit: str = "%"
    step: int = 1
    scale: tuple[float, float] | None = None
    note: str = ""

    @property
    def photo(self) -> bool:
        return self.values.ndim == 3

    def message(self, name: str) -> tuple[dict, bytes]:
        """What the browser is sent: all but the values; the values row by row, float32 or 8 bits of RGB and opacity."""
        rows, cols = self.values.shape[:2]
        kept = {key: getattr(self, key) for key in ("unit", "step", "scale", "note", "photo")}
        values = np.dstack([self.values, np.full((rows, cols), 255, np.uint8)]) if self.photo else self.values
        return {"name": name, "kind": self.kind(name), "rows": rows, "cols": cols} | kept, values.tobytes()

    def kind(self, name: str) -> str:
        """One of KINDS, by the map's name and scale."""
        if self.photo or self.unit == "reflectance":
            return "camera"
        begun = [kind for kind, starts in KINDS.items() if name.lower().startswith(starts)]
        return "how sure" if self.scale else (*begun, "other maps")[0]


@dataclass(frozen=True)
class Scene:
    """One sample: its layers by name, and what those that follow a slider are made from.

    mask: (rows, cols) bool; cube: the image as the models see it, None where it is unknown; models: PLS of 1, 2, ...
    components; by_weight: weight of the smoothness term -> map of the U-Net trained with it; side: of the blocks whose
    means the maps of PLS are, where other maps have pixels that large; first: names of the maps that it opens with.
    """

    name: str
    mask: np.ndarray
    cube: Cube | None = None
    models: tuple = ()
    side: int = 1
    by_weight: dict[str, Layer] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)

    def arranged(self, *first: str) -> "Scene":
        """The same with these maps before the others, which follow by kind; it opens with those that are there."""
        names, kinds = list(first), list(KINDS)

        def rank(item):
            name, layer = item
            return names.index(name) if name in names else len(names) + kinds.index(layer.kind(name))

        layers = dict(sorted(self.layers.items(), key=rank))
        return replace(self, layers=layers, first=[name for name in first if name in layers])

    @property
    def pitch_mm(self) -> float | None:
        return self.cube and self.cube.pitch_mm

    def make(self, name: str, at: dict) -> Layer:
        """Make one of the layers that SLIDERS names, anew; at: slider -> where it is."""
        if name == "band":
            layer = band_layer(self.cube, at["band"])
        elif name == BY_WEIGHT:  # another sample may lack a map of this weight
            layer = self.by_weight.get(at.get("weight"), next(iter(self.by_weight.values())))
        elif name == "PLS":
            values, note = self.models[at["components"] - 1].predict_map(self.cube), f"{at['components']} components"
            if self.side > 1:
                self.layers[SINGLE] = map_layer(SINGLE, values, self.mask.shape, note)
            layer = map_layer(name, block_mean(values, self.side), self.mask.shape, note)
        elif name == SINGLE:  # made with PLS
            layer = self.layers[SINGLE]
        else:
            model, width = self.models[at["components"] - 1], at["smoothing"]
            plain = self.layers[SINGLE if self.side > 1 else "PLS"].values
            values = block_mean(smoothed_prediction(model, self.cube, plain, width), self.side)
            layer = map_layer(name, values, self.mask.shape, f"{width:g} pixels")
        self.layers[name] = layer
        return layer


def step_of(shape, full) -> int:
    """Side of a map's pixels in pixels of the image, 2 for a network's. Raises InputError when they do not fit."""
    step = full[0] // max(shape[0], 1)
    if step < 1 or tuple(n // step for n in full) != tuple(shape):
        raise InputError(f"a map of {tuple(shape)} pixels does not fit {tuple(full)}; expected a whole fraction of it.")
    return step


def map_layer(name: str, values, full, note: str = "") -> Layer:
    """A Layer of a map (rows, cols) over an image of full = (rows, cols) pixels; its name tells unit and scale."""
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise InputError(f"map {name!r} has shape {values.shape}; expected (rows, cols).")
    last, seen, scale = name.upper().rpartition(" ")[2], values[np.isfinite(values)], None
    if last in OWN_SCALE:  # from 0, or the lowest value if that is below, to the 99th percentile
        scale = (min(0.0, float(seen.min())), float(np.percentile(seen, 99))) if seen.size else (0.0, 1.0)
    return Layer(values, OWN_SCALE.get(last, "%"), step_of(values.shape, full), scale, note)


def band_layer(cube: Cube, band: int) -> Layer:
    """The reflectance of one band, on a scale of its own."""
    values = cube.values[:, :, band]
    scale = tuple(float(edge) for edge in np.percentile(values, (1, 99)))
    return Layer(values, "reflectance", 1, scale, f"{cube.wavelengths[band]:.0f} nm")


def false_colour(cube: Cube) -> Layer:
    """(rows, cols, 3) uint8: red, green and blue light where the camera saw it, else three bands of its range."""
    low, high = cube.wavelengths[[0, -1]]
    visible = low <= RED_GREEN_BLUE[2] and high >= RED_GREEN_BLUE[0]
    wanted = RED_GREEN_BLUE if visible else np.linspace(high, low, 5)[1:4]
    bands = [int(np.abs(cube.wavelengths - nm).argmin()) for nm in wanted]
    seen = cube.values[:, :, bands]
    # Light keeps its colour only when its three bands share a scale; what no eye sees is stretched band by band.
    low, high = (0, np.percentile(seen, 99)) if visible else np.percentile(seen, (1, 99), axis=(0, 1))
    stretched = np.clip((seen - low) / np.maximum(high - low, 1e-12), 0, 1)
    note = ", ".join(f"{cube.wavelengths[band]:.0f}" for band in bands) + " nm"
    return Layer((255 * stretched).astype(np.uint8), "", 1, None, note)


def smoothed_prediction(model, cube: Cube, values, sigma: float) -> np.ndarray:
    """(rows, cols) float32: the model's map of the image after a Gaussian filter of sigma pixels within the sample.

    values: its map of the image as it is. Without preprocessing the model is linear, so filtering that map gives the
    same at once; with preprocessing the image itself must be filtered.
    """
    if sigma == 0:
        return values
    if model.preprocessing is not None:
        return model.predict_map(smooth(cube, sigma))
    one_band = Cube(np.nan_to_num(values)[:, :, None], [1.0], cube.foreground)
    return np.where(cube.foreground, smooth(one_band, sigma).values[:, :, 0], np.nan).astype(np.float32)
