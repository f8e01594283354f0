"""The published network at full width and depth, with its own loss and with held-out pixels, on bellies of 512 x 384.

python benchmarks/unet/full_width.py [--epochs 30] [--folder FOLDER] [--out FOLDER]

Phantom bellies as in the lesson, at a quarter of its pixel pitch: 40 to learn from, 20 to test on. Two networks of 64
channels, four poolings and mirrored images, as published; both see bands in units of their noise and are trained in a
one-cycle of as many steps, in bfloat16, each on one core. They differ in the loss, and in the bound that goes with it:

without  mean error + smoothness + out-of-bounds + L2; the weight 20 at the published pitch of 0.3 mm is 3.2 at 0.75 mm
with     mean error + held-out pixels; output bounded

FOLDER keeps images and networks, and a stopped run goes on from its last epoch. --out gets full_width.json and .png;
those in notebooks/ are shown in chapter 03. They took 94 minutes on two cores with much other work beside; a step takes
2.8 s on an idle one. The loss without held-out pixels still falls at the end, by a seventh in three epochs: that
network has not converged.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from hsichem import datasets
from hsichem.cubes import block_mean, scale_by_noise
from hsichem.datasets import store
from hsichem.lab import PRESETS, each_on, plotting
from hsichem.maps import held_out_error, judge, looks, map_grid, tune
from hsichem.pls import choose_pls, fit_penalised, fit_pls, linear_models
from hsichem.unet import config_from, predict_looks, predict_map, train_folds

SIZE = {"rows": 512, "cols": 384, "pitch_mm": 0.75}
SAME = {"variant": "published", "precision": "bfloat16", "scale": True, "schedule": "one-cycle", "clip": 5.0}
LOSSES = {
    "without": {"smoothness": 20 * (0.3 / 0.75) ** 2, "held_out": 0.0, "bounded": False},
    "with": {"smoothness": 0.0, "held_out": 100.0, "bounded": True},
}
FIGURES = ("rmsep", "pixel_rmse", "slope", "outside_share", "held_out")


def opened(folder):
    known = datasets.read_manifest()
    entry = known["phantom-belly"]
    entry["recipe"]["sizes"]["middle"] = entry["recipe"]["sizes"]["lesson"] | SIZE
    entry["stored"], entry["bin"] = ["middle"], {"middle": 1}
    store.read_manifest = lambda root=None: known
    return datasets.open_dataset("phantom-belly", root=folder, size="middle")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=Path("runs/full_width"))
    parser.add_argument("--out", type=Path, default=Path("runs/full_width"))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    images = opened(args.folder)
    fit_on, test = ([s for s in images.samples if (s.split > 0) == kind] for kind in (True, False))
    cubes = {s.id: images.cube(s) for s in (*fit_on, *test)}
    y, target = (np.array([s.references[images.response] for s in part]) for part in (fit_on, test))
    folds, animals = (np.array([getattr(s, key) for s in fit_on]) for key in ("split", "group"))
    spectra, grid = np.array([cubes[s.id].mean_spectrum() for s in fit_on]), map_grid(cubes)
    truths, groups = {s.id: block_mean(s.truth()) for s in test}, [s.group for s in test]

    # The linear maps: PLS, and the best with a filter, chosen on calibration images without a truth.
    choice = choose_pls(spectra, y, animals)
    reader = fit_penalised(spectra, y, [cubes[s.id] for s in fit_on], animals)
    models = linear_models(choice, reader, spectra, y)
    some, tests = {s.id: cubes[s.id] for s in fit_on[::6]}, {s.id: cubes[s.id] for s in test}
    best = tune({n: (r, looks(m, some)) for n, (r, m) in models.items()}, looks(reader, some), grid)[0]
    plain = fit_pls(spectra, y, n_components=choice.n_components, preprocessing=choice.preprocessing)
    readings, seen = looks(reader, tests), {"PLS": looks(plain, tests)}
    maps = {"PLS": {name: pair.mean(axis=0) for name, pair in seen["PLS"].items()}}
    pairs = looks(models[best.model][1], tests)
    opponent = f"linear {best.kind}"
    maps[opponent] = {name: best.apply(pair, grid[name]) for name, pair in pairs.items()}
    seen[opponent] = {name: best.apply_to_looks(pair, grid[name]) for name, pair in pairs.items()}

    inputs = scale_by_noise(cubes, [s.id for s in fit_on])
    learned = [inputs[s.id] for s in fit_on], y.tolist(), folds.tolist()
    every = int(folds.max()) + 1  # no image's fold: trained on all
    read = {every: [reader.predict_map(cubes[s.id]) for s in fit_on]}

    def trained(name):
        given = PRESETS["paper"] | SAME | {"epochs": args.epochs, "seed": 0} | LOSSES[name]
        config = config_from(argparse.Namespace(**given))
        options = {"readings": read if given["held_out"] else None, "only": [every]}
        ensemble, history = train_folds(*learned, config, args.folder / "networks", **options)
        return ensemble.members[0], history[every]["total"].tolist()

    losses = {}
    for name, (network, loss) in each_on("local", args.folder)(trained, {n: n for n in LOSSES}).items():
        label = f"{name} held-out pixels"
        seen[label] = {s.id: predict_looks(network, inputs[s.id]) for s in test}
        maps[label] = {s.id: predict_map(network, inputs[s.id]) for s in test}
        if network.by_looks:
            maps[label] = {i: pair.mean(axis=0) for i, pair in seen[label].items()}
        losses[label] = loss

    found = {"samples": len(fit_on), "epochs": args.epochs, "loss": losses, "methods": {}}
    masks = {s.id: grid[s.id] for s in test}
    print(f"{'':26}" + "".join(f"{name:>15}" for name in FIGURES))
    for name, made in maps.items():
        judged = judge(made, truths, masks, target, groups, 0)
        figures = judged["map"] | judged["mean"] | held_out_error(seen[name], readings, masks, groups, 0)
        found["methods"][name] = {key: float(figures[key]) for key in FIGURES}
        print(f"{name:26}" + "".join(f"{figures[key]:15.3f}" for key in FIGURES), flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "full_width.json").write_text(json.dumps(found, indent=1) + "\n")
    plotting.use_style()
    example = test[int(np.argsort(target)[len(test) // 2])].id
    labels = {"limits": images.colour_limits, "label": images.response, "unit": images.unit, "pitch_mm": 1.5}
    shown = {"truth": truths[example]} | {name: made[example] for name, made in maps.items()}
    plotting.show_maps(shown, masks[example], **labels).savefig(args.out / "full_width.png", bbox_inches="tight")
    plt.close("all")


if __name__ == "__main__":
    main()
