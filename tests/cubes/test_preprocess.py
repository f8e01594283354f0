"""Preprocessing against the formulas written out by hand."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from hsichem import Cube, InputError
from hsichem.cubes import preprocess
from hsichem.cubes.preprocess import (
    NoiseScale,
    absorbance,
    crop_and_bin,
    make_pipeline,
    scale_by_noise,
    smooth,
)


def test_the_published_crop_and_bin_leaves_62_bands():
    # As published, band 176 is the first at or above 750 nm: the camera's bands are not quite evenly spaced.
    wavelengths = np.interp(np.arange(300), [0, 175.5, 299], [386, 750, 1015])
    cube = Cube(np.random.default_rng(0).uniform(size=(3, 4, 300)), wavelengths)
    small = crop_and_bin(cube, (750, None), 2)
    assert small.values.shape == (3, 4, 62)
    np.testing.assert_allclose(small.values[1, 2, 5], cube.values[1, 2, [186, 187]].mean(), rtol=1e-6)
    np.testing.assert_allclose(small.wavelengths[5], wavelengths[[186, 187]].mean())


def test_crop_keeps_both_ends_and_drops_a_remainder():
    cube = Cube(np.zeros((1, 1, 10)), np.arange(10) * 10.0)
    assert crop_and_bin(cube, (20, 60), 2).wavelengths.tolist() == [25.0, 45.0]
    with pytest.raises(InputError, match=r"0 bands lie within 500-None nm.*0-90 nm"):
        crop_and_bin(cube, (500, None))


def test_absorbance_has_a_floor():
    np.testing.assert_allclose(absorbance(np.array([1.0, 0.1, 1e-3, 0.0, -5.0])), [0, 1, 3, 3, 3])


def test_pipelines_equal_their_formulas():
    spectra = np.random.default_rng(1).uniform(0.2, 0.9, (6, 30))
    snv = (spectra - spectra.mean(axis=1, keepdims=True)) / spectra.std(axis=1, keepdims=True)
    np.testing.assert_allclose(make_pipeline("snv").fit_transform(spectra), snv, rtol=1e-6)
    first = savgol_filter(-np.log10(spectra), 11, 2, deriv=1, mode="nearest")
    np.testing.assert_allclose(make_pipeline("absorbance+sg1").fit_transform(spectra), first, atol=1e-10)
    second = savgol_filter(spectra, 11, 2, deriv=2, mode="nearest")
    np.testing.assert_allclose(make_pipeline("sg2").fit_transform(spectra), second, atol=1e-10)
    np.testing.assert_array_equal(make_pipeline(None).fit_transform(spectra), spectra)
    fitted, new = make_pipeline("msc").fit(spectra[:4]), spectra[4:]  # its reference: the mean of the first four
    lines = [np.polyfit(spectra[:4].mean(axis=0), x, 1) for x in new]
    corrected = [(x - offset) / slope for x, (slope, offset) in zip(new, lines, strict=True)]
    np.testing.assert_allclose(fitted.transform(new), corrected, rtol=1e-8)


def test_smoothing_keeps_the_background_out():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    values = np.where(mask, 0.7, 99.0)[:, :, None] * np.ones(3)
    cube = smooth(Cube(values, [1.0, 2.0, 3.0], mask), sigma=2)
    np.testing.assert_allclose(cube.values[mask], 0.7, rtol=1e-5)
    assert (cube.values[~mask] == 0).all()


def test_smoothing_divides_white_noise_as_it_should():
    noise = np.random.default_rng(4).normal(size=(200, 200, 1))
    smoothed = smooth(Cube(noise, [1.0]), sigma=2).values[20:-20, 20:-20]
    assert smoothed.std() == pytest.approx(1 / (2 * np.sqrt(np.pi) * 2), rel=0.1)


def test_scaling_by_noise_makes_quiet_bands_loud_and_knows_the_calibration_images_alone():
    rng, nm, mask = np.random.default_rng(5), np.arange(3.0) + 1, np.ones((40, 50), bool)
    mask[:5] = False
    noise = np.array([0.001, 0.01, 0.1])
    cubes = {name: Cube(0.5 + noise * rng.normal(size=(40, 50, 3)), nm, mask) for name in "abc"}
    scaled = scale_by_noise(cubes, ["a", "b"])
    pixels = np.concatenate([scaled[name].values[mask] for name in "ab"])
    np.testing.assert_allclose(pixels.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(pixels.std(axis=0), 1, rtol=0.05)  # of noise alone, every band is as loud
    assert (scaled["a"].values[~mask] == 0).all()
    again = scale_by_noise(cubes | {"c": Cube(9 + rng.uniform(size=(40, 50, 3)), nm, mask)}, ["a", "b"])
    np.testing.assert_array_equal(again["a"].values, scaled["a"].values)
    kept = NoiseScale.of([cubes["a"], cubes["b"]])  # and it can be applied to an image that comes later
    np.testing.assert_array_equal(NoiseScale(kept.centre, kept.noise).apply(cubes["c"]).values, scaled["c"].values)
    signal = {"a": Cube(cubes["a"].values + np.linspace(0, 1, 40)[:, None, None] * [0, 1, 0], nm, mask)}
    loud = scale_by_noise(signal, ["a"])["a"].values[mask]
    assert loud[:, 1].std() > 20 * loud[:, 2].std()  # a signal counts by how far it stands out of the noise
    with pytest.raises(InputError, match="3 bands have no noise"):
        scale_by_noise({"a": Cube(np.ones((4, 5, 3)), nm)}, ["a"])


def test_a_scale_is_measured_on_some_pixels_of_large_sets(monkeypatch):
    rng, mask = np.random.default_rng(5), np.ones((60, 50), bool)
    mask[:, :7] = False
    cubes = [Cube(rng.normal(0.5, [0.1, 0.2, 0.3], (60, 50, 3)), [900, 910, 920], mask) for _ in range(4)]
    whole = NoiseScale.of(cubes)
    monkeypatch.setattr(preprocess, "PIXELS", 2000)
    some = NoiseScale.of(cubes)
    assert (some.centre != whole.centre).all()
    np.testing.assert_allclose(some.centre, whole.centre, atol=0.03)
    np.testing.assert_allclose(some.noise, whole.noise, rtol=0.15)
