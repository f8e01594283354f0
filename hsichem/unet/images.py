"""Images as the training loop reads them: anew for each step, one step ahead, so that two are in memory, not all."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from hsichem.cubes import Cube, diagonal_mean, whole_blocks
from hsichem.unet.predict import network_input, windows


@dataclass(frozen=True)
class TrainingImage:
    """What the loop needs of an image; its pixels are read anew for each step (see `gathered`).

    cube: on disk or in memory; rows, cols: (start, stop) of the map that the network is shown; mask (1, 1, h, w) on
    the map's grid; reference (1,). For the held-out term: readings (2, 1, h, w), what is read in the pixels of each
    diagonal while they are hidden, and noise (1,).
    """

    cube: Cube
    rows: tuple[int, int]
    cols: tuple[int, int]
    mask: torch.Tensor
    reference: torch.Tensor
    readings: torch.Tensor | None = None
    noise: torch.Tensor | None = None

    @classmethod
    def from_cube(cls, model, cube: Cube, reference: float):
        """A cube, mirrored to a size the network can take; mirrored pixels stay out of the mask."""
        mask = whole_blocks(cube.foreground)
        rows, cols = (next(windows(model, side, None))[2:] for side in mask.shape)
        mask = np.pad(mask, [(0, model.fitting_size(side) - side) for side in mask.shape])
        reference = torch.tensor([reference], dtype=torch.float32)
        return cls(cube, rows, cols, torch.from_numpy(mask)[None, None], reference)

    def with_reading(self, reading: np.ndarray):
        """The image with a (rows, cols) map of an unbiased linear model, for the held-out term."""
        inside = whole_blocks(self.cube.foreground)
        hidden = [diagonal_mean(np.nan_to_num(reading), diagonal) for diagonal in (0, 1)]
        noise = np.sqrt(np.mean((hidden[0] - hidden[1])[inside] ** 2) / 2)
        pad = [(0, large - small) for large, small in zip(self.mask.shape[2:], inside.shape, strict=True)]
        readings = torch.from_numpy(np.stack([np.pad(each, pad) for each in hidden]))[:, None]
        return replace(self, readings=readings.float(), noise=torch.tensor([noise], dtype=torch.float32))

    @property
    def x(self) -> torch.Tensor:
        """(1, bands, H, W) with nothing hidden."""
        return gathered([self])["x"]

    @property
    def looks(self) -> tuple:
        """The diagonals that are hidden, one at a time; None where none is."""
        return (None,) if self.readings is None else (0, 1)


def gathered(images: list[TrainingImage], flips=(), look: int | None = None) -> dict[str, torch.Tensor]:
    """Images of one size, flipped along `flips` (2 rows, 3 columns), with one diagonal hidden if look names it.

    x (B, bands, H, W), mask (B, 1, h, w), reference (B,); with a look reading (B, 1, h, w) and noise (B,).
    """
    (rows, cols), bands = (images[0].rows, images[0].cols), images[0].cube.values.shape[2]
    x = np.empty((len(images), bands, 2 * (rows[1] - rows[0]), 2 * (cols[1] - cols[0])), np.float32)
    for image, out in zip(images, np.flip(x, flips), strict=True):  # a view: what is written into it is flipped
        network_input(image.cube, image.rows, image.cols, look, out)
    batch = {"x": torch.from_numpy(x), "mask": torch.cat([image.mask for image in images]).flip(flips)}
    batch["reference"] = torch.cat([image.reference for image in images])
    if look is not None:
        batch["reading"] = torch.cat([image.readings[look : look + 1] for image in images]).flip(flips)
        batch["noise"] = torch.cat([image.noise for image in images])
    if torch.cuda.is_available():  # from pinned memory it is copied to the device while that computes
        batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
    return batch


def prefetched(calls):
    """The result of each call, in order: while one is used, a thread makes the next. Close it to end the thread."""
    reader, waiting = ThreadPoolExecutor(1, "prefetch"), None
    try:
        for call in calls:
            ready, waiting = waiting, reader.submit(call)
            if ready:
                yield ready.result()
        if waiting:
            yield waiting.result()
    finally:
        reader.shutdown(cancel_futures=True)
