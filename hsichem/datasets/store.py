"""Data sets: from the manifest to a Dataset of Samples; making, fetching and verifying them in one cache folder."""

import errno
import glob
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pooch

from hsichem._base import InputError, closest, few, locked, refused
from hsichem.cubes import SUFFIX, VERSION, Cube, OnDisk, crop_and_bin, open_cube, store_cube
from hsichem.datasets import manifest, own
from hsichem.datasets.makers import mosaic, phantom
from hsichem.datasets.samples import LAYOUTS, Sample, drawn_masks, read_masked, stored
from hsichem.loaders import read_capture

pooch.get_logger().setLevel("WARNING")  # its messages would put the machine's paths into notebooks


@dataclass(frozen=True)
class Dataset:
    """The samples of one manifest entry, with what preprocessing needs to know of them (crop_nm, bin).

    cache: folder in which the images are stored as models see them.
    """

    name: str
    title: str
    samples: list[Sample]
    response: str | None
    unit: str
    crop_nm: tuple | None
    bin: int
    entry: dict
    cache: Path

    @property
    def colour_limits(self) -> tuple[float, float]:
        """Of a colour scale for maps: from 0 to twice the highest reference, rounded up to 1, 2 or 5; at most 100."""
        highest = 2 * max((sample.references[self.response] for sample in self.samples if self.response), default=50)
        steps = (digit * 10.0**power for power in range(-3, 2) for digit in (1, 2, 5))
        return 0.0, next((step for step in steps if step >= highest), 100.0)

    def cube(self, sample: Sample) -> Cube:
        """A sample's image as the models see it: calibrated, cropped to crop_nm, bands averaged in bins.

        It is stored so at first, and its values stay on disk until they are asked for (see hsichem.cubes.stored). When
        the sample's files, crop_nm, bin or the way to its mask are others, it is stored anew. Where the cache is not
        ours to write, it is in memory. Raises InputError where memory or the disk is full, or a stored file changed.
        """
        path, key = self.cache / f"{sample.id}{SUFFIX}", self._made_from(sample)
        if (cube := open_cube(path, key)) is not None:
            return cube
        try:
            cube = crop_and_bin(sample.load(), self.crop_nm, self.bin)
            if not isinstance(cube.values, OnDisk):
                store_cube(path, cube, len(self.samples), key)
                cube = open_cube(path, key)
        except MemoryError:
            raise InputError(
                f"{self.name}, {sample.id}: memory is full. Average or leave out bands, by bin or crop_nm in the data "
                "set's entry (`hsichem data add` names its file), or use fewer or smaller images."
            ) from None
        except InputError as error:
            if getattr(error.__cause__, "errno", None) not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
        return cube

    def _made_from(self, sample: Sample) -> str:
        """A name for all that a stored image depends on; files count by size and time."""
        place = sample.folder
        files = place.rglob("*") if place.is_dir() else place.parent.glob(f"{glob.escape(place.stem)}*")
        files = sorted([*files, *drawn_masks(place.parent, sample.id)])
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
        made_from = json.dumps([stats, self.crop_nm, self.bin, self.entry.get("mask")])
        return hashlib.sha256(made_from.encode()).hexdigest()

    def describe(self) -> str:
        """Several lines: title, what it teaches, counts, shape, wavelengths, units, licence, citation, doubts."""
        entry, cube = self.entry, self.samples[0].load()
        (rows, cols, bands), nm = cube.values.shape, cube.wavelengths
        counts = sorted(Counter(sample.split for sample in self.samples).items())
        references = ", ".join(f"{name} ({unit})" for name, unit in entry["references"].items())
        lines = [
            f"{self.name}: {self.title}",
            entry["teaches"],
            f"samples: {len(self.samples)} ({', '.join(f'split {split}: {n}' for split, n in counts)})",
            f"splits: {entry['splits']}",
            f"first sample: {rows} rows x {cols} columns x {bands} bands, {nm[0]:.0f}-{nm[-1]:.0f} nm",
            f"values: {entry['units']}",
            f"references: {references or 'none'}",
            f"licence: {entry['licence']}",
            f"citation: {entry['citation']}",
            *(f"doubt: {doubt}" for doubt in entry["doubts"]),
        ]
        return "\n".join(lines)


