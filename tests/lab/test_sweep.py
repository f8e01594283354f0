"""Grids of a tiny notebook: what is planned, refused, run, resumed, stopped, and what the table and the page say."""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from helpers.notebooks import make_notebook

from hsichem import InputError
from hsichem.cli import main
from hsichem.lab import engine, sweep
from hsichem.lab.sweep import flatten, parse_fixed, parse_grid, plan_sweep

PARAMETERS = 'results_dir = None\nseed = 0\nrate = 0.5\nkind = "a"\nmore = None\nslow = 0.0\nflag = False'
# a run counts its own executions; an unlucky kind fails after it has written a number
CELL = """import time
from pathlib import Path
from hsichem.lab.results import Results
count = Path(results_dir, "count")
count.write_text(count.read_text() + "x" if count.exists() else "x")
Results(results_dir).save("methods", {"PLS": {"rmsep": rate + seed / 10, "interval": [1, 2.5], "name": "<i>"}})
time.sleep(slow)
if kind == "bad":
    raise ValueError("no <b>fat</b>")
Results(results_dir).save("last", {"good": True, "none": None})"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    return str(make_notebook(tmp_path_factory.mktemp("own") / "tiny.ipynb", PARAMETERS, CELL))


def command(folder, *arguments):
    return CliRunner().invoke(main, ["sweep", *arguments, "--results", str(folder)])


@pytest.mark.parametrize(
    ("texts", "grid"),
    [
        (["seed=0..4"], {"seed": [0, 1, 2, 3, 4]}),
        (["seed=-1..1,7"], {"seed": [-1, 0, 1, 7]}),
        (["smoothness=0,0.2,20"], {"smoothness": [0, 0.2, 20]}),
        (["flag=true,False", "more=None,null5"], {"flag": [True, False], "more": [None, "null5"]}),
        ([" kind = a b , absorbance+snv "], {"kind": ["a b", "absorbance+snv"]}),
        (["path=a=b"], {"path": ["a=b"]}),
        (["seed=5..5"], {"seed": [5]}),
    ],
)
def test_a_grid_is_lists_and_ranges(texts, grid):
    found = parse_grid(texts)
    assert found == grid and list(found) == list(grid)
    assert [[type(v) for v in values] for values in found.values()] == [[type(v) for v in v] for v in grid.values()]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing to sweep"),
        (["seed"], "'seed' is no NAME=VALUE"),
        (["seed="], "'seed=' is no NAME=VALUE"),
        (["=1"], "'=1' is no NAME=VALUE"),
        (["seed=0,,1"], "a value is missing beside a comma"),
        (["seed=4..0"], r"'4\.\.0' is no range; expected two whole numbers, the smaller one first"),
        (["seed=0...4"], "is no range"),
        (["seed=0..x"], "is no range"),
        (["rate=0.1..0.5"], "is no range"),
        (["seed=0..99999999999"], "the grid has 100000000000 runs; expected 10000 at most"),
        (["seed=0..2,1"], "a value is given twice"),
        (["seed=0", "seed=1"], "seed is given twice"),
    ],
)
def test_a_wrong_grid_is_refused(texts, message):
    with pytest.raises(InputError, match=message):
        parse_grid(texts)


def test_fixed_parameters():
    assert parse_fixed(["preset=fast", "epochs=2"], {"seed": [0]}) == {"preset": "fast", "epochs": 2}
    for texts in (["seed=1"], ["epochs=1", "epochs=2"]):
        with pytest.raises(InputError, match="is given already"):
            parse_fixed(texts, {"seed": [0]})


@pytest.mark.parametrize(
    ("grid", "fixed", "message"),
    [
        ({"sed": [0]}, {}, "no notebook has a parameter 'sed'. Did you mean 'seed'"),
        ({"seed": [0, "one"]}, {}, r"parameter seed is 'one' \(str\); expected a whole number"),
        ({"rate": [0.5, "fast"]}, {}, r"parameter rate is 'fast' \(str\); expected a value of type float"),
        ({"flag": [0, 1]}, {}, r"parameter flag is 0 \(int\); expected a value of type bool"),
        ({"seed": [0]}, {"kind": 5}, r"parameter kind is 5 \(int\); expected a value of type str"),
        ({"results_dir": ["a", "b"]}, {}, "each run has a folder of its own"),
        ({"seed": list(range(200)), "rate": list(range(200))}, {}, "the grid has 40000 runs"),
    ],
)
def test_names_and_types_are_checked_before_anything_starts(notebook, tmp_path, grid, fixed, message):
    with pytest.raises(InputError, match=message):
        plan_sweep(notebook, grid, fixed, tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


def test_each_combination_has_a_folder_of_its_own(notebook, tmp_path):
    plan = plan_sweep(notebook, {"rate": [1, 2.0], "more": [None, "x"]}, {"seed": 3}, tmp_path)
    assert [run.parameters for run in plan.runs] == [
        {"rate": rate, "more": more, "seed": 3} for rate, more in itertools.product([1, 2.0], [None, "x"])
    ]
    assert len({run.folder for run in plan.runs}) == 4 and {run.folder.parent for run in plan.runs} == {tmp_path}
    again = plan_sweep(notebook, {"more": ["x"], "rate": [2.0]}, {"seed": 3}, tmp_path)  # in another order
    assert again.runs[0].folder == plan.runs[3].folder


def test_a_folder_depends_on_notebook_data_and_version(tmp_path, monkeypatch):
    def folder(dataset="phantom-belly"):
        return plan_sweep(str(path), {"seed": [0]}, {"dataset": dataset}, tmp_path).runs[0].folder

    path = make_notebook(tmp_path / "own.ipynb", 'results_dir = None\nseed = 0\ndataset = ""', "1")
    folders = [folder(), folder("tecator")]
    make_notebook(path, 'results_dir = None\nseed = 0\ndataset = ""', "2")
    folders.append(folder())
    monkeypatch.setattr(sweep, "__version__", "9.9")
    folders.append(folder())
    entries = {"phantom-belly": {"recipe": "another"}}
    monkeypatch.setattr("hsichem.datasets.read_manifest", lambda: entries)
    folders.append(folder())
    assert len(set(folders)) == 5 and folder() == folders[-1]


def test_what_precedes_a_numbered_notebook_is_run_too(tmp_path):
    assert [path.name[:2] for path in plan_sweep("03_unet_training", {"seed": [0]}, {}).notebooks] == ["01", "02", "03"]
    for name in ("02_b", "01_a", "03_c", "own"):
        make_notebook(tmp_path / f"{name}.ipynb", "results_dir = None\nseed = 0", "1")
    plan = plan_sweep(str(tmp_path / "02_b.ipynb"), {"seed": [0]}, {})
    assert [path.stem for path in plan.notebooks] == ["01_a", "02_b"]
    assert [path.stem for path in plan_sweep(str(tmp_path / "own.ipynb"), {"seed": [0]}, {}).notebooks] == ["own"]


def test_a_notebook_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no notebook '03_unet_trainig'. Did you mean 03_unet_training\?"):
        plan_sweep("03_unet_trainig", {"seed": [0]}, {})
    (tmp_path / "x.ipynb").write_text("{}")
    with pytest.raises(InputError, match=r"x\.ipynb is not a notebook"):
        plan_sweep(str(tmp_path / "x.ipynb"), {"seed": [0]}, {})
    path = make_notebook(tmp_path / "y.ipynb", "seed = 0", "1")
    with pytest.raises(InputError, match="has no parameter results_dir"):
        plan_sweep(str(path), {"seed": [0]}, {})


def test_metrics_are_flattened():
    assert flatten({"a": {"b c": 1, "d": [2, {"e": None}]}, "f": "g", "h": {}}) == {
        "a.b c": 1, "a.d.0": 2, "a.d.1.e": None, "f": "g"
    }  # fmt: skip


@pytest.fixture(scope="module")
def swept(notebook, tmp_path_factory):
    """A sweep of 2 x 2 runs, of which two fail."""
    folder = tmp_path_factory.mktemp("swept")
    result = command(folder, notebook, "-g", "kind=a,bad", "-g", "seed=0,1", "-p", "rate=1.5")
    return folder, result


@pytest.mark.slow
def test_failures_do_not_stop_the_others_and_are_kept(swept):
    folder, result = swept
    assert result.exit_code == 1 and "2 of 4 runs failed" in result.stderr
    assert "kind=bad, seed=1, rate=1.5: tiny stopped at cell [3]: ValueError: no <b>fat</b>" in result.stderr
    assert "4 runs, of which 0 are finished already" in result.stdout
    runs = [path for path in folder.iterdir() if path.is_dir() and path.name != "notebooks"]
    kept = [path for run in runs for path in run.glob("*.failed.ipynb")]
    assert len(runs) == 4 and len(kept) == 2
    assert all("ValueError" in path.read_text() for path in kept)


@pytest.mark.slow
def test_the_table_has_every_value_of_every_run(swept):
    with (swept[0] / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["kind", "seed", "rate", "run", "state", "methods.PLS.rmsep", "methods.PLS.interval.0",
                             "methods.PLS.interval.1", "methods.PLS.name", "last.good", "last.none"]  # fmt: skip
    assert [(row["kind"], row["seed"], row["state"], row["methods.PLS.rmsep"], row["last.good"]) for row in rows] == [
        ("a", "0", "finished", "1.5", "True"),
        ("a", "1", "finished", "1.6", "True"),
        ("bad", "0", "failed", "1.5", ""),
        ("bad", "1", "failed", "1.6", ""),
    ]
    assert all((swept[0] / row["run"] / "count").read_text() == "x" for row in rows)


@pytest.mark.slow
def test_the_page_says_what_ran_and_takes_nothing_for_html(swept):
    page = (swept[0] / "sweep.html").read_text("utf-8")
    assert "4 runs: 2 finished, 2 failed, 0 left." in page
    assert "no &lt;b&gt;fat&lt;/b&gt;" in page and "<b>fat" not in page and "<i>" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # it needs no network
    text = page.split('<script type="application/json" id="state">')[1].split("</script>")[0]
    state = json.loads(text)
    assert state["metrics"] == {"methods.PLS.rmsep": [1.5, 1.6]}  # of the finished ones; no parts of lists, no texts
    assert state["labels"] == {"kind": ["a", "bad"], "seed": ["0", "1"]}
    assert state["places"] == {"kind": [0, 0], "seed": [0, 1]}
    assert state["quantiles"][2] == pytest.approx(12.706, abs=1e-3)
    for path in swept[0].glob("*/*.failed.ipynb"):
        assert f'href="{path.relative_to(swept[0]).as_posix()}"' in page


@pytest.mark.slow
def test_finished_runs_are_not_repeated_and_a_mended_grid_ends_well(swept, notebook):
    folder, _ = swept
    before = (folder / "results.csv").read_text()
    result = command(folder, notebook, "-g", "kind=a", "-g", "seed=0..2", "-p", "rate=1.5")
    assert result.exit_code == 0, result.output
    assert "3 runs, of which 2 are finished already" in result.stdout
    assert all(path.read_text() == "x" for path in folder.glob("*/count"))
    with (folder / "results.csv").open(newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    # what failed is tried again
    result = command(folder, notebook, "-g", "kind=a,bad", "-g", "seed=0,1", "-p", "rate=1.5")
    assert result.exit_code == 1 and "4 runs, of which 2 are finished already" in result.stdout
    assert sorted(path.read_text() for path in folder.glob("*/count")) == ["x", "x", "x", "xx", "xx"]
    assert (folder / "results.csv").read_text() == before


@pytest.fixture
def started(notebook, tmp_path):
    """A function that starts a sweep of slow runs in a terminal's group of processes; what it started is ended."""
    processes = []

    def start(*more):
        arguments = ["sweep", notebook, "-g", "seed=0..2", "-p", "slow=4.0", "--results", str(tmp_path / "s"), *more]
        # a command that starts in the background of a script would be deaf to Ctrl-C
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        code += "from hsichem.cli import main; main()"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with (tmp_path / "log").open("w") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", code, *arguments],
                    stdout=log, stderr=log, start_new_session=True, env=environment,
                )
            )  # fmt: skip
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def finished(folder):
    return [path for path in folder.glob("*/tiny.ipynb") if path.parent.name != "notebooks"]


