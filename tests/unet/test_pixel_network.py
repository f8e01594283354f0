"""The network without surroundings: what a map pixel sees, and that the common loop and tiles serve it too."""

import dataclasses

import numpy as np
import pytest
import torch

from hsichem import Cube
from hsichem.unet.network import ChemicalUNet, PixelNetwork, start_at
from hsichem.unet.predict import predict_map
from hsichem.unet.train import TrainConfig, train_folds

CONFIG = TrainConfig(network="pixel", width=4, epochs=60, learning_rate=1e-2, weights={"mse": 1} | dict.fromkeys(
    ("smoothness", "out_of_bounds", "l2"), 0.0))  # fmt: skip


@pytest.fixture
def cubes():
    rng = np.random.default_rng(0)
    contents = rng.uniform(0, 1, (10, 6, 8)).repeat(2, axis=1).repeat(2, axis=2)
    band = np.linspace(-1, 1, 9)
    return [Cube(0.5 + 0.3 * c[:, :, None] * band, np.arange(9.0), name=str(i)) for i, c in enumerate(contents)]


def test_a_map_pixel_sees_its_own_four_image_pixels():
    x = torch.rand(1, 9, 12, 16, requires_grad=True)
    y = PixelNetwork(9, 4)(x)
    assert y.shape == (1, 1, 6, 8)
    y[0, 0, 2, 5].backward()
    rows, cols = np.nonzero(x.grad[0].abs().sum(dim=0).numpy())
    assert set(rows) == {4, 5} and set(cols) == {10, 11}


def test_it_is_bounded_and_begins_as_the_unet_does():
    torch.manual_seed(0)
    free, bounded = PixelNetwork(9, 4), PixelNetwork(9, 4, bounded=True)
    bounded.load_state_dict(free.state_dict())
    x = torch.randn(1, 9, 12, 16)
    torch.testing.assert_close(bounded(x), 100 / (1 + torch.exp(-free(x))))
    for network in (bounded, ChemicalUNet(9, 2, 1, "same", bounded=True)):
        start_at(network, 30.0)
        assert (network(x) - 30).abs().max() < 15 and network(x).std() > 0


def test_the_common_loop_trains_it_and_it_finds_the_pixels(cubes, tmp_path):
    """Ten means are enough for a linear content without noise: the map is right where it never saw a value."""
    truth = [(cube.values[::2, ::2, -1] - 0.5) / 0.3 * 40 + 20 for cube in cubes]
    ensemble, _ = train_folds(cubes, [t.mean() for t in truth], [1, 2] * 5, CONFIG, tmp_path)
    found = predict_map(ensemble, cubes[0])
    assert np.corrcoef(found.ravel(), truth[0].ravel())[0, 1] > 0.99
    np.testing.assert_allclose(predict_map(ensemble, cubes[0], tile=3), found, rtol=1e-5)


def test_it_is_not_taken_for_a_unet(cubes, tmp_path):
    one = dataclasses.replace(CONFIG, epochs=1)
    train_folds(cubes, [1.0] * 10, [1, 2] * 5, one, tmp_path)
    other = dataclasses.replace(one, network="unet", depth=1, padding="same")
    train_folds(cubes, [1.0] * 10, [1, 2] * 5, other, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
