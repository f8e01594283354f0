"""The published network on images of the published size: seconds and memory a step, and a stopped run taken up again.

python benchmarks/unet/published_size.py [--images 2 4 8] [--width 8] [--epochs 2] [--precision bfloat16]
    [--folder FOLDER]

Phantom bellies of 1992 x 904 pixels and 62 bands, mirrored to 2360 x 1272: two are made (under FOLDER, about a minute
each) and stored again under other names. Linux: memory is VmHWM of a fresh process.

First the preset `paper` with two images to train on and one to watch: whole, and stopped in the second epoch and taken
up again, which must end with the same bytes. Then one epoch for each number of images: the highest memory, of which
`anonymous` is what the system could not take back, beside the images as float32, which is what it took before. Peak is
counted from where torch is loaded, anonymous from nothing.

Found on two idle cores: width 64, four images, 18.5 s a step and a peak of 4.1 GB; in bfloat16 11.9 s and 3.4 GB. A
belly takes 225 MB and its truth 9 MB, so 60 take 14.0 GB. Stopped and taken up again (under load, 60 to 94 s a step),
the same bytes; the loss fell from 9e10, a first map far out of bounds, to 1895. Width 8, float32, images: peak

      2  3.03 GB      4  3.12 GB      8  3.24 GB     16  3.22 GB (12.7 GB in float32)
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

import torch

from hsichem import datasets
from hsichem.cubes import SUFFIX, open_cube, store_cube
from hsichem.datasets import store
from hsichem.lab import PRESETS
from hsichem.unet import TrainConfig, TrainingImage, build_network, config_from, train

MADE = 2  # bellies; the others are copies


def bellies(folder: Path, many: int) -> list:
    """`many` images of published size, each in a file of its own, and their mean fat."""
    known = datasets.read_manifest()
    known["phantom-belly"]["recipe"]["sizes"]["paper"] |= {"samples": MADE, "animals": MADE}
    store.read_manifest = lambda root=None: known
    samples = datasets.open_dataset("phantom-belly", root=folder, size="paper").samples
    found = []
    for number in range(many):
        sample = samples[number % MADE]
        path = folder / "copies" / f"{number}{SUFFIX}"
        if not path.exists():
            store_cube(path, sample.load(), many=60)  # as one of the paper's set, which is too large for float32
        found.append((open_cube(path), sample.references["fat"]))
    return found


def paper(precision: str, epochs: int, width: int) -> TrainConfig:
    changes = {"epochs": epochs, "precision": precision, "width": width, "variant": "published", "seed": 0}
    return config_from(argparse.Namespace(**PRESETS["paper"] | changes), 0.3)


def status(name: str) -> float:
    """A line of the process's own account, GB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e9


def in_fresh_process(*job) -> str:
    command = [sys.executable, __file__, "--job", *map(str, job)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def do(kind, folder, many, epochs, precision, out, width=PRESETS["paper"]["width"]):
    """In the fresh process: train on `many` images and watch one; print seconds a step, losses and memory."""
    loaded, highest, done = status("VmHWM"), [0.0], threading.Event()

    def watch():  # the system keeps no high water mark of it
        while not done.wait(0.05):
            highest[0] = max(highest[0], status("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    config, given = paper(precision, int(epochs), int(width)), bellies(Path(folder), int(many) + 1)
    model = build_network(config, 62, 1)
    images = [TrainingImage.from_cube(model, *row) for row in given]
    steps, original = [], train.map_losses

    def counted(*args, **options):
        steps.append(time.perf_counter())
        if kind == "stop" and len(steps) == int(many) + 2 + 1:  # in the second epoch, after its first step
            raise KeyboardInterrupt
        return original(*args, **options)

    train.map_losses = counted
    with contextlib.suppress(KeyboardInterrupt):
        train.train_fold(images, [1] + [2] * int(many), 1, config, out)
    done.set()
    watcher.join()
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())
    seconds = sorted(later - earlier for earlier, later in pairwise(steps))
    print(f"{seconds[len(seconds) // 2]:.1f} {status('VmHWM') - loaded:.2f} {highest[0]:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--epochs", type=int, default=2, help="of the stopped run; 0 leaves it out")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--width", type=int, default=64, help="of the network whose memory is measured: 8 is quick")
    parser.add_argument("--folder", type=Path, help="where bellies are made, and found again; else a temporary one")
    parser.add_argument("--job", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        return do(*args.job)
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = args.folder or Path(temporary), Path(temporary)
        begun = time.perf_counter()
        cubes = bellies(folder, max([2, *args.images]) + 1)
        rows, cols, bands = cubes[0][0].values.shape
        size = Path(cubes[0][0].values.path).stat().st_size
        truth = next(folder.glob("phantom-belly-paper-*"))
        beside = sum(path.stat().st_size for path in (truth / "truth").iterdir()) / MADE
        took = time.perf_counter() - begun
        print(f"{rows} x {cols} x {bands}: {size / 1e6:.0f} MB a belly, {beside / 1e6:.0f} MB its truth, {took:.0f} s")
        print(f"60 of them: {60 * (size + beside) / 1e9:.1f} GB; highest memory so far {status('VmHWM'):.1f} GB")
        print(f"{torch.get_num_threads()} threads, {args.precision}")
        if args.epochs:
            for kind, where in (("whole", "whole"), ("stop", "again"), ("again", "again")):
                seconds, _, _ = in_fresh_process(kind, folder, 2, args.epochs, args.precision, out / where).split()
                print(f"  {kind}: {seconds} s a step", flush=True)
            ends = "fold1.csv", "fold1.safetensors"
            same = [(out / "whole" / end).read_bytes() == (out / "again" / end).read_bytes() for end in ends]
            history = train.read_history(out / "whole", 1)
            print(f"  stopped and taken up again: {'the same bytes' if all(same) else 'DIFFERENT'}")
            print("  loss by epoch:", ", ".join(f"{value:.1f}" for value in history["total"]))
        if args.images:
            print(f"{'images':>8}{'s a step':>10}{'peak':>10}{'anonymous':>12}{'in float32':>12}")
        for many in args.images:
            job = ("curve", folder, many, 1, args.precision, out / str(many), args.width)
            seconds, peak, anonymous = map(float, in_fresh_process(*job).split())
            before = (many + 1) * 2360 * 1272 * bands * 4 / 1e9
            print(f"{many:8}{seconds:10.1f}{peak:7.2f} GB{anonymous:9.2f} GB{before:9.1f} GB", flush=True)


if __name__ == "__main__":
    main()
