"""ENVI headers and raw files to a Cube; a camera's capture folder with white and dark references to reflectance.

The format: https://www.nv5geospatialsoftware.com/docs/enviheaderfiles.html
"""

from pathlib import Path

import numpy as np
from spectral.io.envi import read_envi_header
from spectral.utilities.errors import SpyException

from hsichem.cube import Cube, InputError
from hsichem.files import replacing

# ENVI "data type" codes. The complex ones (6, 9) are left out: a reflectance is real.
DTYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
AXES = {"bsq": "bands rows cols", "bil": "rows bands cols", "bip": "rows cols bands"}  # order in the file
DATA_SUFFIXES = ("", ".raw", ".img", ".dat", ".bin", ".bsq", ".bil", ".bip")
NM_PER_UNIT = {"nm": 1, "nanometers": 1, "nanometer": 1, "um": 1000, "micrometers": 1000, "micrometer": 1000}
# They change what a stored number means and are not applied here, so a file with one is refused.
NOT_READ = ("data gain values", "data offset values", "data ignore value")


def read_cube(header_path) -> Cube:
    """Read an ENVI image as a Cube of (rows, cols, bands) float32, divided by its `reflectance scale factor` if any.

    Raises InputError for a header or data file that is missing, incomplete or contradicts itself.
    """
    counts, header = read_counts(header_path)
    for key in NOT_READ:
        if key in header:
            raise InputError(f"{header_path}: '{key}' is not supported; apply it and remove it from the header.")
    scale = _number(header, "reflectance scale factor", header_path, default=1.0)
    if scale <= 0:
        raise InputError(f"{header_path}: 'reflectance scale factor' is {scale:g}; expected a number above 0.")
    values = np.ascontiguousarray(counts, dtype=np.float32)
    if scale != 1:
        values /= np.float32(scale)
    pitch = _number(header, "pixel pitch mm", header_path, default=None)
    return Cube(values, wavelengths(header, header_path), None, pitch, Path(header_path).stem)


def read_counts(header_path) -> tuple[np.ndarray, dict]:
    """The numbers as they lie in the file: a read-only (rows, cols, bands) view on disk, and the header's strings.

    Raises InputError when the header is incomplete or the file's length is not what the header declares.
    """
    header = _checked_header(header_path)
    path = _data_file(Path(header_path))
    sizes = {"rows": int(header["lines"]), "cols": int(header["samples"]), "bands": int(header["bands"])}
    dtype = np.dtype("<>"[int(header["byte order"])] + DTYPES[int(header["data type"])])
    offset = int(header["header offset"])
    declared = offset + sizes["rows"] * sizes["cols"] * sizes["bands"] * dtype.itemsize
    if path.stat().st_size != declared:
        raise InputError(
            f"{path}: {path.stat().st_size} bytes, but its header declares {declared} ({sizes['rows']} lines x "
            f"{sizes['cols']} samples x {sizes['bands']} bands x {dtype.itemsize} bytes + offset {offset}). "
            "The file was cut or the header belongs to another one; copy both again."
        )
    axes = AXES[header["interleave"].lower()].split()
    stored = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=tuple(sizes[axis] for axis in axes))
    return stored.transpose([axes.index(axis) for axis in ("rows", "cols", "bands")]), header


