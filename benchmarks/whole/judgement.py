"""The final judgement: the U-Net with held-out pixels against the best linear map, on phantoms and real powders.

python benchmarks/whole/judgement.py [--sets phantom-1 phantom-2 ... mineral-mixtures] [--seeds 5] [--out FOLDER]

phantom-N is the manifest's phantom-belly made with recipe seed N (1 is its own); nothing was tuned on 2 to 4. The
recipe is that of notebooks 02 and 03, preset "lesson". Opponents are chosen on calibration images without a truth, and
test images are looked at once, for the table. One thread; about 25 minutes a set. FOLDER gets judgement.json, a set at
a time (sets that are there are kept), and judgement.png: held-out error against true error.
"""

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from hsichem import datasets
from hsichem.cubes import block_mean, scale_by_noise
from hsichem.datasets.makers import phantom
from hsichem.datasets.samples import LAYOUTS
from hsichem.lab import PRESETS
from hsichem.maps import (
    blend_weight,
    held_out_error,
    judge,
    looks,
    map_grid,
    pixel_rmse_against,
    rmsep_against,
    shared_noise,
    tune,
    with_mean,
)
from hsichem.pls import choose_pls, fit_penalised, fit_pls, linear_models, read_without
from hsichem.unet import config_from, predict_looks, train_folds

REFITS = 3  # networks on all calibration images, as PLS is fitted anew when its components are chosen
SETS = ("phantom-1", "phantom-2", "phantom-3", "phantom-4", "mineral-mixtures")


def samples_of(name, folder):
    """(samples, cube of a sample, response) of a data set."""
    if not name.startswith("phantom-"):
        opened = datasets.open_dataset(name)
        return opened.samples, opened.cube, opened.response
    opened = datasets.open_dataset("phantom-belly")
    if name == "phantom-1":
        return opened.samples, opened.cube, opened.response
    entry = datasets.read_manifest()["phantom-belly"]
    phantom.make(folder, entry["recipe"]["sizes"]["lesson"], int(name.removeprefix("phantom-")))
    return LAYOUTS["captures"](Path(folder), entry["references"]), opened.cube, opened.response


