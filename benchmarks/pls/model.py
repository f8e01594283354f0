"""PLS by hsichem and by scikit-learn: choosing the component count, and mapping a cube of the published size.

python benchmarks/pls/model.py [--size 2360x1272] [--repeats 5] [--preprocessing none sg1 snv absorbance+snv+sg1]

What is compared takes turns in one process; the tables have medians. A map is also set beside one pass of `cube.sum()`
over the cube: it can hardly be faster than reading its input. Results are checked to be equal before anything is
timed. Nothing here fails because of a time.

Found: a pixel of a map differs from `predict` by up to 1e-6 of the sum of |coefficient x spectrum|, as float32 rounds.
SNV takes 4 to 5 passes, not 3 (one core, blocks of 4,096 spectra, `sum()` is one pass): a product with a vector takes
1.1, the sums of squares 1.3, and unless it is centred first, float32 loses a spectrum's variance. Tried:
- sums and projection in one product, squares by einsum, nothing centred: 2.6 passes, but the error grows with the
  square of a spectrum's mean over its standard deviation, m: 2e-6 at m = 3, 2e-5 at 10, 2e-4 at 30; ours stays at 1e-7;
- the same after one number is taken from a whole block: 3.3 passes; 8e-6, 1e-4 and 1e-3 where the brightness of the
  pixels goes from 0.2 to 1.4;
- the same after one band is taken from each spectrum: exact, but 5.4 passes. Smaller blocks are slower.
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline as chain
from tqdm import tqdm

from hsichem import Cube
from hsichem.cubes import make_pipeline
from hsichem.pls.model import cross_validate, fit_pls

SAMPLES, BANDS, FOLDS, COMPONENTS, OF_THE_MAP = 500, 62, 10, 20, 8


def timed(jobs: dict, repeats: int) -> dict:
    """Medians in seconds; the jobs take turns, after one round that does not count."""
    seconds = {name: [] for name in jobs}
    for turn in tqdm(range(repeats + 1), mininterval=1, leave=False):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def calibration(rng):
    """Reflectance (500, 62) of a common shape and ten overlapping bands, and a content y (500,)."""
    x, centres = np.linspace(0, 1, BANDS), np.linspace(0, 1, 10)
    bands = np.exp(-(((x - centres[:, None]) / 0.15) ** 2))
    contents = rng.uniform(size=(SAMPLES, 10))
    spectra = 0.3 + 0.2 * np.sin(3 * x) + 0.05 * contents @ bands + rng.normal(0, 0.001, (SAMPLES, BANDS))
    return spectra, 100 * contents[:, 3]


def component_choice(spectra, y, repeats):
    fold = np.arange(SAMPLES) % FOLDS
    split = PredefinedSplit(fold)

    def theirs():
        predicted = [
            cross_val_predict(PLSRegression(a, scale=False), spectra, y, cv=split) for a in range(1, COMPONENTS + 1)
        ]
        return np.sqrt(np.mean((np.reshape(predicted, (COMPONENTS, -1)) - y) ** 2, axis=1))

    def ours():
        return cross_validate(spectra, y, fold, COMPONENTS).rmsecv

    difference = np.abs(ours() / theirs() - 1).max()
    assert difference < 1e-6, f"RMSECV differs by {difference:.1e}; expected < 1e-6"
    t = timed({"scikit-learn": theirs, "hsichem": ours}, repeats)
    print(f"component choice, {FOLDS} folds x {COMPONENTS} components, {SAMPLES} x {BANDS}; largest relative")
    print(f"difference of RMSECV {difference:.1e}\n")
    for name, seconds in t.items():
        print(f"  {name:14s}{seconds:8.3f} s")
    print(f"  ratio         {t['scikit-learn'] / t['hsichem']:8.1f} x\n")


def maps(spectra, y, rng, args):
    rows, cols = map(int, args.size.split("x"))
    values = spectra.astype(np.float32)[rng.integers(SAMPLES, size=(rows, cols))]
    for line in values:
        line += 0.002 * rng.standard_normal(line.shape, dtype=np.float32)
    cube = Cube(values, np.arange(BANDS) + 750.0)
    print(
        f"maps of a {rows} x {cols} x {BANDS} float32 cube, {cube.values.nbytes / 1e9:.2f} GB, {OF_THE_MAP} components"
    )
    head = f"  {'preprocessing':22s}{'sum':>8s}{'scikit-learn':>14s}{'hsichem':>9s}{'ratio':>8s}{'/ sum':>7s}"
    print(f"{head}{'memory':>9s}{'difference':>12s}")
    for name in args.preprocessing:
        steps = None if name == "none" else name
        ours = fit_pls(spectra, y, n_components=OF_THE_MAP, preprocessing=steps)
        theirs = chain(make_pipeline(steps), PLSRegression(OF_THE_MAP, scale=False)).fit(spectra, y)

        def plain(theirs=theirs):  # a line of the cube at a time: all of it as float64 would be twice its size
            return np.array([theirs.predict(line).ravel() for line in cube.values])

        difference = np.abs(ours.predict_map(cube) - plain()).max()
        size = (np.abs(ours.preprocessed(spectra)) @ np.abs(ours.coefficients)).max()
        assert difference < 1e-5 * size, f"{name}: maps differ by {difference:.1e}; expected < {1e-5 * size:.1e}"
        tracemalloc.start()
        kept = ours.predict_map(cube).nbytes
        memory = tracemalloc.get_traced_memory()[1] - kept
        tracemalloc.stop()
        jobs = {"sum": cube.values.sum, "theirs": plain, "ours": lambda ours=ours: ours.predict_map(cube)}
        t = timed(jobs, args.repeats)
        print(
            f"  {name:22s}{t['sum']:6.2f} s{t['theirs']:12.2f} s{t['ours']:7.2f} s{t['theirs'] / t['ours']:6.1f} x",
            end="",
        )
        print(f"{t['ours'] / t['sum']:7.1f}{memory / 1e6:6.0f} MB{difference:10.1e} %")
    print("\nmemory: highest above cube and map, of hsichem; difference: largest of any pixel, the map being float32")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="2360x1272", help="rows x columns of the cube")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--preprocessing", nargs="+", default=["none", "sg1", "snv", "msc", "absorbance+snv+sg1"])
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    spectra, y = calibration(rng)
    component_choice(spectra, y, args.repeats)
    maps(spectra, y, rng, args)


if __name__ == "__main__":
    main()
