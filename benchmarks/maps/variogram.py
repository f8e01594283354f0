"""The variogram: its time against scikit-gstat, and whether fits and their intervals find what fields were made with.

python benchmarks/maps/variogram.py [--size 996x452] [--repeats 5] [--fields 100] [--draws 300]

Times are medians of turns taken in one process. scikit-gstat is not a package of the project and pins an older scipy:
`pip install --target FOLDER --no-deps scikit-gstat pandas numba llvmlite imageio`, then add --skgstat FOLDER.
Nothing here fails because of a time.

Found: fitted at whole lags, the share is 0.01 to 0.02 lower than at the mean distances of the pairs, because lag 1
holds the diagonal neighbours (1.41 pixels) too. At a range of 9 pixels it was 0.75 to 0.79 where 0.80 is true.
"""

import argparse
import statistics
import sys
import time
import warnings
from functools import partial

import numpy as np
from tqdm import tqdm

from hsichem.maps.variogram import MODELS, ROUND, fit_variogram, semivariogram, variogram_interval

POINTS = 5000  # scikit-gstat's share of the pixels
NUGGET = 5.0
#         model, side, effective range, partial sill, max_lag
STUDY = [
    ("spherical", 128, 10, 15.0, 32),
    ("spherical", 128, 20, 15.0, 48),
    ("spherical", 64, 12, 15.0, 24),
    ("spherical", 128, 15, 1.0, 32),
    ("exponential", 128, 20, 15.0, 48),
    ("matern", 128, 15, 15.0, 32),
    ("gaussian", 128, 15, 15.0, 32),
]


def field(model, side, range_, partial_sill, rng):
    """A Gaussian field (side, side) with its nugget, by circulant embedding (Dietrich & Newsam 1993,
    doi 10.1029/93WR01070).
    """
    away = np.minimum(np.arange(2 * side), 2 * side - np.arange(2 * side))
    covariance = partial_sill * (1 - MODELS[model](np.hypot(away[:, None], away) / range_))
    spectrum = np.fft.fft2(covariance).real.clip(0)
    noise = rng.normal(size=(2, *spectrum.shape)).T @ [1, 1j]
    smooth = np.fft.fft2(np.sqrt(spectrum) * noise).real[:side, :side] / (2 * side)
    return smooth + rng.normal(0, np.sqrt(NUGGET), smooth.shape)


def recover(case, fields, draws, seed, bar):
    """One line: means and spread of the fits, how often the intervals hold the truth, how often blur was suspected."""
    model, side, range_, partial_sill, max_lag = case
    rng, everywhere = np.random.default_rng(seed), np.ones((side, side), bool)
    truth = {"nugget": NUGGET, "correlated_share": partial_sill / (NUGGET + partial_sill)}
    fits, held, blur, whole = {name: [] for name in truth}, dict.fromkeys(truth, 0), 0, []
    for _ in range(fields):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = field(model, side, range_, partial_sill, rng)
            fit, intervals = variogram_interval([made], [everywhere], max_lag, model, rng, draws=draws)
        blur += any("bends up" in str(each.message) for each in caught)
        whole.append(fit_variogram(*semivariogram(made, everywhere, max_lag), model).correlated_share)
        for name, (low, high) in intervals.items():
            fits[name].append(getattr(fit, name))
            held[name] += low <= truth[name] <= high
        bar.update()
    cells = [
        f"{truth[name]:6.2f} {np.mean(fits[name]):6.2f} {np.std(fits[name]):5.2f} {held[name] / fields:5.0%}"
        for name in truth
    ]
    alarms = "     -" if model in ROUND else f"{blur / fields:6.0%}"
    return f"{model:12} {side:4d} {range_:5d} {max_lag:4d}  {'   '.join(cells)} {np.mean(whole):11.2f} {alarms}"


def study(args):
    print(
        f"\n{args.fields} fields a line, {args.draws} draws; true, mean and SD of the fits, 95 % intervals that hold it"
    )
    print("model        side range  lag          nugget                      share         whole lags   blur alarms")
    with tqdm(total=len(STUDY) * args.fields, unit="field", mininterval=1) as bar:
        for seed, case in enumerate(STUDY):
            tqdm.write(recover(case, args.fields, args.draws, seed, bar))


def gstat(folder):
    """scikit-gstat's Variogram class, or None."""
    sys.path.extend([folder] if folder else [])
    try:
        from skgstat import Variogram
    except ImportError as missing:
        print(f"scikit-gstat skipped: {missing}. How to get it is written at the top of this file.")
        return None
    return Variogram


def compare(args):
    """Times; every job computes and fits nothing but the variogram, except where it says so."""
    rows, cols = map(int, args.size.split("x"))
    rng = np.random.default_rng(0)
    made, everywhere = rng.normal(size=(rows, cols)).cumsum(axis=1), np.ones((rows, cols), bool)
    longest = min(rows, cols) // 2
    chosen = rng.choice(made.size, min(POINTS, made.size), replace=False)
    points, values = np.argwhere(everywhere)[chosen], made.ravel()[chosen]
    found = semivariogram(made, everywhere, longest)
    jobs = {
        f"all pairs, {longest} lags": partial(semivariogram, made, everywhere, longest),
        "one direction": partial(semivariogram, made, everywhere, longest, 45),
        "fit, spherical": partial(fit_variogram, *found, "spherical"),
    }
    theirs = gstat(args.skgstat)
    if theirs:
        for lags in (longest, 10):  # the same lags; its default
            job = partial(theirs, points, values, n_lags=lags, maxlag=longest, fit_method=None)
            jobs[f"scikit-gstat, {len(points)} pixels, {lags} lags"] = lambda job=job: job().experimental
    seconds = {name: [] for name in jobs}
    for turn in tqdm(range(args.repeats + 1), unit="turn"):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn:  # the first does not count
                seconds[name].append(time.perf_counter() - start)
    first = statistics.median(next(iter(seconds.values())))
    print(f"\n{rows} x {cols} pixels, {found[2].sum():.2e} pairs up to {longest} pixels")
    for name, each in seconds.items():
        print(f"  {name:36} {statistics.median(each):8.3f} s {statistics.median(each) / first:8.1f} x the first line")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="996x452", help="rows x columns")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fields", type=int, default=100, help="simulated fields a line; 0 leaves the study out")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--skgstat", help="folder that scikit-gstat was installed to")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message="the .* fit does not reach its sill")
    warnings.filterwarnings("ignore", message="gamma bends up")
    compare(args)
    if args.fields:
        study(args)


if __name__ == "__main__":
    main()
