"""A camera's folder: which file is the scene, which are its white and dark references, and their calibration."""

import re
from pathlib import Path

import numpy as np

from hsichem._base import InputError, few
from hsichem.cubes import Cube
from hsichem.loaders.envi_header import DATA_SUFFIXES, header_text, parse
from hsichem.loaders.exposure import BESIDE

# Specim: WHITEREF_x, DARKREF_x, and the IQ's WHITEDARKREF_x, a dark frame at the white's integration time.
# Headwall: whiteReference and darkReference, alone or after x_.
KINDS = {
    "white dark": r"^white_?dark_?ref(erence)?(_|$)|(^|_)white_?dark_?ref(erence)?$",
    "white": r"^white_?ref(erence)?(_|$)|(^|_)white_?ref(erence)?$",
    "dark": r"^(dark|black)_?ref(erence)?(_|$)|(^|_)(dark|black)_?ref(erence)?$",
}
# Where cameras have no custom of their own: x_white, x_dark, or white, black. A scene may be called so too.
ELSE = {"white": r"(^|_)white(_frame|_panel|_tile)?$", "dark": r"(^|_)(dark|background)(_frame|_current)?$|^black$"}


UNLIT = 0.3  # share of the columns in which white is not above dark, from which a band is without light
# Products that cameras' programs write beside the scene: Headwall's x_rd, x_rf and x_rd_rf, HySpex's x_rad and x_ref,
# Specim's RADIANCE_x and REFLECTANCE_x
PRODUCT = re.compile(r"_(rd|rf|rad|refl|radiance|reflectance|corrected)$|^(radiance|reflectance)_")
REFLECTANCE = re.compile(r"_(rf|refl|reflectance)$|^reflectance_")


def find_frames(path, suffix: str) -> dict[str, Path]:
    """scene, white and dark -> file, and `white dark` if there is one.

    path: a folder, which may hold them in a subfolder `capture`, or one scene of several in it, for which references
    that bear its name are taken before others. Files of another suffix, as manifest.xml, are passed over. Where no
    dark reference is there, but the scene ends with dark lines of its own, `dark` is the scene's file.
    Raises InputError that names what is missing or found twice.
    """
    path = Path(path)
    folder = path.parent if path.is_file() else path
    if folder == path and (path / "capture").is_dir():
        folder = path / "capture"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a capture with its white and dark references.")
    named = _by_kind(file for file in listed(folder) if file.suffix.lower() == suffix and file != path)
    if path.is_file():
        named["scene"] = [path]
    found = {}
    for kind in ("scene", "white", "dark", "white dark"):
        files = _of_these_scenes(kind, named)
        if not files and "dark" in kind and suffix == ".hdr" and "autodarkstartline" in parse(found[BESIDE[kind]]):
            files = [found[BESIDE[kind]]]
        if not files and kind == "dark" and suffix == ".hdr":
            _check_hyspex(found["scene"])
        if len(files) == 1:
            found[kind] = files[0]
            if kind == "scene" and files[0] != path and PRODUCT.search(_words(files[0])):  # would be calibrated twice
                raise InputError(f"{folder}: no scene as the camera stored it. {_of_products([files[0].name])}")
        elif files or kind != "white dark":
            raise InputError(_wanted(kind, folder, suffix, [file.name for file in files]))
    return found


def has_references(folder: Path) -> bool:
    """Whether a folder is a camera's: with a subfolder `capture`, or with files named as white or dark references.

    Raises InputError when it cannot be read.
    """
    files = [file for file in listed(folder) if file.suffix.lower() in (".hdr", ".nc")]
    # a dish of white and one of dark chocolate are no references, unless a scene stands beside both
    named = _by_kind(files)
    sure = any(re.search(pattern, _words(file)) for pattern in KINDS.values() for file in files)
    return sure or (folder / "capture").is_dir() or all(named[kind] for kind in ("scene", "white", "dark"))


def scenes(path: Path) -> list[Path]:
    """The files of a camera's folder that are no references; of a folder with both, those of ENVI."""
    folder = path / "capture" if (path / "capture").is_dir() else path
    files = listed(folder)
    kinds = ([file for file in files if file.suffix.lower() == suffix] for suffix in (".hdr", ".nc"))
    return _by_kind(next(filter(None, kinds), []))["scene"]


def listed(folder: Path) -> list[Path]:
    """The files of a folder by name, without hidden ones. Raises InputError when it cannot be read."""
    try:
        return sorted(file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}).") from None


def calibrate(frames: dict[str, Cube], paths: dict[str, Path], factor: float = 1.0) -> Cube:
    """Reflectance = factor * (scene - dark) / (white - dark), per column and band, into the scene's own array.

    Arguments and errors as of `levels`.
    """
    return reflectance(frames["scene"], *levels(frames, paths, factor))


def reflectance(scene: Cube, dark: np.ndarray, span: np.ndarray) -> Cube:
    """(scene - dark) / span, into the scene's own array. dark, span: (cols, bands) of `levels`."""
    values = scene.values  # in place: a full-size capture fills gigabytes
    values -= dark
    values /= span
    if scene.mask is not None:
        values[~scene.mask] = 0
    return scene


