"""What SECURITY.md says holds: nothing read is executed, nothing is written outside the folder that was named."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hsichem import InputError
from hsichem.datasets import manifest
from hsichem.datasets.table import read_table

ROOT = Path(__file__).parents[2]
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "shutil.unpack_archive"}
CALLS |= {
    f"yaml.{name}" for name in ("load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all")
}
METHODS = {"read_pickle", "extractall"}
ARGUMENTS = {"load": {"np": ("allow_pickle", False), "numpy": ("allow_pickle", False), "torch": ("weights_only", True)}}


def faults(source: str) -> list[str]:
    """What of a Python source could execute what it reads, by name and line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{node.lineno}: {name}" for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        called, keywords = ast.unparse(node.func), {each.arg: each.value for each in node.keywords}
        owner, _, name = called.rpartition(".")
        if called == "yaml.load" and ast.unparse(node).endswith(", LOADER)"):  # which one that is, is tested below
            continue
        if called in CALLS or name in METHODS:
            found.append(f"{node.lineno}: {called}")
        argument, safe = ARGUMENTS.get(name, {}).get(owner, (None, None))
        value = keywords.get(argument)
        if argument == "allow_pickle" and value is None:  # NumPy's own default is the safe one; torch's was not always
            continue
        if argument and not (isinstance(value, ast.Constant) and value.value is safe):
            found.append(f"{node.lineno}: {called} without {argument}={safe}")
        if "shell" in keywords:
            found.append(f"{node.lineno}: {called} in a shell")
    return found


def test_nothing_that_is_read_is_executed():
    paths = [path for place in ("hsichem", "benchmarks") for path in (ROOT / place).rglob("*.py")]
    sources = {path: path.read_text("utf-8") for path in paths}
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
        lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
        sources[path] = "\n".join("" if line.lstrip().startswith("%") else line for line in lines)  # %matplotlib
    assert len(sources) > 40
    assert {str(path): found for path, source in sources.items() if (found := faults(source))} == {}


def test_the_manifests_loader_makes_plain_values_only():
    assert issubclass(manifest.LOADER, yaml.constructor.SafeConstructor)


@pytest.mark.parametrize(
    "source",
    ["eval('1')", "exec(code)", "import pickle", "from joblib import load", "yaml.load(f)", "yaml.load(f, yaml.Loader)",
     "yaml.unsafe_load(f)", "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)",
     "torch.load(f)", "torch.load(f, weights_only=False)", "subprocess.run(x, shell=True)", "os.system(x)",
     "archive.extractall()"],
)  # fmt: skip
def test_the_search_finds_what_it_is_for(source):
    assert faults(f"def f():\n    {source}") != []


@pytest.mark.parametrize(
    "name",
    ["../up", "/etc/passwd", "a/b", "a\\b", "..", ".", ".hidden", "C:up", "end.", "end ", "", "nul\0", "two\nlines"],
)
def test_no_id_in_a_table_leaves_the_folder(tmp_path, name):
    quoted = '"' + name + '"'
    (tmp_path / "references.csv").write_text(f"id,split,fat\n{quoted},0,10\ngood,1,20\n")
    try:
        table = read_table(tmp_path)
    except InputError:
        return
    assert [row.id for row in table.rows] in (["good"], ["end", "good"])  # of "end " the blank is cut off
    assert table.problems or "end" in table.ids


WATCH = """
import os, sys
from pathlib import Path
allowed, written = [Path(each).resolve() for each in sys.argv[1:3]], set()
WRITES = {"os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.symlink": (1,),
          "os.link": (1,), "os.truncate": (0,), "os.chmod": (0,), "shutil.rmtree": (0,)}

def note(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND) and not isinstance(path, int):
            written.add(path)
    elif event in WRITES:
        written.update(arguments[i] for i in WRITES[event])

from hsichem import cli  # numpy and others may write what they like while they are imported
from hsichem import datasets  # numpy and others may write what they like while they are imported
from hsichem.datasets.makers import phantom  # numpy and others may write what they like while they are imported
import hsichem.datasets.check, hsichem.lab.report, matplotlib.font_manager, matplotlib.backends.backend_agg
entry = datasets.read_manifest()["phantom-belly"]
small = {"samples": 6, "animals": 6, "rows": 32, "cols": 24, "length_mm": 75, "width_mm": 55}
entry["bin"], entry["recipe"]["sizes"] = 1, {"small": entry["recipe"]["sizes"]["lesson"] | small}
read = datasets.read_manifest
datasets.read_manifest = lambda root=None: read(root) | {"phantom-belly": entry}
from hsichem.lab.results import Results
sys.addaudithook(note)
folder = datasets.make("phantom-belly")
Results(sys.argv[2]).save("settings", {"dataset": "phantom-belly"})
Results(sys.argv[2]).save_map("PLS", "belly_001", datasets.open_dataset("phantom-belly").samples[0].truth())
overview = sys.argv[2] + "/masks.png"  # without --out in the working directory
for arguments in (["data", "check", str(folder), "--out", overview],
                  ["data", "add", str(folder), "--name", "mine", "--unit", "% w/w"],
                  ["data", "list"], ["data", "verify", "mine"], ["report", sys.argv[2]]):
    try:
        cli.main(arguments)
    except SystemExit as end:
        print(arguments, end.code, file=sys.stderr)
outside = {str(path) for path in written
           if not any(Path(os.fsdecode(path)).resolve().is_relative_to(place) for place in allowed)}
print("\\n", sorted(outside - {"/dev/null", os.devnull}), len(written), sep="")
"""


@pytest.mark.slow
def test_nothing_is_written_outside_the_cache_and_the_results(tmp_path):
    cache, results = tmp_path / "cache", tmp_path / "results"
    environment = os.environ | {"HSICHEM_DATA": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WATCH, str(cache), str(results)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("[]"), done.stdout[-2000:] + done.stderr[-2000:]
    assert int(done.stdout.splitlines()[-1].removeprefix("[]")) > 50, done.stderr[-2000:]
    assert (cache / "own" / "mine.yaml").is_file() and (results / "report.html").is_file()
    assert (results / "masks.png").is_file()
