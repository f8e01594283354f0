"""A grid of runs: each combination of parameters in a folder of its own, then one table and one page of all of them."""

import csv
import hashlib
import itertools
import json
import math
import re
import shutil
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from tqdm import tqdm

from hsichem import __version__, datasets
from hsichem._base import InputError, closest, is_number, locked, replacing, short
from hsichem.lab.pages import write_page
from hsichem.lab.results import Results
from hsichem.lab.runner import check_parameters, defaults, failed_path, find_notebooks, run_notebooks
from hsichem.lab.settings import parse_value

MOST_RUNS = 10_000
LEFT_OVER = ("*.partial.ipynb", ".*.part")  # what a killed run leaves half written


@dataclass
class Run:
    """One combination: its folder, the parameters that were given, and how it ended (left: it has not)."""

    folder: Path
    parameters: dict
    dataset: str | None
    preset: str | None
    state: str = "left"
    error: str = ""


@dataclass
class Sweep:
    """The chain of notebooks, the folder of all runs, the values of each swept parameter, and the runs."""

    notebooks: list[Path]
    folder: Path
    grid: dict[str, list]
    runs: list[Run] = field(default_factory=list)


def parse_grid(texts) -> dict[str, list]:
    """NAME=VALUES as values by name: a list with commas, a range 0..4 with both ends, or both.

    Raises InputError for a text of another form, a name or value that is given twice, and for no text at all.
    """
    grid = {}
    for text in texts:
        name, values = _name_and_value(text)
        found = list(itertools.chain.from_iterable(_values(text, part.strip()) for part in values.split(",")))
        if len({json.dumps(value) for value in found}) < len(found):
            raise InputError(f"{short(text)}: a value is given twice; give each once.")
        if name in grid:
            raise InputError(f"{name} is given twice; give all its values at once: {name}=1,2.")
        grid[name] = found
    if not grid:
        raise InputError("nothing to sweep: give one parameter or more with its values, as -g seed=0..4.")
    return grid


def parse_fixed(texts, grid) -> dict:
    """NAME=VALUE as value by name. Raises InputError for another form, and for a name that the grid has."""
    fixed = {}
    for name, value in map(_name_and_value, texts):
        if name in fixed or name in grid:
            raise InputError(f"-p {name}={value}: {name} is given already; give it once, with -g or -p.")
        fixed[name] = parse_value(value)
    return fixed


def _name_and_value(text):
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise InputError(f"{short(text)} is no NAME=VALUE; expected for example seed=0..4 or smoothness=0,0.2,20.")
    return name.strip(), value.strip()


def _values(text, part):
    if not part:
        raise InputError(f"{short(text)}: a value is missing beside a comma; remove the comma, or give the value.")
    if ".." not in part:
        return [parse_value(part)]
    ends = re.fullmatch(r"(-?\d{1,18})\.\.(-?\d{1,18})", part)
    first, last = map(int, ends.groups()) if ends else (1, 0)
    if first > last:
        raise InputError(f"{short(part)} is no range; expected two whole numbers, the smaller one first, as 0..4.")
    _check_count(last - first + 1)
    return range(first, last + 1)


def _check_count(runs):
    if runs > MOST_RUNS:
        raise InputError(f"the grid has {runs} runs; expected {MOST_RUNS} at most. Give fewer values.")


