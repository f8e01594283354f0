"""The training loop: the published schedule, determinism, a killed run, a diverging run."""

import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hsichem import Cube, InputError
from hsichem.unet.images import TrainingImage, gathered
from hsichem.unet.predict import predict_map
from hsichem.unet.train import (
    DivergedError,
    FoldRun,
    Schedule,
    TrainConfig,
    build_network,
    config_from,
    image_losses,
    one_cycle,
    read_history,
    train_fold,
    train_folds,
)

TINY = TrainConfig(
    width=3, depth=1, padding="same", epochs=6, weights={"mse": 1, "smoothness": 0.1, "out_of_bounds": 0, "l2": 1e-4}
)


def tiny_images(config=TINY, n=6):
    rng = np.random.default_rng(0)
    model = build_network(config, 8, 1)
    cubes = [Cube(rng.random((12, 14, 8)) + 0.1 * i, np.arange(8.0)) for i in range(n)]
    return [TrainingImage.from_cube(model, cube, 10.0 + 2 * i) for i, cube in enumerate(cubes)]


FOLDS = [1, 1, 2, 2, 3, 3]


def run_schedule(metrics):
    schedule = Schedule(TrainConfig())
    actions = []
    for epoch, metric in enumerate(metrics, start=1):
        actions.append(schedule.step(epoch, metric))
        if actions[-1] == "stop":
            break
    return {name: [e for e, a in enumerate(actions, start=1) if a == name] for name in ("drop", "stop", "better")}


def test_a_flat_metric_drops_at_40_and_50_and_stops_at_60():
    assert run_schedule([5.0] * 250) == {"drop": [40, 50], "stop": [60], "better": [1]}


def test_a_better_epoch_starts_the_count_again():
    metrics = [5.0] * 44 + [4.0] + [4.5] * 205
    assert run_schedule(metrics) == {"drop": [40, 55, 65], "stop": [75], "better": [1, 45]}


def test_burn_in_never_acts_but_keeps_the_best():
    assert run_schedule([9, 8, 7, *[10.0] * 27, 6.9]) == {"drop": [], "stop": [], "better": [1, 2, 3, 31]}


def test_a_drop_restores_the_best_weights_and_a_tenth_of_the_rate(tmp_path):
    """With a metric that never improves after epoch 1, every drop goes back to the weights of epoch 1."""
    config = TrainConfig(width=2, depth=1, padding="same", epochs=3, burn_in=0, patience=1, learning_rate=0.5)
    model = train_fold(tiny_images(config), FOLDS, 1, config, tmp_path)
    history = read_history(tmp_path, 1)
    better = np.flatnonzero(history["validation_mse"] == np.minimum.accumulate(history["validation_mse"]))
    expected = [0.5]
    for epoch in range(1, 3):
        expected.append(expected[-1] if epoch - 1 in better else expected[-1] / 10)
    np.testing.assert_allclose(history["learning_rate"], expected)
    assert len(better) < 3, "the rate of 0.5 is meant to overshoot; otherwise nothing is tested"
    best = TrainConfig(**(config.__dict__ | {"epochs": int(better[-1]) + 1}))
    again = train_fold(tiny_images(config), FOLDS, 1, best, tmp_path / "again")
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_after_a_drop_training_goes_on_from_the_best_weights_and_optimiser_state(tmp_path):
    config = TrainConfig(width=2, depth=1, padding="same", epochs=3, burn_in=0, patience=1, learning_rate=0.5)
    drops = []

    def look(history):
        saved = torch.load(tmp_path / "fold1.checkpoint.pt", weights_only=True)
        if saved["action"] == "drop":
            drops.append(saved)

    train_fold(tiny_images(config), FOLDS, 1, config, tmp_path, on_epoch=look)
    assert drops
    for saved in drops:
        for name, tensor in saved["best"]["model"].items():
            assert torch.equal(saved["model"][name], tensor)
        for key, state in saved["best"]["optimizer"]["state"].items():
            assert all(torch.equal(saved["optimizer"]["state"][key][name], value) for name, value in state.items())


def test_same_seed_same_weights_other_seed_other_weights(tmp_path):
    models = [
        train_fold(tiny_images(), FOLDS, 2, TrainConfig(**(TINY.__dict__ | {"seed": seed})), tmp_path / name)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    a, b, c = (torch.cat([p.flatten() for p in m.state_dict().values()]) for m in models)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_training_learns_the_mean(tmp_path):
    config = TrainConfig(**(TINY.__dict__ | {"epochs": 150, "learning_rate": 1e-2}))
    images = tiny_images()
    model = train_fold(images, FOLDS, 3, config, tmp_path)
    with torch.no_grad():
        means = [float(model(i.x).mean()) for i in images]
    assert np.corrcoef(means, [float(i.reference) for i in images])[0, 1] > 0.95
    assert read_history(tmp_path, 3)["mse"][-1] < 2


def test_a_finished_fold_is_read_back(tmp_path):
    first = train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path)
    seen = []
    again = train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path, on_epoch=seen.append)
    assert seen == []
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fold1.csv", "fold1.safetensors"]


