"""Stored numbers to a Cube: scaled, the ignored pixels out of the mask, the bands by ascending wavelength."""

import numpy as np

from hsichem._base import InputError
from hsichem.cubes import Cube

BLOCK = 2**19  # values at a time, few enough for the processor's cache
LINE = 64  # bytes of it that are fetched at once


def to_cube(
    stored, nm, bands, where, *, gain=None, offset=None, scale=1.0, ignore=None, pitch=None, name="", first_row=0
) -> Cube:
    """stored / scale * gain + offset, as a Cube of float32.

    stored: (rows, cols, all bands), any real type, also a view of a file; bands: indices (n,) of those to keep and
    nm (n,) their ascending wavelengths; gain, offset: (n,) or None. A pixel in which any kept band has the value
    `ignore` (NaN is one) is not in the mask and its values are 0; without `ignore` the mask is None.
    first_row: of the image, where these are some of its lines.
    Raises InputError when a value that counts is not finite, or the cube does not fit into memory.
    """
    rows, cols, count = stored.shape
    try:
        values = np.empty((rows, cols, len(bands)), np.float32)
    except (MemoryError, ValueError):
        raise InputError(
            f"{where}: {rows} x {cols} x {len(bands)} values of 4 bytes do not fit into memory. Cut the "
            "image into parts, leave bands out (0 in 'bbl'), or bin pixels or bands in the camera's program."
        ) from None
    mask = None if ignore is None else np.ones((rows, cols), bool)
    keep = slice(None) if np.array_equal(bands, np.arange(count)) else bands
    is_moderate = scale > 1e-6 and all(each is None or np.abs(each).max() < 1e12 for each in (gain, offset))
    is_finite = is_moderate and stored.dtype.kind != "f"  # whole numbers cannot leave float32 then
    for start in range(0, rows, step := max(1, BLOCK // (cols * count))):
        block, out = _turned(stored[start : start + step], keep), values[start : start + step]
        with np.errstate(all="ignore"):  # what is not finite is refused below
            np.divide(block, np.float32(scale), out=out, dtype=np.float32, casting="unsafe")
            if gain is not None:
                out *= np.float32(gain)
            if offset is not None:
                out += np.float32(offset)
            if ignore is not None:
                ignored = _equal(block, ignore).any(axis=2)
                out[ignored], mask[start : start + step] = 0, ~ignored
            finite = is_finite or np.isfinite(out.sum())  # one pass; a sum may overflow where no value does
        if not finite and len(bad := np.argwhere(~np.isfinite(out))):
            row, col, band = bad[0]
            at = first_row + start + row
            raise InputError(
                f"{where}: the value at row {at}, column {col}, {nm[band]:g} nm is {out[row, col, band]}. "
                "Mark pixels without data by 'data ignore value' (nan is one), or repair them."
            )
    return Cube(values, nm, mask, pitch, name)


def _turned(part: np.ndarray, keep) -> np.ndarray:
    """(rows, cols, kept bands), one after the other in memory, while the numbers are still as small as stored."""
    if part.strides[2] == part.itemsize:
        return np.ascontiguousarray(part[:, :, keep])
    planes = part.transpose(2, 0, 1)[keep]
    planes = planes.reshape(len(planes), -1)  # (bands, pixels)
    # An odd number of cache lines from band to band: with a power of two, those of a pixel drive each other out.
    width = (-(-planes.shape[1] * part.itemsize // LINE) | 1) * LINE // part.itemsize
    apart = np.empty((len(planes), width), part.dtype)[:, : planes.shape[1]]
    apart[:] = planes
    return np.ascontiguousarray(apart.T).reshape(*part.shape[:2], -1)


def _equal(block: np.ndarray, ignore: float) -> np.ndarray:
    if np.isnan(ignore):
        return np.isnan(block)
    if block.dtype.kind != "f" or np.isinf(ignore):
        return block == ignore
    near = 2e-6 * abs(ignore)  # headers round -3.4028235e38
    return (block >= ignore - near) & (block <= ignore + near)
