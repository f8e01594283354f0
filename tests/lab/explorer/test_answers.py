"""Plots and tables about pins, region and map, against brute force."""

import csv

import numpy as np
import pytest
from helpers.explored import SQUARE, explored, small_cube, small_maps, small_model
from numpy.testing import assert_allclose

from hsichem.lab.explorer import answers
from hsichem.lab.explorer.scene import map_layer


@pytest.mark.parametrize("preprocessing", [None, "snv"])
def test_driving_bands_are_the_fewest_that_make_half(preprocessing):
    cube = small_cube()
    model = small_model(cube, 4, preprocessing)
    spectrum, mean = cube.values[5, 5], cube.mean_spectrum()
    chosen = answers.driving_bands(model, spectrum, mean)
    seen = model.pipeline.transform(np.array([spectrum, mean], float))
    parts = model.coefficients * (seen[0] - seen[1])
    assert_allclose(parts.sum(), np.diff(model.predict(np.array([mean, spectrum])))[0], atol=1e-6)
    sizes = np.abs(parts)
    assert sizes[chosen].sum() >= sizes.sum() / 2 > np.sort(sizes)[::-1][: chosen.sum() - 1].sum()
    assert sizes[chosen].min() >= sizes[~chosen].max()


def test_driving_bands_are_shaded_half_a_band_wider(monkeypatch):
    cube = small_cube()
    chosen, half = np.isin(np.arange(12), [0, 1, 5, 10, 11]), np.diff(cube.wavelengths)[0] / 2
    monkeypatch.setattr(answers, "driving_bands", lambda *_: chosen)
    plots = answers.spectra_plots(cube, [(5, 5)], {}, small_model(cube, 4))
    runs = [
        [cube.wavelengths[first] - half, cube.wavelengths[last] + half] for first, last in [(0, 1), (5, 5), (10, 11)]
    ]
    assert len(plots) == 2
    for plot in plots:
        assert_allclose(plot["shaded"], runs)
        assert "pin 1: 739 to 784, " in plot["summary"]


def table(explorer, path):
    """(quantity, region, of) -> its values in the saved table."""
    found = {}
    for line in csv.DictReader(explorer.save_csv(path).read_text().splitlines()):
        found.setdefault((line["quantity"], line["region"], line["of"]), []).append(line["value"])
    return found


def test_region_statistics_over_both_resolutions(tmp_path):
    cube = small_cube()
    given, found = small_maps(cube), table(explored(SQUARE), tmp_path / "regions.csv")
    within, coarse = given["PLS"][4:14, 2:10], given["U-Net"][2:7, 1:5]
    for name, values in {"PLS": within, "U-Net": coarse, "band": cube.values[4:14, 2:10, 6]}.items():
        expected = [values.size, values.mean(), values.std(), values.min(), values.max()]
        numbers = [found[quantity, "square", name] for quantity in ("pixels", "mean", "SD", "lowest", "highest")]
        assert_allclose(np.ravel(numbers).astype(float), expected, rtol=1e-5)


def test_without_a_region_it_is_the_sample_and_a_band_ends_where_the_sample_ends(tmp_path):
    cube = small_cube()
    found = table(explored(), tmp_path / "regions.csv")
    pixels = [int(found["pixels", answers.WHOLE, name][0]) for name in ("band", "PLS")]
    assert pixels == [cube.mask.sum()] * 2
    assert float(found["mean", answers.WHOLE, "band"][0]) == pytest.approx(cube.values[cube.mask][:, 6].mean())
    everything = {"all": [(0, 0), (0, 14), (20, 14), (20, 0)]}
    assert int(table(explored(everything), tmp_path / "regions.csv")["pixels", "all", "band"][0]) == cube.mask.sum()


def test_csv_holds_every_region_and_the_spectra(tmp_path):
    cube = small_cube()
    e = explored(SQUARE | {"corner": [(0, 0), (0, 6), (6, 0)]}, [(5, 5)])
    found = table(e, tmp_path / "regions.csv")
    assert_allclose(float(found["mean", "square", "PLS"][0]), small_maps(cube)["PLS"][4:14, 2:10].mean(), rtol=1e-6)
    assert found["pixels", "corner", "U-Net"] == ["3"]
    spectra = {name: np.array(found["reflectance", "", name], float) for name in ("square", "pin 1")}
    assert_allclose(spectra["square"], cube.values[4:14, 2:10].mean(axis=(0, 1)), rtol=1e-5)
    assert_allclose(spectra["pin 1"], cube.values[5, 5], rtol=1e-6)
    assert found["corner", "square", "row, column"] == ["4, 2", "14, 2", "14, 10", "4, 10"]


def test_the_histogram_holds_shown_maps_in_each_region():
    e = explored(SQUARE | {"rest": [(14, 2), (18, 2), (18, 10), (14, 10)]})
    inside = answers.in_regions(e._scene, e.regions)
    plot = answers.histogram_plot(e._scene, ["PLS", "PLS Q"], inside)
    assert [line["name"] for line in plot["series"]] == ["PLS, square", "PLS, rest"]  # Q has a scale of its own
    values = small_maps(small_cube())["PLS"][4:18, 2:10]
    counts, _ = np.histogram(values[:10], 40, (values.min(), values.max()))
    assert_allclose(plot["series"][0]["y"], 100 * counts / 80)


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
