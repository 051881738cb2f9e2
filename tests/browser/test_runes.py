"""Runes on the page: connected, filled in, run, looked at and run again."""

import io
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from selenium.webdriver import Keys

from tests.browser.chromium import PATIENCE, Page
from tests.browser.rune import Run, ScriptedRune
from tests.e2e.daemon import Daemon

HOSTILE = "<img src=x onerror='window.hacked=1'>"

PARAMS: list[dict[str, Any]] = [
    {
        "name": "amount",
        "type": "int",
        "default_value": 5,
        "ui_component": "RunesNumberSlider",
        "min": 0,
        "max": 10,
        "step": 1,
    },
    {"name": "dry", "type": "RunesFilePath", "default_value": None, "ui_component": None},
    {
        "name": "fruit",
        "type": "str",
        "default_value": "grapes",
        "ui_component": "RunesMultiChoice",
        "options": ["cherries", "oranges", "grapes"],
    },
    {
        "name": "room",
        "type": "str",
        "default_value": "plate",
        "ui_component": "runesmultichoice",
        "options": ["hall", "church", "plate", "spring", "cave"],
    },
    {"name": "wet", "type": "float", "default_value": 0.5, "ui_component": None},
    {"name": "seed", "type": "int", "default_value": None, "ui_component": None},
    {"name": "reverse", "type": "bool", "default_value": True, "ui_component": None},
    {"name": "prompt", "type": "str", "default_value": "a hall", "ui_component": None},
]
DEFAULTS = {
    "amount": 5,
    "dry": None,
    "fruit": "grapes",
    "room": "plate",
    "wet": 0.5,
    "seed": 0,
    "reverse": True,
    "prompt": "a hall",
}
NUMBER = [{"name": "n", "type": "int", "default_value": 1, "ui_component": None}]

DOT = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""An image of one dot."""

Connect = Callable[..., ScriptedRune]


def tone(frames: int = 8000, rate: int = 8000) -> bytes:
    """Return a WAV file, mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.sin(np.arange(frames) / 5) * 20000).astype("<i2").tobytes())
    return file.getvalue()


def frames_of(path: str) -> tuple[int, int]:
    """Return the sample rate and the length of a WAV file."""
    with wave.open(path) as file:
        return file.getframerate(), file.getnframes()


def noting(notes: list[Any], what: Callable[[Run], Any]) -> Callable[[Run], None]:
    """Return a rune's function that notes something of each run, and is done."""

    def function(run: Run) -> None:
        notes.append(what(run))
        run.reply(message="Done.")

    return function


def kept(page: Page) -> str | None:
    """Return the token that the browser has kept."""
    script = "return JSON.parse(localStorage.getItem('racs-tokens') || '[]')[0]"
    found: str | None = page.js(script)
    return found


@pytest.fixture
def master(page: Page) -> str:
    """The token that the page has made."""
    return page.wait(lambda: kept(page))


@pytest.fixture
def connect(page: Page, base: str, master: str) -> Iterator[Connect]:
    """Connect a rune with parameters and a function, and choose it on the page."""
    with ExitStack() as stack:

        def make(
            params: list[dict[str, Any]], function: Callable[[Run], None], **says: str
        ) -> ScriptedRune:
            rune = stack.enter_context(ScriptedRune(base, master, params, function, **says))
            page.click(f".row[data-token='{rune.token}']")
            page.one("h2", f"{says.get('name', 'Tone')} Ready")
            return rune

        yield make


def choose(page: Page, name: str, path: Path) -> None:
    """Pick a file; the control that opens the picker is not itself to be seen."""
    script = "return [...document.querySelectorAll('input[type=file]')][0]"
    page.js(script).send_keys(str(path))
    page.sees(path.name)