def read_manifest(root=None) -> dict:
    """All entries of data_manifest.yaml, and the user's own (see add) that can be used (see broken_entries), checked.

    In the repository data_manifest.yaml stands at the root, installed in the package.
    """
    package = Path(__file__).parents[1]
    in_repository, in_package = (place / "data_manifest.yaml" for place in (package.parent, package))
    known = manifest.read(in_repository if in_repository.is_file() else in_package)
    return known | own.read_entries(_cache(root), known)[0]


def broken_entries(root=None) -> dict[str, str]:
    """The user's own entries that cannot be used, by name, each with what is wrong with its file."""
    known = [name for name, entry in read_manifest(root).items() if "folder" not in entry]
    return own.read_entries(_cache(root), known)[1]


def add(folder, name: str, response=None, unit=None, mask="brightness", root=None) -> dict:
    """Give the captures in `folder` a name, under which they are opened like any other data set; returns the entry.

    response: a column of its references table, None for the first; unit: of the response, if its heading has none.
    mask: "brightness", "pca", a wavelength in nm (see masks.foreground_mask), or "none" for every pixel.
    Raises InputError for what own.make_entry refuses, and for a name that another data set has.
    """
    folder, known = Path(folder).resolve(), read_manifest(root)
    if broken := broken_entries(root).get(name):  # with what the user may have changed in it
        raise InputError(broken)
    earlier = known.get(name)
    if earlier and earlier.get("folder") != str(folder):
        of, moved = earlier["title"], ""
        if "folder" in earlier:
            of = f"the folder {earlier['folder']}"
            moved = (
                f", or `hsichem data move {name} NEWFOLDER` if that was moved, or `hsichem data remove {name}` first"
            )
        raise InputError(f"a data set {name!r} is there already: {of}. Choose another name{moved}.")
    entry = own.make_entry(folder, name, response, unit, mask, earlier)
    own.write_entry(_cache(root), name, entry)
    return entry


def remove(name: str, root=None) -> Path:
    """Forget a folder of the user's own: its entry goes, and what is stored of it; its captures stay.

    Returns the entry's file. Raises InputError when there is no such entry; the kit's own sets cannot be removed.
    """
    removed = own.remove_entry(_cache(root), name)
    shutil.rmtree(_cache(root) / "stored" / name, ignore_errors=True)
    return removed


def move(name: str, folder, root=None) -> dict:
    """Say that a folder of the user's own lies elsewhere now; all else of its entry stays. Returns the entry.

    Raises InputError when `name` is none of the user's, and for a folder without the same table and images.
    """
    entry, _, _ = _find(name, root)
    if "folder" not in entry:
        raise InputError(f"{name} is a data set of the kit, and not a folder of your own; there is nothing to move.")
    entry = own.moved_entry(entry, name, Path(folder).resolve())
    own.write_entry(_cache(root), name, entry)
    return entry


def entry_file(name: str, root=None) -> Path:
    """The file with the entry of a folder of the user's own, in which bin, crop_nm and the texts can be changed."""
    return own.entry_file(_cache(root), name)


def open_dataset(name: str, root=None, size=None) -> Dataset:
    """Open a data set by its name in the manifest; it is made or fetched first if it is not in the cache.

    root: cache folder (default: HSICHEM_DATA, else the platform's user cache). size: for made sets, e.g. "lesson"; the
    others have one size, and none is looked for.
    Raises InputError for an unknown name or size, and when files cannot be fetched or do not fit together.
    """
    entry, folder, size = _find(name, root, size)
    if "recipe" in entry:
        make(name, root, size)
    elif "folder" in entry:
        own.check_unchanged(name, entry)
    else:
        fetch(name, root)
    mask = {"mask": entry["mask"]} if "folder" in entry else {}
    is_stored = size in entry.get("stored", ())
    samples = (stored if is_stored else LAYOUTS[entry["layout"]])(folder, entry["references"], **mask)
    unit = entry["references"].get(entry["response"], "")
    crop = tuple(entry["crop_nm"]) if entry["crop_nm"] else None
    bands, cache = 1 if is_stored else _bin(entry, size), _cache(root) / "stored" / (folder.name if size else name)
    return Dataset(name, entry["title"], samples, entry["response"], unit, crop, bands, entry, cache)


def _bin(entry: dict, size: str | None) -> int:
    return entry["bin"] if isinstance(entry["bin"], int) else entry["bin"][size]


