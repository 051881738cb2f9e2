"""A person at the page: headless Chromium, driven by what is seen and by keys."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")
PATIENCE = 120.0
"""Seconds that the page may take for anything; it takes far less."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")


def start() -> webdriver.Chrome:
    """Return a headless browser."""
    options = webdriver.ChromeOptions()
    assert CHROMIUM is not None
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(PATIENCE)
    return driver


class Page:
    """What a person does and sees.

    Parameters
    ----------
    driver
        The browser.
    base
        The hub's URL.
    """

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    def open(self, tab: str = "") -> None:
        """Go to a tab, as by a link that was kept: ``#/runes``, ``#/archive/…``."""
        self.driver.get(self.base + tab)

    def forget(self) -> None:
        """Be a browser that has never been here."""
        everything = {"origin": self.base, "storageTypes": "all"}
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", everything)

    def look(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Have a window of a size, on a device that is dark or light."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def save_to(self, folder: Path) -> None:
        """Have downloads put into a folder."""
        where = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)

    def touch(self, *moments: Sequence[tuple[float, float]]) -> None:
        """Put fingers down, at points in the window, move them from moment to moment, lift them."""
        kinds = ["touchStart", *["touchMove"] * (len(moments) - 1), "touchEnd"]
        for kind, fingers in zip(kinds, [*moments, ()], strict=True):
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
            event = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def js(self, script: str, *arguments: Any) -> Any:
        """Return what JavaScript says."""
        return self.driver.execute_script(script, *arguments)

    def complained(self) -> list[str]:
        """Return what the browser has said of the page to its developers, since it was asked."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries]

    def wait(self, what: Callable[[], T | None], says: str = "") -> T:
        """Return what becomes true in time."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = what()
            except (NoSuchElementException, StaleElementReferenceException):
                found = None
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{says or what} did not come; the page shows: {self.text}")
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """All that is to be read."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def sees(self, *texts: str) -> None:
        """Wait until all of some texts are to be read."""
        for text in texts:
            self.wait(lambda text=text: text in self.text, repr(text))  # type: ignore[misc]

    def all(self, css: str) -> list[WebElement]:
        """Return the elements that can be seen."""
        return [each for each in self.driver.find_elements(By.CSS_SELECTOR, css) if is_seen(each)]

    def one(self, css: str, name: str | None = None) -> WebElement:
        """Return an element, waiting for it; by the name that a screen reader gives it."""

        def find() -> WebElement | None:
            found = self.all(css)
            return next((each for each in found if name in (None, each.accessible_name)), None)

        return self.wait(find, f"{css} {name!r}")

    def click(self, css: str, name: str | None = None) -> None:
        """Click on an element, as soon as it is there and can be used."""

        def click() -> bool:
            element = self.one(css, name)
            if element.is_enabled():
                element.click()
                return True
            return False

        self.wait(click, f"{css} {name!r}")

    def press(self, name: str) -> None:
        """Press a button."""
        self.click("button", name)

    def field(self, name: str) -> WebElement:
        """Return what is entered into under a label."""
        return self.one("input:not([type=range]), textarea, select", name)

    def enter(self, name: str, text: str) -> None:
        """Write into a field, in the place of what was there."""
        field = self.field(name)
        field.clear()
        field.send_keys(text)

    def complaints(self) -> Sequence[str]:
        """Return the errors that are to be read."""
        return [each.text for each in self.all(".error") if each.text]


def is_seen(element: WebElement) -> bool:
    try:
        return element.is_displayed()
    except StaleElementReferenceException:
        return False
