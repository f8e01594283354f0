"""One style, and the few figures that several notebooks and the report share.

Every function returns a closed figure: as the last value of a cell it is shown once, and nothing stays open.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from hsichem._base import InputError

# Okabe & Ito (2008), https://jfly.uni-koeln.de/color: told apart by colour-blind readers too.
BLUE, VERMILLION, SKY, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#E69F00", "#CC79A7"
# Both are far from every colour of cividis, from each other and from the grey, for all kinds of colour vision.
UNDER, OVER, BACKGROUND = SKY, VERMILLION, "0.85"
MAP_COLOURS = plt.get_cmap("cividis").with_extremes(under=UNDER, over=OVER, bad=BACKGROUND)


def use_style() -> None:
    """Set matplotlib's defaults for all figures that follow."""
    plt.style.use(Path(__file__).with_name("hsichem.mplstyle"))


def show_maps(maps, masks=None, limits=(0, 100), label="fat", unit="% w/w", pitch_mm=None):
    """Maps side by side on one scale and at one physical size; values beyond the limits in colours of their own.

    maps: {title: (rows, cols)}, None for a map that nobody knows, as the truth of a user's captures: it gets no panel;
    masks: one (rows, cols) bool mask, {title: mask}, or None for all pixels;
    pitch_mm: one number, {title: number} for maps of different resolution, or None where it is unknown.
    Raises InputError for a mask whose shape is not its map's, or a pitch that is known for some maps only.
    """
    maps = {title: map_ for title, map_ in maps.items() if map_ is not None}
    masks, pitches = _per_title(masks, maps), _per_title(pitch_mm, maps)
    if len({p is None for p in pitches.values()}) > 1:
        raise InputError(f"pitch_mm is {pitch_mm}; expected a pitch for every map, or None for all of them.")
    for title, map_ in maps.items():
        if masks[title] is not None and np.shape(masks[title]) != np.shape(map_):
            raise InputError(
                f"map {title!r} is {np.shape(map_)}, its mask {np.shape(masks[title])}; give a mask of its own shape."
            )
    known = None not in pitches.values()
    sizes = {t: np.array(np.shape(m)) * (pitches[t] if known else 1) for t, m in maps.items()}  # (height, width)
    full = np.max(list(sizes.values()), axis=0)
    rows = -(-len(maps) // 5)
    columns = -(-len(maps) // rows)
    width = min(3.3, 14 / columns)
    height = min(width * full[0] / full[1] if known else width, 5.5)
    fig, axes = plt.subplots(rows, columns, figsize=(width * columns + 1, (height + 0.8) * rows), squeeze=False)
    norm = Normalize(*limits)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, map_) in zip(axes.flat, maps.items(), strict=False):
        h, w = sizes[title] / 2
        shown = map_ if masks[title] is None else np.where(masks[title], map_, np.nan)
        # nearest: smoothing on screen would hide the very pixels the map is judged by
        image = ax.imshow(shown, MAP_COLOURS, norm, extent=(-w, w, h, -h), interpolation="nearest")
        if known:  # a smaller map, as an unpadded network gives, lies in the middle of the same frame
            ax.set(xlim=(-full[1] / 2, full[1] / 2), ylim=(full[0] / 2, -full[0] / 2))
        ax.set_title(title)
    if known:
        bar = round_length(full[1] / 3)
        place = {"bbox_to_anchor": (0, 0), "bbox_transform": axes[0, 0].transAxes, "loc": "upper left"}
        axes[0, 0].add_artist(
            AnchoredSizeBar(axes[0, 0].transData, bar, f"{bar:g} mm", frameon=False, size_vertical=bar / 20, **place)
        )
    fig.colorbar(image, ax=axes, extend="both", extendrect=True, label=f"{label} ({unit})", shrink=0.8, pad=0.02)
    return _closed(fig)


def show_variograms(variograms, unit="% w/w", pitch_mm=None):
    """Semivariograms with their fits, one panel each: the maps' variances differ too much for one axis.

    variograms: {title: (lags in pixels, gamma, fitted Variogram)}; pitch_mm as in `show_maps`.
    """
    pitches = _per_title(pitch_mm, variograms)
    rows = -(-len(variograms) // 4)
    columns = -(-len(variograms) // rows)
    fig, axes = plt.subplots(rows, columns, figsize=(3.2 * columns + 0.4, 2.9 * rows + 0.5), squeeze=False)
    for ax in axes.flat[len(variograms) :]:
        ax.set_axis_off()
    for ax, (title, (lags, gamma, fit)) in zip(axes.flat, variograms.items(), strict=False):
        pitch = pitches[title]
        fine = np.linspace(0, lags[-1], 300)[1:]  # not 0: gamma(0) is 0, the nugget is its limit
        ax.plot(np.multiply(lags, pitch or 1), gamma, "o", ms=4, color=BLUE, label="pairs of pixels")
        ax.plot(fine * (pitch or 1), fit(fine), color=VERMILLION, label=f"{fit.model} fit")
        ax.axhline(fit.nugget, color="0.35", ls=":", lw=1.4, label="nugget")
        ax.axhline(fit.nugget + fit.partial_sill, color="0.35", ls="--", lw=1.2, label="sill")
        ax.set(title=title, xlabel=f"distance ({'pixels' if pitch is None else 'mm'})", xlim=(0, None))
        ax.set_ylim(0, 1.15 * np.nanmax([*gamma, fit.nugget + fit.partial_sill]) or 1)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"semivariance (({unit})²)")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return _closed(fig)


def show_spectra(wavelengths, spectra, ylabel="reflectance"):
    """Spectra over wavelength. wavelengths: (bands,) nm; spectra: {label: (bands,)}."""
    fig, ax = plt.subplots(figsize=(7, 3.6))
    for name, spectrum in spectra.items():
        ax.plot(wavelengths, spectrum, label=name)
    ax.set(xlabel="wavelength (nm)", ylabel=ylabel, xlim=(wavelengths[0], wavelengths[-1]))
    ax.legend()
    return _closed(fig)


def _per_title(value, titles):
    return value if isinstance(value, dict) else dict.fromkeys(titles, value)


def round_length(most):
    """The largest of 1, 2, 5 times a power of ten that is not above `most`."""
    power = 10 ** np.floor(np.log10(most))
    return float(power * max(n for n in (1, 2, 5) if n * power <= most))


def _closed(fig):
    plt.close(fig)
    return fig


def live_curves():
    """An on_epoch for `hsichem.unet.train_folds`: below the cell, the loss by epoch, drawn anew every fifth epoch."""
    from IPython.display import display

    handle = display("The curve of the network in training appears here.", display_id=True)

    def draw(history):
        if len(history) % 5 == 0:
            fig, ax = plt.subplots(figsize=(6.5, 3))
            for term in ("total", "mse", "validation_mse"):
                if term in history[0]:
                    ax.semilogy([row["epoch"] for row in history], [row[term] for row in history], label=term)
            ax.set(xlabel="epoch", ylabel="weighted term")
            ax.legend()
            plt.close(fig)
            handle.update(fig)

    return draw
