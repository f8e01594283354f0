"""The results folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from hsichem import InputError
from hsichem.lab import latest_results, read_settings
from hsichem.lab.results import Results


def test_sections_add_up_and_survive(tmp_path):
    results = Results(tmp_path / "new")
    assert results.metrics() == {}
    results.save("a", {"x": np.float32(0.5), "n": np.int64(3)})
    results.save("a", {"y": None})
    results.save("b", {"flag": True})
    assert Results(tmp_path / "new").metrics() == {"a": {"x": 0.5, "n": 3, "y": None}, "b": {"flag": True}}


def test_nan_is_never_written(tmp_path):
    results = Results(tmp_path)
    results.save("a", {"x": 1})
    before = (tmp_path / "metrics.json").read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        results.save("a", {"y": float("nan")})
    assert (tmp_path / "metrics.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == ["metrics.json"]


def test_broken_metrics_are_named(tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        Results(tmp_path).metrics()


def test_maps_come_back_by_sample(tmp_path):
    results = Results(tmp_path)
    values = np.arange(6.0).reshape(2, 3)
    results.save_map("PLS few", "s1", values)
    results.save_map("PLS few", "s2", values + 1)
    assert (tmp_path / "maps" / "pls-few" / "s1.npy").exists()
    maps = results.maps("PLS few")
    assert list(maps) == ["s1", "s2"]
    assert maps["s2"].dtype == np.float32
    np.testing.assert_array_equal(maps["s2"], values + 1)
    assert results.maps("unet") == {}


def test_maps_of_a_sample_have_their_methods_names(tmp_path):
    results = Results(tmp_path)
    for name in ("U-Net weight 1e-05", "PLS T2", "PLS"):
        results.save_map(name, "s [1]", np.zeros((2, 3)))
    results.save_map("ridge", "other", np.zeros((2, 3)))
    assert list(results.maps_of_sample("s [1]")) == ["PLS", "PLS T2", "U-Net weight 1e-05"]
    assert list(results.maps_of_sample("other")) == ["ridge"] and results.maps_of_sample("s *") == {}
    before = (tmp_path / "metrics.json").stat().st_mtime_ns
    results.save_map("PLS", "s [1]", np.ones((2, 3)))
    assert (tmp_path / "metrics.json").stat().st_mtime_ns == before  # a name is written once
    np.testing.assert_array_equal(results.maps_of_sample("s [1]")["PLS"], np.ones((2, 3)))


def test_a_notebook_finds_the_newest_maps_of_its_settings_and_says_which(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    names = ("dataset", "preset", "seed", "results_dir")
    run = read_settings({"dataset": "mine", "preset": "fast", "seed": 1, "results_dir": None}, *names)

    def made(folder, seed, at):
        results = Results(folder)
        results.save("settings", {"dataset": "mine", "preset": "fast", "seed": seed})
        results.save_map("PLS", "one", np.ones((2, 2)))
        os.utime(results.folder / "maps" / "pls" / "one.npy", (at, at))

    assert latest_results(run) is run.results and "No maps yet" in capsys.readouterr().out
    made("../runs/first-mine", 1, 100)
    made("../runs/second-mine", 1, 200)
    made("../runs/other-seed", 2, 300)
    assert latest_results(run).folder == Path("../runs/second-mine")
    assert capsys.readouterr().out == "Maps of ../runs/second-mine\n"
    made(run.folder, 1, 250)
    assert latest_results(run).folder == run.folder  # made since
    made(run.folder, 1, 150)
    run.results_dir = str(run.folder)
    assert latest_results(run).folder == run.folder  # chosen in the notebook