def test_whoever_looks_at_the_network_after_each_epoch_gets_a_copy(tmp_path):
    config, film = TrainConfig(**(TINY.__dict__ | {"epochs": 3})), []
    alone = train_fold(tiny_images(), FOLDS, 1, config, tmp_path / "alone")

    def look(fold, network):
        assert fold == 1 and not network.training
        film.append([p.detach().clone() for p in network.parameters()])
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()

    watched = train_fold(tiny_images(), FOLDS, 1, config, tmp_path / "watched", on_network=look)
    assert len(film) == 3 and not torch.equal(film[0][0], film[1][0])
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), watched.parameters(), strict=True))


def test_a_run_killed_in_mid_epoch_ends_with_the_same_weights(tmp_path):
    """kill -9 between two steps of epoch 4, then the same command again."""
    code = (
        "import sys, time; sys.path.insert(0, 'tests/unet'); import test_train as t; import hsichem.unet.train as h\n"
        "steps = []; original = h.map_losses\n"
        "def slow(*a, **k):\n"
        "    steps.append(1)\n"
        "    if len(steps) == 3 * 6 + 3: print('now', flush=True); time.sleep(60)\n"
        "    return original(*a, **k)\n"
        "h.map_losses = slow\n"
        f"t.train_fold(t.tiny_images(), t.FOLDS, 1, t.TINY, {str(tmp_path / 'killed')!r})\n"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root)
    assert process.stdout.readline() == b"now\n", process.stderr.read().decode()
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL) if hasattr(signal, "SIGKILL") else process.kill()
    process.communicate()
    assert [p.name for p in (tmp_path / "killed").iterdir()] == ["fold1.checkpoint.pt"]
    epochs = []
    train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path / "killed", on_epoch=lambda h: epochs.append(len(h)))
    assert epochs == [4, 5, 6]
    train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path / "whole")
    for name in ("fold1.csv", "fold1.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:900], lambda content: b"a" * 900])
def test_a_damaged_checkpoint_is_named_and_not_trained_over(tmp_path, damage):
    def stop(history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path, on_epoch=stop)
    checkpoint = tmp_path / "fold1.checkpoint.pt"
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(InputError, match=r"fold1\.checkpoint\.pt holds no training to go on with .*delete it"):
        train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fold1.checkpoint.pt"]


def test_a_diverging_run_stops_with_epoch_and_term_and_writes_nothing(tmp_path):
    config = TrainConfig(**(TINY.__dict__ | {"learning_rate": 1e18}))
    with pytest.raises(DivergedError, match=r"fold 1, epoch 1: the loss term '\w+' is (inf|nan)"):
        train_fold(tiny_images(), FOLDS, 1, config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_padded_pixels_stay_out_of_the_mask_and_maps_agree():
    """An image that must be padded: the loop sees the same map as predict_map."""
    config = TrainConfig(width=2, depth=2, padding="valid")
    model = build_network(config, 8, 1)
    mask = np.ones((30, 22), bool)
    mask[0] = False
    cube = Cube(np.random.default_rng(1).random((30, 22, 8)), np.arange(8.0), mask)
    image = TrainingImage.from_cube(model, cube, 1.0)
    with torch.no_grad():
        prediction = model(image.x)
    assert image.mask.shape == prediction.shape
    inside = image.mask[0, 0].numpy()
    assert inside.sum() == 14 * 11
    np.testing.assert_allclose(prediction[0, 0][inside].numpy(), predict_map(model, cube)[1:].ravel(), rtol=1e-5)


def test_mixed_precision_is_close_to_single_and_resumes_alike(tmp_path):
    config = dataclasses.replace(TINY, precision="bfloat16")
    mixed = train_fold(tiny_images(), FOLDS, 1, config, tmp_path / "mixed")
    train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path / "single")
    a, b = (read_history(tmp_path / name, 1)["mse"] for name in ("mixed", "single"))
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, rtol=0.05)
    assert {p.dtype for p in mixed.parameters()} == {torch.float32}

    def stop(history):
        if len(history) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(tiny_images(), FOLDS, 1, config, tmp_path / "again", on_epoch=stop)
    again = train_fold(tiny_images(), FOLDS, 1, config, tmp_path / "again")
    assert all(torch.equal(p, q) for p, q in zip(mixed.parameters(), again.parameters(), strict=True))


