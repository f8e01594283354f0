"""Fixtures that several test files share, and what a test costs."""

import os
from pathlib import Path

import hypothesis
import pytest
from helpers.lab import CHROMIUM, SHOTS

hypothesis.settings.register_profile("default", hypothesis.settings.get_profile("default"), deadline=None)
hypothesis.settings.load_profile("default")  # no test fails because of a time

# Fixtures that tell what a test needs: markers for `pytest -m`.
COSTS = {"mirror": "public_data", "browser": "browser", "executed": "slow"}


def pytest_collection_modifyitems(items):
    for item in items:
        for fixture in set(COSTS) & set(item.fixturenames):
            item.add_marker(COSTS[fixture])


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The data cache of this test session: nothing is taken from the user's own, nothing is left in it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSICHEM_DATA", str(folder))
        yield folder


@pytest.fixture(scope="session")
def mirror():
    """The folder with the public data sets' files."""
    if not os.environ.get("HSICHEM_DATA_MIRROR"):
        pytest.skip("needs the public data: set HSICHEM_DATA_MIRROR to the folder that holds them")
    return Path(os.environ["HSICHEM_DATA_MIRROR"])


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, driven by Playwright."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM} (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
