"""Malformed files and arguments: what is wrong, words of its message, and how a user meets it.

Each entry's last part is a function of an empty folder. It makes the files and returns a command, as a list of words,
or a call of the library without arguments. The cache is folder/cache, and folder is the working directory.
"""

import errno
import json
import os
import zipfile
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import torch
from distributed import LocalCluster
from helpers.fitted import models
from helpers.notebooks import make_notebook
from openpyxl import Workbook
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from hsichem import Cube, datasets
from hsichem._base import locked
from hsichem.cubes import foreground_mask, open_cube, store_cube
from hsichem.datasets.makers import phantom
from hsichem.datasets.store import fetch_file
from hsichem.lab import (
    engine,
    forge_share,
    load_model,
    map_captures,
    model_files,
    paint_loss,
    save_model,
    show_exposures,
    show_training,
    stack_noise,
    sweep,
)
from hsichem.lab import runner as rerun
from hsichem.lab.results import Results
from hsichem.loaders import read_any, read_capture, read_cube, read_mask
from hsichem.pls import fit_pls
from hsichem.unet import load_published

NM = "{900, 950, 1000}"
HEADER = {"samples": 4, "lines": 3, "bands": 3, "header offset": 0, "data type": 12, "interleave": "bil"}
HEADER |= {"byte order": 0, "wavelength units": "nm", "wavelength": NM}
TABLE = "id,split,fat (% w/w)\ns1,0,10\ns2,1,20\ns3,2,30\n"
PLAIN = """\
meat:
  title: Meat
  teaches: Something.
  layout: cubes
  files: [{path: a.csv, sha256: "%s", bytes: 3, url: null}]
  licence: unknown
  citation: none
  units: reflectance
  references: {fat: "%% w/w"}
  response: fat
  splits: none
  crop_nm: null
  bin: 1
  doubts: []
""" % ("0" * 64)


def text_of(header):
    return "ENVI\n" + "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None)


def write_image(folder, name="x", stored=None, size=72, **changed):
    """A header of 4 x 3 pixels x 3 bands with these keys changed (None: left out), and `size` bytes or an array."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = {key.replace("_", " "): value for key, value in changed.items()}
    (folder / f"{name}.hdr").write_text(text_of(HEADER | keys))
    (folder / f"{name}.raw").write_bytes(bytes(size) if stored is None else stored.tobytes())
    return folder / f"{name}.hdr"


def image(**changed):
    def prepare(folder):
        path = write_image(folder, **changed)
        return lambda: read_cube(path)

    return prepare


def header_text(content):
    def prepare(folder):
        (folder / "x.hdr").write_bytes(content)
        return lambda: read_cube(folder / "x.hdr")

    return prepare


def floats(value):
    stored = np.ones((3, 3, 4), "<f4")
    stored[1, 2, 3] = value
    return image(data_type=4, stored=stored)


def capture(white=200, dark=100, without=(), change=None, **of_white):
    def prepare(folder):
        place = folder / "s" / "capture"
        for name, counts in {"s": 150, "WHITEREF_s": white, "DARKREF_s": dark}.items():
            if name not in without:
                changed = {"tint": 5} | (of_white if name == "WHITEREF_s" else {})
                columns = changed.get("samples", 4)
                write_image(place, name, np.full((3, 3, columns), counts, "<u2"), **changed)
        if change:
            change(place)
        return lambda: read_capture(folder / "s")

    return prepare


def unlit(columns):
    """White below dark at 1000 nm in these columns."""
    counts = np.full((3, 3, 4), 200, "<u2")  # lines, bands, columns
    counts[:, 2, columns] = 98
    return lambda place: write_image(place, "WHITEREF_s", counts, tint=5)


def foreign(name, write):
    def prepare(folder):
        write(folder / name)
        return lambda: read_any(folder / name)

    return prepare


def save_npy(values, wavelengths=None):
    def write(path):
        np.save(path, values, allow_pickle=True)
        if wavelengths:
            path.with_suffix(".wavelengths.txt").write_text(wavelengths)

    return write


def two_cubes(path):
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))


def linked_elsewhere(path):
    with h5py.File(path, "w") as file:
        file["cube"] = h5py.ExternalLink("/etc/passwd", "/cube")


def declared(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", (100_000, 100_000, 300), chunks=(1, 100_000, 300), dtype="f4")
        file["wavelength"] = np.linspace(900, 1700, 300)


def mask(values, name="m.npy"):
    def prepare(folder):
        np.save(folder / name, values)
        return lambda: read_mask(folder / name, (3, 4))

    return prepare


def run_own(*splits):
    """run on a folder of images of 4 x 3 pixels in these splits."""
    names = [f"s{k}" for k in range(1, len(splits) + 1)]
    content = "".join(f"{name},{split},{k}\n" for k, (name, split) in enumerate(zip(names, splits, strict=True)))

    def prepare(folder):
        table("id,split,fat (%)\n" + content, images=names)(folder)
        datasets.add(folder / "mine", "mine", mask="none")
        return ["run", "--dataset", "mine"]

    return prepare


def storing(value):
    """store_cube of an image that has this value in a pixel."""

    def prepare(folder):
        values = np.full((3, 4, 3), 0.5, np.float32)
        values[1, 2, 0] = value
        return lambda: store_cube(folder / "s1.safetensors", Cube(values, [900, 950, 1000], name="s1"), many=1)

    return prepare


def stored(spoil, opened_before=False):
    """A stored image is opened after spoil(its path), or was open before and is read after it."""

    def prepare(folder):
        path = folder / "s1.safetensors"
        storing(0.25)(folder)()
        cube = open_cube(path) if opened_before else None
        spoil(path)
        return (lambda: cube.values[:]) if opened_before else lambda: open_cube(path)

    return prepare


def edited(old, new):
    """The same number of bytes, others in them."""

    def spoil(path):
        content = path.read_bytes()
        assert old in content and len(old) == len(new)
        path.write_bytes(content.replace(old, new))

    return spoil


def touched(path):
    os.utime(path, (1, 1))


def table(content=TABLE, *options, name="references.csv", command="add", images=("s1", "s2", "s3")):
    """data add (or check) on a folder with this table and an image for each name."""

    def prepare(folder):
        mine = folder / "mine"
        mine.mkdir()
        for each in images:
            write_image(mine, each, np.arange(36, dtype="<u2"))
        if callable(content):
            content(mine / name)
        elif content is not None:
            (mine / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        own = ["--name", "my-meat"] if command == "add" and "--name" not in options else []
        return ["data", command, "mine", *own, *options]

    return prepare


def sheets(*titles):
    def write(path):
        book = Workbook()
        for title in titles:
            book.create_sheet(title).append(["id", "fat"])
        book.save(path)

    return write


def inflating(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w") as file:
        for _ in range(20):
            file.write(bytes(2**20))


def entries(content):
    """The user's own manifest, read by any command."""

    def prepare(folder):
        own = folder / "cache" / "own"
        own.mkdir(parents=True)
        (own / "meat.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return ["data", "list"]

    return prepare


def changed(old, new):
    assert old in PLAIN
    return entries(PLAIN.replace(old, new))


def bomb(levels=12):
    return "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, levels))


def tecator_from(content):
    def prepare(folder):
        copy = folder / "mirror" / "tecator" / "tecator.csv"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(content)
        os.environ["HSICHEM_DATA_MIRROR"] = str(folder / "mirror")
        return ["data", "fetch", "tecator"]

    return prepare


def words(*command, before=None):
    def prepare(folder):
        if before:
            before(folder)
        return list(command)

    return prepare


def weights(name, write):
    def prepare(folder):
        write(folder / name)
        return lambda: load_published(folder / name)

    return prepare


def fit(spectra, y):
    return lambda folder: lambda: fit_pls(np.asarray(spectra, float), np.asarray(y, float))


def memory_full(folder):
    run_own(0, 1, 2)(folder)
    images = datasets.open_dataset("mine")

    def run():
        with patch("hsichem.datasets.store.crop_and_bin", side_effect=MemoryError):
            images.cube(images.samples[0])

    return run


def loop(path):
    path.symlink_to(path.name)


def report_on(metrics, notebook=None):
    """report on a results folder with this metrics.json and first notebook."""

    def prepare(folder):
        (folder / "results").mkdir()
        (folder / "results" / "metrics.json").write_bytes(metrics)
        if notebook is not None:
            (folder / "results" / "01_preprocessing.ipynb").write_bytes(notebook)
        return ["report", "results"]

    return prepare


def results_in_a_file(folder):
    (folder / "results").touch()
    return ["run", "--results", "results"]


def added(spoil, *command):
    """A command on a data set of the user's, after spoil(its folder, its entry)."""

    def prepare(folder):
        run_own(0, 1, 2)(folder)
        spoil(folder / "mine", folder / "cache" / "own" / "mine.yaml")
        return list(command)

    return prepare


def edit(old, new):
    return lambda mine, entry: entry.write_text(entry.read_text().replace(old, new))


def rows(*rows_):
    def write(path):
        book = Workbook()
        for row in rows_:
            book.active.append(row)
        book.save(path)

    return write


def entities(path):
    """A workbook whose text would be 10^9 letters long."""
    names = [f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 10)]
    text = f'<!DOCTYPE l [<!ENTITY e0 "a">{"".join(names)}]><workbook>&e9;</workbook>'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    listed = f'<Types xmlns="{types}"><Override PartName="/xl/workbook.xml" ContentType="{kind}"/></Types>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", listed)
        archive.writestr("xl/workbook.xml", text)


