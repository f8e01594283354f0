"""Train the network on one mean reference value per image: one loop, five folds, nothing lost when killed.

Two schedules. "plateau" is the published one (Engstrøm et al. 2025, doi 10.1002/cem.70041): Adam, one image per step,
random flips; after the burn-in, 10 epochs without a better validation MSE divide the learning rate by ten and restore
the best weights and optimiser state, and 30 stop the training. "one-cycle" has its end in sight: the rate rises in the
first tenth, falls to nothing, and the last weights count (Smith and Topin 2018, arXiv 1708.07120).
"""

import copy
import csv
import hashlib
import io
import json
import math
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from tqdm import tqdm

from hsichem._base import InputError, locked, replacing
from hsichem.unet.images import TrainingImage, gathered, prefetched
from hsichem.unet.loss import HELD_OUT, PUBLISHED_WEIGHTS, TERMS, map_losses
from hsichem.unet.network import ChemicalUNet, Ensemble, PixelNetwork, start_at
from hsichem.unet.weights import load_state, read_weights

RISE = 0.1  # of a one-cycle training, in which the learning rate rises


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights; the defaults are the published settings."""

    network: str = "unet"  # or "pixel": PixelNetwork
    width: int = 64  # channels of the first block; each level doubles them
    depth: int = 4  # poolings
    padding: str = "valid"
    align_corners: bool = True
    bounded: bool = False  # output squeezed into 0-100 %
    variant: str = "published"  # of the loss
    pitch_mm: float = 1.0  # between the map's pixels, for the corrected smoothness; 1 counts it per pixel
    weights: dict = field(default_factory=lambda: dict(PUBLISHED_WEIGHTS))
    epochs: int = 250  # at most
    burn_in: int = 30  # epochs before the schedule may act
    patience: int = 10  # epochs without a better validation MSE before the learning rate drops
    stop_after: int = 30  # ... and before training ends
    schedule: str = "plateau"  # or "one-cycle", for which the three above mean nothing
    batch: int = 1  # images a step
    clip: float | None = None  # largest norm of a step's gradient
    learning_rate: float = 1e-3  # "one-cycle": its peak
    lowest_rate: float = 1e-7
    precision: str = "float32"  # or "bfloat16": mixed precision, faster where the processor computes in it
    seed: int = 0

    def fingerprint(self, *data: str) -> str:
        """8 hex digits that name these settings and the data they meet: runs with other settings never mix."""
        return hashlib.sha256(json.dumps([asdict(self), data], sort_keys=True).encode()).hexdigest()[:8]


def config_from(run, pitch_mm: float | None = None) -> TrainConfig:
    """The settings of a notebook, as `hsichem.lab.read_settings` returns them, for images of this pixel pitch.

    What run does not set stays as published. run.smoothness is the weight between neighbouring pixels of the map, as
    published. The corrected loss counts per mm: its weight is that times the map's squared pitch, the same for every
    resolution. Without a pitch it stays per pixel. A bounded network needs no weight for values out of bounds, and one
    that is trained on held-out pixels none for the size of its weights.
    """
    own = {each.name: getattr(run, each.name) for each in fields(TrainConfig) if hasattr(run, each.name)}
    map_pitch = 2 * pitch_mm if pitch_mm and own.get("variant") == "corrected" else 1.0
    weights = PUBLISHED_WEIGHTS | {"smoothness": run.smoothness * map_pitch**2}
    if own.get("bounded"):
        weights["out_of_bounds"] = 0.0
    if held_out := getattr(run, "held_out", 0):
        weights |= {"l2": 0.0, HELD_OUT: held_out}
    return TrainConfig(**own | {"weights": weights, "pitch_mm": map_pitch})


class DivergedError(RuntimeError):
    """The loss is no longer a number; the message names the epoch and the term."""


class Schedule:
    """Plateau detection on the validation MSE term, as published."""

    def __init__(self, config: TrainConfig):
        self.config, self.best, self.waited = config, math.inf, 0

    def step(self, epoch: int, metric: float) -> str:
        """What to do after `epoch` (from 1): "better", "wait", "drop" (the learning rate), or "stop"."""
        if metric < self.best:
            self.best, self.waited = metric, 0
            return "better"
        if epoch <= self.config.burn_in:
            return "wait"
        self.waited += 1
        if self.waited >= self.config.stop_after:
            return "stop"
        return "drop" if self.waited % self.config.patience == 0 else "wait"


def build_network(config: TrainConfig, bands: int, fold: int) -> ChemicalUNet | PixelNetwork:
    """The untrained network of a fold, its initial weights decided by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 * config.seed + fold)
        if config.network == "pixel":
            network = PixelNetwork(bands, config.width, config.bounded)
        else:
            shape = config.width, config.depth, config.padding, config.align_corners, config.bounded
            network = ChemicalUNet(bands, *shape)
    network.by_looks = HELD_OUT in config.weights
    return network