def make(name: str, root=None, size=None) -> Path:
    """Make a data set by its recipe, unless the cache has it; returns its folder. Whole or absent, never half."""
    entry, folder, size = _find(name, root, size)
    if size is None:
        raise InputError(f"{name} is not made here, so it has no recipe and no sizes.")
    if folder.is_dir():
        return folder
    knobs, seed = entry["recipe"]["sizes"][size], entry["recipe"]["seed"]
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
                keep = partial(_keep_reflectance, making, entry, size)
                phantom.make(making, knobs, seed, keep if size in entry.get("stored", ()) else None)
            os.replace(making, folder)
        except OSError as error:
            raise refused(folder, error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def _keep_reflectance(folder: Path, entry: dict, size: str, name: str) -> None:
    """In place of a capture, the image as models see it."""
    cube = crop_and_bin(read_masked(folder, name, folder / name, "brightness"), entry["crop_nm"], _bin(entry, size))
    shutil.rmtree(folder / name)
    store_cube(folder / name / f"{name}{SUFFIX}", cube, entry["recipe"]["sizes"][size]["samples"])


def expose_again(name: str, sample: str, times: int, size=None, seed=0, root=None) -> list[Cube]:
    """The same belly of a phantom before the same camera, `times` times: Cubes as `Dataset.cube` gives them.

    sample: its id; seed: of the camera's noise, which alone is drawn anew; the mask is the sample's. What differs
    between them is noise, what does not is belly. Raises InputError for a data set that is no phantom, and for another
    set's sample.
    """
    entry, _, size = _find(name, root, size)
    if entry.get("recipe", {}).get("maker") != "phantom":
        raise InputError(f"{name} is no phantom: what the camera would see without noise is unknown. Capture it again.")
    images = open_dataset(name, root, size)
    ids = [each.id for each in images.samples]
    if sample not in ids:
        raise InputError(f"{name} has no sample {sample!r}; its samples are {few(ids)}.")
    knobs, index = entry["recipe"]["sizes"][size], ids.index(sample)
    with tempfile.TemporaryDirectory() as folder:
        phantom.expose_again(folder, knobs, entry["recipe"]["seed"], index, times, seed)
        shots = [read_capture(path) for path in sorted(Path(folder).iterdir())]
    mask = images.samples[index].load().mask
    return [crop_and_bin(replace(shot, mask=mask), images.crop_nm, images.bin) for shot in shots]


def fetch(name: str, root=None) -> list[Path]:
    """Bring a data set's files into the cache and check them; from the folder HSICHEM_DATA_MIRROR first, if set.

    Raises InputError when a file cannot be had or its checksum is not the manifest's; nothing is kept of it then.
    """
    entry, _, _ = _find(name, root)
    if "folder" in entry:
        raise InputError(f"{name} is your own folder, {entry['folder']}; there is nothing to fetch or make.")
    folder = _cache(root) / name
    paths = [folder / file["path"] for file in entry["files"]]
    if faults := _file_faults(name, entry["files"], folder):
        with locked(folder):
            for left in folder.rglob("tmp????????"):  # pooch's, of a killed process
                if left not in paths:
                    left.unlink()
            for file in entry["files"]:
                if file["path"] in faults:
                    fetch_file(name, file, folder)
    return paths


def verify(name: str, root=None, size=None) -> list[str]:
    """Every problem found: missing files, wrong checksums, and for made sets captures and truths that do not fit."""
    entry, folder, size = _find(name, root, size)
    if "folder" not in entry and (faults := _file_faults(name, entry["files"], _cache(root) / name)):
        return list(faults.values())
    if "recipe" in entry and not folder.is_dir():
        return [f"{folder}: missing; run `hsichem data make {name}`."]
    try:
        samples = open_dataset(name, root, size).samples
    except InputError as error:
        return [str(error)]
    problems = []
    for sample in samples:
        try:
            shape, truth = sample.load().values.shape[:2], sample.truth()
        except (InputError, OSError, ValueError) as error:
            problems.append(f"{sample.id}: {error}")
            continue
        if truth is None and "recipe" in entry:
            problems.append(f"{sample.id}: its truth map is missing; delete {folder} and make it again.")
        if truth is not None and truth.shape != shape:
            problems.append(f"{sample.id}: truth of shape {truth.shape} for an image of {shape} pixels.")
    return problems


def _file_faults(name: str, files: list[dict], folder: Path) -> dict[str, str]:
    """Path -> what is wrong, of the files that are missing or not what the manifest says."""
    faults = {}
    for file in files:
        path = folder / file["path"]
        if not path.is_file():
            faults[file["path"]] = f"{path}: missing; run `hsichem data fetch {name}`."
        elif (found := pooch.file_hash(path)) != file["sha256"]:
            faults[file["path"]] = f"{path}: sha256 is {found}, expected {file['sha256']}; delete it and fetch again."
    return faults


def status(name: str, root=None) -> str:
    """made (with the sizes), fetched, yours, incomplete or absent, by what lies there; checksums are verify's work."""
    entry, folder, _ = _find(name, root)
    if "folder" in entry:
        return "yours" if folder.is_dir() else "absent"
    if "recipe" in entry:
        sizes = [size for size in entry["recipe"]["sizes"] if _find(name, root, size)[1].is_dir()]
        return f"made ({', '.join(sizes)})" if sizes else "absent"
    present = sum((folder / file["path"]).is_file() for file in entry["files"])
    return "absent" if not present else "fetched" if present == len(entry["files"]) else "incomplete"


def _cache(root) -> Path:
    return Path(root or os.environ.get("HSICHEM_DATA") or pooch.os_cache("hsichem"))


def _find(name: str, root, size: str | None = None) -> tuple[dict, Path, str | None]:
    """A set's entry, the folder of its samples, and its size, the recipe's first unless named; None for sets not made.

    Raises InputError for an unknown name or size.
    """
    known = read_manifest(root)
    if name not in known:
        if broken := broken_entries(root).get(name):
            raise InputError(broken)
        close = closest(name, known)
        hint = f"did you mean {close!r}? Known" if close else "known"
        raise InputError(f"data set {name!r} is not in the manifest; {hint}: {', '.join(known)}.")
    entry = known[name]
    if "recipe" not in entry:
        return entry, Path(entry.get("folder", _cache(root) / name)), None
    sizes = entry["recipe"]["sizes"]
    size = size or next(iter(sizes))
    if size not in sizes:
        raise InputError(f"{name}: size {size!r} is not in its recipe; known: {', '.join(sizes)}.")
    # a changed knob makes a new folder, so nothing made by another recipe is ever taken for this one
    kept = {"stored": [VERSION, entry["crop_nm"], entry["bin"]]} if size in entry.get("stored", ()) else {}
    recipe = json.dumps(entry["recipe"] | {"sizes": sizes[size]} | kept, sort_keys=True)
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    return entry, _cache(root) / f"{name}-{size}-{digest}", size


def fetch_file(name: str, file: dict, folder: Path) -> None:
    """Bring a `file` of the data set `name` to its path in `folder`, unless it is there.

    It is taken from HSICHEM_DATA_MIRROR/<name>/ if that is set and has it, else from its address. Raises InputError
    when it cannot be had or its checksum is not the manifest's; nothing is kept of it then.
    """
    mirror = os.environ.get("HSICHEM_DATA_MIRROR")
    local = Path(mirror or "", name, file["path"])
    if mirror and local.is_file():
        source, download, retries = str(local), lambda url, file, _: shutil.copyfile(url, file), 0
    elif file["url"]:
        source, download, retries = file["url"], partial(_download, file["bytes"]), 3
    else:
        raise InputError(
            f"{name}: {file['path']} has no public address. Set HSICHEM_DATA_MIRROR to a folder that holds "
            f"{name}/{file['path']}."
        )
    known, urls = {file["path"]: f"sha256:{file['sha256']}"}, {file["path"]: source}
    store = pooch.create(folder, base_url="", registry=known, urls=urls, retry_if_failed=retries)
    try:
        store.fetch(file["path"], downloader=download)
    except (ValueError, OSError) as error:  # what requests raises is an OSError, too
        raise InputError(f"{name}: {file['path']} could not be fetched from {source}: {error}") from None


def _download(most: int, url, output_file, store) -> None:
    with AtMost(io.FileIO(output_file, "w")) as file:
        file.most = most
        pooch.HTTPDownloader(progressbar=True)(url, file, store)


class AtMost(io.BufferedWriter):
    """Refuses more bytes than the manifest states: a server could send without end."""

    most: int

    def write(self, chunk):
        if self.tell() + len(chunk) > self.most:
            raise ValueError(f"more than the {self.most} bytes that the manifest states")
        return super().write(chunk)
