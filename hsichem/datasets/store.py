"""Data sets: from the manifest to a Dataset of Samples; making, fetching and verifying them in one cache folder."""

import hashlib
import io
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pooch

from hsichem._base import InputError, locked, refused
from hsichem.cubes import Cube, crop_and_bin
from hsichem.datasets import manifest, own
from hsichem.datasets.makers import mosaic, phantom
from hsichem.datasets.samples import LAYOUTS, Sample

pooch.get_logger().setLevel("WARNING")  # its messages would put the machine's paths into notebooks


@dataclass(frozen=True)
class Dataset:
    """The samples of one manifest entry, with what preprocessing needs to know of them (crop_nm, bin)."""

    name: str
    title: str
    samples: list[Sample]
    response: str | None
    unit: str
    crop_nm: tuple | None
    bin: int
    entry: dict

    @property
    def colour_limits(self) -> tuple[float, float]:
        """Of a colour scale for maps: from 0 to twice the highest reference, rounded up to 1, 2 or 5; at most 100."""
        highest = 2 * max((sample.references[self.response] for sample in self.samples if self.response), default=50)
        steps = (digit * 10.0**power for power in range(-3, 2) for digit in (1, 2, 5))
        return 0.0, next((step for step in steps if step >= highest), 100.0)

    def cube(self, sample: Sample) -> Cube:
        """A sample's image as the models see it: calibrated, cropped to crop_nm, bands averaged in bins."""
        return crop_and_bin(sample.load(), self.crop_nm, self.bin)

    def describe(self) -> str:
        """Several lines: title, what it teaches, counts, shape, wavelengths, units, licence, citation, doubts."""
        cube = self.samples[0].load()
        counts = Counter(sample.split for sample in self.samples)
        lines = [
            f"{self.name}: {self.title}",
            self.entry["teaches"],
            f"samples: {len(self.samples)} ({', '.join(f'split {key}: {counts[key]}' for key in sorted(counts))})",
            f"splits: {self.entry['splits']}",
            "first sample: {} rows x {} columns x {} bands".format(*cube.values.shape)
            + f", {cube.wavelengths[0]:.0f}-{cube.wavelengths[-1]:.0f} nm",
            f"values: {self.entry['units']}",
            "references: " + (", ".join(f"{k} ({unit})" for k, unit in self.entry["references"].items()) or "none"),
            f"licence: {self.entry['licence']}",
            f"citation: {self.entry['citation']}",
            *(f"doubt: {doubt}" for doubt in self.entry["doubts"]),
        ]
        return "\n".join(lines)


def read_manifest(root=None) -> dict:
    """All entries of data_manifest.yaml, and the user's own (see add), checked.

    In the repository data_manifest.yaml stands at the root, installed in the package.
    """
    package = Path(__file__).parents[1]
    places = [package.parent / "data_manifest.yaml", package / "data_manifest.yaml"]
    known = manifest.read(next(place for place in places if place.is_file() or place == places[-1]))
    return known | own.read_entries(_cache(root), known)


def add(folder, name: str, response=None, unit=None, mask="brightness", root=None) -> dict:
    """Give the captures in `folder` a name, under which they are opened like any other data set; returns the entry.

    response: a column of its references table, None for the first; unit: of the response, if its heading has none.
    mask: "brightness", "pca", a wavelength in nm (see masks.foreground_mask), or "none" for every pixel.
    Raises InputError for what own.make_entry refuses, and for a name that another data set has.
    """
    folder, known = Path(folder).resolve(), read_manifest(root)
    if name in known and known[name].get("folder") != str(folder):
        raise InputError(f"a data set {name!r} is there already: {known[name]['title']}. Choose another name.")
    entry = own.make_entry(folder, name, response, unit, mask)
    own.write_entry(_cache(root), name, entry)
    return entry


