"""The explorer in a real browser, saved and in JupyterLab, and a sweep's page. Values on screen against the arrays.

Debian's chromium is driven by Playwright; screenshots are kept in build/screenshots. A JavaScript error fails the test.
"""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.lab import SHOTS, in_kernel, open_lab, run_all, waiting, watched

from hsichem.lab import explore
from hsichem.lab.explorer.figure import coloured, lookup_table
from hsichem.lab.explorer.scene import map_layer
from hsichem.lab.results import Results
from hsichem.lab.sweep import plan_sweep, write_sweep_page

ROOT = Path(__file__).parents[2]
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
BAR = np.s_[26:, :14]  # where the scale bar of the first map lies: not compared
TYPED = "8, 4; 20, 4; 20, 16; 8, 16"


def point(page, name, row, col):
    """Where the middle of an image pixel lies on a map's canvas."""
    box = page.locator(f"figure[data-map='{name}'] canvas").bounding_box()
    return {"x": (col + 0.5) / 24 * box["width"], "y": (row + 0.5) / 32 * box["height"]}


def hover(page, name, row, col):
    page.locator(f"figure[data-map='{name}'] canvas").hover(position=point(page, name, row, col))
    says(page, f"row {row}, column {col}")


def says(page, status):
    """Wait until the line under the maps says this, and so all is drawn."""
    page.wait_for_function("text => document.querySelector('.status').textContent.trim() === text", arg=status)


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


def show(page, *names):
    """Tick these maps in the list, and no others."""
    if not page.locator(".choice").evaluate("each => each.open"):
        page.locator(".choice summary").click()
    for box in page.locator(".choice input").all():
        box.set_checked(box.locator("..").inner_text() in names)
    page.locator(".choice summary").click()


def row_of(page, name):
    """The numbers of a map in the table of regions, as they are written."""
    settled(page)
    return page.locator(".dock table").first.locator("tbody tr", has_text=name).locator("td").all_inner_texts()


def settled(page):
    """Tables and histogram have followed the maps."""
    page.wait_for_selector(".hsichem-explorer:not([data-stale])")


def region(page, number=0):
    """The fields name and corners of a region; the last one is for a new region."""
    row = page.locator(".fields .row").nth(number)
    return row.get_by_label("name of the region"), row.get_by_label("corners of the region")


def type_in(field, text):
    field.fill(text)
    field.press("Enter")


def numbers_of(values):
    return [
        str(values.size),
        *(shown(float(each)) for each in (values.mean(), values.std(), values.min(), values.max())),
    ]


def lines_of(page, plot):
    """What the key of a plot names."""
    settled(page)
    return page.locator(f"figure[data-plot='{plot}'] figcaption span").all_inner_texts()


def reading(page, name):
    return page.locator(f"output[data-map='{name}']")