def drawn(size, *levels):
    """A mask as PNG with these levels of grey, in turns."""

    def prepare(folder):
        Image.fromarray(np.resize(np.uint8(levels), size)).save(folder / "m.png")
        return lambda: read_mask(folder / "m.png", (3, 4))

    return prepare


HDF5 = b"\x89HDF\r\n\x1a\n"
SPECTRA = np.random.default_rng(0).random((8, 5))
KNOBS = datasets.read_manifest()["phantom-belly"]["recipe"]["sizes"]["lesson"]


def refused(function, error_number, call, before=None):
    """A call, after before(folder), while the system refuses: `function` raises OSError with this number."""

    def prepare(folder):
        if before:
            before(folder)

        def run():
            with patch(function, side_effect=OSError(error_number, os.strerror(error_number))):
                call(folder)

        return run

    return prepare


def in_use(folder):
    def run():
        with locked(folder / "results" / "run"):
            rerun.run_notebooks([], folder / "results", {})

    return run


def model(spoil=lambda place: None):
    """load_model of a folder that save_model wrote, after spoil(its path)."""

    def prepare(folder):
        place = save_model(folder, models()["PLS"])
        spoil(place)
        return lambda: load_model(place)

    return prepare


def tiny(*arguments, parameters="results_dir = None\nseed = 0\nrate = 0.5"):
    """A sweep of a notebook that does nothing."""

    def prepare(folder):
        make_notebook(folder / "tiny.ipynb", parameters, "1")
        return ["sweep", "tiny.ipynb", *arguments]

    return prepare


def rewritten(**changed):
    def spoil(place):
        record = json.loads((place / "model.json").read_text())
        (place / "model.json").write_text(json.dumps(record | changed))

    return model(spoil)


def remade(**changed):
    """A record that says something else, under a checksum that is right."""

    def spoil(place):
        record = json.loads((place / "model.json").read_text()) | changed
        del record["checksum"]
        names = ["linear.safetensors", *(f"member{k}.safetensors" for k in range(1, 1 + record["members"]))]
        for name in names[1:]:
            (place / name).write_bytes((place / names[0]).read_bytes())
        record["checksum"] = model_files._checksum(record, {name: (place / name).read_bytes() for name in names})
        (place / "model.json").write_text(json.dumps(record))

    return model(spoil)


def written(name, content):
    return model(lambda place: (place / name).write_bytes(content))


def mapped(*captures, images=()):
    """map of these captures, after images of these names were written."""

    def prepare(folder):
        save_model(folder, models()["PLS"])
        for each in images:
            write_image((folder / each).parent, Path(each).name, np.arange(36, dtype="<u2"))
        return ["map", "models/pls", *captures, "-o", "out"]

    return prepare