class Study:
    """One data set: its images, its linear models, and the maps of the test images by method."""

    def __init__(self, name, folder):
        samples, cube_of, response = samples_of(name, folder)
        self.cubes, self.folder = {s.id: cube_of(s) for s in samples}, Path(folder)
        self.fit_on, self.test = ([s for s in samples if (s.split > 0) == kind] for kind in (True, False))
        self.y, self.reference = (np.array([s.references[response] for s in part]) for part in (self.fit_on, self.test))
        self.folds, self.groups = np.array([s.split for s in self.fit_on]), np.array([s.group for s in self.fit_on])
        self.test_groups = [s.group for s in self.test]
        self.spectra = np.array([self.cubes[s.id].mean_spectrum() for s in self.fit_on])
        self.masks, self.truths = map_grid(self.cubes), {s.id: block_mean(s.truth()) for s in self.test}
        self.tests = {s.id: self.cubes[s.id] for s in self.test}
        self.some = {s.id: self.cubes[s.id] for s in self.fit_on[::3]}  # that filters are tuned on
        calibration = [self.cubes[s.id] for s in self.fit_on]
        self.reader = fit_penalised(self.spectra, self.y, calibration, self.groups)  # it judges maps
        self.methods, self.looks, self.figures = {}, {}, {"reader": self.reader.penalty}

    def linear(self):
        """PLS as cross-validation of the means chooses it, the reader, and the best map with each filter."""
        choice = choose_pls(self.spectra, self.y, self.groups)
        plain = fit_pls(self.spectra, self.y, n_components=choice.n_components, preprocessing=choice.preprocessing)
        models = linear_models(choice, self.reader, self.spectra, self.y)
        self.readings = looks(self.reader, self.some)
        tuned = tune({n: (r, looks(m, self.some)) for n, (r, m) in models.items()}, self.readings, self.masks)
        self.test_looks = {n: looks(m, self.tests) for n, (_, m) in models.items()}
        for label, model in {"PLS": plain, "reader": self.reader}.items():
            self.looks[label] = looks(model, self.tests)
            self.methods[label] = {i: pair.mean(axis=0) for i, pair in self.looks[label].items()}
        for kind in dict.fromkeys(each.kind for each in tuned):
            best = next(each for each in tuned if each.kind == kind)
            label = f"{best.model}, {kind} {best.strength:g}"
            self.methods[label], self.looks[label] = self.filtered(best, self.test_looks[best.model])
            if best is tuned[0]:
                self.opponent = label
        self.tuned = tuned

    def filtered(self, tuned, looks_of):
        """({image: map}, {image: looks}) after a tuned filter."""
        maps = {i: tuned.apply(pair, self.masks[i]) for i, pair in looks_of.items()}
        return maps, {i: tuned.apply_to_looks(pair, self.masks[i]) for i, pair in looks_of.items()}

    def network(self, seed):
        """The U-Net of a seed: a network for each fold decides filter and mean, REFITS on all images make the maps."""
        lesson = argparse.Namespace(**PRESETS["lesson"], seed=seed, variant="published", precision="float32")
        config, images = config_from(lesson), scale_by_noise(self.cubes, [s.id for s in self.fit_on])
        inputs = [images[s.id] for s in self.fit_on], self.y.tolist(), self.folds.tolist()
        own, calibration = sorted(set(self.folds.tolist())), [self.cubes[s.id] for s in self.fit_on]
        refits = [max(own) + k for k in range(1, REFITS + 1)]  # folds that hold no image
        maps_of = read_without(self.spectra, self.y, calibration, self.folds, self.groups, [*own, *refits])
        began, folder = time.perf_counter(), self.folder / "unet"
        ensemble, _ = train_folds(*inputs, config, folder, readings=maps_of)
        final, _ = train_folds(*inputs, config, folder, only=refits, readings=maps_of)
        took = time.perf_counter() - began
        networks = dict(zip(own, ensemble.members, strict=True))
        looks_own = {s.id: predict_looks(networks[s.split], images[s.id]) for s in self.fit_on}
        mean = np.array([looks_own[s.id].mean(axis=0)[self.masks[s.id]].mean() for s in self.fit_on])
        linear = np.array([np.nanmean(maps_of[s.split][i], dtype=float) for i, s in enumerate(self.fit_on)])
        weight = blend_weight(self.y, mean, linear)
        rmsecv = float(np.sqrt(np.mean((mean + weight * (linear - mean) - self.y) ** 2)))
        some = {i: looks_own[i] for i in self.some}
        best = tune({"U-Net": (rmsecv, some)}, self.readings, self.masks, ("none", "total variation"))[0]
        made = {i: np.mean([predict_looks(m, images[i]) for m in final.members], axis=0) for i in self.tests}
        maps, looks_ = self.filtered(best, made)
        for i, map_ in maps.items():
            goal = map_[self.masks[i]].mean()
            goal += weight * (self.reader.predict(self.cubes[i].mean_spectrum()[None])[0] - goal)
            maps[i] = with_mean(map_, self.masks[i], goal)
        self.methods[f"U-Net {seed}"], self.looks[f"U-Net {seed}"] = maps, looks_
        print(
            f"  U-Net {seed}: {took:.0f} s, filter {best.kind} {best.strength:g}, {weight:.2f} of the linear mean, "
            f"RMSECV {rmsecv:.2f}, held-out {best.held_out:.2f}",
            flush=True,
        )

    def judged(self):
        """{method: figures}: errors of means and pixels, both ratios, held-out error, the true error of the looks."""
        found, readings = {}, looks(self.reader, self.tests)
        errors = {n: [self._rmse([m[i]], i) for i in self.tests] for n, m in self.methods.items()}
        means = {}
        for name, maps in self.methods.items():
            figures = judge(maps, self.truths, self.masks, self.reference, self.test_groups, 0)
            means[name] = figures["mean"]["predicted"]
            found[name] = {"rmsep": figures["mean"]["rmsep"]} | figures["map"]
            found[name] |= pixel_rmse_against(errors[name], errors[self.opponent], self.test_groups)
        for name in found:
            for label in ("PLS", "reader"):
                ratio = rmsep_against(self.reference, means[name], means[label], self.test_groups)
                found[name][f"rmsep_to_{label}"] = ratio["rmsep_ratio"], *ratio["rmsep_ratio_interval"]
            found[name] |= held_out_error(self.looks[name], readings, self.masks, self.test_groups)
            found[name]["true_of_looks"] = self._true(self.looks[name])
        return found

    def _both(self, looks_of, readings):
        held = held_out_error(looks_of, readings, self.masks, self.test_groups)["held_out"]
        return held, self._true(looks_of)

    def _rmse(self, maps, i):
        return float(np.sqrt(np.mean([(m - self.truths[i])[self.masks[i]] ** 2 for m in maps])))

    def _true(self, looks_of):
        return float(np.sqrt(np.mean([self._rmse(pair, i) ** 2 for i, pair in looks_of.items()])))

    def scatter(self, judged):
        """[(name, held-out, true error)] of the methods, of every linear setting, and of maps that know nothing."""
        readings, found = looks(self.reader, self.tests), []
        every = {
            f"{t.model}, {t.kind} {t.strength:g}": self.filtered(t, self.test_looks[t.model])[1] for t in self.tuned
        }
        flat = {i: np.stack([np.full(self.masks[i].shape, p.mean())] * 2) for i, p in self.methods["PLS"].items()}
        for i in flat:
            flat[i][:] = np.nanmean(np.where(self.masks[i], self.methods["PLS"][i], np.nan))
        for name, pair in (every | {"flat": flat}).items():
            found.append(
                (name, held_out_error(pair, readings, self.masks, self.test_groups)["held_out"], self._true(pair))
            )
        return found + [(n, f["held_out"], f["true_of_looks"]) for n, f in judged.items() if n.startswith("U-Net")]


