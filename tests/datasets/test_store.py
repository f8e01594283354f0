import dataclasses
import errno
import hashlib
import os
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from hsichem import InputError
from hsichem.cubes import OnDisk, stored
from hsichem.datasets import store as data
from hsichem.loaders import write_cube

TABLE = b"id,split,group,fat\ns1,0,a,10\ns2,1,b,20\n"


def entry(**changed):
    fields = {"title": "Toy meat", "teaches": "Nothing.", "layout": "cubes", "files": [], "licence": "unknown"}
    fields |= {"citation": "Nobody 2020.", "units": "reflectance", "references": {"fat": "% w/w"}, "response": "fat"}
    return fields | {"splits": "None.", "crop_nm": [750, None], "bin": 1, "doubts": ["Made up."]} | changed


def table_file(url=None, content=TABLE):
    return {"path": "sub/table.csv", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "url": url}


def write_toy(folder, knobs, seed, keep=None):
    """Stands in for a maker: two cubes, their truth and the table."""
    (folder / "truth").mkdir()
    for number, name in enumerate(["s1", "s2"]):
        (folder / name).mkdir()
        write_cube(folder / name / f"{name}.hdr", np.full((4, 5, 3), seed + number, "f4"), [900, 950, 1000])
        np.save(folder / "truth" / f"{name}.npy", np.full((4, 5), knobs["fat"], "f4"))
    (folder / "references.csv").write_bytes(TABLE)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A manifest of one made and one fetched set, a maker in place of the phantom, an empty cache, no mirror."""
    recipe = {"maker": "phantom", "version": 1, "seed": 3, "sizes": {"small": {"fat": 30}, "large": {"fat": 40}}}
    known = {
        "made": entry(recipe=recipe, bin={"small": 1, "large": 2}),
        "fetched": entry(files=[table_file()]),
    }
    monkeypatch.setattr(data, "read_manifest", lambda root=None: known)
    monkeypatch.setattr(data.phantom, "make", write_toy)
    monkeypatch.delenv("HSICHEM_DATA_MIRROR", raising=False)
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path / "cache"))
    return known


def files_in(folder):
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(folder)) for path in files)


def shown(folder):
    """Names in a folder but for the locks."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_a_made_set_from_nothing_to_samples(toy, tmp_path):
    assert data.status("made") == "absent"
    assert "missing; run `hsichem data make made`" in data.verify("made")[0]
    dataset = data.open_dataset("made")
    assert data.status("made") == "made (small)" and data.verify("made") == []
    assert [sample.id for sample in dataset.samples] == ["s1", "s2"]
    assert (dataset.response, dataset.unit, dataset.crop_nm, dataset.bin) == ("fat", "% w/w", (750, None), 1)
    assert dataset.samples[1].load().values[0, 0, 0] == 4 and dataset.samples[1].truth()[0, 0] == 30
    assert [name[:11] for name in shown(tmp_path / "cache")] == ["made-small-"]
    large = data.open_dataset("made", root=tmp_path / "other", size="large")
    assert large.samples[0].truth()[0, 0] == 40 and large.bin == 2
    assert len(shown(tmp_path / "other")) == 1


def test_a_belly_exposed_again_is_the_same_belly(toy, monkeypatch):
    monkeypatch.undo()  # the phantom itself
    sizes = data.read_manifest()["phantom-belly"]["recipe"]["sizes"]
    knobs = {"samples": 4, "animals": 2, "rows": 48, "cols": 40, "length_mm": 120, "width_mm": 96}
    recipe = {"maker": "phantom", "version": 1, "seed": 3, "sizes": {"small": sizes["lesson"] | knobs}}
    monkeypatch.setattr(data, "read_manifest", lambda root=None: {"belly": entry(layout="captures", recipe=recipe)})
    images = data.open_dataset("belly")
    sample = images.samples[2]
    cube, shots = images.cube(sample), data.expose_again("belly", sample.id, 20)
    assert len(shots) == 20 and all((shot.mask == cube.mask).all() for shot in shots)
    assert all(shot.wavelengths.tolist() == cube.wavelengths.tolist() and shot.pitch_mm == 3 for shot in shots)
    values, inside = np.array([shot.values for shot in shots]), cube.foreground
    noise = values.std(axis=0, ddof=1)[inside]
    apart = (cube.values - values.mean(axis=0))[inside]
    assert np.sqrt(np.mean(apart**2) / np.mean(noise**2)) == pytest.approx(np.sqrt(1 + 1 / 20), rel=0.02)
    again = data.expose_again("belly", sample.id, 1)[0]
    assert not (again.values == data.expose_again("belly", sample.id, 1, seed=1)[0].values).all()
    assert (again.values == shots[0].values).all()


