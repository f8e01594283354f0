"""The three lists of packages agree, the wheel is whole, importing is light, and the code is clean."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONDA_NAMES = {"matplotlib-base": "matplotlib", "playwright-python": "playwright", "pytorch": "torch"}


def ranges(lines):
    """{name: range} of requirement lines; a name given twice is an error."""
    parsed = [Requirement(line) for line in lines]
    found = {CONDA_NAMES.get(each.name, each.name): each.specifier for each in parsed}
    assert len(found) == len(parsed)
    return found


def project_ranges(*more):
    project = PYPROJECT["project"]
    extras = [line for extra in ("test", *more) for line in project["optional-dependencies"][extra]]
    return ranges(project["dependencies"] + extras)


def conda(path):
    """(channels, python line, {name: range} of conda's and pip's packages, pip's paths) of an environment file."""
    environment = yaml.safe_load((ROOT / path).read_text("utf-8"))
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    packages = [entry for entry in environment["dependencies"] if isinstance(entry, str) and entry != "pip"]
    (python,) = [entry for entry in packages if entry.startswith("python=") or entry.startswith("python>")]
    packages.remove(python)
    paths = [entry for entry in pip if entry.startswith("-")]
    return environment["channels"], python, ranges(packages + [entry for entry in pip if entry not in paths]), paths


def test_constraints_pin_every_package_once_and_inside_its_range():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            assert name not in pins
            pins[name] = Version(version)
    wanted = project_ranges("docs")
    assert sorted(pins) == sorted(wanted)
    outside = {name: str(pins[name]) for name in pins if not wanted[name].contains(pins[name])}
    assert outside == {}


@pytest.mark.parametrize("path", ["environment.yml", ".binder/environment.yml"])
def test_conda_has_the_same_packages_and_ranges(path):
    channels, _, packages, _ = conda(path)
    assert channels[0] == "conda-forge"
    assert packages == project_ranges()


def test_python_and_the_package_itself():
    minimum = PYPROJECT["project"]["requires-python"]
    _, python, _, paths = conda("environment.yml")
    assert python == f"python{minimum}" and paths == ["-e ."]
    _, python, _, paths = conda(".binder/environment.yml")
    assert SpecifierSet(minimum).contains(python.removeprefix("python="))
    assert paths == []  # Binder runs pip elsewhere; postBuild installs the package
    post_build = ROOT / ".binder" / "postBuild"
    assert "pip install --no-deps -e ." in post_build.read_text("utf-8")
    if sys.platform != "win32":
        assert post_build.stat().st_mode & 0o111


def test_the_build_requirement_is_the_one_that_is_tested():
    built = ranges(PYPROJECT["build-system"]["requires"])
    assert built == {"hatchling": project_ranges()["hatchling"]}


def test_the_wheel_holds_what_the_commands_read(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "hsichem = hsichem.cli:main" in archive.read(entry_points).decode()
    notebooks = [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").rglob("*.ipynb")]
    tables = [path.name for path in (ROOT / "hsichem" / "datasets" / "makers" / "tables").glob("*.csv")]
    assert notebooks and tables
    data = [
        "data_manifest.yaml",
        "datasets/manifest_fields.yaml",
        "lab/explorer/explorer.css",
        "lab/explorer/explorer.js",
        "lab/explorer/plots.js",
        "lab/explorer/regions.js",
        "lab/explorer/saved.html.j2",
        "lab/hsichem.mplstyle",
        *(f"lab/moving/{name}.js" for name in ("bars", "exposures", "forge", "painter", "shared", "training")),
        "lab/moving/moving.css",
        "lab/report.css",
        "lab/report.html.j2",
        "lab/sweep.html.j2",
        "lab/sweep.js",
    ]
    wanted = {f"hsichem/{name}" for name in [*data, *notebooks]}
    assert wanted | {f"hsichem/datasets/makers/tables/{name}" for name in tables} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if not name.startswith("hsichem")]


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_lint(arguments):
    done = subprocess.run([sys.executable, "-m", "ruff", *arguments, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
