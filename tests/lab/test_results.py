"""The results folder, and the check below an exercise."""

import numpy as np
import pytest

from hsichem import InputError
from hsichem.lab.exercises import check_answer
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


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "Not answered yet: put your number in place of None and run the cell again."),
        (2.01, "Correct: 2 %"),
        (4, "Not yet. You forgot the square root."),
        (1.0, "Not yet: 1 is too small."),
        (3.0, "Not yet: 3 is too large."),
        ("two", "Your answer is 'two'; a single number is expected."),
        (np.float64(2), "Correct: 2 %"),
    ],
)
def test_checks_say_what_is_wrong(answer, said, capsys):
    check_answer(answer, 2.0, "%", {4.0: "You forgot the square root."})
    assert capsys.readouterr().out == said + "\n"


@pytest.mark.parametrize("answer", [None, 2.0])
def test_what_only_a_truth_could_check_is_said_so(answer, capsys):
    check_answer(answer, None, "%")
    assert capsys.readouterr().out.startswith("Nobody knows the answer here")
