"""One HTML page from metrics.json and the executed notebooks: numbers, claims, figures, and how to repeat the run."""

import base64
import json
import shlex
from html import escape
from pathlib import Path

from hsichem import datasets
from hsichem._base import InputError, replacing
from hsichem.lab.results import Results
from hsichem.lab.runner import failed_path, find_notebooks
from hsichem.lab.tables import COLUMNS, TABLES, cell, drop_unknown, head_to_head, legend, text, text_table, truth_known

__all__ = ["figure_caption", "head_to_head", "read_metrics", "text_table", "write_report"]
MAPS = "One test image: {}the maps of the methods, on one scale. Blue is below it, red above."
RUN_OPTIONS = ("dataset", "preset", "seed")  # of `hsichem run`; every other parameter is given with -p


def write_report(folder: Path) -> Path:
    """Write report.html, self-contained, into a results folder; what the folder lacks is named on the page.

    Raises InputError when the folder or its metrics.json is not there or cannot be read.
    """
    folder = Path(folder)
    metrics = read_metrics(folder)
    notebooks = {notebook.stem: folder / notebook.name for notebook in find_notebooks()}
    executed = {name: _read_notebook(path) for name, path in notebooks.items() if path.exists()}
    given = {}
    for notebook in executed.values():
        given |= notebook["metadata"].get("papermill", {}).get("parameters", {})
    given.pop("results_dir", None)
    settings = metrics.get("settings", {}) | given
    body = [
        _settings(settings),
        _head_to_head(metrics, folder / "maps.png"),
        _claims(metrics),
        _variograms(metrics),
        *(_section(metrics, *table) for table in TABLES),
        _dataset(settings.get("dataset")),
        *(_figures(name, executed.get(name), failed_path(path)) for name, path in notebooks.items()),
        _repeat(given),
    ]
    title = escape(
        f"hsichem: {settings.get('dataset', 'unknown data set')}, preset {settings.get('preset', 'unknown')}"
    )
    style = Path(__file__).with_suffix(".css").read_text("utf-8")
    with replacing(folder / "report.html") as temporary:
        temporary.write_text(
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
            + "\n".join(body)
            + "\n</main>\n</body>\n</html>\n",
            "utf-8",
        )
    return folder / "report.html"


def read_metrics(folder: Path) -> dict:
    """metrics.json of a results folder. Raises InputError when it is not there or is not JSON."""
    if not (Path(folder) / "metrics.json").is_file():
        raise InputError(f"{folder} has no metrics.json; give a folder that `hsichem run` wrote.")
    return Results(folder).metrics()


def _read_notebook(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); remove it, and run again.") from None
    if not (isinstance(notebook, dict) and {"cells", "metadata"} <= notebook.keys()):
        raise InputError(f"{path} is no notebook; remove it, and run again.")
    return notebook


def _missing(what, why):
    return f'<p class="missing">{escape(what)}: missing. {escape(why)}</p>'


def _table(caption, headers, groups, numeric=True):
    """A table with a row header in the first column; `groups` is {heading or "": rows of text}."""
    kind = ' class="number"' if numeric else ""
    head = "".join(f'<th scope="col"{kind if i else ""}>{escape(header)}</th>' for i, header in enumerate(headers))
    body = ""
    for heading, rows in groups.items():
        lines = [f'<tr><th scope="rowgroup" colspan="{len(headers)}">{escape(heading)}</th></tr>'] if heading else []
        for first, *cells in rows:
            numbers = "".join(f"<td{kind}>{_cell(content)}</td>" for content in cells)
            lines.append(f'<tr><th scope="row">{escape(first)}</th>{numbers}</tr>')
        body += "<tbody>" + "\n".join(lines) + "</tbody>\n"
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n{body}</table></div>"
    )


def _cell(content):
    """Escaped; a second line, as the interval of a figure, stands small under the first."""
    first, _, second = content.partition("\n")
    return escape(first) + (f" <small>{escape(second)}</small>" if second else "")


def _settings(settings):
    rows = [[name, _setting(value)] for name, value in settings.items()]
    if not rows:
        return "<h2>Settings</h2>" + _missing("Settings", "metrics.json has no section of that name.")
    return "<h2>Settings</h2>" + _table("What was run", ["setting", "value"], {"": rows}, numeric=False)


def _setting(value):
    return value if isinstance(value, str) else json.dumps(value)