def read_capture(folder) -> Cube:
    """Calibrate a push-broom capture: reflectance = (raw - dark) / (white - dark), per column and band.

    folder: holds `<id>.hdr`, `WHITEREF_<id>.hdr` and `DARKREF_<id>.hdr` with their data files, itself or in a
    subfolder `capture`, as Specim's Lumo writes them. The references' lines are averaged.
    Raises InputError for a missing reference, one of another size, or white that is not above dark.
    """
    headers = _capture_headers(Path(folder))
    scene, header = read_counts(headers["scene"])
    nm = wavelengths(header, headers["scene"])
    reference = {}
    for kind in ("WHITEREF_", "DARKREF_"):
        lines, reference_header = read_counts(headers[kind])
        if lines.shape[1:] != scene.shape[1:] or not np.allclose(wavelengths(reference_header, headers[kind]), nm):
            raise InputError(
                f"{headers[kind]}: {lines.shape[1]} columns x {lines.shape[2]} bands; the scene has "
                f"{scene.shape[1]} x {scene.shape[2]}. Both need the same columns, bands and wavelengths."
            )
        reference[kind] = lines.mean(axis=0, dtype=np.float64)  # (cols, bands)
    dark = reference["DARKREF_"]
    span = reference["WHITEREF_"] - dark
    if (span <= 0).any():
        col, band = np.argwhere(span <= 0)[0]
        raise InputError(
            f"{headers['WHITEREF_']}: white is not above dark in {(span <= 0).sum()} of {span.size} column-band pairs, "
            f"first at column {col}, band {band} ({nm[band]:.1f} nm). Are the two references swapped, or a pixel dead?"
        )
    values = np.ascontiguousarray(scene, dtype=np.float32)
    values -= dark.astype(np.float32)  # in place: a full-size capture fills gigabytes
    values /= span.astype(np.float32)
    return Cube(values, nm, None, _number(header, "pixel pitch mm", headers["scene"], None), headers["scene"].stem)


def write_cube(header_path, values, wavelengths, metadata=None) -> None:
    """Write `x.hdr` and `x.raw` (bil, little-endian, dtype of the array); the same array gives the same bytes.

    values: (rows, cols, bands); wavelengths: (bands,) nm; metadata: further header keys, in this order.
    Raises InputError for a dtype that ENVI lacks or wavelengths that do not fit.
    """
    header_path, values = Path(header_path), np.asarray(values)
    codes = [code for code, dtype in DTYPES.items() if dtype == values.dtype.str[1:]]
    if header_path.suffix != ".hdr" or values.ndim != 3 or not values.size or not codes:
        raise InputError(
            f"{header_path}: cannot write shape {values.shape} of {values.dtype}; expected a name ending in .hdr and "
            f"(rows, cols, bands) of a real number type."
        )
    if len(wavelengths) != values.shape[2]:
        raise InputError(f"{header_path}: {len(wavelengths)} wavelengths for {values.shape[2]} bands.")
    keys = {
        **{"samples": values.shape[1], "lines": values.shape[0], "bands": values.shape[2], "header offset": 0},
        **{"file type": "ENVI Standard", "data type": codes[0], "interleave": "bil", "byte order": 0},
        **(metadata or {}),
        **{"wavelength units": "nm", "wavelength": "{" + ", ".join(repr(float(nm)) for nm in wavelengths) + "}"},
    }
    text = "ENVI\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
    stored = values.transpose(0, 2, 1).astype(values.dtype.newbyteorder("<"), order="C", copy=False)
    # the data first: a header never stands beside data that is not whole
    with replacing(header_path.with_suffix(".raw")) as temporary:
        stored.tofile(temporary)
    with replacing(header_path) as temporary:
        temporary.write_bytes(text.encode("ascii"))


def wavelengths(header: dict, header_path) -> np.ndarray:
    """(bands,) float64 nm, ascending, from a header's strings. Raises InputError when they are not that."""
    found = header.get("wavelength")
    if not isinstance(found, list):
        raise InputError(f"{header_path}: no list 'wavelength = {{...}}'; add one value per band, in nm.")
    if len(found) != int(header["bands"]):
        raise InputError(f"{header_path}: {len(found)} wavelengths for {header['bands']} bands; give one per band.")
    unit = header.get("wavelength units", "nm")
    if unit.lower() not in NM_PER_UNIT:
        raise InputError(f"{header_path}: 'wavelength units' is {unit!r}; expected one of {', '.join(NM_PER_UNIT)}.")
    try:
        nm = np.array([float(value) for value in found]) * NM_PER_UNIT[unit.lower()]
    except ValueError as error:
        raise InputError(f"{header_path}: 'wavelength' holds something that is no number: {error}.") from None
    if not ((nm >= 100) & (nm <= 30_000)).all():
        raise InputError(
            f"{header_path}: wavelengths read as {nm.min():g} to {nm.max():g} nm; expected 100 to 30000. "
            "State 'wavelength units = um' if they are micrometres."
        )
    if not (np.diff(nm) > 0).all():
        raise InputError(f"{header_path}: the wavelengths do not ascend; sort the bands first.")
    return nm


