"""The explorer in a real browser, saved and in JupyterLab, and a sweep's page. Values on screen against the arrays.

Debian's chromium is driven by Playwright; screenshots are kept in build/screenshots. A JavaScript error fails the test.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.lab import CHROMIUM, in_kernel, open_lab, run_all, waiting, watched

from hsichem.lab import explore
from hsichem.lab.explorer.figure import coloured
from hsichem.lab.explorer.scene import map_layer
from hsichem.lab.results import Results
from hsichem.lab.sweep import plan_sweep, write_sweep_page

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs {CHROMIUM} (apt-get install chromium)")
ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"
MAKE = """
import numpy as np
from hsichem import Cube
rng = np.random.default_rng(0)
mask = np.ones((32, 24), bool)
mask[:3] = False
cube = Cube(rng.uniform(0.2, 0.9, (32, 24, 10)), np.linspace(750, 1000, 10), mask, 1.0, "made")
maps = {"PLS": np.where(mask, rng.uniform(-50, 150, mask.shape), np.nan), "U-Net": rng.uniform(5, 95, (16, 12))}
maps["U-Net SD"] = rng.uniform(0, 3, (16, 12))
"""
made = {}
exec(MAKE, made)
REGION = [[8, 4], [20, 4], [20, 16], [8, 16]]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def point(page, name, row, col):
    """Where the middle of an image pixel lies on a map's canvas."""
    box = page.locator(f"figure[data-map='{name}'] canvas").bounding_box()
    return {"x": (col + 0.5) / 24 * box["width"], "y": (row + 0.5) / 32 * box["height"]}


def hover(page, name, row, col):
    page.locator(f"figure[data-map='{name}'] canvas").hover(position=point(page, name, row, col))


