"""kill -9 at random moments: afterwards every file is whole or absent, and the same command ends with the same bytes.

python benchmarks/whole/kills.py [make mirror http train store maps run model map sweep] [--times 100] [--seed 0]

A trial starts a command in an empty folder and a process of its own, and kills it after a time drawn evenly from 0 to
1.1 times what it took undisturbed. What lies there is compared with what the undisturbed command wrote; a checkpoint,
metrics.json, a table of maps and an executed notebook must be whole in themselves. Then the command is run again, to
its end, and everything is compared, but for the seconds in a table of maps. The commands are the library's, on images
small enough for hundreds of trials; `run` has two small notebooks, `sweep` four runs of one, and their kernels and
Dask's processes are left to themselves, as when a terminal is closed. Hidden files are not looked at: nothing reads
them. Those left at the end, locks apart, are counted. Exits with 1 when anything is lost. Linux and macOS.
kill_run.py does the same to the user's own `hsichem run`.
"""

import argparse
import atexit
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hsichem import Cube, datasets
from hsichem.cubes import store_cube
from hsichem.lab import Model, map_captures, plan_sweep, run_sweep, save_model
from hsichem.lab import runner as rerun
from hsichem.lab.results import Results
from hsichem.loaders import write_cube
from hsichem.pls import fit_pls
from hsichem.unet import TrainConfig, TrainingImage, build_network, train_fold

SMALL = {"samples": 2, "animals": 2, "rows": 64, "cols": 48, "length_mm": 150, "width_mm": 110}
CELL = """import numpy as np
from hsichem.lab.results import Results
for i in range(20):
    Results(results_dir).save_map("m{n}", f"s{{i}}", np.full((200, 200), i))
    Results(results_dir).save("part {n}", {{str(i): i}})"""
UNREAD = (".", "tmp")  # names that nothing reads begin so; tmp: pooch's


def make(folder):
    datasets.make("phantom-belly", folder, "small")


def fetch(folder, mirror=""):
    os.environ["HSICHEM_DATA_MIRROR"] = mirror  # empty: from the entry's address
    datasets.fetch("toy", folder)


def train(folder):
    config, rng = TrainConfig(width=4, depth=1, padding="same", epochs=6), np.random.default_rng(0)
    model = build_network(config, 8, 1)
    cubes = [Cube(rng.random((32, 32, 8)), range(8)) for _ in range(4)]
    images = [TrainingImage.from_cube(model, cube, 10.0 + 2 * i) for i, cube in enumerate(cubes)]
    train_fold(images, [1, 1, 2, 2], 1, config, folder)


def store(folder):
    for i in range(8):
        values = np.random.default_rng(i).random((200, 200, 40), np.float32)
        store_cube(folder / f"{i}.safetensors", Cube(values, range(40)), many=10**6)


def write_maps(folder):
    results = Results(folder)
    for i in range(30):
        results.save_map("PLS", f"belly_{i}", np.full((400, 400), i))
        results.save("maps", {str(i): i})


def run(folder, notebooks=()):
    rerun.run_notebooks(notebooks, folder, {"results_dir": str(folder)})


def models():
    """(a PLS model, three images for it): twelve bands, of which one tells the content."""
    rng, contents, nm = np.random.default_rng(0), np.linspace(10, 60, 8), np.linspace(800, 1000, 12)
    spectra = 0.5 - 0.003 * contents[:, None] * np.exp(-(((nm - 930) / 30) ** 2)) + rng.normal(0, 1e-4, (8, 12))
    facts = {"response": "fat", "unit": "% w/w", "wavelengths": nm.tolist(), "mask": "none", "bin": 1}
    facts |= {"references": [10, 60], "colour_limits": [0, 100], "mean_errors": []}
    facts |= dict.fromkeys(("crop_nm", "pitch_mm", "reflectance", "data", "metrics"))
    images = [spectra[k] + rng.normal(0, 0.002, (60, 50, 12)) for k in (1, 3, 5)]
    return Model("PLS", facts, linear=fit_pls(spectra, contents, n_components=2)), images, nm


def save(folder, model=None):
    save_model(folder, model)


def map_images(folder, model=None, captures=None):
    map_captures(model, captures, folder)


def sweep_over(folder, notebook=None):
    run_sweep(plan_sweep(str(notebook), {"seed": [0, 1, 2, 3]}, {}, folder))


