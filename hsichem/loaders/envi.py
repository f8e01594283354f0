"""ENVI images: raw counts, a Cube, a capture calibrated with its references, and writing one.

hsichem.loaders.envi_header says how a header is read, hsichem.loaders.white_dark how references are found and used.
SPy maps the pixels, from the checked header, and writes headers.
"""

import warnings
from pathlib import Path

import numpy as np
from spectral.io import envi as spy_envi

from hsichem._base import InputError, replacing
from hsichem.cubes import Cube
from hsichem.loaders import white_dark
from hsichem.loaders.envi_header import DATA_SUFFIXES, DTYPES, good_bands, number, per_band, read_header
from hsichem.loaders.exposure import exposure_factor
from hsichem.loaders.lines import Lines
from hsichem.loaders.scaling import to_cube

SPY_FILES = {"bsq": spy_envi.BsqFile, "bil": spy_envi.BilFile, "bip": spy_envi.BipFile}
# They change what a number means, beside `data gain values` or instead; which to take is not ours to guess.
NOT_READ = ("data reflectance gain values", "data reflectance offset values")


def read_cube(header_path) -> Cube:
    """Read an ENVI image as a Cube of (rows, cols, bands) float32 by ascending wavelength.

    `data gain values` and `data offset values`, or `reflectance scale factor`, are applied. Bands that are 0 in `bbl`
    are dropped. Pixels with the `data ignore value` in any band left are not in the mask, and 0. `fwhm` is not used.
    Raises InputError for a header or data file that is missing, incomplete or contradicts itself.
    """
    return _read(header_path)[0]


def read_counts(header_path, dark=False) -> tuple[np.ndarray, dict]:
    """The numbers as they lie in the file: a read-only (rows, cols, bands) view on disk, and the header's strings.

    Specim's cameras can end a scene with lines taken with the shutter closed, from `autodarkstartline` (counted from
    0) on. They are left out; with `dark`, they, or all lines where that key is missing, are what is returned.
    Raises InputError when the header is incomplete or the file's length is not what the header declares.
    """
    header, path = read_header(header_path), _data_file(Path(header_path))
    params = spy_envi.gen_params(header)
    params.filename, itemsize = str(path), np.dtype(params.dtype).itemsize
    declared = params.offset + params.nrows * params.ncols * params.nbands * itemsize
    if path.stat().st_size != declared:
        raise InputError(
            f"{path}: {path.stat().st_size} bytes, but its header declares {declared} ({params.nrows} lines x "
            f"{params.ncols} samples x {params.nbands} bands x {itemsize} bytes + offset {params.offset}). "
            "The file was cut or the header belongs to another one; copy both again."
        )
    try:
        image = SPY_FILES[header["interleave"]](params)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}).") from None
    image.fid.close()  # mapped pixels do not need it
    if not image.using_memmap:
        raise InputError(f"{path}: cannot be mapped into memory.")
    stored = image.open_memmap()
    if "autodarkstartline" not in header:
        return stored, header
    start = number(header, "autodarkstartline", header_path)
    if start not in range(params.nrows + 1) or not len(part := stored[int(start) :] if dark else stored[: int(start)]):
        raise InputError(
            f"{header_path}: 'autodarkstartline' is {start:g} of {params.nrows} lines, which leaves no "
            f"{'dark' if dark else 'scene'}; expected the number of the first dark line, or no such key."
        )
    return part, header


def read_capture(path) -> Cube:
    """Calibrate a push-broom capture: reflectance = (raw - dark) / (white - dark), per column and band.

    path: a folder with `<id>.hdr`, `WHITEREF_<id>.hdr` and `DARKREF_<id>.hdr`, itself or in a subfolder `capture`, as
    Specim writes them, or `whiteReference.hdr` and `darkReference.hdr`, as Headwall does; or one scene's header there.
    Without a dark reference, the scene's own dark lines serve (see read_counts), and likewise the white reference's.
    The references' lines are averaged. A white reference at another integration time is scaled by the times, with a
    warning (see loaders.exposure); a reference whose header has no wavelengths has those of the scene.
    Raises InputError for a missing reference, one of another size, or white that is not above dark.
    """
    lines = capture_lines(path)
    return lines.read(0, lines.shape[0])


def capture_lines(path) -> Lines:
    """The Lines of a capture; path and errors as of `read_capture`."""
    paths = white_dark.find_frames(path, ".hdr")
    (rows, *_), (first, header) = read_counts(paths["scene"])[0].shape, _read(paths["scene"], stop=1)
    frames, headers = {"scene": first}, {"scene": header}
    for kind in paths.keys() - {"scene"}:
        frames[kind], headers[kind] = _read(paths[kind], header, "dark" in kind)
    dark, span = white_dark.levels(frames, paths, exposure_factor(headers, paths))

    def read(start, stop):
        return white_dark.reflectance(_read(paths["scene"], start=start, stop=stop)[0], dark, span)

    return Lines((rows, *first.values.shape[1:]), read)


