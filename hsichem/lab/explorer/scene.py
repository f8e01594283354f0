"""What the explorer shows of one sample: its image and every map of it, each with its unit and its scale."""

from dataclasses import dataclass

import numpy as np
from spectral import get_rgb

from hsichem._base import InputError
from hsichem.cubes import Cube, smooth
from hsichem.pls import per_pixel

RED_GREEN_BLUE = (640, 550, 460)  # nm
OWN_SCALE = {"T2": "", "Q": "", "SD": "%"}  # last word of the name -> unit; the others share one scale


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

    def header(self, name: str) -> dict:
        """All but the values, as the browser reads it."""
        rows, cols = self.values.shape[:2]
        kept = {key: getattr(self, key) for key in ("unit", "step", "scale", "note", "photo")}
        return {"name": name, "rows": rows, "cols": cols} | kept

    def bytes(self) -> bytes:
        """The values row by row: float32, or red, green, blue and opacity of 8 bits."""
        if not self.photo:
            return self.values.tobytes()
        return np.dstack([self.values, np.full(self.values.shape[:2], 255, np.uint8)]).tobytes()


@dataclass(frozen=True)
class Scene:
    """One sample: mask (rows, cols) bool, layers by name, the cube as the models see it (None where unknown)."""

    name: str
    mask: np.ndarray
    layers: dict[str, Layer]
    cube: Cube | None = None
    pitch_mm: float | None = None


def step_of(shape, full) -> int:
    """Side of a map's pixels in pixels of the image, 2 for a network's. Raises InputError when they do not fit."""
    step = full[0] // max(shape[0], 1)
    if step < 1 or tuple(n // step for n in full) != tuple(shape):
        raise InputError(f"a map of {tuple(shape)} pixels does not fit {tuple(full)}; expected a whole fraction of it.")
    return step


def own_scale(values) -> tuple[float, float]:
    """0 (or the lowest value, if that is below) to the 99th percentile."""
    seen = values[np.isfinite(values)]
    return (min(0.0, float(seen.min())), float(np.percentile(seen, 99))) if seen.size else (0.0, 1.0)


def map_layer(name: str, values, full, note: str = "") -> Layer:
    """A Layer of a map (rows, cols) over an image of full = (rows, cols) pixels; its name tells unit and scale."""
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise InputError(f"map {name!r} has shape {values.shape}; expected (rows, cols).")
    unit = OWN_SCALE.get(name.split()[-1] if name.strip() else "")
    scale = None if unit is None else own_scale(values)
    return Layer(values, "%" if unit is None else unit, step_of(values.shape, full), scale, note)


def band_layer(cube: Cube, band: int) -> Layer:
    """The reflectance of one band, on a scale of its own."""
    values = cube.values[:, :, band]
    scale = tuple(float(edge) for edge in np.percentile(values, (1, 99)))
    return Layer(values, "reflectance", 1, scale, f"{cube.wavelengths[band]:.0f} nm")


def false_colour(cube: Cube) -> Layer:
    """(rows, cols, 3) uint8: red, green and blue light where the camera saw it, else three bands of its range."""
    low, high = cube.wavelengths[[0, -1]]
    wanted = (
        RED_GREEN_BLUE if low <= RED_GREEN_BLUE[2] and high >= RED_GREEN_BLUE[0] else np.linspace(high, low, 5)[1:4]
    )
    bands = [int(np.abs(cube.wavelengths - nm).argmin()) for nm in wanted]
    stretched = get_rgb(cube.values, bands, stretch=(0.01, 0.99), stretch_all=True)  # 0-1, each band by itself
    note = ", ".join(f"{cube.wavelengths[band]:.0f}" for band in bands) + " nm"
    return Layer((255 * stretched).astype(np.uint8), "", 1, None, note)


def component_maps(cube: Cube, models) -> np.ndarray:
    """(rows, cols, components) float32: the maps of 1, 2, ... components, one pass over the pixels.

    models: PLSModel of 1, 2, ... components, fitted on the same spectra. Each component adds its part to the map
    before, so all maps are one running sum.
    """
    parts = np.diff([model.coefficients for model in models], axis=0, prepend=0)  # (components, bands)
    intercepts = np.array([model.intercept for model in models])

    def sums(spectra):
        return np.cumsum(models[0].preprocessed(spectra) @ parts.T, axis=1) + intercepts

    return per_pixel(cube, sums, intercepts.shape)


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