def unread(folder):
    place = save_model(folder, models()["PLS"])
    return refused("pathlib.Path.read_bytes", errno.EACCES, lambda folder: load_model(place))(folder)


PLS = models()["PLS"]


def empty_notebook(folder):
    return str(make_notebook(folder / "a.ipynb", "results_dir = None\nseed = 0"))


def swept(folder):
    sweep.run_sweep(sweep.plan_sweep(str(folder / "a.ipynb"), {"seed": [0]}, {}))


def swept_elsewhere(folder):
    plan = sweep.plan_sweep(empty_notebook(folder), {"seed": [0]}, {})

    def run():
        with locked(plan.folder / "sweep"):
            sweep.run_sweep(plan)

    return run


def on_a_worker(version=engine.__version__, shared="/", threads=1, without=()):
    """Tasks for a worker of which something is not as here."""

    def run():
        options = {"n_workers": 1, "threads_per_worker": threads, "processes": False, "dashboard_address": None}
        with LocalCluster(**options) as cluster, patch("hsichem.lab.engine.__version__", version):
            with patch.dict("sys.modules", dict.fromkeys(without)):
                next(engine.run_tasks(print, {"task": 1}, shared, cluster.scheduler_address))

    return lambda folder: run


def nobody_at(address):
    def run():
        with patch("hsichem.lab.engine.PATIENCE", 0.5):
            next(engine.run_tasks(print, {"task": 1}, "/", address))

    return lambda folder: run


ENVI = [
    ("header: no such file", "cannot be opened: no such file", lambda folder: lambda: read_cube(folder / "x.hdr")),
    ("header: empty", "not 'ENVI'", header_text(b"")),
    ("header: Esri's", "It is Esri's: `gdal_translate", header_text(b"BYTEORDER I\nLAYOUT BIL\nNROWS 3\n")),
    ("header: binary", "it is no text", header_text(bytes(range(256)))),
    ("header: 17 MB", "more than 16777216 bytes", header_text(b"ENVI\n" + b"; " * 2**23)),
    ("header: a link to itself", "a link that leads nowhere", lambda folder: (
        loop(folder / "x.hdr"), lambda: read_cube(folder / "x.hdr"))[1]),
    ("header: a brace is not closed", "is not closed", image(wavelength="{900, 950,")),
    ("samples missing", "'samples' is missing", image(samples=None)),
    ("lines negative", "'lines' is '-3'", image(lines=-3)),
    ("no bands", "'bands' is '0'", image(bands=0)),
    ("half a sample", "'samples' is '3.5'", image(samples=3.5)),
    ("lines no number", "'lines' is 'many'", image(lines="many")),
    ("lines infinite", "'lines' is 'inf'", image(lines="inf")),
    ("declared: 1e30 lines", "'lines' is '1e30'", image(lines="1e30")),
    ("declared: an exabyte", "its header declares 6000000000000000000", image(samples=10**9, lines=10**9)),
    ("data type complex", "a reflectance is real", image(data_type=6)),
    ("data type unknown", "unknown to ENVI", image(data_type=99)),
    ("interleave bup", "'interleave' is 'bup'", image(interleave="bup")),
    ("byte order 2", "'byte order' is '2'", image(byte_order=2)),
    ("header offset negative", "'header offset' is '-1'", image(header_offset=-1)),
    ("file type a classification", "expected an image of spectra", image(file_type="ENVI Classification")),
    ("data compressed", "its data are compressed", image(file_compression=1)),
    ("data in frames", "its data are framed", image(major_frame_offsets="{128, 0}")),
    ("dark lines alone", "'autodarkstartline' is 0 of 3 lines, which leaves no scene", image(autodarkstartline=0)),
    ("a key twice", "'lines' is given twice", header_text(text_of(HEADER).encode() + b"Lines = 5\n")),
    ("no data file", "found none", header_text(text_of(HEADER).encode())),
    ("raw cut", "71 bytes, but its header declares 72", image(size=71)),
    ("raw too long", "73 bytes, but its header declares 72", image(size=73)),
    ("raw empty", " 0 bytes, but its header declares 72", image(size=0)),
    ("two data files", "'x.img', 'x.raw'", lambda folder: (
        (folder / "x.img").touch(), image()(folder))[1]),
    ("wavelengths missing", "no 'wavelength", image(wavelength=None)),
    ("wavelengths in band names, and not in all", "do not tell them all: '900' ... 'red'",
     image(wavelength=None, band_names="{900, 950, red}")),
    ("wavelengths too few", "has 2 values for 3 bands", image(wavelength="{900, 950}")),
    ("a wavelength no number", "holds 'red'", image(wavelength="{900, red, 1000}")),
    ("a wavelength NaN", "holds 'nan'", image(wavelength="{900, nan, 1000}")),
    ("wavelengths all alike", "every band has the wavelength 513.342", image(wavelength="{513.342, 513.342, 513.342}")),
    ("two bands of one wavelength", "bands 1 and 3 both have", image(wavelength="{900, 1000, 900}")),
    ("wavelengths in furlongs", "'furlong'", image(wavelength_units="furlong")),
    ("wavelengths in the wrong unit", "900 to 1000 um are not all within", image(wavelength_units="um")),
    ("wavelengths without a unit, unclear", "could be more than one",
     image(wavelength_units=None, wavelength="{5000, 6000, 7000}")),
    ("every band bad", "not 0 for all", image(bbl="{0, 0, 0}")),
    ("scale factor zero", "'reflectance scale factor' is 0", image(reflectance_scale_factor=0)),
    ("gains too few", "'data gain values' has 2", image(data_gain_values="{1, 2}")),
    ("a pixel NaN", "1000 nm is nan", floats(np.nan)),
    ("a pixel infinite", "1000 nm is inf", floats(np.inf)),
]  # fmt: skip

