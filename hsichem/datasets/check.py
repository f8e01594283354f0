"""Every problem of a folder of captures at once: its table, its images, and how they fit together."""

import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from hsichem._base import InputError, gathered
from hsichem.cubes import PIXELS
from hsichem.datasets.check_images import Look, look_at, odd_bands, odd_whites
from hsichem.datasets.own import check_way, choose_response, state_splits
from hsichem.datasets.samples import find_images, holds_image, image_problems, unused_masks
from hsichem.datasets.table import Table, check_place, one_test_group, read_table

# Bytes that a run takes before it has an image, then for each of the largest one, each pixel, in maps, and each value
# that the scale is measured on (see NoiseScale): 1.42 GB were seen for twelve images of 27 MB, 0.60 for twelve of 1.4.
RUN_BYTES, HELD, MAPS, MEASURED = 0.55e9, 4, 40, 24
# Minutes, of which the notebooks' kernels take the first, and for each pixel: as phantom-belly's lesson took, 60 images
# of 128 x 96 pixels in 7 min 46 s on two cores. Networks are trained for most of it; bands count for little there.
RUN_MINUTES, MINUTES_A_PIXEL = 1, 9e-6
FEWEST = 2  # samples in the test set and in each fold: one says nothing about a spread


@dataclass
class Findings:
    """What is in the folder, sentence by sentence, and what is wrong with it, each with what to do.

    hindering: what keeps it from being added or run. remarks: what to look at before it is. looks: the images that
    could be read, by name (see check_images.draw_masks).
    """

    found: list[str] = field(default_factory=list)
    hindering: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Both, what hinders first."""
        return self.hindering + self.remarks


def check_folder(folder, response=None, unit=None, mask="brightness") -> Findings:
    """Look at everything in a folder that is to become a data set; the arguments are those of datasets.add.

    Beyond what keeps it from being opened: values outside 0-100 % or all alike, too few samples in a fold, a group
    divided among splits, saturated pixels, detector elements that are dead, white references that differ between
    captures, images of other bands, masks that are specks or follow no edge, and what the loaders warn of. What three
    samples or more have in common is one sentence. Raises InputError when there is no such folder, when it is not the
    one with the table but the one above, and for an unknown way to find masks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with captures and references.csv.")
    check_way(mask)
    check_place(folder)
    images, findings = find_images(folder), Findings()
    try:
        table = read_table(folder)
        ids = [name for name in dict.fromkeys(table.ids) if name]
        _check_table(table, response, unit, findings)
    except InputError as error:
        ids = [name for name in images if any(map(holds_image, images[name]))]
        findings.hindering.append(str(error))
    images = {name: paths for name, paths in images.items() if name in ids or any(map(holds_image, paths))}
    findings.found.insert(0, f"{len(images)} captures and images")
    findings.hindering += image_problems(ids, images, folder)
    findings.remarks += [
        f"{name}: no line in the table; add one, or move it out of the folder." for name in images if name not in ids
    ]
    findings.remarks += unused_masks(folder, ids)
    start = time.monotonic()
    for name in tqdm([name for name in ids if len(images.get(name, ())) == 1], desc="captures", unit="capture"):
        try:
            look = findings.looks[name] = look_at(folder, name, images[name][0], mask)
        except MemoryError:
            findings.hindering.append(f"{name}: does not fit into memory; cut the image, or bin its pixels or bands.")
            continue
        except (InputError, OSError) as error:
            findings.hindering.append(f"{name}: cannot be used: {error}")
            continue
        findings.hindering += [f"{name}: {problem}" for problem in look.hindering]
        findings.remarks += [f"{name}: {remark}" for remark in look.remarks]
    if findings.looks:
        findings.found += _describe(findings.looks, time.monotonic() - start)
    findings.hindering += odd_bands(findings.looks)
    findings.remarks += [*odd_whites(findings.looks), *_too_large(findings.looks)]
    findings.hindering, findings.remarks = gathered(findings.hindering), gathered(findings.remarks)
    return findings


