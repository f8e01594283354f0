"""kill -9 of `hsichem run --preset fast`, again and again until it ends: every file whole or absent, nothing to mend.

python benchmarks/whole/kill_run.py [--seed 0] [--most 60]

The user's own command, cache and results folder empty. Each start is killed after 3 to 20 s, each kill that no finished
notebook lies between allows 5 s more; then every file is read, and the same command started again. Its kernels are left
to themselves, and end within a second or so. The data in the cache must be all there or not at all. Exits with 1 when
anything is broken.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
from kills import start, visible, wait
from PIL import Image
from safetensors.torch import load_file

READ = {
    ".ipynb": lambda path: nbformat.read(path, as_version=4),
    ".json": lambda path: json.loads(path.read_bytes()),
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".png": lambda path: Image.open(path).load(),
    ".safetensors": load_file,
}
ENDS = {".csv": b"\n", ".html": b"</html>\n"}


def run(folder):
    os.environ["HSICHEM_DATA"] = str(folder / "cache")
    words = ["run", "--preset", "fast", "--results", str(folder / "results")]
    os.execv(sys.executable, [sys.executable, "-c", "from hsichem.cli import main; main()", *words])


def unreadable(path: Path) -> bool:
    """Whether a result is not whole, as far as it shows in itself."""
    try:
        READ.get(path.suffix, Path.read_bytes)(path)
        return not path.read_bytes().endswith(ENDS.get(path.suffix, b""))
    except FileNotFoundError:  # absent: for a second its kernel goes on, and a finished fold needs no checkpoint
        return False
    except Exception as error:
        print(f"{path}: {error!r}", file=sys.stderr)
        return True


def digests(folder: Path) -> dict:
    return {key: hashlib.sha256(content).digest() for key, content in visible(folder).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=60, help="kills, after which the run is left alone")
    args = parser.parse_args()
    rng, caches = random.Random(args.seed), []
    kills = looked = broken = in_vain = done = 0
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        folder.mkdir()
        while True:
            pid, end = start(run, folder, "run"), time.monotonic() + rng.uniform(3, 20 + 5 * in_vain)
            while not (ended := os.waitpid(pid, os.WNOHANG))[0] and (time.monotonic() < end or kills == args.most):
                time.sleep(0.1)
            if ended[0]:
                break
            os.kill(pid, signal.SIGKILL)
            kills += wait(pid) == -signal.SIGKILL
            results = [folder / "results" / key for key in visible(folder / "results")]
            caches.append(digests(folder / "cache"))
            looked, broken = looked + len(results) + len(caches[-1]), broken + sum(map(unreadable, results))
            notebooks = sum(path.suffix == ".ipynb" for path in results)
            in_vain, done = 0 if notebooks > done else in_vain + 1, notebooks
            print(f"{kills:3} kills: {notebooks} notebooks, {len(results)} files, {broken} broken", flush=True)
        whole = digests(folder / "cache")
        broken += sum(cache not in ({}, whole) for cache in caches)
        status = os.waitstatus_to_exitcode(ended[1])
        print(f"{kills} kills, then exit status {status}; of {looked} files looked at, {broken} broken")
        print((folder.parent / "run.log").read_text()[-1000:] if status else "")
    sys.exit(1 if broken or status else 0)


if __name__ == "__main__":
    main()
