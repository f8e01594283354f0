"""A mask from a file: .npy, PNG or ENVI."""

from pathlib import Path

import numpy as np

from hsichem._base import InputError
from hsichem.loaders.envi import read_counts

MASK_SUFFIXES = (".npy", ".png", ".hdr")


def read_mask(path, shape: tuple) -> np.ndarray:
    """(rows, cols) bool from .npy (bool), PNG or ENVI; of the latter two the higher of two values is the sample.

    Raises InputError for another shape, a third value (as the soft edges of a brush), or an empty mask.
    """
    path = Path(path)
    if path.suffix.lower() not in MASK_SUFFIXES:
        raise InputError(f"{path}: not a mask that can be read; expected one of {', '.join(MASK_SUFFIXES)}.")
    try:
        stored = _stored(path, tuple(shape))
    except InputError:
        raise
    except Exception as error:  # numpy and Pillow raise whatever a broken file makes them stumble over
        raise InputError(f"{path}: cannot be read: {error}.") from None
    values = np.unique(stored)
    if len(values) > 2 or not values[-1] > 0:
        found = "only 0" if len(values) == 1 else f"{len(values)} values"
        raise InputError(f"{path}: {found} in the mask; expected two, the higher one for the sample.")
    return stored == values[-1]


def _stored(path: Path, shape: tuple) -> np.ndarray:
    def check(found):
        if found != shape:
            raise InputError(f"{path}: the mask has {found} pixels, its image {shape}; make it again.")

    if path.suffix.lower() == ".png":
        from PIL import Image

        with Image.open(path) as image:
            check(image.size[::-1])  # before it is unpacked: a small file can declare millions
            return np.asarray(image.convert("L"))
    if path.suffix.lower() == ".npy":
        stored = np.load(path, allow_pickle=False)
        if stored.dtype != bool:
            raise InputError(f"{path}: {stored.dtype} numbers; expected bool. Save `mask > 0`, or what you mean by it.")
    else:
        counts, _ = read_counts(path)
        if counts.shape[2] != 1:
            raise InputError(f"{path}: {counts.shape[2]} bands; a mask has one.")
        stored = counts[:, :, 0]
    check(stored.shape)
    return stored