def test_the_token_is_made_once_kept_and_replaced(page: Page, master: str) -> None:
    page.open("#/runes")
    page.press("Token")
    assert page.field("Token").get_property("value") == master
    page.enter("Token", "mine")
    page.press("Use this token")
    page.sees("A token looks like")
    other = "0715c132-8a35-4c7e-9d55-2b6a6c0b6f3e"
    page.enter("Token", other)
    page.press("Use this token")
    page.wait(lambda: not page.all("dialog"))
    page.driver.refresh()
    page.sees("Connect a rune")
    assert kept(page) == other
    page.press("Token")
    assert page.js("return document.querySelector('dialog option').value") == master


def test_a_link_brings_a_token_which_does_not_stay_in_the_address(page: Page, base: str) -> None:
    other = "0715c132-8a35-4c7e-9d55-2b6a6c0b6f3e"
    page.open(f"#{other}")
    page.wait(lambda: kept(page) == other)
    assert page.driver.current_url == f"{base}#/runes/"


def test_the_page_tells_how_to_connect_a_rune(page: Page, base: str, master: str) -> None:
    page.sees(f"racs rune run SCRIPT --hub {base.rstrip('/')} --token {master}")


def test_a_rune_says_what_it_is(page: Page, connect: Connect) -> None:
    connect(NUMBER, Run.reply, name="Reverb", description="Puts sound into a room.")
    page.sees("Reverb", "Ready", "by Ada, version 1.0.0", "Puts sound into a room.")


def test_each_kind_of_parameter_has_its_field_and_its_default(page: Page, connect: Connect) -> None:
    got: list[dict[str, Any]] = []
    connect(PARAMS, noting(got, lambda run: run.values))
    assert page.one("input[type=range]", "amount").get_property("value") == "5"
    assert page.one("[role=switch]", "reverse").is_selected()
    assert page.one("select", "room").get_property("value") == "2"
    page.click("input[type=checkbox]", "No file")
    page.press("Run")
    page.sees("Done.")
    assert got == [DEFAULTS]
    assert type(got[0]["wet"]) is float


def test_what_is_entered_arrives_in_its_type(page: Page, connect: Connect, tmp_path: Path) -> None:
    got: list[tuple[dict[str, Any], tuple[int, int]]] = []
    connect(PARAMS, noting(got, lambda run: (run.values, frames_of(run.values["dry"]))))
    (tmp_path / "take 1.wav").write_bytes(tone())
    choose(page, "dry", tmp_path / "take 1.wav")
    page.one("input[type=range]", "amount").send_keys(Keys.ARROW_RIGHT)
    page.click("input[type=radio]", "cherries")
    page.field("room").send_keys("cave")
    page.enter("wet", "2")
    page.enter("seed", "-7")
    page.click("[role=switch]", "reverse")
    page.enter("prompt", "two\nlines <b>")
    page.press("Run")
    page.sees("Done.")
    ((values, heard),) = got
    assert values.pop("dry").endswith(".wav")
    assert values == {
        "amount": 6,
        "fruit": "cherries",
        "room": "cave",
        "wet": 2.0,
        "seed": -7,
        "reverse": False,
        "prompt": "two\nlines <b>",
    }
    assert type(values["wet"]) is float
    assert heard == (44100, 44100)


def test_wrong_values_are_told_beside_their_fields_and_not_sent(
    page: Page, connect: Connect
) -> None:
    connect(PARAMS, Run.reply)
    page.enter("amount", "11")
    page.enter("wet", "much")
    page.enter("seed", "1.5")
    page.press("Run")
    assert page.complaints() == [
        "At most 10.",
        "Choose a file, or say that there is none.",
        "Write a number.",
        "Write a whole number.",
    ]
    wrong = page.driver.switch_to.active_element
    assert wrong.accessible_name == "amount"
    assert wrong.get_attribute("aria-invalid") == "true"
    assert not page.all(".run")


