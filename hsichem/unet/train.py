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

from hsichem._base import locked, replacing
from hsichem.cubes import Cube, whole_blocks
from hsichem.unet.loss import PUBLISHED_WEIGHTS, TERMS, map_losses
from hsichem.unet.network import ChemicalUNet, Ensemble, PixelNetwork
from hsichem.unet.predict import mirrored, windows
from hsichem.unet.weights import check_names, read_weights


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights; the defaults are the published settings."""

    network: str = "unet"  # or "pixel": see pixelnet.py
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
    """The settings of a notebook (settings.check) as a TrainConfig, for images of this pixel pitch.

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
        (_, rows, r0, r1), (_, cols, c0, c1) = (next(windows(model, side, None)) for side in mask.shape)
        seen = np.ix_(mirrored(2 * r0, 2 * r1, cube.values.shape[0]), mirrored(2 * c0, 2 * c1, cube.values.shape[1]))
        size = [model.fitting_size(side) for side in (rows, cols)]
        mask = np.pad(mask, [(0, size[0] - rows), (0, size[1] - cols)])
        x = torch.from_numpy(cube.values[seen]).permute(2, 0, 1)[None].contiguous()
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
    return map_losses(
        prediction.float(),
        image.mask.flip(flips).to(device),
        image.reference.to(device),
        config.weights,
        config.variant,
        model.parameters(),
        config.pitch_mm,
    )


def train_fold(images, folds, fold: int, config: TrainConfig, folder, on_epoch=None) -> ChemicalUNet:
    """Train on every image outside `fold`, watch the MSE on those inside, return the best network in eval mode.

    images: a sequence of TrainingImage; folds: the fold of each. folder: gets fold<k>.csv (the terms by epoch, in the
    loss's units) and fold<k>.safetensors; while training, fold<k>.checkpoint.pt, from which a killed run goes on to
    the same weights. A finished fold is read back. on_epoch(history) is called with the rows so far.
    Raises DivergedError when a term is NaN or infinite.
    """
    folder = Path(folder)
    finished, checkpoint = folder / f"fold{fold}.safetensors", folder / f"fold{fold}.checkpoint.pt"
    model = build_network(config, images[0].x.shape[1], fold)
    if finished.exists():
        state = read_weights(finished)
        check_names(finished, model, state)
        model.load_state_dict(state)
        return model.eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    training = [i for i, k in enumerate(folds) if k != fold]
    watched = [i for i, k in enumerate(folds) if k == fold]
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    schedule, history, best, action = Schedule(config), [], None, "wait"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.best, schedule.waited = saved["schedule"]
        history, best, action = saved["history"], saved["best"], saved["action"]
    with tqdm(total=config.epochs, initial=len(history), desc=f"fold {fold}", unit="epoch", mininterval=1) as bar:
        for epoch in range(len(history) + 1, config.epochs + 1):
            if action == "stop":
                break
            rng = np.random.default_rng([config.seed, fold, epoch])  # no state to save: a resumed epoch draws the same
            sums = dict.fromkeys((*TERMS, "total"), 0.0)
            model.train()
            for i in rng.permutation(training):
                losses = image_losses(model, images[i], config, [axis for axis in (2, 3) if rng.random() < 0.5])
                optimizer.zero_grad()
                losses["total"].backward()
                optimizer.step()
                for name, value in losses.items():
                    sums[name] += value.item() / len(training)
                    if not math.isfinite(sums[name]):
                        raise DivergedError(f"fold {fold}, epoch {epoch}: the loss term {name!r} is {sums[name]}.")
            model.eval()
            with torch.no_grad():
                watched_mse = np.mean([image_losses(model, images[i], config)["mse"].item() for i in watched])
            if not math.isfinite(watched_mse):
                raise DivergedError(f"fold {fold}, epoch {epoch}: the validation MSE is {watched_mse}.")
            rate = optimizer.param_groups[0]["lr"]
            history.append({"epoch": epoch, **sums, "validation_mse": float(watched_mse), "learning_rate": rate})
            action = schedule.step(epoch, float(watched_mse))
            if action == "better":
                best = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
            elif action == "drop":
                model.load_state_dict(best["model"])
                optimizer.load_state_dict(copy.deepcopy(best["optimizer"]))
                for group in optimizer.param_groups:
                    group["lr"] = max(rate / 10, config.lowest_rate)
            saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": best, "action": action}
            saved |= {"schedule": (schedule.best, schedule.waited), "history": history}
            memory = io.BytesIO()  # to a file directly, a full disk would be a RuntimeError about "unexpected pos"
            torch.save(saved, memory)
            with replacing(checkpoint) as part:
                part.write_bytes(memory.getbuffer())
            bar.set_postfix({name: f"{sums[name]:.3g}" for name in TERMS} | {"validation mse": f"{watched_mse:.3g}"})
            bar.update()
            if on_epoch:
                on_epoch(history)
    model.load_state_dict(best["model"])
    model.to("cpu").eval()
    with replacing(folder / f"fold{fold}.csv") as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0])
        writer.writeheader()
        writer.writerows(history)
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
