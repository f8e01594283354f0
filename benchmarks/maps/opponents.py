"""More opponents for the U-Net than the lesson has, each with its fair chance: can a simpler map come nearer?

python benchmarks/maps/opponents.py [--dataset phantom-belly]

All are chosen on calibration images without a truth, by the error of the mean and the held-out error, and looked at on
the test images once:

as in the lesson  PLS and penalised vectors, with every filter (`hsichem.maps.tune`)
... bounded       the best of them, cut to 0-100 % so that its mean stays, which is the nearest map within the bounds
... and its mean  ... with the mean that the reader predicts from the mean spectrum
MNF               minimum noise fractions (Green et al. 1988, doi 10.1109/36.3001): pixels turned to components whose
                  noise is 1, the first k regressed on, none filtered
MNF, filtered     ... each component by non-local means before the regression, as is usual in remote sensing
pixel network     hsichem.unet.PixelNetwork, three on all calibration images, with the filter that suits it best

About five minutes on one core.
"""

import argparse
import tempfile

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.optimize import brentq

from hsichem import datasets
from hsichem.cubes import block_mean, make_pipeline, scale_by_noise
from hsichem.lab import PRESETS
from hsichem.maps import FILTERS, filtered, held_out_error, judge, looks, looks_of, map_grid, tune
from hsichem.pls import choose_pls, deal_folds, fit_penalised, linear_models, read_without
from hsichem.pls.penalised import noise_covariance
from hsichem.unet import config_from, predict_looks, train_folds

COMPONENTS = (3, 4, 5, 6, 8, 10, 15)


def bounded(map_, mask, mean=None):
    """The nearest map within 0-100 %, in least squares, of all that have its mean, or the mean given."""
    values = map_[mask].astype(float)
    goal = np.clip(values.mean() if mean is None else mean, 0.01, 99.99)
    step = brentq(lambda step: np.clip(values + step, 0, 100).mean() - goal, -1000, 1000)
    return np.where(mask, np.clip(map_ + step, 0, 100), np.nan)


