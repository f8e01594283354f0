"""Every notebook: how it is written, and that it runs. nbval runs the chain once, in the preset `fast`."""

import json
import math
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import papermill
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from hsichem import InputError
from hsichem.lab.report import figure_caption, write_report
from hsichem.lab.runner import find_notebooks, run_notebooks
from hsichem.lab.tables import head_to_head
from hsichem.maps import FILTERS, find_verdict

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
CLEAN = ["--keep-output", "--keep-count", "--extra-keys"]
CLEAN += ["metadata.papermill cell.metadata.papermill cell.metadata.execution"]
OUTSIDE = re.compile(r"(?<![\w.:/])/(home|root|Users|tmp|work|opt|usr|var)/|\b[A-Za-z]:\\")  # a path of one machine
MAP_KEYS = {"pixel_rmse", "correlation", "slope", "sd_ratio", "edge_width", "outside_share", "low", "high"}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_and_solutions = pytest.mark.parametrize(
    "path", NOTEBOOKS + SOLUTIONS, ids=lambda path: f"{path.parent.name}/{path.stem}"
)


def cells(path, kind="code", tag=None):
    """The notebook's cells of a kind, their source joined."""
    found = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]
    for cell in found:
        cell["source"] = "".join(cell["source"])
    return [cell for cell in found if tag is None or tag in cell["metadata"].get("tags", [])]


def printed(path):
    """Everything the code cells wrote as text."""
    texts = []
    for output in (output for cell in cells(path) for output in cell["outputs"]):
        texts += ["".join(output.get("text", "")), "".join(output.get("data", {}).get("text/plain", ""))]
    return "\n".join(texts)


def test_each_chapter_has_solutions():
    assert NOTEBOOKS == find_notebooks()
    assert [path.name for path in SOLUTIONS] == [path.name for path in NOTEBOOKS]


# ---- how it is written


@each_and_solutions
def test_it_has_one_parameters_cell_and_a_language(path):
    assert len(cells(path, tag="parameters")) == 1
    assert json.loads(path.read_text("utf-8"))["metadata"]["kernelspec"]["language"] == "python"  # papermill asks


@each_and_solutions
def test_it_is_committed_executed_without_errors(path):
    code = [cell for cell in cells(path) if cell["source"].strip()]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds and "error" not in kinds


def test_all_are_clean_and_small():
    files = [str(path) for path in NOTEBOOKS + SOLUTIONS]
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--verify", *CLEAN, *files], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n`make notebooks` cleans"
    assert [path.name for path in NOTEBOOKS + SOLUTIONS if path.stat().st_size >= 1.5e6] == []


@each_and_solutions
def test_it_names_no_path_of_one_machine(path):
    sources = "\n".join(cell["source"] for kind in ("code", "markdown") for cell in cells(path, kind))
    assert OUTSIDE.findall(sources + printed(path)) == []


@each
def test_it_has_few_and_short_cells(path):
    """A lesson of 45 minutes. The imports and the list of findings are not read by students, and may be long."""
    code = [
        cell["source"] for cell in cells(path)[1:] if cell["source"].strip() and "findings(run" not in cell["source"]
    ]
    lengths = [len(source.splitlines()) for source in code]
    assert len(cells(path)) + len(cells(path, "markdown")) <= 35
    assert max(lengths) <= 20 and statistics.median(lengths) <= 10


@each
def test_its_claims_are_asserted_and_its_times_are_said(path):
    first, text = cells(path, "markdown")[0]["source"], "\n".join(cell["source"] for cell in cells(path))
    assert re.search(r"\*\*Read:\*\* .*\*\*Run:\*\* ", first, re.DOTALL) and first.count("\n- ") == 3
    assert "findings(run, " in text
    assert "not so here" not in printed(path)


@each
def test_it_ends_with_references(path):
    last = cells(path, "markdown")[-1]["source"]
    assert "references" in last.lower() and "doi" in last.lower()


@each
def test_its_report_figures_have_captions(path):
    figures = cells(path, tag="report")
    assert figures
    for cell in figures:
        assert figure_caption(cell["source"]) != "Figure without a caption", cell["source"]
        assert any("image/png" in output.get("data", {}) for output in cell["outputs"]), cell["source"]