CAPTURES = [
    ("no capture folder", "no such folder; expected a capture", lambda folder: lambda: read_capture(folder / "s")),
    ("no white reference", "expected exactly one WHITEREF_", capture(without=["WHITEREF_s"])),
    ("no dark reference", "expected exactly one DARKREF_", capture(without=["DARKREF_s"])),
    ("two scenes", "found s.hdr, t.hdr", capture(change=lambda place: write_image(place, "t"))),
    ("white is zero", "(900.0 nm): 0 against 0", capture(white=0, dark=0)),
    ("white darker than dark", "(900.0 nm): 99 against 100", capture(white=99)),
    ("white without light", "Hardly any light from 1000 to 1000 nm", capture(change=unlit(slice(None)))),
    ("white with a dead pixel", "A dead pixel? Set its band to 0", capture(change=unlit(1))),
    ("scene beside a product", "found s.hdr, s_rf.hdr. By its name a product", capture(
        change=lambda place: write_image(place, "s_rf"))),
    ("a product alone", "no scene as the camera stored it", capture(
        without=["s"], change=lambda place: write_image(place, "s_rd"))),
    ("HySpex's dark frame inside", "keep the dark frame in the head of the scene's own data file", capture(
        without=["DARKREF_s"], change=lambda place: (place / "s.raw").rename(place / "s.hyspex"))),
    ("white has other columns", "5 columns x 3 bands; the scene has 4 x 3", capture(samples=5)),
    ("white's gain another", "camera's gain is 'high', that of the scene '0'; capture both at one", capture(
        change=lambda place: [(place / f"{name}.hdr").write_text(text_of(HEADER | {"gain": gain}))
                              for name, gain in {"s": 0, "WHITEREF_s": "high"}.items()])),
    ("white's integration time twice in comments", "'exposure' is '4' and '5' in its description or comments", capture(
        change=lambda place: [(place / f"{name}.hdr").write_text(text_of(HEADER) + "; exposure = 4\n; exposure: 5\n")
                              for name in ("s", "WHITEREF_s")])),
    ("white's integration time of another unit", "'tint' is '5 us', beside it '5'; expected numbers", capture(
        tint="5 us")),
    ("white's integration time no number", "'tint' is 'long'", capture(tint="long")),
    ("capture a link to the folder above", "s/capture: expected exactly one <id>.hdr", lambda folder: (
        (folder / "s").mkdir(), (folder / "s" / "capture").symlink_to("../s"), lambda: read_capture(folder / "s"),
    )[2]),
]  # fmt: skip

FORMATS = [
    ("a link to itself", "no such file or folder", foreign("x", loop)),
    (
        "a capture of Cubert's",
        "not a known image: no ENVI header beside it, and none of .mat, .npy, .nc. Export it",
        foreign("x.cu3s", lambda path: path.write_bytes(b"SQLite")),
    ),
    (
        "a capture folder of Cubert's",
        "no ENVI image in it, but .cu3s; export it",
        lambda folder: ((folder / "s.cu3s").touch(), lambda: read_any(folder))[1],
    ),
    ("an HDF5 file", "Save the cube and its wavelengths as .mat", foreign("x.h5", lambda path: path.write_bytes(HDF5))),
    ("a TIFF", "Convert it: `gdal_translate", foreign("x.tif", lambda path: path.write_bytes(b"II*\0"))),
    ("NumPy: pickled objects", "Python objects in dtype", foreign("x.npy", save_npy(np.array([{}], object)))),
    (
        "NumPy: cut",
        "cannot be read as a NumPy array",
        foreign("x.npy", lambda path: path.write_bytes(b"\x93NUMPY")),
    ),
    ("NumPy: without wavelengths", "no wavelengths among", foreign("x.npy", save_npy(np.zeros((2, 2, 3))))),
    (
        "NumPy: too few wavelengths",
        "2 wavelengths for array",
        foreign("x.npy", save_npy(np.zeros((4, 5, 3)), "900 950")),
    ),
    ("MATLAB: no MATLAB", "no MATLAB file", foreign("x.mat", lambda path: path.write_bytes(bytes(200)))),
    ("MATLAB: no cube", "one variable of three axes", foreign("x.mat", lambda path: savemat(path, {"a": np.eye(3)}))),
    ("HDF5: two cubes", "found 2; its numbers: a (2, 2, 2), b", foreign("x.nc", two_cubes)),
    ("HDF5: a link to another file", "found 0; its numbers: none", foreign("x.nc", linked_elsewhere)),
    ("HDF5: 12 TB in 10 kB", "more than a file of this size can hold", foreign("x.nc", declared)),
    ("NetCDF: no NetCDF", "cannot be read as NetCDF", foreign("x.nc", lambda path: path.write_bytes(b"CDF\1\xff"))),
    ("mask of another size", "the mask has (2, 2) pixels", mask(np.ones((2, 2), bool))),
    ("mask empty", "only 0 in the mask", mask(np.zeros((3, 4), bool))),
    (
        "NumPy: complex",
        "complex128; expected real numbers",
        foreign("x.npy", save_npy(np.ones((2, 2, 3), complex), NM[1:-1])),
    ),
    ("NumPy: flat", "found 0; its numbers: array (2, 2)", foreign("x.npy", save_npy(np.ones((2, 2))))),
    (
        "NumPy: wavelengths no numbers",
        "one number for each band",
        foreign("x.npy", save_npy(np.ones((2, 2, 3)), "1 b 3")),
    ),
    ("NumPy: too large for float32", "900 nm is inf", foreign("x.npy", save_npy(np.full((2, 2, 3), 1e300), NM[1:-1]))),
    ("mask drawn with a soft brush", "3 values in the mask", drawn((3, 4), 0, 128, 255)),
    ("mask drawn on another image", "the mask has (4, 4) pixels", drawn((4, 4), 0, 255)),
    ("mask of numbers", "int64 numbers; expected bool", mask(np.ones((3, 4), int))),
]

