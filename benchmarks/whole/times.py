"""Where the time of a run and of the tests goes, as tables. A name of a folder or file chooses what is read:

    python benchmarks/whole/times.py                    runs the notebooks (preset fast) and reads what they left
    python benchmarks/whole/times.py runs/FOLDER        a folder that `hsichem run` wrote
    make test ARGS=--junitxml=tests.xml; python benchmarks/whole/times.py tests.xml

papermill keeps the seconds of each cell in the notebook; what is left of a notebook's is its kernel's start and end.
"""

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from hsichem.lab import find_notebooks, run_notebooks

SLOWEST = 12


def heading_of(source: str) -> str:
    """The cell's first line that is code, and short."""
    lines = [line.strip() for line in source.splitlines() if line.strip() and not line.startswith("#")]
    return lines[0][:70] if lines else ""


def of_run(folder: Path):
    """(rows of (name, cells, seconds), cells as (seconds, where)) of the executed notebooks in a folder."""
    rows, cells = [], []
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        book = json.loads(path.read_text("utf-8"))
        own = []
        for cell in book["cells"]:
            seconds = cell["metadata"].get("papermill", {}).get("duration")
            if cell["cell_type"] == "code" and seconds is not None:
                own.append((seconds, f"{path.stem} [{cell['execution_count']}] {heading_of(''.join(cell['source']))}"))
        whole = book["metadata"].get("papermill", {}).get("duration") or sum(seconds for seconds, _ in own)
        rows.append((path.stem, len(own), whole))
        cells += [*own, (whole - sum(seconds for seconds, _ in own), f"{path.stem}: its kernel")]
    return rows, cells


def of_tests(path: Path):
    """The same of a file that pytest wrote with --junitxml: of test files, and of tests with their fixtures."""
    found, cells = defaultdict(list), []
    for case in ElementTree.parse(path).iter("testcase"):
        seconds = float(case.get("time"))
        found[case.get("classname")].append(seconds)
        cells.append((seconds, f"{case.get('classname')}::{case.get('name')[:60]}"))
    return [(name, len(times), sum(times)) for name, times in found.items()], cells


def print_tables(rows, cells):
    total = sum(seconds for *_, seconds in rows)
    for name, count, seconds in [
        *sorted(rows, key=lambda row: -row[2])[:25],
        ("all", sum(row[1] for row in rows), total),
    ]:
        print(f"{name:34}{count:6}{seconds:8.1f} s{seconds / max(total, 1e-9):6.0%}")
    print()
    for seconds, where in sorted(cells, reverse=True)[:SLOWEST]:
        print(f"{seconds:8.1f} s  {where}")


def main():
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        return print_tables(*(of_run if path.is_dir() else of_tests)(path))
    with tempfile.TemporaryDirectory() as folder:
        run_notebooks(find_notebooks(), Path(folder), {"preset": "fast", "results_dir": folder})
        print_tables(*of_run(Path(folder)))


if __name__ == "__main__":
    main()
