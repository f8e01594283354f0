"""An image on disk, of which only what is asked for is in memory: one file, whole or absent, that runs nothing.

The published training images were kept so: whole numbers of 16 bits, one offset and one scale for each image
(Engstrøm et al. 2025, doi 10.1002/cem.70041). benchmarks/cubes/stored.py measures what rounding costs.
"""

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from hsichem._base import InputError, replacing
from hsichem.cubes.cube import Cube

VERSION = 1  # raise it when files are written otherwise, or reflectance is computed otherwise
SMALL = 10**9  # bytes: images that as float32 take no more than this together are kept as that, to the bit
ROWS = 64  # at a time
SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class OnDisk(NDArrayOperatorsMixin):
    """(rows, cols, bands) numbers in a file, as the float32 values number * gain + offset of what is indexed.

    change: (values (..., bands), inside (...)) -> values, done to what is read; inside: (rows, cols) bool.
    Anything but indexing reads all of it, and keeps nothing. It is pickled as the file's name.
    """

    path: str
    start: int  # bytes before the numbers
    stored: str  # their dtype
    shape: tuple[int, int, int]
    gain: float
    offset: float
    change: object = None
    inside: np.ndarray | None = None

    dtype, ndim = np.dtype(np.float32), 3

    def __getitem__(self, key):
        try:  # opened for each read: hundreds of images may be in use, and open files are few
            numbers = np.memmap(self.path, self.stored, "r", self.start, self.shape)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: was there, and cannot be read any more ({error}); begin again.") from None
        if self.change is None:
            return self._values(numbers[key])
        if isinstance(key, tuple) and (len(key) > 2 or any(part is Ellipsis for part in key)):
            return self[:][key]
        return self.change(self._values(numbers[key]), self.inside[key])

    def _values(self, numbers):
        values = np.asarray(numbers).astype(np.float32)
        values *= np.float32(self.gain)
        return values + np.float32(self.offset) if self.offset else values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        read = (np.asarray(each) if isinstance(each, OnDisk) else each for each in inputs)
        return getattr(ufunc, method)(*read, **options)

    def __getattr__(self, name):  # what an array can do
        if name.startswith("_") or name in self.__dataclass_fields__:
            raise AttributeError(name)
        return getattr(self[:], name)


def store_cube(path, cube: Cube, many: int, key: str = "") -> None:
    """Write a cube, as float32 if `many` such images are SMALL together, else as uint16 over the range of its values.

    key: what it was made from, for `open_cube`. Raises InputError for values that are not finite, and where the
    system refuses.
    """
    values, about = np.asarray(cube.values), {"version": VERSION, "key": key, "name": cube.name}
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise InputError(f"cube {cube.name!r}: values from {low} to {high}; expected finite ones. Repair them first.")
    about |= {"pitch_mm": cube.pitch_mm, "gain": 1.0, "offset": 0.0}
    if many * values.nbytes > SMALL:
        about |= {"gain": (high - low) / 65535 or 1.0, "offset": low}
        numbers = np.empty(values.shape, np.uint16)
        for start in range(0, len(values), ROWS):
            numbers[start : start + ROWS] = np.rint((values[start : start + ROWS] - low) / about["gain"])
        values = numbers
    tensors = {"numbers": values, "wavelengths": cube.wavelengths}
    tensors |= {} if cube.mask is None else {"mask": cube.mask}
    from safetensors.numpy import save

    content = save(tensors, {"about": json.dumps(about), "crc32": _checksum(about, tensors)})
    with replacing(path) as part:
        part.write_bytes(content)


def open_cube(path, key: str | None = None) -> Cube | None:
    """A stored cube, its values OnDisk; None if there is none, or one of another `key` or VERSION.

    key: None takes any. Raises InputError for a file that was changed since it was written, by its checksum.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path).resolve()  # a process that is sent it may stand elsewhere
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            about = json.loads(file.metadata()["about"])
            if about["version"] != VERSION or key not in (None, about["key"]):
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys() if name != "numbers"}
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        found, dtypes = header["numbers"], {"U16": "<u2", "F32": "<f4"}
        values = OnDisk(
            str(path),
            8 + length + found["data_offsets"][0],
            dtypes[found["dtype"]],
            tuple(found["shape"]),
            about["gain"],
            about["offset"],
        )
        numbers = np.memmap(path, values.stored, "r", values.start, values.shape)
        if (crc := _checksum(about, {"numbers": numbers} | tensors)) != header["__metadata__"]["crc32"]:
            raise ValueError(f"its checksum is {crc}, expected {header['__metadata__']['crc32']}")
        return Cube(values, tensors["wavelengths"], tensors.get("mask"), about["pitch_mm"], about["name"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{path}: not the image that was stored ({type(error).__name__}: {error}). Delete it, and it is stored "
            "anew; of a data set that was made, delete the whole folder."
        ) from None


def changed(cube: Cube, change) -> Cube:
    """The cube with other values: change(values (..., bands), inside (...)) of those in memory, when read of others."""
    if isinstance(cube.values, OnDisk) and not cube.values.change:
        return replace(cube, values=replace(cube.values, change=change, inside=cube.foreground))
    return replace(cube, values=change(np.asarray(cube.values), cube.foreground))


def _checksum(about: dict, tensors: dict) -> str:
    crc = zlib.crc32(json.dumps(about).encode())
    for name in sorted(tensors):
        crc = zlib.crc32(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8), crc)
    return f"{crc:08x}"
