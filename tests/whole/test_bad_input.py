"""Every malformed file and argument in helpers/ ends as a user should see it; `python tests/whole/test_bad_input.py`
prints the table.

A call of the library goes through the commands' own way of showing errors, so each case has an exit status and the text
that stands on the terminal.
"""

import sys
import tempfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers.bad_inputs import CASES

from hsichem.cli import Commands, main


def meet(prepare, folder: Path) -> tuple[int, str, bool, list[str]]:
    """Exit status, message without the folder's name, whether a traceback was shown, files that were left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSICHEM_DATA", str(folder / "cache"))
        patch.setenv("HSICHEM_DATA_MIRROR", "")
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.chdir(folder)
        patch.setattr("pooch.core.time.sleep", lambda seconds: None)  # its waits between attempts
        what = prepare(folder)
        before = set(folder.rglob("*"))
        group = Commands(commands={"call": click.Command("call", callback=what)}) if callable(what) else main
        result = CliRunner().invoke(group, ["call"] if callable(what) else what)
    # an image that was read before the fault was seen may be kept, as the cache's own
    new = [path for path in set(folder.rglob("*")) - before if path.is_file() and path.parent.parent.name != "stored"]
    left = [str(path.relative_to(folder)) for path in new]
    traceback = not isinstance(result.exception, SystemExit)
    message = (f"{result.exception!r} " if traceback else "") + result.stderr.strip()
    shown = message.replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")
    return result.exit_code, shown, traceback, [path for path in left if not path.endswith(".lock")]


@pytest.fixture(scope="module")
def messages():
    """The message of each case met so far."""
    return {}


@pytest.mark.parametrize(("name", "words", "prepare"), CASES, ids=[name for name, _, _ in CASES])
def test_it_ends_with_its_own_message(name, words, prepare, tmp_path, messages):
    status, message, traceback, left = meet(prepare, tmp_path)
    assert not traceback, message
    assert status == 2 and words in message
    assert left == []
    same = [other for other, said in messages.items() if said == message]
    assert same == [], "other causes need other words"
    messages[name] = message


def test_the_table_is_long_enough_and_has_no_case_twice():
    names = [name for name, _, _ in CASES]
    assert len(set(names)) == len(names) >= 60


def print_table():
    for name, _, prepare in CASES:
        with tempfile.TemporaryDirectory() as folder:
            status, message, _, left = meet(prepare, Path(folder))
        said = " ".join(message.removeprefix("Error: ").split("Error: ")[-1].split())
        print(f"{name:45}{status}  {said[:300]}" + f"  LEFT: {left}" * bool(left))
    print(f"{len(CASES)} cases")


if __name__ == "__main__":
    sys.exit(print_table())
