"""The commands as a user calls them; notebooks and data are tiny stand-ins."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.notebooks import make_notebook

from hsichem import datasets
from hsichem.cli import FEWEST_BANDS, main, parse_value
from hsichem.unet.network import KERNEL_BANDS

METRICS = {
    "settings": {"dataset": "phantom-belly"},
    "methods": {"PLS": {"mean": {"rmsep": 1.25}, "map": {"correlation": 0.5}, "variogram": {"correlated_share": 0.02}}},
}


def call(*arguments):
    return CliRunner().invoke(main, arguments)


def stand_in(splits, shape=(16, 16, 7)):
    """A data set of empty images, without truth maps."""
    samples = [SimpleNamespace(split=split, group=f"pig{k}") for k, split in enumerate(splits)]
    return SimpleNamespace(name="mine", samples=samples, cube=lambda sample: SimpleNamespace(values=np.empty(shape)))


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """`hsichem run` with one notebook that writes metrics.json, and no data to make."""
    write = f"""from pathlib import Path
from types import SimpleNamespace
Path(results_dir, "metrics.json").write_text({json.dumps(METRICS)!r})"""
    parameters = (
        'dataset = "phantom-belly"\npreset = "lesson"\nseed = 0\nresults_dir = None\nepochs = 1\nscheduler = None'
    )
    notebook = make_notebook(tmp_path / "01_one.ipynb", parameters, write)
    monkeypatch.setattr("hsichem.lab.find_notebooks", lambda: [notebook])
    monkeypatch.setattr("hsichem.lab.report.find_notebooks", lambda: [notebook])
    opened = []

    def open_dataset(name, size=None):
        opened.append((name, size))
        return stand_in((0, *range(6)))

    monkeypatch.setattr("hsichem.datasets.open_dataset", open_dataset)
    monkeypatch.chdir(tmp_path)
    return notebook, opened


def test_run_makes_data_results_and_a_report(chain, tmp_path):
    _, opened = chain
    result = call("run", "--preset", "paper", "-p", "epochs", "5")
    assert result.exit_code == 0, result.output
    assert opened == [("phantom-belly", "paper")]
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-phantom-belly")
    assert {path.name for path in folder.iterdir() if path.suffix != ".lock"} == {
        "01_one.ipynb",
        "metrics.json",
        "report.html",
    }
    given = json.loads((folder / "01_one.ipynb").read_text())["metadata"]["papermill"]["parameters"]
    assert given == {
        "dataset": "phantom-belly", "preset": "paper", "seed": 0, "epochs": 5, "scheduler": "local",
        "results_dir": str(folder),
    }  # fmt: skip
    assert "PLS" in result.stdout and "1.25" in result.stdout and str(folder / "report.html") in result.stdout


@pytest.mark.parametrize(
    ("arguments", "scheduler"),
    [
        (["--preset", "fast"], None),
        (["--preset", "fast", "--scheduler", "local"], "local"),
        (["--scheduler", "none"], None),
        (["--scheduler", "tcp://192.0.2.1:8786"], "tcp://192.0.2.1:8786"),
        ([], "local"),
    ],
)
def test_run_says_where_networks_train(chain, tmp_path, arguments, scheduler):
    assert call("run", "--results", "mine", *arguments).exit_code == 0
    given = json.loads((tmp_path / "mine" / "01_one.ipynb").read_text())["metadata"]["papermill"]["parameters"]
    assert given.get("scheduler") == scheduler


def test_run_resumes_in_the_folder_that_is_named(chain, tmp_path):
    assert call("run", "--results", "mine").exit_code == 0
    before = (tmp_path / "mine" / "01_one.ipynb").read_bytes()
    assert call("run", "--results", "mine").exit_code == 0
    assert (tmp_path / "mine" / "01_one.ipynb").read_bytes() == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-p", "epochz", "5"], 2, "Did you mean 'epochs'?"),
        (["-p", "preset", "fast"], 2, "give it as --preset fast"),
        (["-p", "scheduler", "local"], 2, "give it as --scheduler local"),
        (["--preset", "quick"], 2, "'fast', 'lesson', 'paper'"),
        (["--results", "01_one.ipynb/results"], 2, "cannot make the results folder"),
    ],
)
def test_what_the_user_can_mend_is_a_message(chain, tmp_path, arguments, status, message):
    result = call("run", *arguments)
    assert result.exit_code == status and message in result.stderr
    assert isinstance(result.exception, SystemExit)  # and not a traceback
    assert not (tmp_path / "runs").exists()


def test_a_notebook_that_stops_ends_the_run_with_status_1(chain, tmp_path):
    make_notebook(
        chain[0],
        "seed = 0\npreset = ''\ndataset = ''\nresults_dir = ''\nscheduler = None",
        "1 / 0",
    )
    result = call("run", "--results", "mine")
    assert result.exit_code == 1 and "01_one stopped at cell [3]: ZeroDivisionError" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_ctrl_c_says_which_command_goes_on(chain, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("hsichem.lab.run_notebooks", stop)
    done = call("run", "--results", "my run", "-p", "epochs", "2")
    assert done.exit_code == 130
    assert done.stderr.endswith("the same command goes on: hsichem run --results 'my run' -p epochs 2\n")
    done = call("run")  # into a folder with the time in its name, which the same words would not find again
    (folder,) = [line.removeprefix("Results: ") for line in done.stdout.splitlines() if line.startswith("Results: ")]
    assert done.stderr.endswith(f"goes on: hsichem run --results {folder}\n")


def test_a_fast_run_does_not_judge_networks(chain):
    assert "say nothing about networks" in call("run", "--preset", "fast").stdout
    assert "about networks" not in call("run").stdout


def test_an_unknown_data_set_is_named_with_the_known_ones():
    for arguments in (["run", "--dataset", "pork"], ["data", "make", "pork"], ["data", "verify", "pork"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert "'pork'" in result.stderr and "mineral-mixtures" in result.stderr


def test_data_list_names_every_entry_with_its_licence(tmp_path, monkeypatch):
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path))
    output = call("data", "list").stdout
    for name, entry in datasets.read_manifest().items():
        assert name in output and entry["licence"] in output


def test_data_verify_reports_problems_with_status_1(tmp_path, monkeypatch):
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path))
    result = call("data", "verify", "tecator")
    assert result.exit_code == 1 and "tecator.csv: missing" in result.stderr
    result = call("data", "verify")
    assert result.exit_code == 0 and "nothing is there yet" in result.stdout


def test_report_of_a_folder_without_a_run(tmp_path):
    result = call("report", str(tmp_path / "nowhere"))
    assert result.exit_code == 2 and "metrics.json" in result.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("1e-3", 0.001), ("True", True), ("true", True), ("null", None), ("[1, 2]", [1, 2]), ("a b", "a b"),
     ("phantom-belly", "phantom-belly"), ("010", "010"), ("__import__('os')", "__import__('os')")],
)  # fmt: skip
def test_values_are_literals_or_text(text, value):
    parsed = parse_value(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (stand_in([0]), "a test set (0)"),
        (stand_in([1, 2, 3]), "a test set (0)"),
        (stand_in([0, 1]), "a test set (0)"),
        (stand_in([0, 1, 2]), "of one group, 'pig0'"),
        (stand_in([0, 0, 1, 2], (1, 1, 100)), "1 x 1 pixels"),
        (stand_in([0, 0, 1, 2], (16, 15, 7)), "16 x 15 pixels and 7 bands; the notebooks need 16 pixels"),
        (stand_in([0, 0, 1, 2], (16, 16, 6)), "and 6 bands; "),
    ],
)
def test_run_refuses_data_that_the_notebooks_cannot_use(chain, monkeypatch, tmp_path, images, message):
    monkeypatch.setattr("hsichem.datasets.open_dataset", lambda name, size=None: images)
    result = call("run")
    assert result.exit_code == 2 and result.stderr.startswith("Error: mine") and message in result.stderr
    assert not (tmp_path / "runs").exists()


def test_run_asks_for_the_bands_that_the_network_needs():
    assert FEWEST_BANDS == KERNEL_BANDS
