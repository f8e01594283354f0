"""Train the network on one mean reference value per image: one loop, five folds, nothing lost when killed.

The schedule is the published one (Engstrøm et al. 2025, doi 10.1002/cem.70041): Adam, one image per step, random
flips; after the burn-in, 10 epochs without a better validation MSE divide the learning rate by ten and restore the
best weights and optimiser state, and 30 stop the training.
"""

import copy
import csv
import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from tqdm import tqdm

from hsichem._base import InputError, locked, replacing
from hsichem.cubes import Cube, whole_blocks
from hsichem.unet.loss import PUBLISHED_WEIGHTS, TERMS, map_losses
from hsichem.unet.network import ChemicalUNet, Ensemble, PixelNetwork
from hsichem.unet.predict import network_input, windows
from hsichem.unet.weights import load_state, read_weights


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
    learning_rate: float = 1e-3
    lowest_rate: float = 1e-7
    precision: str = "float32"  # or "bfloat16": mixed precision, faster where the processor computes in it
    seed: int = 0

    def fingerprint(self, *data: str) -> str:
        """8 hex digits that name these settings and the data they meet: runs with other settings never mix."""
        return hashlib.sha256(json.dumps([asdict(self), data], sort_keys=True).encode()).hexdigest()[:8]


def config_from(run, pitch_mm: float | None = None) -> TrainConfig:
    """The settings of a notebook, as `hsichem.lab.read_settings` returns them, for images of this pixel pitch.

    run.smoothness is the weight between neighbouring pixels of the map, as published. The corrected loss counts per mm:
    its weight is that times the map's squared pitch, the same for every resolution. Without a pitch it stays per pixel.
    """
    names = ("width", "depth", "padding", "epochs", "burn_in", "seed", "variant", "precision")
    own = {name: getattr(run, name) for name in names if hasattr(run, name)}  # some notebooks set only a few
    map_pitch = 2 * pitch_mm if pitch_mm and own.get("variant") == "corrected" else 1.0
    weights = PUBLISHED_WEIGHTS | {"smoothness": run.smoothness * map_pitch**2}
    return TrainConfig(**own, weights=weights, pitch_mm=map_pitch)


@dataclass(frozen=True)
class TrainingImage:
    """What the loop needs of an image: x (1, bands, H, W), mask (1, 1, h, w) on the map's grid, reference (1,)."""

    x: torch.Tensor
    mask: torch.Tensor
    reference: torch.Tensor

    @classmethod
    def from_cube(cls, model, cube: Cube, reference: float):
        """Mirror a cube to a size the network can take; mirrored pixels stay out of the mask."""
        mask = whole_blocks(cube.foreground)
        rows, cols = (next(windows(model, side, None))[2:] for side in mask.shape)
        mask = np.pad(mask, [(0, model.fitting_size(side) - side) for side in mask.shape])
        x = network_input(cube, rows, cols).contiguous()
        return cls(x, torch.from_numpy(mask)[None, None], torch.tensor([reference], dtype=torch.float32))


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
            return PixelNetwork(bands, config.width)
        return ChemicalUNet(bands, config.width, config.depth, config.padding, config.align_corners, config.bounded)


