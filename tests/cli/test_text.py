"""What things look like in a terminal, and what was typed there."""

import zlib
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from racs.cli.board import Board
from racs.cli.likeness import LIKENESS
from racs.cli.meter import Meter
from racs.cli.png import encode_png
from racs.cli.session import Facts, range_text
from racs.cli.text import (
    aligned,
    bars,
    braille,
    describe,
    iso_text,
    length_text,
    size_text,
    time_text,
)
from racs.cli.typing_in import completions, is_complete, open_brackets
from racs.live import StreamEvent


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (99_950, "100 kB"),
     (999_600, "1 MB"), (5 * 10**9, "5 GB"), (2 * 10**18, "2000 PB")],
)  # fmt: skip
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.000 s"), (0.25, "0.250 s"), (12.34, "12.3 s"), (60, "1:00"), (3599.9, "59:59"),
     (3600, "1:00:00"), (86399, "23:59:59"), (30 * 86400 + 3600, "30 d 1 h")],
)  # fmt: skip
def test_lengths(seconds: float, text: str) -> None:
    assert length_text(seconds) == text


def test_columns_are_as_wide_as_they_have_to_be() -> None:
    rows = [("id", "size"), ("鳥", "1 B"), ("robin", "12 kB")]
    assert aligned(rows, right=["size"]) == ["id      size", "鳥       1 B", "robin  12 kB"]


def test_times_in_the_zone_of_who_looks() -> None:
    now = datetime(2026, 3, 10, 20, tzinfo=timezone(timedelta(hours=2)))
    moment = 1773129600123  # 2026-03-10T08:00:00.123Z
    assert time_text(moment, now) == "10:00:00"
    assert time_text(moment - 86_400_000, now) == "2026-03-09 10:00:00"
    assert iso_text(moment) == "2026-03-10T08:00:00.123Z"


def peaks(*levels: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.array([[[-each, each, each]] for each in levels], np.float32)


def test_a_waveform_is_a_line_of_bars_of_6_db() -> None:
    assert bars(peaks(1, 0.5, 0.25, 0.03, 0.004, 0.001, 0)) == "█▇▆▃▁  "
    assert bars(np.zeros((0, 1, 3), np.float32)) == ""


def test_a_waveform_in_braille_is_two_points_in_a_character() -> None:
    assert braille(peaks(1, 1, 0.1), 0, 1) == ["⣿⠆"]
    assert braille(peaks(1, 0.1), 0, 2) == ["⣇", "⡏"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        ("text", "text"),
        ([], "an empty list"),
        ([1, "a"], "1\na"),
        (list(range(22)), "\n".join(map(str, range(20))) + "\n… and 2 more"),
        (b"fLaC1234", "u8v, 8 bytes (FLAC)"),
        (np.array([1 << 14, -5], np.int32), "s32v, 2 values, peak −6.0 dBFS"),
        (np.array([1 << 22], np.int32), "s32v, 1 value, peak −6.0 dBFS"),
        (np.zeros(3, np.int32), "s32v, 3 values, peak silence"),
        (np.zeros(0, np.int32), "s32v, 0 values"),
        (np.array([-0.5, 1], np.float32), "f32v, 2 values, from -0.5 to 1"),
    ],
)
def test_results_are_described(value: object, text: str) -> None:
    assert describe(value) == text


