"""What the explorer answers: plots and tables about pins, regions and a map, as plain lists and dictionaries.

A plot is {title, note, summary, xlabel, ylabel, series, shaded}: series [{name, x, y, colour, dots, dash}], shaded
[[from, to], ...] on the x axis. The browser and the static figure draw the same ones. A line that belongs to one place
carries it as `pin` or `corners`, and shaded bands theirs as `shaded_for`: the browser drops what belongs to no place
that is marked any more. Tables and histogram are made here for print and for files; the browser makes its own.
"""

import csv
import io
import warnings

import numpy as np

from hsichem._base import InputError
from hsichem.cubes import Cube, polygon_mask
from hsichem.lab.explorer.scene import Layer, Scene
from hsichem.lab.plotting import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from hsichem.maps import fit_variogram, semivariogram

COLOURS = [VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY]
DASHES = ["none", "6 4", "2 3", "9 3 2 3"]  # of the regions, as many as can be told apart; then again from the first
GREY = "#7f7f7f"  # of the sample's mean, on white and on black
WHOLE, WAVELENGTH = "whole sample", "wavelength (nm)"
DRIVING = 0.5  # the shaded bands together make this part of the prediction


def driving_bands(model, spectrum, mean) -> np.ndarray:
    """(bands,) bool: the fewest bands that make half of what sets the prediction apart from that of the mean.

    Band j adds b_j (x_j - mean_j), after preprocessing; sizes are compared without their signs.
    """
    seen, reference = model.preprocessed([spectrum, mean])
    parts = np.abs(model.coefficients * (seen - reference))
    order = np.argsort(-parts)
    before = np.cumsum(parts[order]) - parts[order]
    chosen = np.zeros(parts.size, bool)
    chosen[order[before < DRIVING * parts.sum()]] = True
    return chosen