def test_corrected_smoothness_costs_the_same_at_half_the_pitch():
    """The same tilted plane on pixels of 2 and 1 mm (maps of 4 and 2 mm), by the settings of a notebook."""
    run = SimpleNamespace(width=3, depth=1, padding="same", epochs=1, burn_in=30, seed=0, variant="corrected")
    costs = {}
    for pitch, smoothness in ((2.0, 0.2), (1.0, 0.8)):  # one weight per mm: four times as much between half as far
        config = config_from(SimpleNamespace(**vars(run), smoothness=smoothness), pitch)
        assert config.weights["smoothness"] == pytest.approx(0.2 * 4**2)
        side = int(32 / (2 * pitch))
        plane = torch.arange(side) * 5.0 * (2 * pitch)  # 5 % w/w a mm
        prediction = plane.repeat(1, 1, side, 1)
        batch = {"x": prediction, "mask": torch.ones_like(prediction, dtype=torch.bool), "reference": torch.ones(1)}
        model = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        costs[pitch] = float(image_losses(model, batch, config)["smoothness"].detach())
    assert costs[2.0] == pytest.approx(costs[1.0])
    assert costs[1.0] == pytest.approx(3.2 * 5.0**2)
    assert config_from(SimpleNamespace(**vars(run), smoothness=0.2)).pitch_mm == 1.0  # no pitch: per pixel


def test_fingerprint_tells_settings_and_data_apart():
    prints = {TINY.fingerprint("a"), TINY.fingerprint("b"), TrainConfig().fingerprint("a"), TINY.fingerprint("a")}
    assert len(prints) == 3


def test_weights_are_plain_tensors(tmp_path):
    model = train_fold(tiny_images(), FOLDS, 1, TINY, tmp_path)
    state = load_file(tmp_path / "fold1.safetensors")
    assert set(state) == set(model.state_dict())


def test_folds_share_a_folder_and_other_settings_do_not(tmp_path):
    rng = np.random.default_rng(0)
    cubes = [Cube(rng.random((12, 14, 8)), np.arange(8.0), name=str(i)) for i in range(6)]
    config = TrainConfig(**(TINY.__dict__ | {"epochs": 1}))
    ensemble, histories = train_folds(cubes, [1.0] * 6, FOLDS, config, tmp_path)
    assert [len(histories[k]["mse"]) for k in (1, 2, 3)] == [1, 1, 1]
    train_folds(cubes, [1.0] * 6, FOLDS, config, tmp_path, only=[2])
    assert len(ensemble.members) == 3
    mean = np.mean([predict_map(member, cubes[0]) for member in ensemble.members], axis=0)
    np.testing.assert_allclose(predict_map(ensemble, cubes[0]), mean, rtol=1e-5)
    (only,) = tmp_path.iterdir()
    assert {p.name for p in only.glob("*.safetensors")} == {f"fold{k}.safetensors" for k in (1, 2, 3)}
    train_folds(cubes, [2.0] * 6, FOLDS, config, tmp_path, only=[2])
    assert len(list(tmp_path.iterdir())) == 2


# ---- held-out pixels, and the schedule whose end is in sight

LOOKS = dataclasses.replace(
    TINY, schedule="one-cycle", batch=2, clip=1.0, bounded=True, weights=TINY.weights | {"held_out": 10.0}
)


