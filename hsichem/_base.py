"""What every room stands on: the error a user can mend, short texts, spelling hints, files that are whole or absent.

A file appears under its name only when it is complete, and two processes do not cross.

What a killed process leaves is hidden and read by nobody: `.<name>.<8 digits>.part` is removed when the same file is
written an hour later or more, and `.<name>.lock` stays, for the system itself lets go of a dead process's lock.
"""

import difflib
import glob
import math
import os
import re
import secrets
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what was found, expected, and what to do."""


def to_float(text) -> float | None:
    """The number that a text is, NaN and infinity included; None when it is none."""
    try:
        return None if "_" in text else float(text)  # Python would take 1_0 for 10
    except (TypeError, ValueError):
        return None


def short(value) -> str:
    """A value as it may stand in a message."""
    return repr(value) if len(repr(value)) < 80 else repr(value)[:80] + "..."


def closest(name: str, known, cutoff: float = 0.6) -> str | None:
    """The known name that is most like `name`, or None. cutoff: how like at least, from 0 to 1, the same name."""
    return next(iter(difflib.get_close_matches(name, known, 1, cutoff)), None)


def gathered(sentences: list[str], alike: int = 3) -> list[str]:
    """Sentences `who: what`, those that differ only in who and in numbers made one, if there are `alike` or more."""
    groups = {}
    for sentence in sentences:
        who, _, what = sentence.partition(": ")
        groups.setdefault(re.sub(r"\d[\d.,]*", "#", what.replace(who, "")), []).append(sentence)
    said = []
    for group in groups.values():
        if len(group) < alike:
            said += group
            continue
        names = [sentence.partition(": ")[0] for sentence in group]
        if len({name.rpartition(" ")[0] for name in names}) == 1:  # references.csv, line 2, 3, 4
            names = [names[0], *(name.rpartition(" ")[2] for name in names[1:])]
        said.append(f"{len(group)} alike ({few(names)}), the first: {group[0]}")
    return said


def few(names: list, most: int = 6) -> str:
    """Names in a row, no more than a line of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def is_number(v):
    return isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)


@contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on any error.

    Raises InputError where the system refuses: a full disk, a folder that is read-only or cannot be made.
    """
    path = Path(path)
    # drawn, not the process number: that repeats between containers and between computers that share a disk
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def locked(path, wait=True):
    """Hold the lock of `path`, which another process then waits for; without `wait`, InputError when it is taken."""
    from filelock import FileLock, Timeout  # 0.2 s to import

    path = Path(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=2 if wait else 0)
    except Timeout:
        if not wait:
            raise InputError(
                f"{path.parent} is in use by another process; wait until it ends, or choose another."
            ) from None
        print(f"{path}: waiting for the process that holds it", file=sys.stderr)
        lock.acquire()
    except OSError as error:
        raise refused(path, error) from error
    try:
        yield
    finally:
        lock.release()


def refused(path, error: OSError) -> InputError:
    """What to say when the system does not let us write `path`."""
    return InputError(
        f"{path}: cannot be written ({error.strerror or error}); free some space, or choose a folder that you may "
        "write to."
    )


def _remove_leftovers(path):
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????.part"):
        with suppress(OSError):  # another process may be quicker
            if time.time() - left.stat().st_mtime > 3600:  # nothing here is written for an hour without a pause
                left.unlink()