def test_what_is_no_phantom_cannot_be_exposed_again(toy):
    with pytest.raises(InputError, match="fetched is no phantom"):
        data.expose_again("fetched", "s1", 2)
    with pytest.raises(InputError, match="made has no sample 's3'; its samples are s1, s2"):
        data.expose_again("made", "s3", 2)


def test_a_changed_knob_makes_a_new_folder_and_the_same_recipe_none(toy):
    first = data.make("made")
    (first / "mark").touch()
    toy["made"]["recipe"]["sizes"]["large"]["fat"] = 41  # another size's knob does not matter
    assert data.make("made") == first and (first / "mark").exists()
    toy["made"]["recipe"]["sizes"]["small"]["fat"] = 31
    second = data.make("made")
    assert second != first and data.open_dataset("made").samples[0].truth()[0, 0] == 31


def test_a_maker_that_fails_leaves_nothing(toy, monkeypatch, tmp_path):
    def breaks(folder, knobs, seed, keep=None):
        write_toy(folder, knobs, seed)
        raise RuntimeError("disk full")

    monkeypatch.setattr(data.phantom, "make", breaks)
    with pytest.raises(RuntimeError):
        data.make("made")
    assert shown(tmp_path / "cache") == []


def test_who_comes_second_waits_and_takes_what_the_first_made(toy, monkeypatch, tmp_path):
    made, second = [], threading.Thread(target=lambda: made.append(data.make("made")))

    def slow(folder, knobs, seed, keep=None):
        if second.ident is None:
            second.start()
            second.join(0.3)  # it waits for us, so this ends in vain
        made.append(folder.name)
        write_toy(folder, knobs, seed)

    monkeypatch.setattr(data.phantom, "make", slow)
    folder = data.make("made")
    second.join(60)
    assert made == [f".making-{folder.name}", folder]
    assert shown(tmp_path / "cache") == [folder.name]


def test_what_killed_processes_left_is_removed(toy, tmp_path, monkeypatch):
    folder = data.make("made")
    left = [folder.with_name(f".making-{folder.name}"), tmp_path / "cache" / "fetched" / "sub"]
    folder.rename(left[0])
    left[1].mkdir(parents=True)
    (left[1] / "tmpab12_xyz").touch()
    assert data.make("made") == folder and data.verify("made") == []
    copy = tmp_path / "mirror" / "fetched" / "sub" / "table.csv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(TABLE)
    monkeypatch.setenv("HSICHEM_DATA_MIRROR", str(tmp_path / "mirror"))
    assert data.fetch("fetched") == [left[1] / "table.csv"]
    assert files_in(tmp_path / "cache" / "fetched") == ["sub/table.csv"]
    assert not left[0].exists()


def test_unknown_names_and_sizes_are_refused_with_the_known_ones(toy):
    with pytest.raises(InputError, match=r"'maid' is not in the manifest; did you mean 'made'\? Known: made, f"):
        data.open_dataset("maid")
    with pytest.raises(InputError, match="'pork' is not in the manifest; known: made, fetched"):
        data.open_dataset("pork")
    with pytest.raises(InputError, match="size 'huge' is not in its recipe; known: small, large"):
        data.make("made", size="huge")
    with pytest.raises(InputError, match="is not made here"):
        data.make("fetched")


