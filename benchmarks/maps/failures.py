"""Where the held-out error misleads, and where the network stops winning: the phantom, spoiled on purpose.

python benchmarks/maps/failures.py [--only blur ...] [--epochs 60]

Each knob spoils every image of phantom-belly, calibration and test, and everything is fitted anew: the reader, PLS, the
best linear map of notebook 02 (price 0.01, non-local means 0.8), and one network on all calibration images. Beside the
flat map they are judged on the test images by the held-out error and by the truth, on the same looks.
About a minute a knob, one thread.
"""

import argparse
import dataclasses
import tempfile
import warnings

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from hsichem import datasets
from hsichem.cubes import block_mean, scale_by_noise, smooth
from hsichem.lab import PRESETS
from hsichem.maps import Tuned, held_out_error, looks, map_grid, noise_of, shared_noise
from hsichem.pls import choose_pls, fit_penalised, fit_pls
from hsichem.unet import config_from, predict_looks, train_folds


class Spoiler:
    """The knobs: each takes a cube, its truth and a generator, and returns both."""

    def __init__(self, slope):
        self.slope = slope  # (bands,) change of the reflectance per % of content

    def none(self, cube, truth, rng):
        return cube, truth

    def blur(self, cube, truth, rng):
        """Optics, smear or interpolation: neighbours share their noise."""
        return smooth(cube, 0.6), truth

    def texture(self, cube, truth, rng):
        """Content that differs by 20 % up or down from pixel to pixel."""
        step = rng.choice([-20.0, 20.0], truth.shape)
        return self._add(cube, step), truth + step

    def curve(self, cube, truth, rng):
        """A detector or a scatter law that squares the reflectance."""
        return dataclasses.replace(cube, values=cube.values**2), truth

    def glints(self, cube, truth, rng):
        """Wet spots of two pixels that reflect 0.3 more in every band."""
        spots = gaussian_filter(rng.standard_normal(truth.shape), 1.0)
        bright = spots > np.quantile(spots, 0.98)
        return dataclasses.replace(cube, values=cube.values + np.float32(0.3) * bright[:, :, None]), truth

    def stain(self, cube, truth, rng):
        """Blood or colour: wide spots that look like 30 % more of the content, and as much less around them."""
        wide = gaussian_filter(rng.standard_normal(truth.shape), 8.0)
        wide = 30 * np.sign(wide - np.median(wide[cube.foreground]))
        return self._add(cube, wide - wide[cube.foreground].mean()), truth

    def _add(self, cube, content):
        return dataclasses.replace(cube, values=(cube.values + content[:, :, None] * self.slope).astype(np.float32))


def run(knob, epochs, folder):
    images = datasets.open_dataset("phantom-belly")
    fit_on, test = ([s for s in images.samples if (s.split > 0) == kind] for kind in (True, False))
    y = np.array([s.references[images.response] for s in fit_on])
    reference, groups = np.array([s.references[images.response] for s in test]), [s.group for s in fit_on]
    cubes, truths = {s.id: images.cube(s) for s in images.samples}, {s.id: s.truth() for s in images.samples}
    means = np.array([cubes[s.id].mean_spectrum() for s in fit_on])
    slope = np.linalg.lstsq(np.c_[y, np.ones(len(y))], means, rcond=None)[0][0]
    spoil = getattr(Spoiler(slope), knob)
    for k, name in enumerate(cubes):
        cubes[name], truths[name] = spoil(cubes[name], truths[name], np.random.default_rng(k))
    masks, truths = map_grid(cubes), {s.id: block_mean(truths[s.id]) for s in test}
    spectra, seen = np.array([cubes[s.id].mean_spectrum() for s in fit_on]), [cubes[s.id] for s in fit_on]
    tests = {s.id: cubes[s.id] for s in test}
    reader, choice = fit_penalised(spectra, y, seen, groups), choose_pls(spectra, y, groups)
    plain = fit_pls(spectra, y, n_components=choice.n_components, preprocessing=choice.preprocessing)
    full = [reader.predict_map(cube) for cube in seen]
    shared = shared_noise(dict(enumerate(full)), dict(enumerate(cube.foreground for cube in seen)))
    quiet = looks(reader.with_penalty(0.01), tests)
    tuned = Tuned("", "non-local means", 0.8, noise_of(quiet, masks), np.nan, np.nan)
    made = {"PLS": looks(plain, tests), "price 0.01": quiet}
    made["... and non-local means"] = {i: tuned.apply_to_looks(pair, masks[i]) for i, pair in quiet.items()}

    config = config_from(argparse.Namespace(**PRESETS["lesson"] | {"epochs": epochs}, variant="published", seed=0))
    inputs = scale_by_noise(cubes, [s.id for s in fit_on])
    last = max(s.split for s in fit_on) + 1
    (network,) = train_folds(
        [inputs[s.id] for s in fit_on], y.tolist(), [s.split for s in fit_on], config, folder, only=[last],
        readings={last: full},
    )[0].members  # fmt: skip
    made["U-Net"] = {i: predict_looks(network, inputs[i]) for i in tests}
    made["flat"] = {i: np.full((2, *masks[i].shape), p[:, masks[i]].mean()) for i, p in made["PLS"].items()}

    print(f"\n{knob}: {getattr(Spoiler, knob).__doc__ or 'the phantom as it is.'}")
    print(f"  neighbours share noise: {shared['excess']:.3f}; reader {reader.penalty:g}")
    print(f"  {'':26}{'RMSEP':>8}{'held-out':>10}{'true':>8}{'ratio':>8}")
    readings, pairs = looks(reader, tests), []
    for name, looks_of in made.items():
        held = held_out_error(looks_of, readings, masks)["held_out"]
        true = np.sqrt(np.mean([np.mean((p - truths[i])[:, masks[i]] ** 2) for i, p in looks_of.items()]))
        mean = np.array([p[:, masks[i]].mean() for i, p in looks_of.items()])
        rmsep = np.sqrt(np.mean((mean - reference) ** 2))
        pairs.append((held, true))
        print(f"  {name:26}{rmsep:8.2f}{held:10.2f}{true:8.2f}{held / true:8.2f}", flush=True)
    print(f"  rank correlation {spearmanr(*zip(*pairs, strict=True))[0]:.2f}", flush=True)


def main():
    knobs = [name for name in vars(Spoiler) if not name.startswith("_")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=knobs, default=knobs)
    parser.add_argument("--epochs", type=int, default=PRESETS["lesson"]["epochs"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)  # that neighbours share noise is printed
    for knob in args.only:
        with tempfile.TemporaryDirectory() as folder:
            run(knob, args.epochs, folder)


if __name__ == "__main__":
    main()
