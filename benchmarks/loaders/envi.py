"""Reading times: hsichem.loaders.envi.read_cube and SPy's load(), into float32 reflectance, for the three interleaves.

python benchmarks/loaders/envi.py [--size 640x640x448] [--repeats 5] [--dtype u2]

Both read the same file in turns in one process, after one reading of each that is not counted, so the file is in the
system's page cache; the table has medians, and the two results are compared. Nothing here fails because of a time.
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import spectral
from spectral.io.envi import save_image

from hsichem.loaders import read_cube
from hsichem.loaders.envi_header import DTYPES, INTERLEAVES

SCALE = 10_000


def write(folder, interleave, shape, dtype):
    """An image of random reflectance as `scale` times its value; the header's path."""
    header = folder / f"{interleave}.hdr"
    values = np.random.default_rng(1).integers(0, SCALE, shape, np.int32).astype(dtype)
    keys = {"reflectance scale factor": SCALE, "wavelength units": "nm", "wavelength": np.linspace(400, 1000, shape[2])}
    save_image(str(header), values, interleave=interleave, ext=".raw", metadata=keys)
    return header


def load(header):
    """SPy's way: the whole image as float32, divided by the scale factor."""
    return np.asarray(spectral.open_image(str(header)).load(dtype=np.float32))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="640x640x448", help="rows x columns x bands")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=DTYPES.values(), default="u2")
    options = parser.parse_args(arguments)
    shape = tuple(int(side) for side in options.size.split("x"))
    print(
        f"{options.size} {options.dtype}, {np.prod(shape) * np.dtype(options.dtype).itemsize / 2**20:.0f} MiB on disk\n"
    )
    print("| interleave | SPy load(), s | read_cube, s | times as fast |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for interleave in INTERLEAVES:
            header = write(Path(folder), interleave, shape, options.dtype)
            ways = {"spy": partial(load, header), "hsichem": lambda header=header: read_cube(header).values}
            results = {name: way() for name, way in ways.items()}
            np.testing.assert_allclose(results["spy"], results["hsichem"], rtol=1e-6)
            results.clear()
            times = {name: [] for name in ways}
            for _ in range(options.repeats):
                for name, way in ways.items():
                    start = time.perf_counter()
                    way()
                    times[name].append(time.perf_counter() - start)
            spy, ours = (statistics.median(times[name]) for name in ("spy", "hsichem"))
            print(f"| {interleave} | {spy:.2f} | {ours:.2f} | {spy / ours:.1f} |", flush=True)


if __name__ == "__main__":
    main()