def one_cycle(done: float) -> float:
    """The learning rate over its peak when a part `done` (0-1) of the training is over: cosines up and down."""
    part = done / RISE if done < RISE else (1 - done) / (1 - RISE)
    return (1 - math.cos(math.pi * part)) / 2


def image_losses(model, batch: dict, config: TrainConfig) -> dict:
    """The loss terms of a batch, as `gathered` returns it, on the model's device."""
    device = next(model.parameters()).device
    batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        prediction = model(batch["x"]).float()
    options = {name: batch[name] for name in ("reading", "noise") if name in batch}
    options |= {"variant": config.variant, "parameters": model.parameters(), "pitch_mm": config.pitch_mm}
    return map_losses(prediction, batch["mask"], batch["reference"], config.weights, **options)


class FoldRun:
    """A fold in training: network, optimiser, schedule, the best state so far, a row for each epoch."""

    def __init__(self, model, config: TrainConfig, fold: int):
        self.model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        self.config, self.fold, self.schedule = config, fold, Schedule(config)
        self.history, self.best, self.action = [], None, "wait"

    def run_epoch(self, training, watched) -> dict:
        """Train on some images, measure the MSE on others, do what the schedule says; return the row of the epoch."""
        epoch, rate = len(self.history) + 1, self.optimizer.param_groups[0]["lr"]
        terms = self._train(training, epoch)
        seen = self._watch(watched) if watched else {}
        if not math.isfinite(mse := seen.get("validation_mse", 0)):
            raise DivergedError(f"fold {self.fold}, epoch {epoch}: the validation MSE is {mse}.")
        self.history.append({"epoch": epoch, **terms, **seen, "learning_rate": rate})
        if self.config.schedule == "one-cycle":
            return self.history[-1]
        self.action = self.schedule.step(epoch, mse)
        if self.action == "better":
            self.best = copy.deepcopy(self._state())
        elif self.action == "drop":
            self._load(self.best)
            for group in self.optimizer.param_groups:
                group["lr"] = max(rate / 10, self.config.lowest_rate)
        return self.history[-1]

    def _train(self, images, epoch):
        """Steps over all images, in random order, flipped and hidden at random; the mean of each loss term."""
        sums = dict.fromkeys((*TERMS, *self.config.weights, "total"), 0.0)
        self.model.train()
        steps = list(self._steps(images, epoch))
        calls = (partial(gathered, same, *how) for groups, *how in steps for same in groups)
        with closing(prefetched(calls)) as batches:
            for number, (groups, *_) in enumerate(steps):
                if self.config.schedule == "one-cycle":
                    done = (epoch - 1 + number * self.config.batch / len(images)) / self.config.epochs
                    for group in self.optimizer.param_groups:
                        group["lr"] = self.config.learning_rate * one_cycle(done)
                self.optimizer.zero_grad()
                for same in groups:
                    losses = image_losses(self.model, next(batches), self.config)
                    (losses["total"] * (len(same) / sum(map(len, groups)))).backward()
                    for name, value in losses.items():
                        sums[name] += value.item() * len(same) / len(images)
                        if not math.isfinite(sums[name]):
                            where = f"fold {self.fold}, epoch {epoch}"
                            raise DivergedError(f"{where}: the loss term {name!r} is {sums[name]}.")
                    del losses  # and with it the batch, before the next but one is read
                if self.config.clip:
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
                self.optimizer.step()
        return sums

    def _steps(self, images, epoch):
        """(images, in groups of one size, flips, look) of each step of an epoch."""
        rng = np.random.default_rng([self.config.seed, self.fold, epoch])  # no state: a resumed epoch draws the same
        order = rng.permutation(len(images))
        for start in range(0, len(order), self.config.batch):
            flips = [axis for axis in (2, 3) if rng.random() < 0.5]
            look = int(rng.integers(2)) if HELD_OUT in self.config.weights else None
            sizes = {}
            for i in order[start : start + self.config.batch]:
                sizes.setdefault(images[i].mask.shape, []).append(images[i])
            yield list(sizes.values()), flips, look

    def _watch(self, images):
        """Terms of images that are not trained on, each over its weight, both looks averaged."""
        self.model.eval()
        names = [name for name in ("mse", HELD_OUT) if name in self.config.weights]
        calls = (partial(gathered, [image], look=look) for image in images for look in image.looks)
        with torch.no_grad(), closing(prefetched(calls)) as batches:
            found = [image_losses(self.model, batch, self.config) for batch in batches]
        means = {name: float(np.mean([losses[name].item() for losses in found])) for name in names}
        return {f"validation_{name}": mean / (self.config.weights[name] or 1) for name, mean in means.items()}

    def save(self, path) -> None:
        """Everything that `resume` needs."""
        saved = self._state() | {"best": self.best, "action": self.action, "history": self.history}
        saved |= {"schedule": (self.schedule.best, self.schedule.waited)}
        memory = io.BytesIO()  # to a file directly, a full disk would be a RuntimeError about "unexpected pos"
        torch.save(saved, memory)
        with replacing(path) as part:
            part.write_bytes(memory.getbuffer())

    def resume(self, path) -> None:
        """Go on after the last epoch that was saved. Raises InputError where the file does not hold one."""
        try:
            saved = torch.load(path, weights_only=True)
            self._load(saved)
            self.schedule.best, self.schedule.waited = saved["schedule"]
            self.history, self.best, self.action = saved["history"], saved["best"], saved["action"]
        except Exception as error:  # each kind of damage has its own
            reason = f"{path} holds no training to go on with ({type(error).__name__})"
            raise InputError(f"{reason}; delete it, and fold {self.fold} is trained anew.") from error

    def _state(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def _load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # else its steps would change `state`


def train_fold(
    images, folds, fold: int, config: TrainConfig, folder, on_epoch=None, on_network=None
) -> ChemicalUNet | PixelNetwork:
    """Train on every image outside `fold`, watch the MSE on those inside, return the best network in eval mode.

    images: TrainingImages, whose pixels are read one step ahead; folds: the fold of each. folder: gets fold<k>.csv
    (the terms by epoch, in the loss's units) and fold<k>.safetensors; while training, fold<k>.checkpoint.pt, from
    which a killed run goes on to the same weights. A finished fold is read back. on_epoch(history) is called with the
    rows so far, on_network(fold, network) with a copy of the network after each epoch; neither for one read back.
    The network of a number that is no image's fold is trained on all of them, in "one-cycle" alone: nothing is watched.
    Raises DivergedError when a term is NaN or infinite, InputError for a file there that cannot be read back.
    """
    finished, checkpoint = (Path(folder) / f"fold{fold}.{ending}" for ending in ("safetensors", "checkpoint.pt"))
    model = build_network(config, images[0].cube.values.shape[2], fold)
    if finished.exists():
        return load_state(model, read_weights(finished), finished)
    training = [image for image, k in zip(images, folds, strict=True) if k != fold]
    if config.bounded:
        start_at(model, float(torch.cat([image.reference for image in training]).mean()))
    run = FoldRun(model, config, fold)
    if checkpoint.exists():
        run.resume(checkpoint)
    watched = [image for image, k in zip(images, folds, strict=True) if k == fold]
    bar = tqdm(total=config.epochs, initial=len(run.history), desc=f"fold {fold}", unit="epoch", mininterval=1)
    with bar:
        while run.action != "stop" and len(run.history) < config.epochs:
            row = run.run_epoch(training, watched)
            run.save(checkpoint)
            shown = [name for name in row if "mse" in name or HELD_OUT in name or (row[name] and name in TERMS)]
            bar.set_postfix({name.replace("_", " "): f"{row[name]:.3g}" for name in shown})
            bar.update()
            if on_epoch:
                on_epoch(run.history)
            if on_network:  # a copy: a prediction lays out the weights in a way that slows training down
                on_network(fold, copy.deepcopy(model).to("cpu").eval())
    if run.best:  # "one-cycle" ends with the weights that count
        model.load_state_dict(run.best["model"])
    model.to("cpu").eval()
    with replacing(Path(folder) / f"fold{fold}.csv") as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, run.history[0])
        writer.writeheader()
        writer.writerows(run.history)
    with replacing(finished) as part:
        part.write_bytes(save(model.state_dict()))
    checkpoint.unlink(missing_ok=True)
    return model


