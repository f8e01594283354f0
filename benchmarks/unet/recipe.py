"""What each choice of the lesson's recipe is worth: one changed at a time.

python benchmarks/unet/recipe.py [--dataset phantom-belly] [--only NAME ...]

One network of the first fold for each line. Left: the error of the mean and the held-out error on that fold's images,
by which the choices were made; right: errors on the test images, which had no say. The first three lines differ in
the seed alone: smaller differences mean nothing. About half a minute a line, one thread.
"""

import argparse
import tempfile

import numpy as np
import torch

from hsichem import datasets
from hsichem.cubes import block_mean, scale_by_noise
from hsichem.lab import PRESETS
from hsichem.maps import average_metrics, held_out_error, looks_of, map_grid, map_metrics
from hsichem.pls import fit_penalised
from hsichem.unet import config_from, predict_looks, train_folds

CHOICES = {
    "as in the lesson": {},
    "... seed 1": {"seed": 1},
    "... seed 2": {"seed": 2},
    "reflectance, not scaled": {"scale": False},
    "not bounded": {"bounded": False},
    "one image a step, rate 0.001": {"batch": 1, "learning_rate": 1e-3},
    "four images a step": {"batch": 4},
    "rate by plateau, 0.001": {"schedule": "plateau", "learning_rate": 1e-3},
    "gradients not clipped": {"clip": None},
    "smoothness 0.02": {"smoothness": 0.02},
    "smoothness 0.2": {"smoothness": 0.2},
    "held-out weight 10": {"held_out": 10.0},
    "held-out weight 1000": {"held_out": 1000.0},
    "depth 2": {"depth": 2},
    "width 8": {"width": 8},
    "width 32": {"width": 32},
    "30 epochs": {"epochs": 30},
    "120 epochs": {"epochs": 120},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="phantom-belly")
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=list(CHOICES))
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = datasets.open_dataset(args.dataset)
    fit_on, test = ([s for s in images.samples if (s.split > 0) == kind] for kind in (True, False))
    cubes = {s.id: images.cube(s) for s in images.samples}
    reference = {s.id: s.references[images.response] for s in images.samples}
    y, folds = np.array([reference[s.id] for s in fit_on]), np.array([s.split for s in fit_on])
    spectra, grid = np.array([cubes[s.id].mean_spectrum() for s in fit_on]), map_grid(cubes)
    truths = {s.id: block_mean(s.truth()) for s in test}
    fold, keep = int(folds[0]), folds != folds[0]
    seen = [cubes[s.id] for s in fit_on if s.split != fold]
    reader = fit_penalised(spectra[keep], y[keep], seen, np.array([s.group for s in fit_on])[keep])
    read = {s.id: reader.predict_map(cubes[s.id]) for s in images.samples}
    readings = {name: looks_of(map_) for name, map_ in read.items()}
    inputs = scale_by_noise(cubes, [s.id for s in fit_on])
    held = [s.id for s in fit_on if s.split == fold]

    print(f"{'':32}{'fold ' + str(fold):>16}{'test images':>24}")
    print(f"{'':32}{'mean':>8}{'held-out':>10}{'RMSEP':>8}{'pixel RMSE':>12}{'slope':>8}{'outside':>9}")
    for choice in args.only:
        lesson = argparse.Namespace(**{"seed": 0, "variant": "published"} | PRESETS["lesson"] | CHOICES[choice])
        cubes_in = inputs if lesson.scale else cubes
        with tempfile.TemporaryDirectory() as folder:
            (network,) = train_folds(
                [cubes_in[s.id] for s in fit_on], y.tolist(), folds.tolist(), config_from(lesson), folder,
                only=[fold], readings={fold: [read[s.id] for s in fit_on]},
            )[0].members  # fmt: skip
        looks = {name: predict_looks(network, cubes_in[name]) for name in (*held, *truths)}
        maps = {name: pair.mean(axis=0) for name, pair in looks.items()}
        off = {name: map_[grid[name]].mean() - reference[name] for name, map_ in maps.items()}
        rmse, rmsep = (np.sqrt(np.mean([off[name] ** 2 for name in part])) for part in (held, truths))
        error = held_out_error({name: looks[name] for name in held}, readings, grid)["held_out"]
        found = average_metrics([map_metrics(maps[name], truths[name], grid[name]) for name in truths])
        print(
            f"{choice:32}{rmse:8.2f}{error:10.2f}{rmsep:8.2f}{found['pixel_rmse']:12.2f}{found['slope']:8.2f}"
            f"{100 * found['outside_share']:8.2f}%",
            flush=True,
        )


if __name__ == "__main__":
    main()
