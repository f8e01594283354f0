"""The pictures that move, in a real browser: what they show against numpy and the library's own functions.

Each is opened on a page of its own, by light and dark, and all of them in JupyterLab. Screenshots are kept in
build/screenshots. A JavaScript error fails the test.
"""

import numpy as np
import pytest
import torch
from helpers.lab import SHOTS, open_lab, run_all, waiting, watched
from helpers.moving import page_of
from scipy import ndimage

from hsichem.lab.explorer.figure import lookup_table
from hsichem.maps import fit_variogram, semivariogram
from hsichem.unet import PUBLISHED_WEIGHTS, map_losses

MAKE = """
import numpy as np
from hsichem.lab import forge_share, paint_loss, show_exposures, show_training, stack_noise
rng = np.random.default_rng(0)
rows, cols = np.mgrid[:40, :32]
mask = (rows - 19.5) ** 2 / 18**2 + (cols - 15.5) ** 2 / 14**2 < 1
truth = np.where(np.sin(cols / 3 + rows / 9) > 0, 80.0, 20.0)
shots = truth + rng.normal(0, 30, (10, 40, 32)) + rng.normal(0, 5, (40, 32))
film = [50 + (truth - 50) * k / 12 + rng.normal(0, 6, (40, 32)) for k in range(1, 13)]
curves = {"error of the mean": 9 / np.arange(1, 13), "loss": 80 * 0.7 ** np.arange(12)}
toy = np.where((np.mgrid[:16, :24][0] - 7.5) ** 2 + (np.mgrid[:16, :24][1] - 11.5) ** 2 < 30, 70.0, 30.0)
looks = toy + rng.normal(0, 30, (2, 16, 24))
four = {"mse": 1.0, "smoothness": 20.0, "out_of_bounds": 1e-3, "l2": 1e-3}
losses = {"published": four, "with held-out": four | {"held_out": 100.0}}
losses["held-out for smooth"] = four | {"smoothness": 0.0, "held_out": 100.0}
nm = np.linspace(755, 1015, 40)
b = 150 * np.sin(nm / 7)
noise = rng.normal(0, 1, (30, 40)) * 0.002 * np.exp((nm - 755) / 120)
contrast = np.sin(nm / 7) * np.exp(-(((nm - 930) / 30) ** 2)) / 10
pictures = {
    "exposures": show_exposures(shots, mask, truth),
    "training": show_training(film, curves, truth, mask),
    "forge": forge_share(truth, mask),
    "painter": paint_loss(toy, looks, losses),
    "bars": stack_noise(nm, b, noise, contrast),
}
"""
made = {}
exec(MAKE, made)
mask, truth, shots, film, toy, looks, losses = (
    made[name] for name in ("mask", "truth", "shots", "film", "toy", "looks", "losses")
)
b, noise, contrast = (made[name] for name in ("b", "noise", "contrast"))