def one_after_another(function, arguments: dict) -> dict:
    """name -> function(argument), with a progress bar; the simplest `each` of `train_folds`."""
    return {name: function(argument) for name, argument in tqdm(arguments.items(), desc="networks", unit="network")}


def train_folds(
    cubes,
    references,
    folds,
    config: TrainConfig,
    folder,
    on_epoch=None,
    only=None,
    readings=None,
    on_network=None,
    each=one_after_another,
):
    """One network per fold, or for those in `only`: (Ensemble, {fold: its history}); see train_fold.

    cubes: the images to train on; references: their mean values, % w/w; folds: the fold of each.
    folder: gets a subfolder for these settings and data, so that runs with others never mix.
    readings: for the held-out term, {fold: a map (rows, cols) of each image by a linear model fitted without the fold}.
    each: how folds are gone through, as `hsichem.lab.each_on` returns it for other processes. They give the same
    networks to the bit, if all compute on as many threads. They call on_network, and not on_epoch.
    """
    data = [
        f"{cube.name} {cube.values.shape} {value} {fold}"
        for cube, value, fold in zip(cubes, references, folds, strict=True)
    ]
    if (HELD_OUT in config.weights) != bool(readings):
        raise InputError(f"weights for {', '.join(config.weights)}; {HELD_OUT} needs readings, and only it.")
    chosen = sorted(set(folds)) if only is None else list(only)
    data += [hashlib.sha256(np.nan_to_num(m).tobytes()).hexdigest() for f in chosen for m in (readings or {f: ()})[f]]
    model, own = build_network(config, cubes[0].values.shape[2], 1), Path(folder) / config.fingerprint(*data)
    images = [TrainingImage.from_cube(model, *row) for row in zip(cubes, references, strict=True)]

    heard = on_epoch if each is one_after_another else None
    with locked(own / "folds"):  # a second process waits, then reads what the first has trained
        arguments = {f: (images, readings and readings[f], folds, f, config, own, heard, on_network) for f in chosen}
        members = list(each(_train, arguments).values())
    return Ensemble(members), {fold: read_history(own, fold) for fold in chosen}


def _train(argument):
    """train_fold on images with their readings, of which one fold's alone are on the map's grid at a time."""
    images, readings, folds, *others = argument
    if readings:
        images = [image.with_reading(reading) for image, reading in zip(images, readings, strict=True)]
        noise = torch.stack([image.noise for image in images]).square().mean(dim=0).sqrt()
        images = [replace(image, noise=noise) for image in images]  # one for all: a quiet image is not worth more
    return train_fold(images, folds, *others)


def read_history(folder, fold: int) -> dict:
    """fold<k>.csv of a finished fold -> name to (epochs,) array."""
    with open(Path(folder) / f"fold{fold}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