def study(name, seeds):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the noise that neighbours share is printed below
        one = Study(name, folder)
        one.linear()
        inside = {i: cube.foreground for i, cube in one.cubes.items()}
        shared = shared_noise({s.id: one.reader.predict_map(one.cubes[s.id]) for s in one.fit_on}, inside)
        print(f"{name}: reader {one.reader.penalty:g}, shared noise {shared['excess']:.3f}", flush=True)
        print(
            "  ten best settings:", ", ".join(f"{t.model} {t.kind} {t.strength:g}" for t in one.tuned[:10]), flush=True
        )
        for seed in range(seeds):
            one.network(seed)
        judged = one.judged()
        return {
            "opponent": one.opponent,
            "shared_noise": shared,
            "methods": judged,
            "scatter": one.scatter(judged),
        }


def show(name, found):
    print(f"{name}; the best opponent, chosen without a truth: {found['opponent']}")
    head = ("pixel RMSE", "to opponent", "", "slope", "outside %", "RMSEP", "to PLS", "to reader", "held-out", "true")
    print(" " * 38 + "".join(f"{h:>12}" for h in head))

    def line(label, f, spread=""):
        low, high = f["pixel_rmse_ratio_interval"]
        cells = (f"{f['pixel_rmse']:.2f}", f"{f['pixel_rmse_ratio']:.2f}", f"{low:.2f}-{high:.2f}", f"{f['slope']:.3f}")
        cells += (f"{100 * f['outside_share']:.2f}", f"{f['rmsep']:.2f}", f"{f['rmsep_to_PLS'][0]:.2f}")
        cells += (f"{f['rmsep_to_reader'][0]:.2f}", f"{f['held_out']:.2f}", f"{f['true_of_looks']:.2f}")
        print(f"  {label:36}" + "".join(f"{c:>12}" for c in cells) + spread)

    for label, f in found["methods"].items():
        line(label, f)
    nets = [f for label, f in found["methods"].items() if label.startswith("U-Net")]
    for key in ("pixel_rmse", "pixel_rmse_ratio", "slope", "rmsep", "held_out", "true_of_looks"):
        values = [f[key] for f in nets]
        print(f"  U-Net {key}: {np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}")
    for key in ("rmsep_to_PLS", "rmsep_to_reader"):
        print(f"  U-Net {key}: {np.mean([f[key][0] for f in nets]):.3f}")
    linear = {name: error for name, _, error in found["scatter"] if name.startswith(("PLS", "penalised"))}
    least, ours = min(linear, key=linear.get), np.mean([f["true_of_looks"] for f in nets])
    print(f"  least true error of {len(linear)} linear ways, by the truth: {linear[least]:.2f}, {least};", end=" ")
    print(f"{sum(error < ours for error in linear.values())} are below the U-Net's {ours:.2f}")
    _, held, true = zip(*found["scatter"], strict=True)
    print(f"  rank correlation of held-out and true error, {len(held)} ways: {spearmanr(held, true)[0]:.3f}")
    held, true = zip(*[(f["held_out"], f["true_of_looks"]) for f in found["methods"].values()], strict=True)
    print(f"  ... of the table's methods: {spearmanr(held, true)[0]:.3f}", flush=True)


def draw(results, path):
    """Held-out error against true error, a panel for each set."""
    import matplotlib.pyplot as plt

    from hsichem.lab import plotting

    plotting.use_style()
    fig, axes = plt.subplots(1, len(results), figsize=(3.4 * len(results), 3.4), squeeze=False)
    for ax, (name, found) in zip(axes.flat, results.items(), strict=True):
        groups = {"linear, filtered or not": "", "U-Net": "U-Net", "flat map": "flat"}
        for (label, start), colour in zip(groups.items(), ("0.6", plotting.BLUE, "black"), strict=True):
            own = [(t, h) for n, h, t in found["scatter"] if (n.startswith(start) if start else n[0] in "Pp")]
            ax.loglog(*zip(*own, strict=True), "o" if start != "flat" else "s", ms=4, color=colour, label=label)
        ax.axline((5, 5), (10, 10), color="0.35", ls="--", lw=1)
        ax.set(title=name, xlabel="true pixel error (%)", xlim=(3, 80), ylim=(3, 80))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(plt.FixedLocator([3, 5, 10, 20, 50]))
            axis.set_major_formatter("{x:g}")
        ax.minorticks_off()
    axes[0, 0].set_ylabel("held-out error (%)")
    axes[0, 0].legend()
    fig.savefig(path, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/judgement"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "judgement.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in args.sets:
        if name not in results:
            results[name] = study(name, args.seeds)
            file.write_text(json.dumps(results, indent=1, default=lambda number: number.item()))
        show(name, results[name])
    draw({name: results[name] for name in args.sets}, args.out / "judgement.png")


if __name__ == "__main__":
    main()
