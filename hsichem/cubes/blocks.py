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


def hide(values, diagonal: int):
    """A copy in which one diagonal of each 2 x 2 block is hidden: its pixels show their neighbour in the same row.

    values: (..., rows, cols), an array or a tensor; what is left over at the end of an odd side stays. diagonal: 0
    hides upper left and lower right, 1 the other two. So whatever reads the image reads two of each block's four
    pixels, and the other two can judge what it made of them (Neighbor2Neighbor, arXiv 2101.02824).
    """
    hidden = values.clone() if hasattr(values, "clone") else values.copy()
    rows, cols = (n - n % 2 for n in values.shape[-2:])
    for row in (0, 1):
        column = row ^ diagonal
        hidden[..., row:rows:2, column:cols:2] = values[..., row:rows:2, 1 - column : cols : 2]
    return hidden


def hide_in_cube(cube: Cube, diagonal: int) -> Cube:
    """The cube with one diagonal of each block hidden (see `hide`)."""
    return dataclasses.replace(cube, values=hide(cube.values.transpose(2, 0, 1), diagonal).transpose(1, 2, 0))


def diagonal_mean(values: np.ndarray, diagonal: int) -> np.ndarray:
    """(rows // 2, cols // 2) mean of the two pixels of each block that `hide` hides; values: (rows, cols)."""
    blocks = _blocks(values, 2)
    return (blocks[:, 0, :, diagonal] + blocks[:, 1, :, 1 - diagonal]) / 2


def _blocks(array: np.ndarray, side: int) -> np.ndarray:
    rows, cols = (n // side for n in array.shape[:2])
    return array[: rows * side, : cols * side].reshape(rows, side, cols, side, *array.shape[2:])