@each
def test_nbval_compares_at_least_two_outputs(path):
    compared = cells(path, tag="nbval-check-output")
    assert len(compared) >= 2
    assert all(cell["outputs"] for cell in compared)


# ---- that it runs


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """(results folder, {notebook's name: nbval's test cases}) of one run of the chain."""
    folder = tmp_path_factory.mktemp("chain")
    given = {"preset": "fast", "results_dir": str(folder / "results")}
    copies = [folder / notebook.name for notebook in NOTEBOOKS]
    for notebook, copy in zip(NOTEBOOKS, copies, strict=True):
        papermill.execute_notebook(notebook, copy, given, kernel_name="python3", prepare_only=True, progress_bar=False)
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *nbval, f"--junitxml={folder / 'nbval.xml'}", "--rootdir", str(folder)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, *map(str, copies)], cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert (folder / "nbval.xml").exists(), done.stdout + done.stderr
    cases = list(ElementTree.parse(folder / "nbval.xml").iter("testcase"))
    return folder / "results", {copy.name: [c for c in cases if copy.stem in c.get("classname")] for copy in copies}


@each
def test_nbval_passes(path, executed):
    cases = executed[1][path.name]
    # every code cell, and the one papermill adds, is a case
    assert len(cases) == len([cell for cell in cells(path) if cell["source"].strip()]) + 1
    problems = [case.get("name") + "\n" + part.text for case in cases for part in case if part.tag != "system-out"]
    assert problems == [], re.sub(r"#x1B\[[\d;]*m", "", "\n\n".join(problems))  # junit's spelling of colours


@pytest.fixture(scope="session")
def metrics(executed):
    return json.loads((executed[0] / "metrics.json").read_text("utf-8"))


