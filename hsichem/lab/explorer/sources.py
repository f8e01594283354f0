"""Where the explorer's samples come from: the results folder of a run, or maps given by hand."""

import numpy as np

from hsichem import datasets
from hsichem._base import InputError
from hsichem.cubes import Cube, crop_and_bin, whole_blocks
from hsichem.lab.explorer.scene import (
    OWN_SCALE,
    Scene,
    band_layer,
    false_colour,
    map_layer,
    smoothed_prediction,
    step_of,
)
from hsichem.lab.results import Results
from hsichem.lab.settings import PRESETS
from hsichem.pls import fit_pls, preprocessing_name

MOST_COMPONENTS = 20  # as notebook 02 tries by default


def display_name(folder: str) -> str:
    """The method's name from its folder: pls-few-components is "PLS few components"; u-net-sd is "U-Net SD"."""
    for start, word in {"u-net": "U-Net", "pls": "PLS"}.items():
        if folder == start or folder.startswith(f"{start}-"):
            rest = folder[len(start) + 1 :]
            rest = rest.upper() if rest.upper() in OWN_SCALE else rest.replace("-", " ", 1 if "weight" in rest else -1)
            return f"{word} {rest}".strip()
    return folder.replace("-", " ")


class MapSource:
    """Maps given by hand: one scene, nothing to fit."""

    models, limits = (), (0, 100)

    def __init__(self, scene: Scene):
        self._scene, self.names = scene, {scene.name: scene.name}

    def scene(self, name: str) -> Scene:
        return Scene(name, self._scene.mask, dict(self._scene.layers), self._scene.cube, self._scene.pitch_mm)


def from_maps(maps: dict, cube: Cube | None = None) -> MapSource:
    """maps: {name: (rows, cols)} in % w/w, of the image's pixels or a whole fraction; cube: their image, if known.

    A name that ends in T2, Q or SD has a scale of its own. Raises InputError for maps that do not fit together.
    """
    if not maps:
        raise InputError("no maps to explore; give at least one, as {name: (rows, cols) array}.")
    shapes = [np.shape(values) for values in maps.values()]
    full = cube.values.shape[:2] if cube is not None else max(shapes, key=np.prod)
    layers = {}
    if cube is not None:
        layers = {"image": false_colour(cube), "band": band_layer(cube, len(cube.wavelengths) // 2)}
    layers |= {name: map_layer(name, values, full) for name, values in maps.items()}
    finite = [np.isfinite(layer.values) for layer in layers.values() if layer.step == 1 and layer.values.ndim == 2]
    mask = cube.foreground if cube is not None else np.logical_or.reduce(finite)
    name = (cube.name if cube is not None else "") or "maps"
    return MapSource(Scene(name, mask, layers, cube, cube.pitch_mm if cube is not None else None))


class RunSource:
    """The test images of a run: their maps from the results folder, and PLS refitted so that it can be moved."""

    def __init__(self, results: Results):
        metrics = results.metrics()
        if "settings" not in metrics:
            raise InputError(f"{results.folder} holds no run (no settings in metrics.json); run a notebook first.")
        run, pls = metrics["settings"], metrics.get("02_pls_maps", {})
        self.results = results
        self.images = datasets.open_dataset(run["dataset"], size=PRESETS[run["preset"]]["size"])
        self.response, self.limits = self.images.response, self.images.colour_limits
        self.samples = {sample.id: sample for sample in self.images.samples if sample.split == 0}
        self.names = {
            f"{name} · {self.response} {s.references[self.response]:.1f} {self.images.unit}": name
            for name, s in self.samples.items()
        }
        fit_on = [sample for sample in self.images.samples if sample.split > 0]
        spectra = np.array([self.images.cube(sample).mean_spectrum() for sample in fit_on])
        y, folds = [s.references[self.response] for s in fit_on], [s.split for s in fit_on]
        steps = pls.get("preprocessing", preprocessing_name(None))
        options = {"preprocessing": None if steps == preprocessing_name(None) else steps}
        most = min(MOST_COMPONENTS, len(y) - 1, spectra.shape[1])
        self.models = tuple(fit_pls(spectra, y, n_components=a, **options) for a in range(1, most + 1))
        chosen = pls.get("components") or fit_pls(spectra, y, folds, seed=run["seed"], **options).n_components
        self.components, self.smoothing = chosen, float(pls.get("smoothing_pixels", 1.0))

    def scene(self, name: str) -> Scene:
        """The sample's image, its truth where it is known, PLS by components, and every map that was saved of it."""
        sample = self.samples[name]
        whole = sample.load()
        cube = crop_and_bin(whole, self.images.crop_nm, self.images.bin)
        mask, full = cube.foreground, cube.values.shape[:2]
        layers = {"image": false_colour(whole), "band": band_layer(cube, len(cube.wavelengths) // 2)}
        if (truth := sample.truth()) is not None:
            layers["truth"] = map_layer("truth", np.where(mask, truth, np.nan), full)
        model = self.models[self.components - 1]
        fitted = model.predict_map(cube)
        layers["PLS"] = map_layer("PLS", fitted, full, f"{self.components} components")
        smoothed = smoothed_prediction(model, cube, fitted, self.smoothing)
        layers["PLS smoothed"] = map_layer("PLS smoothed", smoothed, full, f"{self.smoothing:g} pixels")
        saved = {
            display_name(path.parent.name): np.load(path, allow_pickle=False)
            for path in sorted(self.results.folder.glob(f"maps/*/{name}.npy"))
        }
        if "PLS" in saved and not np.allclose(saved["PLS"], fitted, atol=0.1, equal_nan=True):
            saved["PLS as saved"] = saved["PLS"]  # made with other settings than metrics.json tells
        for title, values in saved.items():
            if title not in layers:
                within = whole_blocks(mask, step_of(values.shape, full))  # a network fills the background too
                layers[title] = map_layer(title, np.where(within, values, np.nan), full)
        return Scene(name, mask, layers, cube, cube.pitch_mm)


def open_source(results_or_maps, cube: Cube | None = None):
    """A MapSource of a dict of maps, or the RunSource of a results folder."""
    if isinstance(results_or_maps, dict):
        return from_maps(results_or_maps, cube)
    results = results_or_maps if isinstance(results_or_maps, Results) else Results(results_or_maps)
    return RunSource(results)
