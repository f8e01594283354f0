"""Weights from outside, as plain tables of tensors from a file or the hub, and images as they were trained on."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import torch

from hsichem._base import InputError
from hsichem.cubes import Cube, crop_and_bin
from hsichem.unet.network import KERNEL_BANDS, ChemicalUNet, Ensemble

TRAINED_NM = (750, 1015)  # wavelengths of the published training images
WEIGHT_FILES = (".safetensors", ".pt", ".pth")


def from_hub(name: str) -> Path:
    """The folder of a hub repository's weights, "owner/name", downloaded once; needs the extra `hub`."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(f"{name} is not a local file or folder; to download it: pip install 'hsichem[hub]'.") from None
    try:
        return Path(snapshot_download(name, allow_patterns=[f"*{suffix}" for suffix in WEIGHT_FILES]))
    except (OSError, ValueError) as error:  # the hub's own kinds are these
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name} is not a local file or folder, and the hub does not give it: {reason}") from None


def read_weights(path: Path) -> dict:
    """A file of tensors -> dict of name to tensor. Raises InputError; nothing in the file is executed."""
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected weights as .safetensors or .pt.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has its own kinds of error; none of them is the user's to untangle
        reason = str(error).splitlines()[0]
        if "Weights only load failed" in reason:  # torch goes on to say how to load it all the same
            reason = "it holds more than tensors, and reading that could run code. Ask for the state dict alone"
        raise InputError(f"{path} cannot be read as a plain table of weights: {reason}.") from error


def load_state(model, state: dict, path):
    """The model with the weights of a state dict, in eval mode. Raises InputError as `check_state` does."""
    check_state(model, state, path)
    model.load_state_dict(state)
    return model.eval()


def check_state(model, state: dict, path) -> None:
    """Raises InputError that names path and the first names and shapes by which a state dict is not the model's."""
    want = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    have = {name: tuple(getattr(tensor, "shape", ())) for name, tensor in state.items()}
    differ = {name: shape for name, shape in want.items() if have.get(name) != shape}
    wrong = [f"{name}: {have.get(name, 'missing')}, expected {shape}" for name, shape in differ.items()]
    wrong += [f"{name}: not expected" for name in have if name not in want]
    if wrong:
        raise InputError(f"{path} does not fit the network in {len(wrong)} tensors: {'; '.join(wrong[:5])}.")


def load_published(path):
    """Weights under the published names -> ChemicalUNet in eval mode, or an Ensemble for a folder of files.

    path: a .safetensors file, a .pt file (read with weights_only=True: pickled objects are refused), a folder of them,
    or a hub repository as "Sm00thix/unet_chemical_map" (extra `hub`). Bands, width and depth are read from the shapes;
    padding is "valid", as published. predict_map warns of cubes beyond the wavelengths it was trained on.
    Raises InputError on a file that is neither, holds other names or shapes, or an empty folder.
    """
    if re.fullmatch(r"[\w-]+/[\w.-]+", str(path)) and not Path(path).exists():
        path = from_hub(str(path))
    path = Path(path)
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix in WEIGHT_FILES)
        if not files:
            raise InputError(f"{path} holds no .safetensors or .pt file; expected one file per network.")
        return Ensemble([load_published(f) for f in files]).eval()
    state = read_weights(path)
    try:
        width, channels = state["models.1.first_convs.0.weight"].shape[:2]
    except (KeyError, ValueError):
        raise InputError(
            f"{path} has no first layer models.1.first_convs.0.weight; it holds {sorted(state)[:3]}..."
        ) from None
    depth = sum(name.startswith("models.1.contraction") and name.endswith("0.weight") for name in state)
    model = ChemicalUNet(channels + KERNEL_BANDS - 1, width, max(depth, 1))
    model.trained_nm = TRAINED_NM if model.bands == 62 else None  # other band counts are not the published training
    return load_state(model, state, path)


def published_input(cube: Cube, rows: int = 1992, cols: int = 904) -> Cube:
    """A capture of 300 bands as the published network reads it: (rows, cols, 62) reflectance.

    Bands 176 and on, averaged in pairs, and the image set in the middle of a frame filled with the mean spectrum of its
    left and right columns. Mirrored by 184 pixels on every side, which predict_map does, the frame has the
    published 2360 x 1272 pixels. (Facts from the authors' code; that the image stands in the middle is our choice.)
    The fill is not in the mask. Raises InputError when the cube has other than 300 bands, or is larger than the frame.
    """
    if cube.values.shape[2] != 300 or cube.values.shape[0] > rows or cube.values.shape[1] > cols:
        raise InputError(f"cube {cube.name!r} has shape {cube.values.shape}; expected at most ({rows}, {cols}, 300).")
    small = crop_and_bin(cube, (cube.wavelengths[176], None), 2)
    top, left = ((side - n) // 2 for side, n in zip((rows, cols), small.values.shape, strict=False))
    place = slice(top, top + small.values.shape[0]), slice(left, left + small.values.shape[1])
    values = np.empty((rows, cols, 62), np.float32)
    values[:] = small.values[:, [0, -1]].mean(axis=(0, 1), dtype=np.float64)
    values[place] = small.values
    mask = np.zeros((rows, cols), bool)
    mask[place] = small.foreground
    return dataclasses.replace(small, values=values, mask=mask)
