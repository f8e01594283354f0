"""Blocks of 2 x 2 image pixels: each is one pixel of a network's map, and its two diagonals are two looks at it."""

import dataclasses

import numpy as np

from hsichem.cubes.cube import Cube


def block_mean(values: np.ndarray, side: int = 2) -> np.ndarray:
    """(rows // side, cols // side, ...) means over blocks of side x side pixels of (rows, cols, ...) values.

    Rows and columns left over at the end, fewer than `side`, are dropped.
    """
    return _blocks(values, side).mean(axis=(1, 3))


def whole_blocks(mask: np.ndarray, side: int = 2) -> np.ndarray:
    """(rows // side, cols // side) bool: True where all pixels of a block are in the mask (rows, cols)."""
    return _blocks(mask, side).all(axis=(1, 3))


def binned(cube: Cube) -> Cube:
    """Means of 2 x 2 pixels: (rows // 2, cols // 2, bands), twice the pitch."""
    pitch = cube.pitch_mm and 2 * cube.pitch_mm
    return dataclasses.replace(cube, values=block_mean(cube.values), mask=whole_blocks(cube.foreground), pitch_mm=pitch)


def shown_columns(rows: np.ndarray, cols: np.ndarray, shape: tuple, diagonal: int) -> np.ndarray:
    """(rows, cols) numbers of the columns to read at these rows and columns of an image while a diagonal is hidden.

    In each 2 x 2 block of the image, of this shape, the pixels of one diagonal show their neighbour in the same row;
    what is left over at the end of an odd side stays. diagonal: 0 hides upper left and lower right, 1 the other two.
    So whatever reads the image reads two of each block's four pixels, and the other two can judge what it made of them
    (Neighbor2Neighbor, arXiv 2101.02824).
    """
    row, col = np.asarray(rows)[:, None], np.asarray(cols)[None]
    hidden = ((row ^ col ^ diagonal) & 1) == 0
    whole = (row < shape[0] - shape[0] % 2) & (col < shape[1] - shape[1] % 2)
    return np.where(hidden & whole, col ^ 1, col)


def diagonal_mean(values: np.ndarray, diagonal: int) -> np.ndarray:
    """(rows // 2, cols // 2) mean of the two pixels of each block that a diagonal hides; values: (rows, cols)."""
    blocks = _blocks(values, 2)
    return (blocks[:, 0, :, diagonal] + blocks[:, 1, :, 1 - diagonal]) / 2


def _blocks(array: np.ndarray, side: int) -> np.ndarray:
    rows, cols = (n // side for n in array.shape[:2])
    return array[: rows * side, : cols * side].reshape(rows, side, cols, side, *array.shape[2:])
