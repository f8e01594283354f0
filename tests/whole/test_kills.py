"""A short kill study; benchmarks/whole/kills.py is the long one, with training and notebooks too."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_commands_lose_nothing():
    names = ["make", "http", "store", "maps", "model", "map"]
    command = [sys.executable, "benchmarks/whole/kills.py", *names, "--times", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == names
    killed = [int(row[4]) for row in rows]
    assert sum(killed) >= 4, "too few were killed in time to say anything"
