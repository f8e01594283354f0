"""Weights from outside: plain tables of tensors, from a file or from the hub, with every surprise named."""

from pathlib import Path

import torch

from hsichem._base import InputError

WEIGHT_FILES = (".safetensors", ".pt", ".pth")


def from_hub(name: str) -> Path:
    """The folder of a hub repository's weights, "owner/name", downloaded once; needs the extra `hub`."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(f"{name} is no file or folder here; to fetch it: pip install 'hsichem[hub]'.") from None
    return Path(snapshot_download(name, allow_patterns=[f"*{suffix}" for suffix in WEIGHT_FILES]))


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


def check_names(path, model, state):
    """Raise InputError that lists the first names and shapes by which a state dict differs from the model's."""
    want = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    have = {name: tuple(getattr(tensor, "shape", ())) for name, tensor in state.items()}
    wrong = [
        f"{name}: {have.get(name, 'missing')}, expected {shape}"
        for name, shape in want.items()
        if have.get(name) != shape
    ]
    wrong += [f"{name}: not expected" for name in have if name not in want]
    if wrong:
        raise InputError(f"{path} does not fit the network in {len(wrong)} tensors: {'; '.join(wrong[:5])}.")
