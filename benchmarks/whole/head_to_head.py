"""Every method over several seeds: the mean and the spread of each figure, and how often each claim held.

python benchmarks/whole/head_to_head.py [--seeds 5] [--datasets phantom-belly mineral-mixtures] [--jobs 2]

Each run is `hsichem run --seed N`, one thread each, into runs/seeds/<data set>-<N>; runs that are there are kept, so a
stopped study goes on. The seed decides initial weights, the order of images and flips, and how cross-validation deals
its folds, by which PLS is chosen; the images stay the same, so the spread is that of the methods alone.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hsichem.lab.results import Results

COLUMNS = {
    "RMSEP": ("mean", "rmsep", 1),
    "pixel RMSE": ("map", "pixel_rmse", 1),
    "correlation": ("map", "correlation", 1),
    "slope": ("map", "slope", 1),
    "share %": ("variogram", "correlated_share", 100),
    "outside %": ("map", "outside_share", 100),
}


def run(dataset, seed, args):
    """One run in a process of its own; returns its folder."""
    folder = args.folder / f"{dataset}-{seed}"
    command = [sys.executable, "-c", "from hsichem.cli import main; main()", "run", "--dataset", dataset]
    command += ["--seed", str(seed), "--preset", args.preset, "--results", str(folder), "-p", "sweep_epochs", "1"]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return folder


def spread(values):
    """Mean and standard deviation as text; "-" where a run has no value."""
    if None in values:
        return "-"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0:.2f}"


def table(metrics):
    """A row for each method and null map over the metrics of several runs."""
    print(" " * 28 + "".join(f"{name:>16}" for name in COLUMNS))
    for method in metrics[0]["methods"]:
        runs = [m["methods"][method] for m in metrics]
        cells = [
            [None if (value := r.get(part, {}).get(key)) is None else factor * value for r in runs]
            for part, key, factor in COLUMNS.values()
        ]
        print(f"{method:28}" + "".join(f"{spread(values):>16}" for values in cells))
    for null in metrics[0]["nulls"]:
        runs = [m["nulls"][null] for m in metrics]
        cells = [
            [None if (value := r.get(key)) is None else factor * value for r in runs]
            for _, key, factor in COLUMNS.values()
        ]
        print(f"{'null: ' + null:28}" + "".join(f"{spread(values):>16}" for values in cells))


def claims(metrics):
    """How often each claim of the paper held."""
    found = {}
    for m in metrics:
        for row in m["04_spatial_variance"]["claims"]:
            found.setdefault(row["claim"], Counter())[row["held"]] += 1
    for claim, counts in found.items():
        print(f"  {claim}: {', '.join(f'{verdict} {n}' for verdict, n in counts.most_common())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--datasets", nargs="+", default=["phantom-belly", "mineral-mixtures"])
    parser.add_argument("--preset", default="lesson")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/seeds"))
    args = parser.parse_args()
    jobs = [(dataset, seed) for dataset in args.datasets for seed in range(args.seeds)]
    with ThreadPoolExecutor(args.jobs) as pool, tqdm(total=len(jobs), unit="run") as bar:
        for _ in as_completed([pool.submit(run, dataset, seed, args) for dataset, seed in jobs]):
            bar.update()
    for dataset in args.datasets:
        metrics = [Results(args.folder / f"{dataset}-{seed}").metrics() for seed in range(args.seeds)]
        print(f"\n{dataset}, preset {args.preset}, seeds 0 to {args.seeds - 1}: mean ± standard deviation")
        table(metrics)
        claims(metrics)


if __name__ == "__main__":
    main()
