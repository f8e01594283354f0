"""What the site is made of beside the written pages: notebooks with alt texts, the rooms, an explorer of a few maps."""

import importlib
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import hsichem
from hsichem.lab.report import figure_caption

NO_CAPTION = figure_caption("")


def write_lessons(notebooks: Path, folder: Path) -> None:
    """Copy the numbered notebooks, and the pictures beside them that their text shows.

    What a cell has drawn gets the first sentence of its caption as alt text. Where it has none, the heading above it
    has to do.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for picture in notebooks.glob("*.png"):
        shutil.copy(picture, folder)
    for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        notebook, heading = json.loads(path.read_text("utf-8")), path.stem
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                heading = (re.findall(r"^#+ (.+)", source, re.M) or [heading])[-1]
                cell["source"] = source.replace("](../docs/", "](../")  # the lessons lie inside docs here
                continue
            caption = figure_caption(source)
            alt = f"Figure of the section: {heading}" if caption == NO_CAPTION else caption.split(". ")[0]
            cell["metadata"].setdefault("mystnb", {}).setdefault("image", {"alt": alt.replace('"', "'")})
        (folder / path.name).write_text(json.dumps(notebook), encoding="utf-8")


def write_api(folder: Path) -> None:
    """One page for each room, in the order of the package's docstring: what its face offers, as it is documented."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rooms = re.findall(r"^    (\w+)  +(.+)$", hsichem.__doc__, re.M)
    lines = ["The rooms", "=========", "", "The library's rooms, in the order of the data flow.", ""]
    lines += [".. toctree::", "   :hidden:", "", *(f"   {room}" for room, _ in rooms), ""]
    lines += [line for room, purpose in rooms for line in (f":doc:`{room}`", f"   {purpose}")]
    (folder / "index.rst").write_text("\n".join([*lines, ""]), encoding="utf-8")
    for room, _ in rooms:
        face = importlib.import_module(f"hsichem.{room}")
        lines = [room, "=" * len(room), "", f".. automodule:: {face.__name__}", ""]
        # a module comes last: what follows it would be taken for its own
        for name in sorted(face.__all__, key=lambda name: (isinstance(getattr(face, name), ModuleType), name.lower())):
            lines += _directive(face, name)
        (folder / f"{room}.rst").write_text("\n".join(lines), encoding="utf-8")


def _directive(face, name):
    found = getattr(face, name)
    if isinstance(found, ModuleType):
        return [f".. automodule:: {found.__name__}", "   :members:", ""]
    if isinstance(found, type):
        return [f".. autoclass:: {face.__name__}.{name}", "   :members:", ""]
    if callable(found):
        return [f".. autofunction:: {face.__name__}.{name}", ""]
    return [f".. py:data:: {name}", ""]  # a constant has no docstring of its own


def as_rst(app, what, name, found, options, lines) -> None:
    """Turn a docstring, which is plain text, into reStructuredText, in place.

    Code stands between single backticks. Blocks indented by four are taken as they are, and so are the line ends of
    a paragraph that has indented lines. Returns and Raises begin a paragraph.
    """
    text = re.sub(r"\n(?=(?:Returns|Raises)\b)", "\n\n", "\n".join(lines))
    made = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        rows = paragraph.splitlines()
        if all(row.startswith("    ") for row in rows):
            made += ["::", "", *rows, ""]
        elif any(row.startswith(" ") for row in rows):
            made += [*(f"| {_escaped(row)}" for row in rows), ""]
        else:
            made += [*_escaped(paragraph).splitlines(), ""]
    lines[:] = made


def _escaped(text):
    parts = re.split(r"`([^`]+)`", text)  # every second one is code
    parts[::2] = [re.sub(r"([\\*_|])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part}``" for part in parts[1::2]]
    return "".join(parts)


def write_explorer(path: Path) -> None:
    """The explorer of one test belly: truth, PLS, the linear map with and without a filter. Without a network."""
    import numpy as np

    from hsichem.cubes import block_mean
    from hsichem.datasets import open_dataset
    from hsichem.lab import explore
    from hsichem.maps import filtered, looks, map_grid, noise_of
    from hsichem.pls import fit_penalised, fit_pls

    images = open_dataset("phantom-belly", size="lesson")
    calibration = [sample for sample in images.samples if sample.split > 0]
    cubes = [images.cube(sample) for sample in calibration]
    spectra = np.array([cube.mean_spectrum() for cube in cubes])
    reference = np.array([sample.references[images.response] for sample in calibration])
    groups = [sample.group for sample in calibration]
    sample = next(sample for sample in images.samples if sample.split == 0)
    cube = images.cube(sample)
    penalised = fit_penalised(spectra, reference, cubes, groups).with_penalty(0.01)  # as notebook 02 chooses it
    grid, two = map_grid({"": cube}), looks(penalised, {"": cube})
    maps = {"truth": block_mean(np.where(cube.foreground, sample.truth(), np.nan))}
    maps["PLS"] = block_mean(fit_pls(spectra, reference, groups).predict_map(cube))
    maps["linear"] = two[""].mean(axis=0)
    noise = noise_of(two, grid)
    maps["linear non-local means"] = filtered(two[""].mean(axis=0), grid[""], "non-local means", 0.8, noise)
    explore(maps, cube).save_html(path)
