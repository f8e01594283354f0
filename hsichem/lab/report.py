"""One HTML page from metrics.json and the executed notebooks: verdict, maps, numbers, figures, how to repeat the run.

What the page says in words stands in report.html.j2.
"""

import base64
import json
import shlex
from pathlib import Path

from hsichem import datasets
from hsichem._base import InputError
from hsichem.lab.pages import write_page
from hsichem.lab.results import Results, folder_name
from hsichem.lab.runner import failed_path, find_notebooks
from hsichem.lab.settings import PRESETS
from hsichem.lab.tables import head_to_head, table, text
from hsichem.maps import find_verdict

# Seven columns with the names: as much as an A4 page holds
COLUMNS = ("RMSEP", "to PLS", "held-out", "pixel RMSE", "slope", "outside")
MORE = {
    "Pixels, and how smooth they are": ("held-out", "pixel RMSE", "correlation", "share", "SD ratio", "edge"),
    "Means, extremes, and the best linear map": ("minus PLS", "bias", "lowest", "highest", "to opponent"),
}
ABOUT = {
    "PLS": "Partial least squares on the mean spectra of whole images. It reads each pixel alone, and nothing in it "
    "pays for the noise of pixels.",
    "U-Net": "A network that sees the neighbours of a pixel. It is trained on one mean value for each image and, but "
    "for the preset paper, on what a linear model reads in pixels that it was not shown.",
    "pixel network": "The same training, but it sees no neighbours. One network, without a filter.",
}
RUN_OPTIONS = ("dataset", "preset", "seed", "scheduler")  # of `hsichem run`; every other parameter is given with -p


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
        verdict=_verdict(folder, metrics, settings),
        unit=entry["references"][entry["response"]] if entry else "",
        settings=_texts(settings),
        table_of=table,
        rows=head_to_head(metrics, COLUMNS),
        more={caption: head_to_head(metrics, columns) for caption, columns in MORE.items()},
        about=ABOUT,
        explorer=(folder / "explorer.html").exists(),
        truth=any("pixel_rmse" in method.get("map", {}) for method in methods.values()),
        maps=base64.b64encode(maps.read_bytes()).decode() if maps.exists() else None,
        claims={row["claim"]: row for row in claims},
        variograms={name: method["variogram"] for name, method in methods.items() if "variogram" in method},
        source=entry and _texts({key: entry[key] for key in ("title", "licence", "citation")}),
        notebooks={name: _figures(executed[name]) if name in executed else None for name in outputs},
        failed={name: failed_path(path).name for name, path in outputs.items() if failed_path(path).exists()},
        command=_command(given),
    )


def _verdict(folder: Path, metrics: dict, settings: dict) -> dict | None:
    """What `find_verdict` finds, its numbers as text, and the folder of the model that made the map, where it is."""
    preset = PRESETS.get(settings.get("preset"), PRESETS["lesson"])
    # with fewer than half of the lesson's epochs a network has not converged, and its map is evidence of nothing
    trained = (settings.get("epochs") or preset["epochs"]) >= PRESETS["lesson"]["epochs"] / 2
    found = find_verdict(metrics, trained)
    if found:
        found["error"] = {name: text(error) for name, error in found["error"].items()}
        found |= {key: text(found[key]) for key in ("ratio", "interval") if found[key]}
        model = f"models/{folder_name(found['method'])}"
        found["model"] = model if (folder / model).is_dir() else None
    return found


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
    """(caption, its PNG images in base64) of each cell that is tagged `report`.

    A cell that has run and drew nothing had nothing to draw for these data.
    """
    figures = []
    for part in notebook["cells"]:
        if "report" in part["metadata"].get("tags", []):
            pictures = [output.get("data", {}).get("image/png") for output in part["outputs"]]
            if images := ["".join("".join(picture).split()) for picture in pictures if picture]:
                figures.append((figure_caption("".join(part["source"])), images))
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
