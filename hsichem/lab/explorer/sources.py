"""Where the explorer's samples come from: the results folder of a run, or maps given by hand.

A source has `names` (what the list of samples shows -> sample), `models` (PLS of 1, 2, ... components), `start` (where
its sliders begin), `limits` of the colours, and `scene`, which makes all layers of a sample where the sliders are `at`.
"""

from dataclasses import replace

import numpy as np

from hsichem import datasets
from hsichem._base import InputError
from hsichem.cubes import Cube, block_mean, crop_and_bin, whole_blocks
from hsichem.lab.explorer.scene import BY_WEIGHT, Scene, false_colour, map_layer, step_of
from hsichem.lab.results import Results
from hsichem.lab.settings import PRESETS
from hsichem.pls import fit_pls, preprocessing_name

FIRST = 4  # so many maps are large enough on one screen
MOST_COMPONENTS = 20  # as notebook 02 tries by default
WEIGHT = "U-Net weight "  # so begin the names of the maps by weight of the smoothness term


class MapSource:
    """Maps given by hand, with nothing to fit.

    maps: {name: (rows, cols)} in % w/w, of the image's pixels or a whole fraction; cube: their image, if known.
    A name that ends in T2, Q or SD has a scale of its own. Raises InputError when there are no maps.
    """

    models, limits = (), (0, 100)

    def __init__(self, maps: dict, cube: Cube | None = None):
        if not maps:
            raise InputError("no maps to explore; give at least one, as {name: (rows, cols) array}.")
        self._maps, self._cube = maps, cube
        name = (cube and cube.name) or "maps"
        self.names, self.start = {name: name}, {"band": len(cube.wavelengths) // 2} if cube else {}

    def scene(self, name: str, at: dict) -> Scene:
        """All maps. Raises InputError for maps that do not fit together."""
        cube, shapes = self._cube, [np.shape(values) for values in self._maps.values()]
        full = cube.foreground.shape if cube else max(shapes, key=np.prod)
        layers = {title: map_layer(title, values, full) for title, values in self._maps.items()}
        known = np.any([np.isfinite(layer.values) for layer in layers.values() if layer.step == 1], axis=0)
        scene = Scene(name, cube.foreground if cube else known, cube, self.models)
        if cube:
            scene.layers["image"] = false_colour(cube)
            scene.make("band", at)
        scene.layers.update(layers)
        return scene.arranged(*[*layers][:FIRST])


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
        bands = spectra.shape[1]
        most = min(MOST_COMPONENTS, len(y) - 1, bands)
        largest = fit_pls(spectra, y, n_components=most, **options)
        self.models = tuple(largest.with_components(count) for count in range(1, most + 1))
        chosen = pls.get("components") or fit_pls(spectra, y, folds, seed=run["seed"], **options).n_components
        smoothing = float(pls.get("smoothing_pixels", 1.0))
        self.start = {"band": bands // 2, "components": chosen, "smoothing": smoothing}
        # The best filter is the one that notebook 02 chose without a truth.
        self.first = ("truth", "PLS", pls.get("opponent", "PLS smoothed"), "U-Net")

    def scene(self, name: str, at: dict) -> Scene:
        """The sample's image, its truth where it is known, PLS by components, and every map that was saved of it.

        What it opens with is on the networks' grid, of blocks of 2 x 2 pixels. PLS is there pixel by pixel, too.
        """
        sample = self.samples[name]
        whole = sample.load()
        cube = crop_and_bin(whole, self.images.crop_nm, self.images.bin)
        mask, full = cube.foreground, cube.foreground.shape
        scene = Scene(name, mask, cube, self.models, side=2)
        layers, by_weight = scene.layers, scene.by_weight
        layers["image"] = false_colour(whole)
        scene.make("band", at)
        if (truth := sample.truth()) is not None:
            layers["truth"] = map_layer("truth", block_mean(np.where(mask, truth, np.nan)), full)
        scene.make("PLS", at)
        scene.make("PLS smoothed", at)
        saved = self.results.maps_of_sample(name)
        saved.pop("reader", None)  # of the held-out error: as noisy as PLS, and in no table
        if "PLS" in saved:
            fitted = self.models[self.start["components"] - 1].predict_map(cube)
            if saved["PLS"].shape != full:
                fitted = block_mean(fitted)
            if not np.allclose(saved["PLS"], fitted, atol=0.1, equal_nan=True):
                saved["PLS as saved"] = saved["PLS"]  # made with other settings than metrics.json tells
        for title, values in saved.items():
            within = whole_blocks(mask, step_of(values.shape, full))  # a network fills the background too
            note = f"{self.start['components']} components" if title.startswith("PLS ") else ""  # no slider moves it
            layer = map_layer(title, np.where(within, values, np.nan), full, note)
            if title.startswith(WEIGHT):
                weight = title.removeprefix(WEIGHT)
                by_weight[weight] = replace(layer, note=f"weight {weight}")
            else:
                layers.setdefault(title, layer)
        if by_weight:
            scene.make(BY_WEIGHT, at)
        return scene.arranged(*self.first)