def kernels(folder):
    """The processes that the runs in a folder have started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(engine.MARK, "").startswith(str(folder)):
                found.append(process)
    return found


def wait_for(ready, process, log, seconds=60):
    end = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs groups of processes")
def test_ctrl_c_leaves_no_kernel_and_no_half_file_and_the_same_command_goes_on(started, tmp_path):
    folder, log = tmp_path / "s", tmp_path / "log"
    process = started()
    # one run is finished, and another one's cell has begun
    wait_for(lambda: finished(folder) and len(list(folder.glob("*/count"))) > 1, process, log)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert "stopped; the same command goes on" in log.read_text()
    assert kernels(folder) == []
    done = len(finished(folder))
    names = {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    assert names == {"tiny.ipynb", "count", "metrics.json", "results.csv", "sweep.html"}
    with (folder / "results.csv").open(newline="") as file:
        assert sorted(row["state"] for row in csv.DictReader(file)) == ["finished"] * done + ["left"] * (3 - done)
    process = started()
    assert process.wait(120) == 0, log.read_text()
    assert f"3 runs, of which {done} are finished already" in log.read_text()
    assert sorted(path.read_text() for path in folder.glob("*/count"))[:done] == ["x"] * done
    assert len(finished(folder)) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_worker_that_is_killed_in_mid_run_loses_nothing(started, tmp_path):
    folder, log = tmp_path / "s", tmp_path / "log"
    process = started()
    wait_for(lambda: list(folder.glob("*/count")), process, log)
    kernel = kernels(folder)[0]
    run = kernel.environ()[engine.MARK]
    kernel.parent().kill()
    assert process.wait(120) == 0, log.read_text()
    assert not kernel.is_running() and kernels(folder) == []
    assert "failed=0, left=0" in log.read_text()
    assert len(finished(folder)) == 3 and not list(folder.rglob("*.partial.ipynb"))
    assert open(os.path.join(run, "count")).read() == "xx"  # it was begun twice


SBATCH = """#!/bin/sh
# what dask-jobqueue expects of SLURM: the job runs in the background, its number is printed
cp "$1" {here}/job.sh
setsid sh {here}/job.sh > {here}/job.log 2>&1 &
echo "Submitted batch job $!"
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="SLURM is there alone")
def test_the_script_for_slurm_does_what_its_page_says(notebook, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")
    (tmp_path / "slurm_sweep.py").write_text(page.split("```python\n")[1].split("```")[0].replace("jobs=10", "jobs=1"))
    scripts = {
        "sbatch": SBATCH.format(here=tmp_path),
        "scancel": f"#!/bin/sh\necho $1 >> {tmp_path}/cancelled\nkill -- -$1\n",
        "hsichem": f"#!/bin/sh\nexec {sys.executable} -c 'from hsichem.cli import main; main()' \"$@\"\n",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "slurm_sweep.py", notebook, "-g", "seed=0,1", "--results", str(tmp_path / "s")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(finished(tmp_path / "s")) == 2
    job = (tmp_path / "job.sh").read_text()
    assert "#SBATCH -p short" in job and "#SBATCH -t 08:00:00" in job and "--nthreads 1" in job
    assert (tmp_path / "cancelled").read_text().strip().isdigit()