def numbers(value):
    """Every number in nested dicts and lists."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float):
        yield value


def test_metrics_have_every_section_and_only_finite_numbers(metrics):
    chapters = {path.stem for path in NOTEBOOKS} - {"06_map_explorer"}  # which shows, and computes nothing to keep
    assert chapters | {"settings", "methods", "nulls", "difference"} <= set(metrics)
    assert {key: metrics["settings"][key] for key in ("dataset", "preset")} == {
        "dataset": "phantom-belly", "preset": "fast"
    }  # fmt: skip
    found = list(numbers(metrics))
    assert len(found) > 50 and all(map(math.isfinite, found))


def test_metrics_have_every_method_and_null(metrics):
    linear = {"PLS", "linear", *(f"linear {kind}" for kind in FILTERS if kind != "none")}
    assert {*linear, "U-Net", "pixel network"} == set(metrics["methods"]) == set(metrics["difference"])
    methods, opponent = metrics["methods"], metrics["02_pls_maps"]["opponent"]
    for name, difference in metrics["difference"].items():
        for key in ("rmsep_ratio", "rmsep_difference", "pixel_rmse_ratio"):
            low, high = difference[f"{key}_interval"]
            assert low <= difference[key] <= high and (low > 0 or key == "rmsep_difference")
        one, pls, best = methods[name], methods["PLS"], methods[opponent]
        assert difference["rmsep_difference"] == pytest.approx(one["mean"]["rmsep"] - pls["mean"]["rmsep"])
        assert difference["pixel_rmse_ratio"] == pytest.approx(one["map"]["pixel_rmse"] / best["map"]["pixel_rmse"])
    assert set(metrics["unet_against"]) == linear
    for name, against in metrics["unet_against"].items():
        ratio = methods["U-Net"]["map"]["pixel_rmse"] / methods[name]["map"]["pixel_rmse"]
        assert against["pixel_rmse_ratio"] == pytest.approx(ratio)
    tuned = metrics["02_pls_maps"]["tuned"]
    assert set(tuned) == linear - {"PLS"} and opponent == min(
        tuned, key=lambda name: math.hypot(tuned[name]["rmsecv"], tuned[name]["held_out"])
    )


def test_the_verdict_is_the_least_error_of_mean_and_held_out_pixels(metrics):
    expected = {
        name: math.hypot(found["mean"]["rmsep"], found["held_out"]["held_out"])
        for name, found in metrics["methods"].items()
    }
    assert metrics["verdict"]["expected_error"] == pytest.approx(expected)
    assert metrics["verdict"]["without_truth"] == min(expected, key=expected.get)
    errors = {name: found["map"]["pixel_rmse"] for name, found in metrics["methods"].items()}
    assert metrics["verdict"]["with_truth"] == min(errors, key=errors.get)
    assert find_verdict(metrics)["blind"] == metrics["verdict"]["without_truth"]  # the report and chapter 05 agree
    assert find_verdict(metrics)["method"] == metrics["verdict"]["with_truth"]
    # not a matter of training: the linear maps and those that know nothing are ranked as the truth ranks them
    assert metrics["rank_correlation"]["held_out"] > 0.9


def test_every_method_and_null_has_its_figures(metrics):
    for method in metrics["methods"].values():
        low, high = method["mean"]["rmsep_interval"]
        assert 0 < low < method["mean"]["rmsep"] < high
        assert set(method["map"]) >= MAP_KEYS
        assert method["map"]["low"] <= method["map"]["high"]
        assert 0 <= method["map"]["outside_share"] <= 1
        assert 0 <= method["variogram"]["correlated_share"] <= 1
        assert method["held_out"]["noise"] > 0
    assert len(metrics["nulls"]) >= 3
    for null in metrics["nulls"].values():
        assert {"correlated_share", "correlation", "pixel_rmse", "held_out"} <= set(null)


def test_claims_say_what_the_paper_has_and_what_was_found(metrics):
    claims = metrics["05_which_map"]["claims"]
    assert len(claims) >= 3
    for claim in claims:
        assert all(isinstance(claim[key], str) and claim[key] for key in ("claim", "paper", "here", "held", "why"))


def test_the_report_reads_the_metrics_of_the_chain(metrics, tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    page = write_report(tmp_path).read_text("utf-8")
    for heading in ("Head to head", "Claims", "Variograms", "Shortcuts", "Intervals for the mean",
                    "A ladder of loss terms"):  # fmt: skip
        assert f">{heading}</h2>" in page
    assert "Believe the linear" in page and "the networks are not trained" in page
    assert "Verdict: missing" not in page and "Licence and citation: missing" not in page
    for _, *row in head_to_head({"methods": metrics["methods"]}, ("RMSEP", "pixel RMSE", "share")):
        assert len(row) == 3 and "-" not in row


@each
def test_an_unknown_parameter_stops_the_notebook(path, tmp_path, monkeypatch):
    """In a shell without a kernel, which takes seconds to start."""
    monkeypatch.chdir(tmp_path)
    papermill.execute_notebook(
        path, tmp_path / path.name, {"sed": 1}, kernel_name="python3", prepare_only=True, progress_bar=False
    )
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell puts its own there
    config = Config({"HistoryManager": {"enabled": False}})  # the user's own history stays as it is
    shell, ran = InteractiveShell(config=config, ipython_dir=str(tmp_path / "ipython")), []
    with matplotlib.rc_context():
        for cell in cells(tmp_path / path.name):
            ran.append(cell["source"])
            if error := shell.run_cell(cell["source"], store_history=True).error_in_exec:
                break
    assert isinstance(error, InputError) and "'sed'" in str(error) and "'seed'" in str(error)
    assert "read_settings(globals()" in ran[-1] and len(ran) <= 5  # before anything is read or computed
    assert not (tmp_path / "results").exists()


def test_the_solutions_are_correct(executed, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    given = {"preset": "fast", "results_dir": str(executed[0])}
    for solution, notebook in zip(run_notebooks(SOLUTIONS, tmp_path, given), NOTEBOOKS, strict=True):
        exercises = printed(notebook).count("Not answered yet")
        answers = printed(solution)
        assert exercises >= 2, notebook.name
        assert answers.count("Correct: ") == exercises, f"{solution.name}:\n{answers}"
        assert "Not yet" not in answers and "Not answered yet" not in answers