def noisy_scene(n=6, side=24, noise=6.0):
    """(cubes, references, readings by fold): squares of two contents; a reading of each pixel is right but noisy."""
    rng, cubes, means, readings = np.random.default_rng(0), [], [], []
    for k in range(n):
        truth = np.where(rng.random((side // 6, side // 6)) < 0.5, 20.0, 70.0).repeat(6, 0).repeat(6, 1)
        spectra = truth[:, :, None] / 100 * np.linspace(0, 1, 8) + rng.normal(0, 0.1, (side, side, 8))
        cubes.append(Cube(spectra, np.arange(8.0), name=f"c{k}"))
        means.append(float(truth.mean()))
        readings.append((truth + rng.normal(0, noise, truth.shape)).astype(np.float32))
    return cubes, means, {fold: readings for fold in (0, 1, 2, 3)}


def test_the_rate_of_one_cycle_rises_and_falls():
    rates = np.array([one_cycle(done) for done in np.linspace(0, 1, 101)])
    assert rates[0] == 0 and rates[10] == pytest.approx(1) and rates[-1] == pytest.approx(0, abs=1e-12)
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()


def test_images_with_readings_hide_one_diagonal_each_and_show_what_is_read_there():
    cubes, means, readings = noisy_scene(1)
    image = TrainingImage.from_cube(build_network(LOOKS, 8, 1), cubes[0], means[0]).with_reading(readings[1][0])
    first, other = (gathered([image], look=look)["x"][0] for look in image.looks)
    assert first.shape == (8, 24, 24) and image.readings.shape == (2, 1, 12, 12)
    assert (first[:, 0, 0] == first[:, 0, 1]).all() and (other[:, 0, 1] == other[:, 0, 0]).all()
    blocks = readings[1][0].reshape(12, 2, 12, 2)
    assert image.readings[0, 0].numpy() == pytest.approx((blocks[:, 0, :, 0] + blocks[:, 1, :, 1]) / 2, rel=1e-5)
    assert image.noise.item() == pytest.approx(6 / 2**0.5, rel=0.1)


def test_held_out_pixels_make_a_map_near_the_truth(tmp_path):
    cubes, means, readings = noisy_scene()
    errors = {}
    for name, weights in {"means": TINY.weights, "held out": LOOKS.weights | {"held_out": 100.0}}.items():
        config = dataclasses.replace(LOOKS, width=8, epochs=60, learning_rate=1e-2, weights=weights)
        given = readings if "held_out" in weights else None
        ensemble, histories = train_folds(cubes, means, FOLDS, config, tmp_path, only=[1], readings=given)
        maps = [predict_map(ensemble, cube) for cube in cubes[:2]]  # fold 1: held out
        truths = [(cube.values[:, :, -1] > 0.45).astype(float) * 50 + 20 for cube in cubes[:2]]
        truths = [np.where(t.reshape(12, 2, 12, 2).mean((1, 3)) > 45, 70, 20) for t in truths]
        errors[name] = np.sqrt(np.mean([(m - t) ** 2 for m, t in zip(maps, truths, strict=True)]))
        assert ensemble.by_looks == ("held_out" in weights)
    assert histories[1]["validation_held_out"][-1] < 0.5 * histories[1]["validation_held_out"][0]
    assert errors["held out"] < 0.7 * errors["means"], errors


def test_a_step_of_two_images_has_the_mean_of_their_gradients_whatever_their_sizes():
    model = build_network(LOOKS, 8, 1)
    large, small = (noisy_scene(1, side)[:2] for side in (24, 12))
    readings = [noisy_scene(1, side)[2][1][0] for side in (24, 12)]
    images = [
        TrainingImage.from_cube(model, cubes[0], means[0]).with_reading(reading)
        for (cubes, means), reading in zip((large, small), readings, strict=True)
    ]
    whole = FoldRun(model, dataclasses.replace(LOOKS, clip=None, schedule="plateau", learning_rate=0.0), 1)
    whole._train(images, 1)
    together = [parameter.grad.clone() for parameter in model.parameters()]
    rng = np.random.default_rng([LOOKS.seed, 1, 1])
    rng.permutation(2)
    flips, look = [axis for axis in (2, 3) if rng.random() < 0.5], int(rng.integers(2))
    model.zero_grad()
    for image in images:
        (image_losses(model, gathered([image], flips, look), LOOKS)["total"] / 2).backward()
    for one, parameter in zip(together, model.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_one_cycle_training_resumes_to_the_same_weights(tmp_path):
    cubes, means, readings = noisy_scene(4)
    model = build_network(LOOKS, 8, 1)
    images = [
        TrainingImage.from_cube(model, *row).with_reading(reading)
        for *row, reading in zip(cubes, means, readings[1], strict=True)
    ]

    def stop(history):
        if len(history) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(images, [1, 1, 2, 2], 1, LOOKS, tmp_path / "stopped", stop)
    train_fold(images, [1, 1, 2, 2], 1, LOOKS, tmp_path / "stopped")
    train_fold(images, [1, 1, 2, 2], 1, LOOKS, tmp_path / "whole")
    for name in ("fold1.csv", "fold1.safetensors"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_fold_0_is_trained_on_all_images(tmp_path):
    cubes, means, readings = noisy_scene(4)
    _, histories = train_folds(cubes, means, [1, 1, 2, 2], LOOKS, tmp_path, only=[0], readings=readings)
    assert len(histories[0]["mse"]) == LOOKS.epochs and "validation_mse" not in histories[0]


def test_readings_and_their_weight_belong_together(tmp_path):
    cubes, means, readings = noisy_scene(4)
    for config, given in ((TINY, readings), (LOOKS, None)):
        with pytest.raises(InputError, match="held_out needs readings, and only it"):
            train_folds(cubes, means, [1, 1, 2, 2], config, tmp_path, readings=given)


def test_the_pixel_network_learns_from_held_out_pixels_too(tmp_path):
    cubes, means, readings = noisy_scene(4)
    config = dataclasses.replace(LOOKS, network="pixel", width=4)
    ensemble, _ = train_folds(cubes, means, [1, 1, 2, 2], config, tmp_path, only=[1], readings=readings)
    assert ensemble.by_looks and np.isfinite(predict_map(ensemble, cubes[0])).all()