def _head_to_head(metrics, maps):
    page = "<h2>Head to head</h2>"
    if metrics.get("methods"):
        headers = [header for header, _, _ in COLUMNS]
        headers, rows = drop_unknown(["map", *headers], head_to_head(metrics, headers))
        methods = len(metrics["methods"])
        groups = {"Methods": rows[:methods], "Null maps": rows[methods:]}
        page += _table("Methods and null maps on the test set", headers, {k: v for k, v in groups.items() if v})
        page += f"<p>{escape(legend(metrics))}</p>"
    else:
        page += _missing("Methods", "Notebooks 02_pls_maps and 03_unet_training have not written them.")
    if not metrics.get("nulls"):
        page += _missing("Null maps", "04_spatial_variance has not written them.")
    if not maps.exists():
        return page + _missing("Maps on one scale", "04_spatial_variance has not drawn them.")
    caption = MAPS.format("the truth and " if truth_known(metrics) else "")
    return page + _figure(caption, base64.b64encode(maps.read_bytes()).decode())


def _variograms(metrics):
    keys = ("model", "nugget", "partial_sill", "range")
    found = {name: method["variogram"] for name, method in metrics.get("methods", {}).items() if "variogram" in method}
    if not found:
        return "<h2>Variograms</h2>" + _missing("Variograms", "04_spatial_variance has not written them.")
    rows = [[name, *(cell(values, key) for key in keys)] for name, values in found.items()]
    headers = ["map", "model", "nugget", "partial sill", "range (pixels)"]
    return "<h2>Variograms</h2>" + _table("Fitted to the maps of the test set", headers, {"": rows})


def _section(metrics, title, section, columns, explained):
    page = f"<h2>{escape(title)}</h2>"
    found = metrics.get(section)
    if found is None:
        return page + _missing(title, "04_spatial_variance has not written it.")
    if not found:  # it has looked, and nothing can be said: no truth, or no sweep
        return ""
    rows = [[name, *(cell(values, key) for key in columns.values())] for name, values in found.items()]
    headers, rows = drop_unknown(["", *columns], rows)
    return page + _table(title, headers, {"": rows}) + f"<p>{escape(explained)}</p>"


def _claims(metrics):
    claims = metrics.get("04_spatial_variance", {}).get("claims")
    if not claims:
        return "<h2>Claims</h2>" + _missing("Claims", "04_spatial_variance has not written them.")
    keys = ["claim", "paper", "here", "held", "why"]
    rows = [[text(row.get(key)) for key in keys] for row in claims]
    return "<h2>Claims</h2>" + _table("The paper's claims, and what was found here", keys, {"": rows}, numeric=False)


def _dataset(name):
    entry = datasets.read_manifest().get(name)
    if entry is None:
        return "<h2>Data</h2>" + _missing("Licence and citation", f"The manifest has no data set {name!r}.")
    rows = [[key, _setting(entry[key])] for key in ("title", "licence", "citation")]
    return "<h2>Data</h2>" + _table(name, ["field", "as stated by its source"], {"": rows}, numeric=False)


def _figures(name, notebook, failed):
    page = f"<h2>{escape(name)}</h2>"
    if failed.exists():
        page += _missing(
            "The end of this notebook", f"It stopped; see {failed.name}. Numbers may be of an earlier run."
        )
    elif notebook is None:
        return page + _missing("This notebook", "It has not been run into this folder.")
    tagged = [part for part in (notebook or {"cells": []})["cells"] if "report" in part["metadata"].get("tags", [])]
    for part in tagged:
        caption = figure_caption("".join(part["source"]))
        images = [output["data"]["image/png"] for output in part["outputs"] if "image/png" in output.get("data", {})]
        said = " ".join("".join(output.get("text", "")) for output in part["outputs"]).strip()
        if not images:
            page += _missing(caption.split(". ")[0], said or "Its cell drew no figure.")
        for image in images:
            page += _figure(caption, "".join("".join(image).split()))
    return page if tagged else page + _missing("Figures", "No cell of this notebook is tagged `report`.")


def _figure(caption, png):
    alt, caption = escape(caption.split(". ")[0]), escape(caption)
    image = f'<img alt="{alt}" src="data:image/png;base64,{png}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def figure_caption(source: str) -> str:
    """The comment that opens a code cell, from `# Figure: ` to its last line in a row."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    text = " ".join(lines)
    return text.removeprefix("Figure:").strip() if text.startswith("Figure:") else "Figure without a caption"


def _repeat(given):
    if not given:
        return "<h2>Repeat this run</h2>" + _missing("The command", "No notebook here was executed by `hsichem run`.")
    command = ["hsichem", "run"]
    for name, value in given.items():
        command += [f"--{name}", str(value)] if name in RUN_OPTIONS else ["-p", name, str(value)]
    return f"<h2>Repeat this run</h2><pre><code>{escape(shlex.join(command))}</code></pre>"
