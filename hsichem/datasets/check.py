"""Every problem of a folder of captures at once: its table, its images, and how they fit together."""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hsichem._base import InputError, to_float
from hsichem.cubes import Cube, saturated
from hsichem.datasets.own import check_way, choose_response, state_splits
from hsichem.datasets.samples import find_images, image_problems, read_masked
from hsichem.datasets.table import Table, one_test_group, read_table
from hsichem.loaders import exposure_times, find_frames, read_counts

FEWEST = 2  # samples in the test set and in each fold: one says nothing about a spread
SATURATED = 0.01  # of the sample's pixels; single glints are usual
DRIFT = 0.05  # of a white reference's level against the median of all
COUNTS = 2  # a median above it is not reflectance
SPECK = 0.01  # of the image; a smaller mask has missed the sample
LINES = 8  # fewer lines can have the same count by chance


@dataclass
class Findings:
    """What is in the folder, sentence by sentence, and what is wrong with it, each with what to do."""

    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def check_folder(folder, response=None, unit=None, mask="brightness") -> Findings:
    """Look at everything in a folder that is to become a data set; the arguments are those of datasets.add.

    Beyond what keeps it from being opened: values outside 0-100 % or all alike, too few samples in a fold, a group
    divided among splits, saturated pixels, detector elements that are dead, white references that differ between
    captures, images of other bands, and masks that are specks. Raises InputError when there is no such folder, and
    for an unknown way to find masks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with captures and references.csv.")
    check_way(mask)
    images = find_images(folder)
    findings, ids = Findings([f"{len(images)} captures and images"]), list(images)
    try:
        table = read_table(folder)
        ids = [name for name in dict.fromkeys(table.ids) if name]
        _check_table(table, response, unit, findings)
    except InputError as error:
        findings.problems.append(str(error))
    findings.problems += image_problems(ids, images)
    for name in sorted(set(images) - set(ids)):
        findings.problems.append(f"{name}: no line in the table; add one, or move it out of the folder.")
    seen = {}
    for name in tqdm([name for name in ids if len(images.get(name, ())) == 1], desc="captures", unit="capture"):
        try:
            seen[name] = _check_image(folder, name, images[name][0], mask, findings)
        except (InputError, OSError) as error:
            findings.problems.append(f"{name}: cannot be used: {error}")
    findings.problems += _odd_ones(seen)
    return findings


def _check_table(table: Table, response, unit, findings: Findings) -> None:
    """Raises InputError where splits cannot be assigned."""
    groups = [row.group for row in table.rows]
    findings.found.append(f"{table.path.name}: {len(table.ids)} lines, {len(set(groups))} groups of samples")
    findings.found += [f"column {name!r} has no numbers and is not used" for name in table.ignored]
    findings.problems += table.problems
    try:
        findings.found.append("response: {} ({})".format(*choose_response(table, response, unit)))
    except InputError as error:
        findings.problems.append(str(error))
    for name in table.units:
        findings.problems += _value_problems(table, name)
    splits = table.splits()
    findings.found.append(f"splits: {state_splits(table)} {dict(sorted(Counter(splits).items()))}")
    findings.problems += [f"{table.path}: {problem}" for problem in _split_problems(groups, splits)]


def _value_problems(table: Table, name: str) -> Iterator[str]:
    values = [row.values[name] for row in table.rows]
    low, high = min(values, default=0), max(values, default=0)
    if len(values) > 1 and low == high:
        yield f"{table.path}: {name} is the same in all samples; nothing can be learnt from it."
    if not (table.units[name] or "%").startswith("%"):
        return
    for row in table.rows:
        if not 0 <= (value := row.values[name]) <= 100:
            yield f"{table.path}, line {row.line}: {name} is {value:g}; expected 0 to 100 %. Mistyped?"
    if 0 <= low < high <= 1:
        shares = f"from {low:g} to {high:g}, as shares of 1 are"
        yield f"{table.path}: {name} is {shares}; multiply by 100 if they are."


def _split_problems(groups: list[str], splits: list[int]) -> Iterator[str]:
    sizes = Counter(splits)
    for split in sorted({0, 1, 2} | set(sizes)):
        if sizes[split] < FEWEST:
            what = f"fold {split}" if split else "the test set (split 0)"
            yield (
                f"{sizes[split]} samples in {what}; expected {FEWEST} or more. Move some there, or delete the column "
                "'split', and splits are assigned."
            )
    if sizes[0] >= FEWEST and (problem := one_test_group(groups, splits)):
        yield problem
    for group in dict.fromkeys(groups):
        found = sorted({split for other, split in zip(groups, splits, strict=True) if other == group})
        if len(found) > 1:
            yield (
                f"group {group!r} is in splits {found}, and what is alike must not be on both sides of a test; give "
                "its samples one split."
            )


def _check_image(folder: Path, name: str, path: Path, mask, findings: Findings) -> tuple:
    """(bands,) wavelengths and level of the white reference per second, None without one: what is compared later.

    Raises InputError or OSError for an image that cannot be read.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cube, frames = read_masked(folder, name, path, mask), _frames(path)
    findings.found += [f"{name}: {warning.message}" for warning in caught]
    share = cube.foreground.mean()
    size = "{} x {} pixels, {} bands".format(*cube.values.shape)
    findings.found.append(f"{name}: {size}, sample {share:.0%} of it")
    findings.problems += [f"{name}: {problem}" for problem in _image_problems(cube, share, frames)]
    if not {"white", "dark"} <= set(frames):
        return cube.wavelengths, None
    (white, header), (dark, _) = frames["white"], frames["dark"]
    level = white.mean(axis=(0, 1), dtype=float) - dark.mean(axis=(0, 1), dtype=float)
    time = next(iter(exposure_times(header, find_frames(path, ".hdr")["white"]).values()), "1")
    return cube.wavelengths, level / (to_float(time) or 1.0)


