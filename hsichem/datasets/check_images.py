"""One image after the other, for check: what is in it, what is wrong with it, and all of them against each other."""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsichem._base import InputError, replacing, to_float
from hsichem.cubes import Cube, saturated, valley_depth
from hsichem.datasets.samples import drawn_masks, read_masked
from hsichem.loaders import NotReflectance, exposure_times, find_frames, read_counts

SATURATED = 0.01  # of the sample's pixels; single glints are usual
DRIFT = 0.05  # of a white reference's level against the median of all
SPECK = 0.01  # of the image; a smaller mask has missed the sample
VALLEY = 0.5  # a shallower one leaves the mask to chance
LINES = 8  # fewer lines can have the same count by chance
THUMBNAIL, ACROSS = 160, 6  # pixels; images side by side in an overview


@dataclass(frozen=True)
class Look:
    """What is kept of an image. shape: (rows, cols, bands). white: (bands,) level of the white reference per unit of
    time, None without one. grey, mask: every nth pixel, of the brightness and of the mask. hindering, remarks: what is
    wrong, as in check.Findings.
    """

    shape: tuple[int, int, int]
    wavelengths: np.ndarray
    white: np.ndarray | None
    share: float
    grey: np.ndarray
    mask: np.ndarray
    hindering: list[str]
    remarks: list[str]


def look_at(folder: Path, name: str, path: Path, mask) -> Look:
    """Read an image with its mask. Raises InputError or OSError for one that cannot be read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cube, paths = read_masked(folder, name, path, mask), _paths(path)
        frames = {kind: read_counts(file, "dark" in kind) for kind, file in paths.items()}
    share = float(cube.foreground.mean())
    said = {str(warning.message): issubclass(warning.category, NotReflectance) for warning in caught}
    hindering = [text for text, hinders in said.items() if hinders]
    remarks = [*(text for text, hinders in said.items() if not hinders), *_remarks(cube, frames)]
    if drawn_masks(folder, name) or mask == "none":
        remarks += _speck(cube.foreground)
    else:
        remarks += mask_doubts(Cube(cube.values, cube.wavelengths, name=cube.name), cube.foreground, mask)
    step = max(1, -(-max(cube.values.shape[:2]) // THUMBNAIL))
    grey = cube.values[::step, ::step].mean(axis=2)
    white = None
    if {"white", "dark"} <= set(frames):
        (counts, header), (dark, _) = frames["white"], frames["dark"]
        white = counts.mean(axis=(0, 1), dtype=float) - dark.mean(axis=(0, 1), dtype=float)
        white /= to_float(next(iter(exposure_times(header, paths["white"]).values()), "1")) or 1.0
    small = cube.foreground[::step, ::step]
    return Look(cube.values.shape, cube.wavelengths, white, share, grey, small, hindering, remarks)


def mask_doubts(cube: Cube, mask: np.ndarray, way) -> Iterator[str]:
    """What speaks against a mask that foreground_mask has found in a cube. The cube's own mask must not be that one,
    which would hide the background. Raises InputError as foreground_mask does."""
    yield from _speck(mask)
    if (depth := valley_depth(cube, way)) < VALLEY:
        yield (
            f"the mask's threshold cuts through pixels of one kind (its valley is {depth:.0%} deep), so its outline is "
            "left to chance. Look at the picture; try another --mask, or draw one into the folder 'masks'."
        )


def _speck(mask):
    if (share := mask.mean()) < SPECK:
        yield f"its mask covers {share:.1%} of the image; choose another way, or put one into the folder 'masks'."


def draw_masks(looks: dict[str, Look], path) -> None:
    """An overview of the images by name, each with its mask's outline, as PNG. Raises InputError where it cannot be
    written."""
    from matplotlib.figure import Figure  # not pyplot: nothing is shown, and no state is left

    rows = -(-len(looks) // ACROSS)
    figure = Figure(figsize=(1.7 * ACROSS, 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (name, look) in zip(axes, looks.items(), strict=False):
        axis.imshow(look.grey, cmap="gray", vmax=np.percentile(look.grey, 99), interpolation="nearest")
        if 0 < look.mask.mean() < 1:
            axis.contour(look.mask, levels=[0.5], colors="#d55e00", linewidths=0.8)
        label = name if len(name) < 24 else f"{name[:10]}...{name[-10:]}"
        axis.set_title(f"{label}\n{look.share:.0%}", fontsize=7, parse_math=False)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110)


def odd_bands(looks: dict[str, Look]) -> Iterator[str]:
    """Images whose bands are not those of most others."""
    bands = Counter(tuple(look.wavelengths.round(1)) for look in looks.values())
    usual = bands.most_common(1)[0][0] if bands else ()
    for name, look in looks.items():
        nm = look.wavelengths
        if len(nm) != len(usual) or not np.allclose(nm, usual, rtol=0, atol=0.5):
            yield (
                f"{name}: {len(nm)} bands of {nm[0]:.1f} to {nm[-1]:.1f} nm, most others have {len(usual)} of "
                f"{usual[0]:.1f} to {usual[-1]:.1f} nm; a model needs the same in all. Is it another camera's?"
            )


def odd_whites(looks: dict[str, Look]) -> Iterator[str]:
    """Captures whose white reference is not as bright as those of the others."""
    whites = {name: look.white for name, look in looks.items() if look.white is not None}
    usual = Counter(map(len, whites.values())).most_common(1)
    whites = {name: white for name, white in whites.items() if len(white) == usual[0][0]}
    if len(whites) < 3:
        return
    median = np.median(list(whites.values()), axis=0)
    for name, white in whites.items():
        with np.errstate(invalid="ignore", divide="ignore"):  # a band that is 0 in all
            level = np.nanmedian(white / median)
        if abs(level - 1) > DRIFT:
            yield (
                f"{name}: its white reference is at {level:.0%} of the median of all. Was the lamp warm, the tile "
                "clean and in its place? Capture it again, or leave it out."
            )


def _paths(path: Path) -> dict[str, Path]:
    """scene, and white and dark if there are; {} for files that are not ENVI."""
    if path.suffix.lower() == ".hdr":
        return {"scene": path}
    try:
        return find_frames(path, ".hdr")
    except InputError:
        return {}


def _remarks(cube: Cube, frames: dict) -> Iterator[str]:
    if "white" in frames and (over := saturated(frames["white"][0]).mean()):
        yield f"{over:.1%} of its white reference is saturated, so its reflectance is too high; expose it shorter."
    if "scene" not in frames:
        return
    counts, nm = frames["scene"][0], cube.wavelengths
    if (over := saturated(counts)[cube.foreground].mean()) > SATURATED:
        yield f"{over:.1%} of the sample's pixels are saturated; capture it again with a shorter exposure."
    if len(counts) < LINES:
        return
    same = np.logical_and.reduce([line == counts[0] for line in counts[1:]])  # (cols, bands); line by line for memory
    same &= counts[0] != counts.max()
    if "white" not in frames:  # of a product, a column that is one number for each band is background that was cut out
        same[same.all(axis=1)] = False
    if same.any():
        col, band = np.argwhere(same)[0]
        at = f"{nm[band]:.0f} nm" if len(nm) == counts.shape[2] else f"stored band {band}"
        yield (
            f"{same.sum()} of {same.size} detector elements count the same in every line, first at column {col}, {at}: "
            "dead. Leave the band out (bbl in the header), or replace the values by those beside."
        )
