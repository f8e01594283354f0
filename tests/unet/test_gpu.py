"""Training on a CUDA device against the same on the processor; skipped where there is none.

torch.compile is left out: whether it pays has to be measured on a device first.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hsichem import Cube
from hsichem.unet.images import TrainingImage, gathered
from hsichem.unet.train import TrainConfig, build_network, read_history, train_fold

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: training on one is not tested")

CONFIG = TrainConfig(
    width=8, depth=2, padding="same", align_corners=False, epochs=4, batch=2, schedule="one-cycle", clip=1.0,
    weights={"mse": 1, "smoothness": 0.1, "out_of_bounds": 0, "l2": 1e-4},
)  # fmt: skip
FOLDS = [1, 1, 2, 2, 3, 3]


@pytest.fixture
def images():
    rng, model = np.random.default_rng(0), build_network(CONFIG, 16, 1)
    cubes = [Cube(rng.random((64, 48, 16), dtype=np.float32) + 0.1 * i, np.arange(16.0)) for i in range(6)]
    return [TrainingImage.from_cube(model, cube, 10.0 + 2 * i) for i, cube in enumerate(cubes)]


@pytest.fixture
def trained(images, tmp_path, monkeypatch):
    """A function (config, device, on_epoch) -> the network and its history, convolutions in full float32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)

    def train(config, device="cuda", on_epoch=None, folder="a"):
        with monkeypatch.context() as patch:
            if device == "cpu":
                patch.setattr(torch.cuda, "is_available", lambda: False)
            model = train_fold(images, FOLDS, 1, config, tmp_path / folder / device, on_epoch)
        return model, read_history(tmp_path / folder / device, 1)

    return train


def test_the_losses_are_those_of_the_processor(trained):
    (_, here), (_, there) = trained(CONFIG, "cpu"), trained(CONFIG)
    for name in here:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-3, err_msg=name)


def test_mixed_precision_trains_to_a_close_loss(trained):
    _, exact = trained(CONFIG)
    _, mixed = trained(replace(CONFIG, precision="bfloat16"), folder="mixed")
    assert np.isfinite(mixed["total"]).all()
    assert not np.array_equal(mixed["total"], exact["total"])
    np.testing.assert_allclose(mixed["total"], exact["total"], rtol=0.1)


def test_a_batch_waits_in_pinned_memory(images):
    assert all(tensor.is_pinned() for tensor in gathered(images[:2]).values())


def test_a_stopped_training_goes_on(trained):
    """Not to the bit: a device sums the gradients of the upsampling in any order."""
    config, seen = replace(CONFIG, schedule="plateau", burn_in=0), []

    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(config, on_epoch=stop)
    _, resumed = trained(config, on_epoch=lambda history: seen.append(len(history)))
    assert seen == [3, 4]
    _, whole = trained(config, folder="whole")
    np.testing.assert_allclose(resumed["total"], whole["total"], rtol=1e-3)