def open_dataset(name: str, root=None, size=None) -> Dataset:
    """Open a data set by its name in the manifest; it is made or fetched first if it is not in the cache.

    root: cache folder (default: HSICHEM_DATA, else the platform's user cache). size: for made sets, e.g. "lesson"; the
    others have one size, and none is looked for.
    Raises InputError for an unknown name or size, and when files cannot be fetched or do not fit together.
    """
    entry = _entry(name, root)
    if "recipe" in entry:
        folder = make(name, root, size)
    elif "folder" in entry:
        folder = own.checked_folder(name, entry)
    else:
        fetch(name, root)
        folder = _cache(root) / name
    samples = _samples(entry, folder)
    unit = entry["references"].get(entry["response"], "")
    bands = entry["bin"] if isinstance(entry["bin"], int) else entry["bin"][_size(name, entry, size)]
    crop = tuple(entry["crop_nm"]) if entry["crop_nm"] else None
    return Dataset(name, entry["title"], samples, entry["response"], unit, crop, bands, entry)


def make(name: str, root=None, size=None) -> Path:
    """Make a data set by its recipe, unless the cache has it; returns its folder. Whole or absent, never half."""
    entry = _entry(name, root)
    folder = _made_folder(name, entry, root, size)
    if folder.is_dir():
        return folder
    knobs, seed = entry["recipe"]["sizes"][_size(name, entry, size)], entry["recipe"]["seed"]
    fetch(name, root)
    making = folder.with_name(f".making-{folder.name}")
    with locked(folder):
        if folder.is_dir():  # another process made it while this one waited
            return folder
        try:
            shutil.rmtree(making, ignore_errors=True)  # a killed process left it
            making.mkdir()
            if entry["recipe"]["maker"] == "mosaic":
                mosaic.make(making, knobs, seed, _cache(root) / name)
            else:
                phantom.make(making, knobs, seed)
            os.replace(making, folder)
        except OSError as error:
            raise refused(folder, error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def fetch(name: str, root=None) -> list[Path]:
    """Bring a data set's files into the cache and check them; from the folder HSICHEM_DATA_MIRROR first, if set.

    Raises InputError when a file cannot be had or its checksum is not the manifest's; nothing is kept of it then.
    """
    entry, folder = _entry(name, root), _cache(root) / name
    if "folder" in entry:
        raise InputError(f"{name} is your own folder, {entry['folder']}; there is nothing to fetch or make.")
    paths = [folder / file["path"] for file in entry["files"]]
    sums = [file["sha256"] for file in entry["files"]]
    if any(not path.is_file() or pooch.file_hash(path) != sha256 for path, sha256 in zip(paths, sums, strict=True)):
        with locked(folder):
            for left in folder.rglob("tmp????????"):  # pooch's, of a killed process
                if left not in paths:
                    left.unlink()
            for file in entry["files"]:
                fetch_file(name, file, folder)
    return paths


def verify(name: str, root=None, size=None) -> list[str]:
    """Every problem found: missing files, wrong checksums, and for made sets captures and truths that do not fit."""
    entry, problems = _entry(name, root), []
    for file in entry["files"] if "folder" not in entry else ():
        path = _cache(root) / name / file["path"]
        if not path.is_file():
            problems.append(f"{path}: missing; run `hsichem data fetch {name}`.")
        elif (found := pooch.file_hash(path)) != file["sha256"]:
            problems.append(f"{path}: sha256 is {found}, expected {file['sha256']}; delete it and fetch again.")
    if problems:
        return problems
    folder = _made_folder(name, entry, root, size) if "recipe" in entry else _cache(root) / name
    try:
        if "folder" in entry:
            folder = own.checked_folder(name, entry)
        elif not folder.is_dir():
            return [f"{folder}: missing; run `hsichem data make {name}`."]
        samples = _samples(entry, folder)
    except InputError as error:
        return [str(error)]
    for sample in samples:
        try:
            cube, truth = sample.load(), sample.truth()
        except (InputError, OSError, ValueError) as error:
            problems.append(f"{sample.id}: {error}")
            continue
        if truth is None and "recipe" in entry:
            problems.append(f"{sample.id}: its truth map is missing; delete {folder} and make it again.")
        if truth is not None and truth.shape != cube.values.shape[:2]:
            problems.append(
                f"{sample.id}: truth of shape {truth.shape} for an image of {cube.values.shape[:2]} pixels."
            )
    return problems


def status(name: str, root=None) -> str:
    """made (with the sizes), fetched, yours, incomplete or absent, by what lies there; checksums are verify's work."""
    entry = _entry(name, root)
    if "folder" in entry:
        return "yours" if Path(entry["folder"]).is_dir() else "absent"
    if "recipe" in entry:
        sizes = [size for size in entry["recipe"]["sizes"] if _made_folder(name, entry, root, size).is_dir()]
        return f"made ({', '.join(sizes)})" if sizes else "absent"
    present = sum((_cache(root) / name / file["path"]).is_file() for file in entry["files"])
    return "absent" if not present else "fetched" if present == len(entry["files"]) else "incomplete"


def _cache(root) -> Path:
    return Path(root or os.environ.get("HSICHEM_DATA") or pooch.os_cache("hsichem"))


def _samples(entry: dict, folder: Path) -> list[Sample]:
    mask = {"mask": entry["mask"]} if "folder" in entry else {}
    return LAYOUTS[entry["layout"]](folder, entry["references"], **mask)


def _entry(name: str, root) -> dict:
    known = read_manifest(root)
    if name not in known:
        raise InputError(f"data set {name!r} is not in the manifest; known: {', '.join(known)}.")
    return known[name]


def _size(name: str, entry: dict, size: str | None) -> str:
    sizes = list(entry.get("recipe", {}).get("sizes", ()))
    if not sizes:
        raise InputError(f"{name} is not made here, so it has no recipe and no sizes.")
    if size is not None and size not in sizes:
        raise InputError(f"{name}: size {size!r} is not in its recipe; known: {', '.join(sizes)}.")
    return size or sizes[0]


def _made_folder(name: str, entry: dict, root, size) -> Path:
    size = _size(name, entry, size)
    recipe = entry["recipe"] | {"sizes": entry["recipe"]["sizes"][size]}
    # a changed knob makes a new folder, so nothing made by another recipe is ever taken for this one
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]
    return _cache(root) / f"{name}-{size}-{digest}"


