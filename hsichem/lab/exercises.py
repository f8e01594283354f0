"""The check below an exercise: right, not answered yet, or what is wrong."""

import math


def check_answer(
    answer, expected: float | None, unit="", mistakes: dict | None = None, tolerance: float = 0.02
) -> None:
    """Say whether a number is within `tolerance` (relative) of `expected`, and if not, what is wrong.

    mistakes: wrong answer -> what was probably done to get it. None as answer means: not answered yet. None as expected
    means: a figure that needs pixel truth, of a data set that has none.
    """
    if expected is None:
        print("Nobody knows the answer here: it needs a truth map, as phantom-belly has. Try it there.")
        return
    if answer is None:
        print("Not answered yet: put your number in place of None and run the cell again.")
        return
    try:
        value = float(answer)
    except (TypeError, ValueError):
        print(f"Your answer is {answer!r}; a single number is expected.")
        return
    if math.isclose(value, expected, rel_tol=tolerance):
        print(f"Correct: {expected:.3g} {unit}".rstrip())
        return
    for wrong, reason in (mistakes or {}).items():
        if math.isclose(value, wrong, rel_tol=tolerance):
            print(f"Not yet. {reason}")
            return
    print(f"Not yet: {value:.3g} is too {'small' if value < expected else 'large'}.")
