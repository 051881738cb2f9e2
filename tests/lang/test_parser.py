"""The command language by example: what each form means, exactly."""

import contextlib
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs_server.errors import CommandError
from racs_server.lang import Integer, Literal, Real, Span, String, Time, parse

SECOND = 10**9


def argument(word: str) -> Literal:
    """Parse a word as the only argument of a command."""
    (command,) = parse(f"X {word}").commands
    (literal,) = command.arguments
    return literal


@pytest.mark.parametrize("text", ["ping", "PING", "PiNg", " \t\r\n ping \n", "\N{EM SPACE}PING"])
def test_names_come_in_any_letter_case_amid_any_white_space(text: str) -> None:
    (command,) = parse(text).commands
    assert command.name == "PING"
    assert command.arguments == ()


def test_a_pipeline_is_its_commands_in_order() -> None:
    pipeline = parse("A 1|>b_2 'x'\n|>\n  C")
    assert [command.name for command in pipeline.commands] == ["A", "B_2", "C"]
    assert [len(command.arguments) for command in pipeline.commands] == [1, 1, 0]


def test_every_node_knows_its_place_in_the_text() -> None:
    text = " extract  'a b'\t-1.5 |> ping"
    extract, ping = parse(text).commands
    arguments = [literal.span for literal in extract.arguments]
    places = [extract.span, extract.name_span, *arguments, ping.span]
    assert [text[start:end] for start, end in places] == [
        "extract  'a b'\t-1.5",
        "extract",
        "'a b'",
        "-1.5",
        "ping",
    ]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("''", ""),
        ('""', ""),
        ("'a'", "a"),
        ('"a"', "a"),
        (r"'it\'s'", "it's"),
        ('"it\'s"', "it's"),
        (r"'say \"hi\"'", 'say "hi"'),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"say \"hi\""', 'say "hi"'),
        (r"'C:\music'", r"C:\music"),
        (r"'a\\'", "a\\"),
        (r"'\\\\'", r"\\"),
        (r"'\\\''", "\\'"),
        (r"'\n'", r"\n"),
        ("'two\nlines'", "two\nlines"),
        ("'a |> b, c'", "a |> b, c"),
        ("'naïve/日本 🎵'", "naïve/日本 🎵"),
    ],
)
def test_strings(word: str, value: str) -> None:
    assert argument(word) == String(value, Span(2, 2 + len(word)))


def test_scheme_text_means_the_same_with_and_without_escapes() -> None:
    assert argument("""'(info "x" "size")'""") == String('(info "x" "size")', Span(2, 21))
    escaped = argument(r"""'(info \"x\" \"size\")'""")
    assert escaped == String('(info "x" "size")', Span(2, 25))


@given(st.text(), st.sampled_from("'\""))
def test_a_quoted_text_comes_back_as_it_was(value: str, quote: str) -> None:
    word = quote + value.replace("\\", r"\\").replace(quote, "\\" + quote) + quote
    assert argument(word) == String(value, Span(2, 2 + len(word)))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("-1", -1),
        ("007", 7),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("-" + "0" * 5000 + "12", -12),
    ],
)
def test_integers(word: str, value: int) -> None:
    assert argument(word) == Integer(value, Span(2, 2 + len(word)))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0.1", Fraction(1, 10)),
        ("-1.", Fraction(-1)),
        (".25", Fraction(1, 4)),
        ("+.5", Fraction(1, 2)),
        ("1e-05", Fraction(1, 100_000)),
        ("2.5E3", Fraction(2500)),
        ("1e+2", Fraction(100)),
        ("-0.0", Fraction(0)),
        ("1e308", Fraction(10**308)),
        ("1e-308", Fraction(1, 10**308)),
        ("0.30000000000000004", Fraction(30000000000000004, 10**17)),
    ],
)
def test_floats_are_exactly_the_decimal_number_written(word: str, value: Fraction) -> None:
    assert argument(word) == Real(value, Span(2, 2 + len(word)))


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_what_python_writes_for_a_float_is_read_exactly(value: float) -> None:
    assert argument(repr(value)) == Real(Fraction(repr(value)), Span(2, 2 + len(repr(value))))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", SECOND),
        ("1969-12-31T23:59:59Z", -SECOND),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2023-12-25T22:30:45.123Z", 1_703_543_445_123_000_000),
        ("2023-12-25T23:30:45.123+01:00", 1_703_543_445_123_000_000),
        ("2023-12-25T17:00:45.123-05:30", 1_703_543_445_123_000_000),
        ("1970-01-01T00:00:00-00:00", 0),
        ("2024-02-29T00:00:00Z", 1_709_164_800 * SECOND),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * SECOND),
        ("9999-12-31T23:59:59Z", 253_402_300_799 * SECOND),
    ],
)
def test_times_are_whole_nanoseconds_since_the_epoch(word: str, value: int) -> None:
    assert argument(word) == Time(value, Span(2, 2 + len(word)))


@given(st.datetimes(), st.integers(-1439, 1439))
def test_times_agree_with_the_calendar_of_python(moment: datetime, offset: int) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    word = f"{moment.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    value = (since // timedelta(microseconds=1)) * 1000 - offset * 60 * SECOND
    assert argument(word) == Time(value, Span(2, 2 + len(word)))


WORDS = st.sampled_from(
    ["PING", "|>", "|", "'", '"', "\\", "'a'", "1", "-", ".5", "1e", "2025-01-01", "T00:00:00Z"]
)


WORD_LISTS = st.lists(WORDS | st.text(max_size=3))


@given(st.text() | WORD_LISTS.map(" ".join) | WORD_LISTS.map("".join))
def test_any_text_is_a_pipeline_or_a_short_command_error(text: str) -> None:
    with contextlib.suppress(CommandError):
        assert parse(text).commands
        return
    with pytest.raises(CommandError) as caught:
        parse(text)
    assert len(str(caught.value)) < 500
