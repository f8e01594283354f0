"""The check below an exercise."""

import numpy as np
import pytest

from hsichem.lab.exercises import check_answer


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
