"""A run's results folder as samples with their maps."""

import json
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hsichem.cubes import block_mean
from hsichem.lab import explore
from hsichem.lab.explorer.sources import RunSource
from hsichem.lab.results import Results
from hsichem.pls import fit_pls


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    results = Results(tmp_path_factory.mktemp("results"))
    results.save("settings", {"dataset": "phantom-belly", "preset": "lesson", "seed": 0})
    results.save("02_pls_maps", {"components": 3, "smoothing_pixels": 1.5})
    source = RunSource(results)
    name = next(iter(source.names.values()))
    rows, cols = source.scene(name, source.start).mask.shape
    for weight in ("0", "20"):
        results.save_map(f"U-Net weight {weight}", name, np.full((rows // 2, cols // 2), 1 + float(weight)))
    results.save_map("PLS", name, np.zeros((rows, cols)))
    results.save_map("PLS T2", name, np.ones((rows, cols)))
    results.save_map("U-Net", name, np.full((rows // 2, cols // 2), 30))
    results.save_map("reader", name, np.ones((rows, cols)))
    return results, source, name


def test_a_run_shows_what_is_there(run):
    results, source, name = run
    e = explore(results)
    assert e.sample == name
    layers = {layer["name"]: layer for layer in e.canvas.layers}
    assert list(layers) == [
        *("truth", "PLS", "PLS smoothed", "U-Net"),  # it opens with these
        *("PLS single pixels", "PLS as saved", "U-Net by weight", "PLS T2", "image", "band"),
    ]
    assert e.shown == ["truth", "PLS", "PLS smoothed", "U-Net"]
    kinds = {layer["name"]: layer["kind"] for layer in e.canvas.layers}
    assert kinds["truth"] == "truth" and kinds["PLS as saved"] == "linear models" and kinds["PLS T2"] == "how sure"
    assert kinds["U-Net by weight"] == "networks" and kinds["band"] == kinds["image"] == "camera"
    sample = source.samples[name]
    cube = source.images.cube(sample)
    fitted = source.models[2].predict_map(cube)
    pls = np.frombuffer(e.canvas.images[1], np.float32).reshape(np.array(cube.mask.shape) // 2)
    assert_array_equal(pls, block_mean(fitted))
    assert_array_equal(e.maps["PLS single pixels"], fitted)
    assert {layers[name]["step"] for name in e.shown} == {2}  # one grid, as in the table of methods
    assert layers["PLS smoothed"]["note"] == "1.5 pixels" and layers["PLS T2"]["scale"] is not None
    assert layers["U-Net by weight"]["note"] == "weight 0" and e.canvas.grid["pitch"] == cube.pitch_mm
    assert layers["PLS T2"]["note"] == "3 components"  # of the run: no slider moves it
    e.controls["weight"].value = "20"
    assert e.shown[-1] == "U-Net by weight"


def test_it_opens_with_the_filter_that_the_run_chose_without_a_truth(run, tmp_path):
    _, source, name = run
    shape = source.scene(name, source.start).mask.shape
    results = Results(tmp_path)
    results.save("settings", {"dataset": "phantom-belly", "preset": "lesson", "seed": 0})
    results.save("02_pls_maps", {"components": 3, "opponent": "linear median"})
    for method in ("linear", "linear median", "pixel network"):
        results.save_map(method, name, np.zeros(shape))
    assert explore(results).shown == ["truth", "PLS", "linear median"]  # no U-Net there


def test_a_saved_pls_map_of_either_grid_is_no_second_map(run, tmp_path):
    _, source, name = run
    fitted = source.scene(name, source.start).layers["PLS single pixels"].values
    for values in (fitted, block_mean(fitted)):
        results = Results(tmp_path)
        results.save("settings", {"dataset": "phantom-belly", "preset": "lesson", "seed": 0})
        results.save("02_pls_maps", {"components": 3})
        results.save_map("PLS", name, values)
        assert "PLS as saved" not in RunSource(results).scene(name, source.start).layers


def test_sliders_of_a_run(run):
    results, source, name = run
    e = explore(results)
    cube = source.images.cube(source.samples[name])
    e.controls["components"].value = 6
    assert_array_equal(e.maps["PLS"], block_mean(source.models[5].predict_map(cube)))
    assert_array_equal(e.maps["PLS single pixels"], source.models[5].predict_map(cube))
    e.controls["smoothing"].value = 0
    assert_array_equal(e.maps["PLS smoothed"], e.maps["PLS"])
    e.controls["weight"].value = "20"
    assert np.nanmax(e.maps["U-Net by weight"]) == 21
    other = list(source.names.values())[1]
    e.sample = other  # the sliders stay where they are
    cube = source.images.cube(source.samples[other])
    assert_array_equal(e.maps["PLS"], block_mean(source.models[5].predict_map(cube)))
    assert_array_equal(e.maps["PLS smoothed"], e.maps["PLS"])
    assert e.canvas.title == f"Maps of {other}" and "U-Net by weight" not in e.maps
    e.controls["weight"].value = "0"  # moves nothing here
    e.sample = name
    assert np.nanmax(e.maps["U-Net by weight"]) == 1


def test_a_spectrum_is_of_the_pixels_that_are_shown(run, monkeypatch):
    results, source, name = run
    e, sent = explore(results), []
    monkeypatch.setattr(e.canvas, "send", lambda message, buffers: sent.append(np.frombuffer(*buffers, np.float32)))
    values = source.images.cube(source.samples[name]).values
    e.pins = [(61, 40)]

    def seen():
        e.canvas._handle_custom_msg({"kind": "at", "place": [61, 40]}, [])
        assert_allclose(e.canvas.plots[0]["series"][1]["y"], sent[-1], rtol=1e-6)
        return sent[-1]

    block = values[60:62, 40:42].mean(axis=(0, 1))
    assert_allclose(seen(), block, rtol=1e-6)
    pls = source.models[2]  # no preprocessing, so a block's content is that of its mean spectrum
    assert_allclose(pls.predict(block[None])[0], e.maps["PLS"][30, 20], atol=1e-3)
    e.shown = [*e.shown, "PLS single pixels"]
    assert_allclose(seen(), values[61, 40], rtol=1e-6)
    e.shown = ["truth", "image"]
    assert_allclose(seen(), block, rtol=1e-6)


def test_a_sample_without_a_map_of_the_weight_shows_another_and_says_which(run):
    _, source, name = run
    layer = source.scene(name, source.start | {"weight": "5"}).layers["U-Net by weight"]
    assert layer.note == "weight 0" and np.nanmax(layer.values) == 1


def test_a_networks_map_ends_where_the_sample_ends(run):
    _, source, name = run
    layer = source.scene(name, source.start).by_weight["0"]
    mask = source.images.cube(source.samples[name]).mask
    for row, col in np.ndindex(layer.values.shape):
        block = mask[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        assert np.isfinite(layer.values[row, col]) == block.all()


def test_a_folder_without_names_shows_every_map_by_its_folder(run, tmp_path):
    results = run[0]
    for path in results.folder.glob("maps/*/*.npy"):
        copy = tmp_path / path.relative_to(results.folder)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    metrics = results.metrics()
    del metrics["map_names"]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    e = explore(tmp_path)
    shown = {layer["name"]: layer for layer in e.canvas.layers}
    assert [shown[name]["kind"] for name in ("pls", "pls t2", "u net weight 0", "u net")] == [
        *("linear models", "how sure", "networks", "networks")
    ]
    assert shown["pls t2"]["scale"] is not None and np.nanmax(e.maps["u net weight 20"]) == 21
    page = e.save_html(tmp_path / "page.html").read_text("utf-8")
    assert re.search(r'"name": ?"u net weight 0"', page)


def test_pls_is_fitted_as_the_run_fitted_it(run, tmp_path):
    _, source, name = run
    fit_on = [sample for sample in source.images.samples if sample.split > 0]
    spectra = [source.images.cube(sample).mean_spectrum() for sample in fit_on]
    model = fit_pls(spectra, [s.references["fat"] for s in fit_on], n_components=4, preprocessing="absorbance+snv")
    saved = model.predict_map(source.images.cube(source.samples[name]))
    results = Results(tmp_path)
    results.save("settings", {"dataset": "phantom-belly", "preset": "lesson", "seed": 0})
    results.save("02_pls_maps", {"components": 4, "preprocessing": "absorbance+snv"})
    results.save_map("PLS", name, saved)
    source = RunSource(results)
    layers = source.scene(name, source.start).layers
    fitted = layers["PLS single pixels"].values  # the first of 20 components, not 4 fitted alone
    assert_allclose(fitted, saved, atol=1e-3)
    assert "PLS as saved" not in layers
