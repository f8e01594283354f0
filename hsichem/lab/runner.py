"""Run the numbered notebooks in order, into one results folder that a stopped run can take up again.

Every notebook asks this module where the notebooks are; papermill and nbformat, which take a second to import, are for
those who run them.
"""

import ast
import json
import os
import sys
from pathlib import Path

from hsichem._base import InputError, closest, locked
from hsichem.lab.settings import check_value

PACKAGE = Path(__file__).parents[1]


class NotebookError(RuntimeError):
    """A notebook stopped; the message says where, why, and where its output lies."""


def find_notebooks() -> list[Path]:
    """The numbered notebooks in order: of the installed package, else of the checkout."""
    folders = PACKAGE / "notebooks", PACKAGE.parent / "notebooks"
    for folder in folders:
        if found := sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            return found
    raise InputError("no notebooks in {} or {}; install hsichem anew.".format(*folders))


def failed_path(output: Path) -> Path:
    """Where the output of a notebook that stopped is kept for reading."""
    return output.with_suffix(".failed.ipynb")


def defaults(notebook: Path) -> dict:
    """The values in a notebook's parameters cell by name; None for one that is no literal."""
    import papermill

    found = papermill.inspect_notebook(_escaped(notebook))
    return {name: _literal(parameter["default"]) for name, parameter in found.items()}


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def check_parameters(notebooks: list[Path], parameters: dict) -> dict[Path, dict]:
    """Give each notebook those of the parameters that it knows; InputError for one that none of them knows or takes."""
    known = {notebook: defaults(notebook) for notebook in notebooks}
    everywhere = {name: default for own in known.values() for name, default in own.items()}
    for name in parameters:
        if name not in everywhere:
            close = closest(name, everywhere)
            hint = f" Did you mean {close!r}?" if close else ""
            raise InputError(f"no notebook has a parameter {name!r}.{hint} Known: {', '.join(sorted(everywhere))}.")
        check_value(name, parameters[name], everywhere[name])
    return {notebook: {k: v for k, v in parameters.items() if k in known[notebook]} for notebook in notebooks}


def run_notebooks(notebooks: list[Path], folder: Path, parameters: dict) -> list[Path]:
    """Execute the notebooks in order with papermill, a progress bar each; return their outputs in `folder`.

    An output that is finished, of the same cells and with the same parameters, is kept. From the first that is not,
    everything is executed, because later notebooks read what earlier ones wrote.

    Raises InputError, before anything starts, for a parameter that no notebook knows and for a folder that cannot be
    written or that another run is writing; NotebookError where a notebook stops.
    """
    own = check_parameters(notebooks, parameters)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the results folder {folder}: {error.strerror}; choose another.") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"the results folder {folder} is read-only; choose another.")
    # A kernel of the same name in the user's own Jupyter folder may belong to another Python.
    first = os.path.join(sys.prefix, "share", "jupyter")
    others = [path for path in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if path not in ("", first)]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([first, *others])
    outputs, resume = {notebook: folder / notebook.name for notebook in notebooks}, True
    with locked(folder / "run", wait=False):
        for notebook, output in outputs.items():
            resume = resume and _is_finished(notebook, output, own[notebook])
            if not resume:
                _execute(notebook, output, own[notebook])
    return list(outputs.values())


def _escaped(path):
    """The path as papermill wants it: it fills {braces} with parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _is_finished(notebook, output, parameters):
    """Whether `output` is this notebook, executed to its end with these parameters."""
    import nbformat

    try:
        done = nbformat.read(output, as_version=4)
    except Exception:  # not there, or not a notebook, for which nbformat raises what it likes
        return False
    # of a cell, False is finished and None is not; the notebook's own mark is None in either case
    if any(cell.metadata.get("papermill", {}).get("exception") is not False for cell in done.cells):
        return False
    given = done.metadata.get("papermill", {}).get("parameters")
    if json.dumps(given, sort_keys=True) != json.dumps(parameters, sort_keys=True):
        return False
    cells = [cell.source for cell in done.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    return cells == [cell.source for cell in nbformat.read(notebook, as_version=4).cells]


def _execute(notebook, output, parameters):
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    partial, failed = output.with_suffix(".partial.ipynb"), failed_path(output)
    options = {"kernel_name": "python3", "progress_bar": {"desc": notebook.stem}}
    try:
        papermill.execute_notebook(_escaped(notebook), _escaped(partial), parameters, **options)
    except (PapermillExecutionError, DeadKernelError) as error:
        os.replace(partial, failed)
        if isinstance(error, DeadKernelError):
            reason = "because its kernel died, most often out of memory."
        else:
            last = f"{error.ename}: {error.evalue}".strip().splitlines()[-1]
            reason = f"at cell [{error.exec_count}]: {last}"
        raise NotebookError(
            f"{notebook.stem} stopped {reason}\nWhat it wrote is kept in {failed}. "
            "When the cause is mended, the same results folder resumes with this notebook."
        ) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    os.replace(partial, output)
    failed.unlink(missing_ok=True)