def test_a_range_of_the_archive_is_an_input(page: Page, hub: Daemon, connect: Connect) -> None:
    with hub.client() as client:
        client.pipeline().create("birds/wren", 44100, 2, 16).execute()
        client.stream("birds/wren").execute(np.arange(2 * 44100 * 4, dtype=np.int32) % 9000)
    heard: list[tuple[int, int]] = []
    connect(PARAMS[1:2], noting(heard, lambda run: frames_of(run.values["dry"])))
    page.press("From the archive")
    page.press("birds/wren")
    page.enter("From", "1" + Keys.TAB)
    page.enter("To", "3.5" + Keys.TAB)
    page.press("Use this range")
    page.sees("birds/wren 0:01.0 – 0:03.5")
    page.press("Run")
    page.sees("Done.")
    assert heard == [(44100, 110250)]


def test_a_file_can_be_dropped(page: Page, connect: Connect) -> None:
    heard: list[tuple[int, int]] = []
    connect(PARAMS[1:2], noting(heard, lambda run: frames_of(run.values["dry"])))
    script = """
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(arguments[0])], "dropped.wav"));
        const drop = new DragEvent("drop", {dataTransfer: transfer, cancelable: true});
        document.querySelector(".drop").dispatchEvent(drop);
    """
    page.js(script, list(tone(16000)))
    page.sees("dropped.wav 32.0 kB")
    page.press("Run")
    page.sees("Done.")
    assert heard == [(44100, 88200)]


def test_files_appear_as_they_come_and_then_all_the_rest(
    page: Page, connect: Connect, tmp_path: Path
) -> None:
    go_on = threading.Event()

    def function(run: Run) -> None:
        run.add_file("tone.wav", "audio", tone())
        go_on.wait(PATIENCE)
        run.add_file("notes.txt", "text", b"first line\n<b>second</b>")
        run.add_file("melody.mid", "midi", b"MThd")
        run.add_file("dot.gif", "image", DOT)
        run.reply(message="A tone of 1 s.", logs="warming up\nready")

    connect(NUMBER, function)
    page.press("Run")
    page.sees("Running", "tone.wav")
    assert "notes.txt" not in page.text
    go_on.set()
    page.sees("A tone of 1 s.", "<b>second</b>", "melody.mid", "In the archive")
    dot = page.one("img", "dot.gif")
    page.wait(lambda: dot.get_property("naturalWidth") == 1)
    page.click("summary")
    page.sees("warming up")
    page.sees("0:00.0 / 0:01.0")
    page.press("Play tone.wav")
    page.wait(lambda: page.one(".clock").text.startswith("0:01.0"), "the end of the tone")
    page.save_to(tmp_path)
    page.click("a", "Download melody.mid")
    file = page.wait(lambda: next(tmp_path.glob("melody.mid"), None))
    assert file.read_bytes() == b"MThd"


def test_an_error_comes_with_advice_and_what_was_made_before(page: Page, connect: Connect) -> None:
    def function(run: Run) -> None:
        run.add_file("half.txt", "text", b"half of it")
        run.reply(
            error="Traceback:\nModuleNotFoundError: No module named 'x'", logs="so far so good"
        )

    connect(NUMBER, function)
    page.press("Run")
    page.sees("Failed", "No module named 'x'", "install it there", "half of it")


def test_runs_wait_in_a_queue_and_can_be_stopped(page: Page, connect: Connect) -> None:
    go_on = threading.Event()

    def function(run: Run) -> None:
        go_on.wait(PATIENCE)
        run.reply(message=f"n={run.values['n']}")

    connect(NUMBER, function)
    page.press("Run")
    page.sees("Running")
    page.enter("n", "2")
    page.press("Run")
    page.sees("after 1 more")
    page.press("Stop")  # the latest comes first
    page.sees("Stopped")
    go_on.set()
    page.sees("n=1")
    assert "n=2" not in page.text


