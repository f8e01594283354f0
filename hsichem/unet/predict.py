"""A network over an image of any size: mirrored edges, tiles, bounded memory."""

import warnings

import numpy as np
import torch

from hsichem._base import InputError
from hsichem.cubes import Cube, shown_columns

ROWS = 64  # read at once


def mirrored(start: int, stop: int, size: int) -> np.ndarray:
    """Indices start..stop - 1 of a line of `size` pixels, mirrored at both ends without repeating the end pixel."""
    period = max(2 * size - 2, 1)
    index = np.abs(np.arange(start, stop)) % period
    return np.where(index < size, index, period - index)


def network_input(cube: Cube, rows, cols, look: int | None = None, out: np.ndarray | None = None):
    """(bands, H, W) float32 of what lies under rows and cols (start, stop) of the map, mirrored beyond the edges.

    look: the diagonal of each block that is hidden, if one is. out: where to write it. Of an image on disk, only some
    rows at a time are in memory beside that.
    """
    shape = cube.values.shape
    (row, col) = (mirrored(2 * start, 2 * stop, n) for (start, stop), n in zip((rows, cols), shape[:2], strict=True))
    if out is None:  # laid out as channels_last, which is faster forwards
        out = np.empty((len(row), len(col), shape[2]), np.float32).transpose(2, 0, 1)
    for start in range(0, len(row), ROWS):
        some = row[start : start + ROWS]
        shown = col[None] if look is None else shown_columns(some, col, shape, look)
        out[:, start : start + ROWS] = cube.values[some[:, None], shown].transpose(2, 0, 1)
    return out


def windows(model, side: int, tile: int | None):
    """Cut a map's side into tiles: (first, last) pixel to keep, and the (start, stop) that the network must see.

    All in map pixels, 2 input pixels each. A tile is seen with a halo as wide as its own edges can falsify, and starts
    on the pooling grid of the whole image, so that it shows what the whole image would show.
    """
    step, whole = 2**model.depth, model.fitting_size(side)
    keep = whole if tile is None else -(-tile // step) * step
    halo = step if model.margin else 7 * step  # upsampling falsifies 1 step; zeros of "same" padding 6 more
    for first in range(0, side, keep):
        start = max(first - halo, 0)
        stop = min(start + model.fitting_size(first + keep + halo - start), whole)
        yield first, min(first + keep, side), start - model.margin, stop + model.margin


def weights_channels_last(model) -> None:
    """Lay the convolutions' weights out as inference reads them; else torch does so anew for every image or tile.

    Before further training, undo it by `model.to(memory_format=torch.contiguous_format)`: training is slower on them.
    """
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.to(memory_format=torch.channels_last)


def predict_looks(model, cube: Cube, tile: int | None = None, dtype=None) -> np.ndarray:
    """(2, rows // 2, cols // 2): the map while one diagonal of each block of pixels is hidden, then the other.

    What is hidden from one look can judge it (see hsichem.maps.held_out). Arguments as of `predict_map`.
    """
    return np.stack([_predict(model, cube, tile, dtype, look) for look in (0, 1)])


def predict_map(model, cube: Cube, tile: int | None = None, dtype=None) -> np.ndarray:
    """Cube -> (rows // 2, cols // 2) float32 map of a ChemicalUNet or Ensemble, mirrored at the image's edges.

    A network that was trained on images with hidden pixels is shown such: its map is the mean of two looks.

    tile: side of the tiles in map pixels, rounded up to a multiple of 2**depth; None predicts the image whole. Tiles
    without foreground are skipped and hold NaN. dtype: torch.bfloat16 for mixed precision, None for float32.
    Tiles save memory. With align_corners=True, as published, they also change the map a little, because upsampling
    depends on the tile's size: predict whole where memory allows (both are measured in benchmarks/unet/network.py).
    Warns when the cube's wavelengths are not those that the network was trained on, where they are known.
    Raises InputError when the cube has another number of bands than the network.
    """
    if model.by_looks:
        return predict_looks(model, cube, tile, dtype).mean(axis=0)
    return _predict(model, cube, tile, dtype)


@torch.no_grad()
def _predict(model, cube: Cube, tile, dtype, look=None) -> np.ndarray:
    if cube.values.shape[2] != model.bands:
        raise InputError(f"cube {cube.name!r} has {cube.values.shape[2]} bands; the network takes {model.bands}.")
    if model.trained_nm and np.abs(cube.wavelengths[[0, -1]] - model.trained_nm).max() > 10:
        warnings.warn(
            f"cube {cube.name!r} covers {cube.wavelengths[0]:.0f}-{cube.wavelengths[-1]:.0f} nm; the network was "
            f"trained on {model.trained_nm[0]}-{model.trained_nm[1]} nm. Do not trust the map.",
            stacklevel=3,
        )
    model.eval()
    weights_channels_last(model)
    device = next(model.parameters()).device
    rows, cols = cube.values.shape[0] // 2, cube.values.shape[1] // 2
    out = np.full((rows, cols), np.nan, np.float32)
    for top, bottom, r0, r1 in windows(model, rows, tile):
        for left, right, c0, c1 in windows(model, cols, tile):
            if not cube.foreground[2 * top : 2 * bottom, 2 * left : 2 * right].any():
                continue
            x = torch.from_numpy(network_input(cube, (r0, r1), (c0, c1), look))[None].to(device)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                part = model(x)[0, 0].float().cpu().numpy()
            skip_r, skip_c = top - r0 - model.margin, left - c0 - model.margin
            out[top:bottom, left:right] = part[skip_r : skip_r + bottom - top, skip_c : skip_c + right - left]
    return out
