"""Mirroring and tiling, for any size."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from hsichem import Cube
from hsichem.unet.network import ChemicalUNet
from hsichem.unet.predict import mirrored, predict_looks, predict_map, windows

MODELS = {
    (padding, depth): ChemicalUNet(bands=7, width=1, depth=depth, padding=padding)
    for padding in ("valid", "same")
    for depth in (1, 2, 3)
}


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 60))
def test_mirrored_indices_equal_numpys_padding(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect") if size > 1 else np.zeros(1 + before + after)
    np.testing.assert_array_equal(mirrored(-before, size + after, size), expected)


@given(st.sampled_from(sorted(MODELS)), st.integers(1, 300), st.none() | st.integers(1, 300))
def test_tiles_cover_every_pixel_once_with_sizes_that_fit(kind, side, tile):
    model = MODELS[kind]
    covered = np.zeros(side, int)
    for first, last, start, stop in windows(model, side, tile):
        covered[first:last] += 1
        shown = model.output_size(2 * (stop - start))  # raises where the network could not take it
        assert start + model.margin <= first and last <= start + model.margin + shown
    assert (covered == 1).all()


def test_prediction_lays_out_the_weights_once_and_leaves_their_values():
    model = ChemicalUNet(bands=7, width=4, depth=1, padding="same")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict_map(model, Cube(np.random.default_rng(0).random((16, 16, 7)), np.arange(7.0)), tile=4)
    for layer in (layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)):
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_map_of_looks_is_their_mean_and_each_saw_half_of_the_pixels():
    torch.manual_seed(0)
    cube = Cube(np.random.default_rng(0).random((14, 18, 7)), np.arange(7.0) + 900)
    model = ChemicalUNet(bands=7, width=2, depth=1, padding="same")
    whole = predict_map(model, cube)
    looks = predict_looks(model, cube)
    model.by_looks = True
    np.testing.assert_allclose(predict_map(model, cube), looks.mean(axis=0), rtol=1e-6)
    assert np.abs(looks.mean(axis=0) - whole).max() > 1e-3
    values = cube.values.copy()
    values[::2, ::2] = values[1::2, 1::2] = 9.0  # diagonal 0, which the first look does not see
    changed = predict_looks(model, Cube(values, cube.wavelengths))
    np.testing.assert_array_equal(changed[0], looks[0])
    assert np.abs(changed[1] - looks[1]).max() > 0.1
