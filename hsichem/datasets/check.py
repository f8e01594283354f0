"""Every problem of a folder of captures at once: its table, its images, and how they fit together."""

import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hsichem._base import InputError, to_float
from hsichem.cubes import Cube, saturated
from hsichem.datasets.own import check_way, choose_response, state_splits
from hsichem.datasets.samples import find_images, image_problem, load_own
from hsichem.datasets.table import Table, read_table
from hsichem.loaders import find_frames, read_counts

FEWEST = 2  # samples in the test set and in each fold: one says nothing about a spread
SATURATED = 0.01  # of the sample's pixels; single glints are usual
DRIFT = 0.05  # of a white reference's level against the median of all
COUNTS = 2  # a median reflectance above it is none
SPECK = 0.01  # of the image; a smaller mask has missed the sample
LINES = 8  # fewer lines can have the same count by chance


@dataclass
class Findings:
    """What is in the folder, sentence by sentence, and what is wrong with it, each with what to do."""

    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def check_folder(folder, response=None, unit=None, mask="brightness") -> Findings:
    """Look at everything in a folder that is to become a data set; the arguments are those of data.add.

    Beyond what keeps it from being opened: values outside 0-100 % or all alike, too few samples in a fold, a group
    divided among splits, saturated pixels, detector elements that are dead, white references that differ between
    captures, images of other bands, and masks that are specks. Raises InputError when there is no such folder, and
    for an unknown way to find masks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with captures and references.csv.")
    check_way(mask)
    findings, images, table = Findings(), find_images(folder), None
    findings.found.append(f"{len(images)} captures and images")
    try:
        table = read_table(folder)
        _check_table(table, response, unit, findings)
    except InputError as error:
        findings.problems.append(str(error))
    ids = table.ids if table else list(images)
    findings.problems += [problem for name in dict.fromkeys(ids) if name and (problem := image_problem(name, images))]
    for name in sorted(set(images) - set(ids)):
        findings.problems.append(f"{name}: no line in the table; add one, or move it out of the folder.")
    matched = [name for name in dict.fromkeys(ids) if len(images.get(name, ())) == 1]
    facts = {}
    for name in tqdm(matched, desc="captures", unit="capture"):
        facts[name] = _check_image(folder, name, images[name][0], mask, findings)
    _compare({name: fact for name, fact in facts.items() if fact}, findings)
    return findings


def _check_table(table: Table, response, unit, findings: Findings) -> None:
    counts = Counter(row.group for row in table.rows)
    findings.found.append(f"{table.path.name}: {len(table.ids)} lines, {len(counts)} groups of samples")
    findings.found += [f"column {name!r} has no numbers and is not used" for name in table.ignored]
    findings.problems += table.problems
    units = dict(table.units)
    try:
        response, units[response] = choose_response(table, response, unit)
        findings.found.append(f"response: {response} ({units[response]})")
    except InputError as error:
        units.pop(response, None)
        findings.problems.append(str(error))
    for name in units:
        _check_values(table, name, (units[name] or "%").startswith("%"), findings)
    try:
        splits = table.splits()
        findings.found.append(f"splits: {state_splits(table)} {dict(sorted(Counter(splits).items()))}")
    except InputError as error:
        findings.problems.append(str(error))
        return
    sizes = Counter(splits)
    for split in sorted({0, 1, 2} | set(sizes)):
        if sizes[split] < FEWEST:
            what = "the test set (split 0)" if split == 0 else f"fold {split}"
            findings.problems.append(
                f"{table.path}: {sizes[split]} samples in {what}; expected {FEWEST} or more. Move some there, or "
                "delete the column 'split', and splits are dealt."
            )
    divided = {row.group: set() for row in table.rows}
    for row, split in zip(table.rows, splits, strict=True):
        divided[row.group].add(split)
    tested = [group for group, found in divided.items() if 0 in found]
    if len(tested) == 1 and sizes[0] >= FEWEST:
        findings.problems.append(
            f"{table.path}: all samples of the test set (split 0) are of one group, {tested[0]!r}; "
            "intervals need two or more. Move samples of another group there, or delete the column 'split'."
        )
    for group, found in divided.items():
        if len(found) > 1:
            findings.problems.append(
                f"{table.path}: group {group!r} is in splits {sorted(found)}, and what is alike must not be on both "
                "sides of a test; give its samples one split."
            )


def _check_values(table: Table, name: str, percent: bool, findings: Findings) -> None:
    values = {row.line: row.values[name] for row in table.rows}
    if len(values) > 1 and len(set(values.values())) == 1:
        findings.problems.append(f"{table.path}: {name} is the same in all samples; nothing can be learnt from it.")
    if not percent or not values:
        return
    for line, value in values.items():
        if not 0 <= value <= 100:
            findings.problems.append(f"{table.path}, line {line}: {name} is {value:g}; expected 0 to 100 %. Mistyped?")
    if len(values) > 1 and 0 <= min(values.values()) < max(values.values()) <= 1:
        findings.problems.append(
            f"{table.path}: {name} is from {min(values.values()):g} to {max(values.values()):g}, as shares of 1 are; "
            "multiply by 100 if they are."
        )


def _check_image(folder: Path, name: str, path: Path, mask, findings: Findings) -> dict | None:
    """What _compare needs of a capture, or None where it cannot be read."""

    def problem(text):
        findings.problems.append(f"{name}: {text}")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            cube = load_own(folder, name, path, mask)
            frames = _frames(path)
        except (InputError, OSError) as error:
            problem(f"cannot be used: {error}")
            return None
    findings.found += [f"{name}: {warning.message}" for warning in caught]
    share = cube.foreground.mean()
    findings.found.append(
        "{}: {} x {} pixels, {} bands".format(name, *cube.values.shape) + f", sample {share:.0%} of it"
    )
    if share < SPECK:
        problem(f"its mask covers {share:.1%} of the image; choose another way, or put one into the folder 'masks'.")
    if (median := np.median(cube.values[cube.foreground])) > COUNTS:
        problem(
            f"half of its values are above {median:.4g}, so they are no reflectance (1 = white). Give the capture's "
            "folder with white and dark frames, or state 'reflectance scale factor' in the header."
        )
    _check_counts(frames, cube, problem)
    white = None
    if {"white", "dark"} <= set(frames):
        (counts, header), (dark, _) = frames["white"], frames["dark"]
        white = (counts.mean(axis=(0, 1), dtype=float) - dark.mean(axis=(0, 1), dtype=float)) / _time(header)
    return {"wavelengths": cube.wavelengths, "white": white}


def _frames(path: Path) -> dict:
    """scene, and white and dark if there are, as (counts, header); empty for files that are not ENVI."""
    if path.suffix.lower() == ".hdr":
        return {"scene": read_counts(path)}
    try:
        return {kind: read_counts(file, "dark" in kind) for kind, file in find_frames(path, ".hdr").items()}
    except InputError:
        return {}


def _check_counts(frames: dict, cube: Cube, problem) -> None:
    if "white" in frames and (over := saturated(frames["white"][0]).mean()):
        problem(f"{over:.1%} of its white reference is saturated, so its reflectance is too high; expose it shorter.")
    if "scene" not in frames:
        return
    counts, nm = frames["scene"][0], cube.wavelengths
    over = saturated(counts)[cube.foreground].mean()
    if over > SATURATED:
        problem(f"{over:.1%} of the sample's pixels are saturated; capture it again with a shorter exposure.")
    if len(counts) < LINES:
        return
    same = np.logical_and.reduce([line == counts[0] for line in counts[1:]])  # (cols, bands); line by line for memory
    same &= counts[0] != counts.max()
    if same.any():
        col, band = np.argwhere(same)[0]
        at = f"{nm[band]:.0f} nm" if len(nm) == counts.shape[2] else f"stored band {band}"
        problem(
            f"{same.sum()} of {same.size} detector elements count the same in every line, first at column {col}, {at}: "
            "dead. Leave the band out (bbl in the header), or replace the values by those beside."
        )


def _time(header: dict) -> float:
    return to_float(header.get("tint", "1")) or 1.0


def _compare(facts: dict[str, dict], findings: Findings) -> None:
    """Captures against each other: their bands and their white references."""
    bands = Counter(tuple(fact["wavelengths"].round(1)) for fact in facts.values())
    usual = bands.most_common(1)[0][0] if bands else ()
    for name, fact in facts.items():
        nm = fact["wavelengths"]
        if len(nm) != len(usual) or not np.allclose(nm, usual, rtol=0, atol=0.5):
            findings.problems.append(
                f"{name}: {len(nm)} bands of {nm[0]:.1f} to {nm[-1]:.1f} nm, most others have {len(usual)} of "
                f"{usual[0]:.1f} to {usual[-1]:.1f} nm; a model needs the same in all. Is it another camera's?"
            )
    whites = {n: f["white"] for n, f in facts.items() if f["white"] is not None and len(f["wavelengths"]) == len(usual)}
    if len(whites) < 3:
        return
    median = np.median(list(whites.values()), axis=0)
    for name, white in whites.items():
        level = np.median(white / median)
        if abs(level - 1) > DRIFT:
            findings.problems.append(
                f"{name}: its white reference is at {level:.0%} of the median of all. Was the lamp warm, the tile "
                "clean and in its place? Capture it again, or leave it out."
            )
