"""The published network computed naively and by hsichem: time, peak memory, share of the machine's convolution peak.

python benchmarks/unet/network.py [--size 1016x824] [--repeats 5] [--dtypes fp32 bf16] [--tiles whole 512 256 128]

Both networks hold the same weights and take turns in one process; the table has medians. Each peak of memory is that of
a fresh process, above the same process with torch loaded. Nothing here fails because of a time.

Measured on two cores, 2360 x 1272 x 62, before large layers were made in strips: a map in 5.0 s instead of 11.2 s
(bf16: 2.6 s), a training step in 17.7 s instead of 29 s (bf16: 10.2 s). With random weights, align_corners=True and
tiles of 256 the map differs from the whole one by 0.08 of its standard deviation, in single pixels by 0.9.

Peaks at that size, one thread: a map 1.39 GB, before the strips 1.60, naive 3.73 (its Conv3d is most of that); a
training step 2.87 GB, before 3.90, naive 4.37. Strips cost a map no time (0.97 of the processor time at 1016x824) and
a training step 12 % more arithmetic, counted at 2360x1272: 18.5 s with reading the image, bf16 11.9 s
(published_size.py). In training, layers up to 2**24 values are computed as before.

--steps: 15 steps of each on one thread of a busy machine, naive over ours: fast 1.3, lesson 1.4, middle 1.5. Four
fifths of the lesson's step are convolutions.
"""

import argparse
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from hsichem import Cube
from hsichem.unet.loss import PUBLISHED_WEIGHTS, map_losses
from hsichem.unet.network import ChemicalUNet, conv_block
from hsichem.unet.predict import predict_map, weights_channels_last

BANDS, WIDTH, DEPTH = 62, 64, 4
DTYPES = {"fp32": None, "bf16": torch.bfloat16}


