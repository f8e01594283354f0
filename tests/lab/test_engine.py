"""Tasks on real Dask workers: outcomes, lost workers, workers that are refused, joining by address."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from unittest.mock import patch
from urllib.request import ProxyHandler, build_opener

import numpy as np
import psutil
import pytest
import torch
from distributed import LocalCluster

from hsichem import Cube, InputError
from hsichem.lab import engine
from hsichem.unet import TrainConfig, train_folds

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


@contextmanager
def workers_here(threads=1):
    """The address of a scheduler with one worker, both in this process."""
    options = {"n_workers": 1, "threads_per_worker": threads, "processes": False, "dashboard_address": None}
    with LocalCluster(**options) as cluster:
        yield cluster.scheduler_address


def run_here(tasks, function, shared="/"):
    with workers_here() as address:
        return dict(engine.run_tasks(function, tasks, shared, address))


def test_results_and_exceptions_come_with_their_names(capsys):
    def half(number):
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number // 2

    ended = run_here({"a": 4, "b": 3, "c": 0}, half)
    assert ended["a"] == 2 and ended["c"] == 0
    assert isinstance(ended["b"], ValueError) and str(ended["b"]) == "3 is odd"
    said = capsys.readouterr().err
    assert "3/3" in said and "failed=1, left=0" in said and "Dashboard: " in said


def test_no_tasks_need_no_cluster():
    assert list(engine.run_tasks(None, {}, "/", "tcp://127.0.0.1:9")) == []


def test_a_process_of_a_killed_worker_ends_before_its_task_is_done_again():
    environment = os.environ | {engine.MARK: "mine"}
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)
    other = subprocess.Popen(orphan.args, env=environment | {engine.MARK: "yours"})
    try:
        while not all(engine.MARK in psutil.Process(each.pid).environ() for each in (orphan, other)):
            time.sleep(0.01)
        run_here({"mine": 1}, lambda number: number)
        assert orphan.wait(5) == -signal.SIGKILL and other.poll() is None
    finally:
        orphan.kill()
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    ("change", "shared", "threads", "message"),
    [
        (None, "/nowhere", 1, "does not see /nowhere"),
        (None, "/", 2, r"has 2 threads.*--nthreads 1 --nworkers 2"),
        ("9.9", "/", 1, r"has hsichem 0\.\d.*and this is 9\.9"),
    ],
)
def test_a_worker_that_cannot_do_the_same_is_refused(change, shared, threads, message):
    with workers_here(threads) as address, patch.object(engine, "__version__", change or engine.__version__):
        with pytest.raises(InputError, match=message):
            list(engine.run_tasks(print, {"a": 1}, shared, address))


def test_a_worker_of_another_version_that_joins_later_does_nothing():
    with pytest.raises(InputError, match=r"expected 9\.9"):
        engine._task(print, "a", 1, "command", "9.9")
    assert engine.MARK not in os.environ and not engine.under_way


def test_an_address_where_nobody_answers(monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense", "ftp://127.0.0.1:9"):
        with pytest.raises(InputError, match=f"no Dask scheduler answers at {address}"):
            list(engine.run_tasks(print, {"a": 1}, "/", address))


@pytest.mark.slow
def test_a_killed_worker_loses_no_task_and_the_dashboard_answers(tmp_path, capsys):
    def work(name):
        (tmp_path / name).open("a").write(f"{os.getpid()}\n")
        time.sleep(0.1 if name == "a" else 2)
        return name

    names = ["a", "b", "c", "d"]
    ended, killed = {}, None
    for name, outcome in engine.run_tasks(work, dict(zip(names, names, strict=True)), tmp_path):
        ended[name] = outcome
        if name == "a":
            killed = next(path for path in tmp_path.iterdir() if path.name != "a").read_text()
            os.kill(int(killed), signal.SIGKILL)
            address = capsys.readouterr().err.split("Dashboard: ")[1].split()[0]
            assert build_opener(ProxyHandler({})).open(address, timeout=30).status == 200
    assert killed and ended == {name: name for name in names}
    assert sorted(len((tmp_path / name).read_text().split()) for name in names) == [1, 1, 1, 2]


@pytest.mark.slow
def test_two_workers_join_by_address_and_one_is_killed(tmp_path):
    def work(name):
        (tmp_path / name).write_text(str(os.getpid()))
        time.sleep(1)
        return os.getpid()

    with dask(tmp_path, "scheduler", "--port", "0", "--no-dashboard") as (_, text):
        (address,) = {word for word in text("tcp://").split() if word.startswith("tcp://")}
        worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        with dask(tmp_path, *worker) as (first, said), dask(tmp_path, *worker) as (second, said_too):
            said("Registered to"), said_too("Registered to")
            ended = {}
            for name, outcome in engine.run_tasks(work, {f"t{k}": f"t{k}" for k in range(6)}, tmp_path, address):
                ended[name] = outcome
                if set(ended.values()) == {first.pid, second.pid}:
                    first.kill()
            assert len(ended) == 6 and set(ended.values()) == {first.pid, second.pid}
            assert first.wait(30) == -signal.SIGKILL


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_said(tmp_path):
    with dask(tmp_path, "scheduler", "--port", "0", "--no-dashboard") as (scheduler, text):
        (address,) = {word for word in text("tcp://").split() if word.startswith("tcp://")}
        with dask(tmp_path, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"):
            with pytest.raises(InputError, match=f"the scheduler at {address} has gone; start it"):
                for _ in engine.run_tasks(time.sleep, {"short": 0, "long": 3}, tmp_path, address):
                    scheduler.kill()


@pytest.mark.slow
def test_a_stopped_command_ends_what_its_workers_started(tmp_path):
    def work(name):
        subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=True)

    def mine():
        found = []
        for process in psutil.process_iter():
            with engine.suppress(psutil.Error):
                found += [process] if process.environ().get(engine.MARK) == str(tmp_path) else []
        return found

    def interrupt():
        while threading.main_thread().is_alive() and not mine():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with workers_here() as address:
        with closing(engine.run_tasks(work, {str(tmp_path): 1, "other": 2}, tmp_path, address)) as tasks:
            with pytest.raises(KeyboardInterrupt):
                # where tests run in the background, the default is to ignore it
                signal.signal(signal.SIGINT, signal.default_int_handler)
                threading.Thread(target=interrupt).start()
                next(tasks)
        assert mine() == [] and not engine.under_way


@contextmanager
def dask(folder, *arguments):
    """A `dask` command in the background: its process, and a function that waits until it has said a word."""
    log = folder / f".{arguments[0]}-{time.monotonic_ns()}.log"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with log.open("w") as file:
        command = [sys.executable, "-m", "dask", *arguments]
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, env=environment)

    def text(word):
        end = time.monotonic() + 60
        while word not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        return log.read_text()

    try:
        yield process, text
    finally:
        process.kill()
        process.wait()


def test_one_after_another_is_done_here():
    assert engine.each_on(None, "/")(lambda n: (n, os.getpid()), {2: 1, 1: 2}) == {
        2: (1, os.getpid()), 1: (2, os.getpid())
    }  # fmt: skip


@pytest.mark.slow
def test_folds_as_tasks_are_the_sequential_networks_to_the_bit(tmp_path):
    rng, config = (
        np.random.default_rng(0),
        TrainConfig(width=4, depth=1, padding="same", epochs=3, schedule="one-cycle"),
    )
    cubes = [Cube(rng.random((24, 20, 9), dtype=np.float32), np.arange(9.0) + 900, name=f"s{k}") for k in range(6)]
    config = replace(config, weights={"mse": 1.0, "held_out": 10.0, "smoothness": 0.0, "out_of_bounds": 0.0, "l2": 0.0})
    readings = {fold: [cube.values.mean(axis=2) for cube in cubes] for fold in (1, 2, 3)}
    inputs = cubes, rng.uniform(20, 60, 6).tolist(), [1, 1, 2, 2, 3, 3], config
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here, of_here = train_folds(*inputs, tmp_path / "here", readings=readings)
    finally:
        torch.set_num_threads(threads)
    each = engine.each_on("local", tmp_path)
    apart, of_apart = train_folds(*inputs, tmp_path / "apart", readings=readings, each=each)
    assert [path.name for path in sorted((tmp_path / "apart").glob("*/fold*"))] == [
        f"fold{k}.{ending}" for k in (1, 2, 3) for ending in ("csv", "safetensors")
    ]
    for one, other in zip(here.members, apart.members, strict=True):
        assert all(torch.equal(one.state_dict()[name], value) for name, value in other.state_dict().items())
    for fold, history in of_here.items():
        assert {name: list(v) for name, v in history.items()} == {n: list(v) for n, v in of_apart[fold].items()}


@pytest.mark.slow
def test_a_task_that_fails_is_raised_where_it_was_asked_for(tmp_path):
    def half(number):
        if number % 2:
            raise InputError(f"{number} is odd")
        return number // 2

    assert engine.each_on("local", tmp_path)(half, {"a": 4, "b": 0}) == {"a": 2, "b": 0}
    with pytest.raises(InputError, match="3 is odd"):
        engine.each_on("local", tmp_path)(half, {"a": 3})


@pytest.mark.slow
def test_processes_of_this_computer_keep_their_memory(tmp_path):
    """Else half of a training's time goes into giving it back: Dask's own default."""

    def look(name):
        return os.environ[name]

    names = {name: name for name in engine.KEEP}
    assert engine.each_on("local", tmp_path)(look, names) == {name: str(size) for name, size in engine.KEEP.items()}
