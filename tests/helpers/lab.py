"""A notebook in JupyterLab in a real browser, for tests and benchmarks."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat

CHROMIUM = "/usr/bin/chromium"
ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"  # what a test has seen, to look at
KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"


def waiting(ready, message, seconds=90):
    """Call ready() until it is true."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, message
        time.sleep(0.2)


def watched(context):
    """A page of the context and the list of its JavaScript errors."""
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    return page, errors


@contextmanager
def open_lab(browser, folder, cells):
    """Yield (page, errors): a notebook of these cells, opened, its kernel started. All files are in folder."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(book, folder / "explorer.ipynb")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_PATH": os.path.join(sys.prefix, "share", "jupyter")}
    environment |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    environment |= {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "RUNTIME")}
    options = ["--no-browser", "--allow-root", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    options += [f"--ServerApp.port={port}", "--LabApp.expose_app_in_browser=True"]
    with open(folder / "log", "w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    context = browser.new_context(viewport={"width": 1300, "height": 1700})
    context.set_default_timeout(30_000)
    try:
        waiting(lambda: _answers(address), "JupyterLab does not answer")
        page, errors = watched(context)
        page.goto(f"{address}/doc/tree/explorer.ipynb")
        idle = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        waiting(lambda: page.evaluate(idle), "the kernel does not start")
        yield page, errors
    finally:
        context.close()
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def _answers(address):
    try:
        return urllib.request.urlopen(f"{address}/api", timeout=2).status == 200
    except OSError:
        return False


def run_all(page):
    """Run the notebook. A first call is sometimes lost, so it is repeated until a cell has begun."""
    begun = "[...document.querySelectorAll('.jp-InputPrompt')].some(each => /\\d|\\*/.test(each.textContent))"
    for _ in range(10):
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if page.evaluate(begun):
                return
            time.sleep(0.1)


def in_kernel(page, code):
    """Run code in the notebook's kernel, without waiting for it."""
    page.evaluate(f"(code) => void {KERNEL}.requestExecute({{code}})", code)