class Naive(nn.Module):
    """Every step as the paper draws it, in torch's default memory format; the state dict fits ChemicalUNet's."""

    def __init__(self, width=WIDTH, depth=DEPTH, padding=0, align_corners=True):
        super().__init__()
        self.depth, levels = depth, [width * 2**k for k in range(depth + 1)]

        def up(width):
            layers = (
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align_corners),
                nn.Conv2d(2 * width, width, 1),
            )
            return nn.ModuleDict({"up": nn.Sequential(*layers, nn.ReLU())})

        unet = nn.ModuleDict(
            {"first_convs": conv_block(BANDS - 6, width, padding), "last_conv": nn.Conv2d(width, 1, 1)}
        )
        for k, width in enumerate(levels[:-1], start=1):
            unet[f"contraction{k}"] = nn.ModuleDict({"conv_block": conv_block(width, 2 * width, padding)})
            unet[f"expansion{k}"] = nn.ModuleDict(
                {"upsample": up(width), "conv_block": conv_block(2 * width, width, padding)}
            )
        for module in unet.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        self.models = nn.ModuleList([nn.ModuleDict({"conv": nn.Conv3d(1, 1, (7, 2, 2), stride=(1, 2, 2))}), unet])

    def forward(self, x):
        stem, unet = self.models
        skips = [unet["first_convs"](stem["conv"](x[:, None])[:, 0])]
        for k in range(1, self.depth + 1):
            skips.append(unet[f"contraction{k}"]["conv_block"](F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for k in range(self.depth, 0, -1):
            x, skip = unet[f"expansion{k}"]["upsample"]["up"](x), skips.pop()
            trim = (skip.shape[2] - x.shape[2]) // 2
            skip = skip[:, :, trim : skip.shape[2] - trim, trim : skip.shape[3] - trim]
            x = unet[f"expansion{k}"]["conv_block"](torch.cat([skip, x], dim=1))
        return unet["last_conv"](x)


NETWORKS = {"naive": Naive, "hsichem": partial(ChemicalUNet, BANDS, WIDTH, DEPTH)}
STEPS = {  # width, depth, images a step, rows, cols
    "fast": (4, 1, 2, 128, 96),
    "lesson": (16, 1, 2, 128, 96),
    "middle": (32, 3, 2, 256, 192),
}


def image(rows, cols, network, kind):
    """Reflectance (1, bands, rows, cols), laid out in memory as it meets the network: predict_map passes a cube
    as it lies, (rows, cols, bands); the naive network, and training, get the bands one after the other.
    """
    values = torch.rand(rows, cols, BANDS, generator=torch.Generator().manual_seed(0))
    x = values.permute(2, 0, 1)[None]
    return x if network == "hsichem" and kind == "inference" else x.contiguous()


def infer(model, x, dtype):
    with torch.no_grad(), torch.autocast(x.device.type, dtype=dtype, enabled=dtype is not None):
        return model(x).float()


def train_step(model, optimizer, x, dtype):
    with torch.autocast(x.device.type, dtype=dtype, enabled=dtype is not None):
        prediction = model(x)
    prediction, mask = prediction.float(), torch.ones(prediction.shape, dtype=torch.bool, device=x.device)
    reference = torch.full((len(x),), 30.0, device=x.device)
    losses = map_losses(prediction, mask, reference, PUBLISHED_WEIGHTS, parameters=model.parameters())
    optimizer.zero_grad()
    losses["total"].backward()
    optimizer.step()
    return losses["total"].detach()


def work(network, x, kind, dtype):
    """What is timed, as a function without arguments."""
    if kind == "inference":
        if isinstance(network, ChemicalUNet):
            weights_channels_last(network)  # as predict_map does
        return partial(infer, network.eval(), x, DTYPES[dtype])
    network.to(memory_format=torch.contiguous_format)  # as a network that has not predicted yet
    rate = 1e-9  # the weights hardly move, so that the two networks stay comparable
    fused = isinstance(network, ChemicalUNet)  # as train.py does; not torch's default
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=fused)
    return partial(train_step, network.train(), optimizer, x, DTYPES[dtype])


def peak_rss() -> float:
    """Highest resident memory of this process so far, GB (Linux; getrusage would count its parent's too)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def in_fresh_process(*job) -> float:
    """Run this file with --measure JOB and return the number that it prints."""
    command = [sys.executable, __file__, "--measure", *map(str, job)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def measure(job):
    """In the fresh process: one piece of work; prints the peak above torch loaded (a cube does not count), GB."""
    what, size, *rest = job
    rows, cols = map(int, size.split("x"))
    loaded = peak_rss()
    if what == "tile":
        cube = Cube(np.random.default_rng(0).random((rows, cols, BANDS), dtype=np.float32), np.arange(float(BANDS)))
        predict_map(NETWORKS["hsichem"](), cube, tile=None if rest[0] == "whole" else int(rest[0]))
        print(peak_rss() - loaded - cube.values.nbytes / 1e9)
    else:
        work(NETWORKS[what](), image(rows, cols, what, rest[0]), *rest)()
        print(peak_rss() - loaded)


def flops(rows, cols, kind) -> float:
    """Multiplications and additions of convolutions, in our order; the zeros of our stem do not count."""
    with torch.device("meta"), patch("hsichem.unet.network.LARGE_IN_TRAINING", float("inf")):  # nothing twice
        naive, ours, x = Naive(), NETWORKS["hsichem"](), torch.empty(1, BANDS, rows, cols)
        with FlopCounterMode(display=False) as stem:
            naive.models[0]["conv"](x[:, None])
        with FlopCounterMode(display=False) as total:
            unet = ours.models[1]
            out = unet([unet.first_convs(torch.empty(1, BANDS - 6, rows // 2, cols // 2))])
            if kind == "training":
                out.sum().backward()
    return stem.get_total_flops() * (2 if kind == "training" else 1) + total.get_total_flops()


def conv_peak(rows, cols):
    """(function, FLOP) of the largest 3x3 convolution of the network, alone."""
    h, w = rows // 2 - 180, cols // 2 - 180
    x, weight = torch.rand(1, 2 * WIDTH, h, w), torch.rand(WIDTH, 2 * WIDTH, 3, 3)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    return partial(F.conv2d, x, weight), 2 * 9 * 2 * WIDTH * WIDTH * (h - 2) * (w - 2)


def check_equal(networks, rows, cols):
    """Raise AssertionError unless both networks give the same map, within 1e-5 of its largest value."""
    maps = [infer(net, image(rows, cols, name, "inference"), None) for name, net in networks.items()]
    scale = float(maps[0].abs().max())
    difference = float((maps[0] - maps[1]).abs().max()) / scale
    assert difference < 1e-5, f"the maps differ by {difference:.1e} of their largest value; expected < 1e-5"
    print(f"largest difference of the two maps, relative to the largest value: {difference:.1e}")


def timed(jobs: dict, repeats: int, bar) -> dict:
    """Medians in seconds; the jobs take turns, after one round that does not count."""
    seconds = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn:
                seconds[name].append(time.perf_counter() - start)
            bar.update()
    return {name: statistics.median(values) for name, values in seconds.items()}


def compare(args, rows, cols, networks):
    conv, conv_flop = conv_peak(rows, cols)
    kinds = [(kind, dtype) for kind in args.kinds for dtype in args.dtypes]
    lines, size = [], f"{rows}x{cols}"
    with tqdm(total=len(kinds) * (3 * (args.repeats + 1) + 2), unit="run", mininterval=1) as bar:
        for kind, dtype in kinds:
            peaks = {}
            for name in networks:
                peaks[name] = in_fresh_process(name, size, kind, dtype)
                bar.update()
            jobs = {name: work(net, image(rows, cols, name, kind), kind, dtype) for name, net in networks.items()}
            t = timed(jobs | {"conv": conv}, args.repeats, bar)
            peak = conv_flop / t["conv"]
            share = flops(rows, cols, kind) / t["hsichem"] / peak
            lines.append(
                f"{kind:9s} {dtype}  {t['naive']:7.2f} s {t['hsichem']:7.2f} s {t['naive'] / t['hsichem']:6.2f} x   "
                f"{peaks['naive']:5.2f} GB {peaks['hsichem']:5.2f} GB {peaks['hsichem'] / peaks['naive']:6.2f}   "
                f"{peak / 1e9:6.0f} GFLOP/s {share:6.2f}"
            )
    print("                   naive   hsichem    ratio      naive  hsichem  ratio   fp32 conv peak  share reached")
    print("\n".join(lines))


def steps(repeats):
    """Training steps of small networks with "same" padding: forward, loss, backward, optimiser."""
    print("\ntraining step            parameters      naive    hsichem   ratio")
    for name, (width, depth, batch, rows, cols) in STEPS.items():
        ours, naive = ChemicalUNet(BANDS, width, depth, "same", False), Naive(width, depth, 1, False)
        naive.load_state_dict(ours.state_dict())
        x = torch.rand(batch, BANDS, rows, cols, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(ours(x), naive(x), rtol=1e-3, atol=1e-3)
        jobs = {"naive": work(naive, x, "training", "fp32"), "hsichem": work(ours, x, "training", "fp32")}
        with tqdm(disable=True) as bar:
            t = {key: 1e3 * seconds for key, seconds in timed(jobs, repeats, bar).items()}
        count = sum(p.numel() for p in ours.parameters())
        print(
            f"{name:7s}{batch} x {rows:3d} x {cols:3d} {count:13d} {t['naive']:7.1f} ms {t['hsichem']:7.1f} ms "
            f"{t['naive'] / t['hsichem']:6.2f} x"
        )


def tiles(args, model):
    print(f"\npredict_map of a {args.size} x {BANDS} cube (the cube itself does not count); difference at 632x504:")
    small = Cube(np.random.default_rng(0).random((632, 504, BANDS), dtype=np.float32), np.arange(float(BANDS)))
    whole = predict_map(model, small)
    for tile in args.tiles:
        side = None if tile == "whole" else int(tile)
        off = np.abs(predict_map(model, small, tile=side) - whole) / whole.std()
        peak = in_fresh_process("tile", args.size, tile)
        print(
            f"  tile {tile:>5s}: peak {peak:5.2f} GB; off by {np.sqrt((off**2).mean()):.3f} SD, at most {off.max():.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1016x824", help="rows x columns; raised to the next size that fits")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kinds", nargs="*", default=["inference", "training"])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["fp32"])
    parser.add_argument("--tiles", nargs="*", default=["whole", "512", "256", "128"])
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="only steps of small networks, N of each")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.measure)
    if args.steps:
        return steps(args.steps)
    torch.manual_seed(0)
    networks = {name: make() for name, make in NETWORKS.items()}
    networks["naive"].load_state_dict(networks["hsichem"].state_dict())
    ours = networks["hsichem"]
    rows, cols = (
        2 * (ours.fitting_size(int(n) // 2 - 2 * ours.margin) + 2 * ours.margin) for n in args.size.split("x")
    )
    print(f"{BANDS} x {rows} x {cols}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    forward, step = (flops(rows, cols, kind) / 1e9 for kind in ("inference", "training"))
    print(f"{forward:.0f} GFLOP a map, {step:.0f} a training step")
    print(f"the image alone is {rows * cols * BANDS * 4 / 1e9:.2f} GB, the weights 0.12 GB; both are in the peaks")
    check_equal(networks, rows, cols)
    if args.kinds:
        compare(args, rows, cols, networks)
    if args.tiles:
        tiles(args, ours)


if __name__ == "__main__":
    main()
