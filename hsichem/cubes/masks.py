"""Which pixels are the sample: found by a threshold, or drawn; glints and saturated pixels apart."""

import numpy as np
from scipy import ndimage

from hsichem._base import InputError
from hsichem.cubes.cube import Cube

FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))  # the highest counts of cameras' converters
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
    Raises InputError when a reflectance is not finite or no sample is found. A scene without background gives a mask
    that means nothing: look at it before use.
    """
    score = _score(cube, on)
    if not np.isfinite(score).all():
        bad = int((~np.isfinite(score)).sum())
        raise InputError(f"cube {cube.name!r}: {bad} pixels hold NaN or infinity; mask or repair them first.")
    if on == "pca":  # a component has no sign of its own
        frame = np.concatenate([score[[0, -1]].ravel(), score[:, [0, -1]].ravel()])
        score = -score if np.median(frame) > otsu_threshold(score) else score
    # Glints would stretch the histogram until sample and background share its lowest bins.
    score = np.minimum(score, np.percentile(score, 99))
    pieces, n = ndimage.label(ndimage.binary_opening(score > otsu_threshold(score)))
    if n == 0:
        raise InputError(f"cube {cube.name!r}: no sample found; every pixel is about equally bright. Give a mask.")
    largest = 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return ndimage.binary_fill_holes(pieces == largest)


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


def _score(cube: Cube, on) -> np.ndarray:
    if on == "brightness":
        return cube.values.mean(axis=2)
    if on == "pca":
        spectra = cube.values.reshape(-1, cube.values.shape[2])
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