@pytest.fixture
def show(browser, tmp_path):
    """show(name, **context) -> page with one of the pictures."""
    contexts, found = [], []

    def opened(name, width=1000, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
        contexts.append(context)
        page, errors = watched(context)
        found.append(errors)
        path = tmp_path / f"{name}.html"
        path.write_text(page_of(made["pictures"][name]), encoding="utf-8")
        page.goto(path.as_uri())
        page.wait_for_selector(".hsichem-moving")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert found and not any(found)


def press(page, *keys):
    for key in keys:
        page.locator(".hsichem-moving").press(key)


def value(page, name):
    """A number on screen, unrounded."""
    return float(page.locator(f"[data-name='{name}']").get_attribute("data-value"))


def canvas(page, number):
    """(rows, cols, 4) uint8 of a map."""
    script = """(canvas) => [canvas.height, canvas.width,
      ...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"""
    rows, cols, *data = page.locator("figure canvas").nth(number).evaluate(script)
    return np.array(data, np.uint8).reshape(rows, cols, 4)


def coloured(values, seen):
    """What `canvas` should be: cividis from 0 to 100, colours of their own outside, nothing where not seen."""
    lut = np.frombuffer(lookup_table(), np.uint8).reshape(-1, 4)
    values = values.astype(np.float32)
    index = np.where(values < 0, 256, np.where(values > 100, 257, np.clip(values * 2.55, 0, 255).astype(int)))
    return np.where(seen[:, :, None], lut[index], 0)


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


# ---- exposures


def test_exposures_part_noise_from_what_stays(show):
    page, seen = show("exposures"), shots[:, mask]
    sd, right = rms(seen.std(axis=0, ddof=1)), truth[mask]
    assert value(page, "noise") == pytest.approx(sd, rel=1e-5)
    assert 29 < value(page, "noise") < 31  # made with 30
    assert value(page, "stays") == pytest.approx(np.sqrt(np.mean((seen - right) ** 2) - sd**2), rel=1e-4)
    assert 4 < value(page, "stays") < 6  # made with 5
    for averaged in (10, 9, 8):
        mixed = seen[:averaged].mean(axis=0)
        assert value(page, "left") == pytest.approx(sd / np.sqrt(averaged), rel=1e-5)
        assert value(page, "spread") == pytest.approx(mixed.std(), rel=1e-5)
        assert value(page, "error-mean") == pytest.approx(rms(mixed - right), rel=1e-5)
        press(page, "ArrowDown")
    for number in range(3):
        assert value(page, "error-one") == pytest.approx(rms(seen[number] - right), rel=1e-5)
        assert np.abs(canvas(page, 0).astype(int) - coloured(shots[number], mask)).max() <= 1
        press(page, "ArrowRight")
    press(page, "r")
    assert value(page, "error-one") == pytest.approx(rms(seen[0] - right), rel=1e-5)
    assert value(page, "left") == pytest.approx(sd / np.sqrt(10), rel=1e-5)
    page.screenshot(path=SHOTS / "moving-exposures.png", full_page=True)


@pytest.mark.parametrize(("name", "slider"), [("exposures", "exposure"), ("training", "frame")])
def test_space_plays_and_pauses(show, name, slider):
    page = show(name)
    at, before = page.get_by_role("slider", name=slider, exact=True), canvas(page, 0)
    assert page.get_by_role("button", name="Play").is_visible()  # nothing moves before one asks for it
    page.wait_for_timeout(600)
    assert at.input_value() == "1"
    press(page, " ")
    waiting(lambda: at.input_value() == "4", "the film does not play", 20)
    press(page, " ")
    stopped = at.input_value()
    page.wait_for_timeout(600)
    assert at.input_value() == stopped != "1" and (canvas(page, 0) != before).any()
    press(page, " ", "r")
    page.wait_for_timeout(600)
    assert at.input_value() == "1"


# ---- training


def test_the_film_of_a_training_shows_each_epoch(show):
    page = show("training")
    for epoch in range(1, 13):
        values = film[epoch - 1][mask]
        assert value(page, "mean") == pytest.approx(values.mean(), rel=1e-5)
        assert value(page, "contrast") == pytest.approx(values.std(), rel=1e-5)
        assert value(page, "error") == pytest.approx(rms(values - truth[mask]), rel=1e-5)
        assert page.locator("figcaption").first.inner_text() == f"Map after epoch {epoch}"
        press(page, "ArrowRight")
    assert np.abs(canvas(page, 0).astype(int) - coloured(film[-1], mask)).max() <= 1
    curve = page.locator("polyline").nth(0).get_attribute("points").split()
    heights = np.array([float(point.split(",")[1]) for point in curve])
    expected = np.log(made["curves"]["error of the mean"])
    assert np.polyfit(expected, heights, 1)[0] < 0 and np.corrcoef(expected, heights)[0, 1] < -0.9999
    assert page.locator("polyline").count() == 3
    page.screenshot(path=SHOTS / "moving-training.png", full_page=True)


def test_a_film_of_one_epoch_stands_still(show, monkeypatch):
    short = made["show_training"](film[:1], {"loss": [3.0]}, truth, mask)
    monkeypatch.setitem(made["pictures"], "training", short)
    page = show("training")
    press(page, "ArrowRight", " ", " ")
    assert value(page, "error") == pytest.approx(rms(film[0][mask] - truth[mask]), rel=1e-5)
    assert page.locator("figcaption").first.inner_text() == "Map after epoch 1"


# ---- the forged share


@pytest.mark.filterwarnings("ignore:gamma bends up", "ignore:the spherical fit does not reach")
def test_a_forged_share_is_the_one_the_library_fits_and_knows_nothing(show):
    page, known = show("forge"), truth[mask]
    noises = np.random.default_rng(0).standard_normal((20, *mask.shape)).astype(np.float32).astype(float)

    def share(values):
        return fit_variogram(*semivariogram(values, mask, 16), "spherical").correlated_share

    shares = {}
    assert value(page, "truth-share") == pytest.approx(share(truth), abs=1e-5)
    for step in range(41):
        sigma = step / 10
        if sigma in (0, 0.1, 0.4, 0.5, 0.7, 1, 2, 4):
            blurred = [ndimage.gaussian_filter(each, sigma) if sigma else each for each in noises]
            shares[sigma] = value(page, "share")
            assert shares[sigma] == pytest.approx(share(blurred[0]), abs=1e-4)
            r = [np.corrcoef(each[mask], known)[0, 1] for each in blurred]
            assert value(page, "correlation") == pytest.approx(r[0], abs=1e-5)
            assert value(page, "correlation-mean") == pytest.approx(np.mean(r), abs=1e-5)
        press(page, "ArrowRight")
    assert shares[0] < 0.1 and shares[2] > 0.999
    press(page, "r", *["ArrowRight"] * 20, "n")
    second = ndimage.gaussian_filter(noises[1], 2)
    assert value(page, "correlation") == pytest.approx(np.corrcoef(second[mask], known)[0, 1], abs=1e-5)
    assert abs(value(page, "correlation-mean")) < 0.1
    scaled = known.mean() + (second - second[mask].mean()) * known.std() / second[mask].std()
    assert np.abs(canvas(page, 0).astype(int) - coloured(scaled, mask)).max() <= 2
    page.screenshot(path=SHOTS / "moving-forge.png", full_page=True)


# ---- the loss painter


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)[None, None]