def test_verify_finds_what_was_spoilt(toy):
    folder = data.make("made")
    raw = folder / "s1" / "s1.raw"
    raw.write_bytes(raw.read_bytes()[:-1])
    np.save(folder / "truth" / "s2.npy", np.zeros((2, 2), "f4"))
    problems = data.verify("made")
    assert len(problems) == 2 and "its header declares" in problems[0] and "truth of shape (2, 2)" in problems[1]
    (folder / "truth" / "s2.npy").unlink()
    (folder / "s1" / "s1.hdr").unlink()
    problems = data.verify("made")
    assert "cannot be opened" in problems[0] and "truth map is missing" in problems[1]
    (folder / "references.csv").unlink()
    assert "references.csv: missing" in data.verify("made")[0]


def test_the_mirror_comes_first_and_is_checked(toy, monkeypatch, tmp_path):
    copy = tmp_path / "mirror" / "fetched" / "sub" / "table.csv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(TABLE)
    monkeypatch.setenv("HSICHEM_DATA_MIRROR", str(tmp_path / "mirror"))
    toy["fetched"]["files"] = [table_file(url="http://127.0.0.1:9/never-asked")]
    (path,) = data.fetch("fetched")
    assert path.read_bytes() == TABLE and data.status("fetched") == "fetched"
    path.write_bytes(b"spoilt")
    problems = data.verify("fetched")
    assert len(problems) == 1 and "expected " + hashlib.sha256(TABLE).hexdigest() in problems[0]
    assert data.fetch("fetched")[0].read_bytes() == TABLE
    path.unlink()
    copy.write_bytes(b"not the table")
    with pytest.raises(InputError, match=r"(?s)could not be fetched from .*mirror.*table.csv"):
        data.fetch("fetched")
    assert files_in(tmp_path / "cache") == [] and data.status("fetched") == "absent"


def test_without_a_public_address_the_mirror_is_asked_for(toy, tmp_path):
    with pytest.raises(InputError, match=r"no public address\. Set HSICHEM_DATA_MIRROR"):
        data.fetch("fetched")
    assert files_in(tmp_path) == []


@pytest.fixture
def server(monkeypatch):
    """A web server of this process: answers[i] is (status, body) of request i; it counts them in `asked`."""

    class Answer(BaseHTTPRequestHandler):
        answers, asked = (), 0

        def do_GET(self):
            status, body = Answer.answers[Answer.asked]
            Answer.asked += 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)  # its waits between attempts
    web = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=partial(web.serve_forever, 0.02), daemon=True).start()
    Answer.url = f"http://127.0.0.1:{web.server_port}/table.csv"
    yield Answer
    web.shutdown()
    web.server_close()


def test_a_download_is_tried_again(toy, server):
    server.answers = [(503, b""), (200, b"cut"), (200, TABLE)]
    toy["fetched"]["files"] = [table_file(server.url)]
    assert data.fetch("fetched")[0].read_bytes() == TABLE and server.asked == 3
    data.fetch("fetched")
    assert server.asked == 3


def test_a_wrong_checksum_is_refused_and_nothing_is_left(toy, server, tmp_path):
    server.answers = [(200, b"something else")] * 4
    toy["fetched"]["files"] = [table_file(server.url)]
    with pytest.raises(InputError, match=r"could not be fetched from http"):
        data.fetch("fetched")
    assert server.asked == 4 and files_in(tmp_path) == []


def test_more_bytes_than_the_manifest_states_are_refused(toy, server, tmp_path):
    server.answers = [(200, TABLE + b"x" * 10**6)] * 4
    toy["fetched"]["files"] = [table_file(server.url)]
    with pytest.raises(InputError, match=rf"more than the {len(TABLE)} bytes that the manifest states"):
        data.fetch("fetched")
    assert server.asked == 4 and files_in(tmp_path) == []


@pytest.mark.parametrize(("highest", "top"), [(63.0, 100), (25.0, 50), (24.9, 50), (20, 50), (6.1, 20), (0.5, 1)])
def test_the_colour_scale_fits_the_references(toy, highest, top):
    """Maps of 1 to 6 % would be one dark colour on a scale to 100 %."""
    images = data.open_dataset("made")
    images.samples[1].references["fat"] = highest
    images.samples[0].references["fat"] = 0.1
    assert images.colour_limits == (0, top)


