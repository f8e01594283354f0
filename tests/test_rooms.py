"""The rooms: who imports whom, what a face offers, and what is loaded when."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("cubes", "loaders", "datasets", "pls", "unet", "maps", "lab")
MODULES = sorted((ROOT / "hsichem").rglob("*.py"))


def imports(path):
    """(module, name) of every `from hsichem... import name` in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "hsichem":
            yield from ((node.module, alias.name) for alias in node.names)


def test_the_rooms_import_as_pyproject_says():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "0 broken" in done.stdout, done.stdout + done.stderr


def test_other_rooms_are_entered_by_their_face_and_nothing_private_leaves_one():
    wrong = []
    for path in MODULES:
        room = path.relative_to(ROOT / "hsichem").parts[0]
        for module, name in imports(path):
            other = module.split(".")[1:]
            if other[:1] in ([], ["_base"], [room]):
                private = name.startswith("_") and name != "__version__"
            else:
                private = len(other) > 1 or name.startswith("_")
            if private:
                wrong.append(f"{path.relative_to(ROOT)}: from {module} import {name}")
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_offers_what_it_names(room):
    face = importlib.import_module(f"hsichem.{room}")
    assert face.__all__ and all(getattr(face, name) is not None for name in face.__all__)
    assert set(face.__all__) <= set(dir(face))


def test_no_module_stands_outside_the_rooms():
    outside = {path.name for path in (ROOT / "hsichem").glob("*.py")}
    assert outside == {"__init__.py", "_base.py", "cli.py"}
    assert {path.name for path in (ROOT / "hsichem").iterdir() if (path / "__init__.py").exists()} == set(ROOMS)


@pytest.mark.parametrize("name", ["hsichem", *(f"hsichem.{room}" for room in ROOMS)])
def test_a_face_loads_nothing_heavy(name):
    heavy = ("scipy", "sklearn", "torch", "matplotlib", "pooch", "papermill", "spectral", "h5py", "distributed")
    code = f"import sys, {name}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_what_notebooks_begin_with_is_quick_to_import():
    """A student waits for it in every notebook: a second each for papermill, scipy.stats and torch."""
    code = "from hsichem.lab import check, findings, hint, plotting, read_settings; check('01.1', None, 1); "
    code += "from hsichem import datasets, maps, pls; maps.judge, maps.tune, maps.variogram_interval, pls.choose_pls; "
    code += "import sys; print([n for n in ('papermill', 'nbformat', 'scipy.stats', 'torch') if n in sys.modules])"
    shown = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).splitlines()
    assert shown[-1] == "[]"
