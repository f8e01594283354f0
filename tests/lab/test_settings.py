"""The guard: parameters as papermill leaves them in a notebook's namespace."""

from types import SimpleNamespace

import pytest

from hsichem import InputError
from hsichem.lab.settings import PRESETS, RULES, read_settings
from hsichem.unet import TrainConfig, config_from

NAMES = ("dataset", "preset", "results_dir", "seed", "max_components", "epochs")
DEFAULTS = {"dataset": "phantom-belly", "preset": "lesson", "results_dir": None, "seed": 0}
DEFAULTS |= {"max_components": 20, "epochs": None}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_none_means_the_presets_value_and_a_number_wins(tmp_path):
    settings = read_settings(DEFAULTS, *NAMES)
    assert settings.epochs == PRESETS["lesson"]["epochs"]
    assert settings.width == PRESETS["lesson"]["width"]
    assert read_settings(DEFAULTS | {"epochs": 7}, *NAMES).epochs == 7
    assert settings.folder.as_posix() == "results/phantom-belly-lesson-seed0"
    assert (tmp_path / settings.folder / "metrics.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "lessons"}, "'fast' or 'lesson' or 'paper'"),
        ({"seed": "0"}, r"seed is '0' \(str\); expected a whole number"),
        ({"seed": True}, "whole number"),
        ({"max_components": None}, "max_components is None"),
        ({"max_components": 2.5}, "whole number from 1 up"),
        ({"epochs": 0}, "whole number from 1 up"),
        ({"dataset": ""}, "data set's name"),
    ],
)
def test_wrong_values_are_named(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_settings(DEFAULTS | change, *NAMES)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_parameter_is_named_with_its_likely_meaning():
    injected = {"In": ["", "dataset = 'x'", "# Parameters\nmax_componets = 8\nseed = 1\n"], "max_componets": 8}
    with pytest.raises(InputError, match="unknown parameter 'max_componets': did you mean 'max_components'"):
        read_settings(DEFAULTS | injected, *NAMES)


def test_names_made_by_hand_are_no_parameters():
    read_settings(DEFAULTS | {"In": ["", "n = 3"], "n": 3}, *NAMES)


def test_a_folder_of_another_run_is_refused(tmp_path):
    here = DEFAULTS | {"results_dir": str(tmp_path / "mine")}
    read_settings(here, *NAMES)
    read_settings(here, *NAMES)
    with pytest.raises(InputError, match="another results_dir"):
        read_settings(here | {"seed": 1}, *NAMES)


def test_presets_decide_the_same_things():
    assert len({frozenset(preset) for preset in PRESETS.values()}) == 1
    for preset in PRESETS.values():
        for name in set(preset) & set(RULES):
            assert RULES[name][0](preset[name])


def test_the_paper_preset_is_the_published_recipe_and_nothing_else():
    run = SimpleNamespace(**PRESETS["paper"], seed=0, variant="published", precision="float32")
    assert config_from(run, pitch_mm=0.3) == TrainConfig() and not PRESETS["paper"]["scale"]