def test_describe_says_what_one_must_know(toy):
    text = data.open_dataset("made").describe()
    for words in ["Toy meat", "split 0: 1, split 1: 1", "4 rows x 5 columns x 3 bands, 900-1000 nm", "fat (% w/w)"]:
        assert words in text
    assert "licence: unknown" in text and "Nobody 2020." in text and "doubt: Made up." in text


# ---- images as models see them, on disk


def test_an_image_is_read_once_and_then_from_the_store(toy, tmp_path):
    images = data.open_dataset("made")
    cube = images.cube(images.samples[1])
    (path,) = (tmp_path / "cache" / "stored").rglob("*.safetensors")
    assert path.parent.name == next(tmp_path.glob("cache/made-small-*")).name and path.name == "s2.safetensors"
    assert isinstance(cube.values, OnDisk) and cube.name == "s2"
    np.testing.assert_array_equal(cube.values, 4)
    written = path.stat()
    again = data.open_dataset("made")
    broken = dataclasses.replace(again.samples[1], load=None)  # not read any more
    np.testing.assert_array_equal(again.cube(broken).values, cube.values)
    assert path.stat().st_mtime_ns == written.st_mtime_ns and path.stat().st_ino == written.st_ino


@pytest.mark.parametrize("change", ["values", "time", "crop_nm", "bin", "mask", "version"])
def test_what_was_made_from_something_else_is_stored_anew(toy, tmp_path, monkeypatch, change):
    images = data.open_dataset("made")
    sample = images.samples[0]
    images.cube(sample)
    (path,) = (tmp_path / "cache" / "stored").rglob("*.safetensors")
    first, header = path.read_bytes(), sample.folder / "s1.hdr"
    if change == "values":
        write_cube(header, np.full((4, 5, 3), 0.5, "f4"), [900, 950, 1000])
    elif change == "time":
        os.utime(sample.folder / "s1.raw", (1, 1))
    elif change == "mask":
        (sample.folder.parent / "masks").mkdir()
        np.save(sample.folder.parent / "masks" / "s1.npy", np.eye(4, 5, dtype=bool))
    elif change == "version":
        monkeypatch.setattr(stored, "VERSION", stored.VERSION + 1)
    else:
        images = dataclasses.replace(images, **{"crop_nm": (920, None)} if change == "crop_nm" else {"bin": 3})
    cube = images.cube(sample)
    assert path.read_bytes() != first
    assert cube.values[0, 0].tolist() == {"values": [0.5] * 3, "crop_nm": [3, 3], "bin": [3]}.get(change, [3, 3, 3])
    second = path.stat().st_ino
    images.cube(sample)
    assert path.stat().st_ino == second


def test_another_samples_files_do_not_count(toy, tmp_path):
    images = data.open_dataset("made")
    images.cube(images.samples[0])
    (path,) = (tmp_path / "cache" / "stored").rglob("*.safetensors")
    before = path.stat().st_ino
    os.utime(images.samples[1].folder / "s2.raw", (1, 1))
    images.cube(images.samples[0])
    assert path.stat().st_ino == before


def test_a_stored_file_that_was_edited_is_named_and_not_used(toy, tmp_path):
    images = data.open_dataset("made")
    images.cube(images.samples[0])
    (path,) = (tmp_path / "cache" / "stored").rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"s1\.safetensors: not the image that was stored .*checksum.*Delete it"):
        images.cube(images.samples[0])
    path.unlink()
    assert images.cube(images.samples[0]).values[0, 0, 0] == 3


@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "No space left"), (errno.EIO, "error")])
def test_a_full_disk_is_said_and_leaves_nothing(toy, tmp_path, monkeypatch, number, says):
    images = data.open_dataset("made")
    monkeypatch.setattr(Path, "write_bytes", partial(refuse, number))
    with pytest.raises(InputError, match=rf"s1\.safetensors: cannot be written \(.*{says}.*free some space"):
        images.cube(images.samples[0])
    assert files_in(tmp_path / "cache" / "stored") == []


def refuse(number, *_):
    raise OSError(number, os.strerror(number))


