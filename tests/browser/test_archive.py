"""The archive on the page: found, seen, heard, zoomed into, downloaded and cited."""

import io
import wave
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import ActionChains, Keys

from tests.browser.chromium import Page
from tests.e2e.daemon import Daemon

RATE = 8000
SECONDS = 20
HOSTILE = '<img src=x onerror="window.hacked=1">/%41\'"&amp;'


@pytest.fixture(scope="module")
def samples(hub: Daemon) -> np.ndarray:
    """What is in each of the streams: stereo, louder as it goes on."""
    frames = np.arange(RATE * SECONDS)
    left = (np.sin(frames / 7) * frames / frames[-1] * 30000).astype(np.int32)
    samples = np.stack([left, -left // 2], 1)
    with hub.client() as client:
        for name in ("birds/wren", "birds/robin", "chopin", HOSTILE):
            client.pipeline().create(name, RATE, 2, 16).execute()
            client.stream(name).execute(samples.ravel())
    return samples


@pytest.fixture
def archive(page: Page, samples: np.ndarray) -> Page:
    page.open("#/archive")
    page.sees("4 streams")
    return page


@pytest.fixture
def wren(archive: Page) -> Page:
    archive.press("birds/wren")
    archive.one("h2", "birds/wren")
    archive.wait(lambda: drawn(archive))
    return archive


def drawn(page: Page) -> int:
    """Return how many pixels of the waveform have something to show; 0 before there is one."""
    script = """
        const canvas = document.querySelector(".waveform canvas");
        if (!canvas || !canvas.width || !canvas.height) return 0;
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((value, index) => index % 4 === 3 && value).length - 3 * canvas.width;
    """
    return max(0, int(page.js(script)))


def shown(page: Page) -> tuple[str, str]:
    """Return the range that is shown, as its fields say it."""
    return str(page.field("From").get_property("value")), str(
        page.field("To").get_property("value")
    )


def extracted(page: Page, hub: Daemon) -> np.ndarray:
    """Return what the line of Python on the page extracts."""
    line = page.one("code.python").text
    with hub.client() as r:
        found = eval(line, {"r": r, "datetime": datetime})
    return np.asarray(found).reshape(-1, 2)


def test_streams_are_found_by_a_word_or_a_pattern(archive: Page) -> None:
    archive.enter("Streams", "birds/*")
    archive.sees("2 streams")
    assert [each.text for each in archive.all(".streams button")] == ["birds/robin", "birds/wren"]
    archive.enter("Streams", "hop")
    archive.sees("1 stream")
    archive.enter("Streams", "nothing like it")
    archive.sees("No stream matches.")


def test_of_many_streams_the_first_are_shown_and_then_more(archive: Page, hub: Daemon) -> None:
    with hub.client() as client:
        for number in range(201):
            client.pipeline().create(f"many/{number:03}", RATE, 1, 16).execute()
    archive.enter("Streams", "many/*")
    archive.sees("The first 200 streams; there are more.")
    archive.press("Show more")
    archive.sees("201 streams")
    last = archive.js("return [...document.querySelectorAll('.streams button')].at(-1).dataset.id")
    assert last == "many/200"
    assert not archive.all(".stream-list > button")
    with hub.client() as client:
        for number in range(201):
            client.execute_command(f"DELETE 'many/{number:03}'")


def test_a_stream_tells_its_format_and_length(wren: Page) -> None:
    wren.sees("8 kHz, 16 bits, stereo", "20 s")
    assert shown(wren) == ("0:00.00", "0:20.00")


def test_buttons_and_keys_zoom_and_move(wren: Page) -> None:
    wave = wren.one("[role=slider]")
    wren.press("Zoom in")
    assert shown(wren) == ("0:05.00", "0:15.00")
    wren.press("Later")
    assert shown(wren) == ("0:10.00", "0:20.00")
    wave.send_keys("+")
    assert shown(wren) == ("0:10.00", "0:15.00")
    wave.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    assert shown(wren) == ("0:11.25", "0:16.25")
    wave.send_keys(Keys.NULL, "0")
    assert shown(wren) == ("0:00.00", "0:20.00")


def test_two_fingers_zoom_and_what_is_under_them_stays(wren: Page) -> None:
    wren.look(375, 800)
    wren.driver.refresh()
    wren.wait(lambda: drawn(wren))
    wave = wren.one("[role=slider]")
    wren.js("arguments[0].scrollIntoView()", wave)
    box = wren.js("return arguments[0].getBoundingClientRect().toJSON()", wave)
    quarter, y = box["width"] / 4, box["top"] + box["height"] / 2

    def at(*quarters: float) -> list[tuple[float, float]]:
        return [(box["left"] + each * quarter, y) for each in quarters]

    wren.touch(at(1.5, 2.5), at(1.2, 2.8), at(1, 3))
    assert seconds(wren) == pytest.approx((5, 15), abs=0.2)
    assert wren.wait(lambda: drawn(wren))
    wren.touch(at(1, 3), at(2, 4))
    assert seconds(wren) == pytest.approx((2.5, 12.5), abs=0.3)
    wren.touch(at(0.1, 3.9), at(1.9, 2.1))
    assert shown(wren) == ("0:00.00", "0:20.00")


def seconds(page: Page) -> tuple[float, ...]:
    """Return the range that is shown, in seconds."""
    return tuple(float(each.removeprefix("0:")) for each in shown(page))


def test_dragging_shows_what_was_dragged_over(wren: Page) -> None:
    wave = wren.one("[role=slider]")
    width = wave.size["width"]
    drag = ActionChains(wren.driver).move_to_element_with_offset(wave, -width // 4, 0)
    drag.click_and_hold().move_by_offset(width // 2, 0).release().perform()
    assert seconds(wren) == pytest.approx((5, 15), abs=0.1)


def test_the_wheel_zooms_where_the_pointer_is(wren: Page) -> None:
    wave = wren.one("[role=slider]")
    origin = ActionChains(wren.driver).move_to_element(wave)
    origin.perform()
    wheel = (
        "arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: -100, clientX: arguments[1],"
    )
    wren.js(f"{wheel} bubbles: true, cancelable: true}}))", wave, wave.rect["x"] + 0.1)
    assert shown(wren) == ("0:00.00", "0:10.00")


def test_times_can_be_written_and_wrong_ones_are_told(wren: Page) -> None:
    wren.enter("From", "2.5" + Keys.ENTER)
    wren.enter("To", "0:03.25" + Keys.ENTER)
    assert shown(wren) == ("0:02.5000", "0:03.2500")
    wren.enter("To", "soon" + Keys.ENTER)
    wren.sees("Write a time as 75.5 or 1:15.5.")


def test_the_python_line_extracts_exactly_what_is_shown(
    wren: Page, hub: Daemon, samples: np.ndarray
) -> None:
    assert np.array_equal(extracted(wren, hub), samples)
    wren.enter("From", "1.0001" + Keys.ENTER)
    wren.enter("To", "1.0012" + Keys.ENTER)
    wren.enter("From", "1.00055" + Keys.ENTER)
    assert np.array_equal(extracted(wren, hub), samples[8004:8010])


def test_the_range_that_is_shown_is_downloaded(
    wren: Page, tmp_path: Path, samples: np.ndarray
) -> None:
    wren.save_to(tmp_path)
    wren.press("Zoom in")
    wren.press("Download")
    file = wren.wait(lambda: next(tmp_path.glob("birds_wren*.wav"), None))
    with wave.open(io.BytesIO(file.read_bytes())) as found:
        assert found.getparams()[:3] == (2, 2, RATE)
        data = np.frombuffer(found.readframes(RATE * SECONDS), "<i2").reshape(-1, 2)
    assert np.array_equal(data, samples[5 * RATE : 15 * RATE])


def test_other_formats_and_rates_are_downloaded(wren: Page, tmp_path: Path) -> None:
    wren.save_to(tmp_path)
    for name, text in (("Format", "FLAC"), ("Sample rate", "16 kHz"), ("Channels", "mono")):
        wren.field(name).send_keys(text)
    wren.press("Download")
    file = wren.wait(lambda: next(tmp_path.glob("birds_wren*.flac"), None))
    assert file.read_bytes()[:4] == b"fLaC"


def test_it_plays_from_where_one_seeks_to(wren: Page) -> None:
    wren.one("[role=slider]").send_keys(Keys.HOME, Keys.PAGE_UP)  # most of it is still to come
    clock = wren.one(".clock")
    wren.wait(lambda: clock.text.startswith("0:02.0"), "the place")
    wren.press("Play birds/wren")
    wren.wait(lambda: clock.text[:6] > "0:02.0", "playing")
    wren.press("Pause birds/wren")
    wren.one("button", "Play birds/wren")


def test_an_id_is_never_taken_for_markup(archive: Page, hub: Daemon, samples: np.ndarray) -> None:
    archive.press(HOSTILE)
    archive.one("h2", HOSTILE)
    archive.wait(lambda: drawn(archive))
    assert np.array_equal(extracted(archive, hub), samples)
    assert archive.js("return [window.hacked, document.querySelectorAll('main img').length]") == [
        None,
        0,
    ]


def test_a_phone_has_room_for_all_of_it(wren: Page) -> None:
    wren.look(360, 740, dark=True)
    assert wren.js("return document.documentElement.scrollWidth") <= 360
    assert wren.js("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"


def test_everything_has_a_name_for_screen_readers(wren: Page) -> None:
    for element in wren.all("button, a, input, select, [role=slider]"):
        assert element.accessible_name, element.get_attribute("outerHTML")
