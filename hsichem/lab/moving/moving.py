"""Pictures that move: each answers one question, in a notebook's cell, from arrays that the notebook has.

A picture computes what must follow the hand in the browser (shared.js, then its own script), with no kernel; it is
shown once, and nothing comes back. Where no widget runs, the cell's output holds a still of it (stills.py).
"""

import base64
import warnings
from pathlib import Path

import numpy as np
import traitlets as t
from anywidget import AnyWidget

from hsichem._base import InputError
from hsichem.lab.explorer.figure import lookup_table
from hsichem.lab.moving import stills
from hsichem.lab.plotting import BLUE, ORANGE, VERMILLION
from hsichem.maps import masked_values

HERE = Path(__file__).parent
MOST = 128  # pixels to a side
DRAWS = 20  # of white noise, in the forged share


class MovingPicture(AnyWidget):
    """What the functions below return: show it as the last value of a cell.

    scene: what the script reads, arrays as bytes of float32; alt: the picture in words; figure: its still.
    """

    _esm = t.Unicode().tag(sync=True)
    _css = (HERE / "moving.css").read_text("utf-8")
    scene = t.Dict().tag(sync=True)

    def __init__(self, script: str, scene: dict, alt: str, figure):
        self.alt, self.figure = alt, figure
        packed = {
            name: np.asarray(value, np.float32).tobytes() if isinstance(value, np.ndarray) else value
            for name, value in scene.items()
        }
        code = "".join((HERE / name).read_text("utf-8") for name in ("shared.js", script))
        super().__init__(_esm=code, scene=packed | {"lut": lookup_table()})

    def _repr_mimebundle_(self, **kwargs):
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        still = base64.b64encode(stills.as_png(self.figure)).decode()
        return bundle | {"text/plain": self.alt, "image/png": still}, metadata


def show_exposures(maps, mask=None, truth=None, limits=(0, 100), label="fat", unit="% w/w") -> MovingPicture:
    """What in this map is noise? The same scene exposed several times: noise dances, structure stays.

    maps: (exposures, rows, cols), two or more; mask: (rows, cols) bool, None for all pixels; truth: (rows, cols) or
    None. All in `unit`. The noise of one exposure is the standard deviation between them, n - 1 below, as the root of
    its mean square over the pixels.
    Raises InputError for shapes that do not fit and for values in the mask that are not finite.
    """
    maps, mask, truth = _stack(maps, mask, "exposures", truth)
    seen = maps[:, mask].astype(float)
    noise = float(np.sqrt(seen.var(axis=0, ddof=1).mean()))
    alt = f"{len(maps)} maps of the same scene, exposed {len(maps)} times. Between them a pixel changes by {noise:.1f} "
    alt += f"{unit} (standard deviation): that is noise. The mean of all of them keeps what stays."
    shown = {"exposure 1": maps[0], "exposure 2": maps[1], f"mean of {len(maps)}": maps.mean(axis=0)}
    shown |= {} if truth is None else {"truth": truth}
    figure = stills.maps_and_more(shown, limits, f"{label} ({unit})")
    scene = _grid(mask, limits, label, unit) | {"maps": maps, "truth": truth}
    return MovingPicture("exposures.js", scene, alt, figure)


