"""What each work costs as pixels, bands and images grow: seconds, memory, and the exponents of both.

python benchmarks/whole/cost.py [--works "PLS map" ...] [--repeats 3] [--figure docs/cost.png]

Every point is a process of its own, on one thread, with its libraries loaded by a first run on a tiny input. The
points of a line take turns; their seconds are medians, of the processor's time, so that other work on the computer
counts little. Memory is the highest (VmHWM) while the work is done, above what stood there after the first run: with
the maps that are given and made, without the images, which are read from a file. Linux only.

The exponent is that of least squares on the logarithms, over the points that take at least ten times as long as the
smallest, so that what does not grow is less than a tenth of them; but over the largest three at least. Memory below
4 MB counts as 4 MB: the system hands it out in lumps. A work grows too fast if an exponent is more than 0.1 above what
it must be. Nothing here fails because of a time. Two minutes.
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
BANDS, SIDE, SMALL_SIDE, IMAGES = 62, 240, 120, 2  # what is held while something else grows
SIDES, MANY_BANDS = (60, 120, 240, 480, 960), (30, 60, 120, 240, 480)  # no powers of two, which a cache dislikes
TINY = (16, 12, 2)  # side, bands, images
LUMP = 4e6  # bytes
LOADED = ["torch", "scipy.ndimage", "skimage", "hsichem.unet.train", "hsichem.maps.variogram", "hsichem.lab.report"]


def images(folder, side, bands, many):
    """`many` images, all in one file: what is read of them is not kept."""
    from hsichem.cubes import open_cube

    cube = open_cube(folder / f"{side}-{bands}.safetensors")
    return [replace(cube, name=str(number)) for number in range(many)]


# A work: the folder of the images, their side, bands and number -> what is timed, as a function without arguments.


def pls_map(folder, side, bands, many):
    from hsichem.pls import fit_pls

    rng, cubes = np.random.default_rng(0), images(folder, side, bands, many)
    model = fit_pls(rng.random((30, bands)), rng.random(30), n_components=4, preprocessing="snv+sg1")
    return lambda: [model.predict_map(cube) for cube in cubes]


def lesson(**changes):
    from hsichem.lab import PRESETS
    from hsichem.unet import config_from

    return config_from(argparse.Namespace(**PRESETS["lesson"] | {"seed": 0, "variant": "published"} | changes))


def unet_map(folder, side, bands, many):
    from hsichem.unet import build_network, predict_map

    network, cubes = build_network(lesson(), bands, 1), images(folder, side, bands, many)
    return lambda: [predict_map(network, cube) for cube in cubes]


def training_epoch(folder, side, bands, many):
    from hsichem.unet import train_folds

    rng, cubes = np.random.default_rng(0), images(folder, side, bands, many + 1)
    folds = [1] + [2] * many  # one is watched
    readings = {1: [rng.random((side, side), np.float32) for _ in cubes]}

    def epoch():
        with tempfile.TemporaryDirectory() as out:
            train_folds(cubes, [30.0] * len(cubes), folds, lesson(epochs=1), out, only=[1], readings=readings)

    return epoch


def variogram(folder, side, bands, many):
    from hsichem.maps import fit_variogram, pooled_variogram

    rng, mask = np.random.default_rng(0), np.ones((side, side), bool)
    maps = {number: rng.random((side, side), np.float32) for number in range(many)}
    return lambda: fit_variogram(*pooled_variogram(maps, dict.fromkeys(maps, mask), side // 2), "spherical")


def held_out(folder, side, bands, many):
    from hsichem.maps import held_out_error

    rng, mask = np.random.default_rng(0), np.ones((side, side), bool)
    looks, readings = ({n: rng.random((2, side, side), np.float32) for n in range(many)} for _ in range(2))
    return lambda: held_out_error(looks, readings, dict.fromkeys(looks, mask))


def report(folder, side, bands, many):
    """A run that drew a figure of each image, one byte a pixel: more than the chapters draw."""
    from helpers.metrics import METRICS

    from hsichem.lab import find_notebooks, write_report

    run = Path(tempfile.mkdtemp(dir=folder))
    predicted = {"predicted": np.random.default_rng(0).random(many).tolist()}
    methods = {name: each | {"mean": each["mean"] | predicted} for name, each in METRICS["methods"].items()}
    (run / "metrics.json").write_text(json.dumps(METRICS | {"methods": methods}))
    drawn = {"data": {"image/png": os.urandom(side**2 // 2).hex()}}
    cell = {"metadata": {"tags": ["report"]}, "source": "# Figure: One image. Its map.", "outputs": [drawn]}
    made = json.dumps({"cells": [cell] * many, "metadata": {}})
    (run / find_notebooks()[0].name).write_text(made)
    return lambda: write_report(run)


CUBES, LIGHT = (2, 8, 32), (32, 128, 512, 2048)
WORKS = {  # name -> what is done, whether bands mean anything to it, numbers of images
    "PLS map": (pls_map, True, CUBES),
    "U-Net map": (unet_map, True, CUBES),
    "training epoch": (training_epoch, True, CUBES),
    "variogram": (variogram, False, CUBES),
    "held-out error": (held_out, False, LIGHT),
    "report": (report, False, LIGHT),
}


def points(work):
    """axis -> [(side, bands, images)] of a work."""
    _, by_bands, many = WORKS[work]
    made = {"pixels": [(side, BANDS, IMAGES) for side in (SIDES if by_bands else (*SIDES, 2 * SIDES[-1]))]}
    made |= {"bands": [(SIDE, bands, IMAGES) for bands in MANY_BANDS]} if by_bands else {}
    return made | {"images": [(SMALL_SIDE // (2 if many is LIGHT else 1), BANDS, number) for number in many]}


def status(name) -> int:
    """A line of the process's own account, bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def took(work):
    """Seconds of one call, of as many calls as take a tenth of a second."""
    began, calls = time.process_time(), 0
    while (so_far := time.process_time() - began) < 0.1 or not calls:
        work()
        calls += 1
    return so_far / calls if so_far >= 0.1 else (time.process_time() - began) / calls


