"""From a data set's folder to its Samples, one function for each layout of files."""

import csv
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from hsichem import envi
from hsichem.cube import Cube, InputError
from hsichem.masks import foreground_mask


@dataclass(frozen=True)
class Sample:
    """One image with its laboratory values.

    split: 0 is the fixed test set, 1 to 5 are the cross-validation folds. group: what must not be split (the animal).
    references: name -> value. folder: where its files lie.
    load() -> Cube with its mask; truth() -> (rows, cols) float32 map of the response, or None where nobody knows it.
    """

    id: str
    split: int
    group: str
    references: dict[str, float]
    folder: Path
    load: Callable[[], Cube]
    truth: Callable[[], np.ndarray | None]


def from_table(folder: Path, references: dict, load: Callable) -> list[Sample]:
    """Samples listed in references.csv: columns id, split, `group` or `animal` if any, and one for each reference.

    Each sample has a folder of its id; truth/<id>.npy is its map, if it is there.
    Raises InputError that names the line of a value that is missing or wrong.
    """
    path = folder / "references.csv"
    if not path.is_file():
        raise InputError(f"{path}: missing; a data set needs this table of its samples.")
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or []
    if absent := [column for column in ("id", "split", *references) if column not in columns]:
        raise InputError(f"{path}: no column {absent[0]!r}; found {', '.join(columns)}.")
    group = next(column for column in ("group", "animal", "id") if column in columns)
    samples = {}
    for line, row in enumerate(rows, start=2):
        try:
            split, values = int(row["split"]), {name: float(row[name]) for name in references}
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, line {line}: {error}; expected a whole split and numbers.") from None
        if not 0 <= split <= 5 or not all(map(math.isfinite, values.values())):
            raise InputError(f"{path}, line {line}: split {split}, {values}; expected 0 to 5 and finite numbers.")
        name = row["id"]
        if not name or name in samples or Path(name).name != name:
            raise InputError(f"{path}, line {line}: id {name!r} is given twice or is no plain folder name.")
        truth = partial(_map_if_there, folder / "truth" / f"{name}.npy")
        samples[name] = Sample(name, split, row[group], values, folder / name, partial(load, folder / name), truth)
    if not samples:
        raise InputError(f"{path}: no samples in it.")
    return list(samples.values())


def tecator(folder: Path, references: dict) -> list[Sample]:
    """Each distinct meat sample as a cube of one pixel: transmittance 10^-A at 100 wavelengths."""
    table = np.loadtxt(folder / "tecator.csv", delimiter=",", skiprows=1)
    absorbance, laboratory = table[:, :100], table[:, 122:125]  # between them: principal components
    _, first = np.unique(np.hstack([absorbance, laboratory]), axis=0, return_index=True)
    nm = np.linspace(850, 1050, 100)
    samples = []
    for row in np.sort(first):  # a repeated row counts where it stands first, so none is on both sides of the split
        name = f"tecator{row:03d}"
        split = 0 if row >= 172 else len(samples) % 5 + 1  # StatLib: 172 on are test and extrapolation
        values = dict(zip(("water", "fat", "protein"), laboratory[row].tolist(), strict=True))
        load = partial(Cube, 10 ** -absorbance[row][None, None], nm, None, None, name)
        samples.append(Sample(name, split, name, {key: values[key] for key in references}, folder, load, _no_map))
    return samples


def jasper_ridge(folder: Path, references: dict) -> list[Sample]:
    """One scene of 100 x 100 pixels; its references are the means of the abundance maps, in %."""
    maps = _jasper_maps(folder)
    values = {name: float(maps[name].mean(dtype=np.float64)) for name in references}
    load, truth = partial(_jasper_cube, folder), partial(_jasper_water, folder)
    return [Sample("jasper-ridge", 0, "jasper-ridge", values, folder, load, truth)]


def specim_fx10(folder: Path, references: dict) -> list[Sample]:
    """One capture without laboratory values. Two lines of ice have no background, so there is no mask."""
    capture = folder / "derived_specim_folder"
    return [Sample("crop128", 0, "crop128", {}, capture, partial(envi.read_capture, capture), _no_map)]


def _load_capture(folder: Path) -> Cube:
    cube = envi.read_capture(folder)
    return dataclasses.replace(cube, mask=foreground_mask(cube) & cube.foreground)


def _load_cube(folder: Path) -> Cube:
    return envi.read_cube(folder / f"{folder.name}.hdr")


def _map_if_there(path: Path) -> np.ndarray | None:
    return np.load(path, allow_pickle=False) if path.is_file() else None


def _no_map() -> None:
    return None


def _jasper_cube(folder: Path) -> Cube:
    file = loadmat(folder / "JasperRidge2_R198.mat")
    channels = file["SlectBands"].ravel().astype(int) - 1  # counted from 1
    values = file["Y"].reshape(-1, 100, 100).transpose(2, 1, 0) / 5000  # stored column by column
    return Cube(values, np.linspace(380, 2500, 224)[channels], None, None, "jasper-ridge")


def _jasper_maps(folder: Path) -> dict[str, np.ndarray]:
    file = loadmat(folder / "JasperRidge2_end4.mat")
    names = [str(cell.item()).split("-")[1] for cell in file["cood"].ravel()]  # "1-tree", "2-water", ...
    shares = file["A"].reshape(-1, 100, 100).transpose(0, 2, 1)
    return {name: np.float32(100 * share) for name, share in zip(names, shares, strict=True)}


def _jasper_water(folder: Path) -> np.ndarray:
    return _jasper_maps(folder)["water"]


LAYOUTS = {
    "captures": partial(from_table, load=_load_capture),
    "cubes": partial(from_table, load=_load_cube),
    "tecator": tecator,
    "jasper-ridge": jasper_ridge,
    "specim-fx10": specim_fx10,
}
