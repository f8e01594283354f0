"""Real kernels on tiny notebooks: order, resuming, errors."""

import json
import sys

import pytest
from helpers.notebooks import make_notebook

from hsichem import InputError
from hsichem.lab.runner import NotebookError, check_parameters, failed_path, find_notebooks, run_notebooks


@pytest.fixture
def chain(tmp_path):
    """Two notebooks: the first counts its own executions, the second copies the count and the Python it runs in."""
    count = """from pathlib import Path
counter = Path(results_dir) / "count"
counter.write_text(str(int(counter.read_text()) + 1 if counter.exists() else 1))"""
    copy = """import json, sys
from pathlib import Path
seen = {"count": (Path(results_dir) / "count").read_text(), "prefix": sys.prefix, "seed": seed, "epochs": epochs}
(Path(results_dir) / "seen.json").write_text(json.dumps(seen))"""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return [
        make_notebook(folder / "01_count.ipynb", "results_dir = None\nseed = 0", count),
        make_notebook(folder / "02_copy.ipynb", "results_dir = None\nseed = 0\nepochs = 1", copy),
    ]


@pytest.mark.slow
def test_the_chain_runs_in_order_in_this_python_and_resumes(chain, tmp_path):
    results = tmp_path / "a {run} of mine"  # papermill fills braces in a path
    parameters = {"results_dir": str(results), "seed": 3, "epochs": 5}
    outputs = run_notebooks(chain, results, parameters)
    assert outputs == [results / "01_count.ipynb", results / "02_copy.ipynb"]
    seen = json.loads((results / "seen.json").read_text())
    assert seen == {"count": "1", "prefix": sys.prefix, "seed": 3, "epochs": 5}
    assert sorted(p.name for p in results.glob("*.ipynb")) == ["01_count.ipynb", "02_copy.ipynb"]

    before = [output.read_bytes() for output in outputs]
    run_notebooks(chain, results, parameters)
    assert [output.read_bytes() for output in outputs] == before

    run_notebooks(chain, results, parameters | {"epochs": 6})  # only the second notebook knows it
    assert outputs[0].read_bytes() == before[0]
    assert json.loads((results / "seen.json").read_text())["epochs"] == 6

    unfinished = json.loads(outputs[0].read_text())
    unfinished["cells"][-1]["metadata"]["papermill"]["exception"] = None
    outputs[0].write_text(json.dumps(unfinished))
    run_notebooks(chain, results, parameters | {"epochs": 6})
    seen = json.loads((results / "seen.json").read_text())
    assert seen["count"] == "2"  # the second notebook was run again too


def test_a_kernel_of_the_same_name_elsewhere_is_not_used(chain, tmp_path, monkeypatch):
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_PATH"):
        kernel = tmp_path / variable / "kernels" / "python3"
        kernel.mkdir(parents=True)
        spec = {"argv": ["no-such-python", "{connection_file}"], "display_name": "other", "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    run_notebooks(chain[:1], tmp_path / "results", {"results_dir": str(tmp_path / "results")})
    assert (tmp_path / "results" / "count").read_text() == "1"


def test_an_edited_notebook_is_executed_again(chain, tmp_path):
    results = tmp_path / "results"
    parameters = {"results_dir": str(results)}
    run_notebooks(chain[:1], results, parameters)
    make_notebook(chain[0], "results_dir = None\nseed = 0", "open(results_dir + '/edited', 'w').close()")
    run_notebooks(chain[:1], results, parameters)
    assert (results / "edited").exists()


@pytest.mark.slow
def test_a_notebook_that_stops_is_named_and_kept(chain, tmp_path):
    bad = make_notebook(
        chain[0].parent / "02_bad.ipynb", "results_dir = None", "print('so far')", "raise ValueError('no\\nfat')"
    )
    results = tmp_path / "results"
    parameters = {"results_dir": str(results)}
    with pytest.raises(NotebookError, match=r"02_bad stopped at cell \[4\]: fat\n") as caught:
        run_notebooks([chain[0], bad, chain[1]], results, parameters)
    kept = failed_path(results / "02_bad.ipynb")
    assert str(kept) in str(caught.value)
    assert "so far" in kept.read_text()
    assert sorted(p.name for p in results.glob("*.ipynb")) == ["01_count.ipynb", kept.name]

    make_notebook(bad, "results_dir = None", "'mended'")
    run_notebooks([chain[0], bad, chain[1]], results, parameters)
    assert sorted(p.name for p in results.glob("*.ipynb")) == ["01_count.ipynb", "02_bad.ipynb", "02_copy.ipynb"]
    assert (results / "count").read_text() == "1"  # the first was not run again


def test_a_kernel_that_dies_is_said(tmp_path):
    notebook = make_notebook(tmp_path / "01_dies.ipynb", "seed = 0", "import os\nos._exit(9)")
    with pytest.raises(NotebookError, match=r"01_dies stopped because its kernel died, most often out of memory\."):
        run_notebooks([notebook], tmp_path / "results", {})
    assert [p.name for p in (tmp_path / "results").glob("*.ipynb")] == ["01_dies.failed.ipynb"]


def test_an_unknown_parameter_stops_before_anything_starts(chain, tmp_path):
    with pytest.raises(InputError, match=r"'epoch'. Did you mean 'epochs'\? Known: epochs, results_dir, seed"):
        run_notebooks(chain, tmp_path / "results", {"epoch": 5})
    assert not (tmp_path / "results").exists()


def test_each_notebook_is_given_what_it_knows(chain):
    own = check_parameters(chain, {"seed": 1, "epochs": 2})
    assert own == {chain[0]: {"seed": 1}, chain[1]: {"seed": 1, "epochs": 2}}


def test_a_folder_that_cannot_be_made_is_an_input_error(chain, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the results folder"):
        run_notebooks(chain, tmp_path / "file" / "results", {})


def test_a_read_only_folder_is_an_input_error(chain, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match="read-only"):
        run_notebooks(chain, tmp_path, {})


def test_the_notebooks_are_found_in_order():
    names = [path.name for path in find_notebooks()]
    assert names[:4] == [
        "01_preprocessing.ipynb",
        "02_pls_maps.ipynb",
        "03_unet_training.ipynb",
        "04_spatial_variance.ipynb",
    ]