def one_point(connection, work, folder, at):
    """In the fresh process: at each message, the seconds of the work and the memory so far."""
    sys.path.insert(0, str(ROOT / "tests"))
    warnings.simplefilter("ignore")  # noise has no sill, and says so
    make, free = WORKS[work][0], ctypes.CDLL(None).malloc_trim
    make(folder, *TINY)()
    free(0)
    before, job = status("VmRSS"), make(folder, *at)
    free(0)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew: what the input took to make does not count
    connection.send("ready")
    while connection.recv():
        connection.send((took(job), status("VmHWM") - before))


def measured(work, folder, line, repeats, bar):
    """([seconds], [bytes]) of the points of a line, which take turns."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    processes, ends = [], []
    for at in line:
        mine, theirs = context.Pipe()
        processes.append(context.Process(target=one_point, args=(theirs, work, folder, at)))
        processes[-1].start()
        theirs.close()
        mine.recv()  # one computes at a time
        ends.append(mine)
    found = np.empty((repeats, len(line), 2))
    for turn in found:
        for end, result in zip(ends, turn, strict=True):
            end.send(True)
            result[:] = end.recv()
            bar.update()
    for process, end in zip(processes, ends, strict=True):
        end.send(False)
        process.join()
    # later turns reuse what the first has left, in other places
    return np.median(found[:, :, 0], axis=0), found[0, :, 1]


def exponent(sizes, values):
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def row(work, axis, line, seconds, memory):
    """A line of the table as a dict."""
    sizes = np.array([{"pixels": side**2, "bands": bands, "images": many}[axis] for side, bands, many in line], float)
    used = slice(min(np.count_nonzero(seconds < 10 * seconds[0]), len(sizes) - 3), None)
    must = exponent(sizes[used], sizes[used] * np.log(sizes[used])) if (work, axis) == ("variogram", "pixels") else 1.0
    time_, memory_ = exponent(sizes[used], seconds[used]), exponent(sizes[used], np.maximum(memory[used], LUMP))
    fine = time_ <= must + 0.1 and memory_ <= 1.1
    return {
        "work": work, "against": axis, "sizes": sizes, "seconds": seconds, "memory": memory,
        "time exponent": time_, "memory exponent": memory_, "must": must,
        "verdict": "as it must" if fine else "grows too fast",
    }  # fmt: skip


def print_table(rows):
    print("| work | against | largest | seconds there | exponent | must be | memory there | exponent | verdict |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        numbers = r["sizes"][-1], r["seconds"][-1], r["time exponent"], r["must"], r["memory"][-1] / 1e6
        shown = "{:,.0f} | {:.2g} | {:.2f} | {:.2f} | {:.0f} MB".format(*numbers)
        print(f"| {r['work']} | {r['against']} | {shown} | {r['memory exponent']:.2f} | {r['verdict']} |")


def draw(rows, path):
    import matplotlib.pyplot as plt

    from hsichem.lab.plotting import use_style

    use_style()
    fig, axes = plt.subplots(2, 3, figsize=(12, 8.5), sharey="row", sharex="col")
    colours = dict(zip(WORKS, plt.rcParams["axes.prop_cycle"].by_key()["color"], strict=False))
    for column, axis in zip(axes.T, ("pixels", "bands", "images"), strict=True):
        for r in (r for r in rows if r["against"] == axis):
            shown = {"time exponent": r["seconds"], "memory exponent": np.maximum(r["memory"], LUMP) / 1e6}
            for ax, (kind, values) in zip(column, shown.items(), strict=True):
                label = f"{r['work']}: {r[kind]:.2f}"
                ax.loglog(r["sizes"], values, "o-", ms=4, color=colours[r["work"]], label=label)
        for ax in column:
            ax.legend(title="fitted exponents", fontsize=9, title_fontsize=9)
            ax.margins(y=0.3)  # room for the legend
        column[1].set_xlabel(f"number of {axis}")
    axes[1, 1].set_xticks(MANY_BANDS, MANY_BANDS)
    axes[1, 1].set_xticks([], [], minor=True)
    axes[0, 0].set_ylabel("processor time (s)")
    axes[1, 0].set_ylabel("memory (MB)")
    fig.savefig(path, dpi=75)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="*", default=list(WORKS), choices=list(WORKS), metavar="WORK")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    from hsichem import Cube
    from hsichem.cubes import store_cube

    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT)}  # of the fresh processes
    rows, rng = [], np.random.default_rng(0)
    lines = [(work, axis, line) for work in args.works for axis, line in points(work).items()]
    with tempfile.TemporaryDirectory() as folder:
        for side, bands in {at[:2] for work, _, line in lines for at in (*line, TINY) if WORKS[work][1]}:
            cube = Cube(rng.random((side, side, bands), np.float32), np.linspace(750, 1015, bands))
            store_cube(Path(folder) / f"{side}-{bands}.safetensors", cube, many=1)
        total = sum(len(line) for *_, line in lines) * args.repeats
        with tqdm(total=total, unit="run", mininterval=1, disable=False) as bar:
            for work, axis, line in lines:
                rows.append(row(work, axis, line, *measured(work, Path(folder), line, args.repeats, bar)))
    print_table(rows)
    if args.figure:
        draw(rows, args.figure)


if __name__ == "__main__":
    main()