def _describe(looks: dict[str, Look], seconds: float) -> Iterator[str]:
    """Their sizes in a line, and what a run will need."""
    sizes = zip(*(look.shape for look in looks.values()), strict=True)
    rows, cols, bands = (_range(size, "{}") for size in sizes)
    share = _range([look.share for look in looks.values()], "{:.0%}")
    yield f"{len(looks)} images of {rows} x {cols} pixels, {bands} bands, sample {share} of it"
    bytes_ = [4 * math.prod(look.shape) for look in looks.values()]
    yield (
        f"memory: {_size(max(bytes_))} for the largest image, {_size(sum(bytes_))} for all; a run needs about "
        f"{_size(_run_bytes(looks))}"
    )
    minutes = RUN_MINUTES + MINUTES_A_PIXEL * sum(math.prod(look.shape[:2]) for look in looks.values())
    yield (f"time: reading them took {seconds:.1f} s; a run takes about {minutes:.0f} min on two cores (preset lesson)")


def _run_bytes(looks: dict[str, Look]) -> float:
    shapes = [look.shape for look in looks.values()]
    largest, pixels = max(map(math.prod, shapes), default=0), sum(rows * cols for rows, cols, _ in shapes)
    measured = min(pixels, PIXELS) * max((bands for *_, bands in shapes), default=0)
    return RUN_BYTES + HELD * 4 * largest + MAPS * pixels + MEASURED * measured


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def _too_large(looks: dict[str, Look]) -> Iterator[str]:
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not say so
        return
    if (need := _run_bytes(looks)) > there:
        yield (
            f"memory: a run needs about {_size(need)}, and this computer has {_size(there)}. Cut the images, or "
            "average or leave out bands: bin and crop_nm in the file that `hsichem data add` names."
        )


def _range(values, form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _check_table(table: Table, response, unit, findings: Findings) -> None:
    """Raises InputError where splits cannot be assigned. Where most lines have a fault, what the others say is left."""
    groups = [row.group for row in table.rows]
    findings.found.append(f"{table.path.name}: {len(table.ids)} lines, {len(set(groups))} groups of samples")
    findings.found += [f"column {name!r} has no numbers and is not used" for name in table.ignored]
    findings.hindering += table.problems
    try:
        chosen, unit = choose_response(table, response, unit)
        others = [name for name in table.units if name != chosen]
        hint = f"; --response chooses another: {', '.join(others)}" if others and not response else ""
        findings.found.append(f"response: {chosen} ({unit}){hint}")
    except InputError as error:
        findings.hindering.append(str(error))
    if 2 * len(table.rows) < len(table.ids):
        findings.found.append("values and splits: not looked at, as most lines have a fault")
        return
    for name in table.units:
        findings.hindering += _value_problems(table, name)
    findings.remarks += _shares(table)
    splits = table.splits()
    findings.found.append(f"splits: {state_splits(table)} {dict(sorted(Counter(splits).items()))}")
    findings.hindering += [f"{table.path}: {problem}" for problem in _split_problems(groups, splits)]
    few = [(split, n) for split, n in sorted(Counter(splits).items()) if n < FEWEST]
    findings.remarks += [f"{table.path}: {_too_few(n, split)}" for split, n in few]


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


def _shares(table: Table) -> Iterator[str]:
    for name, unit in table.units.items():
        values = [row.values[name] for row in table.rows]
        low, high = min(values, default=0), max(values, default=0)
        if (unit or "%").startswith("%") and 0 <= low < high <= 1:
            yield f"{table.path}: {name} is from {low:g} to {high:g}, as shares of 1 are; multiply by 100 if they are."


def _split_problems(groups: list[str], splits: list[int]) -> Iterator[str]:
    for split in (0, 1, 2):
        if split not in splits:
            yield _too_few(0, split)
    if splits.count(0) >= FEWEST and (problem := one_test_group(groups, splits)):
        yield problem
    for group in dict.fromkeys(groups):
        found = sorted({split for other, split in zip(groups, splits, strict=True) if other == group})
        if len(found) > 1:
            yield (
                f"group {group!r} is in splits {found}, and what is alike must not be on both sides of a test; give "
                "its samples one split."
            )


def _too_few(number: int, split: int) -> str:
    what = f"fold {split}" if split else "the test set (split 0)"
    return (
        f"{number} samples in {what}; expected {FEWEST} or more. Move some there, or delete the column 'split', and "
        "splits are assigned."
    )
