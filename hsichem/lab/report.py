"""One HTML page from metrics.json and the executed notebooks: numbers, claims, figures, and how to repeat the run.

What the page says in words stands in report.html.j2.
"""

import base64
import json
import shlex
from pathlib import Path

from hsichem import datasets
from hsichem._base import InputError
from hsichem.lab.pages import write_page
from hsichem.lab.results import Results
from hsichem.lab.runner import failed_path, find_notebooks
from hsichem.lab.tables import head_to_head, table, text

RUN_OPTIONS = ("dataset", "preset", "seed")  # of `hsichem run`; every other parameter is given with -p


def write_report(folder: Path) -> Path:
    """Write report.html, self-contained, into a results folder; what the folder lacks is named on the page.

    Raises InputError when the folder or its metrics.json is not there or cannot be read.
    """
    folder = Path(folder)
    if not (folder / "metrics.json").is_file():
        raise InputError(f"{folder} has no metrics.json; give a folder that `hsichem run` wrote.")
    metrics = Results(folder).metrics()
    outputs = {notebook.stem: folder / notebook.name for notebook in find_notebooks()}
    executed = {name: _read_notebook(path) for name, path in outputs.items() if path.exists()}
    given = {}
    for notebook in executed.values():
        given |= notebook["metadata"].get("papermill", {}).get("parameters", {})
    given.pop("results_dir", None)
    settings = metrics.get("settings", {}) | given
    entry = datasets.read_manifest().get(settings.get("dataset"))
    methods = metrics.get("methods", {})
    claims = metrics.get("05_which_map", {}).get("claims", [])
    maps = folder / "maps.png"
    return write_page(
        folder / "report.html",
        "report.html.j2",
        metrics=metrics,
        verdict=_verdict(metrics.get("verdict")),
        unit=entry["references"][entry["response"]] if entry else "",
        settings=_texts(settings),
        table_of=table,
        rows=head_to_head(metrics),
        truth=any("pixel_rmse" in method.get("map", {}) for method in methods.values()),
        maps=base64.b64encode(maps.read_bytes()).decode() if maps.exists() else None,
        claims={row["claim"]: row for row in claims},
        variograms={name: method["variogram"] for name, method in methods.items() if "variogram" in method},
        source=entry and _texts({key: entry[key] for key in ("title", "licence", "citation")}),
        notebooks={name: _figures(executed[name]) if name in executed else None for name in outputs},
        failed={name: failed_path(path).name for name, path in outputs.items() if failed_path(path).exists()},
        command=_command(given),
    )


def _verdict(found: dict | None) -> dict | None:
    """Names and errors of the section "verdict" as text, the two best of the others among them."""
    if not found:
        return None
    errors = sorted(found["expected_error"].items(), key=lambda item: item[1])
    expected = {name: text(error) for name, error in errors}
    others = [f"{name} {error}" for name, error in expected.items() if name != found["without_truth"]]
    return {"with_truth": None} | found | {"expected": expected, "others": ", ".join(others[:2])}


def _read_notebook(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); remove it, and run again.") from None
    if not (isinstance(notebook, dict) and {"cells", "metadata"} <= notebook.keys()):
        raise InputError(f"{path} is not a notebook; remove it, and run again.")
    return notebook


def _texts(values: dict) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _figures(notebook) -> list[tuple]:
    """(caption, what the cell printed, its PNG images in base64) of each cell that is tagged `report`."""
    figures = []
    for part in notebook["cells"]:
        if "report" in part["metadata"].get("tags", []):
            said = " ".join("".join(output.get("text", "")) for output in part["outputs"]).strip()
            pictures = [output.get("data", {}).get("image/png") for output in part["outputs"]]
            images = ["".join("".join(picture).split()) for picture in pictures if picture]
            figures.append((figure_caption("".join(part["source"])), said, images))
    return figures


def figure_caption(source: str) -> str:
    """The comment that opens a code cell, from `# Figure: ` to its last line in a row."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    caption = " ".join(lines)
    return caption.removeprefix("Figure:").strip() if caption.startswith("Figure:") else "Figure without a caption"


def _command(given: dict) -> str:
    """The command that repeats the run; empty when no notebook was executed by one."""
    command = ["hsichem", "run"] if given else []
    for name, value in given.items():
        command += [f"--{name}", str(value)] if name in RUN_OPTIONS else ["-p", name, str(value)]
    return shlex.join(command)
