"""Whole or absent, and two processes that do not cross."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hsichem import InputError
from hsichem._base import closest, gathered, locked, replacing
from hsichem.lab.results import Results

ROOT = Path(__file__).parents[1]


def python(code, *arguments):
    """A Python process of its own, started and not waited for."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_file_is_whole_or_absent(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "out.txt") as part:
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    path = tmp_path / "map [1].npy"
    old, fresh, other = (tmp_path / f".{name}.part" for name in ("map [1].npy.0123abcd", "map [1].npy.4567abcd", "x"))
    for left in (old, fresh, other):
        left.touch()
    os.utime(old, (time.time() - 3601,) * 2)
    os.utime(other, (time.time() - 3601,) * 2)
    with replacing(path) as part:
        part.touch()
    assert sorted(tmp_path.iterdir()) == sorted([path, fresh, other])


FULL = """
import resource, sys
import numpy as np
from hsichem import Cube, InputError
from hsichem.cubes import store_cube
from hsichem.lab.results import Results
from hsichem.loaders import write_cube
from hsichem.unet import TrainConfig, TrainingImage, build_network, train_fold

rng = np.random.default_rng(0)
config = TrainConfig(network="pixel", width=64, epochs=1)
cube = Cube(rng.random((12, 12, 50)), range(50))
image = TrainingImage.from_cube(build_network(config, 50, 1), cube, 5.0)
writers = {
    "map": lambda: Results(sys.argv[1]).save_map("m", "s", rng.random((100, 100))),
    "metrics": lambda: Results(sys.argv[1]).save("s", {"values": list(range(10000))}),
    "cube": lambda: write_cube(sys.argv[1] + "/c.hdr", rng.random((50, 50, 9)), range(900, 909)),
    "store": lambda: store_cube(sys.argv[1] + "/c.safetensors", cube, 1),
    "training": lambda: train_fold([image, image], [1, 2], 1, config, sys.argv[1]),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for name, write in writers.items():
    try:
        write()
        print(name, "wrote")
    except InputError as error:
        print(name, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on a file's size there")
def test_a_disk_that_refuses_is_said_and_nothing_is_left(tmp_path):
    output, errors = python(FULL, tmp_path).communicate()
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == ["map", "metrics", "cube", "store", "training"], errors
    assert all("cannot be written" in line and "free some space" in line for line in lines), output
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    for enter in (replacing, locked):
        with pytest.raises(InputError, match=r"out\.txt: cannot be written \(.*\); free some space"):
            with enter(tmp_path / "file" / "out.txt"):
                pass


def test_a_lock_is_for_one_and_ends_with_its_process(tmp_path):
    hold = python(
        "import sys, time; from hsichem._base import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); time.sleep(60)",
        tmp_path / "thing",
    )
    assert hold.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="in use by another process"), locked(tmp_path / "thing", wait=False):
        pass
    hold.kill()
    hold.wait()
    with locked(tmp_path / "thing", wait=False):
        pass


def test_who_waits_says_so_and_goes_on(tmp_path):
    wait = "import sys; from hsichem._base import locked\nwith locked(sys.argv[1]): print('mine')"
    with locked(tmp_path / "thing"):
        waiting = python(wait, tmp_path / "thing")
        assert "waiting for the process that holds it" in waiting.stderr.readline()
    assert waiting.communicate(timeout=60)[0] == "mine\n"


def test_two_processes_in_one_results_folder_lose_nothing(tmp_path):
    code = """if True:
    import sys, numpy as np; from hsichem.lab.results import Results
    for i in range(40): Results(sys.argv[1]).save(f"{sys.argv[2]}{i}", {"of": sys.argv[2]})
    for i in range(20): Results(sys.argv[1]).save_map(f"Map {sys.argv[2]}{i}", "s", np.zeros((2, 2)))
    for i in range(40): Results(sys.argv[1]).save("shared", {f"{sys.argv[2]}{i}": i})
    """
    both = [python(code, tmp_path, who) for who in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    metrics = Results(tmp_path).metrics()
    assert metrics.pop("map_names") == {f"map-{who}{i}": f"Map {who}{i}" for who in "ab" for i in range(20)}
    assert metrics.pop("shared") == {f"{who}{i}": i for who in "ab" for i in range(40)}
    assert metrics == {f"{who}{i}": {"of": who} for who in "ab" for i in range(40)}


def test_maps_of_two_processes_do_not_mix(tmp_path):
    code = """if True:
    import sys, numpy as np; from hsichem.lab.results import Results
    for _ in range(40): Results(sys.argv[1]).save_map("m", "s", np.full((200, 200), float(sys.argv[2])))
    """
    both = [python(code, tmp_path, number) for number in (1, 2)]
    while any(process.poll() is None for process in both):
        for values in Results(tmp_path).maps("m").values():
            assert values.shape == (200, 200) and np.unique(values) in (1, 2)
    assert [process.wait() for process in both] == [0, 0]


def test_a_name_is_hinted_at_when_it_is_alike():
    known = ["epochs", "smoothness", "seed"]
    assert closest("epochz", known) == "epochs" and closest("sed", iter(known)) == "seed"
    assert (
        closest("dataset", known) is None and closest("epochz", known, cutoff=0.9) is None
    )  # 5 of 6 letters are alike


def test_what_differs_only_in_who_and_in_numbers_is_one_sentence():
    said = [f"s {k}: {k}.5 of {k} are bad; mend s {k}." for k in range(9)] + [
        "t: 1 is bad.",
        "u: 2 is bad.",
        "all: no.",
    ]
    first, *others = gathered(said)
    assert first == "9 alike (s 0, 1, 2, 3, 4, 5 and 3 more), the first: s 0: 0.5 of 0 are bad; mend s 0."
    assert others == said[9:] and gathered([]) == []