def plan_sweep(notebook: str, grid: dict, fixed: dict, folder: Path | None = None) -> Sweep:
    """Every combination of the grid, checked; nothing is written.

    notebook: a name, as 03_unet_training, or a path. Before a numbered notebook, the numbered ones of its folder that
    precede it are run. fixed: parameters that all runs share. folder: of the runs, None for sweeps/<notebook>.
    A run's folder is named by a hash of notebooks, parameters, the data set's manifest entry, which has its checksums,
    and hsichem's version.
    Raises InputError for a notebook that is not there, a parameter that it does not have, a value of the wrong type or
    range, and more than MOST_RUNS runs.
    """
    notebooks = _chain(notebook)
    own = {name: value for path in notebooks for name, value in defaults(path).items()}
    if "results_dir" not in own:
        raise InputError(
            f"{notebooks[-1]} has no parameter results_dir, by which a run learns its folder; add "
            "`results_dir = None` to its cell of parameters."
        )
    if "results_dir" in grid or "results_dir" in fixed:
        raise InputError("results_dir: each run has a folder of its own; choose the folder of all with --results.")
    _check_count(math.prod(map(len, grid.values())))
    for name, values in (grid | {name: [value] for name, value in fixed.items()}).items():
        for value in values:
            check_parameters(notebooks, {name: value})
    known, cells = datasets.read_manifest(), {path.name: _cells(path) for path in notebooks}
    sweep = Sweep(notebooks, (folder or Path("sweeps") / notebooks[-1].stem).resolve(), grid)
    for values in itertools.product(*grid.values()):
        parameters = dict(zip(grid, values, strict=True)) | fixed
        dataset, preset = (own | parameters).get("dataset"), (own | parameters).get("preset")
        key = json.dumps([cells, parameters, known.get(dataset), __version__], sort_keys=True)
        place = sweep.folder / hashlib.sha256(key.encode()).hexdigest()[:16]
        sweep.runs.append(Run(place, parameters, dataset, preset, _state(place, notebooks)))
    return sweep


def _state(place, notebooks):
    """By what lies there: under its own name an output is a finished one."""
    return "finished" if (place / notebooks[-1].name).is_file() else "left"


def _chain(notebook: str) -> list[Path]:
    ours = {path.stem: path for path in find_notebooks()}
    path = ours.get(notebook.removesuffix(".ipynb"), Path(notebook)).resolve()
    if not path.is_file():
        close = closest(path.stem, ours)
        hint = f" Did you mean {close}?" if close else ""
        raise InputError(f"no notebook {short(notebook)}.{hint} Give a path, or one of {', '.join(ours)}.")
    numbered = "[0-9][0-9]_*.ipynb"
    before = path.parent.glob(numbered) if path.match(numbered) else ()
    chain = [*sorted(other for other in before if other.name < path.name), path]
    for each in chain:
        _cells(each)
    return chain


def _cells(path):
    try:
        return [cell.source for cell in nbformat.read(path, as_version=4).cells]
    except Exception as error:  # nbformat raises what it likes
        raise InputError(f"{path} is not a notebook ({short(str(error))}); give a path that ends in .ipynb.") from None


def run_sweep(sweep: Sweep, address: str | None = None) -> None:
    """Run what is left of a sweep, then write results.csv and sweep.html, also when it is stopped.

    address: of a running Dask scheduler, None for processes of this computer. A run that fails keeps its notebook with
    the traceback, is named on the terminal, and does not stop the others. The runs' states are set.
    Raises InputError as engine.run_tasks does, and when another process sweeps into the same folder.
    """
    from hsichem.lab.engine import run_tasks

    with locked(sweep.folder / "sweep", wait=False):
        tasks = {str(run.folder): run for run in sweep.runs if run.state == "left"}
        # copies: the worker may lack the originals, and those may be edited while the sweep runs
        notebooks = [_copied(path, sweep.folder / "notebooks") for path in sweep.notebooks]
        arguments = {name: (notebooks, run.folder, run.parameters) for name, run in tasks.items()}
        try:
            # closing: on Ctrl-C kernels are ended before their leftovers are looked for
            with closing(run_tasks(_run, arguments, sweep.folder, address)) as ended:
                for name, outcome in ended:
                    run = tasks[name]
                    run.state, run.error = ("failed", str(outcome)) if outcome else ("finished", "")
                    if outcome:
                        tqdm.write(f"{_describe(run)}: {outcome}\n", file=sys.stderr)
        finally:
            for run in tasks.values():
                if run.state == "left":  # it may have ended just before Ctrl-C, and nobody has told
                    run.state = _state(run.folder, notebooks)
                _remove_leftovers(run)
            if any(run.state != "left" for run in sweep.runs):
                write_table(sweep)
                write_sweep_page(sweep)