def spectrum_at(cube: Cube, place, side: int) -> np.ndarray:
    """(bands,): the mean of the block of side x side pixels that holds the place, as a map of such blocks reads it."""
    row, col = (n // side * side for n in place)
    return cube.values[row : row + side, col : col + side].mean(axis=(0, 1), dtype=np.float64)


def spectra_plots(cube: Cube | None, pins, regions: dict, model=None, side: int = 1) -> list[dict]:
    """The spectra of pins and regions beside the sample's mean, and the regression vector; shaded: the driving bands.

    Nothing without a cube. side: of the blocks that the maps show, whose mean the spectrum of a pin is.
    """
    if cube is None:
        return []
    nm, mean = cube.wavelengths, cube.mean_spectrum()
    series = [_line("mean of the sample", nm, mean, colour=GREY)]
    for k, pin in enumerate(pins):
        series.append(_line(f"pin {k + 1}", nm, spectrum_at(cube, pin, side), colour=_colour(k), pin=list(pin)))
    for k, (name, corners) in enumerate(regions.items()):
        within = polygon_mask(corners, cube.foreground.shape) & cube.foreground
        if within.any():
            seen = cube.values[within].mean(axis=0, dtype=np.float64)
            series.append(_line(name, nm, seen, dash=_dash(k), corners=corners))
    told = f"Spectra of {', '.join(line['name'] for line in series)}, {nm[0]:.0f} to {nm[-1]:.0f} nm."
    note = f"a pin or the cursor: the mean of {side} x {side} pixels" if side > 1 else ""
    plots = [_plot("Spectra", WAVELENGTH, "reflectance", series, told, note)]
    if model is None:
        return plots
    title, unit = f"Regression vector, {model.n_components} components", model.preprocessing or "reflectance"
    plots.append(_plot(title, WAVELENGTH, f"% per {unit}", [_line("b", nm, model.coefficients)], title))
    if pins:
        shaded = _intervals(nm, driving_bands(model, spectrum_at(cube, pins[-1], side), mean))
        where = ", ".join(f"{low:.0f} to {high:.0f}" for low, high in shaded)
        for each in plots:
            each |= {"shaded": shaded, "shaded_for": list(pins[-1])}
            each["summary"] += f" Shaded: the bands that make half of the prediction of pin {len(pins)}: {where} nm."
    return plots


def in_region(scene: Scene, corners) -> dict[str, np.ndarray]:
    """Layer name -> its values (n,) float64 in the region, or in the whole sample where there are no corners."""
    found = {}
    for name, layer in scene.layers.items():
        if not layer.photo:
            chosen = np.isfinite(layer.values)
            if corners:
                chosen &= polygon_mask(corners, chosen.shape, layer.step)
            if name == "band":
                chosen &= scene.mask
            found[name] = layer.values[chosen].astype(np.float64)
    return found


def in_regions(scene: Scene, regions: dict) -> dict[str, dict]:
    """Region -> what `in_region` finds there; WHOLE where there is no region."""
    return {name: in_region(scene, corners) for name, corners in (regions or {WHOLE: None}).items()}


def histogram_plot(scene: Scene, shown, regions: dict[str, dict]) -> dict:
    """The share of pixels over the value, for every shown map on the shared scale, in each of `in_regions`."""
    names = [name for name, layer in scene.layers.items() if name in shown and layer.scale is None and not layer.photo]
    lines = [(k, map_, j, region) for j, region in enumerate(regions) for k, map_ in enumerate(names)]
    lines = [(*line, regions[line[3]][line[1]]) for line in lines if regions[line[3]][line[1]].size]
    spread = [edge for *_, v in lines for edge in (v.min(), v.max())] or [0, 1]
    limits = min(spread), max(max(spread), min(spread) + 1e-6)
    series, told = [], []
    for k, map_, j, region, v in lines:
        counts, edges = np.histogram(v, 40, limits)
        title = map_ if len(regions) == 1 else f"{map_}, {region}"
        middles = (edges[1:] + edges[:-1]) / 2
        series.append(_line(title, middles, 100 * counts / v.size, colour=_colour(k), dash=_dash(j)))
        told.append(f"{title}: mean {v.mean():.1f}, SD {v.std():.1f}")
    return _plot("Histogram", "value (%)", "pixels (%)", series, f"Histogram. {'; '.join(told)}.")


def variogram_plot(name: str, layer: Layer, pitch_mm: float | None) -> dict:
    """The semivariogram of a map with a spherical fit; its share stands in the title."""
    mask = np.isfinite(layer.values)
    side = min(np.ptp(np.argwhere(mask), axis=0) + 1) if mask.any() else 0
    series, length = [], layer.step * (pitch_mm or 1)
    try:
        lags, gamma, pairs = semivariogram(layer.values, mask, max(int(side) // 2, 1))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = fit_variogram(lags, gamma, pairs, "spherical")
        fine = np.linspace(0, lags[-1], 120)[1:]
        series = [_line("pairs of pixels", lags * length, gamma, colour=BLUE, dots=True)]
        series.append(_line("spherical fit", fine * length, fit(fine), colour=VERMILLION))
        note = f"share {fit.correlated_share:.0%}, nugget {fit.nugget:.3g}, partial sill {fit.partial_sill:.3g}"
        note += ", sill not reached" if caught else ""
    except InputError as error:
        note = str(error)
    title, unit = f"Variogram of {name}", "pixels" if pitch_mm is None else "mm"
    return _plot(title, f"distance ({unit})", f"semivariance ({layer.unit})²", series, f"{title}: {note}.", note)


def regions_csv(scene: Scene, regions: dict, spectra: list[dict]) -> str:
    """All that the regions hold as one long table: quantity, region, of, at, value, unit."""
    rows, inside = [["quantity", "region", "of", "at", "value", "unit"]], in_regions(scene, regions)
    for region, values in inside.items():
        for row, col in regions.get(region, ()):
            rows.append(["corner", region, "row, column", "", f"{row:g}, {col:g}", "pixels"])
        for name, v in values.items():
            numbers = (v.mean(), v.std(), v.min(), v.max()) if v.size else [None] * 4
            rows.append(["pixels", region, name, "", v.size, ""])
            for quantity, value in zip(("mean", "SD", "lowest", "highest"), numbers, strict=True):
                rows.append([quantity, region, name, "", value, scene.layers[name].unit])
    for line in spectra[0]["series"] if spectra else ():
        rows += (["reflectance", "", line["name"], *point, ""] for point in zip(line["x"], line["y"], strict=True))
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _plot(title, xlabel, ylabel, series, summary, note="") -> dict:
    words = {"title": title, "note": note, "summary": summary, "xlabel": xlabel, "ylabel": ylabel}
    return words | {"series": series, "shaded": []}


def _line(name, x, y, **look) -> dict:
    return {"name": name, "x": np.asarray(x, float).tolist(), "y": np.asarray(y, float).tolist()} | look


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _dash(number: int) -> str:
    return DASHES[number % len(DASHES)]


def _intervals(nm, chosen) -> list[list[float]]:
    """Runs of chosen bands as [from, to] in nm, half a band wider at both ends."""
    edges = np.concatenate([nm[:1] - np.diff(nm[:2]) / 2, (nm[1:] + nm[:-1]) / 2, nm[-1:] + np.diff(nm[-2:]) / 2])
    runs = np.flatnonzero(np.diff(np.concatenate([[0], chosen, [0]]))).reshape(-1, 2)
    return edges[runs].tolist()
