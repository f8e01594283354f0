"""From a data set's folder to its Samples, one function for each layout of files."""

import dataclasses
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from hsichem._base import InputError, closest, few, gathered
from hsichem.cubes import SUFFIX, Cube, foreground_mask, open_cube
from hsichem.datasets.table import read_table
from hsichem.loaders import DATA_SUFFIXES, EXPORT, MASK_SUFFIXES, READERS, read_any, read_capture, read_cube, read_mask


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


def captures(folder: Path, references: dict, mask: str | float = "brightness") -> list[Sample]:
    """Captures and other images, the phantom's or a user's; find_images finds them, read_masked reads them.

    mask: what an automatic mask is found on (see foreground_mask), or "none" for every pixel.
    """
    return _samples(folder, references, lambda name, path: read_masked(folder, name, path, mask))


def stored(folder: Path, references: dict) -> list[Sample]:
    """Images of a set that was made, as models see them (see hsichem.cubes.stored), and without the camera's frames."""
    return _samples(folder, references, _open_stored)


def _open_stored(name: str, path: Path) -> Cube:
    if (cube := open_cube(path / f"{name}{SUFFIX}")) is None:
        raise InputError(f"{path}: no {name}{SUFFIX} of this version; delete {path.parent}, and the set is made anew.")
    return cube


def cubes(folder: Path, references: dict) -> list[Sample]:
    """Cubes that were made here, <id>/<id>.hdr, without masks."""
    return _samples(folder, references, lambda name, path: read_cube(path / f"{name}.hdr"))


def _samples(folder: Path, references: dict, load: Callable[[str, Path], Cube]) -> list[Sample]:
    """One for each line of the table. truth/<id>.npy is a sample's map, if it is there.

    Raises InputError that names each line at fault, and each sample without an image or with two.
    """
    table, images = read_table(folder, references), find_images(folder)
    if problems := table.problems + image_problems([row.id for row in table.rows], images, folder):
        raise InputError("\n".join(gathered(problems)))
    samples = []
    for row, split in zip(table.rows, table.splits(), strict=True):
        (image,), truth = images[row.id], partial(_map_if_there, folder / "truth", row.id)
        samples.append(Sample(row.id, split, row.group, row.values, image, partial(load, row.id, image), truth))
    return samples


def find_images(folder) -> dict[str, list[Path]]:
    """Id -> where its image lies: subfolders, and files that read_any takes. More than one is a fault.

    Subfolders called masks and truth, hidden ones, and files of other kinds are no images. Ids are in Unicode's form
    NFC, whatever form the file system keeps. Raises InputError for a folder that cannot be read.
    """
    try:
        inside = sorted(Path(folder).iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}).") from None
    found = {}
    for path in inside:
        name = path.name if path.is_dir() else path.stem
        if Path(name).suffix.lower() in DATA_SUFFIXES[1:] and not path.is_dir():  # x.raw.hdr
            name = Path(name).stem
        hidden = path.name.startswith(".") or name in ("masks", "truth")
        if not hidden and (path.is_dir() or path.suffix.lower() in (".hdr", *READERS)):
            found.setdefault(_nfc(name), []).append(path)
    return found


def holds_image(path: Path) -> bool:
    """Whether there is a file that can be an image at `path`, in it, or in its subfolder `capture`."""
    inside = [path, *path.glob("*"), *path.glob("capture/*")]
    return any(file.suffix.lower() in (".hdr", *READERS) and file.is_file() for file in inside)


def image_problems(names, images: dict[str, list[Path]], folder: Path) -> list[str]:
    """What is wrong with the images of the samples `names`, as far as one sees without reading them."""
    problems = []
    for name in names:
        if name not in images:
            problems.append(f"{name}: no capture or image of this name in the folder; {_hint(name, images, folder)}.")
        elif len(images[name]) > 1:
            files = " and ".join(path.name for path in images[name])
            problems.append(f"{name}: two images, {files}; move one away.")
    return problems


def _hint(name: str, images: dict[str, list[Path]], folder: Path) -> str:
    if other := _of_name(folder, name, EXPORT):
        return f"{other[0].name} is not of a kind that is read: {EXPORT[other[0].suffix.lower()]}"
    if zeros := [each for each in images if each.lstrip("0") == name.lstrip("0")]:
        return f"is it {zeros[0]!r}? Programs for tables drop leading zeros: format the column 'id' as text"
    if close := closest(name, images, cutoff=0.8):  # less alike are the ids of any two samples
        return f"is it {close!r}? Rename one"
    return "copy it there, or delete the line"