TABLES = [
    ("folder missing", "no such folder; expected one with captures", words("data", "check", "nowhere")),
    ("no table", "references.csv: missing", table(None)),
    ("table empty", "empty; expected a line of headings", table("")),
    ("table: headings alone", "no samples in it", table("id,split,fat (%)\n")),
    ("table: no column id", "no column 'id'", table("name,fat (%)\ns1,10\n")),
    ("table: no numbers", "no column of numbers", table("id,split\ns1,0\n")),
    ("table: an id twice", "id 's1' is given twice, first in line 2", table(TABLE + "s1,0,10\n")),
    ("table: an id that leaves the folder", "'../s1' is missing or no plain folder name", table(TABLE + "../s1,0,5\n")),
    ("table: an id without image", "s4: no capture or image of this name", table(TABLE + "s4,0,5\n")),
    ("table: a value missing", "line 5: no value of fat", table(TABLE + "s4,0,\n")),
    ("table: a value no number", "fat is 'much'", table(TABLE + "s4,0,much\n")),
    ("table: a value infinite", "fat is 'inf'", table(TABLE + "s4,0,inf\n")),
    ("table: a decimal comma", "use a decimal point", table('id,split,fat (%)\ns1,0,"1,5"\ns2,1,2\n')),
    ("table: split 7", "split is '7'", table(TABLE + "s4,7,5\n")),
    ("table: too many cells", "line 5: more cells than the 3 headings", table(TABLE + "s4,0,5,6\n")),
    (
        "table: decimal commas everywhere",
        "fat is '1,5'; use a decimal point. A program set",
        table("id;split;fat (%)\ns1;0;1,5\ns2;1;2,5\ns3;2;3,5\n"),
    ),
    (
        "table: units in the cells",
        "the unit belongs into the heading, '(%)'",
        table("id,split,fat\ns1,0,1.5 %\ns2,1,2.5 %\n"),
    ),
    (
        "table: a running number first",
        "'nr', counts from 1 to 5 and looks like a running number",
        table(
            "id,nr,fat (%)\n" + "".join(f"s{k},{k},{10 * k}\n" for k in range(1, 6)),
            images=[f"s{k}" for k in range(1, 6)],
        ),
    ),
    (
        "table: a date first",
        "'date', looks like a date. Choose with --response (date, fat)",
        table(
            "id,date,fat (%)\n" + "".join(f"s{k},2026010{k * k % 7},{10 * k}\n" for k in range(1, 6)),
            images=[f"s{k}" for k in range(1, 6)],
        ),
    ),
    (
        "table: in a subfolder",
        "has no references table, but its subfolder mine has",
        words("data", "check", ".", before=lambda folder: table()(folder)),
    ),
    ("table: of another name", "Is it Referenzen.csv? Rename it", table(name="Referenzen.csv")),
    (
        "table: an id without its zeros",
        "is it '01'? Programs for tables drop leading zeros",
        table("id,split,fat (%)\n1,0,10\n", images=["01"]),
    ),
    (
        "table: an id whose image is a TIFF",
        "s4.tif is not of a kind that is read: convert it",
        lambda folder: (table(TABLE + "s4,0,5\n")(folder), (folder / "mine" / "s4.tif").touch())[0],
    ),
    (
        "table: no unit, and other columns",
        "or choose another column with --response (fat, water)",
        table("id,split,fat,water (%)\ns1,0,10,70\n"),
    ),
    (
        "no sample on zeros",
        "every pixel is 0 in all bands",
        lambda folder: lambda: foreground_mask(Cube(np.zeros((9, 9, 2)), [900, 950])),
    ),
    ("table: no unit", "the unit of fat is not stated", table("id,split,fat\ns1,0,10\n")),
    ("table: g/kg", "divide by 10", table("id,split,fat (g/kg)\ns1,0,10\n")),
    ("table: Latin-1", "not UTF-8", table(TABLE.encode() + "kühl,0,5\n".encode("latin-1"))),
    ("table: one sample", "assigned to 6 groups of samples or more; found 1", table("id,fat (%)\ns1,10\n")),
    ("table: 17 MB", "longer than the", table(b"id,fat\n" + b"s,1\n" * 2**22)),
    ("table: 200 kB in a cell", "field larger than field limit", table(TABLE + "s" * 200_000 + ",0,5\n")),
    ("table: no headings", "no column 'id'; found s1, 0, 10", table("s1,0,10\ns2,1,20\n")),
    ("table: headings twice", "two columns are called 'id'", table("id,ID,fat (%)\n1,1,1\n")),
    (
        "workbook: a date",
        "fat is '2020-01-01",
        table(rows(["id", "fat (%)"], ["s1", 5], ["s2", datetime(2020, 1, 1)]), name="references.xlsx"),
    ),
    (
        "workbook: a formula that was never computed",
        "line 3: no value of fat",
        table(rows(["id", "fat (%)"], ["s1", 5], ["s2", "=1+1"]), name="references.xlsx"),
    ),
    ("workbook: entities of entities", "cannot be read as a workbook: ", table(entities, name="references.xlsx")),
    ("workbook broken", "cannot be read as a workbook", table("PK", name="references.xlsx")),
    ("workbook: two sheets", "3 sheets; expected one", table(sheets("a", "b"), name="references.xlsx")),
    ("workbook: 20 MB in 20 kB", "longer than the", table(inflating, name="references.xlsx")),
    ("a column that is not there", "no column 'salt' with numbers", table(TABLE, "--response", "salt")),
    ("a way to a mask that is none", "mask 'magic'", table(TABLE, "--mask", "magic")),
    ("a mask at infinity", "mask inf;", table(TABLE, "--mask", "1e999")),
    ("a mask nested too deep", "mask '----", table(TABLE, "--mask=" + "-" * 200_000 + "1")),
    ("a name that is empty", "'' is not a valid name", table(TABLE, "--name", "")),
    ("a name as long as a page", "File name too long", table(TABLE, "--name", "a" * 300)),
    ("a name that leaves the cache", "'../up' is not a valid name for a data set", table(TABLE, "--name", "../up")),
    ("a name that is taken", "a data set 'tecator' is there already", table(TABLE, "--name", "tecator")),
    ("reference: all alike", "5.0", fit(SPECTRA, np.full(8, 5.0))),
    ("reference: one sample", "1 samples with y", fit(SPECTRA[:1], [5])),
    ("reference: NaN", "spectra or y hold NaN", fit(SPECTRA, [np.nan, *range(7)])),
]