def levels(frames: dict[str, Cube], paths: dict[str, Path], factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(cols, bands) float32 of dark, and of (white - dark) / factor.

    frames: as find_frames names them, all with the same columns and bands; the references' lines are averaged, and of
    the scene some lines are enough. `white dark` is the white's dark frame, else `dark` serves both. factor:
    integration time of the white over that of the scene.
    Raises InputError for a reference of another size, with ignored pixels, or white that is not above dark.
    """
    scene, mean = frames["scene"], {}
    for kind in [kind for kind in KINDS if kind in frames]:
        frame = frames[kind]
        if frame.values.shape[1:] != scene.values.shape[1:] or not np.allclose(frame.wavelengths, scene.wavelengths):
            raise InputError(
                f"{paths[kind]}: {frame.values.shape[1]} columns x {frame.values.shape[2]} bands; the scene has "
                f"{scene.values.shape[1]} x {scene.values.shape[2]}. Both need the same columns, bands and wavelengths."
            )
        if not frame.foreground.all():
            raise InputError(f"{paths[kind]}: pixels of a reference have the 'data ignore value'; capture it again.")
        mean[kind] = frame.values.mean(axis=0, dtype=np.float64)  # (cols, bands)
    span = mean["white"] - mean.get("white dark", mean["dark"])
    if not (span > 0).all():
        bad = ~(span > 0)
        col, band = np.argwhere(bad)[0]
        raise InputError(
            f"{paths['white']}: white is not above dark in {bad.sum()} of {span.size} column-band pairs, first "
            f"at column {col}, band {band} ({scene.wavelengths[band]:.1f} nm): {mean['white'][col, band]:g} against "
            f"{mean['white'][col, band] - span[col, band]:g}. {_why_no_light(bad, scene.wavelengths)}"
        )
    return np.float32(mean["dark"]), np.float32(span / factor)


def _why_no_light(bad: np.ndarray, nm: np.ndarray) -> str:
    """bad: (cols, bands), where white is not above dark. Without light, noise makes about half of the columns so."""
    without = bad.mean(axis=0) > UNLIT
    if bad.mean() > UNLIT and without.mean() > 0.9:
        return "Are the two references swapped, or was there no light?"
    if not without.any():
        return "A dead pixel? Set its band to 0 in 'bbl' of the scene's header."
    runs = np.split(np.flatnonzero(without), 1 + np.flatnonzero(np.diff(np.flatnonzero(without)) > 1))
    listed = [f"{nm[run[0]]:.0f} to {nm[run[-1]]:.0f} nm" for run in runs]
    return (
        f"Hardly any light from {few(listed, 3)}: the lamp gives none there, or the sensor sees none. Leave these "
        "bands out with 0 in 'bbl' of the scene's header."
    )


def _check_hyspex(scene: Path) -> None:
    """Raises InputError for a scene of a HySpex camera, in whose data file the dark frame lies before the pixels."""
    if scene.with_suffix(".hyspex").is_file() or re.search(r"number of background *=", header_text(scene).lower()):
        raise InputError(
            f"{scene}: HySpex cameras keep the dark frame in the head of the scene's own data file, where it is not "
            "read, and there is none beside it. Let HySpex's program (HySpex RAD) subtract it and give its product, or "
            "save the dark frame as DARKREF_<id>.hdr with its data."
        )


def _by_kind(files) -> dict[str, list[Path]]:
    """scene and each of KINDS -> its files, as their names say."""
    named = {kind: [] for kind in ("scene", *KINDS)}
    for file in files:
        named[next((kind for kind, pattern in KINDS.items() if re.search(pattern, _words(file))), "scene")].append(file)
    for kind, pattern in ELSE.items():
        if not named[kind]:
            named[kind] = [file for file in named["scene"] if re.search(pattern, _words(file))]
            named["scene"] = [file for file in named["scene"] if file not in named[kind]]
    return named


def _of_these_scenes(kind: str, named: dict[str, list[Path]]) -> list[Path]:
    """The files of a kind; of several references those that bear the name of a scene, if there are such."""
    files = named[kind]
    if kind == "scene" or len(files) < 2:
        return files
    scenes = [_words(file) for file in named["scene"]]
    return [file for file in files if re.sub(KINDS[kind], "", _words(file)) in scenes] or files


def _of_products(names: list[str]) -> str:
    good = [name for name in names if REFLECTANCE.search(_words(Path(name)))]
    other = f"; or give {few(good, 3)} by its own name, as reflectance." if good else "."
    return (
        f"By its name a product of the camera's program: {few(names, 3)}. Move it away, and the scene is calibrated "
        f"with its white and dark frames{other}"
    )


def _words(file: Path) -> str:
    stem = Path(file.stem)
    stem = stem.stem if stem.suffix.lower() in DATA_SUFFIXES[1:] else stem.name  # white.bil.hdr
    return re.sub(r"[ .-]+", "_", stem.lower())


def _wanted(kind: str, folder: Path, suffix: str, names: list[str]) -> str:
    prefix = "" if kind == "scene" else kind.replace(" ", "").upper() + "REF_"  # white dark: WHITEDARKREF_
    fix = "Copy the camera's whole folder."
    if kind == "scene" and names:
        fix = "Give the file of one of them instead of the folder."
        if products := [name for name in names if PRODUCT.search(_words(Path(name)))]:
            fix = _of_products(products) + " The scene alone, by its own name, is counts."
    if kind == "white" and not names:
        fix += " An image that is reflectance already is read by its own name, not the folder's."
    return f"{folder}: expected exactly one {prefix}<id>{suffix}, found {few(names) or 'none'}. {fix}"