def show_training(maps, curves, truth=None, mask=None, limits=(0, 100), label="fat", unit="% w/w") -> MovingPicture:
    """When does the map become right, and does the error of the mean say so? The map after each epoch of a training.

    maps: (epochs, rows, cols) in `unit`, one for each epoch from 1; curves: {name: (epochs,)}, at most four, on one
    logarithmic axis; truth: (rows, cols) or None, which adds the curve of a pixel's error; mask as in `show_exposures`.
    Raises InputError for shapes that do not fit and for values in the mask that are not finite.
    """
    maps, mask, truth = _stack(maps, mask, "epochs", truth)
    curves = {name: np.asarray(values, float) for name, values in curves.items()}
    found = {name: values.shape for name, values in curves.items()}
    if not 1 <= len(curves) <= 4 or set(found.values()) != {(len(maps),)}:
        raise InputError(f"curves of {found}; expected one to four, of ({len(maps)},) values each, one for each map.")
    if not all(np.isfinite(values).all() for values in curves.values()):
        raise InputError("a curve holds values that are not finite; show the epochs that have one.")
    drawn, alt = dict(curves), f"The map of one image after each of {len(maps)} epochs of training. "
    if truth is not None:
        errors = np.sqrt(np.mean((maps - truth)[:, mask].astype(float) ** 2, axis=1))
        drawn[f"error of a pixel ({unit})"] = errors
        alt += f"The error of a pixel goes from {errors[0]:.1f} to {errors[-1]:.1f} {unit}. "
    alt += " ".join(f"{name}: from {values[0]:.3g} to {values[-1]:.3g}." for name, values in curves.items())
    steps = np.unique(np.geomspace(1, len(maps), 4).round().astype(int))
    shown = {f"epoch {step}": maps[step - 1] for step in steps} | ({} if truth is None else {"truth": truth})
    figure = stills.maps_and_more(shown, limits, f"{label} ({unit})", drawn)
    scene = _grid(mask, limits, label, unit) | {"maps": maps, "truth": truth, "colours": stills.CURVES}
    scene |= {"epochs": list(range(1, len(maps) + 1)), "curves": {k: v.tolist() for k, v in curves.items()}}
    return MovingPicture("training.js", scene, alt, figure)