def cube_lines(header_path) -> Lines:
    """The Lines of an ENVI image that is reflectance as it stands; errors as of `read_cube`."""
    (rows, *_), (first, _) = read_counts(header_path)[0].shape, _read(header_path, stop=1)
    return Lines((rows, *first.values.shape[1:]), lambda start, stop: _read(header_path, start=start, stop=stop)[0])


def write_cube(header_path, values, wavelengths, metadata=None) -> None:
    """Write `x.hdr` and `x.raw` (bil, little-endian, dtype of the array); the same array gives the same bytes.

    values: (rows, cols, bands); wavelengths: (bands,) nm, or None for what is no spectrum, as a map; metadata: further
    header keys, in this order.
    Raises InputError for a dtype that ENVI lacks or wavelengths that do not fit.
    """
    header_path, values = Path(header_path), np.asarray(values)
    codes = [code for code, dtype in DTYPES.items() if dtype == values.dtype.str[1:]]
    if header_path.suffix != ".hdr" or values.ndim != 3 or not values.size or not codes:
        raise InputError(
            f"{header_path}: cannot write shape {values.shape} of {values.dtype}; expected a name ending in .hdr and "
            f"(rows, cols, bands) of a real number type."
        )
    if wavelengths is not None and len(wavelengths) != values.shape[2]:
        raise InputError(f"{header_path}: {len(wavelengths)} wavelengths for {values.shape[2]} bands.")
    rows, cols, bands = values.shape
    keys = {"samples": cols, "lines": rows, "bands": bands, "header offset": 0, "data type": codes[0]}
    keys |= {"interleave": "bil", "byte order": 0, **(metadata or {})}
    if wavelengths is not None:
        keys |= {"wavelength units": "nm", "wavelength": [float(nm) for nm in wavelengths]}
    stored = values.transpose(0, 2, 1).astype(values.dtype.newbyteorder("<"), order="C", copy=False)
    # The data first: a header never stands beside data that is not whole. SPy's save_image writes the header first,
    # and holds the whole image in memory.
    with replacing(header_path.with_suffix(".raw")) as temporary:
        stored.tofile(temporary)
    with replacing(header_path) as temporary:
        spy_envi.write_envi_header(temporary, keys)


def _read(path, scene: dict | None = None, dark=False, start=0, stop=None) -> tuple[Cube, dict]:
    # scene: the header that tells the bands of a reference whose own does not
    counts, header = read_counts(path, dark)
    if not dark and len(counts) < int(header["lines"]) and start == 0 and stop != 1:  # once; the first line is a peek
        warnings.warn(
            f"{path}: from line {len(counts)} on ('autodarkstartline'), dark frames; they are left out.",
            stacklevel=3,
        )
    told = {key: scene[key] for key in ("wavelength", "wavelength units", "band names", "bbl") if key in (scene or {})}
    bands, nm = good_bands(told | header, path)
    if both := [key for key in NOT_READ if key in header]:
        raise InputError(f"{path}: '{both[0]}' is not supported; apply it and remove it from the header.")
    gain, offset = (per_band(header, f"data {key} values", path) for key in ("gain", "offset"))
    scale = number(header, "reflectance scale factor", path, default=1.0)
    pitch = number(header, "pixel pitch mm", path, default=None)
    for key, value in {"reflectance scale factor": scale, "pixel pitch mm": pitch}.items():
        if value is not None and value <= 0:
            raise InputError(f"{path}: '{key}' is {value:g}; expected a number above 0, or none.")
    if scale != 1 and not (gain is None and offset is None):
        raise InputError(f"{path}: 'reflectance scale factor' and 'data gain values' both; apply and remove one.")
    ignore = number(header, "data ignore value", path, default=None, is_finite=False)
    gain, offset = (None if each is None else each[bands] for each in (gain, offset))
    scaled = {"gain": gain, "offset": offset, "scale": scale, "ignore": ignore}
    scaled |= {"pitch": pitch, "name": Path(path).stem, "first_row": start}
    return to_cube(counts[start:stop], nm, bands, path, **scaled), header


def _data_file(header_path: Path) -> Path:
    # x.hdr -> x.raw, and x.raw.hdr -> x.raw; cameras differ in upper and lower case
    names = {(header_path.stem + suffix).lower() for suffix in DATA_SUFFIXES}
    found = [path for path in white_dark.listed(header_path.parent) if path.name.lower() in names]
    if len(found) != 1:
        raise InputError(
            f"{header_path}: needs exactly one data file beside it, named as the header and ending in "
            f"{' '.join(DATA_SUFFIXES[1:])} or nothing; found {[path.name for path in found] or 'none'}."
        )
    return found[0]