def drawn_masks(folder: Path, name: str) -> list[Path]:
    """The files in the folder `masks` that are a sample's mask; more than one is a fault."""
    return _of_name(folder / "masks", name, MASK_SUFFIXES)


def unused_masks(folder: Path, names) -> list[str]:
    """A sentence if there are masks in the folder `masks` that belong to none of the samples `names`."""
    of_sample = {path for name in names for path in drawn_masks(folder, name)}
    files = [path for path in sorted((folder / "masks").glob("[!.]*")) if path.suffix.lower() in MASK_SUFFIXES]
    if not (unused := [path.name for path in files if path not in of_sample]):
        return []
    return [f"{folder / 'masks'}: {few(unused)}: no sample of this name, so not used; rename or remove."]


def _of_name(folder: Path, name: str, suffixes) -> list[Path]:
    """The files of a folder called `name`, with one of these endings, in capitals or not."""
    files = sorted(folder.glob("*"))
    return [file for file in files if _nfc(file.stem) == _nfc(name) and file.suffix.lower() in suffixes]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def read_masked(folder: Path, name: str, path: Path, mask: str | float) -> Cube:
    """The image at `path` with its mask: masks/<name>.npy, .png or .hdr where there is one, else found automatically.

    Pixels that the file marks as without data are in no mask.
    """
    cube = read_any(path)
    inside = drawn_mask(folder, name, cube.values.shape[:2])
    if inside is None:
        inside = True if mask == "none" else foreground_mask(cube, mask)
    return dataclasses.replace(cube, mask=inside & cube.foreground, name=name)


def drawn_mask(folder: Path, name: str, shape: tuple) -> np.ndarray | None:
    """(rows, cols) bool of masks/<name>.npy, .png or .hdr, or None; InputError for two, or one of another shape."""
    drawn = drawn_masks(folder, name)
    if len(drawn) > 1:
        raise InputError(f"{name}: two masks, {' and '.join(file.name for file in drawn)}; keep one.")
    return read_mask(drawn[0], shape) if drawn else None


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
        load = partial(Cube, 10 ** -absorbance[row][None, None], nm, name=name)
        samples.append(Sample(name, split, name, {key: values[key] for key in references}, folder, load, _no_map))
    return samples


def jasper_ridge(folder: Path, references: dict) -> list[Sample]:
    """One scene of 100 x 100 pixels; its references are the means of the abundance maps, in %."""
    name, file = "jasper-ridge", loadmat(folder / "JasperRidge2_end4.mat")
    materials = [str(cell.item()).split("-")[1] for cell in file["cood"].ravel()]  # "1-tree", "2-water", ...
    shares = np.float32(100 * file["A"]).reshape(-1, 100, 100).transpose(0, 2, 1)  # stored column by column
    maps = dict(zip(materials, shares, strict=True))
    values = {material: float(maps[material].mean(dtype=np.float64)) for material in references}
    return [Sample(name, 0, name, values, folder, partial(_jasper_cube, folder, name), maps["water"].copy)]


def _jasper_cube(folder: Path, name: str) -> Cube:
    file = loadmat(folder / "JasperRidge2_R198.mat")
    channels = file["SlectBands"].ravel().astype(int) - 1  # counted from 1
    values = file["Y"].reshape(-1, 100, 100).transpose(2, 1, 0) / 5000  # stored column by column
    return Cube(values, np.linspace(380, 2500, 224)[channels], name=name)


def specim_fx10(folder: Path, references: dict) -> list[Sample]:
    """One capture without laboratory values. Two lines of ice have no background, so there is no mask."""
    capture = folder / "derived_specim_folder"
    return [Sample("crop128", 0, "crop128", {}, capture, partial(read_capture, capture), _no_map)]


def _map_if_there(folder: Path, name: str) -> np.ndarray | None:
    found = _of_name(folder, name, (".npy",))
    return np.load(found[0], allow_pickle=False) if found else None


def _no_map() -> None:
    return None


LAYOUTS = {
    "captures": captures,
    "cubes": cubes,
    "folder": captures,  # a user's own, with a way to find masks
    "tecator": tecator,
    "jasper-ridge": jasper_ridge,
    "specim-fx10": specim_fx10,
}
