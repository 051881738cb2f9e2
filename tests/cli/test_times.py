"""What people write for times, and which sample frames it means."""

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from racs.cli.times import Audio, WrongTimeError, find_range, parse_duration, parse_time

RATE = 1000
BEGIN = datetime(2026, 3, 10, 10, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 10, 20, 0, tzinfo=UTC)
HOUR = Audio(int(BEGIN.timestamp() * 1000), RATE, 3600 * RATE, NOW, UTC)
"""An hour of audio, from 10 to 11 o'clock; now it is 20 o'clock."""
NIGHT = Audio(int(BEGIN.timestamp() * 1000), RATE, 15 * 3600 * RATE, NOW, UTC)
"""From 10 o'clock until 1 o'clock of the next day."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-10T10:00:01.5Z", 1.5),
        ("2026-03-10 10:00:02", 2),
        ("2026-03-10t12:00:03+02:00", 3),
        ("2026-03-10T12:00:03+0200", 3),
        ("2026-03-10T10:00:00.000000001Z", Fraction(1, 10**9)),
        ("2026-03-10", -36000),
        ("today 10:15", 900),
        ("Today 10:15:30.25", 930.25),
        ("today", -36000),
        ("yesterday 10:00", -86400),
        ("10:15", 900),
        ("10:15:07", 907),
        ("9:30", -1800),
        ("11:30", 5400 - 86400),
        ("now", 36000),
        ("-30s", 3570),
        ("-5m", 3300),
        ("-1h", 0),
        ("-1m30s", 3510),
        ("-0.1", Fraction(35999, 10)),
        ("12.5", 12.5),
        ("0.1", Fraction(1, 10)),
        (".5", 0.5),
        ("90s", 90),
        ("1m 30s", 90),
        ("250ms", 0.25),
        ("+5m", 300),
        ("0", 0),
        (f"{HOUR.ref + 1500}", 1.5),
        ("  12.5 ", 12.5),
    ],
)
def test_a_time_in_seconds_after_the_begin(text: str, seconds: Fraction | float) -> None:
    assert parse_time(text, HOUR) == seconds


def test_clocks_are_those_of_the_zone_on_that_day() -> None:
    summer = datetime(2026, 7, 1, 8, tzinfo=UTC)
    audio = Audio(int(summer.timestamp() * 1000), RATE, RATE, NOW, BERLIN)
    assert parse_time("2026-07-01 10:00", audio) == 0
    assert parse_time("2026-07-01T10:00:00Z", audio) == 7200
    assert parse_time("10:00", audio) == 0


@pytest.mark.parametrize(
    "text",
    [
        "tomorow",
        "",
        "-",
        "25:00",
        "10:61",
        "2026-02-30",
        "today 14",
        "5 parsecs",
        "1e3",
        "--5s",
        "inf",
        "30s ago",
    ],
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(WrongTimeError, match="is no time"):
        parse_time(text, HOUR)


def test_a_wrong_time_is_answered_with_examples() -> None:
    with pytest.raises(WrongTimeError, match=r"'tomorow' is no time; write one like 2023-12-25T22"):
        parse_time("tomorow", HOUR)
    for wrong in ("24:00", "2026-02-30", "today 9:60"):
        with pytest.raises(WrongTimeError, match=r" \(.*\); write one like 2023-12-25T22"):
            parse_time(wrong, HOUR)


def test_a_minus_sign_is_as_good_as_a_hyphen() -> None:
    assert parse_time("−30s", HOUR) == parse_time("-30s", HOUR)


@pytest.mark.parametrize(
    ("frm", "to", "last", "seconds"),
    [
        (None, None, None, (0, 3600)),
        ("10:15..10:20", None, None, (900, 1200)),
        ("10:15", "10:20", None, (900, 1200)),
        ("10:15", "+30s", None, (900, 930)),
        ("-30s", None, None, (3570, 3600)),
        ("-30s", "-10s", None, (3570, 3590)),
        (None, None, "30s", (3570, 3600)),
        (None, None, "-30s", (3570, 3600)),
        (None, None, "2h", (0, 3600)),
        ("10..20.5", None, None, (10, 20.5)),
        ("10..", None, None, (10, 3600)),
        ("..20", None, None, (0, 20)),
        (None, "20", None, (0, 20)),
        (None, "+20s", None, (0, 20)),
        ("yesterday", "now", None, (0, 3600)),
    ],
)
def test_a_range(
    frm: str | None, to: str | None, last: str | None, seconds: tuple[float, float]
) -> None:
    first, stop = find_range(HOUR, frm, to, last)
    assert (first / RATE, stop / RATE) == seconds


def test_a_range_of_clock_times_may_go_past_midnight() -> None:
    assert find_range(NIGHT, "23:55..00:05") == (50100 * RATE, 50700 * RATE)


def test_adjoining_ranges_join_at_rates_that_no_clock_divides() -> None:
    audio = Audio(HOUR.ref, 44100, 44100 * 60, NOW, UTC)
    assert find_range(audio, "0..0.1") == (0, 4410)
    assert find_range(audio, "0.1..0.100001") == (4410, 4411)
    assert find_range(audio, "0.100001..1")[0] == 4411


@pytest.mark.parametrize(
    ("frm", "to", "last", "message"),
    [
        ("20", "10", None, "ends .* before it begins"),
        ("10..20", "30", None, "leave --to out"),
        ("10", None, "5s", "leave --from and --to out"),
        ("7200", None, None, "no audio in that range"),
        ("99999999999d", "10:15", None, "is no time of day"),
        ("09:00..09:30", None, None, "no audio in that range: the stream has 3600.000 s"),
        ("10:00", "25:00", None, "is no time of day"),
        (None, None, "soon", "'soon' is no length of time; write 30s"),
    ],
)
def test_a_range_that_means_nothing_is_told(
    frm: str | None, to: str | None, last: str | None, message: str
) -> None:
    with pytest.raises(WrongTimeError, match=message):
        find_range(HOUR, frm, to, last)


def test_a_stream_without_audio_has_an_empty_range() -> None:
    assert find_range(Audio(0, RATE, 0, NOW, UTC)) == (0, 0)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2592000), ("1w", 604800), ("1h30m", 5400), ("45", 45)]
)
def test_a_length_of_time(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5x", "1h foo"])
def test_what_is_no_length_of_time_is_told(text: str) -> None:
    with pytest.raises(WrongTimeError, match="is no length of time; write 30s"):
        parse_duration(text)