class AtMost(io.BufferedWriter):
    """Refuses more bytes than the manifest states: a server could send without end."""

    most: int

    def write(self, chunk):
        if self.tell() + len(chunk) > self.most:
            raise ValueError(f"more than the {self.most} bytes that the manifest states")
        return super().write(chunk)


def fetch_file(name: str, file: dict, folder: Path) -> None:
    """Bring a `file` of the data set `name` to its path in `folder`, unless it is there.

    It is taken from HSICHEM_DATA_MIRROR/<name>/ if that is set and has it, else from its address. Raises InputError
    when it cannot be had or its checksum is not the manifest's; nothing is kept of it then.
    """
    mirror = os.environ.get("HSICHEM_DATA_MIRROR")
    local = Path(mirror, name, file["path"]) if mirror else None
    copy = local is not None and local.is_file()
    if not copy and not file["url"] and not (folder / file["path"]).is_file():
        raise InputError(
            f"{name}: {file['path']} has no public address. Set HSICHEM_DATA_MIRROR to a folder that holds "
            f"{name}/{file['path']}."
        )
    store = pooch.create(
        folder,
        base_url="",
        registry={file["path"]: f"sha256:{file['sha256']}"},
        urls={file["path"]: str(local) if copy else file["url"] or ""},
        retry_if_failed=3 if file["url"] and not copy else 0,
    )
    download = partial(_copy, local) if copy else partial(_download, file["bytes"])
    try:
        store.fetch(file["path"], downloader=download)
    except (ValueError, OSError) as error:  # what requests raises is an OSError, too
        source = local if copy else file["url"]
        raise InputError(f"{name}: {file['path']} could not be fetched from {source}: {error}") from None


def _copy(local: Path, url, output_file, store) -> None:
    shutil.copyfile(local, output_file)


def _download(most: int, url, output_file, store) -> None:
    with AtMost(io.FileIO(output_file, "w")) as file:
        file.most = most
        pooch.HTTPDownloader(progressbar=True)(url, file, store)
