"""Blocks of pixels against means and counts by hand."""

import numpy as np
import pytest

from hsichem import Cube
from hsichem.cubes import binned, block_mean, diagonal_mean, shown_columns, whole_blocks


def test_a_block_is_the_mean_of_four_and_in_the_mask_when_all_four_are():
    values = np.arange(35.0).reshape(5, 7)
    mask = np.ones((5, 7), bool)
    mask[3, 2] = False
    half = block_mean(values)
    assert half.shape == (2, 3)
    assert half[1, 1] == values[2:4, 2:4].mean()
    assert whole_blocks(mask).tolist() == [[True, True, True], [True, False, True]]
    assert block_mean(values, 3).tolist() == [[values[:3, :3].mean(), values[:3, 3:6].mean()]]


def test_a_binned_cube_has_means_of_four_spectra_and_twice_the_pitch():
    rng = np.random.default_rng(2)
    values, mask = rng.random((39, 36, 5), np.float32), rng.random((39, 36)) < 0.9  # an odd side
    small = binned(Cube(values, np.arange(5.0) + 1, mask, 0.5))
    assert small.values.shape == (19, 18, 5) and small.pitch_mm == 1.0
    np.testing.assert_array_equal(small.mask, whole_blocks(mask))
    np.testing.assert_allclose(small.values[3, 5], values[6:8, 10:12].mean(axis=(0, 1)), rtol=1e-6)
    assert binned(Cube(values, np.arange(5.0) + 1)).pitch_mm is None


@pytest.mark.parametrize("diagonal", [0, 1])
def test_a_hidden_pixel_shows_its_row_neighbour_and_the_two_halves_share_nothing(diagonal):
    values = np.random.default_rng(3).random((7, 9))
    rows, cols = np.arange(7), np.arange(9)
    shown = shown_columns(rows, cols, values.shape, diagonal)
    seen = values[rows[:, None], shown]
    for row, col in np.ndindex(6, 8):
        is_hidden = (row + col) % 2 == diagonal
        assert seen[row, col] == values[row, col ^ 1 if is_hidden else col]
    assert (seen[6] == values[6]).all() and (seen[:, 8] == values[:, 8]).all()  # left over
    some = shown_columns(rows[[3, 2]], cols[[5, 1, 5]], values.shape, diagonal)  # a part, mirrored
    np.testing.assert_array_equal(some, shown[[3, 2]][:, [5, 1, 5]])
    kept, hidden = diagonal_mean(values, 1 - diagonal), diagonal_mean(values, diagonal)
    np.testing.assert_allclose(block_mean(seen), kept)  # what is seen is the mean of the visible pixels alone
    np.testing.assert_allclose((kept + hidden) / 2, block_mean(values))
