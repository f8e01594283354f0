"""A model as a folder: the same map after a round trip; what is foreign, changed or too new is refused."""

import dataclasses
import json
import sys
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.fitted import CONTENTS, NM, calibration, image, models
from safetensors.numpy import load_file, save_file

import hsichem
from hsichem import Cube, InputError, unet
from hsichem.cubes import whole_blocks
from hsichem.lab import Model, facts_of, load_model, save_model
from hsichem.lab.model_files import _checksum
from hsichem.maps import held_out_error, looks_of, with_mean
from hsichem.pls import fit_pls
from hsichem.unet import ChemicalUNet, load_published, predict_looks, predict_map, published_input

KINDS = ("PLS", "linear total variation", "U-Net")
NEW = image(37, seed=99)


@pytest.fixture(scope="module")
def fitted():
    return models()


@pytest.fixture
def saved(fitted, tmp_path):
    return save_model(tmp_path, fitted["PLS"])


@pytest.mark.parametrize("name", KINDS)
def test_a_round_trip_changes_no_bit_of_a_map(fitted, tmp_path, name):
    model, place = fitted[name], save_model(tmp_path, fitted[name])
    assert place == tmp_path / "models" / name.lower().replace(" ", "-")
    again = hsichem.load_model(place)
    np.testing.assert_array_equal(again.map(NEW), model.map(NEW))
    spectrum, reading = NEW.mean_spectrum(), model.reader.predict_map(NEW)
    assert again.beyond(spectrum) == model.beyond(spectrum)
    np.testing.assert_array_equal(again.reader.predict_map(NEW), reading)
    errors = [each.held_out(each.seen(NEW), reading, NEW.foreground) for each in (again, model)]
    assert errors[0] == errors[1] > 0
    assert again.facts == model.facts and again.tuned == model.tuned and again.config == model.config
    assert again.checksum == json.loads((place / "model.json").read_text())["checksum"] and len(again.checksum) == 64
    assert load_model(save_model(tmp_path / "copy", again)).checksum == again.checksum


@pytest.mark.parametrize("preprocessing", ["absorbance+snv", "absorbance+msc", "sg1", "msc+sg2"])
def test_preprocessing_comes_back_with_what_it_learned(tmp_path, preprocessing):
    model = models(preprocessing)["PLS"]
    again = load_model(save_model(tmp_path, model))
    np.testing.assert_array_equal(again.map(NEW), model.map(NEW))
    assert again.beyond(NEW.mean_spectrum()) == model.beyond(NEW.mean_spectrum())


def test_maps_are_those_of_their_parts(fitted):
    grid, inside = whole_blocks(NEW.foreground), NEW.foreground
    pls = fitted["PLS"].map(NEW)
    np.testing.assert_allclose(pls[inside], fitted["PLS"].linear.predict(NEW.values[inside]), atol=1e-3)
    assert np.isnan(pls[~inside]).all() and pls.dtype == np.float32
    linear = fitted["linear total variation"]
    np.testing.assert_array_equal(linear.map(NEW), linear.tuned.apply(looks_of(linear.linear.predict_map(NEW)), grid))
    net = fitted["U-Net"]
    looks = np.mean([predict_looks(member, net.scale.apply(NEW)) for member in net.networks], axis=0)
    flat = net.tuned.apply(looks, grid)
    mean = 0.6 * flat[grid].mean() + 0.4 * net.reader.predict(NEW.mean_spectrum()[None])[0]
    np.testing.assert_allclose(net.map(NEW)[grid], with_mean(flat, grid, mean)[grid], rtol=1e-5)
    assert [fitted[name].step for name in KINDS] == [1, 2, 2]


def test_the_held_out_error_is_that_of_many_images_with_one(fitted):
    model, reading = fitted["linear total variation"], fitted["PLS"].reader.predict_map(NEW)
    grid, seen = whole_blocks(NEW.foreground), model.seen(NEW)
    looks = model.tuned.apply_to_looks(looks_of(seen), grid)
    twice = [dict.fromkeys("ab", each) for each in (looks, looks_of(reading), grid)]
    expected = held_out_error(*twice)["held_out"]
    assert model.held_out(seen, reading, NEW.foreground) == pytest.approx(expected, rel=1e-6)


def test_networks_that_saw_no_hidden_pixels_map_the_image_as_it_is(fitted):
    net = fitted["U-Net"]
    for member in net.networks:
        member.by_looks = False
    try:
        plain = dataclasses.replace(net, tuned=None, reader=None)
        expected = np.mean([predict_map(member, net.scale.apply(NEW)) for member in net.networks], axis=0)
        grid = whole_blocks(NEW.foreground)
        np.testing.assert_array_equal(plain.map(NEW)[grid], expected[grid])
        assert plain.held_out(plain.seen(NEW), net.reader.predict_map(NEW), NEW.foreground) is None
    finally:
        for member in net.networks:
            member.by_looks = True


