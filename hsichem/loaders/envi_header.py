"""An ENVI header: its text to keys, sizes and wavelengths. What is ambiguous is refused, nothing is dropped silently.

SPy's parser is not used: it loses a wavelength list for a trailing comma and takes a wrong interleave for BSQ.
The format: https://www.nv5geospatialsoftware.com/docs/enviheaderfiles.html
"""

import codecs
import re
import warnings
from pathlib import Path

import numpy as np

from hsichem._base import InputError, short, to_float

DTYPES = {"1": "u1", "2": "i2", "3": "i4", "4": "f4", "5": "f8", "12": "u2", "13": "u4", "14": "i8", "15": "u8"}
INTERLEAVES = ("bsq", "bil", "bip")
DATA_SUFFIXES = ("", ".raw", ".img", ".dat", ".bin", ".bsq", ".bil", ".bip", ".hyspex", ".cube", ".envi")
NOT_IMAGES = ("envi classification", "envi spectral library")
HEADER_BYTES = 2**24  # at most; a header of 20,000 bands with all its lists has about a megabyte
LARGEST = 2**40  # of any size, so that no product of three is beyond printing
USED = {"samples", "lines", "bands", "data type", "interleave", "byte order", "header offset", "file type", "bbl"}
USED |= {"wavelength", "wavelength units", "reflectance scale factor", "data ignore value", "pixel pitch mm"}
USED |= {"data gain values", "data offset values", "tint", "autodarkstartline"}
# Other than 0, they say that the pixels do not lie one after the other.
NOT_PLAIN = {"file compression": "compressed", "major frame offsets": "framed", "minor frame offsets": "framed"}
NM = {"nm": 1, "nanometer": 1, "um": 1e3, "μm": 1e3, "micrometer": 1e3, "micron": 1e3, "angstrom": 0.1}
NM |= {"mm": 1e6, "millimeter": 1e6, "cm": 1e7, "centimeter": 1e7, "m": 1e9, "meter": 1e9}
# 376.44; 376.44 Nanometers; Band 1 (376.44 nm)
BAND_NAME = re.compile(
    r"(band|channel|wavelength|wl|b)?[ _#]*(\d*\s*[:=([-]\s*)?"
    r"(?P<value>\d+(\.\d+)?)\s*(?P<unit>[a-zµμ]+(-1)?)?\s*[])]?",
    re.IGNORECASE,
)
PER_CM = ("cm-1", "cm^-1", "1/cm", "wavenumber")


def read_header(path) -> dict[str, str | list[str]]:
    """A header's keys in lower case, with their text, or a list of texts where it has braces.

    Sizes, data type, byte order (0 where missing, as in ENVI), offset (likewise) and interleave are checked.
    Raises InputError that says which key is missing or wrong, or why the file is no ENVI header of an image.
    """
    header = {"byte order": "0", "header offset": "0"} | parse(path)
    if " ".join(str(header.get("file type")).lower().split()) in NOT_IMAGES:
        raise InputError(f"{path}: its file type is {short(header['file type'])}; expected an image of spectra.")
    for key, what in NOT_PLAIN.items():
        if any(to_float(text) != 0 for text in _texts(header.get(key, "0"))):
            raise InputError(f"{path}: its data are {what} ('{key}' is not 0); save them plain, and remove that line.")
    for key, least in {"samples": 1, "lines": 1, "bands": 1, "header offset": 0, "byte order": 0}.items():
        value, most = number(header, key, path), 1 if key == "byte order" else LARGEST
        if not least <= value <= most or value != int(value):
            raise InputError(f"{path}: '{key}' is {short(header[key])}; expected a whole number, {least} to {most}.")
        header[key] = str(int(value))
    code = f"{number(header, 'data type', path):g}"
    if code not in DTYPES:
        why = "complex numbers, and a reflectance is real" if code in ("6", "9") else "unknown to ENVI"
        raise InputError(f"{path}: 'data type' is {code}, {why}; expected one of {', '.join(DTYPES)}.")
    interleave = str(header.get("interleave")).lower()
    if interleave not in INTERLEAVES:
        raise InputError(f"{path}: 'interleave' is {short(header.get('interleave'))}; expected bsq, bil or bip.")
    return header | {"data type": code, "interleave": interleave}