MANIFESTS = [
    ("manifest: no YAML", "cannot be read as YAML", entries("a: [")),
    ("manifest: binary", "utf-8", entries(b"\xff\xfe\0")),
    ("manifest: a Python tag", "could not determine a constructor", entries("a: !!python/object/apply:os.system [x]")),
    ("manifest: aliases of aliases", "more than 8 aliases", entries(bomb())),
    ("manifest: lists in lists", "lists in lists deeper than 20", entries("a: " + "[" * 100_000)),
    ("manifest: 300 kB", "longer than the 262144 characters", entries("#" * 300_000)),
    ("manifest: a list", "found list", entries("- a\n")),
    ("manifest: a path upwards", "'path' leaves the data set's folder", changed("a.csv", "../a.csv")),
    ("manifest: an absolute path", "folder: '/etc/a.csv'", changed("a.csv", "/etc/a.csv")),
    ("manifest: a checksum too short", "'sha256' needs 64 digits", changed("0" * 64, "0" * 63)),
    ("manifest: an unknown field", "unknown field 'licens'", changed("licence", "licens")),
    ("manifest: a field missing", "field 'units' is missing", changed("  units: reflectance\n", "")),
    ("manifest: a field twice", "'bin' is given twice", changed("  bin: 1\n", "  bin: 1\n  bin: 2\n")),
    ("manifest: a field with a mapping for a name", "a name that is no plain text", changed(
        "  bin: 1\n", "  ? !!str {=: bin}\n  : 1\n")),
    ("own: a folder instead of an entry", "Is a directory", words(
        "data", "list", before=lambda folder: (folder / "cache" / "own" / "x.yaml").mkdir(parents=True))),
    ("own: its folder no path", "'folder' is 5", added(edit("folder: /", "folder: 5 #"), "data", "list")),
    ("own: its folder gone", "mine is not there; bring it back", added(
        lambda mine, entry: mine.rename(mine.parent / "yours"), "run", "--dataset", "mine")),
    ("own: moved to a folder that is not there", "elsewhere: no such folder; expected the one to which", added(
        lambda mine, entry: None, "data", "move", "mine", "elsewhere")),
    ("own: moved to another table", "not the table that mine was added with", added(
        lambda mine, entry: (mine / "references.csv").write_text(TABLE), "data", "move", "mine", "mine")),
    ("own: a set of the kit moved", "tecator is a data set of the kit", words("data", "move", "tecator", ".")),
    ("own: removed what is none", "'pork' is no folder of yours that was added; yours: none", words(
        "data", "remove", "pork")),
    ("own: removed read-only", "mine.yaml: cannot be written (Read-only file system)", refused(
        "pathlib.Path.unlink", errno.EROFS, lambda folder: datasets.remove("mine"), run_own(0, 1, 2))),
    ("own: its name nearly", "did you mean 'mine'? Known: ", added(
        lambda mine, entry: None, "run", "--dataset", "mien")),
    ("own: added where it was moved from", "`hsichem data move mine NEWFOLDER` if that was moved", added(
        lambda mine, entry: mine.rename(mine.parent / "yours"), "data", "add", "yours", "--name", "mine")),
    ("own: its table changed", "references.csv is not what it was", added(
        lambda mine, entry: (mine / "references.csv").write_text(TABLE), "run", "--dataset", "mine")),
    ("own: an image gone", "s1: no capture or image of this name", added(
        lambda mine, entry: (mine / "s1.hdr").unlink(), "run", "--dataset", "mine")),
    ("manifest: an entry of no folder", "expected one folder of captures", entries(PLAIN)),
]  # fmt: skip

SYSTEM = [
    ("download: wrong checksum", "tecator.csv could not be fetched", tecator_from(b"not the table")),
    ("download: no address", "has no public address", words("data", "fetch", "specim-fx10")),
    ("download: no answer", "Failed to establish a new connection", lambda folder: lambda: fetch_file(
        "toy", {"path": "a", "sha256": "0" * 64, "bytes": 1, "url": "http://127.0.0.1:9/a"}, folder)),
    ("download: an address that is no web address", "No connection adapters", lambda folder: lambda: fetch_file(
        "toy", {"path": "a", "sha256": "0" * 64, "bytes": 1, "url": "file:///etc/passwd"}, folder)),
    ("cache: a file in its place", "cannot be written (File exists)", words(
        "data", "make", "phantom-belly", before=lambda folder: (folder / "cache").touch())),
    ("cache: read-only", "cannot be written (Read-only file system)", refused(
        "pathlib.Path.mkdir", errno.EROFS, lambda folder: datasets.make("phantom-belly"))),
    ("disk full: data make", "cannot be written (No space left on device)", refused(
        "hsichem.datasets.makers.phantom._record", errno.ENOSPC, lambda folder: datasets.make("phantom-belly"))),
    ("disk full: results", "metrics.json: cannot be written (No space left on device)", refused(
        "pathlib.Path.write_text", errno.ENOSPC, lambda folder: Results(folder).save("a", {"b": 1}))),
    ("disk quota: map", "s.npy: cannot be written (Disk quota exceeded)", refused(
        "numpy.save", errno.EDQUOT, lambda folder: Results(folder).save_map("m", "s", np.zeros((2, 2))))),
    ("memory full", "mine, s1: memory is full. Average or leave out bands", memory_full),
    ("no permission, whatever the file", "Permission denied; mend that", refused(
        "hsichem.datasets.store.read_manifest", errno.EACCES, lambda folder: datasets.status("tecator"))),
    ("results: another run is there", "results is in use by another process", in_use),
    ("results: no run", "has no metrics.json", words("report", "results")),
    ("results: metrics.json cut", "is not valid JSON", report_on(b'{"settings": {')),
    ("results: metrics.json binary", "is not valid JSON ('utf-8'", report_on(bytes(range(256)))),
    ("results: metrics.json lists in lists", "is not valid JSON (maximum recursion", report_on(b"[" * 10**6)),
    ("results: metrics.json a list", "holds [1, 2] where results should be", report_on(b"[1, 2]")),
    ("results: a section a number", "holds 5 where results should be", report_on(b'{"settings": 5}')),
    ("results: a notebook cut", "ipynb is not valid JSON (Expecting", report_on(b"{}", b'{"cells": [')),
    ("results: a notebook binary", "ipynb is not valid JSON ('utf-8'", report_on(b"{}", bytes(range(256)))),
    ("results: a notebook of an old kind", "ipynb is not a notebook", report_on(b"{}", b'{"worksheets": []}')),
    ("weights missing", "is not a file; expected weights", weights("x.pt", lambda path: None)),
    ("weights: pickled code", "could run code",
     weights("x.pt", lambda path: torch.save({"w": Path}, path))),
    ("weights cut", "cannot be read as a plain table of weights: Error while", weights(
        "x.safetensors", lambda path: path.write_bytes(b"\xff" * 20))),
    ("weights of another network", "has no first layer", weights(
        "x.safetensors", lambda path: save_file({"w": torch.zeros(2)}, path))),
]  # fmt: skip

