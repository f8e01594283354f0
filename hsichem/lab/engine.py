"""Tasks on Dask: in processes of this computer, or on the workers of a scheduler that runs already.

A task may start processes of its own, as a notebook's kernel. They carry the task's name in their environment, so that
they can be found and ended when the command is stopped, or when the worker that started them was killed.
"""

import asyncio
import os
import secrets
import signal
import sys
import time
from contextlib import closing, contextmanager, suppress

import psutil
from tqdm import tqdm

from hsichem import __version__
from hsichem._base import InputError

MARK = "HSICHEM_TASK"
MEMORY = 4 * 2**30  # bytes that a task may need, its kernel included
PATIENCE = 10  # s, for a scheduler to answer and for stopped tasks to end
# Ctrl-C reaches every process of the terminal; a worker must outlive it to be told what to end.
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
# Dask's workers give memory back to the system at once. A training step asks for the same again, and half of its time
# went into that: glibc keeps it with these, in bytes. The second is the largest that glibc takes.
KEEP = {"MALLOC_TRIM_THRESHOLD_": 2 * 10**9, "MALLOC_MMAP_THRESHOLD_": 32 * 2**20, "MALLOC_TOP_PAD_": 64 * 2**20}
under_way, stopped = set(), set()  # on a worker: names of its tasks, and the commands whose tasks shall not begin


def each_on(scheduler: str | None, shared):
    """A function each(function, arguments) -> {name: result}, for `hsichem.unet.train_folds` and for trials like them.

    scheduler: None for one after another, here; "local" for as many processes as this computer has cores for, or the
    address of a running Dask scheduler: see run_tasks, also for shared and the errors raised. An exception of the
    function is raised here, and ends the others.
    """
    if scheduler is None:
        from hsichem.unet import one_after_another

        return one_after_another

    def each(function, arguments):
        names, ended = {f"{shared}/{secrets.token_hex(4)}-{name}": name for name in arguments}, {}
        tasks = {task: arguments[name] for task, name in names.items()}
        with closing(run_tasks(function, tasks, shared, None if scheduler == "local" else scheduler)) as outcomes:
            for task, outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
                ended[names[task]] = outcome
        return {name: ended[name] for name in arguments}

    return each


def run_tasks(function, tasks: dict, shared, address: str | None = None):
    """Yield (name, result or exception) of function(argument) as tasks end, with a progress bar.

    tasks: name -> argument; a name is a text that no other task has, of this command or another. shared: a folder that
    the workers must see. address: of a running scheduler; None for a cluster of this computer, a process for each task
    at a time, as cores and memory allow. A task whose worker is lost is done again by another. When the caller stops,
    by an error or Ctrl-C, tasks under way are ended with their processes, and no other begins.

    Raises InputError where no scheduler answers or goes away, and for a worker of another version of hsichem, with
    several threads, or without the shared folder.
    """
    if not tasks:
        return
    from distributed import as_completed

    with _connected(address, len(tasks)) as client:
        _check_workers(client, shared, address)
        print(f"Dashboard: {_dashboard(client)}", file=sys.stderr)
        command, failed = (secrets.token_hex(8), __version__), 0
        futures = {client.submit(_task, function, name, tasks[name], *command, pure=False): name for name in tasks}
        try:
            with tqdm(total=len(tasks), unit="run", desc="done") as bar:
                for future in as_completed(list(futures)):
                    if future.cancelled():
                        raise InputError(
                            f"the scheduler at {address} has gone; start it, and give the same command again."
                        )
                    outcome = future.exception() or future.result()
                    failed += isinstance(outcome, Exception)
                    bar.set_postfix(failed=failed, left=len(futures) - 1, refresh=False)
                    bar.update()
                    yield futures.pop(future), outcome
        finally:
            if futures:
                with suppress(Exception):  # of a scheduler that has gone, nothing more can be asked
                    client.cancel(list(futures))
                    client.run(_end, list(futures.values()), command[0], on_error="ignore")


@contextmanager
def _connected(address, tasks):
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    if address is None:
        workers = max(1, min(tasks, CPU_COUNT, psutil.virtual_memory().available // MEMORY))
        options = {"n_workers": workers, "threads_per_worker": 1, "preload": [DEAF], "silence_logs": "CRITICAL"}
        # no limit: Dask sees a worker's own memory, not its kernel's
        options |= {"memory_limit": 0, "dashboard_address": "127.0.0.1:0", "env": {"TQDM_DISABLE": "1"}}
        keep = {f"distributed.nanny.pre-spawn-environ.{name}": size for name, size in KEEP.items()}
        with _ctrl_c_waits(), dask.config.set(keep):
            cluster = LocalCluster(**options)
        with cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, or leave out "
            "--scheduler."
        ) from None
    with client:
        yield client


@contextmanager
def _ctrl_c_waits():
    """Ctrl-C is heard when the block ends: half started, Dask would say more than one wants to know."""
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt


def _check_workers(client, shared, address):
    """Raises InputError for a worker that cannot do these tasks as this process would."""

    def look(shared):  # sent by its code: the worker may have no hsichem
        import os

        import hsichem

        return hsichem.__version__, os.path.isdir(shared)

    if not client.nthreads():
        print(f"{address} has no workers yet; waiting for the first", file=sys.stderr)
        client.wait_for_workers(1)
    threads = client.nthreads()
    for worker, found in client.run(look, str(shared), on_error="return").items():
        if isinstance(found, Exception):
            raise InputError(f"the worker at {worker} cannot import hsichem ({found}); install it there.")
        version, sees = found
        if version != __version__:
            raise InputError(
                f"the worker at {worker} has hsichem {version}, and this is {__version__}; install one version "
                "on both sides, and start the worker again."
            )
        if not sees:
            raise InputError(f"the worker at {worker} does not see {shared}; choose a folder on a disk that it shares.")
        if threads.get(worker, 1) > 1:
            raise InputError(
                f"the worker at {worker} has {threads[worker]} threads; notebooks need processes: start it with "
                f"`dask worker --nthreads 1 --nworkers {threads[worker]}`."
            )


def _dashboard(client):
    """Its address; without bokeh only plain pages are there."""
    import importlib.util

    plain = "/info/main/workers.html (plain; `pip install bokeh` for the live one)"
    return client.dashboard_link.replace("/status", "/status" if importlib.util.find_spec("bokeh") else plain)


def _task(function, name, argument, command, version):
    """What a worker calls."""
    os.environ[MARK] = name
    under_way.add(name)
    try:
        if command in stopped:  # asked after the name is there, by which _end knows for whom to wait
            raise RuntimeError("stopped before it began")
        if version != __version__:  # a worker that joined later
            raise InputError(f"this worker has hsichem {__version__}, expected {version}; install that there.")
        _kill([name])  # what a killed worker left: two kernels would write the same files
        return function(argument)
    finally:
        under_way.discard(name)
        del os.environ[MARK]


def _kill(names):
    """Kill every process that a task of these names has started on this computer."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) in names:
                process.kill()


async def _end(names, command):
    """End the tasks of these names that this worker has under way; they fail, because their kernels die."""
    stopped.add(command)
    last = time.monotonic() + PATIENCE
    while under_way & set(names) and time.monotonic() < last:
        _kill(names)
        await asyncio.sleep(0.1)
