"""A model's folder: model.json for people and programs, arrays in .safetensors. Nothing in it can run code."""

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import load, save

from hsichem import __version__
from hsichem._base import InputError, replacing, short
from hsichem.cubes import NoiseScale, make_pipeline
from hsichem.lab.results import folder_name
from hsichem.maps import Tuned
from hsichem.pls import LinearModel, PLSModel

FORMAT = 1  # raised when an older hsichem could misread what a newer one writes
HANDED_OVER, LINEAR = "model.json", "linear.safetensors"
PARTS = "linear", "reader", "guard"  # linear models of a Model
PACKAGES = "numpy", "scipy", "scikit-learn", "chemotools", "ikpls", "torch"
FACTS = ("response", "unit", "wavelengths", "crop_nm", "bin", "mask", "pitch_mm", "reflectance", "references")
FACTS += ("colour_limits", "data", "metrics", "mean_errors")


def write_folder(folder: Path, model) -> Path:
    """models/<method>/ of a results folder, from a hsichem.lab.models.Model."""
    arrays, linear = {}, {}
    for name in PARTS:
        if each := getattr(model, name):
            linear[name], own = _unmade(each)
            arrays |= {f"{name}.{key}": np.array(array, order="C") for key, array in own.items()}
    if model.limits is not None:
        arrays["guard.limits"] = np.array(model.limits, np.float64)
    if model.scale:
        arrays |= {"scale.centre": model.scale.centre, "scale.noise": model.scale.noise}
    files = {LINEAR: save(arrays)}
    for number, network in enumerate(model.networks, start=1):
        files[_member(number)] = _weights(network)
    record = {
        "format": FORMAT,
        "method": model.method,
        **{key: model.facts[key] for key in FACTS},
        "linear": linear,
        "filter": model.tuned and dataclasses.asdict(model.tuned),
        "network": model.config and dataclasses.asdict(model.config),
        "members": len(model.networks),
        "weight": model.weight,
        "versions": {"hsichem": __version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    record = json.loads(json.dumps(record, allow_nan=False, default=lambda number: number.item()))
    record["checksum"] = _checksum(record, files)
    place = folder / "models" / folder_name(model.method)
    for name, content in files.items():
        with replacing(place / name) as part:
            part.write_bytes(content)
    with replacing(place / HANDED_OVER) as part:  # last: a folder that is not whole does not pass for one
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return place


def read_folder(folder: Path) -> dict:
    """The arguments of a Model. Raises InputError for a folder that a newer hsichem wrote, or that was changed."""
    try:
        record = json.loads(_read(folder / HANDED_OVER))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{folder / HANDED_OVER} is not valid JSON ({error}); copy the model's folder again."
        ) from None
    version = record.get("format") if isinstance(record, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{folder / HANDED_OVER} is no model of hsichem: 'format' is {short(version)}, not a number.")
    if version > FORMAT:
        raise InputError(
            f"{folder} was written by a newer hsichem (model format {version}; this one reads up to {FORMAT}); "
            "update: pip install --upgrade hsichem."
        )
    members = record.get("members")
    names = [LINEAR, *map(_member, range(1, 1 + members if members in range(1000) else 1))]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise InputError(f"{folder}: {', '.join(missing)} missing; copy the model's folder as a whole.")
    files = {name: _read(folder / name) for name in names}
    stated = record.pop("checksum", None)
    if stated != (found := _checksum(record, files)):
        raise InputError(
            f"{folder}: its files were changed after they were written: their sha256 is {found[:12]}..., "
            f"{HANDED_OVER} states {short(stated)[:14]}... Copy the model again from where it was made."
        )
    try:
        return _remade(record, files, folder) | {"checksum": stated}
    except InputError:
        raise
    except Exception as error:  # whatever a record of the right checksum and the wrong content makes us stumble over
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{folder} does not describe a model ({reason}); make it again with save_model.") from None


def sha256_of_weights(network) -> str:
    """Of a network's names and weights, whatever file they came from."""
    return hashlib.sha256(_weights(network)).hexdigest()


def _remade(record, files, folder):
    arrays = load(files[LINEAR])

    def own(name):
        return {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{name}.")}

    made = {"method": record["method"], "facts": {key: record[key] for key in FACTS}, "weight": record["weight"]}
    made |= {name: _linear(own(name), **settings) for name, settings in record["linear"].items() if name in PARTS}
    if record["filter"]:
        made["tuned"] = Tuned(**record["filter"])
    if "guard.limits" in arrays:
        made["limits"] = tuple(arrays["guard.limits"].tolist())
    if "scale.centre" in arrays:
        made["scale"] = NoiseScale(**own("scale"))
    if record["members"]:
        made |= _networks(record, files, folder)
    return made


def _networks(record, files, folder):
    import torch
    from safetensors.torch import load as load_tensors

    from hsichem.unet import TrainConfig, build_network, check_state, load_state

    config, bands, networks = TrainConfig(**record["network"]), len(record["wavelengths"]), []
    for name in map(_member, range(1, 1 + record["members"])):
        state = load_tensors(files[name])
        with torch.device("meta"):  # without memory for what the file may only claim to hold
            check_state(build_network(config, bands, 1), state, folder / name)
        networks.append(load_state(build_network(config, bands, 1), state, folder / name))
    return {"config": config, "networks": tuple(networks)}


def _weights(network) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def _member(number: int) -> str:
    return f"member{number}.safetensors"


def _unmade(model: LinearModel):
    """(settings, arrays) of a LinearModel; of PLS also what T2 and Q need."""
    settings = {"preprocessing": model.preprocessing}
    arrays = {"coefficients": model.coefficients, "intercept": np.array(model.intercept, np.float64)}
    for step in _learned(model.pipeline):
        arrays["msc_reference"] = step.reference_
    if isinstance(model, PLSModel):
        settings["components"] = count = model.n_components
        fitted = model.fitted
        # a row for each component, as ikpls has them in memory: the same sums in the same order
        arrays |= {"rotations": fitted.R.T[:count], "loadings": fitted.P.T[:count], "scores": fitted.T.T[:count]}
        arrays["mean"] = fitted.X_mean
    return settings, arrays


def _linear(arrays, preprocessing, components=None) -> LinearModel:
    coefficients, intercept = arrays["coefficients"], arrays["intercept"][()]
    # only MSC learns, and from one spectrum it learns that spectrum
    pipeline = make_pipeline(preprocessing).fit(np.linspace([1, 2], [2, 4], len(coefficients), axis=1))
    for step in _learned(pipeline):
        step.fit(arrays["msc_reference"][None])
    if components is None:
        # a float and a float64 round differently when added to float32, and a map is to be the same
        return LinearModel(pipeline, coefficients, float(intercept), preprocessing)
    turned = {key: arrays[name].T for key, name in (("R", "rotations"), ("P", "loadings"), ("T", "scores"))}
    fitted = SimpleNamespace(**turned, X_mean=arrays["mean"])
    return PLSModel(pipeline, coefficients, intercept, preprocessing, components, fitted)


def _learned(pipeline):
    return [step for _, step in pipeline.steps if hasattr(step, "reference_")]


def _checksum(record: dict, files: dict[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(files):
        digest.update(name.encode() + hashlib.sha256(files[name]).digest())
    return digest.hexdigest()
