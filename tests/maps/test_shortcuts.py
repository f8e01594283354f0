import numpy as np
import pytest

from hsichem import Cube, InputError
from hsichem.maps.shortcuts import shortcut_cubes


@pytest.fixture
def cube():
    rng = np.random.default_rng(0)
    mask = rng.random((12, 15)) < 0.6
    return Cube(rng.random((12, 15, 4)), [900, 910, 920, 930], mask, 0.5, "a")


def test_what_is_taken_away_and_what_is_kept(cube):
    average = np.array([0.1, 0.2, 0.3, 0.4])
    made = shortcut_cubes(cube, average, seed=0)
    inside, outside = cube.mask, ~cube.mask
    for each in made.values():
        assert (each.values[outside] == cube.values[outside]).all()
        assert (each.mask == cube.mask).all() and each.pitch_mm == 0.5 and each.name == "a"
    shuffled = made["pixels shuffled"].values[inside]
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, cube.values[inside]))  # whole spectra, none lost
    assert (shuffled != cube.values[inside]).any(axis=1).mean() > 0.9
    assert np.allclose(made["mean spectrum"].values[inside], cube.mean_spectrum())
    assert (made["mask alone"].values[inside] == average.astype(np.float32)).all()


def test_two_images_of_one_outline_are_one_on_the_mask_alone(cube):
    other = Cube(np.where(cube.mask[:, :, None], 2 * cube.values, cube.values), cube.wavelengths, cube.mask)
    made, same = (shortcut_cubes(each, np.ones(4), seed=0)["mask alone"].values for each in (cube, other))
    assert (made == same).all()


def test_the_cube_itself_is_not_changed_and_the_seed_decides(cube):
    before = cube.values.copy()
    made = [shortcut_cubes(cube, np.ones(4), seed)["pixels shuffled"].values for seed in (0, 0, 1)]
    assert (cube.values == before).all()
    assert (made[0] == made[1]).all() and (made[0] != made[2]).any()


def test_it_refuses(cube):
    with pytest.raises(InputError, match="one value per band"):
        shortcut_cubes(cube, np.ones(3), 0)
    with pytest.raises(InputError, match="mask is empty"):
        shortcut_cubes(Cube(cube.values, cube.wavelengths, np.zeros((12, 15), bool)), np.ones(4), 0)