def shown(value):
    """A number as the page writes it."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def colours(page, name):
    """(32, 24, 4) uint8: the canvas in the middle of every image pixel."""
    script = """(canvas) => {
      const context = canvas.getContext('2d'), found = [];
      for (let row = 0; row < 32; row++) for (let col = 0; col < 24; col++)
        found.push(...context.getImageData((col + .5) / 24 * canvas.width, (row + .5) / 32 * canvas.height, 1, 1).data);
      return found;
    }"""
    found = page.locator(f"figure[data-map='{name}'] canvas").evaluate(script)
    found = np.array(found, np.uint8).reshape(32, 24, 4)
    found[BAR] = 0
    return found


def expected_colours(name, values, limits=(0, 100)):
    layer = map_layer(name, values, (32, 24))
    found = coloured(layer, limits).repeat(layer.step, 0).repeat(layer.step, 1)
    found[BAR] = 0
    return found


def away(page):
    """Take the mouse off the maps, so that no cursor is drawn."""
    page.mouse.move(1, 1)
    says(page, "")


# ---- a saved page


@pytest.fixture(scope="module")
def saved(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    explorer = explore(made["maps"], made["cube"])
    explorer.regions, explorer.pins = {"saved": REGION}, [(10, 5)]
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
    opened.get_by_role("button", name="Clear regions").click()
    opened.get_by_role("button", name="Drag: move").click()
    opened.get_by_role("button", name="Show all").click()
    yield opened
    assert errors == []


def test_saved_page_keeps_what_was_marked_and_drops_what_no_longer_is(browser, saved):
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    page, errors = watched(context)
    page.goto(saved[0].url)
    page.wait_for_selector("[data-drawn]")
    assert lines_of(page, "Spectra") == ["mean of the sample", "pin 1", "saved"]
    assert row_of(page, "PLS (%)") == numbers_of(made["maps"]["PLS"][8:20, 4:16])
    caption = page.locator("figure[data-plot='Spectra'] figcaption")
    assert "need Python" not in caption.inner_text()
    page.locator("figure[data-map='PLS'] canvas").click(position=point(page, "PLS", 25, 20))
    assert lines_of(page, "Spectra") == ["mean of the sample", "pin 1", "saved"]  # none of the new pin
    assert "the others need Python" in caption.inner_text()
    page.locator("figure[data-map='PLS'] canvas").click(position=point(page, "PLS", 10, 5))
    type_in(region(page)[1], "8, 4; 20, 4; 20, 17; 8, 17")  # by one pixel wider
    assert lines_of(page, "Spectra") == ["mean of the sample"]
    assert row_of(page, "PLS (%)") == numbers_of(made["maps"]["PLS"][8:20, 4:17])
    assert page.locator("svg.choose").count() == 0  # another band is not in the page
    context.close()
    assert errors == []


def test_saved_page_answers_for_new_regions_as_python_does(page, tmp_path):
    explorer = explore(made["maps"], made["cube"])
    explorer.regions = {"A": REGION, "over the edge": [[-3.5, 10], [9, -4], [40, 30]]}
    type_in(region(page)[1], TYPED)
    assert row_of(page, "PLS (%)") == numbers_of(made["maps"]["PLS"][8:20, 4:16])
    assert row_of(page, "U-Net (%)") == numbers_of(made["maps"]["U-Net"][4:10, 2:8])
    type_in(region(page, 1)[1], "-3.5, 10; 9, -4; 40, 30")
    type_in(region(page, 1)[0], "over the edge")
    assert page.locator("caption", has_text="Regions compared").count() == 1
    assert lines_of(page, "Histogram") == ["PLS", "U-Net", "A", "over the edge"]
    assert page.locator("figure[data-plot='Histogram'] svg[role=img] polyline").count() == 4
    show(page, "PLS", "U-Net", "U-Net SD", "band", "image")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the regions as CSV").click()
    tables = [path.read_text().splitlines() for path in (
        Path(download.value.path()), explorer.save_csv(tmp_path / "regions.csv"))]  # fmt: skip
    found, expected = (
        {
            tuple(line[:4]): line[4]
            for line in csv.reader(table)
            if line[0] in ("pixels", "mean", "SD", "lowest", "highest")
        }
        for table in tables
    )
    assert found.keys() == expected.keys() and len(found) == 2 * 4 * 5
    for key, value in expected.items():
        assert float(found[key]) == pytest.approx(float(value), rel=1e-6), key
    show(page, "PLS", "U-Net", "U-Net SD")


def test_regions_are_drawn_named_and_taken_away(page):
    page.get_by_role("button", name="Drag: rectangle").click()
    drag(page, "PLS", [REGION[0], REGION[2]])
    drag(page, "PLS", [(22, 2), (30, 20)])
    assert row_of(page, "PLS (%)")[1:] == numbers_of(made["maps"]["PLS"][8:20, 4:16])
    assert region(page)[0].input_value() == "A" and region(page, 1)[0].input_value() == "B"
    type_in(region(page)[0], "lean")
    name, _ = region(page, 1)
    type_in(name, "lean")
    assert "there is a region lean already" in page.get_by_role("alert").all_inner_texts()
    assert name.get_attribute("aria-invalid") == "true"
    page.get_by_role("button", name="Remove the region").nth(1).click()
    assert region(page, 1)[1].evaluate("each => each === document.activeElement")  # the focus is not lost
    assert page.locator(".fields .row").count() == 2 and region(page)[0].input_value() == "lean"
    page.get_by_role("button", name="Drag: lasso").click()
    drag(page, "PLS", [(6, 2), (28, 2), (28, 20)])
    assert page.locator(".fields .row").count() == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("8, 4; fourteen", "“fourteen” is not a place"),
        ("8, 4; 5, 5", "three corners or more"),
        ("80, 4; 90, 4; 90, 16", "no pixel of the image lies in this region"),
    ],
)
def test_what_is_wrong_stands_beside_the_field(page, text, told):
    before = row_of(page, "PLS (%)")
    field = region(page)[1]
    type_in(field, text)
    wrong = page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert told in wrong.inner_text() and field.get_attribute("aria-invalid") == "true"
    above, below = field.bounding_box(), wrong.bounding_box()
    assert 0 <= below["y"] - above["y"] < 40
    assert row_of(page, "PLS (%)") == before
    type_in(field, TYPED)
    assert wrong.inner_text() == "" and row_of(page, "PLS (%)")[0] == "144"
    pins = page.get_by_label("pinned pixels")
    type_in(pins, "32, 0")
    assert "rows go from 0 to 31" in page.get_by_role("alert").first.inner_text()
    type_in(pins, "31, 0")
    assert page.locator("table", has_text="Pinned pixels").locator("tbody td").first.inner_text() == "31"


def test_the_difference_of_two_maps_on_the_coarser_grid(page):
    page.get_by_label("Difference: this map").select_option("PLS")
    page.get_by_label("Difference: minus this map").select_option("U-Net")
    pls = made["maps"]["PLS"].reshape(16, 2, 12, 2).mean(axis=(1, 3))
    expected, name = pls - made["maps"]["U-Net"], "PLS \u2212 U-Net"
    for row, col in [(20, 11), (31, 23)]:
        hover(page, name, row, col)
        assert reading(page, name).inner_text() == f"{shown(expected[row // 2, col // 2])} %"
    hover(page, name, 1, 1)  # beside the sample there is none
    assert reading(page, name).inner_text() == "\u2013 %"
    inside = expected[np.isfinite(expected)]
    assert row_of(page, name) == numbers_of(inside)
    away(page)
    most = np.sort(np.abs(inside))[int(0.99 * (inside.size - 1))]
    index = np.clip((expected + most) * 255 / (2 * most), 0, 255)
    wanted = np.frombuffer(lookup_table(), np.uint8).reshape(-1, 4)[258 + np.nan_to_num(index).astype(int)]
    wanted[np.isnan(expected)] = 0
    wanted = wanted.repeat(2, 0).repeat(2, 1)
    wanted[BAR] = 0
    assert np.abs(colours(page, name).astype(int) - wanted).max() <= 5  # float32 may round
    dots = page.locator("figure[data-plot='PLS against U-Net'] path").get_attribute("d")
    assert dots.count("M") == inside.size
    page.screenshot(path=SHOTS / "saved-difference.png", full_page=True)
    page.get_by_label("Difference: this map").select_option("")
    assert page.locator(f"figure[data-map='{name}']").count() == 0


def width_of(page, name):
    return page.locator(f"figure[data-map='{name}'] canvas").bounding_box()["width"]


def test_hiding_maps_enlarges_the_others_and_the_list_is_by_kind(page):
    legends = page.locator(".choice legend").all_text_contents()
    assert legends == ["linear models", "networks", "how sure", "camera"]
    before = width_of(page, "PLS")
    page.locator(".choice summary").click()
    box = page.get_by_role("checkbox", name="U-Net SD")
    box.focus()
    page.keyboard.press("Space")
    assert page.locator("figure[data-map='U-Net SD']").count() == 0
    page.keyboard.press("Space")  # the focus is still there
    assert page.locator("figure[data-map='U-Net SD']").count() == 1
    page.keyboard.press("Escape")
    assert not box.is_visible() and page.locator(".choice summary").evaluate("each => each === document.activeElement")
    page.locator(".choice summary").click()
    page.locator("figure[data-plot='Histogram'] figcaption").click()  # beside the list
    assert not box.is_visible()
    show(page, "PLS")
    assert page.locator("figure[data-map]").count() == 1 and width_of(page, "PLS") > 1.5 * before
    show(page, "PLS", "U-Net", "U-Net SD")
    assert width_of(page, "PLS") == before


def test_cause_and_effect_are_on_one_screen(page):
    page.set_viewport_size({"width": 1400, "height": 900})
    type_in(region(page)[1], TYPED)
    page.locator("figure[data-map='PLS'] canvas").click(position=point(page, "PLS", 25, 20))
    assert page.evaluate("document.documentElement.scrollHeight") <= 900
    for each in ["figure[data-map='U-Net SD']", "figure[data-plot='Spectra']", "figure[data-plot='Histogram']",
                 "table:has-text('A')", "table:has-text('Pinned')"]:  # fmt: skip
        assert page.locator(each).first.evaluate(
            "(each) => { const box = each.getBoundingClientRect(); return box.top >= 0 && box.bottom <= 900 }"
        ), each
    page.screenshot(path=SHOTS / "saved-wide.png")
    page.set_viewport_size({"width": 1000, "height": 900})


def test_the_wheel_alone_scrolls_the_page(page):
    canvas = page.locator("figure[data-map='PLS'] canvas")
    canvas.click(position=point(page, "PLS", 25, 20))  # the maps have the focus
    wheel = """(canvas, ctrlKey) => !canvas.dispatchEvent(
        new WheelEvent('wheel', {deltaY: -100, ctrlKey, bubbles: true, cancelable: true}))"""
    assert not canvas.evaluate(wheel, False) and canvas.evaluate(wheel, True)


def test_dragging_moves_nothing_out_of_view(page):
    away(page)
    whole = colours(page, "PLS")
    drag(page, "PLS", [(4, 4), (28, 20)])
    away(page)
    assert (colours(page, "PLS") == whole).all()
    page.get_by_role("application").focus()
    page.keyboard.press("+")
    for _ in range(4):
        drag(page, "PLS", [(4, 4), (28, 20)])
    away(page)
    assert (colours(page, "PLS")[0, 0] == whole[0, 0]).all() and (colours(page, "U-Net")[:26, :, 3] == 255).all()


def test_a_click_on_a_ring_takes_the_pin_away(page):
    page.set_viewport_size({"width": 600, "height": 900})
    type_in(page.get_by_label("pinned pixels"), "10, 5; 25, 20")
    canvas, at = page.locator("figure[data-map='PLS'] canvas"), point(page, "PLS", 10, 5)
    beside = {"x": at["x"] + 5, "y": at["y"] + 1}  # on the ring, in the pixel beside the pin's
    assert width_of(page, "PLS") / 24 < 10
    canvas.click(position=beside)
    assert page.get_by_label("pinned pixels").input_value() == "25, 20"
    page.set_viewport_size({"width": 1000, "height": 900})


def test_a_finger_taps_and_scrolls(browser, saved):
    address = saved[0].url
    context = browser.new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True, offline=True)
    phone, errors = watched(context)
    phone.goto(address)
    phone.wait_for_selector("[data-drawn]")
    canvas = phone.locator("figure[data-map='PLS'] canvas")
    canvas.tap(position=point(phone, "PLS", 20, 11))
    says(phone, "row 20, column 11")
    assert reading(phone, "PLS").inner_text() == f"{shown(made['maps']['PLS'][20, 11])} %"
    box = canvas.bounding_box()
    x, y, finger = box["x"] + 40, box["y"] + 80, context.new_cdp_session(phone)
    for kind, way in [("touchStart", 0), *(("touchMove", 12 * k) for k in range(1, 15)), ("touchEnd", None)]:
        touched = [] if way is None else [{"x": x, "y": y - way}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})
    phone.wait_for_function("() => window.scrollY > 100")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.screenshot(path=SHOTS / "saved-phone.png", full_page=True)
    context.close()
    assert errors == []


def test_saved_maps_have_the_colours_of_their_values(page):
    away(page)
    for name in made["maps"]:
        assert np.abs(colours(page, name).astype(int) - expected_colours(name, made["maps"][name])).max() <= 1
    page.screenshot(path=SHOTS / "saved-light.png", full_page=True)


def test_saved_page_hovers_over_every_map_at_once(page):
    for row, col in [(5, 3), (20, 11), (31, 23)]:
        hover(page, "U-Net", row, col)
        assert reading(page, "PLS").inner_text() == f"{shown(made['maps']['PLS'][row, col])} %"
        assert reading(page, "U-Net").inner_text() == f"{shown(made['maps']['U-Net'][row // 2, col // 2])} %"
        assert reading(page, "U-Net SD").inner_text().endswith(" %")


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
    page.wait_for_function("() => document.documentElement.scrollWidth <= 380")
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
    in_kernel(opened, "explorer.pins, explorer.regions = [], {}")
    opened.wait_for_function(
        "() => ![...document.querySelectorAll('caption')].some(c => !/whole sample/.test(c.textContent))"
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


def test_lab_the_cursor_brings_its_spectrum_at_once(live):
    for row, col in [(20, 11), (9, 4)]:
        hover(live, "U-Net", row, col)
        line = live.locator("figure[data-plot='Spectra']:has(span:text-is('cursor')) polyline:not(.swatch *)").last
        line.wait_for()
        heights = [float(point.split(",")[1]) for point in line.get_attribute("points").split()]
        assert np.corrcoef(heights, made["cube"].values[row, col])[0, 1] == pytest.approx(-1, abs=1e-4)
    away(live)
    assert lines_of(live, "Spectra") == ["mean of the sample"]


def test_lab_a_click_on_the_spectrum_chooses_the_band(live):
    svg = live.locator("figure[data-plot='Spectra'] svg[role=img]")
    svg.scroll_into_view_if_needed()
    line = svg.locator("polyline").first.get_attribute("points").split()
    for band in (2, 5):
        x, y = map(float, line[band].split(","))
        box = svg.bounding_box()
        live.mouse.click(box["x"] + x * box["width"] / 300, box["y"] + y * box["width"] / 300)
        band_shown(live, band)
        assert float(svg.locator(".marker").get_attribute("x1")) == pytest.approx(x, abs=0.1)


def test_lab_regions_reach_python_and_come_from_there(live):
    live.get_by_role("button", name="Drag: rectangle").click()
    drag(live, "PLS", [REGION[0], REGION[2]])
    assert row_of(live, "PLS (%)") == numbers_of(made["maps"]["PLS"][8:20, 4:16])
    live.wait_for_function(
        "() => [...document.querySelectorAll('figure[data-plot=Spectra] span')].some(s => s.textContent === 'A')"
    )
    in_kernel(live, "explorer.regions = explorer.regions | {'low': [(20, 2), (30, 2), (30, 20)]}")
    live.wait_for_selector("caption:has-text('Regions compared')")
    assert region(live, 1)[1].input_value() == "20, 2; 30, 2; 30, 20"
    live.get_by_role("button", name="Drag: move").click()


def step_slider(page, key):
    handle = page.get_by_role("slider", name="band")
    handle.focus()
    page.keyboard.press(key)


def band_shown(page, band):
    page.wait_for_selector(f"figure[data-map='band'] .note:has-text('{made['cube'].wavelengths[band]:.0f} nm')")
    hover(page, "band", 20, 10)
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
            explorer.pins = [(1, 1)]
threading.Thread(target=train, daemon=True).start()
"""