def _frames(path: Path) -> dict:
    """scene, and white and dark if there are, as (counts, header); empty for files that are not ENVI."""
    if path.suffix.lower() == ".hdr":
        return {"scene": read_counts(path)}
    try:
        return {kind: read_counts(file, "dark" in kind) for kind, file in find_frames(path, ".hdr").items()}
    except InputError:
        return {}


def _image_problems(cube: Cube, share: float, frames: dict) -> Iterator[str]:
    if share < SPECK:
        yield f"its mask covers {share:.1%} of the image; choose another way, or put one into the folder 'masks'."
    if (median := np.median(cube.values[cube.foreground])) > COUNTS:
        yield (
            f"half of its values are above {median:.4g}, so they are not reflectance (1 = white). Give the capture's "
            "folder with white and dark frames, or state 'reflectance scale factor' in the header."
        )
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
    if same.any():
        col, band = np.argwhere(same)[0]
        at = f"{nm[band]:.0f} nm" if len(nm) == counts.shape[2] else f"stored band {band}"
        yield (
            f"{same.sum()} of {same.size} detector elements count the same in every line, first at column {col}, {at}: "
            "dead. Leave the band out (bbl in the header), or replace the values by those beside."
        )


def _odd_ones(seen: dict[str, tuple]) -> Iterator[str]:
    """Captures against each other: their bands and their white references."""
    bands = Counter(tuple(nm.round(1)) for nm, _ in seen.values())
    usual = bands.most_common(1)[0][0] if bands else ()
    for name, (nm, _) in seen.items():
        if len(nm) != len(usual) or not np.allclose(nm, usual, rtol=0, atol=0.5):
            yield (
                f"{name}: {len(nm)} bands of {nm[0]:.1f} to {nm[-1]:.1f} nm, most others have {len(usual)} of "
                f"{usual[0]:.1f} to {usual[-1]:.1f} nm; a model needs the same in all. Is it another camera's?"
            )
    whites = {name: white for name, (nm, white) in seen.items() if white is not None and len(nm) == len(usual)}
    if len(whites) < 3:
        return
    median = np.median(list(whites.values()), axis=0)
    for name, white in whites.items():
        if abs((level := np.median(white / median)) - 1) > DRIFT:
            yield (
                f"{name}: its white reference is at {level:.0%} of the median of all. Was the lamp warm, the tile "
                "clean and in its place? Capture it again, or leave it out."
            )
