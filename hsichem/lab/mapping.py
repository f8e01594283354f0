"""A model over any number of captures: for each a map to compute with, one to look at, and a line of a table.

An image is read in strips of lines, of which memory holds one: what a map depends on as a whole, its filter and its
mean, is applied to the map, which is small.
"""

import csv
import dataclasses
import re
import time
import warnings
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hsichem._base import InputError, locked, replacing
from hsichem.cubes import Cube, foreground_mask
from hsichem.datasets import check_way, drawn_mask, find_images, mask_doubts
from hsichem.lab import plotting
from hsichem.lab.models import UNLIKE, Model
from hsichem.lab.pages import write_page
from hsichem.lab.tables import table
from hsichem.loaders import Lines, has_references, open_lines, scenes, write_cube
from hsichem.maps import map_metrics

STRIP_BYTES = 2**26  # of float32 values in a strip, without its halo
LARGEST_PICTURE = 1500  # pixels of a map's side in its PNG; the numbers are in the ENVI file
FIGURES = ("mean", "low", "high", "lowest", "highest", "outside_share", "t2_over_limit", "q_over_limit", "held_out")
SHOWN = {"mean": "mean", "lowest": "lowest", "highest": "highest", "outside": "outside_share"}
SHOWN |= {"T2": "t2_over_limit", "Q": "q_over_limit", "held-out": "held_out"}
COLUMNS = ("id", *FIGURES, "seconds", "problem", "notes", "capture", "mask", "model")


def find_captures(paths) -> dict[str, Path]:
    """Id -> capture or image. A folder without white and dark references is searched for them.

    Raises InputError for a folder with none, and for two of one id, whose maps would have the same name.
    """
    found = {}
    for path in map(Path, paths):
        for name, place in _inside(path):
            if found.setdefault(name, place).resolve() != place.resolve():
                raise InputError(
                    f"two captures are called {name!r}, {found[name]} and {place}; rename one, or map them into two "
                    "folders."
                )
    return found


def _inside(path: Path) -> list[tuple[str, Path]]:
    if not path.is_dir():
        return [(path.stem, path)]
    if has_references(path):
        several = scenes(path)
        own = path.resolve().parent if path.name == "capture" else path.resolve()
        return [(file.stem, file) for file in several] if len(several) > 1 else [(own.name, path)]
    images = find_images(path)
    if not images:
        raise InputError(f"{path}: no capture or image in it; expected folders of captures, or files that hold images.")
    return [(name, place) for name, places in images.items() for place in places]


def map_captures(model: Model, captures: dict[str, Path], folder, mask=None) -> list[dict]:
    """Map captures into a folder: maps/<id>.hdr, .raw and .png, maps.csv, index.html. Returns the lines of the table.

    mask: how the sample is found, as in datasets.add; None: as in calibration. A drawn mask comes before either.
    A capture that cannot be mapped gets a line with its "problem". What is mapped already, by the same model, with such
    a mask, and from files that are not newer, is kept, so that a stopped call can be repeated.
    Raises InputError for a folder that cannot be written, is in use, or holds maps by another model, and for an unknown
    way to find masks.
    """
    folder, way = Path(folder), model.facts["mask"] if mask is None else mask
    check_way(way)
    with locked(folder / "maps", wait=False):
        rows = _read_table(folder, model)
        _write_table(folder, rows)  # a folder that cannot be written is said before the work
        try:
            for name, path in tqdm(captures.items(), desc=model.method, unit="capture"):
                done = name in rows and not rows[name]["problem"] and rows[name]["mask"] == str(way)
                if not done or not _is_fresh(folder, name, path):
                    rows[name] = _map_into(model, name, path, folder, way)
                    _write_table(folder, rows)
        finally:
            _write_index(folder, model, rows)
    return [rows[name] for name in captures]


def _map_into(model, name, path, folder, way) -> dict:
    """Write the files of a capture, and return its line."""
    begun, row = time.perf_counter(), dict.fromkeys(COLUMNS, "")
    row |= {"id": name, "capture": str(path), "mask": str(way), "model": model.checksum}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            map_, pitch, figures = map_capture(model, path, name, way)
        except (InputError, OSError, MemoryError) as error:
            return row | {"problem": str(error) or "it does not fit into memory"}
    said = dict.fromkeys(str(each.message) for each in caught if each.category is UserWarning)
    _write_map(folder / "maps" / f"{name}.hdr", map_, pitch, model)
    _write_picture(folder / "maps" / f"{name}.png", map_, pitch, model, name)
    row |= {key: "" if value is None else f"{value:.6g}" for key, value in figures.items()}
    return row | {"seconds": f"{time.perf_counter() - begun:.1f}", "notes": " ".join(said)}