def parse(path) -> dict[str, str | list[str]]:
    """Key -> text or list of texts, nothing checked but the form. Lines that begin with ; are comments.

    The text may be UTF-8, with or without a byte order mark, or Latin-1. Warns of a line that is no `key = value`.
    """
    text = "\n".join(line for line in header_text(path).split("\n") if not line.lstrip().startswith(";"))
    lines = iter(re.sub(r"=[ \t]*\n[ \t]*{", "= {", text).split("\n"))  # the { may stand on the next line
    if next(lines).strip() != "ENVI":
        why = ""
        if re.search(r"^\s*(nrows|byteorder|layout|pixeltype)\s+\S", text, re.IGNORECASE | re.MULTILINE):
            why = " It is Esri's: `gdal_translate -of ENVI IN OUT.raw` makes an ENVI image of it, without wavelengths."
        raise InputError(f"{path}: not an ENVI header: its first line is not 'ENVI'.{why}")
    header = {}
    for line in lines:
        key, equals, value = line.partition("=")
        key, value = " ".join(key.lower().split()), value.strip()
        if not equals:
            if key:
                warnings.warn(f"{path}: a line that is no 'key = value' is ignored: {key[:60]!r}.", stacklevel=2)
            continue
        if value.startswith("{"):
            value = _in_braces(value, lines)
            if value is None:
                raise InputError(f"{path}: the {{ of {short(key)} is not closed by a }} at the end of a line; add it.")
        if header.setdefault(key, value) != value and key in USED:
            raise InputError(f"{path}: '{key}' is given twice, with different values; remove one.")
    return header


def number(header: dict, key: str, path, default=..., is_finite=True):
    """header[key] as a float, finite unless told otherwise, or the default where it is missing. Raises InputError."""
    if key not in header:
        if default is ...:
            raise InputError(f"{path}: '{key}' is missing; add it to the header.")
        return default
    value = to_float(header[key])
    if value is None or (is_finite and not np.isfinite(value)):
        raise InputError(f"{path}: '{key}' is {short(header[key])}; expected a number.")
    return value


def per_band(header: dict, key: str, path) -> np.ndarray | None:
    """(bands,) float64, the finite numbers of a list, or None where the key is missing. Raises InputError."""
    if key not in header:
        return None
    texts = _texts(header[key])
    texts = texts[0].split() if len(texts) == 1 else texts  # no commas, but blanks or lines
    if len(texts) != int(header["bands"]):
        raise InputError(f"{path}: '{key}' has {len(texts)} values for {header['bands']} bands; give one per band.")
    values = np.array([to_float(text) for text in texts], float)  # what is no number becomes NaN
    if not np.isfinite(values).all():
        wrong = texts[np.argmin(np.isfinite(values))]
        raise InputError(f"{path}: '{key}' holds {short(wrong)}; expected finite numbers.")
    return values


def good_bands(header: dict, path) -> tuple[np.ndarray, np.ndarray]:
    """(n,) indices of the bands to keep, by ascending wavelength, and their (n,) wavelengths in nm.

    Bands with 0 in `bbl` are dropped; `fwhm` is not used. Without `wavelength`, those in `band names` are taken, with a
    warning. Raises InputError as to_nm and in_order do.
    """
    values, unit = per_band(header, "wavelength", path), ", ".join(_texts(header.get("wavelength units", "")))
    if values is None:
        values, unit = _from_band_names(header, unit, path)
    bad = per_band(header, "bbl", path)
    if bad is not None and not (np.isin(bad, (0, 1)).all() and bad.any()):
        raise InputError(f"{path}: 'bbl' must hold 0 for bad and 1 for good bands, and not 0 for all.")
    keep = np.arange(len(values)) if bad is None else np.flatnonzero(bad)
    nm = to_nm(values[keep], unit, path)
    order = in_order(nm, path)
    return keep[order], nm[order]


def _from_band_names(header: dict, unit: str, path) -> tuple[np.ndarray, str]:
    """Wavelengths (bands,) and their unit, if each band's name holds one number, or one with a unit."""
    names = _texts(header.get("band names", []))
    found = [BAND_NAME.fullmatch(name) for name in names if len(name) < 80]
    values = np.array([float(match["value"]) for match in found if match])
    units = {match["unit"] or "" for match in found if match}
    missing = f"{path}: no 'wavelength = {{...}}'; add one value per band"
    if not names:
        raise InputError(f"{missing}.")
    if len(values) != int(header["bands"]) or len(units) != 1 or _are_counted(values):
        raise InputError(f"{missing}. The band names do not tell them all: {short(names[0])} ... {short(names[-1])}.")
    warnings.warn(
        f"{path}: no 'wavelength'; 'band names' are taken for wavelengths, {names[0]} to {names[-1]}.", stacklevel=2
    )
    return values, units.pop() or unit