def commands(place: Path) -> dict:
    """name -> what it calls with the folder to write into; data sets, notebooks and the server stand in `place`."""
    files = []
    for name, size in {"large": 4_000_000, "small": 100}.items():
        content = np.random.default_rng(size).bytes(size)
        file = place / "source" / "toy" / "sub" / f"{name}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        files.append({"path": f"sub/{name}.bin", "sha256": hashlib.sha256(content).hexdigest(), "bytes": size})
    handler = partial(SimpleHTTPRequestHandler, directory=place / "source" / "toy")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    os.environ["NO_PROXY"] = "127.0.0.1"
    for file in files:
        file["url"] = f"http://127.0.0.1:{server.server_port}/{file['path']}"
    phantom = datasets.read_manifest(place)["phantom-belly"]
    phantom["recipe"]["sizes"] = {"small": phantom["recipe"]["sizes"]["lesson"] | SMALL}
    entries = {"phantom-belly": phantom, "toy": {"files": files}}
    datasets.store.read_manifest = lambda root=None: entries
    atexit.register(os.kill, start(lambda _: server.serve_forever(), place / "source", "server"), signal.SIGTERM)
    notebooks = []
    for n in (1, 2):
        cells = [nbformat.v4.new_code_cell(text) for text in ("results_dir = None", CELL.format(n=n))]
        cells[0].metadata["tags"] = ["parameters"]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebooks.append(place / f"0{n}_part.ipynb")
        nbformat.write(notebook, notebooks[-1])
    alone = place / "alone.ipynb"
    cells = [nbformat.v4.new_code_cell(text) for text in ("results_dir = None\nseed = 0", CELL.format(n=1))]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), alone)
    (model, images, nm), captures = models(), {}
    for k, image in enumerate(images):
        captures[f"s{k}"] = place / "day" / f"s{k}.hdr"
        write_cube(captures[f"s{k}"], image.astype(np.float32), nm)
    return {
        "make": make,
        "mirror": partial(fetch, mirror=str(place / "source")),
        "http": fetch,
        "train": train,
        "store": store,
        "maps": write_maps,
        "run": partial(run, notebooks=notebooks),
        "model": partial(save, model=model),
        "map": partial(map_images, model=model, captures=captures),
        "sweep": partial(sweep_over, notebook=alone),
    }


def start(command, folder: Path, log: str) -> int:
    """The number of a process that runs command(folder) and exits with 0, or with 1 where that raises."""
    if pid := os.fork():
        return pid
    file = os.open(folder.parent / f"{log}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        command(folder)
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    os._exit(status)


def wait(pid: int) -> int:
    """Its exit status, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def visible(folder: Path) -> dict:
    """Relative path -> content of every file that something may read."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder): path for path in files}
    return {key: path.read_bytes() for key, path in found.items() if not hidden(key)}


def hidden(path: Path) -> bool:
    return any(part.startswith(UNREAD) for part in path.parts) or path.name.endswith(".partial.ipynb")


def essence(name: Path, content: bytes):
    """What must come out the same: of a notebook cells and outputs, of maps all but seconds, for times cannot."""
    if name.name == "maps.csv":
        return [row | {"seconds": ""} for row in csv.DictReader(content.decode().splitlines())]
    if name.suffix != ".ipynb":
        return content
    cells = nbformat.reads(content.decode(), as_version=4).cells
    return [(cell.source, cell.outputs, cell.metadata.get("papermill", {}).get("exception")) for cell in cells]


def broken(name: Path, content: bytes, folder: Path, reference: dict) -> bool:
    """Whether a file that a killed command left is neither what it was to become nor whole in itself."""
    try:
        if name.suffix == ".pt":
            torch.load(folder / name, weights_only=True)
        elif name.name == "metrics.json":
            json.loads(content)
        elif name.name == "maps.csv":  # a line for each map that is there
            return not all(row in essence(name, reference[name]) for row in essence(name, content))
        elif essence(name, content) != essence(name, reference[name]):
            return True
    except Exception as error:
        print(f"{folder / name}: {error!r}", file=sys.stderr)
        return True
    return False


def study(name: str, command, place: Path, times: int, rng: random.Random) -> bool:
    """Run the trials of one command and print their line of the table. False when anything was lost."""
    folder, times_taken = place / name, []
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        began = time.perf_counter()
        if wait(start(command, folder, name)):
            raise SystemExit(f"{name} fails undisturbed:\n{(place / f'{name}.log').read_text()}")
        times_taken.append(time.perf_counter() - began)
    took, reference = min(times_taken), visible(folder)  # else most would end before they are killed
    killed = lost = failed = left = 0
    for _ in range(times):
        shutil.rmtree(folder)
        pid = start(command, folder, name)
        time.sleep(rng.uniform(0, 1.1 * took))
        os.kill(pid, signal.SIGKILL)
        killed += wait(pid) == -signal.SIGKILL
        found = visible(folder)
        lost += sum(broken(key, content, folder, reference) for key, content in found.items())
        lost += name == "make" and len(found) not in (0, len(reference))  # the whole set or nothing
        failed += wait(start(command, folder, name)) != 0
        again = visible(folder)
        failed += {k: essence(k, v) for k, v in again.items()} != {k: essence(k, v) for k, v in reference.items()}
        paths = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix != ".lock"]
        left += sum(hidden(path) for path in paths)
    row = (took, times, killed, len(reference), lost, failed, left)
    print(f"{name:8}{took:7.2f} s" + "".join(f"{number:>10}" for number in row[1:]), flush=True)
    return not lost and not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", help="which of them, all by default")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # a forked process has none of its parent's threads
    os.environ["PYTHONPATH"] = sys.path[0]  # for the kernels
    with tempfile.TemporaryDirectory() as place:
        known = commands(Path(place))
        if unknown := set(args.commands) - set(known):
            parser.error(f"no command {', '.join(unknown)}; known: {', '.join(known)}")
        titles = ("trials", "killed", "files", "broken", "failed", "left over")
        print(f"{'':8}{'takes':>9}" + "".join(f"{title:>10}" for title in titles))
        chosen = {name: known[name] for name in args.commands or known}
        rng = random.Random(args.seed)
        good = [study(name, command, Path(place), args.times, rng) for name, command in chosen.items()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