def test_a_range_in_seconds_is_exactly_the_sample_frames_that_are_meant() -> None:
    for rate in (1, 8000, 44100, 48000, 767_999):
        facts = Facts("it's", rate, 1, 16, 0, 0, False, -1)
        for first, stop in ((0, 1), (1, 2), (44099, 44101), (10**11 + 1, 10**11 + 7)):
            _, name, start, length = range_text(facts, first, stop).split(" ")
            assert name == r"'it\'s'"
            begin, span = (int(each.replace(".", "")) for each in (start, length))
            assert (-(-begin * rate // 10**9), -(-(begin + span) * rate // 10**9)) == (first, stop)


def test_the_meter_shows_peak_and_rms() -> None:
    for depth, packed in ((16, b"\0\x40\0\xc0"), (24, b"\0\0\x40\0\0\xc0")):
        meter = Meter(1, depth)
        meter.add(packed)
        meter.add(b"")
        assert meter.take() == (0.5, 0.5)
        assert meter.take() == (0.0, 0.0)
        assert meter.picture().plain == "·" * 30 + "     silence"


def test_a_picture_is_a_png_file() -> None:
    png = encode_png(np.array([[0, 1], [1, 1]], np.uint8), [(0, 0, 0), (255, 128, 0)])
    assert png[:33] == bytes.fromhex(
        "89504e470d0a1a0a 0000000d 49484452 00000002 00000002 08 03 00 00 00 4568fd16"
    )
    assert png[33:51] == bytes.fromhex("00000006 504c5445 000000 ff8000") + png[47:51]
    length = int.from_bytes(png[51:55], "big")
    assert zlib.decompress(png[59 : 59 + length]) == b"\0\0\1\0\1\1"
    assert png[-12:] == bytes.fromhex("00000000 49454e44 ae426082")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("(+ 1 2)", 0),
        ("(let ((a 1))", 1),
        ("[a (b", 2),
        ("(a))", -1),
        ('(a "(" )', 0),
        ("(a ; (((\n)", 0),
        (r"(a #\( )", 0),
        ("(a |(| )", 0),
    ],
)
def test_brackets_are_counted_but_not_in_strings_and_comments(text: str, count: int) -> None:
    assert open_brackets(text) == count


@pytest.mark.parametrize(
    ("text", "complete"),
    [("PING", True), ("LIST '(", True), ("(a", False), ('(a "b', False), ('(a "b)', False),
     ('(a "b")', True), ("(a))", True)],
)  # fmt: skip
def test_a_program_is_complete_when_its_brackets_are_closed(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("", []),
        ("p", [("PEAKS", 1), ("PING", 1)]),
        ("RANGE 'a' 0 1 |> pe", [("PEAKS", 2)]),
        ("(pi", [("ping", 2)]),
        ("INFO 'bi", [("birds/robin", 2), ("birds/wren", 2)]),
        ('(info "birds/w', [("birds/wren", 7)]),
        ("INFO 'birds/robin' ", []),
        ("INFO pi", []),
        ("x", []),
    ],
)
def test_a_word_becomes_a_command_or_a_stream(before: str, found: list[tuple[str, int]]) -> None:
    ids = ["birds/robin", "birds/wren"]
    assert completions(before, ["PEAKS", "PING", "RANGE"], ids) == found


def test_the_board_shows_what_is_open_and_how_fast_it_comes() -> None:
    board = Board()
    stream = Facts("a", 8000, 1, 16, 1, 16_000, True, -1)
    closed = Facts("b", 8000, 1, 16, 1, 16_000, False, -1)
    board.begin([stream, closed], 100.0)
    assert [row.id for row in board.rows(100.0)] == ["a"]
    for second in range(10):
        event = StreamEvent(second, "appended", "b", 0, second * 8000, (second + 1) * 8000)
        board.take(event, 101.0 + second)
    rows = board.rows(110.0)
    assert [(row.id, row.is_open, row.frames, row.rate(110.0)) for row in rows] == [
        ("b", True, 80_000, pytest.approx(8000, rel=0.25)),
        ("a", True, 8000, 0),
    ]
    board.take(StreamEvent(11, "closed", "b"), 111.0)
    board.take(StreamEvent(12, "deleted", "a"), 111.0)
    assert [(row.id, row.is_open) for row in board.rows(111.0)] == [("b", False)]
    assert board.rows(120.0) == []


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("peak −3.0 dBFS … –", "ascii", b"peak -3.0 dBFS . -"),
        ("✓ ✗ ● ○ █·┃", "latin-1", b"+ x * o #\xb7|"),
        (" ▁▂▃▄▅▆▇█", "ascii", b" .:-=+*##"),
        ("⠀⣿⠁", "ascii", b" ##"),
        ("é→ü", "latin-1", b"\xe9>\xfc"),
        ("日", "ascii", b"?"),
    ],
)
def test_what_a_terminal_cannot_show_is_told_by_a_likeness(
    text: str, encoding: str, told: bytes
) -> None:
    assert text.encode(encoding, LIKENESS) == told