def _checked_header(header_path) -> dict:
    try:
        header = read_envi_header(str(header_path))
    except OSError as error:
        raise InputError(f"{header_path}: cannot be opened ({error.strerror}).") from None
    except (SpyException, UnicodeDecodeError):
        raise InputError(
            f"{header_path}: not an ENVI header that can be read. The first line must be 'ENVI', every {{ needs "
            "its }, and the text must be plain ASCII or UTF-8 without a byte order mark."
        ) from None
    header = {"byte order": "0", "header offset": "0"} | header  # ENVI's own defaults
    allowed = {"lines": None, "samples": None, "bands": None, "header offset": None, "byte order": (0, 1)}
    for key, choices in (allowed | {"data type": tuple(DTYPES)}).items():
        number = _number(header, key, header_path)
        smallest = 0 if key == "header offset" else 1
        if number != int(number) or (number not in choices if choices else number < smallest):
            wanted = f"one of {choices}" if choices else f"a whole number from {smallest}"
            raise InputError(f"{header_path}: '{key}' is {header[key]}; expected {wanted}.")
        header[key] = str(int(number))
    if str(header.get("interleave")).lower() not in AXES:
        raise InputError(f"{header_path}: 'interleave' is {header.get('interleave')!r}; expected bsq, bil or bip.")
    return header


def _number(header, key, header_path, default=...):
    if key not in header and default is not ...:
        return default
    try:
        number = float(header[key])
    except KeyError:
        raise InputError(f"{header_path}: '{key}' is missing; add it to the header.") from None
    except (TypeError, ValueError):
        raise InputError(f"{header_path}: '{key}' is {header[key]!r}; expected a number.") from None
    if not np.isfinite(number):
        raise InputError(f"{header_path}: '{key}' is {number}; expected a finite number.")
    return number


def _data_file(header_path: Path) -> Path:
    # x.hdr -> x.raw, and x.raw.hdr -> x.raw; cameras differ in upper and lower case
    names = {(header_path.stem + suffix).lower() for suffix in DATA_SUFFIXES}
    found = sorted(path for path in header_path.parent.iterdir() if path.name.lower() in names and path.is_file())
    if len(found) != 1:
        raise InputError(
            f"{header_path}: needs exactly one data file beside it, named as the header and ending in "
            f"{' '.join(DATA_SUFFIXES[1:])} or nothing; found {[path.name for path in found] or 'none'}."
        )
    return found[0]


def _capture_headers(folder: Path) -> dict[str, Path]:
    folder = folder / "capture" if (folder / "capture").is_dir() else folder
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a capture with its white and dark references.")
    headers = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".hdr")
    named = {
        kind: [path for path in headers if path.name.upper().startswith(kind)] for kind in ("WHITEREF_", "DARKREF_")
    }
    named["scene"] = [path for path in headers if path not in named["WHITEREF_"] + named["DARKREF_"]]
    for kind, found in named.items():
        if len(found) != 1:
            wanted = "<id>.hdr" if kind == "scene" else f"{kind}<id>.hdr"
            names = ", ".join(path.name for path in found) or "none"
            raise InputError(f"{folder}: expected exactly one {wanted}, found {names}.")
    return {kind: found[0] for kind, found in named.items()}
