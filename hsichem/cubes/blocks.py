"""Blocks of 2 x 2 image pixels: each is one pixel of a network's map."""

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


def _blocks(array: np.ndarray, side: int) -> np.ndarray:
    rows, cols = (n // side for n in array.shape[:2])
    return array[: rows * side, : cols * side].reshape(rows, side, cols, side, *array.shape[2:])
