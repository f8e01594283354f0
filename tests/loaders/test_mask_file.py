"""Masks from files, and files that are none."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hsichem import InputError
from hsichem.loaders import envi
from hsichem.loaders.mask_file import read_mask

ROWS, COLS = np.mgrid[:60, :50]
DISC = (ROWS - 30) ** 2 + (COLS - 25) ** 2 < 18**2


def test_masks_from_files(tmp_path):
    np.save(tmp_path / "a.npy", DISC)
    Image.fromarray(np.where(DISC, 255, 0).astype(np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(DISC).save(tmp_path / "bits.png")
    Image.fromarray(np.repeat(np.where(DISC, 200, 0).astype(np.uint8)[:, :, None], 3, axis=2)).save(tmp_path / "c.png")
    envi.write_cube(tmp_path / "e.hdr", DISC[:, :, None].astype(np.uint8), [1000])
    for path in tmp_path.glob("*.*"):
        if path.suffix != ".raw":
            np.testing.assert_array_equal(read_mask(path, DISC.shape), DISC, err_msg=path.name)


def test_masks_that_do_not_fit_are_refused(tmp_path):
    soft = np.linspace(0, 255, DISC.size).reshape(DISC.shape).astype(np.uint8)
    np.save(tmp_path / "empty.npy", np.zeros(DISC.shape, bool))
    np.save(tmp_path / "numbers.npy", soft)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "small.npy", DISC[:-1])
    Image.fromarray(soft).save(tmp_path / "soft.png")
    Image.fromarray(soft[:, :-1]).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "soft.png").read_bytes()[:60])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "mask.jpg").touch()
    envi.write_cube(tmp_path / "bands.hdr", np.ones((*DISC.shape, 2), np.uint8), [900, 1000])
    expected = {"empty.npy": "only 0", "numbers.npy": "expected bool", "objects.npy": "cannot be read"}
    expected |= {"small.npy": "59, 50", "soft.png": "256 values", "small.png": "60, 49", "broken.png": "cannot be read"}
    expected |= {"text.png": "cannot be read", "mask.jpg": "expected one of .npy", "bands.hdr": "2 bands"}
    expected |= {"absent.npy": "cannot be read"}
    for name, words in expected.items():
        with pytest.raises(InputError) as error:
            read_mask(tmp_path / name, DISC.shape)
        assert name in str(error.value) and words in str(error.value)


def test_a_small_png_that_declares_much_is_not_unpacked(tmp_path, monkeypatch):
    Image.fromarray(DISC).save(tmp_path / "m.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(InputError, match=r"\(60, 50\) pixels, its image \(60, 51\)"):
        read_mask(tmp_path / "m.png", (60, 51))
    content = bytearray((tmp_path / "m.png").read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.png: cannot be read: Image size \(3600000000 pixels\)"):
        read_mask(tmp_path / "m.png", (60, 50))