def test_a_run_is_followed_to_its_end_however_many_come_after_it(
    page: Page, connect: Connect, base: str, master: str
) -> None:
    go_on = threading.Event()

    def function(run: Run) -> None:
        go_on.wait(PATIENCE)
        run.reply(message="the first" if run.values["n"] == 1 else "another")

    rune = connect(NUMBER, function)
    page.press("Run")
    page.sees("Running")
    for _ in range(21):  # one more than a page asks for at once
        httpx.post(
            f"{base}api/page/runes/{rune.token}/runs",
            json={"values": {"n": 2}},
            headers={"Authorization": f"Bearer {master}"},
        ).raise_for_status()
    page.sees("after 21 more")
    go_on.set()
    page.sees("the first")
    page.wait(lambda: not page.all(".badge.pending, .run .badge.processing"))


def test_of_many_files_the_first_are_shown_and_then_all(page: Page, connect: Connect) -> None:
    def function(run: Run) -> None:
        for number in range(12):
            run.add_file(f"note-{number:02}.txt", "text", b"la")
        run.reply(message="Sung.")

    connect(NUMBER, function)
    page.press("Run")
    page.sees("Sung.", "note-07.txt")
    assert "note-08.txt" not in page.text
    page.press("Show all 12 files")
    page.sees("note-11.txt")
    assert page.driver.switch_to.active_element.accessible_name == "Download note-08.txt"


def test_a_run_is_kept_and_can_be_run_again_or_changed(page: Page, connect: Connect) -> None:
    got: list[int] = []
    connect(NUMBER, noting(got, lambda run: run.values["n"]))
    page.enter("n", "42")
    page.press("Run")
    page.sees("Done.")
    page.driver.refresh()
    page.sees("n 42", "Done.")
    page.press("Run again")
    page.wait(lambda: got == [42, 42])
    page.wait(lambda: len(page.all(".run")) == 2)
    page.press("Edit")
    assert page.field("n").get_property("value") == "42"


def test_what_a_rune_says_is_never_taken_for_markup(page: Page, connect: Connect) -> None:
    def function(run: Run) -> None:
        run.add_file("page.html", "text", b"<script>parent.hacked=1</script>")
        run.add_file("evil.svg", "image", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>")
        run.files[0]["name"] = HOSTILE
        run.reply(message=HOSTILE, error=f"{HOSTILE}\n{HOSTILE}", logs=HOSTILE)

    params = [
        {
            "name": HOSTILE[:30],
            "type": "str",
            "default_value": HOSTILE,
            "ui_component": "RunesMultiChoice",
            "options": [HOSTILE, "b"],
        }
    ]
    connect(params, function, name=HOSTILE, description=HOSTILE, author=HOSTILE)
    page.press("Run")
    page.sees("Failed", "Logs")
    assert page.js("return window.hacked") is None
    assert page.text.count("onerror") > 5


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_has_room_for_all_of_it(page: Page, connect: Connect, dark: bool) -> None:
    def function(run: Run) -> None:
        run.add_file("tone.wav", "audio", tone())
        run.reply(message="m" * 200, error="e" * 300, logs="l" * 300)

    connect(PARAMS, function, name="N" * 100)
    page.look(360, 740, dark=dark)
    page.click("input[type=checkbox]", "No file")
    page.press("Run")
    page.sees("Failed", "tone.wav", "In the archive")  # after that, nothing of it is made anew
    assert page.js("return document.documentElement.scrollWidth") <= 360
    for element in page.all("main button, main a, main input, main select, main textarea"):
        assert element.accessible_name, element.get_attribute("outerHTML")


def test_keys_are_listed_and_revoked(page: Page, base: str, master: str) -> None:
    made = httpx.post(
        f"{base}api/page/keys",
        json={"name": "tone.py"},
        headers={"Authorization": f"Bearer {master}"},
    ).json()
    page.open("#/runes")
    page.click("summary")
    page.sees("Keys of runes (1)", "tone.py", "no rune has it now")
    with ScriptedRune(made["base"], master, NUMBER, lambda run: None):
        page.sees("Tone\ntone.py, made")
        page.press("Revoke the key of Tone")
        page.wait(lambda: not page.all(".keys"))
        refused = httpx.get(f"{made['base']}api/hub/remote-images/")
        assert refused.status_code == 401
