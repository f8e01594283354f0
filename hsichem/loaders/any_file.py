"""Any file or folder that holds an image, to a Cube: ENVI, captures with references, MATLAB, NumPy, NetCDF."""

import math
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from scipy.io import netcdf_file

from hsichem._base import InputError, to_float
from hsichem.cubes import Cube
from hsichem.loaders import white_dark
from hsichem.loaders.envi import capture_lines, cube_lines, read_capture, read_cube
from hsichem.loaders.envi_header import HEADER_BYTES, in_order, to_nm
from hsichem.loaders.lines import Lines
from hsichem.loaders.matlab import DEFLATE, open_arrays
from hsichem.loaders.scaling import to_cube

WAVELENGTHS = re.compile(r"lambdas?|wl|nm|.*wave_?(length|number).*|waves?", re.IGNORECASE)  # names of the variable
COUNTS = 2  # a median above it is not reflectance
# Formats that are not read, and how their images are exported.
EXPORT = {suffix: "export it as ENVI (.hdr and data) in Cubert's program" for suffix in (".cue", ".cu3", ".cu3s")}
EXPORT |= dict.fromkeys(
    (".tif", ".tiff"), "convert it: `gdal_translate -of ENVI IN.tif OUT.raw`, and write the wavelengths into OUT.hdr"
)
EXPORT |= dict.fromkeys(
    (".h5", ".hdf5", ".he5"),
    "save the cube and its wavelengths as .mat (v7.3), .npy or ENVI in the program that wrote it",
)
HDF5 = b"\x89HDF\r\n\x1a\n"


class NotReflectance(UserWarning):
    """The values of a file are too high to be reflectance."""


def read_any(path) -> Cube:
    """The Cube in a file or folder; what the file holds is taken for reflectance as it stands.

    A folder: a capture of ENVI (.hdr) or NetCDF (.nc) files, calibrated with its white and dark references. A file:
    ENVI (the header or its data file), MATLAB .mat (v5 to v7.3), NumPy .npy, NetCDF .nc (3 and 4). In .mat and .nc the
    cube is the only variable with three axes; its wavelengths are the vector whose name says so, else, and always for
    .npy, numbers in a text file `<name>.wavelengths.txt` beside it, in nm, um where that is clear. Bands are the last
    axis, or the only one as long as the wavelengths. Warns (NotReflectance) of a file whose values are too high. Raises
    InputError that says what to change.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder.")
    cube = _read_file(path)
    some = cube.values.reshape(-1)[:: max(1, cube.values.size // 100_000) | 1]  # odd, so that all bands are among them
    if (some > 0).any() and (median := np.median(some[some > 0])) > COUNTS:
        warnings.warn(
            f"{path}: half of its values are above {median:.4g}, so they are not reflectance (1 = white). Give the "
            "capture's folder with white and dark frames, or the camera's reflectance product (_rf, REFLECTANCE_), or "
            "state 'reflectance scale factor' in the header.",
            NotReflectance,
            stacklevel=2,
        )
    return cube


def _read_file(path: Path) -> Cube:
    suffix = path.suffix.lower()
    if suffix == ".hdr":
        return read_cube(path)
    if suffix in READERS:
        return READERS[suffix](path)
    return read_cube(_header_of(path))


def open_lines(path) -> Lines:
    """The Lines of what read_any takes, and of a scene's header that has references beside it: these are used.

    ENVI images are read from disk as they are needed, others are in memory as a whole. Raises InputError as read_any.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.")
    if path.is_dir():
        return Lines.of(_read_folder(path)) if _is_netcdf(path) else capture_lines(path)
    if path.suffix.lower() in READERS:
        return Lines.of(read_any(path))
    header = path if path.suffix.lower() == ".hdr" else _header_of(path)
    return capture_lines(header) if white_dark.has_references(path.parent) else cube_lines(header)


def _header_of(path: Path) -> Path:
    suffix = path.suffix.lower()
    names = {f"{path.stem}.hdr".lower(), f"{path.name}.hdr".lower()}
    headers = [file for file in white_dark.listed(path.parent) if file.name.lower() in names]
    if len(headers) == 1:
        return headers[0]
    fix = f" {EXPORT[suffix][0].upper()}{EXPORT[suffix][1:]}." if suffix in EXPORT else ""
    raise InputError(f"{path}: not a known image: no ENVI header beside it, and none of {', '.join(READERS)}.{fix}")


def _read_folder(path: Path) -> Cube:
    folder = path / "capture" if (path / "capture").is_dir() else path
    suffixes = {file.suffix.lower() for file in white_dark.listed(folder)}
    if not suffixes & {".nc", ".hdr"} and (other := suffixes & EXPORT.keys()):
        raise InputError(f"{folder}: no ENVI image in it, but {', '.join(sorted(other))}; {EXPORT[min(other)]}.")
    if not _is_netcdf(path):
        return read_capture(path)
    paths = white_dark.find_frames(path, ".nc")
    return white_dark.calibrate({kind: _read_netcdf(file) for kind, file in paths.items()}, paths)


def _is_netcdf(path: Path) -> bool:
    folder = path / "capture" if (path / "capture").is_dir() else path
    suffixes = {file.suffix.lower() for file in white_dark.listed(folder)}
    return ".nc" in suffixes and ".hdr" not in suffixes