def _are_counted(values: np.ndarray) -> bool:
    return bool(values[0] < 300 and (np.diff(values) == 1).all())  # 1, 2, 3, and no wavelengths


def to_nm(values: np.ndarray, unit: str, where) -> np.ndarray:
    """Wavelengths or wavenumbers (n,) to nm, in the same order.

    No or an unknown unit is taken for nm between 300 and 2600 and for micrometres between 0.3 and 30: cameras for the
    visible and near infrared leave the unit out. Everything else is refused. Raises InputError.
    """
    name = unit.casefold().strip().replace("metre", "meter").rstrip("s")
    if name in ("", "unknown"):
        if 300 <= values.min() and values.max() <= 2600:
            name = "nm"
        elif 0.3 <= values.min() and values.max() <= 30:
            name = "um"
        else:
            raise InputError(
                f"{where}: the unit of the wavelengths is missing, and {values.min():g} to {values.max():g} could be "
                "more than one. State 'wavelength units = nm' (or um, cm-1)."
            )
    if name not in NM and name not in PER_CM:
        raise InputError(f"{where}: 'wavelength units' is {short(unit)}; expected nm, um or cm-1.")
    with np.errstate(divide="ignore", over="ignore"):
        nm = 1e7 / values if name in PER_CM else values * NM[name]
    if not ((nm >= 100) & (nm <= 30_000)).all():
        raise InputError(
            f"{where}: the wavelengths {values.min():g} to {values.max():g} {unit or name} are not all within 100 to "
            "30000 nm. Is the unit right? State 'wavelength units = nm', um or cm-1; set bands without a wavelength "
            "to 0 in 'bbl'."
        )
    return nm


def in_order(nm: np.ndarray, where) -> np.ndarray:
    """The order (n,) in which wavelengths ascend. Warns where they neither ascend nor descend as they stand.

    Raises InputError when two bands have the same wavelength.
    """
    if len(nm) > 1 and (nm == nm[0]).all():
        raise InputError(f"{where}: every band has the wavelength {nm[0]:g} nm; give each band its own.")
    order, steps = np.argsort(nm), np.diff(nm)
    if (same := np.diff(nm[order]) == 0).any():
        first, second = sorted(order[np.argmax(same) :][:2])
        raise InputError(
            f"{where}: bands {first + 1} and {second + 1} both have the wavelength {nm[first]:g} nm; correct it, or "
            "set one of them to 0 in 'bbl'."
        )
    if (steps > 0).any() and (steps < 0).any():
        turn = int(np.argmax(steps < 0 if nm[-1] > nm[0] else steps > 0))
        warnings.warn(
            f"{where}: {nm[turn]:g} nm is followed by {nm[turn + 1]:g} nm, so the bands are sorted. Where two "
            "detectors overlap, theirs alternate; if spectra are jagged there, set those of one to 0 in 'bbl'.",
            stacklevel=2,
        )
    return order


def _in_braces(first: str, lines) -> list[str] | None:
    """The texts between the { that begins `first` and its }, for which `lines` are taken; None where it has none."""
    parts, n_open = [first], first.count("{") - first.count("}")
    while n_open > 0 and (line := next(lines, None)) is not None:
        parts.append(line)
        n_open += line.count("{") - line.count("}")
    text = "\n".join(parts).strip()
    if n_open > 0 or not text.endswith("}"):
        return None
    return [item.strip() for item in text[1:-1].strip(", \t\n").split(",")]


def _texts(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def header_text(path) -> str:
    """A header's text with plain line ends, whatever its encoding. Raises InputError when it cannot be one."""
    path = Path(path)
    try:
        if not path.is_file():
            why = "a link that leads nowhere" if path.is_symlink() else "no such file"
            raise InputError(f"{path}: cannot be opened: {why}; expected an ENVI header.")
        with open(path, "rb") as file:
            raw = file.read(HEADER_BYTES + 1).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}).") from None
    raw = raw.rstrip(b"\0\x1a")  # padding; DOS ended text so
    if b"\0" in raw:
        raise InputError(f"{path}: not an ENVI header: it is no text; is it the data file?")
    if len(raw) > HEADER_BYTES:
        raise InputError(f"{path}: not an ENVI header: it has more than {HEADER_BYTES} bytes.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")
