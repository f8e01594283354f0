"""What 16 bits cost: the error of stored reflectance against the noise of its pixels, and a lesson network's losses.

python benchmarks/cubes/stored.py [--dataset phantom-belly] [--size lesson] [--images 4] [--epochs 60]

Small sets are stored as float32, so the lesson has no such error; here its images are stored both ways. --epochs 0
leaves the networks out. One thread; three minutes.

Found on phantom-belly, lesson: reflectance from about -1 to 1.9, so a step of 4.5e-05 and an error of 1.3e-05; a
pixel's noise is 0.03 to 0.29, so the error is 0.0005 of it at most; of mean spectra it is below 1e-06. After 60 epochs:

                           mse  held-out     total  validation mse  held-out
    float32, seed 0      0.909    106.81    107.72           1.493    1.0905
    uint16, seed 0       0.880    106.86    107.74           1.522    1.0913
    float32, seed 1      0.961    107.39    108.35           1.279    1.0948

Not the same figures, but nearer to each other than those of two seeds.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from hsichem import datasets
from hsichem.cubes import open_cube, scale_by_noise, store_cube
from hsichem.lab import PRESETS
from hsichem.pls import fit_penalised
from hsichem.unet import config_from, train_folds

MANY = {"float32": 1, "uint16": 10**9}  # images in a set


def noise_of(cube):
    """(bands,) standard deviation of a pixel, from the median difference of neighbours in a row."""
    both = cube.foreground[:, 1:] & cube.foreground[:, :-1]
    return np.median(np.abs(np.diff(cube.values, axis=1)[both]), axis=0) / (0.6745 * 2**0.5)


def errors(images, folder, many):
    for sample in images.samples[:many]:
        cube = images.cube(sample)
        store_cube(Path(folder) / "one", cube, MANY["uint16"])
        again = open_cube(Path(folder) / "one").values
        error, noise = (again - cube.values.astype(np.float64))[cube.foreground].std(axis=0), noise_of(cube)
        means = np.abs(again[cube.foreground].mean(axis=0, dtype=float) - cube.mean_spectrum()).max()
        low, high = again.offset, again.offset + 65535 * again.gain
        print(
            f"{sample.id}: range {low:.2f} to {high:.2f}, step {again.gain:.1e}; error {error.mean():.1e}, of the mean "
            f"spectrum {means:.0e}; noise of a pixel {noise.min():.4f} to {noise.max():.4f}; error over noise "
            f"{(error / noise).max():.4f} at most"
        )


def losses(images, folder, epochs):
    fit_on = [sample for sample in images.samples if sample.split > 0]
    y, folds = np.array([s.references[images.response] for s in fit_on]), np.array([s.split for s in fit_on])
    lesson = PRESETS["lesson"] | {"epochs": epochs, "variant": "published"}
    print(f"{'':20}{'mse':>10}{'held-out':>10}{'total':>10}{'validation mse':>16}{'held-out':>10}")
    for kind, seed in (("float32", 0), ("uint16", 0), ("float32", 1)):
        cubes = {}
        for sample in fit_on:
            store_cube(path := Path(folder) / kind / sample.id, images.cube(sample), MANY[kind])
            cubes[sample.id] = open_cube(path)
        spectra, keep = np.array([cube.mean_spectrum() for cube in cubes.values()]), folds != folds[0]
        seen = [cubes[s.id] for s in fit_on if s.split != folds[0]]
        reader = fit_penalised(spectra[keep], y[keep], seen, np.array([s.group for s in fit_on])[keep])
        inputs, read = scale_by_noise(cubes, list(cubes)), [reader.predict_map(cube) for cube in cubes.values()]
        _, histories = train_folds(
            list(inputs.values()), y.tolist(), folds.tolist(), config_from(argparse.Namespace(**lesson, seed=seed)),
            Path(folder) / f"{kind}-{seed}", only=[int(folds[0])], readings={int(folds[0]): read},
        )  # fmt: skip
        last = {name: rows[-1] for name, rows in histories[int(folds[0])].items()}
        print(
            f"{kind + ', seed ' + str(seed):20}{last['mse']:10.3f}{last['held_out']:10.2f}{last['total']:10.2f}"
            f"{last['validation_mse']:16.3f}{last['validation_held_out']:10.4f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="phantom-belly")
    parser.add_argument("--size")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = datasets.open_dataset(args.dataset, size=args.size)
    with tempfile.TemporaryDirectory() as folder:
        errors(images, folder, args.images)
        if args.epochs:
            losses(images, folder, args.epochs)


if __name__ == "__main__":
    main()
