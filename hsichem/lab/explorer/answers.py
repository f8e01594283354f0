"""What the explorer answers: plots and tables about pins, a region and a map, as plain lists and dictionaries.

A plot is {title, note, summary, xlabel, ylabel, series, shaded}: series [{name, x, y, colour, dots, dash}], shaded
[[from, to], ...] on the x axis. The browser and the static figure draw the same ones.
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


def spectra_plots(cube: Cube | None, pins, polygon, model=None) -> list[dict]:
    """The spectra of pins and region beside the sample's mean, and the regression vector; shaded: the driving bands.

    Nothing without a cube.
    """
    if cube is None:
        return []
    nm, mean = cube.wavelengths, cube.mean_spectrum()
    series = [_line("mean of the sample", nm, mean, dash="5 3")]
    series += [_line(f"pin {k + 1}", nm, cube.values[tuple(pin)], colour=_colour(k)) for k, pin in enumerate(pins)]
    within = polygon_mask(polygon, cube.foreground.shape) & cube.foreground if polygon else np.zeros(0, bool)
    if within.any():
        series.append(_line("region", nm, cube.values[within].mean(axis=0, dtype=np.float64), dash="1 2"))
    told = f"Spectra of {', '.join(line['name'] for line in series)}, {nm[0]:.0f} to {nm[-1]:.0f} nm."
    plots = [_plot("Spectra", "wavelength (nm)", "reflectance", series, told)]
    if model is None:
        return plots
    title, unit = f"Regression vector, {model.n_components} components", model.preprocessing or "reflectance"
    plots.append(_plot(title, "wavelength (nm)", f"% per {unit}", [_line("b", nm, model.coefficients)], title))
    if pins:
        shaded = _intervals(nm, driving_bands(model, cube.values[tuple(pins[-1])], mean))
        where = ", ".join(f"{low:.0f} to {high:.0f}" for low, high in shaded)
        for each in plots:
            each["shaded"] = shaded
            each["summary"] += f" Shaded: the bands that make half of the prediction of pin {len(pins)}: {where} nm."
    return plots


def in_region(scene: Scene, polygon) -> dict[str, np.ndarray]:
    """Layer name -> its values (n,) float64 in the polygon, or in the whole sample where there is none."""
    found = {}
    for name, layer in scene.layers.items():
        if not layer.photo:
            chosen = np.isfinite(layer.values)
            if polygon:
                chosen &= polygon_mask(polygon, chosen.shape, layer.step)
            elif name == "band":
                chosen &= scene.mask
            found[name] = layer.values[chosen].astype(np.float64)
    return found


def region_rows(scene: Scene, values: dict) -> list[list]:
    """One row for each map: name, unit, pixels, mean, standard deviation, lowest, highest."""
    rows = []
    for name, v in values.items():
        numbers = [float(v.mean()), float(v.std()), float(v.min()), float(v.max())] if v.size else [None] * 4
        rows.append([name, scene.layers[name].unit, v.size, *numbers])
    return rows


def histogram_plot(scene: Scene, values: dict) -> dict:
    """The share of pixels over the value, for every map on the shared scale."""
    shared = {name: v for name, v in values.items() if scene.layers[name].scale is None and v.size}
    spread = [edge for v in shared.values() for edge in (v.min(), v.max())] or [0, 1]
    limits = min(spread), max(max(spread), min(spread) + 1e-6)
    series = []
    for k, (name, v) in enumerate(shared.items()):
        counts, edges = np.histogram(v, 40, limits)
        # more maps than colours that can be told apart: the next round is dashed, then dotted
        dash = {"dash": "5 3" if k < 2 * len(COLOURS) else "1 2"} if k >= len(COLOURS) else {}
        series.append(_line(name, (edges[1:] + edges[:-1]) / 2, 100 * counts / v.size, colour=_colour(k), **dash))
    told = "; ".join(f"{name}: mean {v.mean():.1f}, SD {v.std():.1f}" for name, v in shared.items())
    return _plot("Histogram of the region", "value (%)", "pixels (%)", series, f"Histogram. {told}.")


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


def region_csv(of_maps: list[list], plots: list[dict], polygon) -> str:
    """The region as one long table: quantity, of, at, value, unit. of_maps: the rows of `region_rows`."""
    rows = [["corner", "row, column", "", f"{row:g}, {col:g}", "pixels"] for row, col in polygon]
    for name, unit, *numbers in of_maps:
        for quantity, value in zip(("pixels", "mean", "SD", "lowest", "highest"), numbers, strict=True):
            rows.append([quantity, name, "", value, "" if quantity == "pixels" else unit])
    quantities = {"Spectra": ("reflectance", ""), "Histogram of the region": ("pixels", "%")}
    for plot in plots:
        if plot["title"] in quantities:
            quantity, unit = quantities[plot["title"]]
            for line in plot["series"]:
                rows += ([quantity, line["name"], *point, unit] for point in zip(line["x"], line["y"], strict=True))
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["quantity", "of", "at", "value", "unit"], *rows])
    return file.getvalue()


def _plot(title, xlabel, ylabel, series, summary, note="") -> dict:
    words = {"title": title, "note": note, "summary": summary, "xlabel": xlabel, "ylabel": ylabel}
    return words | {"series": series, "shaded": []}


def _line(name, x, y, **look) -> dict:
    return {"name": name, "x": np.asarray(x, float).tolist(), "y": np.asarray(y, float).tolist()} | look


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _intervals(nm, chosen) -> list[list[float]]:
    """Runs of chosen bands as [from, to] in nm, half a band wider at both ends."""
    edges = np.concatenate([nm[:1] - np.diff(nm[:2]) / 2, (nm[1:] + nm[:-1]) / 2, nm[-1:] + np.diff(nm[-2:]) / 2])
    runs = np.flatnonzero(np.diff(np.concatenate([[0], chosen, [0]]))).reshape(-1, 2)
    return edges[runs].tolist()
