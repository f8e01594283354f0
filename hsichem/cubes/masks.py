"""Which pixels are the sample: found by a threshold, or drawn; glints and saturated pixels apart."""

import numpy as np
from scipy import ndimage

from hsichem._base import InputError
from hsichem.cubes.cube import Cube

FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))  # the highest counts of cameras' converters
BLANK = 0.05  # of the image at least, for its pixels without a value to be a background and not dead ones
# On a blank background, a threshold parts sample and belt only from this depth of the valley on, and if no more than
# this share of the brighter class's outline lies at blank pixels: a belt would lie between.
CLEAR, BORDER = 0.8, 0.2
GLINT_WINDOW, GLINT_CONTRAST = 7, 8  # pixels; robust standard deviations above the median around


def otsu_threshold(values: np.ndarray) -> float:
    """The threshold that splits `values` into two classes of least variance within (Otsu 1979,
    doi 10.1109/TSMC.1979.4310076), on 256 bins. Where all values are equal, none is above it."""
    if values.min() == values.max():
        return float(values.max())
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = counts.sum() - below
    sums = (counts * centres).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1 + np.nanargmax(between)])


def foreground_mask(cube: Cube, on: str | float = "brightness") -> np.ndarray:
    """(rows, cols) bool: the sample on its background.

    Otsu's threshold on one number for each pixel; then the largest connected piece, holes filled. on: "brightness",
    the mean reflectance, or a wavelength in nm: the sample is the brighter class. "pca": the score on the first
    principal component of the pixels' spectra, in which the frame of the image is background.
    Blank pixels, 0 in all bands or outside the cube's own mask, are background and no part of the histogram. Where
    they are a twentieth of the image or more, the others are the sample, unless these are clearly of two kinds (see
    valley_depth) with the darker one around the brighter.
    Raises InputError when a reflectance is not finite or no sample is found. A scene without background gives a mask
    that means nothing: look at it before use.
    """
    inside, _ = _brighter(cube, on)
    pieces, n = ndimage.label(ndimage.binary_opening(inside))
    if n == 0:
        raise InputError(
            f"cube {cube.name!r}: no sample found; every pixel is about equally bright. Look for it in another way "
            "(pca, a wavelength in nm, none; --mask on the command line), or give a mask."
        )
    largest = 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return ndimage.binary_fill_holes(pieces == largest)


def valley_depth(cube: Cube, on: str | float = "brightness") -> float:
    """How clearly the threshold of foreground_mask parts two kinds of pixels: 1 where none lies between them, near 0
    where it cuts through one kind, 1 also where it is not used because the background is blank.

    Of the smoothed histogram: 1 - its lowest place near the threshold, over the lower of the peaks on both sides.
    Raises InputError as foreground_mask does.
    """
    return _brighter(cube, on)[1]


def _brighter(cube: Cube, on) -> tuple[np.ndarray, float]:
    """(rows, cols) bool: the pixels of the sample's class, before they are made one piece; and the valley's depth."""
    blank = ~(cube.foreground & cube.values.any(axis=2))
    if blank.all():
        raise InputError(f"cube {cube.name!r}: no sample found; every pixel is 0 in all bands. Is it the right file?")
    score = _score(cube, on, ~blank)
    if not np.isfinite(score).all():
        bad = int((~np.isfinite(score)).sum())
        raise InputError(f"cube {cube.name!r}: {bad} pixels hold NaN or infinity; mask or repair them first.")
    if on == "pca":  # a component has no sign of its own
        border = np.ones_like(blank)
        border[1:-1, 1:-1] = False
        frame = score[border & ~blank] if (border & ~blank).any() else score[border]
        score = -score if np.median(frame) > otsu_threshold(score[~blank]) else score
    # Glints would stretch the histogram until sample and background share its lowest bins.
    score = np.minimum(score, np.percentile(score[~blank], 99))
    threshold = otsu_threshold(score[~blank])
    above, depth = ~blank & (score > threshold), _depth(score[~blank], threshold)
    outline = above & ~ndimage.binary_erosion(above)
    at_blank = (outline & ndimage.binary_dilation(blank)).sum() / max(1, outline.sum())
    if blank.mean() >= BLANK and (depth < CLEAR or at_blank > BORDER):
        return ~blank, 1.0
    return above, depth


