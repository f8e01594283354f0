"""A folder of tiny captures with a table of references, as a user might have it."""

import csv

import numpy as np

from hsichem.loaders import read_counts, write_cube

NM = np.linspace(700, 1000, 6)
ROWS, COLS = np.mgrid[:24, :20]
SAMPLE = (abs(ROWS - 11.5) < 8) & (abs(COLS - 9.5) < 7)


def make_capture(folder, name, seed=0, light=1.0, nm=NM):
    """A bright slab on a dark belt, with noise, as Specim's folder with white and dark frames, 12 bits."""
    rng = np.random.default_rng(seed)
    level = light * np.linspace(2000, 1000, len(nm))

    def expose(reflectance):
        counts = 100 + level * reflectance + rng.normal(0, 5, (*reflectance.shape[:2], len(nm)))
        return np.clip(counts.round(), 0, 4095).astype(np.uint16)

    frames = {"": np.where(SAMPLE, 0.5, 0.05)[:, :, None], "WHITEREF_": np.ones((10, 20, 1))}
    for prefix, reflectance in (frames | {"DARKREF_": np.zeros((10, 20, 1))}).items():
        write_cube(folder / name / "capture" / f"{prefix}{name}.hdr", expose(reflectance), nm)


def make_folder(folder, samples=20, heading="fat (% w/w)"):
    """Captures c01, c02, ... of animals in pairs, and their table without splits."""
    rows = [(f"c{k + 1:02d}", f"pig{k // 2}", f"{20 + 2.5 * k:.1f}") for k in range(samples)]
    for k, (name, *_) in enumerate(rows):
        make_capture(folder, name, k)
    write_table(folder, [("id", "animal", heading), *rows])
    return folder


def write_table(folder, rows):
    with open(folder / "references.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def table_of(folder):
    with open(folder / "references.csv", newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def change(header_path, edit):
    """Rewrite an image after edit(counts)."""
    counts, _ = read_counts(header_path)
    counts = np.array(counts)
    edit(counts)
    write_cube(header_path, counts, NM)
