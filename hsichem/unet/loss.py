"""The loss of a chemical map: mean error, smoothness, values out of bounds, size of the weights, held-out pixels.

Pure functions of torch tensors. `published` is the loss as the authors' code computes it, quirks included;
`corrected` mends the three quirks that make a weight mean something else on another image size.
Source: Engstrøm et al. 2025, doi 10.1002/cem.70041; the quirks were found by running the published code. The held-out
term is ours: a map made from half of the pixels has to agree with what a linear model reads in the other half (see
hsichem.maps.held_out).
"""

import torch

from hsichem._base import InputError

TERMS = ("mse", "smoothness", "out_of_bounds", "l2")
PUBLISHED_WEIGHTS = {"mse": 1.0, "smoothness": 20.0, "out_of_bounds": 1e-3, "l2": 1e-3}
HELD_OUT = "held_out"  # the fifth term, absent by default


def mean_error(p, m, reference):
    """Squared error of each image's masked mean, averaged over images. p, m (B, 1, H, W); reference (B,)."""
    means = (p * m).sum(dim=(1, 2, 3)) / m.sum(dim=(1, 2, 3))
    return ((means - reference) ** 2).mean()


def smoothness(p, m, variant, pitch_mm):
    """Mean squared difference of neighbours down plus across, averaged over images.

    published: per pixel, and only the first pixel of a pair need be in the mask, so that the background leaks in at
    the mask's lower and right edges. corrected: per mm, both pixels in the mask.
    """
    down, across = p.diff(dim=2), p.diff(dim=3)
    if variant == "published":
        inside = m[:, :, :-1, :-1]
        squares = down[:, :, :, :-1] ** 2 + across[:, :, :-1, :] ** 2
        return ((inside * squares).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))).mean()
    both_down, both_across = m[:, :, 1:] * m[:, :, :-1], m[:, :, :, 1:] * m[:, :, :, :-1]
    slope_down = (both_down * down**2).sum(dim=(1, 2, 3)) / both_down.sum(dim=(1, 2, 3)).clamp(min=1)
    slope_across = (both_across * across**2).sum(dim=(1, 2, 3)) / both_across.sum(dim=(1, 2, 3)).clamp(min=1)
    return (slope_down + slope_across).mean() / pitch_mm**2


def out_of_bounds(p, m, variant, bounds=(0.0, 100.0)):
    """Squared distance of masked pixels from bounds: published sums over an image's pixels, corrected averages."""
    low, high = bounds
    excess = m * (torch.relu(low - p) ** 2 + torch.relu(p - high) ** 2)
    per_image = excess.sum(dim=(1, 2, 3))
    if variant == "corrected":
        per_image = per_image / m.sum(dim=(1, 2, 3))
    return per_image.mean()


def held_out(p, m, reading, noise):
    """Squared distance of a map from readings of hidden pixels, over the variance of their noise, averaged over images.

    p, m, reading: (B, 1, H, W); noise: (B,) standard deviation of a reading. 1 is the noise alone.
    """
    squares = (m * (p - reading) ** 2).sum(dim=(1, 2, 3)) / m.sum(dim=(1, 2, 3))
    return (squares / noise**2).mean()


def map_losses(
    prediction, mask, reference, weights, variant="published", parameters=None, pitch_mm=1.0, reading=None, noise=None
) -> dict:
    """The weighted terms and their sum, as a dict: mse, smoothness, out_of_bounds, l2, held_out if any, total.

    prediction and mask: (B, 1, H, W), % w/w and bool; reference: (B,) % w/w.
    weights: a dict with the four terms' names, e.g. PUBLISHED_WEIGHTS, and held_out for a fifth, which needs reading
    (B, 1, H, W), what a linear model reads in the pixels that the network did not see, and noise (B,), its spread.
    parameters: the model's parameters; biases (one-dimensional) are left out; None makes the l2 term 0.
    pitch_mm: distance between the map's pixels, used by the corrected smoothness alone.
    Raises InputError on an unknown variant, missing or unknown weights, shapes that do not fit, an empty mask.
    """
    if variant not in ("published", "corrected"):
        raise InputError(f'loss variant {variant!r}; expected "published" or "corrected".')
    if set(weights) - {HELD_OUT} != set(TERMS):
        raise InputError(
            f"loss weights for {sorted(weights)}; expected exactly {sorted(TERMS)}, and {HELD_OUT} if any."
        )
    if HELD_OUT in weights and (reading is None or reading.shape != prediction.shape):
        found = None if reading is None else tuple(reading.shape)
        raise InputError(f"a weight for {HELD_OUT} and a reading of {found}; expected {tuple(prediction.shape)}.")
    if prediction.ndim != 4 or prediction.shape[1] != 1 or mask.shape != prediction.shape:
        raise InputError(
            f"prediction {tuple(prediction.shape)} and mask {tuple(mask.shape)}; expected both (B, 1, H, W)."
        )
    if reference.shape != prediction.shape[:1]:
        raise InputError(f"reference {tuple(reference.shape)}; expected ({prediction.shape[0]},), one per image.")
    p, m = prediction, mask.to(prediction.dtype)
    counted = m[:, :, :-1, :-1] if variant == "published" else m
    if (counted.sum(dim=(1, 2, 3)) == 0).any():
        raise InputError("the mask of an image is empty, so its mean is not defined; leave that image out.")
    terms = {
        "mse": mean_error(p, m, reference),
        "smoothness": smoothness(p, m, variant, pitch_mm),
        "out_of_bounds": out_of_bounds(p, m, variant),
        "l2": sum((w**2).sum() for w in parameters or () if w.ndim > 1) + p.new_zeros(()),
    }
    if HELD_OUT in weights:
        terms[HELD_OUT] = held_out(p, m, reading, noise)
    # a term of weight 0 is told, but it needs no backward pass
    terms = {name: weights[name] * (value if weights[name] else value.detach()) for name, value in terms.items()}
    return terms | {"total": sum(terms.values())}
