"""What a cell's output holds where no widget runs, and what bad arrays are told (alive: whole/test_moving.py)."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from hsichem import InputError
from hsichem.lab import forge_share, paint_loss, show_exposures, show_training, stack_noise
from hsichem.lab.moving import stills
from hsichem.maps import null_maps
from hsichem.unet import PUBLISHED_WEIGHTS

rng = np.random.default_rng(0)
TRUTH = np.where(np.sin(np.arange(48) / 5) > 0, 80.0, 20.0) * np.ones((64, 1))
SHOTS = TRUTH + rng.normal(0, 30, (10, 64, 48))
LOOKS = TRUTH + rng.normal(0, 30, (2, 64, 48))
NM = np.linspace(755, 1015, 60)
LOSSES = {"published": PUBLISHED_WEIGHTS, "held-out": PUBLISHED_WEIGHTS | {"smoothness": 0.0, "held_out": 100.0}}
PICTURES = {
    "exposures": lambda: show_exposures(np.repeat(SHOTS, 2, 1).repeat(2, 2), truth=np.kron(TRUTH, np.ones((2, 2)))),
    "training": lambda: show_training(SHOTS, {"loss": np.arange(10, 0, -1)}, TRUTH),
    "forge": lambda: forge_share(TRUTH),
    "painter": lambda: paint_loss(TRUTH, LOOKS, LOSSES),
    "bars": lambda: stack_noise(NM, np.sin(NM), rng.normal(0, 0.01, (20, 60)), np.cos(NM)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_saved_output_is_small_and_has_words(name):
    picture = PICTURES[name]()
    bundle, _ = picture._repr_mimebundle_()
    assert len(str(bundle)) < 60_000
    assert bundle["text/plain"] == picture.alt and len(picture.alt) > 80 and picture.alt.endswith(".")
    still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).convert("RGB")
    assert 500 < still.width < 900 and len(np.unique(np.asarray(still))) > 20


@pytest.mark.parametrize("name", PICTURES)
def test_few_colours_are_the_right_ones(name):
    figure, drawn = PICTURES[name]().figure, io.BytesIO()
    stills.as_png(figure)
    figure.set_layout_engine("none")  # else every further drawing is laid out a little better
    figure.savefig(drawn, dpi=72)
    exact, still = (
        np.asarray(Image.open(file).convert("RGB"), int) for file in (drawn, io.BytesIO(stills.as_png(figure)))
    )
    assert np.abs(still - exact).max() <= 5


def test_the_words_hold_the_findings():
    noise = np.sqrt(np.mean(np.var(SHOTS, axis=0, ddof=1)))
    assert f"changes by {noise:.1f} % w/w" in PICTURES["exposures"]().alt
    first, last = (np.sqrt(np.mean((SHOTS[k] - TRUTH) ** 2)) for k in (0, -1))
    assert f"goes from {first:.1f} to {last:.1f}" in PICTURES["training"]().alt
    share, r = re.search(r"blur 6 pixels, share ([\d.]+)%, r = (-?[\d.]+)", PICTURES["forge"]().alt).groups()
    assert float(share) > 99.9 and abs(float(r)) < 0.5
    cost = 100 * np.mean((TRUTH.mean() - LOOKS[1]) ** 2) / (np.mean((LOOKS[0] - LOOKS[1]) ** 2) / 2)
    assert f"flat, published: 0, held-out: {cost:.0f}" in PICTURES["painter"]().alt


def test_of_large_maps_the_middle_is_shown():
    maps = rng.normal(50, 5, (3, 300, 100))
    mask = np.arange(300)[:, None] + np.arange(100) > 180
    with pytest.warns(UserWarning, match=r"the middle of \(300, 100\) pixels, 128 at most"):
        picture = show_exposures(maps, mask, np.full((300, 100), 50.0))
    assert (picture.scene["rows"], picture.scene["cols"]) == (128, 100)
    shown = np.frombuffer(picture.scene["maps"], np.float32).reshape(3, 128, 100)
    np.testing.assert_allclose(shown, np.where(mask, maps, np.nan)[:, 86:214], rtol=1e-6)
    assert np.isnan(np.frombuffer(picture.scene["truth"], np.float32)).sum() == np.isnan(shown[0]).sum()
    with pytest.warns(UserWarning), pytest.raises(InputError, match="the mask is empty"):
        show_exposures(maps, np.broadcast_to(np.arange(300)[:, None] < 9, (300, 100)))


def test_forged_noise_is_scaled_as_null_maps_are():
    mask = np.ones(TRUTH.shape, bool)
    null = null_maps(TRUTH, mask, TRUTH.mean(), 0)["blurred noise"]
    forged = forge_share(TRUTH, seed=0).figure.axes[1].images[0].get_array()
    assert forged.mean() == pytest.approx(null.mean(), abs=1e-3) and forged.std() == pytest.approx(null.std(), abs=1e-3)


SPOILED = np.where(np.arange(48) == 3, np.nan, TRUTH)
WHOLE = np.ones(TRUTH.shape, bool)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("exposures of shape (64, 48); expected", lambda: show_exposures(TRUTH)),
        ("exposures of several shapes", lambda: show_exposures([TRUTH, TRUTH[1:]])),
        ("64 of 3072 pixels in the mask are not finite", lambda: show_exposures([TRUTH, SPOILED], WHOLE)),
        ("the mask is empty", lambda: show_exposures(np.full((2, 64, 48), np.nan))),
        ("map of shape (64, 47)", lambda: show_exposures(SHOTS, truth=TRUTH[:, 1:])),
        ("curves of {'loss': (9,)}", lambda: show_training(SHOTS, {"loss": np.arange(9)})),
        ("curves of {}", lambda: show_training(SHOTS, {})),
        ("a curve holds values", lambda: show_training(SHOTS, {"loss": np.full(10, np.nan)})),
        ("standard deviation 0;", lambda: forge_share(np.full((64, 48), 5.0))),
        ("max_lag 2,", lambda: forge_share(TRUTH[:4])),
        ("64 pixels not finite", lambda: paint_loss(SPOILED, LOOKS, LOSSES)),
        ("a truth and 1 looks", lambda: paint_loss(TRUTH, LOOKS[:1], LOSSES)),
        ("loss weights for ['mse']", lambda: paint_loss(TRUTH, LOOKS, {"mine": {"mse": 1.0}})),
        ("wavelengths (60,), b (59,)", lambda: stack_noise(NM, NM[1:], NM[None], NM)),
        ("that do not ascend", lambda: stack_noise(NM[::-1], NM, NM[None], NM)),
    ],
)
def test_what_cannot_be_shown_is_told(words, call):
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)
