"""Coverage-guided fuzzing of what reads a stranger's files: headers, manifests, references tables and models.

pip install atheris
python benchmarks/whole/fuzz.py header|manifest|table|model NEW tests/whole/corpus/header [-max_total_time=600]

Every input must be read or refused with InputError; any other exception ends the run, and libFuzzer keeps the input.
The folder NEW gets what reaches new code. Runs start from tests/whole/corpus/, which
tests/whole/test_fuzz.py replays without atheris; a new fault's input goes there.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def read_header(data: bytes, folder: Path) -> None:
    """The text of a header, then the image it declares over 24 bytes of data."""
    from hsichem.loaders import envi, envi_header

    path = folder / "x.hdr"
    path.write_bytes(data)
    (folder / "x.raw").write_bytes(bytes(range(24)))
    envi_header.good_bands(envi_header.read_header(path), path)
    envi.read_cube(path)


def read_manifest(data: bytes, folder: Path) -> None:
    from hsichem.datasets import manifest

    path = folder / "x.yaml"
    path.write_bytes(data)
    manifest.read(path)


def read_table(data: bytes, folder: Path) -> None:
    from hsichem.datasets import table

    path = folder / "references.csv"
    path.write_bytes(data)
    table.read_table(folder).splits()


def read_model(data: bytes, folder: Path) -> None:
    """A model's folder: model.json, then each .safetensors after CUT. Its checksum is made right, or else few inputs
    would come further; after a ! it stays as it is."""
    from hsichem.lab import load_model, model_files

    record, *tensors = data.removeprefix(b"!").split(CUT)
    names = [model_files.LINEAR, "member1.safetensors", "member2.safetensors"]
    files = dict(zip(names, tensors, strict=False))
    if not data.startswith(b"!"):
        try:
            parsed = json.loads(record)
            parsed.pop("checksum", None)
            own = {name: files[name] for name in names[: 1 + parsed.get("members", 0)]}
            record = json.dumps(parsed | {"checksum": model_files._checksum(parsed, own)}).encode()
        except Exception:  # what is no record stays as it is
            pass
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for name, content in ({"model.json": record} | files).items():
        (folder / name).write_bytes(content)
    load_model(folder)


CUT = b"\n-----\n"
TARGETS = {"header": read_header, "manifest": read_manifest, "table": read_table, "model": read_model}


def attempt(target: str, data: bytes, folder: Path) -> str:
    """ "read", or the message with which it was refused; everything but InputError is a fault."""
    from hsichem import InputError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            TARGETS[target](data, folder)
        except InputError as error:
            return str(error)
    return "read"


def main():
    import atheris

    target = sys.argv[1] if len(sys.argv) > 1 else ""
    if target not in TARGETS:
        sys.exit(__doc__)
    with atheris.instrument_imports(include=["hsichem", "yaml"]):
        if target == "model":  # slow to import
            from hsichem.lab import model_files, models  # noqa: F401
        from hsichem.datasets import manifest, table  # noqa: F401
        from hsichem.loaders import envi, envi_header, scaling  # noqa: F401
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:

        def once(data):
            attempt(target, data, Path(folder))

        atheris.Setup([sys.argv[0], *sys.argv[2:]], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
