"""The site: built with warnings as errors, then opened from the disk in a browser; its glossary."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from helpers.lab import SHOTS, watched

from docs.site_check import faults
from docs.site_parts import as_rst, write_lessons

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
TERMS = re.findall(r"^(\S.*)\n: ", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.M)


def words(text):
    return re.sub(r"\s+", " ", text).lower()


# ---- the glossary


def test_the_glossary_has_every_term_once_and_each_is_used_in_a_notebook():
    cells = [cell for path in NOTEBOOKS for cell in json.loads(path.read_text("utf-8"))["cells"]]
    used = words(" ".join("".join(cell["source"]) for cell in cells))
    assert len(TERMS) == len(set(TERMS)) > 40
    assert [term for term in TERMS if not all(word in used for word in term.lower().split())] == []


def test_the_glossary_has_what_the_notebooks_lean_on():
    assert set(TERMS) >= {
        "cube", "reflectance", "absorbance", "white reference", "dark reference", "SNV", "component", "RMSECV", "RMSEP",
        "held-out pixels", "nugget", "sill", "range", "correlated share", "T2", "Q",
    }  # fmt: skip


# ---- what the pages are made with


def test_every_picture_of_a_lesson_gets_a_text(tmp_path):
    cells = [
        ("markdown", "# A title\n\n## Why so"),
        ("code", "show()"),
        ("code", '# Figure: Fat, "raw". Navy is 0.\nx'),
    ]
    told = {"cell_type": "code", "source": "y", "metadata": {"mystnb": {"image": {"alt": "Mine"}}}}
    made = [{"cell_type": kind, "source": [text], "metadata": {}} for kind, text in cells]
    (tmp_path / "01_one.ipynb").write_text(json.dumps({"cells": [*made, told]}))
    (tmp_path / "other.ipynb").write_text("{}")
    (tmp_path / "shown.png").touch()
    write_lessons(tmp_path, tmp_path / "lessons")
    copy, picture = sorted((tmp_path / "lessons").iterdir())
    assert picture.name == "shown.png"
    _, *code = json.loads(copy.read_text("utf-8"))["cells"]
    alts = [cell["metadata"]["mystnb"]["image"]["alt"] for cell in code]
    assert alts == ["Figure of the section: Why so", "Fat, 'raw'", "Mine"]


def test_a_docstring_is_taken_as_the_plain_text_it_is():
    lines = ["One `map` * two_ | three.", "", "a: (n,) of b", "Returns it.", "", "  - one", "  - two", "", "    x = 1"]
    as_rst(None, "function", "name", None, None, lines)
    assert lines == [
        r"One ``map`` \* two\_ \| three.", "", "a: (n,) of b", "", "Returns it.", "", "|   - one", "|   - two", "",
        "::", "", "    x = 1", "",
    ]  # fmt: skip


def test_faults_of_a_page_are_found(tmp_path):
    (tmp_path / "other.html").write_text('<p id="here">')
    good = '<a href="other.html#here"></a><a href="https://example.org/x"></a><img src="data:," alt="A map">'
    (tmp_path / "page.html").write_text(good)
    assert faults(tmp_path) == []
    bad = ('<a href="gone.html"></a>', '<a href="other.html#gone"></a>', '<a href="#gone"></a>', '<img src="data:,">',
           '<a href="http://example.org"></a>', '<img src="data:," alt=" ">', "<iframe></iframe>")  # fmt: skip
    for part in bad:
        (tmp_path / "page.html").write_text(part)
        assert len(faults(tmp_path)) == 1, part


# ---- the built pages


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("myst_nb", reason="needs the extra [docs] (make docs installs it)")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(folder / "doctrees")]
    done = subprocess.run(
        [*build, str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        env=os.environ | {"TQDM_DISABLE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.mark.slow
def test_every_notebook_and_room_and_term_has_its_place(site):
    for path in NOTEBOOKS:
        assert (site / "lessons" / f"{path.stem}.html").is_file()
    for room in ("cubes", "loaders", "datasets", "pls", "unet", "maps", "lab"):
        page, face = (site / "api" / f"{room}.html").read_text("utf-8"), import_module(f"hsichem.{room}")
        documented = [name for name in face.__all__ if not isinstance(getattr(face, name), ModuleType)]
        assert [name for name in documented if f'id="hsichem.{room}.{name}"' not in page] == []
    page = (site / "glossary.html").read_text("utf-8")
    assert page.count('id="term-') == len(TERMS)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_pages_open_from_the_disk_without_errors_and_fit_the_screen(site, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, errors = watched(context)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    pages = [path for path in sorted(site.rglob("*.html")) if not {"_static", "_modules"} & set(path.parts)]
    assert len(pages) > len(NOTEBOOKS) + 7
    for path in pages:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth)"), path
        page.screenshot(path=SHOTS / f"site-{path.stem}-{width}-{scheme}.png")
    assert errors == [] and [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_explorer_is_alive_on_its_page(site, browser, scheme):
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme, offline=True)
    page, errors = watched(context)
    page.goto((site / "explorer.html").as_uri())
    frame = page.frame_locator("iframe.explorer")
    canvas = frame.locator("figure[data-map='PLS'] canvas")
    canvas.scroll_into_view_if_needed()
    canvas.hover()
    reading = frame.locator("output[data-map='PLS']")
    page.wait_for_timeout(100)
    assert re.fullmatch(r"-?[\d.]+ %.*", reading.inner_text())
    assert errors == []
    page.screenshot(path=SHOTS / f"site-explorer-alive-{scheme}.png")
    context.close()


@pytest.mark.slow
@pytest.mark.browser
def test_the_search_finds_a_term(site, browser):
    page, errors = watched(browser.new_context(offline=True))
    page.goto((site / "search.html").as_uri() + "?q=variogram")
    page.wait_for_selector("#search-results li a")
    assert errors == []
