"""The explorer without a kernel: a static figure, and a page that still hovers and pins."""

import base64
import html
import json
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hsichem.answers import COLOURS
from hsichem.files import replacing
from hsichem.plotting import BACKGROUND, MAP_COLOURS, ORANGE, OVER, UNDER, round_length

HERE = Path(__file__).parent
COLUMNS = 5


def lookup_table() -> bytes:
    """258 colours of 4 bytes: the scale's 256, then below 0 and above 100 %."""
    colours = np.vstack([MAP_COLOURS(np.arange(256)), to_rgba(UNDER), to_rgba(OVER)])
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


def static_figure(scene, limits, pins, polygon, plots) -> Figure:
    """The maps with pins and region, and the plots beneath.

    A Figure of its own, without pyplot, so it can be drawn on any thread.
    """
    map_rows, plot_rows = -(-len(scene.layers) // COLUMNS), -(-len(plots) // 2)
    tall = [map_rows * (min(2.2 * scene.mask.shape[0] / scene.mask.shape[1], 4) + 0.6) + 0.6, 2.6 * plot_rows]
    fig = Figure(figsize=(11, sum(tall)), dpi=80, facecolor="white")
    upper, lower = fig.subfigures(2, 1, height_ratios=tall)
    place = {"left": 0.01, "right": 0.99, "top": 1 - 0.6 / tall[0], "bottom": 0.7 / tall[0], "wspace": 0.05}
    axes = upper.subplots(map_rows, COLUMNS, squeeze=False, gridspec_kw=place | {"hspace": 0.3}).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (name, layer) in zip(axes, scene.layers.items(), strict=False):
        rows, cols = (n * layer.step for n in layer.values.shape[:2])
        ax.add_patch(Rectangle((0, 0), *scene.mask.shape[::-1], color=BACKGROUND, zorder=0))
        ax.imshow(coloured(layer, limits), extent=(0, cols, rows, 0), interpolation="nearest", zorder=1)
        ax.set(xlim=(0, scene.mask.shape[1]), ylim=(scene.mask.shape[0], 0))
        own = f"{layer.scale[0]:.3g} to {layer.scale[1]:.3g} {layer.unit}" if layer.scale else ""
        ax.set_title("\n".join(filter(None, [name, layer.note, own])), fontsize=9)
        for k, (row, col) in enumerate(pins):
            ax.plot(col + 0.5, row + 0.5, "o", mfc="none", mec=COLOURS[k % len(COLOURS)], mew=2, ms=8)
            ax.annotate(k + 1, (col + 0.5, row + 0.5), (5, 5), textcoords="offset points", fontsize=8, color="white")
        if len(polygon):
            corners = np.array([*polygon, polygon[0]])
            ax.plot(corners[:, 1], corners[:, 0], color="black", lw=3)
            ax.plot(corners[:, 1], corners[:, 0], color="white", lw=1.2)
    if scene.pitch_mm:
        mm = round_length(scene.mask.shape[1] * scene.pitch_mm / 3)
        axes[0].plot([1, 1 + mm / scene.pitch_mm], [scene.mask.shape[0] * 1.03] * 2, "k", lw=3, clip_on=False)
        axes[0].annotate(f"{mm:g} mm", (1, scene.mask.shape[0] * 1.05), va="top", fontsize=8, annotation_clip=False)
    scale = ScalarMappable(Normalize(*limits), MAP_COLOURS)
    bar = upper.add_axes((0.3, 0.5 / tall[0], 0.4, 0.12 / tall[0]))
    fig.colorbar(scale, cax=bar, orientation="horizontal", extend="both", extendrect=True)
    bar.set_xlabel("% w/w (outer colours: below 0 and above 100)", fontsize=9)
    place = {"left": 0.07, "right": 0.98, "top": 0.93, "bottom": 0.1, "hspace": 0.55, "wspace": 0.2}
    axes = lower.subplots(plot_rows, 2, squeeze=False, gridspec_kw=place).flat if plots else ()
    for ax, plot in zip(axes, plots, strict=False):
        _draw_plot(ax, plot)
    return fig


def _draw_plot(ax, plot):
    for line in plot["series"]:
        look = {"marker": "o", "ms": 3, "ls": ""} if line.get("dots") else {"ls": "--" if line.get("dash") else "-"}
        ax.plot(line["x"], line["y"], color=line.get("colour", "black"), label=line["name"], **look)
    for low, high in plot["shaded"]:
        ax.axvspan(low, high, color=ORANGE, alpha=0.3, lw=0)
    ax.set_title("\n".join(filter(None, [plot["title"], plot.get("note")])), fontsize=10)
    ax.set_xlabel(plot["xlabel"], fontsize=9)
    ax.set_ylabel(plot["ylabel"], fontsize=9)
    ax.tick_params(labelsize=8)
    ax.grid(color="0.92")
    if plot["series"]:
        ax.legend(fontsize=7, frameon=False)


def write_page(path, state: dict) -> Path:
    """One HTML page of the explorer's state, with nothing from the network; it hovers, zooms and pins.

    state: name -> value of explorer.State.
    """
    title = html.escape(state["title"])
    text = json.dumps(state, default=lambda data: base64.b64encode(data).decode())
    kept = text.replace("</", "<\\/")  # no text in it may end the script
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
@media (prefers-color-scheme: dark) {{ .hsichem-explorer {{ --empty: #4a4a4a !important }} }}
body {{ background: Canvas; margin: 1rem }}
h1 {{ font: 600 1.3rem system-ui, sans-serif; color: CanvasText }}
{(HERE / "explorer.css").read_text("utf-8")}
</style>
</head>
<body>
<h1>{title}</h1>
<div id="explorer"></div>
<script type="module">
{(HERE / "explorer.js").read_text("utf-8")}
page({kept}, document.getElementById("explorer"));
</script>
</body>
</html>
"""
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")
    return Path(path)