def image_losses(model, image: TrainingImage, config: TrainConfig, flips=()) -> dict:
    """The loss terms of one image, flipped along `flips` (2 rows, 3 columns), on the model's device."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        prediction = model(image.x.flip(flips).to(device))
    mask, reference = image.mask.flip(flips).to(device), image.reference.to(device)
    options = config.weights, config.variant, model.parameters(), config.pitch_mm
    return map_losses(prediction.float(), mask, reference, *options)


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
        self.model.eval()
        with torch.no_grad():
            mse = float(np.mean([image_losses(self.model, image, self.config)["mse"].item() for image in watched]))
        if not math.isfinite(mse):
            raise DivergedError(f"fold {self.fold}, epoch {epoch}: the validation MSE is {mse}.")
        self.history.append({"epoch": epoch, **terms, "validation_mse": mse, "learning_rate": rate})
        self.action = self.schedule.step(epoch, mse)
        if self.action == "better":
            self.best = copy.deepcopy(self._state())
        elif self.action == "drop":
            self._load(self.best)
            for group in self.optimizer.param_groups:
                group["lr"] = max(rate / 10, self.config.lowest_rate)
        return self.history[-1]

    def _train(self, images, epoch):
        """One step for each image, in random order and flipped at random; the mean of each loss term."""
        rng = np.random.default_rng([self.config.seed, self.fold, epoch])  # no state: a resumed epoch draws the same
        sums = dict.fromkeys((*TERMS, "total"), 0.0)
        self.model.train()
        for i in rng.permutation(len(images)):
            flips = [axis for axis in (2, 3) if rng.random() < 0.5]
            losses = image_losses(self.model, images[i], self.config, flips)
            self.optimizer.zero_grad()
            losses["total"].backward()
            self.optimizer.step()
            for name, value in losses.items():
                sums[name] += value.item() / len(images)
                if not math.isfinite(sums[name]):
                    raise DivergedError(f"fold {self.fold}, epoch {epoch}: the loss term {name!r} is {sums[name]}.")
        return sums

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


def train_fold(images, folds, fold: int, config: TrainConfig, folder, on_epoch=None) -> ChemicalUNet | PixelNetwork:
    """Train on every image outside `fold`, watch the MSE on those inside, return the best network in eval mode.

    images: a sequence of TrainingImage; folds: the fold of each. folder: gets fold<k>.csv (the terms by epoch, in the
    loss's units) and fold<k>.safetensors; while training, fold<k>.checkpoint.pt, from which a killed run goes on to
    the same weights. A finished fold is read back. on_epoch(history) is called with the rows so far.
    Raises DivergedError when a term is NaN or infinite, InputError for a file there that cannot be read back.
    """
    finished, checkpoint = (Path(folder) / f"fold{fold}.{ending}" for ending in ("safetensors", "checkpoint.pt"))
    model = build_network(config, images[0].x.shape[1], fold)
    if finished.exists():
        return load_state(model, read_weights(finished), finished)
    run = FoldRun(model, config, fold)
    if checkpoint.exists():
        run.resume(checkpoint)
    training = [image for image, k in zip(images, folds, strict=True) if k != fold]
    watched = [image for image, k in zip(images, folds, strict=True) if k == fold]
    bar = tqdm(total=config.epochs, initial=len(run.history), desc=f"fold {fold}", unit="epoch", mininterval=1)
    with bar:
        while run.action != "stop" and len(run.history) < config.epochs:
            row = run.run_epoch(training, watched)
            run.save(checkpoint)
            bar.set_postfix({name.replace("_", " "): f"{row[name]:.3g}" for name in (*TERMS, "validation_mse")})
            bar.update()
            if on_epoch:
                on_epoch(run.history)
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


def train_folds(cubes, references, folds, config: TrainConfig, folder, on_epoch=None, only=None):
    """One network per fold, or that of the fold `only`: (Ensemble, {fold: its history}); see train_fold.

    cubes: the images to train on; references: their mean values, % w/w; folds: the fold of each.
    folder: gets a subfolder for these settings and data, so that runs with others never mix.
    """
    data = [
        f"{cube.name} {cube.values.shape} {value} {fold}"
        for cube, value, fold in zip(cubes, references, folds, strict=True)
    ]
    model = build_network(config, cubes[0].values.shape[2], 1)
    images = [TrainingImage.from_cube(model, cube, value) for cube, value in zip(cubes, references, strict=True)]
    own = Path(folder) / config.fingerprint(*data)
    chosen = sorted(set(folds)) if only is None else [only]
    with locked(own / "folds"):  # a second process waits, then reads what the first has trained
        members = [train_fold(images, folds, fold, config, own, on_epoch) for fold in chosen]
    return Ensemble(members), {fold: read_history(own, fold) for fold in chosen}


def read_history(folder, fold: int) -> dict:
    """fold<k>.csv of a finished fold -> name to (epochs,) array."""
    with open(Path(folder) / f"fold{fold}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
