"""Notebook parameters, checked: presets, and the guard that turns a mistyped parameter into an error."""

import ast
from pathlib import Path
from types import SimpleNamespace

from hsichem._base import InputError, closest, is_number, short
from hsichem.lab.results import Results

# What a preset decides. Any of these can be given as a notebook parameter instead; None means the preset's value.
# "paper" is the published recipe, exactly; "lesson" is ours, each choice with its price in notebook 03:
# depth: at 1 the network sees 40 pixels of the lesson's 128; the published one sees 440 of 2360.
# scale: bands in units of their noise; bare reflectance, of which nearly all is brightness, needs far more epochs.
# smoothness: a weight of 20 at the published pitch of 0.3 mm is 0.2 at 3 mm, and flattens the map; held-out pixels
# (weight 100) make it needless.
LESSON = {"size": "lesson", "padding": "same", "align_corners": False, "bounded": True, "scale": True, "depth": 1}
LESSON |= {
    "schedule": "one-cycle",
    "batch": 2,
    "clip": 5.0,
    "learning_rate": 3e-3,
    "smoothness": 0.0,
    "held_out": 100.0,
}
PAPER = {"size": "paper", "padding": "valid", "align_corners": True, "bounded": False, "scale": False, "depth": 4}
PAPER |= {"schedule": "plateau", "batch": 1, "clip": None, "learning_rate": 1e-3, "smoothness": 20.0, "held_out": 0.0}
PRESETS = {
    "fast": LESSON | {"width": 4, "epochs": 2, "ladder_epochs": 1},
    "lesson": LESSON | {"width": 16, "epochs": 60, "ladder_epochs": 60},
    "paper": PAPER | {"width": 64, "epochs": 250, "ladder_epochs": 250},
}

# What the text of the lessons was written for; parameters that are None have the preset's value.
TOLD = {"dataset": "phantom-belly", "preset": "lesson", "seed": 0, "max_components": 20, "preprocessing": "cv"}
TOLD |= {"variant": "published", "precision": "float32", "variogram_model": "spherical"}

WORDS = {"true": True, "false": False, "null": None}  # Python's words as YAML and JSON spell them


def parse_value(text: str):
    """A Python literal where `text` is one (5, 1e-3, True, [1, 2]), else the text itself."""
    try:
        return WORDS[text] if text in WORDS else ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: nested too deep
        return text


def whole(least):
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least, f"a whole number from {least} up"


def one_of(*names):
    return lambda v: v in names, " or ".join(repr(name) for name in names)


RULES = {
    "dataset": (lambda v: isinstance(v, str) and v != "", "a data set's name"),
    "preset": one_of(*PRESETS),
    "results_dir": (lambda v: v is None or (isinstance(v, str) and v != ""), "a folder, or None"),
    "seed": (lambda v: whole(0)[0](v) and v < 2**32, "a whole number from 0 to 4294967295"),  # as numpy and torch take
    "crop_from_nm": (lambda v: v is None or (is_number(v) and v > 0), "a wavelength above 0 nm, or None"),
    "max_components": whole(1),
    "preprocessing": (lambda v: v is None or isinstance(v, str), "'cv', steps joined by +, or None"),
    "epochs": whole(1),
    "ladder_epochs": whole(1),
    "smoothness": (lambda v: is_number(v) and v >= 0, "a weight from 0 up"),
    "held_out": (lambda v: is_number(v) and v >= 0, "a weight from 0 up"),
    "variant": one_of("published", "corrected"),
    "scheduler": (lambda v: v is None or (isinstance(v, str) and v != ""), "'local', an address as tcp://..., or None"),
    "precision": one_of("float32", "bfloat16"),
    "variogram_model": one_of("exponential", "spherical", "gaussian", "matern"),
    "max_lag": (lambda v: v is None or whole(8)[0](v), "a whole number of pixels from 8 up, or None"),
}


def check_value(name: str, value, default=None) -> None:
    """Raises InputError for a parameter's value of the wrong type or range; None is right where presets have one.

    A name without a rule, of a user's own notebook, takes what its default's type takes, and anything for None.
    """
    kind = type(default)
    alike = is_number if kind is float else lambda v: default is None or type(v) is kind
    accepts, expected = RULES.get(name, (alike, f"a value of type {kind.__name__}, as in the notebook"))
    if not (accepts(value) or (value is None and name in PRESETS["lesson"])):
        raise InputError(f"parameter {name} is {short(value)} ({type(value).__name__}); expected {expected}.")


def read_settings(namespace: dict, *names: str) -> SimpleNamespace:
    """The notebook's parameters `names`, checked, with the preset's values where they are None.

    namespace: the notebook's globals(). Beside `names`, the result has every value of the preset, `folder` (created),
    `results`, and `as_told`: whether the lesson's text was written for these settings. Raises InputError on a parameter
    that papermill set and the notebook does not have, on a wrong type or value, and when the folder holds results of
    another data set, preset or seed.
    """
    for source in namespace.get("In", []):
        if source.startswith("# Parameters\n"):  # papermill writes this line above what it injects
            given = {t.id for n in ast.parse(source).body if isinstance(n, ast.Assign) for t in n.targets}
            for wrong in sorted(given - set(names)):
                close = closest(wrong, names)
                hint = f"did you mean {close!r}? " if close else ""
                raise InputError(f"unknown parameter {wrong!r}: {hint}This notebook has {', '.join(names)}.")
    given = {name: namespace[name] for name in names}
    preset = PRESETS.get(given["preset"], {})
    for name, value in given.items():
        check_value(name, value)
    settings = SimpleNamespace(**preset | {name: v for name, v in given.items() if v is not None or name not in preset})
    label = f"{settings.dataset}-{settings.preset}-seed{settings.seed}"
    settings.folder = Path(settings.results_dir or Path("results") / label)
    settings.results = Results(settings.folder)
    mine = {name: getattr(settings, name) for name in ("dataset", "preset", "seed")}
    found = settings.results.metrics().get("settings", mine)
    if found != mine:
        raise InputError(f"{settings.folder} holds results of {found}, not of {mine}; choose another results_dir.")
    settings.results.save("settings", mine)
    settings.as_told = all(
        v in (None, TOLD.get(name)) for name, v in given.items() if name not in ("results_dir", "scheduler")
    )
    return settings
