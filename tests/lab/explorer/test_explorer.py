"""The explorer without a browser: what it gathers, what it answers, what it leaves behind."""

import base64
import csv
import json
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hsichem import Cube, InputError
from hsichem.cubes import inside_polygon, smooth
from hsichem.lab.explorer import answers, explorer
from hsichem.lab.explorer import saved as snapshot
from hsichem.lab.explorer.explorer import explore
from hsichem.lab.explorer.scene import band_layer, component_maps, false_colour, map_layer, smoothed_prediction, step_of
from hsichem.lab.explorer.sources import RunSource, display_name
from hsichem.lab.results import Results
from hsichem.pls import fit_pls


def small_cube(rows=20, cols=14, bands=12, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros((rows, cols), bool)
    mask[2:-2, 1:-1] = True
    values = rng.uniform(0.2, 0.9, (rows, cols, bands))
    return Cube(values, np.linspace(750, 1000, bands), mask, 0.5, "small")


def small_maps(cube, seed=1):
    rng = np.random.default_rng(seed)
    full = np.where(cube.mask, rng.uniform(-40, 150, cube.mask.shape), np.nan)
    half = rng.uniform(10, 60, (cube.mask.shape[0] // 2, cube.mask.shape[1] // 2))
    return {"PLS": full, "U-Net": half, "PLS Q": np.abs(full)}


def models(cube, count=5, preprocessing=None):
    rng = np.random.default_rng(2)
    spectra = rng.uniform(0.2, 0.9, (15, len(cube.wavelengths)))
    y = 40 + 30 * spectra[:, 3] - 20 * spectra[:, 7] + rng.normal(0, 1, 15)
    return [fit_pls(spectra, y, n_components=a, preprocessing=preprocessing) for a in range(1, count + 1)]


# ---- layers


@pytest.mark.parametrize("preprocessing", [None, "absorbance+snv"])
def test_the_running_sum_gives_each_models_own_map(preprocessing, monkeypatch):
    monkeypatch.setattr("hsichem.pls.model.PIXELS_AT_ONCE", 50)  # several blocks
    cube = small_cube()
    fitted = models(cube, preprocessing=preprocessing)
    found = component_maps(cube, fitted)
    for k, each in enumerate(fitted):
        assert_allclose(found[:, :, k], each.predict_map(cube), rtol=0, atol=1e-3)


@pytest.mark.parametrize("preprocessing", [None, "snv"])
def test_smoothing_maps_the_smoothed_image(preprocessing):
    cube = small_cube()
    model = models(cube, preprocessing=preprocessing)[2]
    found = smoothed_prediction(model, cube, model.predict_map(cube), 1.3)
    assert_allclose(found, model.predict_map(smooth(cube, 1.3)), atol=1e-3)


def test_no_smoothing_leaves_the_map():
    cube = small_cube()
    values = small_maps(cube)["PLS"]
    assert_array_equal(smoothed_prediction(models(cube)[2], cube, values, 0.0), values)


@pytest.mark.parametrize(
    ("shape", "full", "step"), [((10, 7), (20, 14), 2), ((10, 7), (21, 15), 2), ((5, 5), (5, 5), 1)]
)
def test_step(shape, full, step):
    assert step_of(shape, full) == step


@pytest.mark.parametrize("shape", [(10, 14), (30, 20), (7, 3), (0, 0)])
def test_a_map_that_does_not_fit_its_image(shape):
    with pytest.raises(InputError, match=r"does not fit \(20, 14\)"):
        step_of(shape, (20, 14))


NAMES = {"pls": "PLS", "pls-few-components": "PLS few components", "pls-t2": "PLS T2", "u-net": "U-Net"}
NAMES |= {"u-net-sd": "U-Net SD", "u-net-weight-0.2": "U-Net weight 0.2", "u-net-weight-1e-05": "U-Net weight 1e-05"}


@pytest.mark.parametrize(("folder", "name"), NAMES.items())
def test_names_come_back_from_folders(folder, name, tmp_path):
    assert display_name(folder) == name
    results = Results(tmp_path)
    results.save_map(name, "s", np.zeros((2, 2)))
    assert (tmp_path / "maps" / folder / "s.npy").is_file()


def test_only_residuals_and_deviations_have_their_own_scale():
    values = np.linspace(0, 7, 200).reshape(20, 10)
    assert map_layer("PLS few components", values, (20, 10)).scale is None
    own = map_layer("PLS Q", values, (20, 10))
    assert own.scale == (0, pytest.approx(np.percentile(values, 99), rel=1e-5)) and own.unit == ""
    assert map_layer("U-Net SD", values, (20, 10)).unit == "%"


def test_false_colour_takes_visible_light_where_there_is_some():
    nm = np.arange(400, 1001, 10.0)
    values = np.random.default_rng(0).uniform(0, 1, (6, 5, nm.size))
    layer = false_colour(Cube(values, nm))
    assert layer.note == "640, 550, 460 nm" and layer.values.dtype == np.uint8
    for channel, wanted in enumerate((640, 550, 460)):  # the order of brightness is kept
        band = values[:, :, list(nm).index(wanted)]
        assert np.corrcoef(band.ravel(), layer.values[:, :, channel].ravel())[0, 1] > 0.99
    assert false_colour(small_cube()).note != layer.note


# ---- answers


def brute_inside(polygon, row, col):
    """Crossing number of a ray to the right."""
    crossings = 0
    for (r0, c0), (r1, c1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (r0 > row) != (r1 > row) and col < c0 + (row - r0) / (r1 - r0) * (c1 - c0):
            crossings += 1
    return crossings % 2 == 1


@pytest.mark.parametrize("step", [1, 2])
def test_inside_is_the_ray_rule_on_pixel_centres(step):
    polygon = [(1.2, 2.1), (17.3, 0.4), (12.7, 12.9), (9.1, 5.3)]
    found = inside_polygon(polygon, (20 // step, 14 // step), step)
    for row, col in np.ndindex(found.shape):
        assert found[row, col] == brute_inside(polygon, (row + 0.5) * step, (col + 0.5) * step)
    assert found.any()


@pytest.mark.parametrize("polygon", [[(0, 0), (1, 1)], [(0, 0), (1, np.nan), (2, 0)], [(1, 2, 3)] * 3])
def test_inside_refuses_what_is_no_polygon(polygon):
    with pytest.raises(InputError, match="three or more"):
        inside_polygon(polygon, (5, 5))


@pytest.mark.parametrize("preprocessing", [None, "snv"])
def test_driving_bands_are_the_fewest_that_make_half(preprocessing):
    cube = small_cube()
    model = models(cube, preprocessing=preprocessing)[3]
    spectrum, mean = cube.values[5, 5], cube.mean_spectrum()
    chosen = answers.driving_bands(model, spectrum, mean)
    seen = model.pipeline.transform(np.array([spectrum, mean], float))
    parts = model.coefficients * (seen[0] - seen[1])
    assert_allclose(parts.sum(), np.diff(model.predict(np.array([mean, spectrum])))[0], atol=1e-6)
    sizes = np.abs(parts)
    assert sizes[chosen].sum() >= sizes.sum() / 2 > np.sort(sizes)[::-1][: chosen.sum() - 1].sum()
    assert sizes[chosen].min() >= sizes[~chosen].max()


def test_region_statistics_over_both_resolutions():
    cube = small_cube()
    given = small_maps(cube)
    e = explore(given, cube, polygon=[(4, 2), (14, 2), (14, 10), (4, 10)])
    rows = {row[0]: row for row in e.canvas.region["rows"]}
    within, coarse = given["PLS"][4:14, 2:10], given["U-Net"][2:7, 1:5]
    for name, values in {"PLS": within, "U-Net": coarse, "band": cube.values[4:14, 2:10, 6]}.items():
        expected = [values.size, values.mean(), values.std(), values.min(), values.max()]
        assert_allclose(rows[name][2:], expected, rtol=1e-5)


def test_without_a_polygon_the_region_is_the_sample():
    cube = small_cube()
    rows = {row[0]: row for row in explore(small_maps(cube), cube).canvas.region["rows"]}
    assert rows["band"][2] == rows["PLS"][2] == cube.mask.sum()
    assert rows["band"][3] == pytest.approx(cube.values[cube.mask][:, 6].mean())


def test_csv_holds_region_histogram_and_spectra(tmp_path):
    cube = small_cube()
    e = explore(small_maps(cube), cube, polygon=[(4, 2), (14, 2), (14, 10), (4, 10)], pins=[(5, 5)])
    lines = list(csv.DictReader(e.save_csv(tmp_path / "region.csv").read_text().splitlines()))

    def get(quantity, of):
        return [float(line["value"]) for line in lines if (line["quantity"], line["of"]) == (quantity, of)]

    assert_allclose(get("mean", "PLS"), small_maps(cube)["PLS"][4:14, 2:10].mean(), rtol=1e-6)
    assert_allclose(get("reflectance", "region"), cube.values[4:14, 2:10].mean(axis=(0, 1)), rtol=1e-5)
    assert_allclose(get("reflectance", "pin 1"), cube.values[5, 5], rtol=1e-6)
    assert sum(get("pixels", "U-Net")[1:]) == pytest.approx(100)
    assert sum(line["quantity"] == "corner" for line in lines) == 4


def test_the_variogram_is_that_of_the_map_in_mm():
    cube = small_cube()
    values = small_maps(cube)["PLS"]
    plot = answers.variogram_plot("PLS", map_layer("PLS", values, cube.mask.shape), 0.5)
    dots = plot["series"][0]
    pairs = [(a, b) for a in np.argwhere(cube.mask) for b in np.argwhere(cube.mask) if round(np.hypot(*(a - b))) == 3]
    expected = np.mean([(values[tuple(a)] - values[tuple(b)]) ** 2 / 2 for a, b in pairs])
    assert dots["x"][2] == 1.5 and dots["y"][2] == pytest.approx(expected)
    assert "share" in plot["note"]


def test_a_map_too_small_for_a_variogram_says_so():
    plot = answers.variogram_plot("PLS", map_layer("PLS", np.ones((3, 3)), (3, 3)), None)
    assert "at least 4" in plot["note"] and plot["series"] == []


# ---- the widget


def test_places_that_cannot_be():
    cube = small_cube()
    with pytest.raises(InputError, match=r"pixel 20, 0 is outside the image of 20 rows"):
        explore(small_maps(cube), cube, pins=[(20, 0)])
    with pytest.raises(InputError, match="three or more"):
        explore(small_maps(cube), cube, polygon=[(1, 1), (2, 2)])
    with pytest.raises(InputError, match="no maps"):
        explore({})
    with pytest.raises(InputError, match="no settings"):
        explore("nowhere")


def test_a_typed_polygon_is_the_region_and_a_typing_mistake_is_said():
    cube = small_cube()
    e = explore(small_maps(cube), cube)
    e.controls["polygon"].value = "4, 2; 14, 2; 14, 10; 4, 10"
    assert e.polygon == e.canvas.polygon == [[4, 2], [14, 2], [14, 10], [4, 10]]
    before = e.canvas.region
    e.controls["polygon"].value = "4, 2; fourteen"
    assert "not understood" in e.canvas.status and e.canvas.region == before
    e.canvas.polygon = []  # as the browser's button does
    assert e.controls["polygon"].value == "" and e.polygon == []


def test_a_slider_sends_one_layer_and_a_reload_gets_it(monkeypatch):
    cube = small_cube()
    e = explore(small_maps(cube), cube)
    sent = []
    monkeypatch.setattr(e.canvas, "send", lambda message, buffers: sent.append((message, buffers)))
    monkeypatch.setattr(e.canvas, "send_state", lambda key=None: sent.append(key))
    e.controls["band"].value = 3
    assert len(sent) == 1
    message, (data,) = sent[0]
    assert message["layer"]["name"] == "band" and message["layer"]["note"] == f"{cube.wavelengths[3]:.0f} nm"
    assert_array_equal(np.frombuffer(data, np.float32).reshape(20, 14), cube.values[:, :, 3])
    assert e.canvas.images[message["index"]] == data


def test_plain_ipywidgets_answer_too():
    cube = small_cube()
    e = explore(small_maps(cube), cube, plain=True)
    before = bytes(e.canvas.value)
    assert isinstance(e.canvas, explorer.Picture) and before.startswith(b"\x89PNG")
    e.controls["pins"].value = "5, 5"
    assert bytes(e.canvas.value) != before and e.canvas.plots[0]["series"][1]["name"] == "pin 1"


def test_no_callback_uses_pyplot(monkeypatch):
    import matplotlib.pyplot as plt

    cube = small_cube()
    e = explore(small_maps(cube), cube, plain=True)
    monkeypatch.setattr(plt, "figure", lambda *_, **__: pytest.fail("pyplot in a callback"))
    e.controls["band"].value = 2
    e.controls["variogram"].value = "U-Net"
    e.polygon = [(4, 2), (14, 2), (14, 10)]
    assert plt.get_fignums() == []


# ---- without a kernel


def test_the_notebook_gets_a_picture_beside_the_widget():
    e = explore(small_maps(small_cube()), small_cube())
    bundle = e._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_the_figure_shows_every_map_and_plot():
    cube = small_cube()
    e = explore(small_maps(cube), cube, pins=[(5, 5)])
    texts = " ".join(text.get_text() for text in e.figure().findobj(match=lambda artist: hasattr(artist, "get_text")))
    for wanted in (
        "image",
        "band",
        "PLS Q",
        "U-Net",
        "Spectra",
        "pin 1",
        "Histogram of the region",
        "Variogram of PLS",
    ):
        assert wanted in texts


def test_colours_are_those_of_the_style():
    layer = map_layer("PLS", [[-1.0, 0.0, 50.0], [100.0, 101.0, np.nan]], (2, 3))
    found = snapshot.coloured(layer, (0, 100))
    colours = snapshot.MAP_COLOURS(np.array([0, 127, 255])) * 255
    assert_allclose(found[[0, 0, 1], [1, 2, 0]], colours, atol=1)
    assert_allclose(found[0, 0, :3], np.array(snapshot.to_rgba(snapshot.UNDER)[:3]) * 255, atol=1)
    assert_allclose(found[1, 1, :3], np.array(snapshot.to_rgba(snapshot.OVER)[:3]) * 255, atol=1)
    assert found[1, 2, 3] == 0
    narrow = snapshot.coloured(layer, (40, 60))  # inside 0-100, limits only stretch the scale
    assert_array_equal(narrow[0, 1], snapshot.coloured(layer, (0, 100))[0, 1])


def test_the_saved_page_is_whole_and_asks_no_network(tmp_path):
    cube = small_cube()
    e = explore(small_maps(cube), Cube(cube.values, cube.wavelengths, cube.mask, 0.5, "</script><b>"), pins=[(5, 5)])
    text = e.save_html(tmp_path / "page.html").read_text("utf-8")
    assert text.count("</script>") == 1 and "&lt;/script&gt;" in text
    assert not re.search(r"(src|href)=|@import|fetch\(|url\(", text)
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
    state = json.loads(text[text.index("page({") + 5 : text.rindex(", document.getElementById")])
    values = np.frombuffer(base64.b64decode(state["images"][2]), np.float32)
    assert_array_equal(values, small_maps(cube)["PLS"].astype(np.float32).ravel())


# ---- a run's results


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    results = Results(tmp_path_factory.mktemp("results"))
    results.save("settings", {"dataset": "phantom-belly", "preset": "lesson", "seed": 0})
    results.save("02_pls_maps", {"components": 3, "smoothing_pixels": 1.5})
    source = RunSource(results)
    name = next(iter(source.names.values()))
    rows, cols = source.scene(name).mask.shape
    for weight in ("0", "20"):
        results.save_map(f"U-Net weight {weight}", name, np.full((rows // 2, cols // 2), 1 + float(weight)))
    results.save_map("PLS", name, np.zeros((rows, cols)))
    results.save_map("PLS T2", name, np.ones((rows, cols)))
    return results, source, name


def test_a_run_shows_what_is_there(run):
    results, source, name = run
    e = explore(results)
    assert e.sample == name
    shown = [layer["name"] for layer in e.canvas.layers]
    assert shown == ["image", "band", "truth", "PLS", "PLS smoothed", "PLS T2", "PLS as saved", "U-Net by weight"]
    sample = source.samples[name]
    cube = source.images.cube(sample)
    pls = np.frombuffer(e.canvas.images[3], np.float32).reshape(cube.mask.shape)
    assert_array_equal(pls, source.models[2].predict_map(cube))
    assert e.canvas.layers[4]["note"] == "1.5 pixels" and e.canvas.layers[5]["scale"] is not None
    assert e.canvas.grid["pitch"] == cube.pitch_mm


def test_sliders_of_a_run(run):
    results, source, name = run
    e = explore(results)
    cube = source.images.cube(source.samples[name])
    e.controls["components"].value = 6
    assert_allclose(e._scene.layers["PLS"].values, source.models[5].predict_map(cube), atol=2e-3)
    e.controls["smoothing"].value = 0
    assert_array_equal(e._scene.layers["PLS smoothed"].values, e._scene.layers["PLS"].values)
    e.controls["weight"].value = "20"
    assert np.nanmax(e._scene.layers["U-Net by weight"].values) == 21
    other = list(source.names.values())[1]
    e.sample = other  # the sliders stay where they are
    cube = source.images.cube(source.samples[other])
    assert_allclose(e._scene.layers["PLS"].values, source.models[5].predict_map(cube), atol=2e-3)
    assert e.canvas.title == f"Maps of {other}" and "U-Net by weight" not in e._scene.layers


def test_a_networks_map_ends_where_the_sample_ends(run):
    _, source, name = run
    layer = source.scene(name).layers["U-Net weight 0"]
    mask = source.images.cube(source.samples[name]).mask
    for row, col in np.ndindex(layer.values.shape):
        block = mask[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        assert np.isfinite(layer.values[row, col]) == block.all()


def test_a_band_keeps_its_numbers():
    cube = small_cube()
    assert_array_equal(band_layer(cube, 4).values, cube.values[:, :, 4])


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
    scene = RunSource(results).scene(name)
    assert_array_equal(scene.layers["PLS"].values, saved)
    assert "PLS as saved" not in scene.layers
