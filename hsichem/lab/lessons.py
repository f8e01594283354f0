"""What a notebook says beside its code: whether a finding holds here, a hint, the check of an exercise."""

import math
from functools import cache

import yaml

from hsichem._base import InputError, is_number, short
from hsichem.lab.runner import find_notebooks


def findings(run, told: dict[str, bool]) -> None:
    """Print each sentence of the lesson and whether it holds here.

    told: sentence -> whether this run's numbers agree. Raises AssertionError for a sentence that is false with the
    settings the lesson was written for (run.as_told): the text above it is then wrong, and must not be published.
    """
    for sentence, holds in told.items():
        if run.as_told and not holds:
            raise AssertionError(f"the lesson says: {sentence} This run says otherwise.")
        print(f"{'true here' if holds else 'not so here'}: {sentence}")


@cache
def _exercise(name: str) -> dict:
    """An exercise by chapter and number: 02.1 is the first of the list in notebooks/exercises/02.yaml."""
    chapter = name.partition(".")[0]
    path = find_notebooks()[0].parent / "exercises" / f"{chapter}.yaml"
    known = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else []
    found = {f"{chapter}.{k}": entry for k, entry in enumerate(known, start=1)}
    if name not in found:
        raise InputError(f"no exercise {short(name)}; expected one of {', '.join(found) or 'another chapter'}.")
    return found[name]


def hint(name: str, number: int = 1) -> None:
    """Print the hint of an exercise with this number, from 1. Raises InputError for an exercise that is not there."""
    hints = _exercise(name)["hints"]
    if not 1 <= number <= len(hints):
        print(f"Exercise {name} has {len(hints)} hint{'s' if len(hints) > 1 else ''}, numbered from 1.")
        return
    more = f" (hint({name!r}, {number + 1}) says more)" if number < len(hints) else ""
    print(f"{hints[number - 1].strip()}{more}")


def check(name: str, answer, expected=..., **wrong) -> None:
    """Say whether an answer is right and, where the mistake is a known one, what led to it.

    answer: a number, a text, or a list in order; None means not answered yet. expected: what this run found, where the
    answer depends on it, and None where that needs a truth map that nobody has; without it the exercise's own counts.
    wrong: values of typical mistakes in this run, by the name of their reply in the exercise's file. Numbers may differ
    by 2 %, or by the exercise's `tolerance`. Raises InputError for an exercise that is not there.
    """
    entry = _exercise(name)
    expected = entry["answer"] if expected is ... else expected
    if expected is None:
        print("Nobody knows the answer here: it needs a truth map, as phantom-belly has. Try it there.")
    elif answer is None:
        print("Not answered yet: put your answer in place of None and run the cell again.")
    elif (kind := _kind(answer)) != _kind(expected):
        print(f"Your answer is {answer!r}; expected {_kind(expected)}.")
    elif _same(answer, expected, entry):
        reason = entry.get("because") or f"{_shown(expected)} {entry.get('unit', '')}"
        print(f"Correct: {reason.strip()}")
    else:
        replies = entry.get("replies", {})
        known = [(value, reply) for value, reply in entry.get("mistakes", [])]
        known += [(value, replies[which]) for which, value in wrong.items()]
        for value, reply in known:
            if _kind(value) == kind and _same(answer, value, entry):
                print(f"Not yet. {reply.strip()}")
                return
        side = f" {_shown(answer)} is too {'small' if answer < expected else 'large'}." if kind == "a number" else ""
        print(f"Not yet.{side} hint({name!r}) helps.")


def _kind(value):
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return "a word or a letter in quotation marks"
    return "a number" if is_number(value) else "something else"


def _same(one, other, entry):
    if is_number(one):
        return math.isclose(one, other, rel_tol=entry.get("tolerance", 0.02))
    return _plain(one) == _plain(other)


def _plain(value):
    return value.strip().lower() if isinstance(value, str) else [_plain(str(part)) for part in value]


def _shown(value):
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value:.3g}"