def forge_share(truth, mask=None, max_lag=None, seed=0, limits=(0, 100), label="fat", unit="% w/w") -> MovingPicture:
    """Does a high correlated share mean that a map is right? Blur white noise, and see.

    truth: (rows, cols) in `unit`; mask: (rows, cols) bool, None for all pixels. The noise, of `seed`, gets the truth's
    mean and standard deviation, as in `hsichem.maps.null_maps`. The share is of a spherical model, fitted to distances
    up to max_lag pixels, and to half of the smaller side, as `fit_variogram` does.
    Raises InputError for shapes that do not fit, values in the mask that are not finite, a flat truth.
    """
    (truth,), mask, _ = _stack(np.asarray(truth)[None], mask, "map")
    max_lag = min(max_lag or MOST, min(mask.shape) // 2)
    if max_lag < 4 or truth[mask].std() == 0:
        raise InputError(
            f"a truth of {mask.shape} pixels, max_lag {max_lag}, standard deviation {truth[mask].std():.3g}; expected "
            "one that is not flat, and 4 distances at least. Give a larger map."
        )
    noises = np.random.default_rng(seed).standard_normal((DRAWS, *mask.shape)).astype(np.float32)
    alt = "White noise, and the same noise after a Gaussian filter, beside the truth. "
    shown, told = stills.forgeries(noises[0], truth, mask, max_lag)
    figure = stills.maps_and_more(shown, limits, f"{label} ({unit})")
    scene = _grid(mask, limits, label, unit) | {"truth": truth, "noises": noises, "maxLag": max_lag}
    return MovingPicture("forge.js", scene | {"colours": [VERMILLION, BLUE]}, alt + told, figure)


def paint_loss(truth, looks, losses, limits=(0, 100), label="content", unit="%") -> MovingPicture:
    """Can you paint a map that costs less than the truth? A brush, and the terms of the loss.

    truth: (rows, cols) in %, a toy that is small enough to paint; looks: (2, rows, cols), two readings of it by an
    unbiased model with independent noise: what is seen, and what is hidden and judges, as the two diagonals of the
    blocks do in training. losses: {name: weights as `map_losses` takes them}; a button goes from one to the next.
    The reference is the truth's mean; the noise of a reading is the root of half the mean squared difference of the
    two, as in training; the terms are the published variant's, of an image without background.
    Raises InputError for shapes that do not fit, values that are not finite, missing or unknown weights.
    """
    pair, mask, _ = _stack([truth, *looks], None, "truth and looks")
    if len(pair) != 3 or not mask.all() or min(mask.shape) < 2:
        raise InputError(
            f"a truth and {len(pair) - 1} looks of {mask.shape}, {(~mask).sum()} pixels not finite; expected two looks "
            "and a toy of 2 x 2 pixels or more without a hole."
        )
    truth, visible, hidden = pair
    noise = float(np.sqrt(np.mean((visible - hidden).astype(float) ** 2) / 2))
    shown = stills.paintings(truth, visible, hidden, noise, losses)
    alt = "A brush and a toy map; the terms of the loss of what is painted. "
    alt += "; ".join(title.replace("\n", ", ") for title in shown) + "."
    figure = stills.maps_and_more(shown, limits, f"{label} ({unit})")
    scene = _grid(mask, limits, label, unit) | {"truth": truth, "visible": visible, "hidden": hidden}
    return MovingPicture("painter.js", scene | {"noise": noise, "losses": losses}, alt, figure)


def stack_noise(wavelengths, b, noise, contrast, told="contrast", unit="% w/w") -> MovingPicture:
    """Which bands make a pixel noisy, and can they be left out? Bars b_j dx_j, each on the sum of those before it.

    wavelengths: (bands,) nm, ascending; b: (bands,), what the prediction gains per reflectance in each band; noise:
    (pixels, bands), how far the reflectance of some pixels is off; contrast: (bands,) a difference of two spectra that
    the model should tell apart, `told` its name. The vector is not fitted anew when a band is switched off.
    Raises InputError for shapes that do not fit, wavelengths that do not ascend, values that are not finite.
    """
    nm, b, noise, contrast = (np.asarray(each, float) for each in (wavelengths, b, noise, contrast))
    if nm.ndim != 1 or nm.size < 2 or b.shape != nm.shape or contrast.shape != nm.shape or noise.shape[1:] != nm.shape:
        raise InputError(
            f"wavelengths {nm.shape}, b {b.shape}, noise {noise.shape}, contrast {contrast.shape}; expected (bands,), "
            "(bands,), (pixels, bands), (bands,)."
        )
    if not (
        len(noise) and all(np.isfinite(each).all() for each in (nm, b, noise, contrast)) and (np.diff(nm) > 0).all()
    ):
        raise InputError(
            "wavelengths that do not ascend, no pixel, or values that are not finite; leave those bands out."
        )
    edges = np.concatenate([nm[:1] - np.diff(nm[:2]) / 2, (nm[1:] + nm[:-1]) / 2, nm[-1:] + np.diff(nm[-2:]) / 2])
    sd, share = np.sqrt(np.mean((noise @ b) ** 2)), (b * noise) ** 2
    loudest = nm[share.mean(axis=0).argmax()]
    alt = f"Noise of one pixel, added up over {nm.size} bands: {noise[0] @ b:+.1f} {unit}. The standard deviation over "
    alt += f"{len(noise)} pixels is {sd:.1f} {unit}; the loudest band is at {loudest:.0f} nm. "
    alt += f"{told}: {contrast @ b:.1f} {unit}."
    figure = stills.bars(edges, b * noise[0], unit)
    scene = {"nm": nm.tolist(), "edges": edges.tolist(), "b": b.tolist(), "noise": noise, "contrast": contrast}
    return MovingPicture("bars.js", scene | {"told": told, "unit": unit, "colours": [ORANGE, BLUE]}, alt, figure)


def _stack(maps, mask, what, truth=None):
    """(n, rows, cols) float32, NaN outside the mask, the mask (rows, cols) bool, the truth as the maps or None.

    Of large maps the middle alone, and a warning: a browser would have to hold and draw them all.
    """
    try:
        maps = np.array(maps, np.float32)
    except ValueError:
        maps = np.empty(0)  # maps of several shapes
    least = 2 if what == "exposures" else 1
    if maps.ndim != 3 or len(maps) < least:
        shape = f"of shape {maps.shape}" if maps.size else "of several shapes, or none"
        raise InputError(f"{what} {shape}; expected ({what}, rows, cols), {least} or more of one shape.")
    if mask is None:
        mask = np.isfinite(maps).all(axis=0)
    for map_ in maps if truth is None else (*maps, truth):
        masked_values(map_, mask)
    starts = [max((side - MOST) // 2, 0) for side in mask.shape]
    part = tuple(slice(start, start + MOST) for start in starts)
    if max(mask.shape) > MOST:
        warnings.warn(f"shown is the middle of {mask.shape} pixels, {MOST} at most to a side.", stacklevel=3)
        masked_values(maps[0][part], mask[part])
    maps, truth = (None if each is None else np.where(mask, each, np.nan).astype(np.float32) for each in (maps, truth))
    return maps[:, *part], mask[part], None if truth is None else truth[part]


def _grid(mask, limits, label, unit):
    rows, cols = mask.shape
    return {"rows": rows, "cols": cols, "limits": [float(edge) for edge in limits], "label": label, "unit": unit}