def test_lab_slider_moves_while_a_network_trains(live):
    in_kernel(live, TRAIN)
    live.wait_for_selector("caption:has-text('Pinned')")
    in_kernel(live, "before = len(steps)")
    try:
        for band, key in [(6, "ArrowRight"), (7, "ArrowRight"), (6, "ArrowLeft"), (5, "ArrowLeft")]:
            step_slider(live, key)
            band_shown(live, band)

        def trained_on():
            in_kernel(live, "explorer.pins = [(min(31, len(steps) - before), 0)]")
            return re.fullmatch(r"[1-9]\d*, 0", live.get_by_label("pinned pixels").input_value())

        waiting(trained_on, "the network does not train")
    finally:
        in_kernel(live, "stop.set()")


def test_lab_hover_needs_no_kernel(live):
    in_kernel(live, "import time; explorer.pins = [(1, 1)]; time.sleep(4); explorer.pins = [(2, 2)]")
    pins = live.get_by_label("pinned pixels")
    waiting(lambda: pins.input_value() == "1, 1", "the kernel does not begin")
    hover(live, "U-Net", 9, 9)
    assert reading(live, "PLS").inner_text() == f"{shown(made['maps']['PLS'][9, 9])} %"
    assert pins.input_value() == "1, 1" and "cursor" not in lines_of(live, "Spectra")
    waiting(lambda: pins.input_value() == "2, 2", "the kernel does not end")


def test_lab_keys_do_not_reach_the_notebook(live):
    live.get_by_role("application").focus()
    for key in ["ArrowDown", "Enter", "d", "d", "b", "0", "0"]:
        live.keyboard.press(key)
    live.wait_for_selector("caption:has-text('Pinned pixels')")
    active = live.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex")
    live.get_by_role("button", name="Drag: move").click()
    for key in ["x", "a", "ArrowUp"]:
        live.keyboard.press(key)
    live.get_by_label("Lower limit").focus()
    for key in ["ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft"]:
        live.keyboard.press(key)
    live.get_by_role("slider", name="band").focus()
    for key in ["ArrowUp", "ArrowDown"]:
        live.keyboard.press(key)
    assert live.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex") == active
    assert live.locator(".jp-Cell").count() == 3 and live.locator(".jp-mod-editMode").count() == 0
    live.get_by_label("Lower limit").fill("0")


def test_lab_dark_theme(live):
    live.evaluate("void jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    live.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    live.wait_for_function(
        "() => +getComputedStyle(document.querySelector('.hsichem-explorer')).color.match(/\\d+/)[0] > 150"
    )
    live.screenshot(path=SHOTS / "lab-dark.png")
