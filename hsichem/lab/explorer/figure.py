"""The explorer as a figure, for print and for where no widget can run."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from hsichem.lab.explorer.answers import COLOURS, DASHES
from hsichem.lab.plotting import BACKGROUND, MAP_COLOURS, ORANGE, OVER, UNDER, round_length

COLUMNS = 4
OUTLINED = {"color": "white", "weight": "bold", "fontsize": 9}
OUTLINED |= {"path_effects": [Stroke(linewidth=2, foreground="black"), Normal()]}


def lookup_table() -> bytes:
    """514 colours of 4 bytes: the scale's 256, then below 0 and above 100 %, then 256 for differences."""
    differences = colormaps["PuOr_r"](np.arange(256))
    colours = np.vstack([MAP_COLOURS(np.arange(256)), to_rgba(UNDER), to_rgba(OVER), differences])
    return np.rint(255 * colours).astype(np.uint8).tobytes()


def coloured(layer, limits) -> np.ndarray:
    """(rows, cols, 4) uint8, as the browser colours it; transparent where there is nothing."""
    if layer.photo:
        return np.dstack([layer.values, np.full(layer.values.shape[:2], 255, np.uint8)])
    low, high = layer.scale or limits
    values = np.nan_to_num(layer.values)
    index = np.clip((values - low) * (255 / max(high - low, 1e-12)), 0, 255).astype(int)
    if layer.scale is None:
        index = np.where(values < 0, 256, np.where(values > 100, 257, index))
    picture = np.frombuffer(lookup_table(), np.uint8).reshape(-1, 4)[index]
    picture[~np.isfinite(layer.values)] = 0
    return picture


def static_figure(scene, layers, limits, pins, regions, plots) -> Figure:
    """The maps of layers with pins and regions, and the plots beneath.

    A Figure of its own, without pyplot, so it can be drawn on any thread. All maps share one Axes: each further one
    takes a twentieth of a second, which one waits for whenever a notebook shows the explorer.
    """
    height, width = scene.mask.shape
    map_rows, plot_rows = -(-len(layers) // COLUMNS), -(-len(plots) // 2)
    scale = 10.6 / (1.05 * COLUMNS * width)  # inches for a pixel
    space = 0.75 / scale  # pixels for the titles above each map
    tall = [map_rows * (height + space) * scale + 0.8, 2.6 * plot_rows]
    fig = Figure(figsize=(11, sum(tall)), dpi=100, facecolor="white")
    upper, lower = fig.subfigures(2, 1, height_ratios=tall)
    ax = upper.add_axes((0.02, 0.8 / tall[0], 0.96, 1 - 0.8 / tall[0]))
    for k, (name, layer) in enumerate(layers.items()):
        corner = (k // COLUMNS * (height + space) + space, k % COLUMNS * 1.05 * width)
        _draw_map(ax, name, layer, corner, scene.mask.shape, limits, pins, regions)
    ax.set(xlim=(0, 1.05 * COLUMNS * width), ylim=(map_rows * (height + space), 0), aspect="equal")
    ax.set_axis_off()
    if scene.pitch_mm:
        mm = round_length(width * scene.pitch_mm / 3)
        ax.plot([2, 2 + mm / scene.pitch_mm], [space + height * 1.02] * 2, "k", lw=3, clip_on=False)
        ax.annotate(f"{mm:g} mm", (2, space + height * 1.04), va="top", fontsize=8, annotation_clip=False)
    bar = upper.add_axes((0.3, 0.5 / tall[0], 0.4, 0.12 / tall[0]))
    colours = ScalarMappable(Normalize(*limits), MAP_COLOURS)
    fig.colorbar(colours, cax=bar, orientation="horizontal", extend="both", extendrect=True)
    bar.set_xlabel("% (outer colours: below 0 and above 100)", fontsize=9)
    place = {"left": 0.07, "right": 0.98, "top": 0.93, "bottom": 0.1, "hspace": 0.55, "wspace": 0.2}
    axes = lower.subplots(plot_rows, 2, squeeze=False, gridspec_kw=place).ravel() if plots else ()
    for ax, plot in zip(axes, plots, strict=False):
        _draw_plot(ax, plot)
    for ax in axes[len(plots) :]:
        ax.set_axis_off()
    return fig


def _draw_map(ax, name, layer, corner, shape, limits, pins, regions):
    """A map with its upper left corner at (row, col) of the Axes."""
    top, left = corner
    rows, cols = (n * layer.step for n in layer.values.shape[:2])
    ax.add_patch(Rectangle((left, top), shape[1], shape[0], color=BACKGROUND, zorder=0))
    extent = (left, left + cols, top + rows, top)
    ax.imshow(coloured(layer, limits), extent=extent, interpolation="nearest", zorder=1)
    own = f"{layer.scale[0]:.3g} to {layer.scale[1]:.3g} {layer.unit}" if layer.scale else ""
    title = "\n".join(filter(None, [name, layer.note, own]))
    ax.annotate(title, (left + shape[1] / 2, top), (0, 3), textcoords="offset points", ha="center", fontsize=9)
    for k, (row, col) in enumerate(pins):
        at = (left + col + 0.5, top + row + 0.5)
        ax.plot(*at, "o", mfc="none", mec=COLOURS[k % len(COLOURS)], mew=2, ms=8)
        beside = [(5, 4), (-11, -11), (5, -11), (-11, 4)][k % 4]  # neighbours' numbers do not cover each other
        ax.annotate(k + 1, at, beside, textcoords="offset points", **OUTLINED)
    for k, (name, outline) in enumerate(regions.items()):
        corners = np.add([*outline, outline[0]], corner)
        ax.plot(corners[:, 1], corners[:, 0], color="black", lw=3)
        ax.plot(corners[:, 1], corners[:, 0], color="white", lw=1.2, ls=_line_style(DASHES[k % len(DASHES)]))
        highest = corners[corners[:, 0].argmin()]
        ax.annotate(name, highest[::-1], (0, 3), textcoords="offset points", **OUTLINED)


def _line_style(dash: str):
    """matplotlib's word for an SVG dash."""
    return "-" if dash == "none" else (0, tuple(float(length) / 2 for length in dash.split()))


def _draw_plot(ax, plot):
    for line in plot["series"]:
        style = _line_style(line.get("dash", "none"))
        look = {"marker": "o", "ms": 3, "ls": ""} if line.get("dots") else {"ls": style}
        ax.plot(line["x"], line["y"], color=line.get("colour", "black"), label=line["name"], **look)
    for low, high in plot["shaded"]:
        ax.axvspan(low, high, color=ORANGE, alpha=0.3, lw=0)
    ax.set_title("\n".join(filter(None, [plot["title"], plot.get("note")])), fontsize=10)
    ax.set_xlabel(plot["xlabel"], fontsize=9)
    ax.set_ylabel(plot["ylabel"], fontsize=9)
    ax.tick_params(labelsize=8)
    ax.grid(color="0.92")
    if plot["series"]:
        many = len(plot["series"]) > 6
        ax.legend(fontsize=5 if many else 7, ncols=2 if many else 1, frameon=False)