def costs(values, weights):
    """The library's terms of a map."""
    spread = torch.tensor([rms(looks[0] - looks[1]) / np.sqrt(2)])
    whole, mean = torch.ones(1, 1, *toy.shape, dtype=torch.bool), torch.tensor([toy.mean()])
    found = map_losses(tensor(values), whole, mean, weights, reading=tensor(looks[1]), noise=spread)
    return {name: float(term) for name, term in found.items()}


def check_costs(page, values, weights):
    for whose, map_ in (("own", values), ("truth", toy)):
        for name, expected in costs(map_, weights).items():
            assert value(page, f"{whose}-{name}") == pytest.approx(expected, rel=1e-4, abs=1e-6), (whose, name)


def test_the_painters_terms_are_the_loss(show):
    page = show("painter")
    brought = {"f": np.full_like(toy, toy.mean()), "i": 2 * toy.mean() - toy, "v": looks[0], "t": toy}
    total = {}
    for loss, weights in losses.items():
        for key, values in brought.items():
            press(page, key)
            check_costs(page, values, weights)
            total[loss, key] = value(page, "own-total")
        held = page.get_by_role("row", name="held-out pixels")
        assert held.is_visible() == ("held_out" in weights)
        press(page, "h")
    assert value(page, "truth-held_out") == 0  # back at the first loss
    flat, inverted, copied, right = ({loss: total[loss, key] for loss in losses} for key in brought)
    assert flat["published"] < right["published"] == pytest.approx(inverted["published"])
    assert flat["with held-out"] < right["with held-out"] < inverted["with held-out"]
    last = "held-out for smooth"
    assert right[last] < flat[last] < inverted[last] and right[last] < copied[last]


def test_the_published_weights_are_what_the_test_paints_with():
    assert losses["published"] == PUBLISHED_WEIGHTS


def test_painting_by_keyboard_and_by_mouse(show):
    page, painted = show("painter"), toy.copy()
    press(page, "ArrowUp", "ArrowLeft", "ArrowLeft", "+", "+", " ")
    painted[6:9, 9:12] = 80
    check_costs(page, painted, losses["published"])
    assert "more than the truth" in page.get_by_role("status").inner_text()
    page.get_by_label("brush value").fill("120")
    page.get_by_label("brush size").fill("5")
    place = page.locator("canvas.paint")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()

    def at(row, col):
        return box["x"] + (col + 0.5) / 24 * box["width"], box["y"] + (row + 0.5) / 16 * box["height"]

    page.mouse.move(*at(3, 3))
    page.mouse.down()
    page.mouse.move(*at(3, 20), steps=40)
    page.mouse.up()
    page.mouse.move(*at(14, 3))  # not pressed: nothing is painted
    painted[1:6, 1:23] = 120
    check_costs(page, painted, losses["published"])
    assert np.abs(canvas(page, 0).astype(int) - coloured(painted, np.ones_like(painted, bool))).max() <= 1
    page.screenshot(path=SHOTS / "moving-painter.png", full_page=True)
    press(page, "f")
    assert "you beat it" in page.get_by_role("status").inner_text()
    press(page, "r")
    check_costs(page, toy, losses["published"])
    assert "as much as the truth" in page.get_by_role("status").inner_text()