STORED = [
    ("stored: a value NaN", "cube 's1': values from nan to nan; expected finite ones. Repair them", storing(np.nan)),
    ("stored: a value infinite", "cube 's1': values from 0.5 to inf; expected finite ones", storing(np.inf)),
    ("stored: a number edited", "not the image that was stored (ValueError: its checksum is", stored(
        edited(np.float32(0.25).tobytes(), np.float32(0.75).tobytes()))),
    ("stored: cut", "not the image that was stored (SafetensorError: Error while", stored(
        lambda path: path.write_bytes(path.read_bytes()[:-8]))),
    ("stored: another's table of weights", "not the image that was stored (TypeError:", stored(
        lambda path: save_file({"w": torch.zeros(2)}, path))),
    ("stored: written anew while it is open", "is not what it was when it was opened (it was written anew); begin",
     stored(touched, opened_before=True)),
    ("stored: gone while it is open", "is not what it was when it was opened ([Errno 2] No such file", stored(
        Path.unlink, opened_before=True)),
    ("stored: disk full", "s1.safetensors: cannot be written (No space left on device)", refused(
        "pathlib.Path.write_bytes", errno.ENOSPC, lambda folder: storing(0.25)(folder)())),
]  # fmt: skip

ARGUMENTS = [
    ("unknown command", "No such command 'fly'", words("fly")),
    ("argument missing", "Missing argument 'NAME'", words("data", "make")),
    ("option unknown", "No such option '--speed'", words("run", "--speed", "9")),
    ("data set unknown", "'pork' is not in the manifest", words("run", "--dataset", "pork")),
    ("preset unknown", "'quick' is not one of", words("run", "--preset", "quick")),
    ("seed no number", "'one' is not a valid integer", words("run", "--seed", "one")),
    ("parameter unknown", "no notebook has a parameter 'epochz'", words("run", "-p", "epochz", "5")),
    ("parameter without value", "requires 2 arguments", words("run", "-p", "epochs")),
    ("results in a file", "Directory 'results' is a file", results_in_a_file),
    ("parameter that is an option", "give it as --preset fast", words("run", "-p", "preset", "fast")),
    ("size unknown", "size 'huge' is not in its recipe", words("data", "make", "phantom-belly", "--size", "huge")),
    ("expose what is no phantom again", "tecator is no phantom", lambda folder: lambda: datasets.expose_again(
        "tecator", "1", 10)),
    ("a picture of one exposure", "exposures of shape (4, 5); expected", lambda folder: lambda: show_exposures(
        np.ones((4, 5)))),
    ("a picture of nothing", "the mask is empty", lambda folder: lambda: show_exposures(np.full((2, 4, 5), np.nan))),
    ("a film without a curve", "curves of {}; expected one to four", lambda folder: lambda: show_training(
        np.ones((2, 4, 5)), {})),
    ("a share of a flat truth", "standard deviation 0; expected", lambda folder: lambda: forge_share(
        np.ones((40, 40)))),
    ("a painting of one look", "a truth and 1 looks", lambda folder: lambda: paint_loss(
        np.ones((9, 9)), np.ones((1, 9, 9)), {})),
    ("bars of two band counts", "b (3,), noise", lambda folder: lambda: stack_noise(
        np.arange(4), np.ones(3), np.ones((2, 4)), np.ones(4))),
    ("make of what is fetched", "so it has no recipe and no sizes", words("data", "make", "tecator")),
    ("run on a test set of one group", "are of one group, 's1'", run_own(0, 1, 2)),
    ("run on tiny images", "3 x 4 pixels and 3 bands; the notebooks need 16 pixels", run_own(0, 0, 1, 2)),
    ("seed negative", "parameter seed is -1", words("run", "--seed", "-1")),
    ("seed of 40 digits", "expected a whole number from 0 to 4294967295", words("run", "--seed", "9" * 40)),
    ("smoothness infinite", "parameter smoothness is inf", words("run", "-p", "smoothness", "1e999")),
    ("smoothness nested too deep", "parameter smoothness is '((((", words("run", "-p", "smoothness", "(" * 200_000)),
    ("wavelength negative", "parameter crop_from_nm is -5", words("run", "-p", "crop_from_nm", "-5")),
    ("data set without a name", "parameter dataset is ''", words("run", "--dataset", "")),
    ("knob of the phantom negative", "phantom knob 'rows' is -1", lambda folder: lambda: phantom.make(
        folder, KNOBS | {"rows": -1}, 0)),
    ("bands and wavelengths disagree", "(2,) wavelengths for 3 bands", lambda folder: lambda: Cube(
        np.zeros((2, 2, 3)), [900, 950])),
]  # fmt: skip

