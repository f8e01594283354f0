"""Images as the training loop reads them, against a cube hidden, mirrored and turned by hand; and the thread."""

import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest

from hsichem import Cube, InputError
from hsichem.cubes import open_cube, store_cube
from hsichem.unet import train
from hsichem.unet.images import TrainingImage, gathered, prefetched
from hsichem.unet.train import TrainConfig, build_network, train_fold

CONFIG = TrainConfig(width=2, depth=1, padding="valid", epochs=2)


def cube(rows=150, cols=40, seed=0):
    rng = np.random.default_rng(seed)
    return Cube(rng.random((rows, cols, 8), np.float32), np.arange(8.0), rng.random((rows, cols)) < 0.9)


@pytest.mark.parametrize("flips", [(), (2,), (3,), (2, 3)])
@pytest.mark.parametrize("look", [None, 0, 1])
def test_a_batch_is_the_image_hidden_mirrored_turned_and_flipped(flips, look):
    one = cube()
    image = TrainingImage.from_cube(build_network(CONFIG, 8, 1), one, 3.0).with_reading(one.values[:, :, 0])
    batch = gathered([image, image], flips, look)
    hidden = one.values.copy()
    for row, col in np.ndindex(150, 40):
        if look is not None and (row + col) % 2 == look:
            hidden[row, col] = one.values[row, col ^ 1]
    edge = 2 * 8  # what "valid" padding at depth 1 takes off each side, in image pixels; then up to a fitting size
    after = [2 * side + edge - n for side, n in zip(image.mask.shape[2:], (150, 40), strict=True)]
    mirrored = np.pad(hidden, [(edge, after[0]), (edge, after[1]), (0, 0)], mode="reflect")
    expected = np.flip(mirrored.transpose(2, 0, 1)[None], flips)
    assert batch["x"].is_contiguous() and batch["x"].shape[0] == 2
    for x in batch["x"].numpy():
        np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(batch["mask"][0].numpy(), np.flip(image.mask.numpy(), flips)[0])
    assert batch["reference"].tolist() == [3.0, 3.0] and ("reading" in batch) == (look is not None)
    if look is not None:
        np.testing.assert_array_equal(
            batch["reading"][1].numpy(), np.flip(image.readings[look].numpy()[None], flips)[0]
        )


def test_training_from_disk_and_from_memory_is_the_same_to_the_bit(tmp_path):
    cubes = [cube(seed=seed) for seed in range(4)]
    for number, one in enumerate(cubes):
        store_cube(tmp_path / f"{number}", one, 1)
    model, weights = build_network(CONFIG, 8, 1), []
    for name, given in {"disk": [open_cube(tmp_path / f"{n}") for n in range(4)], "memory": cubes}.items():
        images = [TrainingImage.from_cube(model, one, 10.0 + number) for number, one in enumerate(given)]
        train_fold(images, [1, 1, 2, 2], 1, CONFIG, tmp_path / name)
        weights.append((tmp_path / name / "fold1.safetensors").read_bytes())
    assert weights[0] == weights[1]


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_results_come_in_order_and_the_next_is_made_meanwhile():
    made, gate = [], threading.Event()

    def make(number):
        made.append(number)
        if number == 1:
            gate.set()
        return number

    results = prefetched(partial(make, number) for number in range(4))
    assert next(results) == 0
    assert gate.wait(20)  # made without being asked for
    assert max(made) < 2
    assert list(results) == [1, 2, 3] and reading_threads() == []


def test_two_images_are_in_memory_during_training_however_many_there_are(monkeypatch):
    """The one that a step uses, and the next, which is read meanwhile."""
    alive, counts = [], []

    class Counted(dict):  # a batch
        def __init__(self, batch):
            super().__init__(batch)
            alive.append(weakref.ref(self["x"].untyped_storage()))

    def counting(*given, **options):
        batch = Counted(original(*given, **options))
        time.sleep(0.02)  # the step before is done meanwhile, and this image is waited for
        counts.append(sum(storage() is not None for storage in alive))
        return batch

    original = train.gathered
    monkeypatch.setattr(train, "gathered", counting)
    model = build_network(CONFIG, 8, 1)
    run = train.FoldRun(model, CONFIG, 1)
    images = [TrainingImage.from_cube(model, cube(seed=seed), 10.0 + seed) for seed in range(8)]
    run.run_epoch(images, images)
    assert len(counts) == 16 and max(counts) <= 2, counts


def test_an_error_of_the_thread_is_the_callers():
    def fail():
        raise InputError("the disk is gone")

    with pytest.raises(InputError, match="the disk is gone"):
        list(prefetched([fail, fail]))
    assert reading_threads() == []


def test_an_interrupt_in_a_step_leaves_no_thread_and_the_run_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    model, folds = build_network(CONFIG, 8, 1), [1, 1, 2, 2, 2]
    images = [TrainingImage.from_cube(model, cube(seed=seed), 10.0 + seed) for seed in range(5)]
    train_fold(images, folds, 1, CONFIG, tmp_path / "whole")
    original, seen = train.map_losses, []

    def interrupt(*given, **options):
        seen.append(len(reading_threads()))
        if len(seen) == 7:  # an epoch has three steps and two images that are watched: the second step of the second
            raise KeyboardInterrupt
        return original(*given, **options)

    monkeypatch.setattr(train, "map_losses", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        train_fold(images, folds, 1, CONFIG, tmp_path / "stopped")
    assert seen[-1] == 1 and reading_threads() == [] and caught.tb  # as in a notebook, which keeps the traceback
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["fold1.checkpoint.pt"]
    monkeypatch.setattr(train, "map_losses", original)
    train_fold(images, folds, 1, CONFIG, tmp_path / "stopped")
    for name in ("fold1.csv", "fold1.safetensors"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