def test_where_the_cache_is_not_ours_to_write_the_image_is_in_memory(toy, tmp_path, monkeypatch):
    images = data.open_dataset("made")
    monkeypatch.setattr(Path, "write_bytes", partial(refuse, errno.EACCES))
    cube = images.cube(images.samples[0])
    assert type(cube.values) is np.ndarray and cube.values[0, 0, 0] == 3


def test_of_a_large_phantom_reflectance_is_kept_and_no_frames(toy, tmp_path, monkeypatch):
    """The same image as from its capture, to half a step of 16 bits, and so are mask, truth and references."""
    monkeypatch.undo()
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path))
    known, places = data.read_manifest(), {}
    belly = known["phantom-belly"]
    small = {"samples": 3, "animals": 3, "rows": 48, "cols": 40, "length_mm": 120, "width_mm": 96, "binning": 1}
    belly["recipe"]["sizes"]["paper"] |= small | {"pitch_mm": 3.0}
    monkeypatch.setattr(data, "read_manifest", lambda root=None: known)
    monkeypatch.setattr(stored, "SMALL", 0)
    for name, kept in (("kept", ["paper"]), ("captures", [])):
        belly["stored"] = kept
        images = data.open_dataset("phantom-belly", root=tmp_path / name, size="paper")
        assert data.verify("phantom-belly", root=tmp_path / name, size="paper") == []
        places[name] = images, [images.cube(sample) for sample in images.samples]
    (images, cubes), (of_captures, expected) = places["kept"], places["captures"]
    assert files_in(tmp_path / "kept" / "stored") == [] and not [*(tmp_path / "kept").rglob("*.hdr")]
    for cube, wanted, sample, same in zip(cubes, expected, images.samples, of_captures.samples, strict=True):
        assert cube.values.shape == (48, 40, 62) and cube.values.stored == "<u2"
        np.testing.assert_array_equal(cube.values, wanted.values)
        np.testing.assert_array_equal(cube.wavelengths, wanted.wavelengths)
        np.testing.assert_array_equal(cube.mask, wanted.mask)
        np.testing.assert_array_equal(sample.truth(), same.truth())
        assert (sample.references, cube.pitch_mm) == (same.references, 3.0)
    kept = next(tmp_path.glob("kept/phantom-belly-paper-*/belly_002/*"))
    kept.write_bytes(kept.read_bytes()[:-1])
    belly["stored"] = ["paper"]
    (problem,) = data.verify("phantom-belly", root=tmp_path / "kept", size="paper")
    assert "belly_002" in problem and "of a data set that was made, delete the whole folder" in problem


def test_what_is_stored_of_a_folder_goes_with_its_entry(tmp_path, monkeypatch):
    monkeypatch.setenv("HSICHEM_DATA", str(tmp_path / "cache"))
    for number in range(12):
        path = tmp_path / "mine" / f"c{number:02d}.hdr"
        write_cube(path, np.random.default_rng(number).random((20, 20, 9), np.float32), range(900, 909))
    lines = [f"c{number:02d},{20 + 3 * number % 7}" for number in range(12)]
    (tmp_path / "mine" / "references.csv").write_text("\n".join(["id,fat (% w/w)", *lines]))
    data.add(tmp_path / "mine", "mine", mask="none")
    images = data.open_dataset("mine")
    first, _ = (images.cube(sample) for sample in images.samples[:2])
    assert files_in(tmp_path / "cache" / "stored") == ["mine/c00.safetensors", "mine/c01.safetensors"]
    inode = Path(first.values.path).stat().st_ino
    write_cube(tmp_path / "mine" / "c01.hdr", np.full((20, 20, 9), 0.5, np.float32), range(900, 909))
    np.testing.assert_array_equal(images.cube(images.samples[1]).values, 0.5)
    assert Path(images.cube(images.samples[0]).values.path).stat().st_ino == inode
    data.remove("mine")
    assert files_in(tmp_path / "cache" / "stored") == [] and (tmp_path / "mine" / "c01.hdr").exists()


def test_fetched_sets_verify(mirror):
    for name in ("tecator", "jasper-ridge", "specim-fx10"):
        data.fetch(name)
        assert data.status(name) == "fetched" and data.verify(name) == []
