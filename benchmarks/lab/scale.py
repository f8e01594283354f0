"""What a sweep costs beside bare papermill, and how fast models map: for reckoning days and machines beforehand.

python benchmarks/lab/scale.py [--runs 4] [--seconds 10] [--side 768]

Sweeps: runs of a notebook that computes for some seconds, by papermill in a loop, by one Dask worker, and by two; on an
idle computer two should take half. Maps: pixels a second of each model on one thread, and beside it one pass over the
cube (its sum), as the fastest of three.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import papermill
import torch
from distributed import LocalCluster

from hsichem import Cube
from hsichem.cubes import NoiseScale
from hsichem.lab import PRESETS, sweep
from hsichem.pls import fit_penalised, fit_pls
from hsichem.unet import TrainConfig, build_network, predict_looks

PUBLISHED_PIXELS, PUBLISHED_BANDS = 2360 * 1272, 62
WORK = """import time
end = time.process_time() + {seconds}
while time.process_time() < end:
    pass"""


def notebook(path, seconds):
    new = nbformat.v4
    cells = [new.new_code_cell("results_dir = None\nseed = 0", metadata={"tags": ["parameters"]})]
    made = new.new_notebook(cells=[*cells, new.new_code_cell(WORK.format(seconds=seconds))])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, path)
    return path


def sweeps(runs, seconds):
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        path, began = notebook(Path(folder) / "work.ipynb", seconds), time.perf_counter()
        for seed in range(runs):
            papermill.execute_notebook(path, Path(folder) / f"{seed}.ipynb", {"seed": seed}, progress_bar=False)
        took["papermill"] = time.perf_counter() - began
        for workers in (1, 2):
            options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            with LocalCluster(**options) as cluster:
                plan = sweep.plan_sweep(str(path), {"seed": list(range(runs))}, {}, Path(folder) / f"with{workers}")
                began = time.perf_counter()
                sweep.run_sweep(plan, cluster.scheduler_address)
                took[f"{workers} worker{'s' * (workers > 1)}"] = time.perf_counter() - began
    print(f"{runs} runs of {seconds} s of computing:")
    for name, each in took.items():
        print(f"  {name:12}{each:8.1f} s, {each / runs:6.1f} s a run, {each / took['papermill']:5.2f} of papermill")
    print(f"  two workers are {took['1 worker'] / took['2 workers']:.2f} times as fast as one")


def fastest(call):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def maps(side):
    torch.set_num_threads(1)
    rng, nm = np.random.default_rng(0), np.linspace(750, 1015, PUBLISHED_BANDS)
    cubes = [Cube(rng.uniform(0.2, 0.8, (32, 32, len(nm))).astype(np.float32), nm) for _ in range(30)]
    spectra, y = np.array([cube.mean_spectrum() for cube in cubes]), rng.uniform(10, 60, 30)
    cube = Cube(rng.uniform(0.2, 0.8, (side, side, len(nm))).astype(np.float32), nm)
    models = {f"PLS, {steps}": fit_pls(spectra, y, n_components=4, preprocessing=steps) for steps in ("sg1", "snv")}
    models["penalised"] = fit_penalised(spectra, y, cubes, penalty=0.01)
    calls = {"one pass, cube.sum()": cube.values.sum}
    calls |= {name: lambda model=model: model.predict_map(cube) for name, model in models.items()}
    lesson = {each.name for each in dataclasses.fields(TrainConfig)}
    lesson = TrainConfig(**{name: value for name, value in PRESETS["lesson"].items() if name in lesson})
    scale = NoiseScale.of(cubes)
    for name, config in {"U-Net of the lesson": lesson, "U-Net as published": TrainConfig(padding="same")}.items():
        network = build_network(config, len(nm), 1)
        calls[f"{name}, both looks"] = lambda network=network: predict_looks(network, scale.apply(cube))
    print(f"\nmaps of {side} x {side} pixels, {len(nm)} bands, one thread:")
    for name, call in calls.items():
        rate = side * side / fastest(call)
        hours = 1000 * PUBLISHED_PIXELS / rate / 3600
        print(f"  {name:34}{rate / 1e6:9.3f} million pixels/s; 1,000 captures of published size in {hours:7.2f} h")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--side", type=int, default=768)
    args = parser.parse_args()
    sweeps(args.runs, args.seconds)
    maps(args.side)


if __name__ == "__main__":
    main()
