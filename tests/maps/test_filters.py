import numpy as np
import pytest
from scipy import ndimage

from hsichem import Cube, InputError
from hsichem.maps.filters import components_by_nugget, median_filtered
from hsichem.pls import fit_pls

BANDS = np.linspace(900, 1000, 24)


def scene(rng, mean, noise, rows=40, cols=36):
    """A cube of blocks of content around `mean`, with white noise, and a mask with the content's map."""
    blocks = np.clip(mean + rng.normal(0, 20, (5, 6)), 0, 100).repeat(8, axis=0).repeat(6, axis=1)[:rows, :cols]
    shape = np.exp(-(((BANDS - 930) / 12) ** 2)), np.exp(-(((BANDS - 965) / 25) ** 2))
    water = 70 - 0.7 * blocks + rng.normal(0, 3)
    values = 0.5 + 0.002 * blocks[..., None] * shape[0] + 0.003 * water[..., None] * shape[1]
    mask = ndimage.distance_transform_edt(np.pad(np.ones((rows - 2, cols - 2), bool), 1)) > 1
    return Cube(values + noise * rng.standard_normal(values.shape), BANDS, mask, 0.5), blocks


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    made = [scene(rng, mean, 0.02) for mean in np.linspace(20, 70, 30)]
    cubes = {f"s{i}": cube for i, (cube, _) in enumerate(made)}
    spectra = np.array([cube.mean_spectrum() for cube in cubes.values()])
    y = np.array([truth[cube.mask].mean() for cube, truth in made]) + rng.normal(0, 0.3, 30)
    return cubes, spectra, y, [truth for _, truth in made], np.arange(30) % 5


def test_the_nugget_chooses_a_count_that_makes_better_maps(images):
    cubes, spectra, y, truths, folds = images
    some = dict(list(cubes.items())[:6])
    count, nuggets = components_by_nugget(spectra, y, some, folds, max_components=8)
    errors = []  # of the pixels, which the choice did not see
    for a in range(1, 9):
        model = fit_pls(spectra, y, n_components=a)
        error = [model.predict_map(c)[c.mask] - t[c.mask] for c, t in zip(cubes.values(), truths, strict=True)]
        errors.append(np.sqrt(np.mean(np.concatenate(error) ** 2)))
    assert errors[count - 1] < 1.05 * min(errors)
    assert count < fit_pls(spectra, y, n_components="cv", groups=folds, max_components=8).cv.best
    # what grows with the count is white noise of the cube, through the regression vector; blocks add the same to all
    noise = [(0.02 * np.linalg.norm(fit_pls(spectra, y, n_components=a).coefficients)) ** 2 for a in (2, 5)]
    assert nuggets[4] - nuggets[1] == pytest.approx(noise[1] - noise[0], rel=0.1)


def test_the_median_against_loops():
    rng = np.random.default_rng(1)
    mask = rng.random((14, 11)) < 0.7
    map_ = np.where(mask, rng.normal(size=mask.shape), np.nan)
    found = median_filtered(map_, mask, 5)
    assert (np.isnan(found) == ~mask).all()
    for r, c in np.argwhere(mask):
        window = slice(max(r - 2, 0), r + 3), slice(max(c - 2, 0), c + 3)
        assert found[r, c] == pytest.approx(np.median(map_[window][mask[window]]), rel=1e-6)
    inner = median_filtered(np.nan_to_num(map_), np.ones(mask.shape, bool), 3)[1:-1, 1:-1]
    assert np.allclose(inner, ndimage.median_filter(np.nan_to_num(map_), 3)[1:-1, 1:-1])


def test_the_background_does_not_leak_into_the_median():
    mask = np.zeros((9, 9), bool)
    mask[2:6, 3:8] = True
    assert (median_filtered(np.where(mask, 7.0, 1e9), mask, 5)[mask] == 7).all()


def test_the_median_refuses():
    with pytest.raises(InputError, match="odd number"):
        median_filtered(np.ones((5, 5)), np.ones((5, 5), bool), 4)
    with pytest.raises(InputError, match="not finite"):
        median_filtered(np.full((5, 5), np.nan), np.ones((5, 5), bool), 3)