def _depth(values: np.ndarray, threshold: float) -> float:
    counts, edges = np.histogram(values, bins=64)
    counts = ndimage.gaussian_filter1d(counts.astype(float), 1.5, mode="constant")
    at = int(np.clip(np.searchsorted(edges, threshold) - 1, 1, len(counts) - 2))
    near = range(max(1, at - 6), min(len(counts) - 1, at + 7))  # Otsu's threshold may lie beside the valley's bottom
    low = min(near, key=lambda place: counts[place])
    peak = min(counts[:low].max(), counts[low + 1 :].max())
    return float(max(0.0, 1 - counts[low] / peak)) if peak > 0 else 0.0


def polygon_mask(corners, shape: tuple, step: int = 1) -> np.ndarray:
    """(rows, cols) bool: pixels whose centres lie inside a polygon; where it crosses itself, by the even-odd rule.

    corners: three or more (row, col) in pixels of the image, as the explorer gives them: (0, 0) is its upper left
    corner, (0.5, 0.5) the centre of its first pixel. Parts outside are cut off; the mask may be empty.
    step: of a map of this shape, the width of its pixels in the image's. Raises InputError for fewer corners.
    """
    corners = np.asarray(corners, dtype=float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise InputError(f"polygon of shape {corners.shape}; expected three or more (row, col) corners.")
    row, col = (step * (axis + 0.5) for axis in np.ogrid[: shape[0], : shape[1]])
    mask = np.zeros(shape, bool)
    for (r0, c0), (r1, c1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if r0 != r1:  # each edge to the right of a pixel turns outside into inside, and back
            mask ^= ((r0 > row) != (r1 > row)) & (col < c0 + (row - r0) / (r1 - r0) * (c1 - c0))
    return mask


def saturated(counts: np.ndarray) -> np.ndarray:
    """(rows, cols) bool: any band of (rows, cols, bands) whole-number counts at the converter's highest number."""
    top = counts.max()
    if counts.dtype.kind not in "iu" or top not in FULL_SCALES:
        return np.zeros(counts.shape[:2], bool)
    return np.array([(line == top).any(axis=1) for line in counts])  # line by line: counts may lie on disk


def pixel_kinds(cube: Cube, counts: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Each pixel's kind, (rows, cols) bool by name: background, saturated, specular, sample. A pixel has one.

    counts: the scene as the camera stored it, without which nothing is saturated. Specular is what stands out in
    brightness from the 7 x 7 pixels around it, by eight robust standard deviations. Small glints stand out so, but
    so do sharp edges of bright tissue, and a glint wider than the window does not: these are candidates.
    Raises InputError when the mask is empty.
    """
    inside = cube.foreground
    if not inside.any():
        raise InputError(f"cube {cube.name!r}: the mask is empty, so no pixel is sample.")
    over = inside & (False if counts is None else saturated(counts))
    bright = cube.values.mean(axis=2)
    bright[~inside] = np.median(bright[inside])  # a dark background would make glints of a convex rim
    contrast = bright - ndimage.median_filter(bright, GLINT_WINDOW)
    spread = 1.4826 * np.median(np.abs(contrast[inside]))  # of a normal distribution, the standard deviation
    specular = inside & ~over & (contrast > GLINT_CONTRAST * spread)
    return {"background": ~inside, "saturated": over, "specular": specular, "sample": inside & ~over & ~specular}


def _score(cube: Cube, on, used: np.ndarray) -> np.ndarray:
    if on == "brightness":
        return cube.values.mean(axis=2)
    if on == "pca":
        spectra = cube.values[used]
        some = spectra[:: max(1, len(spectra) // 100_000)].astype(np.float64)
        some = some[np.isfinite(some).all(axis=1)]  # what is not finite makes its own score so, and is named then
        if len(some) < 2:
            return cube.values.mean(axis=2)
        covariance = np.cov(some, rowvar=False).reshape(some.shape[1], -1)
        return (cube.values - np.float32(some.mean(axis=0))) @ np.float32(np.linalg.eigh(covariance)[1][:, -1])
    low, high = cube.wavelengths[[0, -1]]
    if not isinstance(on, int | float) or isinstance(on, bool) or not low <= on <= high:
        raise InputError(f"a mask on {on!r}; expected brightness, pca, or a wavelength of {low:.0f} to {high:.0f} nm.")
    return cube.values[:, :, np.abs(cube.wavelengths - on).argmin()]
