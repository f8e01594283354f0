"""Blocks of pixels against means and counts by hand."""

import numpy as np

from hsichem import Cube
from hsichem.cubes import binned, block_mean, whole_blocks


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
