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
    plots = answers.spectra_plots(cube, [(5, 5)], [], small_model(cube, 4))
    runs = [
        [cube.wavelengths[first] - half, cube.wavelengths[last] + half] for first, last in [(0, 1), (5, 5), (10, 11)]
    ]
    assert len(plots) == 2
    for plot in plots:
        assert_allclose(plot["shaded"], runs)
        assert "pin 1: 739 to 784, " in plot["summary"]


def test_region_statistics_over_both_resolutions():
    e = explored(SQUARE)
    cube = small_cube()
    given = small_maps(cube)
    rows = {row[0]: row for row in e.canvas.region["rows"]}
    within, coarse = given["PLS"][4:14, 2:10], given["U-Net"][2:7, 1:5]
    for name, values in {"PLS": within, "U-Net": coarse, "band": cube.values[4:14, 2:10, 6]}.items():
        expected = [values.size, values.mean(), values.std(), values.min(), values.max()]
        assert_allclose(rows[name][2:], expected, rtol=1e-5)


def test_without_a_polygon_the_region_is_the_sample():
    cube = small_cube()
    rows = {row[0]: row for row in explored().canvas.region["rows"]}
    assert rows["band"][2] == rows["PLS"][2] == cube.mask.sum()
    assert rows["band"][3] == pytest.approx(cube.values[cube.mask][:, 6].mean())


def test_csv_holds_region_histogram_and_spectra(tmp_path):
    cube = small_cube()
    e = explored(SQUARE, [(5, 5)])
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
