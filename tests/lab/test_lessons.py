"""Findings, hints, and the check below an exercise."""

from types import SimpleNamespace

import numpy as np
import pytest

from hsichem import InputError
from hsichem.lab import lessons
from hsichem.lab.runner import PACKAGE, defaults
from hsichem.lab.settings import PRESETS, TOLD

TEXT = """
- answer: 2.0
  unit: "%"
  hints: [Draw it., Take the root.]
  mistakes: [[4, You forgot the square root.]]
  replies: {halved: You took half.}
- {answer: B, hints: [Look.], because: "B is blurred.", mistakes: [[C, C is flat.]]}
- {answer: [low, high], hints: [Look.], mistakes: [[[high, low], Turned round.]]}
"""


@pytest.fixture(autouse=True)
def chapter(tmp_path, monkeypatch):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "09.yaml").write_text(TEXT)
    monkeypatch.setattr(lessons, "find_notebooks", lambda: [tmp_path / "09_x.ipynb"])
    lessons._exercise.cache_clear()
    yield
    lessons._exercise.cache_clear()


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("09.1", None, "Not answered yet: put your answer in place of None and run the cell again."),
        ("09.1", 2.01, "Correct: 2 %"),
        ("09.1", np.float64(2), "Correct: 2 %"),
        ("09.1", 4, "Not yet. You forgot the square root."),
        ("09.1", 1.0, "Not yet. 1 is too small. hint('09.1') helps."),
        ("09.1", 3.0, "Not yet. You took half."),
        ("09.1", 5.0, "Not yet. 5 is too large. hint('09.1') helps."),
        ("09.1", "two", "Your answer is 'two'; expected a number."),
        ("09.1", np.ones(2), "Your answer is array([1., 1.]); expected a number."),
        ("09.2", " b", "Correct: B is blurred."),
        ("09.2", "C", "Not yet. C is flat."),
        ("09.2", "A", "Not yet. hint('09.2') helps."),
        ("09.2", 2, "Your answer is 2; expected a word or a letter in quotation marks."),
        ("09.3", ["low", "High "], "Correct: low, high"),
        ("09.3", ("high", "low"), "Not yet. Turned round."),
        ("09.3", ["low"], "Your answer is ['low']; expected a list of 2."),
    ],
)
def test_checks_say_what_is_wrong(name, answer, said, capsys):
    lessons.check(name, answer, **{"halved": 3.0} if name == "09.1" else {})
    assert capsys.readouterr().out == said + "\n"


def test_what_the_run_found_counts_before_the_file(capsys):
    lessons.check("09.1", 7, 7.0)
    lessons.check("09.1", 7, None)
    right, unknown = capsys.readouterr().out.splitlines()
    assert right == "Correct: 7 %" and unknown.startswith("Nobody knows the answer here")


def test_hints_come_one_after_the_other(capsys):
    for number in (1, 2, 3, 0):
        lessons.hint("09.1", number)
    first, second, *past = capsys.readouterr().out.splitlines()
    assert first == "Draw it. (hint('09.1', 2) says more)" and second == "Take the root."
    assert past == ["Exercise 09.1 has 2 hints, numbered from 1."] * 2


def test_an_exercise_that_is_not_there():
    with pytest.raises(InputError, match=r"no exercise '09\.4'; expected one of 09\.1, 09\.2, 09\.3"):
        lessons.hint("09.4")
    with pytest.raises(InputError, match=r"no exercise '10\.1'; expected one of another chapter"):
        lessons.check("10.1", 1)


def test_a_finding_that_is_false_stops_the_lesson_alone(capsys):
    told = {"A is above B.": True, "C is 3.": False}
    lessons.findings(SimpleNamespace(as_told=False), told)
    assert capsys.readouterr().out == "true here: A is above B.\nnot so here: C is 3.\n"
    with pytest.raises(AssertionError, match=r"the lesson says: C is 3\. This run says otherwise"):
        lessons.findings(SimpleNamespace(as_told=True), told)


def test_the_lessons_are_told_for_the_notebooks_own_parameters():
    notebooks = sorted((PACKAGE.parent / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    own = {name: default for path in notebooks for name, default in defaults(path).items()}
    assert TOLD == {name: value for name, value in own.items() if value is not None}
    assert TOLD["preset"] in PRESETS