def _read_npy(path: Path) -> Cube:
    with _foreign(path, "a NumPy array"), np.errstate(over="ignore"):  # of a size that no file has
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if stored.offset + stored.nbytes != path.stat().st_size:
            raise InputError(f"{path}: longer than the {stored.shape} of {stored.dtype} that it declares.")
    return _cube(path, {"array": stored.shape}, {"array": (stored, {})}.get)


def _read_mat(path: Path) -> Cube:
    with _foreign(path, "MATLAB"):
        raw = np.memmap(path, mode="r").data
        if HDF5 in raw[:1024].tobytes():  # v7.3; MATLAB puts 512 bytes before it
            return _read_hdf5(path)
        shapes, load = open_arrays(raw)
        return _cube(path, shapes, lambda name: (load(name), {}))


def _read_netcdf(path: Path) -> Cube:
    with _foreign(path, "NetCDF"):
        if np.memmap(path, mode="r")[:8].tobytes() == HDF5:  # NetCDF-4
            return _read_hdf5(path)
        with netcdf_file(path, mmap=False) as file:
            found = {name: (each.data, each._attributes) for name, each in file.variables.items()}
        shapes = {name: data.shape for name, (data, _) in found.items() if data.dtype.kind in "if"}
        return _cube(path, shapes, found.get)


def _read_hdf5(path: Path) -> Cube:
    turned = path.suffix.lower() == ".mat"  # MATLAB stores the last axis first

    def load(name):
        return file[name][()].T if turned else file[name][()], dict(file[name].attrs)

    with _foreign(path, "HDF5"), h5py.File(path, "r") as file:
        # a link, or data kept in another file, could name any file of the reader's
        here = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        data = [file[name] for name in here if file.get(name, getclass=True) is h5py.Dataset]
        own = [
            each for each in data if each.dtype.kind in "uif" and each.shape and not (each.external or each.is_virtual)
        ]
        return _cube(path, {each.name[1:]: each.shape[::-1] if turned else each.shape for each in own}, load)


def _cube(path: Path, shapes: dict[str, tuple], load) -> Cube:
    """The cube among variables of these shapes; load: name -> (array, attributes)."""
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
    cubes = [name for name, shape in shapes.items() if len(shape) == 3 and min(shape) > 0]
    if len(cubes) != 1:
        raise InputError(
            f"{path}: needs exactly one variable of three axes, found {len(cubes)}; its numbers: {listed}."
        )
    shape = shapes[cubes[0]]
    if math.prod(shape) > DEFLATE * path.stat().st_size:
        raise InputError(f"{path}: {cubes[0]} is declared as {shape}, more than a file of this size can hold.")
    vectors = [n for n, s in shapes.items() if WAVELENGTHS.fullmatch(n) and math.prod(s) == max(s, default=0) in shape]
    if len(vectors) > 1:
        raise InputError(f"{path}: {' and '.join(vectors)} could both be the wavelengths; keep one.")
    values, attributes = load(vectors[0]) if vectors else (_beside(path, listed), {})
    nm = to_nm(np.ravel(values).astype(float), _text(attributes.get("units", "")), path)
    order = in_order(nm, path)
    axes = [axis for axis in range(3) if shape[axis] == len(nm)]
    if not axes or (2 not in axes and len(axes) > 1):
        raise InputError(
            f"{path}: {len(nm)} wavelengths for {cubes[0]} {shape}; one axis must have that length, preferably the "
            "last."
        )
    stored, attributes = load(cubes[0])
    if stored.dtype.kind not in "uif":
        raise InputError(f"{path}: {cubes[0]} is {stored.dtype}; expected real numbers.")
    if "true" in _text(attributes.get("_Unsigned", "")).lower():  # NetCDF-3 has no unsigned types
        stored = stored.view(stored.dtype.str.replace("i", "u"))
    gain, offset, ignore, missing = (
        float(np.ravel(attributes[key])[0]) if key in attributes else None
        for key in ("scale_factor", "add_offset", "_FillValue", "missing_value")
    )
    scaled = {"gain": gain, "offset": offset, "ignore": missing if ignore is None else ignore}
    stored, bands = np.moveaxis(stored, axes[-1], 2), np.arange(len(nm))[order]
    return to_cube(stored, nm[order], bands, path, **scaled, name=path.stem)


def _beside(path: Path, listed: str) -> np.ndarray:
    beside = path.with_suffix(".wavelengths.txt")
    if not beside.is_file():
        raise InputError(
            f"{path}: no wavelengths among {listed}; name the vector 'wavelength', or write one number for each band "
            f"to {beside.name} beside it."
        )
    words = beside.read_bytes()[:HEADER_BYTES].decode("latin-1").replace(",", " ").split()
    numbers = [to_float(word) for word in words]
    if not numbers or None in numbers or not np.isfinite(numbers).all():
        raise InputError(f"{beside}: expected one number for each band, and nothing else.")
    return np.array(numbers)


def _text(value) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@contextmanager
def _foreign(path: Path, kind: str):
    # the readers of these formats raise whatever a broken file makes them stumble over
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: cannot be read as {kind}: {error or type(error).__name__}.") from None


READERS = {".mat": _read_mat, ".npy": _read_npy, ".nc": _read_netcdf}