def test_a_camera_cube_is_cropped_and_averaged_as_in_calibration(fitted):
    nm = np.concatenate([[700, 750], NM])
    wide = Cube(np.concatenate([np.ones((24, 20, 2)), NEW.values], axis=2), nm, NEW.mask, 1.0)
    np.testing.assert_array_equal(fitted["PLS"].map(wide), fitted["PLS"].map(NEW))
    model = dataclasses.replace(fitted["PLS"], facts=fitted["PLS"].facts | {"bin": 2})
    double = Cube(np.repeat(NEW.values, 2, axis=2), np.stack([NM - 1, NM + 1], axis=1).ravel(), NEW.mask, 1.0)
    np.testing.assert_array_equal(model.map(double), fitted["PLS"].map(NEW))


@pytest.mark.parametrize(
    ("nm", "words"),
    [
        (NM[:-1], "11 bands of 800-982 nm.* fitted on 12 bands of 800-1000 nm"),
        (NM + 10, "by up to 10.0 nm, .* with bands 18.2 nm apart"),
    ],
)
def test_other_wavelengths_are_refused_with_the_difference(fitted, nm, words):
    with pytest.raises(InputError, match=words):
        fitted["PLS"].map(Cube(NEW.values[:, :, : len(nm)], nm, NEW.mask, 1.0))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"wavelengths": NM + 2}, "by up to 2.0 nm"),
        ({"pitch_mm": 0.3}, "pixel pitch 0.3 mm; PLS was fitted at 1 mm"),
        ({"values": 1000 * NEW.values}, "mean reflectance 4.*; the calibration images have 0.4.* Is the image cal"),
        ({"values": NEW.values - 0.003 * 50 * np.exp(-(((NM - 930) / 30) ** 2))}, "beyond the references of 10 to 60"),
    ],
)
def test_what_calibration_did_not_have_is_warned_of_with_the_difference(fitted, changed, words):
    with warnings.catch_warnings(), pytest.warns(UserWarning, match=words):
        warnings.filterwarnings("ignore", "mean -")  # a thousandfold reflectance has no sensible mean
        fitted["PLS"].map(dataclasses.replace(NEW, **changed))


def test_an_image_like_those_of_the_calibration_makes_no_noise(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in fitted.values():
            model.map(image(37, seed=5, pitch=None))
            model.map(image(37, seed=5, pitch=1.05))


def test_the_interval_holds_as_many_test_images_as_it_promises(fitted):
    model = fitted["PLS"]
    low, high = model.interval(40.0)
    assert (low, high) == (38, 42)  # 20 errors, so the largest
    many = dataclasses.replace(model, facts=model.facts | {"mean_errors": list(range(-100, 100))})
    assert many.interval(0.0) == (-95, 95)  # the 191st of 200: 0 once, 1 to 95 twice
    few = dataclasses.replace(model, facts=model.facts | {"mean_errors": [1.0] * 18})
    assert few.interval(40.0) is None


def test_an_image_of_another_material_is_beyond_the_limits(fitted):
    assert max(fitted["PLS"].beyond(image(37, seed=3).mean_spectrum())) < 1
    foreign = image(37, seed=3, band=np.exp(-(((NM - 850) / 20) ** 2)))
    assert fitted["PLS"].beyond(foreign.mean_spectrum())[1] > 5
    assert dataclasses.replace(fitted["PLS"], limits=None).beyond(NEW.mean_spectrum()) is None


def test_the_file_says_what_a_reader_needs_and_not_where_the_data_lay(saved):
    told = json.loads((saved / "model.json").read_text())
    assert told["unit"] == "% w/w" and told["references"] == [10, 60] and told["pitch_mm"] == 1
    assert told["linear"]["linear"] == {"preprocessing": None, "components": 2}
    assert told["metrics"]["mean"]["rmsep_interval"] == [1, 2] and told["versions"]["numpy"] == np.__version__
    assert "/home/me" not in (saved / "model.json").read_text()
    tensors = load_file(saved / "linear.safetensors")
    assert tensors["linear.coefficients"].shape == (12,) and tensors["guard.limits"].shape == (2,)


def edited(place, edit):
    record = json.loads((place / "model.json").read_text())
    edit(record)
    (place / "model.json").write_text(json.dumps(record))


def test_an_edited_file_is_refused(saved):
    edited(saved, lambda record: record.update(weight=0.5))
    with pytest.raises(InputError, match="were changed after they were written"):
        load_model(saved)


def test_edited_tensors_are_refused(saved):
    tensors = load_file(saved / "linear.safetensors")
    tensors["linear.coefficients"] = tensors["linear.coefficients"] * 1.001
    save_file(tensors, saved / "linear.safetensors")
    with pytest.raises(InputError, match="were changed after they were written"):
        load_model(saved)


def test_a_newer_format_is_refused_before_anything_else(saved):
    edited(saved, lambda record: record.update(format=2))
    with pytest.raises(InputError, match=r"by a newer hsichem \(model format 2; this one reads up to 1\); update"):
        load_model(saved)


def test_a_folder_that_is_not_whole_is_refused(fitted, tmp_path):
    place = save_model(tmp_path, fitted["U-Net"])
    (place / "member2.safetensors").unlink()
    with pytest.raises(InputError, match=r"member2\.safetensors missing; copy the model's folder as a whole"):
        load_model(place)


@pytest.mark.parametrize(
    ("method", "edit", "words"),
    [
        ("PLS", lambda record: record["linear"]["linear"].update(preprocessing=5), "does not describe a model"),
        ("PLS", lambda record: record.update(filter={"kind": "x"}), "does not describe a model"),
        ("U-Net", lambda record: record["network"].update(speed=9), "does not describe a model"),
        ("U-Net", lambda record: record["network"].update(width=1000, depth=6), "does not fit the network"),  # 60 GB
        ("U-Net", lambda record: record.update(wavelengths=record["wavelengths"][1:]), "does not fit the network"),
    ],
)
def test_a_right_checksum_over_nonsense_is_no_traceback(fitted, tmp_path, method, edit, words):
    place = save_model(tmp_path, fitted[method])

    def nonsense(record):
        del record["checksum"]
        edit(record)
        files = {path.name: path.read_bytes() for path in place.glob("*.safetensors")}
        record["checksum"] = _checksum(record, files)

    edited(place, nonsense)
    with pytest.raises(InputError, match=words):
        load_model(place)


def test_a_hub_that_does_not_answer_is_no_traceback(monkeypatch):
    with pytest.raises(InputError, match=r"owner/name is not a local file or folder; to download it: pip install"):
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        load_model("owner/name")

    def refuse(name, **options):
        raise OSError("404 Client Error.\nMore")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=refuse))
    with pytest.raises(InputError, match=r"owner/name .* the hub does not give it: 404 Client Error\.$"):
        load_model("owner/name")


