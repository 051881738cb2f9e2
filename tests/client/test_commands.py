"""How Python values are written in commands."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs import RacsException, RacsTypeError, RacsValueError
from racs.commands import (
    checked_int,
    checked_text,
    checked_time,
    command,
    may_change_mode,
    quote,
)


def unquote(text: str) -> tuple[str, str]:
    r"""Read one string by the protocol's rule; return it, and what follows its quotes.

    A backslash escapes either quote or a backslash, and stands for itself before anything else.
    """
    mark = text[0]
    assert mark in "'\""
    value = ""
    at = 1
    while text[at] != mark:
        if text[at] == "\\" and text[at + 1] in "'\"\\":
            at += 1
        value += text[at]
        at += 1
    return value, text[at + 1 :]


nasty = st.text(
    st.one_of(st.sampled_from("'\"\\ \n\0|>"), st.characters(exclude_categories=["Cs"]))
)


@given(nasty, nasty)
def test_no_text_breaks_out_of_its_quotes(text: str, after: str) -> None:
    assert unquote(quote(text) + after) == (text, after)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("chopin", "'chopin'"),
        ("", "''"),
        ("it's", r"'it\'s'"),
        ('say "a"', "'say \"a\"'"),
        ("C:\\", r"'C:\\'"),
        ("\\'", r"'\\\''"),
        ("' |> SHUTDOWN |> PING '", r"'\' |> SHUTDOWN |> PING \''"),
        ("naïve/日本", "'naïve/日本'"),
        ("tab\tNUL\0", "'tab\tNUL\0'"),
    ],
)
def test_quoted(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_command() -> None:
    assert command("CREATE", "a'b", 44100, 2) == r"CREATE 'a\'b' 44100 2"
    assert command("PING") == "PING"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("STREAM 'a'", True),
        ("  stream\t'a'", True),
        ("PING |> STREAM 'a'", True),
        ("FOLLOW 'a'", True),
        ("SUBSCRIBE 'a'", True),
        ("INFO 'a stream' 'size'", False),
        (r"INFO 'it\'s a stream' 'size'", False),
        (r"""INFO "my \"stream" 'size'""", False),
        ("OPEN 'stream", True),
        ("LIST '*'", False),
        ("UPSTREAM", False),
    ],
)
def test_what_may_change_a_connections_mode(text: str, *, changes: bool) -> None:
    assert may_change_mode(text) is changes


@pytest.mark.parametrize("value", [0, -5, 2**70, np.int16(7), np.uint64(2**63)])
def test_ints(value: Any) -> None:
    assert checked_int(value, "n") == int(value)
    assert type(checked_int(value, "n")) is int


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "1", None, np.float32(1), [1]])
def test_no_ints(value: object) -> None:
    with pytest.raises(RacsTypeError, match="channels must be an int, not") as caught:
        checked_int(value, "channels")
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, RacsException)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [b"chopin", None, 3, ["chopin"]])
def test_no_text(value: object) -> None:
    with pytest.raises(RacsTypeError, match="stream_id must be a str, not"):
        checked_text(value, "stream_id")


def test_text_that_cannot_be_sent() -> None:
    with pytest.raises(RacsValueError, match=r"lone surrogate .* at index 2"):
        checked_text("ab\udc80", "stream_id")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2023, 12, 25, 22, 30, 45, 123456, UTC), "2023-12-25T22:30:45.123456Z"),
        (datetime(2023, 12, 25, tzinfo=UTC), "2023-12-25T00:00:00.000000Z"),
        (
            datetime(2024, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2023-12-31T19:00:00.000000Z",
        ),
        (datetime(50, 1, 1, tzinfo=UTC), "0050-01-01T00:00:00.000000Z"),
        (1_703_543_445_123, "1703543445123"),
        (-1, "-1"),
        (np.int64(7), "7"),
    ],
)
def test_times(value: datetime | int, text: str) -> None:
    assert checked_time(value, "frm") == text


def test_naive_datetime_is_refused_with_a_hint() -> None:
    with pytest.raises(RacsValueError, match=r"frm is .*without a time zone.*timezone\.utc"):
        checked_time(datetime(2023, 12, 25), "frm")


def test_time_outside_of_the_calendar() -> None:
    with pytest.raises(RacsValueError, match="to is"):
        checked_time(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=3))), "to")


@pytest.mark.parametrize("value", [1.5, "2023-12-25", None, True])
def test_no_times(value: object) -> None:
    with pytest.raises(RacsTypeError, match="frm must be a datetime with a time zone, or an int"):
        checked_time(value, "frm")


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_exact_to_the_microsecond(value: datetime) -> None:
    assert datetime.fromisoformat(checked_time(value, "frm")) == value
