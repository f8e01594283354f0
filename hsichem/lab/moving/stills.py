"""The moving pictures as figures, for where no widget runs: a page on GitHub, a site, a print."""

import io
import warnings

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from hsichem.lab.plotting import BACKGROUND, BLUE, GREEN, MAP_COLOURS, ORANGE, PURPLE, VERMILLION
from hsichem.maps import fit_variogram, semivariogram

CURVES = [BLUE, GREEN, PURPLE, VERMILLION, ORANGE]
BLURS = (0, 2, 6)  # pixels


def as_png(figure) -> bytes:
    """The figure in 256 colours: fewer bytes, and a notebook holds many pictures.

    None is off by more than a few of 255: Pillow's other ways spend their colours on the maps, and none on the lines.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=72)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()


def maps_and_more(maps: dict, limits, label: str, curves=None) -> Figure:
    """Maps {title: (rows, cols)} in a row with one colour bar; to their right curves {name: (epochs,)}, if any."""
    (rows, cols), count = next(iter(maps.values())).shape, len(maps)
    width = min(2, (8 if curves else 10.5) / count)  # inches
    ratios = [width] * count + [3] * bool(curves)
    height = min(width * rows / cols, 3.4)
    lines = max(title.count("\n") for title in maps) + 1
    fig = Figure(figsize=(sum(ratios) + 0.9, height + 0.2 + 0.2 * lines), layout="constrained", facecolor="white")
    axes = fig.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    for ax, (title, values) in zip(axes, maps.items(), strict=False):
        ax.imshow(values, MAP_COLOURS, Normalize(*limits), interpolation="nearest")
        ax.set(xticks=[], yticks=[], facecolor=BACKGROUND)
        ax.set_title(title, fontsize=9)
        ax.spines[:].set_visible(False)
    colours = ScalarMappable(Normalize(*limits), MAP_COLOURS)
    bar = fig.colorbar(colours, ax=axes[:count], extend="both", extendrect=True, label=label, pad=0.02, aspect=12)
    bar.ax.grid(False)
    if curves:
        for (name, values), colour in zip(curves.items(), CURVES, strict=False):
            axes[-1].semilogy(np.arange(1, len(values) + 1), values, color=colour, label=name)
        axes[-1].set_xlabel("epoch", fontsize=9)
        axes[-1].tick_params(labelsize=8)
        axes[-1].legend(fontsize=8, frameon=False)
    return fig


def forgeries(noise, truth, mask, max_lag: int) -> tuple[dict, str]:
    """Noise blurred by BLURS with the truth's mean and spread, and the truth: {title: map}; the titles in words."""
    shown, known = {}, truth[mask].astype(float)
    for sigma in BLURS:
        made = ndimage.gaussian_filter(noise.astype(float), sigma)
        made = np.where(mask, known.mean() + (made - made[mask].mean()) * (known.std() / made[mask].std()), np.nan)
        r = round(np.corrcoef(made[mask], known)[0, 1], 2) + 0.0  # not -0.00
        shown[f"noise, blur {sigma} pixels\nshare {_share(made, mask, max_lag):.1%}, r = {r:.2f}"] = made
    shown[f"truth\nshare {_share(truth, mask, max_lag):.1%}"] = truth
    return shown, "; ".join(title.replace("\n", ", ") for title in shown) + ". r: correlation with the truth."


def _share(values, mask, max_lag):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of blur: that is the point
        return fit_variogram(*semivariogram(values, mask, max_lag), "spherical").correlated_share


def paintings(truth, visible, hidden, noise: float, losses: dict) -> dict:
    """{title with the costs: map} of the truth, a flat map, the truth inverted, and the visible reading."""
    import torch  # takes seconds, and no other picture needs it

    from hsichem.unet import map_losses

    toys = {"truth": truth, "flat": np.full_like(truth, truth.mean()), "inverted": 2 * truth.mean() - truth}
    toys["visible reading"] = visible
    whole, reference = torch.ones(1, 1, *truth.shape, dtype=torch.bool), torch.tensor([float(truth.mean())])
    options = {"reading": torch.from_numpy(hidden)[None, None], "noise": torch.tensor([noise])}
    shown = {}
    for name, toy in toys.items():
        costs = []
        for loss, weights in losses.items():
            terms = map_losses(torch.from_numpy(toy)[None, None], whole, reference, weights, **options)
            costs.append(f"{loss}: {float(terms['total']):,.0f}")
        shown["\n".join([name, *costs])] = toy
    return shown


def bars(edges, parts, unit: str) -> Figure:
    """The parts (bands,) of a pixel's noise, each bar on the sum of those before it."""
    fig = Figure(figsize=(8, 3), layout="constrained", facecolor="white")
    ax, ends = fig.subplots(), parts.cumsum()
    colours = np.where(parts > 0, ORANGE, BLUE)
    ax.bar(edges[:-1], parts, np.diff(edges), ends - parts, align="edge", color=colours)
    ax.axhline(0, color="0.3", lw=1)
    ax.axhline(ends[-1], color="0.3", lw=1, ls="--")
    told = f"noise of one pixel: {ends[-1]:+.1f} {unit}, the sum of {len(parts)} bands; orange adds, blue takes away"
    ax.set_title(told, fontsize=10)
    ax.use_sticky_edges = False  # else the outermost bars end at the frame
    ax.margins(y=0.08)
    ax.set(xlabel="wavelength (nm)", ylabel=f"added up ({unit})", xlim=(edges[0], edges[-1]))
    return fig