def test_a_place_without_a_model_says_what_is_expected(tmp_path, saved):
    (tmp_path / "empty").mkdir()
    (tmp_path / "headless").mkdir()
    (tmp_path / "headless" / "linear.safetensors").touch()
    (tmp_path / "x.txt").touch()
    for path in (tmp_path / name for name in ("empty", "nowhere", "models/pls2", "headless", "x.txt")):
        with pytest.raises(InputError, match=r"no model there; expected a folder with model\.json"):
            load_model(path)
    for path in (tmp_path, tmp_path / "models"):
        with pytest.raises(InputError, match=r"holds 1 models; give the folder of one: .*pls"):
            load_model(path)


def test_several_responses_are_refused():
    _, spectra, _, _, facts = calibration()
    both = fit_pls(spectra, np.stack([CONTENTS, CONTENTS**2], axis=1), n_components=2)
    with pytest.raises(InputError, match="predicts several responses"):
        Model("PLS", facts, linear=both)
    with pytest.raises(InputError, match="either a linear model or networks"):
        Model("nothing", facts)


def test_a_mask_without_a_whole_block_is_refused(fitted):
    mask = np.zeros((24, 20), bool)
    mask[4, 4:9] = True
    with pytest.raises(InputError, match="has 5 pixels, but no block of 2 x 2"):
        fitted["linear total variation"].map(dataclasses.replace(NEW, mask=mask))


def test_published_weights_map_a_capture_through_their_frame(tmp_path, monkeypatch):
    torch.manual_seed(0)
    for name in "ab":
        torch.save(ChemicalUNet(width=2, depth=1).state_dict(), tmp_path / f"{name}.pt")
    frame = partial(published_input, rows=64, cols=48)
    monkeypatch.setattr(unet, "published_input", frame)
    nm = np.interp(np.arange(300), [0, 175.5, 299], [386, 750, 1015])
    cube = Cube(np.random.default_rng(0).uniform(0.2, 0.6, (38, 28, 300)), nm)
    model = load_model(tmp_path)
    whole = predict_map(load_published(tmp_path), frame(cube))
    np.testing.assert_array_equal(model.map(cube)[1:-1], whole[8:25, 5:19])  # (64 - 38) / 2 = 13, so from row 14 on
    assert model.map(cube).shape == (19, 14) and len(model.checksum) == 64
    assert model.checksum != load_model(tmp_path / "a.pt").checksum


def test_facts_tell_how_masks_were_found(fitted):
    cubes, *_ = calibration()

    def way(**entry):
        images = SimpleNamespace(response="fat", unit="%", crop_nm=None, bin=1, colour_limits=(0, 1), name="", title="")
        images.entry = {"licence": "none"} | entry
        return facts_of(images, cubes, CONTENTS)["mask"]

    assert way(layout="captures") == "brightness" and way(layout="cubes") == "none"
    assert way(layout="folder", mask=940) == 940