# ---- a pixel's noise, band by band


def check_bars(page, pixel, on):
    assert value(page, "sum") == pytest.approx(noise[pixel] @ (b * on), rel=1e-4)
    assert value(page, "sd") == pytest.approx(rms(noise @ (b * on)), rel=1e-4)
    assert value(page, "kept") == pytest.approx(contrast @ (b * on), rel=1e-4)


def test_bars_add_up_to_the_noise_while_bands_are_switched(show):
    page, on = show("bars"), np.ones(40)
    check_bars(page, 0, on)
    heights = [float(bar.get_attribute("height")) for bar in page.locator("[data-band]").all()]
    parts = np.abs(b * noise[0])
    assert np.corrcoef(heights, parts)[0, 1] > 0.99
    press(page, " ", "ArrowLeft", "ArrowLeft", " ")
    on[[39, 37]] = 0
    check_bars(page, 0, on)
    assert "is off" in page.get_by_role("status").inner_text()
    press(page, "n")
    check_bars(page, 1, on)
    press(page, "ArrowDown", "ArrowDown", "ArrowDown")  # the last band is now number 36
    on = np.arange(40) <= 36.0
    check_bars(page, 1, on)
    page.locator("svg").scroll_into_view_if_needed()
    boxes = [page.locator(f"[data-band='{band}']").bounding_box() for band in (5, 9)]
    (x0, x1), y = (box["x"] + box["width"] / 2 for box in boxes), boxes[0]["y"]
    page.mouse.move(x0, y)
    page.mouse.down()
    page.mouse.move(x1, y, steps=30)
    page.mouse.up()
    on[5:10] = False
    check_bars(page, 1, on)
    page.screenshot(path=SHOTS / "moving-bars.png", full_page=True)
    press(page, "r")
    check_bars(page, 0, np.ones(40))


# ---- all of them


@pytest.mark.parametrize("name", made["pictures"])
def test_on_a_narrow_dark_page(show, name):
    page = show(name, width=390, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    text = page.evaluate("getComputedStyle(document.querySelector('.hsichem-moving')).color")
    assert text == "rgb(255, 255, 255)"
    page.screenshot(path=SHOTS / f"moving-{name}-dark-narrow.png", full_page=True)


@pytest.mark.parametrize("name", made["pictures"])
def test_every_part_has_a_name_and_the_question_stands_above(show, name):
    page = show(name)
    assert page.locator(".hsichem-moving > b").inner_text().endswith("?")
    pictures = page.locator("[role=img]").all()
    assert pictures and all(len(each.get_attribute("aria-label")) > 15 for each in pictures)
    for role in ("button", "slider", "meter"):
        for each in page.get_by_role(role).all():
            assert each.get_attribute("aria-label") or each.inner_text()
    assert page.get_by_role("button", name="Reset").is_visible()
    assert ("0" in page.locator(".ends").inner_text()) if name != "bars" else not page.locator(".ends").count()


def test_all_of_them_in_jupyterlab(browser, tmp_path):
    cells = [MAKE, *(f"pictures['{name}']" for name in made["pictures"])]
    with open_lab(browser, tmp_path, cells) as (page, errors):
        run_all(page)
        for index, name in enumerate(made["pictures"]):
            cell = page.locator(".jp-Cell").nth(index + 1)
            cell.scroll_into_view_if_needed()
            cell.locator(".hsichem-moving").wait_for()
            root = cell.locator(".hsichem-moving")
            root.focus()
            for key in ["ArrowDown", "d", "d", "b", "x", "ArrowRight", " ", " ", "r"]:
                page.keyboard.press(key)
            assert page.locator(".jp-Cell").count() == len(cells), name
            assert root.evaluate("root => root.contains(document.activeElement)"), name
        page.evaluate("void jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
        colour = "getComputedStyle(document.querySelector('.hsichem-moving')).color"
        waiting(lambda: int(page.evaluate(colour).split("(")[1].split(",")[0]) > 150, "the text stays dark", 20)
        page.wait_for_timeout(2000)  # JupyterLab covers the page while it changes its theme
        page.screenshot(path=SHOTS / "moving-lab-dark.png")
        assert errors == []
