"""Both tabs, looked at by axe-core (WCAG 2.2 AA and its best practices): wide, narrow, light, dark.

``axe/`` has axe-core 4.14.1 as it is on npm, with its licence (MPL 2.0); only these tests use it.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.chromium import PATIENCE, Page
from tests.browser.rune import Run, ScriptedRune
from tests.browser.test_runes import PARAMS, kept, tone
from tests.e2e.daemon import Daemon

AXE = Path(__file__).parent / "axe" / "axe.min.js"
BAD = ("serious", "critical")


@pytest.fixture(scope="module")
def stream(hub: Daemon) -> str:
    """The id of a stream."""
    with hub.client() as client:
        client.pipeline().create("birds/wren", 8000, 1, 16).execute()
        client.stream("birds/wren").execute(np.arange(8000) % 999)
    return "birds/wren"


@pytest.fixture
def rune(page: Page, base: str, stream: str) -> Iterator[str]:
    """The connection token of a rune that has done all that can be seen of one."""
    done = threading.Event()

    def work(run: Run) -> None:
        run.add_file("tone.wav", "audio", tone())
        run.add_file("note.txt", "text", b"hello")
        failed = run.values["amount"] == 1
        run.reply(message="Made.", error="boom" if failed else None, logs="much was printed")
        done.set()

    with ScriptedRune(base, page.wait(lambda: kept(page)), PARAMS, work) as rune:
        page.open(f"#/runes/{rune.token}")
        page.click("input[type=checkbox]", "No file")
        for amount in ("1", "2"):
            done.clear()
            page.enter("amount", amount)
            page.press("Run")
            assert done.wait(PATIENCE)
        page.sees("Done", "Failed", "note.txt")
        yield rune.token


def check(page: Page) -> None:
    """Fail if something would keep anybody from using the page as it is now."""
    page.js(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.driver.execute_async_script(
        "axe.run().then(({violations}) => arguments[arguments.length - 1](violations))"
    )
    bad = [each for each in found if each["impact"] in BAD]
    told = {each["id"]: [node["failureSummary"] for node in each["nodes"][:3]] for each in bad}
    assert not bad, json.dumps(told, indent=1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_keeps_anybody_out(
    page: Page, rune: str, stream: str, width: int, dark: bool
) -> None:
    page.look(width, dark=dark)
    check(page)
    page.js("for (const each of document.querySelectorAll('details')) each.open = true")
    check(page)
    page.press("Token")
    check(page)
    page.press("Close")
    page.open("#/runes/")
    page.sees("Connect another rune")
    check(page)
    page.open(f"#/archive/{stream.replace('/', '%2F')}")
    page.one("h2", stream)
    check(page)
