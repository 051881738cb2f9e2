"""Chromium, a server with a hub, and the page in the one, served by the other."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.e2e.daemon import Daemon

pytest.importorskip("selenium", reason="the extra [browser] is not installed")

from selenium import webdriver

from tests.browser.chromium import CHROMIUM, DRIVER, Page, start


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    """The browser, for all tests: it takes seconds to start."""
    if CHROMIUM is None or DRIVER is None:
        problem = "needs the programs chromium and chromedriver (scripts/test-page installs them)"
        if os.environ.get("RACS_BROWSER") == "required":
            pytest.fail(problem)
        pytest.skip(problem)
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A server with a hub, for a file of tests: each has a token, and so runes, of its own."""
    with Daemon(tmp_path_factory.mktemp("hub") / "archive", "--hub-port", "0") as running:
        yield running


@pytest.fixture(scope="module")
def base(hub: Daemon) -> str:
    """The hub's URL."""
    return url_of(hub)


def url_of(hub: Daemon) -> str:
    """Return the hub's URL."""
    found = re.search(r"hub at (http://[\w.:]+)", hub.greeting)
    assert found is not None, hub.greeting
    return f"{found[1]}/"


@pytest.fixture
def page(driver: webdriver.Chrome, base: str) -> Iterator[Page]:
    """The page, in a browser that has never seen it. It may not complain."""
    page = Page(driver, base)
    page.look(1280)
    page.forget()
    page.open()
    yield page
    complaints = page.complained()
    page.open("#/archive")  # where no rune is waited for
    bad = ("Content Security Policy", "Uncaught")
    assert not [each for each in complaints if any(words in each for words in bad)]
