"""Filters of a map, and the choice of model and filter without a truth: what a network has to beat."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, optimize, special
from tqdm import tqdm

from hsichem._base import InputError
from hsichem.cubes import whole_blocks
from hsichem.maps.held_out import held_out_square, looks_of

# Strengths that are tried: pixels of the map, or standard deviations of its noise.
FILTERS = {
    "none": (0,),
    "Gaussian": (0.5, 0.75, 1.0, 1.5),
    "median": (3, 5),
    "total variation": (0.25, 0.5, 1.0, 1.5, 2.0),
    "non-local means": (0.4, 0.6, 0.8, 1.0, 1.3),
}


def filtered(map_, mask, kind: str, strength: float, noise: float) -> np.ndarray:
    """(rows, cols) float32 map after a filter, NaN outside the mask.

    map_, mask: (rows, cols); noise: standard deviation of the map's noise from pixel to pixel, in its unit.
    kind and the meaning of strength:
      "Gaussian": standard deviation in pixels, a mean of the pixels in the mask alone; "median": side of a square;
      "total variation" (Chambolle 2004, doi 10.1023/B:JMIV.0000011325.36760.1e) and "non-local means" (Buades et al.
      2005, doi 10.1109/CVPR.2005.38; patches of 5 x 5 pixels within 23 x 23): in standard deviations of the noise.
    All but the first see outside the mask the nearest pixel inside it, so that its edge is no edge to them.
    Raises InputError for an unknown kind.
    """
    if kind not in FILTERS:
        raise InputError(f"filter {kind!r} is unknown; expected one of {', '.join(FILTERS)}.")
    if kind == "Gaussian":
        weight = ndimage.gaussian_filter(mask.astype(float), strength)
        made = ndimage.gaussian_filter(np.where(mask, map_, 0.0), strength) / np.maximum(weight, 1e-6)
        return np.where(mask, made, np.nan).astype(np.float32)
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    made = np.asarray(map_, np.float64)[tuple(nearest)]
    if kind == "median":
        made = ndimage.median_filter(made, int(strength))
    elif kind != "none":
        from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

        if kind == "total variation":
            made = denoise_tv_chambolle(made, weight=strength * noise)
        else:
            made = denoise_nl_means(made, patch_size=5, patch_distance=11, h=strength * noise)
    return np.where(mask, made, np.nan).astype(np.float32)


def noise_of(looks: dict, masks: dict) -> float:
    """Standard deviation of the noise of maps that are the mean of two looks, from what sets the two apart."""
    squares = [np.mean((one - other)[masks[name]] ** 2) for name, (one, other) in looks.items()]
    return float(np.sqrt(np.mean(squares))) / 2


@dataclass(frozen=True)
class Tuned:
    """A model with a filter, and what was found without a truth: rmsecv of the means, held_out error of the pixels."""

    model: str
    kind: str
    strength: float
    noise: float
    rmsecv: float
    held_out: float

    @property
    def total(self) -> float:
        """Root of rmsecv^2 + held_out^2: what all pixels of an image share, and what single pixels miss."""
        return float(np.hypot(self.rmsecv, self.held_out))

    def apply(self, looks, mask) -> np.ndarray:
        """The filtered mean of two looks (2, rows, cols)."""
        return filtered(np.mean(looks, axis=0), mask, self.kind, self.strength, self.noise)

    def apply_to_looks(self, looks, mask) -> np.ndarray:
        """(2, rows, cols): each look filtered alone, to be judged; it has twice the noise variance of their mean."""
        alone = [filtered(look, mask, self.kind, self.strength, self.noise * 2**0.5) for look in looks]
        return np.stack(alone)


def tune(models: dict, readings: dict, masks: dict, kinds=tuple(FILTERS)) -> list[Tuned]:
    """Every model with every filter and strength, the least total error first.

    models: {name: (rmsecv, {image: (2, rows, cols) looks})}; readings, masks: as for `held_out_error`. All of
    calibration images: a test image has no say.
    """
    found = []
    jobs = [(name, kind, strength) for name in models for kind in kinds for strength in FILTERS[kind]]
    for name, kind, strength in tqdm(jobs, desc="models and filters", unit="setting", mininterval=1):
        rmsecv, looks = models[name]
        each = Tuned(name, kind, strength, noise_of(looks, masks), rmsecv, np.nan)
        made = {image: each.apply_to_looks(pair, masks[image]) for image, pair in looks.items()}
        # as held_out_error, without its interval, which nobody reads here
        squares = [held_out_square(pair, readings[image], masks[image])[0] for image, pair in made.items()]
        found.append(replace(each, held_out=max(float(np.mean(squares)), 0) ** 0.5))
    return sorted(found, key=lambda tuned: tuned.total)


def map_grid(cubes: dict) -> dict:
    """{image: (rows // 2, cols // 2) bool} masks of the maps' grid: blocks that lie in the sample as a whole."""
    return {name: whole_blocks(cube.foreground) for name, cube in cubes.items()}


def looks(model, cubes: dict) -> dict:
    """{image: (2, rows // 2, cols // 2)} the looks of a model that sees one pixel at a time."""
    return {name: looks_of(model.predict_map(cube)) for name, cube in cubes.items()}


def blend_weight(reference, mean, other) -> float:
    """Of two predictions (n,) of the same means, how much of `other` (0-1) to mix into `mean`: least squared error."""
    step = np.subtract(other, mean)
    return float(np.clip(step @ np.subtract(reference, mean) / (step @ step), 0, 1))


def with_mean(map_, mask, mean: float) -> np.ndarray:
    """The map (rows, cols) with another mean in the mask. One that lies within 0-100 % stays there: it is moved on the
    scale of log(p / (100 - p)); any other is shifted."""
    values = map_[mask].astype(np.float64)
    if not 0 < values.min() <= values.max() < 100:
        return map_ + np.float32(mean - values.mean())
    goal = np.clip(mean, 0.01, 99.99)
    step = optimize.brentq(lambda step: 100 * special.expit(special.logit(values / 100) + step).mean() - goal, -30, 30)
    out = map_.copy()
    out[mask] = 100 * special.expit(special.logit(values / 100) + step)
    return out