def drag(page, name, places):
    canvas = page.locator(f"figure[data-map='{name}'] canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = [(box["x"] + c / 24 * box["width"], box["y"] + r / 32 * box["height"]) for r, c in places]
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def reading(page, name):
    return page.locator(f"output[data-map='{name}']")


def shown(value):
    """A number as the page writes it."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def colours(page, name):
    """(32, 24, 4) uint8: the canvas in the middle of every image pixel."""
    script = """(canvas) => {
      const context = canvas.getContext('2d'), found = [];
      for (let row = 0; row < 32; row++) for (let col = 0; col < 24; col++)
        found.push(...context.getImageData((col + .5) / 24 * canvas.width, (row + .5) / 32 * canvas.height, 1, 1).data);
      return found;
    }"""
    found = page.locator(f"figure[data-map='{name}'] canvas").evaluate(script)
    return np.array(found, np.uint8).reshape(32, 24, 4)


def expected_colours(name, values, limits=(0, 100)):
    layer = map_layer(name, values, (32, 24))
    return coloured(layer, limits).repeat(layer.step, 0).repeat(layer.step, 1)


def away(page):
    """Take the mouse off the maps, so that no cursor is drawn."""
    page.mouse.move(1, 1)
    page.wait_for_timeout(100)


# ---- a saved page


@pytest.fixture(scope="module")
def saved(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    explorer = explore(made["maps"], made["cube"])
    explorer.polygon = REGION
    explorer.save_html(path)
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    page, errors = watched(context)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-drawn]")
    yield page, errors, requests
    context.close()


@pytest.fixture
def page(saved):
    opened, errors, _ = saved
    opened.get_by_role("button", name="Clear pins").click()
    opened.get_by_role("button", name="Show all").click()
    yield opened
    assert errors == []


def test_saved_maps_have_the_colours_of_their_values(page):
    page.get_by_role("button", name="Clear region").click()
    away(page)
    for name in made["maps"]:
        assert np.abs(colours(page, name).astype(int) - expected_colours(name, made["maps"][name])).max() <= 1
    page.screenshot(path=SHOTS / "saved-light.png", full_page=True)


def test_saved_page_hovers_over_every_map_at_once(page):
    for row, col in [(5, 3), (20, 11), (31, 23)]:
        hover(page, "U-Net", row, col)
        page.wait_for_timeout(50)
        assert reading(page, "PLS").inner_text() == f"{shown(made['maps']['PLS'][row, col])} %"
        assert reading(page, "U-Net").inner_text() == f"{shown(made['maps']['U-Net'][row // 2, col // 2])} %"
        assert reading(page, "U-Net SD").inner_text().endswith(" %")
        assert f"row {row}, column {col}" in page.locator(".status").inner_text()


def test_saved_page_pins_and_unpins(page):
    for row, col in [(10, 5), (25, 20)]:
        page.locator("figure[data-map='PLS'] canvas").click(position=point(page, "PLS", row, col))
    rows = page.locator("table", has_text="Pinned pixels").locator("tbody tr")
    assert rows.count() == 2
    cells = rows.nth(1).locator("th, td").all_inner_texts()
    assert cells[:3] == ["2", "25", "20"] and shown(made["maps"]["PLS"][25, 20]) in cells
    page.locator("figure[data-map='PLS'] canvas").click(position=point(page, "PLS", 10, 5))
    assert rows.count() == 1 and rows.nth(0).locator("td").first.inner_text() == "25"


def test_keys_move_pin_zoom_and_speak(page):
    page.get_by_role("application").focus()
    away(page)
    for key in ["ArrowUp", "Shift+ArrowLeft", "ArrowRight", "Enter", "+", "+"]:
        page.keyboard.press(key)
    row, col = 15, 3  # from the middle (16, 12)
    spoken = page.locator("[aria-live=polite]").inner_text()
    assert spoken.startswith(f"row {row}, column {col}:") and f"PLS {shown(made['maps']['PLS'][row, col])}" in spoken
    assert page.locator("table", has_text="Pinned pixels").locator("tbody td").first.inner_text() == "15"
    page.keyboard.press("Delete")
    assert page.locator("table", has_text="Pinned pixels").count() == 0


def test_the_scale_follows_its_handles_and_keeps_the_impossible_apart(page):
    page.get_by_label("Lower limit").fill("40")
    page.get_by_label("Upper limit").fill("60")
    away(page)
    found = colours(page, "PLS")
    assert np.abs(found.astype(int) - expected_colours("PLS", made["maps"]["PLS"], (40, 60))).max() <= 1
    page.get_by_label("Lower limit").fill("0")
    page.get_by_label("Upper limit").fill("100")


def test_every_control_has_a_name_and_every_plot_a_description(page):
    for role in ("button", "slider", "checkbox"):
        for each in page.get_by_role(role).all():
            assert each.get_attribute("aria-label") or each.inner_text() or each.locator("..").inner_text()
    assert all(len(svg.get_attribute("aria-label")) > 10 for svg in page.locator("svg[role=img]").all())


def test_narrow_and_dark(page):
    page.set_viewport_size({"width": 380, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    text, back = (page.evaluate(f"getComputedStyle(document.{w}).{p}") for w, p in
                  [("querySelector('.hsichem-explorer')", "color"), ("body", "backgroundColor")])  # fmt: skip
    assert text == "rgb(255, 255, 255)" and back == "rgb(18, 18, 18)"
    page.screenshot(path=SHOTS / "saved-dark-narrow.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1000, "height": 900})


def test_the_saved_page_asked_for_nothing(saved):
    _, _, requests = saved
    assert len(requests) == 1 and requests[0].startswith("file:")


# ---- the page of a sweep


@pytest.fixture
def swept(browser, tmp_path):
    """(page, runs, errors): 3 x 2 x 4 runs, of which one is left; RMSEP is made up, as in `rmsep`."""
    grid = {"smoothness": [0, 0.2, 20], "variant": ["published", "corrected"], "seed": [0, 1, 2, 3]}
    plan = plan_sweep("03_unet_training", grid, {}, tmp_path)
    for run in plan.runs:
        run.folder.mkdir()
        run.state = "finished"
        Results(run.folder).save("methods", {"<i>": {"rmsep": rmsep(**run.parameters), "slope": 0.5}})
    plan.runs[0].state = "left"
    path = write_sweep_page(plan)
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    page, errors = watched(context)
    page.goto(path.as_uri())
    yield page, plan.runs, errors
    context.close()


def rmsep(smoothness, variant, seed):
    return 1.0 + smoothness / 10 + (variant == "corrected") + 0.1 * seed


def heights(panel, kind):
    """What the circles of a kind stand for, by the panel's own axis, and the pixels of one unit."""
    texts = panel.locator("text[text-anchor=end]").all()
    marks = [(float(text.text_content()), float(text.get_attribute("y")) - 4) for text in texts]
    (low, bottom), (high, top) = marks[0], marks[-1]
    unit = (bottom - top) / (high - low)
    ys = [float(circle.get_attribute("cy")) for circle in panel.locator(f"circle.{kind}").all()]
    return [low + (bottom - y) / unit for y in ys], unit


def test_a_sweep_is_drawn_against_each_of_its_parameters(swept):
    page, runs, errors = swept
    assert page.locator("#metric").input_value() == "methods.<i>.rmsep"
    panels = page.locator("#panels figure")
    assert panels.locator("figcaption").all_inner_texts() == ["variant = published", "variant = corrected"]
    for variant, panel in zip(("published", "corrected"), panels.all(), strict=True):
        drawn = [run.parameters for run in runs[1:] if run.parameters["variant"] == variant]
        np.testing.assert_allclose(heights(panel, "run")[0], [rmsep(**each) for each in drawn], atol=1e-6)
        means = [np.mean([rmsep(**each) for each in drawn if each["smoothness"] == s]) for s in (0, 0.2, 20)]
        np.testing.assert_allclose(heights(panel, "mean")[0], means, atol=1e-6)
    # of four seeds 0.1 apart: half an interval is 3.182 x 0.1291 / 2
    line = panels.nth(1).locator("path.mean").first.get_attribute("d")
    lower, upper = (float(number) for number in re.findall(r"[ V]([\d.]+)", line))
    unit = heights(panels.nth(1), "mean")[1]
    assert (lower - upper) / unit == pytest.approx(2 * 3.182 * 0.1291 / 2, rel=1e-3)
    page.screenshot(path=SHOTS / "sweep.png", full_page=True)
    page.locator("#against").select_option("seed")
    assert panels.count() == 6 and panels.first.locator("circle.mean").count() == 0
    page.locator("#metric").select_option("methods.<i>.slope")
    assert page.locator("#shown").inner_text() == "methods.<i>.slope"
    assert set(page.locator("td.figure").all_inner_texts()) == {"0.5"}
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert errors == []


# ---- a notebook in JupyterLab


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """(page, errors) with the notebook opened in JupyterLab and run."""
    cells = [MAKE + "from hsichem.lab import explore", "explorer = explore(maps, cube)", "explorer"]
    with open_lab(browser, tmp_path_factory.mktemp("lab"), cells) as (opened, errors):
        run_all(opened)
        opened.wait_for_selector(".hsichem-explorer[data-drawn]")
        yield opened, errors


@pytest.fixture
def live(lab):
    opened, errors = lab
    in_kernel(opened, "explorer.pins, explorer.polygon = [], []")
    opened.wait_for_function(
        "() => ![...document.querySelectorAll('caption')].some(c => /Pinned|region/.test(c.textContent))"
    )
    yield opened
    assert errors == []


def test_lab_shows_the_maps(live):
    away(live)
    for name, values in made["maps"].items():
        assert np.abs(colours(live, name).astype(int) - expected_colours(name, values)).max() <= 1
    live.screenshot(path=SHOTS / "lab-light.png")


def test_lab_click_brings_the_spectrum(live):
    live.locator("figure[data-map='PLS'] canvas").click(position=point(live, "PLS", 12, 7))
    live.wait_for_selector("figure[data-plot='Spectra'] span:has-text('pin 1')")
    assert live.get_by_label("pinned pixels").input_value() == "12, 7"


def test_lab_lasso_and_rectangle_give_the_regions_numbers(live):
    live.get_by_role("button", name="Drag: rectangle").click()
    drag(live, "PLS", [REGION[0], REGION[2]])
    row = live.locator("table", has_text="The region").locator("tr", has_text="PLS")
    row.wait_for()
    values = made["maps"]["PLS"][8:20, 4:16]
    expected = [values.mean(), values.std(), values.min(), values.max()]
    assert row.locator("td").all_inner_texts() == ["%", "144", *map(shown, expected)]
    live.get_by_role("button", name="Drag: lasso").click()
    drag(live, "PLS", [(6, 2), (28, 2), (28, 20)])
    live.wait_for_function("() => !document.querySelector('.hsichem-explorer').innerText.includes('\\t144\\t')")
    corners = live.get_by_label("region", exact=True).input_value().split(";")
    polygon = [[float(n) for n in corner.split(",")] for corner in corners]
    centres = [
        (r, c) for r in range(32) for c in range(24) if 6 < r + 0.5 < 28 and 2 < c + 0.5 < 2 + (r - 5.5) * 18 / 22
    ]
    count = int(row.locator("td").nth(1).inner_text())
    assert len(polygon) > 3 and abs(count - len(centres)) <= 15  # the hand is not steady
    live.get_by_role("button", name="Drag: move").click()


def test_lab_region_as_csv(live):
    live.get_by_label("region", exact=True).fill("8, 4; 20, 4; 20, 16; 8, 16")
    live.keyboard.press("Enter")
    live.wait_for_selector("caption:has-text('The region')")
    with live.expect_download() as download:
        live.get_by_role("button", name="Save the region as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    mean = next(line for line in lines if line.startswith("mean,PLS,")).split(",")[3]
    assert float(mean) == pytest.approx(made["maps"]["PLS"][8:20, 4:16].mean(), rel=1e-6)


def step_slider(page, key):
    handle = page.get_by_role("slider", name="band")
    handle.focus()
    page.keyboard.press(key)


def band_shown(page, band):
    page.wait_for_selector(f"figure[data-map='band'] .note:has-text('{made['cube'].wavelengths[band]:.0f} nm')")
    hover(page, "band", 20, 10)
    page.wait_for_timeout(50)
    assert reading(page, "band").inner_text() == f"{shown(made['cube'].values[20, 10, band])} reflectance"


def test_lab_slider_changes_the_band(live):
    step_slider(live, "ArrowRight")
    band_shown(live, 6)
    step_slider(live, "ArrowLeft")
    band_shown(live, 5)


TRAIN = """
import threading, torch
from hsichem.unet import ChemicalUNet
stop, steps = threading.Event(), []
def train():
    network = ChemicalUNet(bands=20, width=8, depth=1, padding="same")
    optimiser = torch.optim.Adam(network.parameters())
    while not stop.is_set():
        optimiser.zero_grad()
        network(torch.rand(1, 20, 64, 64)).square().mean().backward()
        optimiser.step()
        steps.append(1)
        if len(steps) == 3:
            explorer.canvas.status = "training"
threading.Thread(target=train, daemon=True).start()
"""


def test_lab_slider_moves_while_a_network_trains(live):
    in_kernel(live, TRAIN)
    live.wait_for_selector(".status:has-text('training')")
    in_kernel(live, "before = len(steps)")
    try:
        for band, key in [(6, "ArrowRight"), (7, "ArrowRight"), (6, "ArrowLeft"), (5, "ArrowLeft")]:
            step_slider(live, key)
            band_shown(live, band)

        def trained_on():
            in_kernel(live, "explorer.canvas.status = f'{len(steps) - before} steps since'")
            return re.search(r"[1-9]\d* steps since", live.locator(".status").inner_text())

        waiting(trained_on, "the network does not train")
    finally:
        in_kernel(live, "stop.set(); explorer.canvas.status = ''")


def test_lab_hover_needs_no_kernel(live):
    in_kernel(live, "import time; explorer.canvas.status = 'busy'; time.sleep(4); explorer.canvas.status = 'free'")
    live.wait_for_selector(".status:has-text('busy')")
    hover(live, "U-Net", 9, 9)
    live.wait_for_timeout(100)
    assert reading(live, "PLS").inner_text() == f"{shown(made['maps']['PLS'][9, 9])} %"
    assert "busy" in live.locator(".status").inner_text()
    live.wait_for_selector(".status:has-text('free')")


def test_lab_keys_do_not_reach_the_notebook(live):
    live.get_by_role("application").focus()
    for key in ["ArrowDown", "Enter", "d", "d", "b", "0", "0"]:
        live.keyboard.press(key)
    assert live.locator(".jp-Cell").count() == 3 and live.locator(".jp-mod-editMode").count() == 0
    live.wait_for_selector("caption:has-text('Pinned pixels')")


def test_lab_dark_theme(live):
    live.evaluate("void jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    live.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    live.wait_for_timeout(500)
    colour = live.evaluate("getComputedStyle(document.querySelector('.hsichem-explorer')).color")
    assert min(int(n) for n in colour.removeprefix("rgb(").removeprefix("rgba(").split(",")[0:1]) > 150
    live.screenshot(path=SHOTS / "lab-dark.png")