def _copied(path, folder):
    with replacing(folder / path.name) as part:
        shutil.copyfile(path, part)
    return folder / path.name


def _run(argument) -> None:
    """On a worker: one run."""
    notebooks, folder, parameters = argument
    run_notebooks(notebooks, folder, parameters | {"results_dir": str(folder)})


def _remove_leftovers(run):
    # a run that was stopped has "failed" too, because its kernel was ended
    patterns = (*LEFT_OVER, failed_path(Path("*.ipynb")).name) if run.state == "left" else LEFT_OVER
    for pattern in patterns:
        for path in run.folder.rglob(pattern):
            path.unlink(missing_ok=True)


def _describe(run):
    return ", ".join(f"{name}={value}" for name, value in run.parameters.items())


def flatten(value, name="") -> dict:
    """Values by dotted name, of nested dicts and lists: methods.PLS.mean.rmsep, and list.0, list.1."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, part in parts for k, v in flatten(part, f"{name}.{key}" if name else str(key)).items()}
    return {name: value}


def write_table(sweep: Sweep) -> Path:
    """Write results.csv: a row for each run with its parameters, folder, state, and every value of its metrics.json."""
    rows = []
    for run in sweep.runs:
        own = run.parameters | {"run": run.folder.name, "state": run.state}
        rows.append(own | flatten(Results(run.folder).metrics()))
    with replacing(sweep.folder / "results.csv") as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(itertools.chain.from_iterable(rows))))
        writer.writeheader()
        writer.writerows(rows)
    return sweep.folder / "results.csv"


def write_sweep_page(sweep: Sweep) -> Path:
    """Write sweep.html: any number of the finished runs against any swept parameter, and a table of all runs."""
    from scipy.stats import t

    swept = [name for name, values in sweep.grid.items() if len(values) > 1] or list(sweep.grid)[:1]
    done = [run for run in sweep.runs if run.state == "finished"]
    found = [flatten(Results(run.folder).metrics()) for run in done]
    names = dict.fromkeys(name for row in found for name, value in row.items() if _is_figure(name, value))
    columns = {name: [row[name] if _is_figure(name, row.get(name)) else None for row in found] for name in names}
    labels = {name: [str(value) for value in sweep.grid[name]] for name in swept}  # True is 1, "True" is not "1"
    state = {
        "labels": labels,
        "places": {name: [labels[name].index(str(run.parameters[name])) for run in done] for name in swept},
        "numbers": {name: all(map(is_number, sweep.grid[name])) for name in swept},
        "metrics": columns,
        # shown first: what differs between runs, of the methods if it can be
        "first": min(
            (n for n in columns if len(set(columns[n])) > 1), key=lambda n: not n.startswith("methods."), default=""
        ),
        # of Student's t, for a 95 % interval of the mean of n runs
        "quantiles": [None, None, *(float(t.ppf(0.975, n - 1)) for n in range(2, len(done) + 1))],
    }
    return write_page(
        sweep.folder / "sweep.html",
        "sweep.html.j2",
        notebook=sweep.notebooks[-1].stem,
        runs=sweep.runs,
        parameters=list(sweep.runs[0].parameters),
        counts={state: sum(run.state == state for run in sweep.runs) for state in ("finished", "failed", "left")},
        failed={run.folder.name: path for run in sweep.runs for path in _failed_notebook(run, sweep.folder)},
        state=state,
    )


def _is_figure(name, value):
    """Whether the page offers it: a number that is no setting, and no part of a list, of which there are hundreds."""
    section, *_, last = name.split(".")
    return is_number(value) and section != "settings" and not last.isdigit()


def _failed_notebook(run, folder):
    paths = run.folder.glob(failed_path(Path("*.ipynb")).name) if run.state == "failed" else ()
    return [path.relative_to(folder).as_posix() for path in paths]