MODELS = [
    ("model: none there", "no model there; expected a folder with model.json", words("map", "pls", "x.hdr", "-o", "o")),
    ("model: a hub's that is mistyped", "models/plss: no model there", lambda folder: (
        (folder / "models").mkdir(), ["map", "models/plss", "x.hdr", "-o", "out"])[1]),
    ("model: several in the folder", "holds 1 models; give the folder of one", lambda folder: (
        save_model(folder, PLS), ["map", "models", "x.hdr", "-o", "out"])[1]),
    ("model: of a newer hsichem", "by a newer hsichem (model format 99;", rewritten(format=99)),
    ("model: of no hsichem", "'format' is '1', not a number", rewritten(format="1")),
    ("model: edited", "were changed after they were written", rewritten(unit="g/kg")),
    ("model: a million networks", "were changed after they were written: their", rewritten(members=10**6)),
    ("model: tensors cut", "their sha256 is", written("linear.safetensors", b"")),
    ("model: model.json cut", "model.json is not valid JSON (Expecting", written("model.json", b'{"format": 1,')),
    ("model: model.json binary", "model.json is not valid JSON ('utf-8'", written("model.json", b"\xff")),
    ("model: model.json lists in lists", "model.json is not valid JSON (maximum", written("model.json", b"[" * 10**6)),
    ("model: half copied", "linear.safetensors missing; copy the model's folder as a whole", model(
        lambda place: (place / "linear.safetensors").unlink())),
    ("model: not to be read", "model.json: cannot be read (Permission denied)", unread),
    ("model: disk full", "linear.safetensors: cannot be written (No space left on device)", refused(
        "pathlib.Path.write_bytes", errno.ENOSPC, lambda folder: save_model(folder, PLS))),
    ("model: read-only", "linear.safetensors: cannot be written (Read-only file system)", refused(
        "pathlib.Path.mkdir", errno.EROFS, lambda folder: save_model(folder, PLS))),
    ("map: no captures", "Missing argument 'CAPTURES...'", mapped()),
    ("map: an empty folder", "day: no capture or image in it", lambda folder: (
        (folder / "day").mkdir(), mapped("day")(folder))[1]),
    ("map: two captures of one id", "two captures are called 'x'", mapped("x.hdr", "day", images=("x", "day/x"))),
    ("map: an unknown way to find masks", "mask 'nowhere'; expected brightness", lambda folder: [
        *mapped("x.hdr")(folder), "--mask", "nowhere"]),
    ("map: into a file", "Directory 'out' is a file", lambda folder: (
        (folder / "out").touch(), mapped("x.hdr")(folder))[1]),
    ("map: into a folder that is no folder of maps", "maps.csv is not a table of maps", lambda folder: (
        (folder / "out").mkdir(), (folder / "out" / "maps.csv").write_text("id,mean\n"), mapped("x.hdr")(folder))[2]),
    ("map: read-only", "out/maps: cannot be written (Read-only file system)", refused(
        "pathlib.Path.mkdir", errno.EROFS, lambda folder: map_captures(PLS, {}, folder / "out"))),
    ("model: of networks, without them", "does not describe a model", remade(members=1, network=None)),
    ("map: disk full", "maps.csv: cannot be written (No space left on device)", refused(
        "os.replace", errno.ENOSPC, lambda folder: map_captures(PLS, {}, folder / "out"))),
]  # fmt: skip

SWEEPS = [
    ("sweep: no such notebook", "Did you mean 03_unet_training?", words("sweep", "03_unet", "-g", "seed=0")),
    ("sweep: not a notebook", "x.csv is not a notebook", words(
        "sweep", "x.csv", "-g", "seed=0", before=lambda folder: (folder / "x.csv").write_text(TABLE))),
    ("sweep: a notebook of no results", "has no parameter results_dir", tiny("-g", "seed=0", parameters="seed = 0")),
    ("sweep: no grid", "nothing to sweep", tiny()),
    ("sweep: no values", "'seed=' is no NAME=VALUE", tiny("-g", "seed=")),
    ("sweep: a value missing", "a value is missing beside a comma", tiny("-g", "seed=1,,2")),
    ("sweep: a value twice", "a value is given twice", tiny("-g", "seed=1,2,1")),
    ("sweep: a parameter twice", "seed is given twice", tiny("-g", "seed=1", "-g", "seed=2")),
    ("sweep: a parameter fixed and swept", "seed is given already", tiny("-g", "seed=1", "-p", "seed=2")),
    ("sweep: a range downwards", "'4..0' is no range", tiny("-g", "seed=4..0")),
    ("sweep: a range of letters", "'a..d' is no range", tiny("-g", "seed=a..d")),
    ("sweep: a range of fractions", "'0.1..0.5' is no range", tiny("-g", "rate=0.1..0.5")),
    ("sweep: more than anyone waits for", "expected 10000 at most", tiny("-g", "seed=0..999", "-g", "rate=1..99")),
    ("sweep: a parameter unknown", "Did you mean 'rate'?", tiny("-g", "rat=1")),
    ("sweep: a seed of letters", "parameter seed is 'a'", tiny("-g", "seed=0,a")),
    ("sweep: a parameter of another type", "expected a value of type float", tiny("-g", "rate=0.5,fast")),
    ("sweep: folders of the runs", "each run has a folder of its own", tiny("-g", "results_dir=a,b")),
    ("sweep: a data set unknown", "'lamb' is not in the manifest; known", words(
        "sweep", "02_pls_maps", "-g", "dataset=lamb")),
    ("sweep: results in a file", "Directory 'tiny.ipynb' is a file", tiny("-g", "seed=1", "--results", "tiny.ipynb")),
    ("sweep: read-only", "sweeps/a/sweep: cannot be written (Read-only file system)", refused(
        "pathlib.Path.mkdir", errno.EROFS, swept, empty_notebook)),
    ("sweep: disk full", "a.ipynb: cannot be written (No space left on device)", refused(
        "shutil.copyfile", errno.ENOSPC, swept, empty_notebook)),
    ("sweep: another sweep is there", "sweeps/a is in use by another process", swept_elsewhere),
    ("sweep: nobody at the address", "no Dask scheduler answers at tcp://127.0.0.1:9", nobody_at("tcp://127.0.0.1:9")),
    ("sweep: an address that is none", "no Dask scheduler answers at ftp://a", nobody_at("ftp://a:1")),
    ("sweep: a worker of another version", "and this is 9.9; install one version", on_a_worker(version="9.9")),
    ("sweep: a worker that lacks the folder", "does not see /no/folder", on_a_worker(shared="/no/folder")),
    ("sweep: a worker without hsichem", "cannot import hsichem", on_a_worker(without=["hsichem"])),
    ("sweep: a worker with threads", "--nthreads 1 --nworkers 2", on_a_worker(threads=2)),
]  # fmt: skip

CASES = [*ENVI, *CAPTURES, *FORMATS, *TABLES, *MANIFESTS, *SYSTEM, *STORED, *ARGUMENTS, *MODELS, *SWEEPS]
