"""A mask from a file: .npy, PNG or ENVI."""

from pathlib import Path

import numpy as np

from hsichem._base import InputError
from hsichem.loaders import envi

MASK_SUFFIXES = (".npy", ".png", ".hdr")


def read_mask(path, shape: tuple) -> np.ndarray:
    """(rows, cols) bool from .npy (bool), PNG or ENVI; of the latter two the higher of two values is the sample.

    Raises InputError for another shape, a third value (as the soft edges of a brush), or an empty mask.
    """
    path = Path(path)
    if path.suffix.lower() not in MASK_SUFFIXES:
        raise InputError(f"{path}: not a mask that can be read; expected one of {', '.join(MASK_SUFFIXES)}.")
    try:
        stored = {".npy": _from_npy, ".png": _from_png, ".hdr": _from_envi}[path.suffix.lower()](path, shape)
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG
        raise error if isinstance(error, InputError) else InputError(f"{path}: cannot be read: {error}.") from None
    _check_shape(path, stored.shape, shape)
    values = np.unique(stored)
    if len(values) > 2 or not values[-1] > 0:
        found = "only 0" if len(values) == 1 else f"{len(values)} values"
        raise InputError(f"{path}: {found} in the mask; expected two, the higher one for the sample.")
    return stored == values[-1]


def _check_shape(path: Path, found, shape) -> None:
    if found != tuple(shape):
        raise InputError(f"{path}: the mask has {found} pixels, its image {tuple(shape)}; make it again.")


def _from_npy(path: Path, shape) -> np.ndarray:
    stored = np.load(path, allow_pickle=False)
    if stored.dtype != bool:
        raise InputError(f"{path}: {stored.dtype} numbers; expected bool. Save `mask > 0`, or what you mean by it.")
    return stored


def _from_png(path: Path, shape) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            _check_shape(path, image.size[::-1], shape)  # before it is unpacked: a small file can declare millions
            return np.asarray(image.convert("L"))
    except Image.DecompressionBombError as error:  # and one that declares billions is not opened
        raise InputError(f"{path}: cannot be read: {error}.") from None


def _from_envi(path: Path, shape) -> np.ndarray:
    counts, _ = envi.read_counts(path)
    if counts.shape[2] != 1:
        raise InputError(f"{path}: {counts.shape[2]} bands; a mask has one.")
    return np.asarray(counts[:, :, 0])