class Fractions:
    """MNF components of pixels, in the order of their signal to noise, and regressions on the first k of them."""

    def __init__(self, cubes, spectra, y, animals):
        pixels = np.concatenate([np.asarray(c.values)[c.foreground][::7] for c in cubes]).astype(float)
        noise = noise_covariance(cubes, make_pipeline(None))
        _, vectors = eigh(np.cov(pixels, rowvar=False), noise)
        self.centre, self.vectors = pixels.mean(axis=0), vectors[:, ::-1]
        self.scores, self.y, self.folds = (spectra - self.centre) @ self.vectors, y, deal_folds(len(y), animals, 0)[0]
        largest = max(COMPONENTS)
        self.looks_of = lambda cube: np.stack(
            [looks_of(((cube.values[:] - self.centre) @ v).astype(np.float32)) for v in self.vectors[:, :largest].T]
        )  # (components, 2, rows, cols)

    def fit(self, k, keep=...):
        given = np.column_stack([np.ones(len(self.y)), self.scores[:, :k]])[keep]
        return np.linalg.lstsq(given, self.y[keep], rcond=None)[0]

    def rmsecv(self, k):
        errors = []
        for fold in np.unique(self.folds):
            b = self.fit(k, self.folds != fold)
            errors.extend(b[0] + self.scores[self.folds == fold, :k] @ b[1:] - self.y[self.folds == fold])
        return float(np.sqrt(np.mean(np.square(errors))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="phantom-belly")
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = datasets.open_dataset(args.dataset)
    fit_on, test = ([s for s in images.samples if (s.split > 0) == kind] for kind in (True, False))
    cubes = {s.id: images.cube(s) for s in images.samples}
    y, target = (np.array([s.references[images.response] for s in part]) for part in (fit_on, test))
    folds, animals = (np.array([getattr(s, key) for s in fit_on]) for key in ("split", "group"))
    spectra, grid = np.array([cubes[s.id].mean_spectrum() for s in fit_on]), map_grid(cubes)
    groups, truths = [s.group for s in test], {s.id: block_mean(s.truth()) for s in test}
    calibration = [cubes[s.id] for s in fit_on]
    reader = fit_penalised(spectra, y, calibration, animals)
    some, tests = {s.id: cubes[s.id] for s in fit_on[::3]}, {s.id: cubes[s.id] for s in test}
    readings, test_readings = looks(reader, some), looks(reader, tests)
    means = {s.id: reader.predict(cubes[s.id].mean_spectrum()[None])[0] for s in test}
    maps, seen, chosen = {}, {}, {}

    def keep(name, label, total, made):
        """made: {image: (its map, its looks)}."""
        chosen[name] = label, total
        maps[name], seen[name] = ({i: pair[k] for i, pair in made.items()} for k in (0, 1))

    models = linear_models(choose_pls(spectra, y, animals), reader, spectra, y)
    best = tune({n: (r, looks(m, some)) for n, (r, m) in models.items()}, readings, grid)[0]
    pairs = looks(models[best.model][1], tests)
    made = {i: (best.apply(pair, grid[i]), best.apply_to_looks(pair, grid[i])) for i, pair in pairs.items()}
    label = f"{best.model}, {best.kind} {best.strength:g}"
    keep("as in the lesson", label, best.total, made)
    for name, given in {"... bounded": dict.fromkeys(means), "... and its mean": means}.items():
        cut = {
            i: (bounded(m, grid[i], given[i]), np.stack([bounded(look, grid[i], given[i]) for look in pair]))
            for i, (m, pair) in made.items()
        }
        keep(name, label, np.nan, cut)

    fractions = Fractions(calibration, spectra, y, animals)
    parts = {i: fractions.looks_of(cubes[i]) for i in (*some, *tests)}

    def regressed(pair, b, mask, strength, noise):
        """Components (k, rows, cols) to a map, each filtered if strength is not 0."""
        kept = [filtered(part, mask, "non-local means", strength, noise) if strength else part for part in pair]
        return b[0] + np.tensordot(b[1:], np.stack(kept), 1)

    found = []
    strengths = FILTERS["non-local means"]
    clean = {(i, 0): parts[i] for i in some}  # components of calibration images, for each strength once; 0 is none
    for i, h in ((i, h) for h in strengths for i in some):
        clean[i, h] = np.stack(
            [[filtered(look, grid[i], "non-local means", h, 2**-0.5) for look in p] for p in parts[i]]
        )
    for k in COMPONENTS:
        b = fractions.fit(k)
        for h in (0, *strengths):
            made = {i: b[0] + np.tensordot(b[1:], clean[i, h][:k], 1) for i in some}
            error = held_out_error(made, readings, grid)["held_out"]
            found.append((float(np.hypot(fractions.rmsecv(k), error)), k, h))
    for name, wanted in {"MNF": (0,), "MNF, filtered": strengths}.items():
        total, k, h = min(each for each in found if each[2] in wanted)
        b = fractions.fit(k)
        made = {}
        for i in tests:
            alone = [regressed(parts[i][:k, look], b, grid[i], h, 2**-0.5) for look in (0, 1)]
            made[i] = regressed(parts[i][:k].mean(axis=1), b, grid[i], h, 0.5), np.stack(alone)
        keep(name, f"{k} components, strength {h:g}", total, made)

    lesson = argparse.Namespace(**PRESETS["lesson"] | {"seed": 0, "variant": "published", "network": "pixel"})
    inputs, config = scale_by_noise(cubes, [s.id for s in fit_on]), config_from(lesson)
    own = sorted(set(folds.tolist()))
    refits = [own[-1] + number for number in (1, 2, 3)]
    read = read_without(spectra, y, calibration, folds, animals, [*own, *refits])
    with tempfile.TemporaryDirectory() as folder:
        given = [inputs[s.id] for s in fit_on], y.tolist(), folds.tolist(), config, folder
        by_fold = dict(zip(own, train_folds(*given, readings=read)[0].members, strict=True))
        final = train_folds(*given, only=refits, readings=read)[0].members
    pairs = {s.id: predict_looks(by_fold[s.split], inputs[s.id]) for s in fit_on}
    rmsecv = np.sqrt(
        np.mean([(pairs[s.id].mean(axis=0)[grid[s.id]].mean() - v) ** 2 for s, v in zip(fit_on, y, strict=True)])
    )
    best = tune({"pixel network": (rmsecv, {i: pairs[i] for i in some})}, readings, grid)[0]
    pairs = {i: np.mean([predict_looks(member, inputs[i]) for member in final], axis=0) for i in tests}
    made = {i: (best.apply(pair, grid[i]), best.apply_to_looks(pair, grid[i])) for i, pair in pairs.items()}
    keep("pixel network", f"{best.kind} {best.strength:g}", best.total, made)

    print(f"{'':18}{'RMSEP':>7}{'held-out':>10}{'pixel RMSE':>12}{'slope':>7}{'outside':>9}  foretold  chosen")
    masks = {i: grid[i] for i in tests}
    for name, (label, total) in chosen.items():
        judged = judge(maps[name], truths, masks, target, groups, 0)
        error = held_out_error(seen[name], test_readings, masks, groups)["held_out"]
        print(
            f"{name:18}{judged['mean']['rmsep']:7.2f}{error:10.2f}{judged['map']['pixel_rmse']:12.2f}"
            f"{judged['map']['slope']:7.2f}{100 * judged['map']['outside_share']:8.2f}%{total:10.2f}  {label}"
        )


if __name__ == "__main__":
    main()
