"""The map explorer in a real browser: from a key on a slider to pixels, and opening; beside matplotlib in ipywidgets.

python benchmarks/lab/explorer.py [--sizes 256x256 996x452] [--steps 20]

JupyterLab and Debian's chromium are started for each size, with the same four maps for both. A step is timed in the
browser, from the key's event to the first frame after the new map was drawn (canvas) or loaded (image); keys are
pressed one at a time. matplotlib draws on a Figure of its own and changes only the map that moved: its best case.
Nothing here fails because of a time.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.lab import CHROMIUM, open_lab, run_all, waiting  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

SETUP = """
import time
import numpy as np
from hsichem import Cube
from hsichem.lab.explorer.explorer import Explorer
from hsichem.pls import fit_pls
from hsichem.lab.explorer.sources import MapSource
rng = np.random.default_rng(0)
rows, cols, bands = ROWS, COLS, 62
cube = Cube(rng.random((rows, cols, bands), dtype=np.float32), np.linspace(750, 1010, bands), None, 1.0, "made")
spectra = rng.random((40, bands))
y = 40 + 30 * spectra[:, 5] - 20 * spectra[:, 40] + rng.normal(0, 1, 40)
largest = fit_pls(spectra, y, n_components=20)
models = [largest.with_components(a) for a in range(1, 21)]
maps = {"PLS": models[3].predict_map(cube), "PLS smoothed": models[3].predict_map(cube)}
maps |= {"U-Net": rng.uniform(0, 100, (rows // 2, cols // 2)), "truth": rng.uniform(0, 100, (rows, cols))}
"""
OPEN = """
begin = time.perf_counter()
source = MapSource(maps, cube)
source.models = models
source.start |= {"components": 4, "smoothing": 1.0}
explorer = Explorer(source)
opened = time.perf_counter() - begin
explorer
"""
MATPLOTLIB = """
import io
import ipywidgets as widgets
from matplotlib.figure import Figure
from hsichem.lab.plotting import MAP_COLOURS
figure = Figure(figsize=(11, 3), layout="constrained")
axes = figure.subplots(1, 4)
pictures = [ax.imshow(m, MAP_COLOURS, vmin=0, vmax=100) for ax, m in zip(axes, maps.values())]
picture, slider = widgets.Image(format="png"), widgets.IntSlider(4, 1, 20, description="matplotlib")
def show(_=None):
    pictures[0].set_data(models[slider.value - 1].predict_map(cube))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    picture.value = file.getvalue()
slider.observe(show, "value")
show()
widgets.VBox([slider, picture])
"""
# From the key's event to the frame after: the drawn map's number changes, or the image has loaded.
TIMER = """([selector, attribute]) => {
  window.timed = null;
  window.addEventListener('keydown', (event) => {
    const began = event.timeStamp, target = document.querySelector(selector);
    const done = () => requestAnimationFrame(() => setTimeout(() => (window.timed = performance.now() - began)));
    if (attribute === 'load') target.addEventListener('load', done, {once: true});
    else new MutationObserver((_, seen) => {
      seen.disconnect();
      done();
    }).observe(target, {attributeFilter: [attribute]});
  }, {capture: true, once: true});
}"""
CELL = "jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel"
NAME_SLIDERS = """() => {
  for (const slider of document.querySelectorAll('.widget-slider')) {
    const label = slider.querySelector('.widget-label').textContent;
    slider.querySelector('[role=slider]').setAttribute('aria-label', label);
  }
}"""


def step(page, slider, key, selector, attribute):
    """Milliseconds of one press of a key on a slider."""
    page.evaluate(TIMER, [selector, attribute])
    page.get_by_role("slider", name=slider).focus()
    page.keyboard.press(key)
    waiting(lambda: page.evaluate("window.timed !== null"), f"{slider} does not move", 60)
    return page.evaluate("window.timed")


def steps(page, slider, count, selector, attribute):
    """Median and largest of `count` steps, after two that warm up."""
    keys = ["ArrowLeft" if k // 3 % 2 == 0 else "ArrowRight" for k in range(count + 2)]
    times = [step(page, slider, key, selector, attribute) for key in keys]
    return statistics.median(times[2:]), max(times[2:])


def measure(browser, rows, cols, count):
    setup = SETUP.replace("ROWS", str(rows)).replace("COLS", str(cols))
    with tempfile.TemporaryDirectory() as folder, open_lab(browser, Path(folder), [setup, "1"]) as (page, errors):
        page.set_default_timeout(120_000)
        run_all(page)
        waiting(lambda: page.locator(".jp-OutputPrompt").count(), "the setup does not end", 300)
        for code, ready in ((OPEN, ".hsichem-explorer[data-drawn]"), (MATPLOTLIB, ".widget-image")):
            page.evaluate(f"(code) => {CELL}.setSource(code)", code)
            began = page.evaluate("performance.now()")
            page.evaluate("void jupyterapp.commands.execute('notebook:run-cell-and-insert-below')")
            page.wait_for_selector(ready)
            seconds = (page.evaluate("performance.now()") - began) / 1000
            name = "explorer" if code is OPEN else "matplotlib"
            print(f"  {name:24} from running the cell to pixels {seconds:.2f} s", flush=True)
        page.evaluate(NAME_SLIDERS)
        found = {}
        for slider in ("band", "PLS components", "PLS smoothing (pixels)"):
            found[slider] = steps(page, slider, count, ".hsichem-explorer", "data-drawn")
        found["matplotlib"] = steps(page, "matplotlib", count, ".widget-image", "load")
        for name, (median, largest) in found.items():
            times = f"matplotlib takes {found['matplotlib'][0] / median:.1f} times as long"
            print(f"  {name:24} median {median:6.0f} ms, largest {largest:6.0f} ms; {times}")
        print(f"  JavaScript errors: {errors or 'none'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["256x256", "996x452"], help="rows x columns")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size in args.sizes:
            print(f"{size} pixels, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            measure(browser, *map(int, size.split("x")), args.steps)


if __name__ == "__main__":
    main()