def map_capture(model: Model, path, name: str, mask=None) -> tuple[np.ndarray, float | None, dict]:
    """(map as of `model.map`, the pitch of its pixels in mm, FIGURES) of a capture, strip by strip.

    Its mask is masks/<name>.npy, .png or .hdr beside it, where there is one, else found as in map_captures. The
    interval for the mean is for spectra like those of calibration; others have none.
    Raises InputError for what cannot be read or does not fit the model.
    """
    lines, way = open_lines(path), model.facts["mask"] if mask is None else mask
    rows, cols, bands = lines.shape
    if way == "pca" or 4 * rows * cols * bands <= STRIP_BYTES:
        lines = Lines.of(lines.read(0, rows))
    model.prepared(lines.read(0, 1))  # an image of other wavelengths is refused before all of it is read
    mask = _mask(way, lines, path, name)
    seen, reading, total, pitch = None, np.full((rows, cols), np.nan, np.float32), 0.0, None
    for first, last, start, stop in _strips(model, lines.shape):
        if not mask[first:last].any():
            continue
        cube = _prepared(model, lines, start, stop)
        cube, pitch = dataclasses.replace(cube, mask=mask[start:stop]), cube.pitch_mm
        inner = Lines.of(cube).read(first - start, last - start)
        total = total + inner.values[inner.mask].sum(axis=0, dtype=np.float64)
        part, side = model.seen(cube), 1 if model.linear else 2  # of a pixel of what is seen
        if seen is None:
            seen = np.full((*part.shape[:-2], rows // side, part.shape[-1]), np.nan, np.float32)
        seen[..., first // side : last // side, :] = part[..., (first - start) // side : (last - start) // side, :]
        if model.reader:
            reading[first:last] = model.reader.predict_map(inner)
    spectrum = total / mask.sum()
    map_ = model.finished(seen, mask, spectrum)
    figures = map_metrics(map_, None, np.isfinite(map_))
    mean = float(np.nanmean(map_, dtype=np.float64))
    model.check_range(spectrum, mean)
    low, high = (not model.unlike(spectrum) and model.interval(mean)) or (None, None)
    t2, q = model.beyond(spectrum) or (None, None)
    values = mean, low, high, figures["low"], figures["high"], figures["outside_share"], t2, q
    held_out = model.held_out(seen, reading, mask) if model.reader else None
    return map_, pitch and pitch * model.step, dict(zip(FIGURES, (*values, held_out), strict=True))


def _strips(model: Model, shape):
    """(first, last) lines of the image to keep, and the (start, stop) that the model must see for them."""
    rows, cols, bands = shape
    if model.halo is None:
        yield 0, rows, 0, rows
        return
    unit = model.unit
    keep = max(unit, STRIP_BYTES // (4 * cols * bands) // unit * unit)
    for first in range(0, rows, keep):
        last = min(first + keep, rows)
        yield first, last, max(first - model.halo, 0) // unit * unit, min(last + model.halo, rows)


def _prepared(model: Model, lines: Lines, start: int, stop: int) -> Cube:
    """Lines with the model's bands; those of the camera, often five times as many, are in memory for a part only."""
    _, cols, bands = lines.shape
    step = stop - start if model.halo is None else max(1, STRIP_BYTES // (4 * cols * bands))
    parts = [model.prepared(lines.read(at, min(at + step, stop))) for at in range(start, stop, step)]
    if len(parts) == 1:
        return parts[0]
    return dataclasses.replace(parts[0], values=np.concatenate([part.values for part in parts]), mask=None)


def _mask(way, lines: Lines, path, name: str) -> np.ndarray:
    """(rows, cols) bool of an image, which is read for it in strips."""
    rows, cols, bands = lines.shape
    drawn, score = drawn_mask(Path(path).parent, name, (rows, cols)), np.empty((rows, cols, 1), np.float32)
    own = np.empty((rows, cols), bool)
    for start in range(0, rows, step := max(1, STRIP_BYTES // (4 * cols * bands))):
        cube = lines.read(start, min(start + step, rows))
        own[start : start + step], score[start : start + step, :, 0] = cube.foreground, _score(cube, way)
    if drawn is not None or way == "none":
        inside = True if drawn is None else drawn
    else:  # Otsu's threshold needs one number a pixel
        seen = lines.read(0, rows) if way == "pca" else Cube(score, [1.0], own, name=name)
        inside = foreground_mask(seen, "pca" if way == "pca" else "brightness")
        for doubt in mask_doubts(seen, inside, "pca" if way == "pca" else "brightness"):
            warnings.warn(doubt, stacklevel=2)
    mask = inside & own
    if not mask.any():
        raise InputError(f"{path}: no pixel of the mask has data; give another mask.")
    return mask


def _score(cube: Cube, way) -> np.ndarray:
    if isinstance(way, str):
        return cube.values.mean(axis=2)
    low, high = cube.wavelengths[[0, -1]]
    if not low <= way <= high:
        raise InputError(f"{cube.name}: masks are found at {way:g} nm; the image covers {low:.0f}-{high:.0f} nm.")
    return cube.values[:, :, np.abs(cube.wavelengths - way).argmin()]


def _write_map(header_path, map_, pitch, model):
    title = re.sub(r"[{},\s]+", " ", "{response} ({unit})".format(**model.facts))
    keys = {"description": f"{title} by hsichem", "band names": [title], "data ignore value": "nan"}
    keys |= {"pixel pitch mm": pitch} if pitch else {}
    keys |= {"model": re.sub(r"[{},\s]+", " ", model.method), "model sha256": model.checksum}
    write_cube(header_path, map_[:, :, None], None, keys)


def _write_picture(path, map_, pitch, model, name):
    plotting.use_style()
    thin = -(-max(map_.shape) // LARGEST_PICTURE)
    facts = model.facts
    options = {"limits": facts["colour_limits"], "label": facts["response"], "unit": facts["unit"]}
    figure = plotting.show_maps({name: map_[::thin, ::thin]}, pitch_mm=pitch and pitch * thin, **options)
    with replacing(path) as part:
        figure.savefig(part, format="png", bbox_inches="tight")


def _is_fresh(folder: Path, name: str, path: Path) -> bool:
    """Whether the map is there, and not older than its capture or a mask drawn for it."""
    header, masks = folder / "maps" / f"{name}.hdr", path.parent / "masks"
    files = [*(path.rglob("*") if path.is_dir() else path.parent.glob("*")), *masks.glob("*")]
    own = (file for file in files if file.is_file() and (file.stem == name or path in file.parents))
    return header.is_file() and header.stat().st_mtime >= max((file.stat().st_mtime for file in own), default=0)


def _read_table(folder: Path, model: Model) -> dict[str, dict]:
    path = folder / "maps.csv"
    if not path.exists():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader) if reader.fieldnames == list(COLUMNS) else None
    except (ValueError, csv.Error):
        rows = None
    if rows is None or any(None in (*row, *row.values()) for row in rows):  # too many cells, or too few
        raise InputError(f"{path} is not a table of maps; move it away, or choose another folder.")
    if others := {row["model"] for row in rows} - {model.checksum}:
        raise InputError(
            f"{folder} holds maps by another model (sha256 {min(others)[:12]}..., not {model.checksum[:12]}...); "
            "choose another folder."
        )
    return {row["id"]: row for row in rows}


def _write_table(folder: Path, rows: dict[str, dict]) -> None:
    with replacing(folder / "maps.csv") as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows.values())


def _write_index(folder: Path, model: Model, rows: dict[str, dict]) -> None:
    done = [row for row in rows.values() if not row["problem"]]
    figures = {row["id"]: {key: float(row[key]) if row[key] else None for key in FIGURES} for row in done}
    for row in figures.values():
        row["mean_interval"] = [row["low"], row["high"]] if row["low"] is not None else None
    write_page(
        folder / "index.html",
        "maps.html.j2",
        model=model,
        unlike=UNLIKE,
        maps=done,
        rows=table(figures, SHOWN, "capture"),
        bad=[row for row in rows.values() if row["problem"]],
    )
