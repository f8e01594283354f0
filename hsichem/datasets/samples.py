"""From a data set's folder to its Samples, one function for each layout of files."""

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from hsichem._base import InputError
from hsichem.cubes import Cube, foreground_mask
from hsichem.datasets.table import Table, read_table
from hsichem.loaders import DATA_SUFFIXES, MASK_SUFFIXES, READERS, read_any, read_capture, read_cube, read_mask


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
    """Samples listed in the folder's references table (see hsichem.datasets.table); without a split column, dealt.

    load: called with the sample's place, the folder of its id. truth/<id>.npy is its map, if it is there.
    Raises InputError that names the line of each value that is missing or wrong.
    """
    table = read_table(folder, references)
    if table.problems:
        raise InputError("\n".join(table.problems))
    places = {row.id: folder / row.id for row in table.rows}
    return _samples(folder, table, places, {name: partial(load, place) for name, place in places.items()})


def own_folder(folder: Path, references: dict, mask: str | float) -> list[Sample]:
    """A user's captures and images: find_images says what they are, load_own where masks come from.

    mask: what an automatic mask is found on (see foreground_mask), or "none" for every pixel.
    Raises InputError that names each line at fault, and each sample without an image or with two.
    """
    table, images = read_table(folder, references), find_images(folder)
    problems = table.problems + [problem for row in table.rows if (problem := image_problem(row.id, images))]
    if problems:
        raise InputError("\n".join(problems))
    loads = {row.id: partial(load_own, folder, row.id, images[row.id][0], mask) for row in table.rows}
    return _samples(folder, table, {row.id: images[row.id][0] for row in table.rows}, loads)


def find_images(folder) -> dict[str, list[Path]]:
    """Id -> where its image lies: subfolders, and files that read_any takes. More than one is a fault.

    Subfolders called masks and truth, hidden ones, and files of other kinds are no images. Raises InputError for a
    folder that cannot be read.
    """
    try:
        inside = sorted(Path(folder).iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}).") from None
    found = {}
    for path in inside:
        name = path.name
        if path.is_file():
            if path.suffix.lower() not in (".hdr", *READERS):
                continue
            name = path.stem
            if Path(name).suffix.lower() in DATA_SUFFIXES[1:]:  # x.raw.hdr
                name = Path(name).stem
        if not path.name.startswith(".") and name not in ("masks", "truth"):
            found.setdefault(name, []).append(path)
    return found


def image_problem(name: str, images: dict[str, list[Path]]) -> str | None:
    """What is wrong with the image of the sample `name`, as far as one sees without reading it."""
    if name not in images:
        close = difflib.get_close_matches(name, images, 1, cutoff=0.8)
        hint = f"is it {close[0]!r}? Rename one" if close else "copy it there, or delete the line"
        return f"{name}: no capture or image of this name in the folder; {hint}."
    if len(images[name]) > 1:
        return f"{name}: two images, {' and '.join(path.name for path in images[name])}; move one away."
    return None


def load_own(folder: Path, name: str, path: Path, mask: str | float) -> Cube:
    """The image at `path` with its mask: masks/<name>.npy, .png or .hdr where there is one, else found automatically.

    Pixels that the file marks as without data are in no mask.
    """
    cube = read_any(path)
    given = [folder / "masks" / f"{name}{suffix}" for suffix in MASK_SUFFIXES]
    given = [file for file in given if file.is_file()]
    if len(given) > 1:
        raise InputError(f"{name}: two masks, {' and '.join(file.name for file in given)}; keep one.")
    if given:
        inside = read_mask(given[0], cube.values.shape[:2])
    elif mask == "none":
        inside = cube.foreground
    else:
        inside = foreground_mask(cube, mask)
    return dataclasses.replace(cube, mask=inside & cube.foreground, name=name)


def _samples(folder: Path, table: Table, places: dict, loads: dict) -> list[Sample]:
    return [
        Sample(
            row.id, split, row.group, row.values, places[row.id], loads[row.id],
            partial(_map_if_there, folder / "truth" / f"{row.id}.npy"),
        )
        for row, split in zip(table.rows, table.splits(), strict=True)
    ]  # fmt: skip


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
    return [Sample("crop128", 0, "crop128", {}, capture, partial(read_capture, capture), _no_map)]


def _load_capture(folder: Path) -> Cube:
    cube = read_capture(folder)
    return dataclasses.replace(cube, mask=foreground_mask(cube) & cube.foreground)


def _load_cube(folder: Path) -> Cube:
    return read_cube(folder / f"{folder.name}.hdr")


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
    "folder": own_folder,
    "tecator": tecator,
    "jasper-ridge": jasper_ridge,
    "specim-fx10": specim_fx10,
}
