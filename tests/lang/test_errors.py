"""What the command language says of texts that it cannot read."""

import pytest

from racs_server.errors import CommandError
from racs_server.lang import Span, error_at, parse


def message(text: str) -> str:
    with pytest.raises(CommandError) as caught:
        parse(text)
    return str(caught.value)


def test_an_error_names_the_place_and_shows_it() -> None:
    assert message("CREATE g1 44100 2 16") == (
        "CREATE, argument 1 at character 8: expected an argument (quoted text, a number or a"
        " time), |> or the end, found 'g1'; text stands in quotes: 'g1'; a further command comes"
        " after |>\n"
        "    CREATE g1 44100 2 16\n"
        "           ^^"
    )


def test_a_place_in_a_text_of_several_lines() -> None:
    assert message("PING |>\n\tinfo 'g1'\n  size\n|> PING").splitlines() == [
        "INFO, argument 2 at line 3, character 3: expected an argument (quoted text, a number or a"
        " time), |> or the end, found 'size'; text stands in quotes: 'size'; a further command"
        " comes after |>",
        "      size",
        "      ^^^^",
    ]


@pytest.mark.parametrize("text", ["", " ", "\n", "\t\r\n "])
def test_an_empty_command(text: str) -> None:
    assert message(text) == "empty command: expected the name of a command, such as PING"


@pytest.mark.parametrize(
    ("text", "subject", "marked", "says"),
    [
        ("PING |>", "command 2", " ", "add a command or leave out the last |>"),
        ("|> PING", "command 1", "|>", "no command stands before this |>"),
        ("PING |> |> PING", "command 2", "|>", "no command stands before this |>"),
        ("1", "command 1", "1", "a command starts with its name"),
        ("1.5", "command 1", "1.5", "a command starts with its name"),
        ("'a b' 1", "command 1", "'a b'", "a command starts with its name"),
        (
            "A |> 2025-01-01T00:00:00Z",
            "command 2",
            "2025-01-01T00:00:00Z",
            "starts with its name",
        ),
        ("日本", "command 1", "日本", "a command starts with its name"),
        ("PING'a'", "command 1", "PING", "white space separates a command from its arguments"),
        ("PING PING", "PING, argument 1", "PING", "a further command comes after |>"),
        ("PING,", "PING, argument 1", ",", "white space alone separates, without commas"),
        ("A 'x', 1", "A, argument 2", ",", "white space alone separates, without commas"),
        ("A 1,5", "A, argument 2", ",", "white space alone separates, without commas"),
        ("OPEN 'a' | CLOSE 'a'", "OPEN, argument 2", "|", "commands are joined by |>"),
        ("OPEN 'a'|CLOSE 'a'", "OPEN, argument 2", "|", "commands are joined by |>"),
        ("PING | PING", "PING, argument 1", "|", "commands are joined by |>"),
        ("PING 'unterminated", "PING, argument 1", "'", "no closing '"),
        ("PING \"unterminated'", "PING, argument 1", '"', 'no closing "'),
        ("'unterminated", "command 1", "'", "no closing '"),
        (r"OPEN 'C:\'", "OPEN, argument 1", "'", r"\' does not end it, and \\ is a backslash"),
        ("OPEN 'it's'", "OPEN, argument 1", "s", r"a ' inside text is written \'"),
        ("OPEN 'a''b'", "OPEN, argument 1", "'", "expected white space after quoted text"),
        ("OPEN “x”", "OPEN, argument 1", "“x”", "text stands in plain quotes"),
        ("OPEN `x`", "OPEN, argument 1", "`x`", "text stands in plain quotes"),
        ("EVAL (+ 1 2)", "EVAL, argument 1", "(+", "quote an expression"),
        ("GAIN nan", "GAIN, argument 1", "nan", "every number is finite"),
        ("GAIN -Infinity", "GAIN, argument 1", "-Infinity", "every number is finite"),
        ("GAIN 1.5.2", "GAIN, argument 1", "1.5.2", "numbers are written like 44100"),
        ("GAIN 12kHz", "GAIN, argument 1", "12kHz", "numbers are written like 44100"),
        ("GAIN ٣", "GAIN, argument 1", "٣", "expected an argument"),
        ("GAIN 1e309", "GAIN, argument 1", "1e309", "exponents go from -308 to 308"),
        ("GAIN 1e-309", "GAIN, argument 1", "1e-309", "exponents go from -308 to 308"),
        ("GAIN 9223372036854775808", "GAIN, argument 1", "9223372036854775808", "64 bits"),
        ("X 2025-01-01", "X, argument 1", "2025-01-01", "a date needs its time of day too"),
        ("X 2025-01-01 00:00:00Z", "X, argument 1", "2025-01-01", "like 2025-01-01T00:00:00Z"),
        ("X 00:00:00Z", "X, argument 1", "00:00:00Z", "a time needs its date"),
        ("X 2025-01-01T00:00:00", "X, argument 1", "2025-01-01T00:00:00", "ends with Z (UTC)"),
        ("X 2025-01-01T00:00Z", "X, argument 1", "2025-01-01T00:00Z", "times are written like"),
        (
            "X 2025-01-01T00:00:00.1234567890Z",
            "X, argument 1",
            "2025-01-01T00:00:00.1234567890Z",
            "at most 9 digits",
        ),
    ],
)
def test_common_mistakes_get_a_hint(text: str, subject: str, marked: str, says: str) -> None:
    first, line, caret = message(text).splitlines()
    assert first.startswith(f"{subject} at character ")
    assert says in first
    assert line == f"    {text}"
    at = caret.index("^")
    assert f"at character {at - 3}:" in first
    assert line.ljust(at + 1)[at:][: caret.count("^")] == marked


@pytest.mark.parametrize(
    ("time", "says"),
    [
        ("2025-02-30T00:00:00Z", "there is no day 30 in 2025-02; that month has 28 days"),
        ("2025-02-29T00:00:00Z", "there is no day 29 in 2025-02; that month has 28 days"),
        ("2025-01-00T00:00:00Z", "there is no day 00 in 2025-01"),
        ("2025-00-01T00:00:00Z", "there is no month 00"),
        ("2025-13-01T00:00:00Z", "there is no month 13"),
        ("0000-01-01T00:00:00Z", "there is no year 0000"),
        ("2025-01-01T24:00:00Z", "there is no 24:00:00 on the clock"),
        ("2025-01-01T00:60:00Z", "there is no 00:60:00 on the clock"),
        ("2025-01-01T00:00:61Z", "there is no 00:00:61 on the clock"),
        ("2016-12-31T23:59:60Z", "a leap second"),
        ("2025-01-01T00:00:00+24:00", "there is no offset +24:00"),
        ("2025-01-01T00:00:00-01:60", "there is no offset -01:60"),
    ],
)
def test_times_that_never_are(time: str, says: str) -> None:
    first, _, caret = message(f"EXTRACT 'a' {time} 5").splitlines()
    assert first.startswith("EXTRACT, argument 2 at character 13: ")
    assert says in first
    assert caret.strip() == "^" * len(time)


@pytest.mark.parametrize(
    "text",
    [
        "PING " + "9" * 60_000,
        "PING 0." + "9" * 60_000,
        "PING 1e" + "9" * 60_000,
        "PING " + "1" * 60_000 + "x",
        "A" * 60_000 + "!",
        "PING " + "A" * 60_000,
        "A" * 60_000 + " |",
        "PING '" + r"\'" * 500_000,
        "PING '" + "\\\\" * 500_000 + "'x",
        "PING " + "1 " * 30_000,
        "PING" + "|>PING" * 10_000,
        "PING '" + "\t\0 \n" * 15_000 + "' x",
        "\n" * 60_000 + "?",
    ],
    ids=lambda text: f"{text[:12]!r} and on",
)
def test_a_long_text_is_read_in_time_and_quoted_in_part(text: str) -> None:
    assert len(message(text)) < 500


def test_the_marked_place_stays_in_sight_in_a_long_line() -> None:
    text = "x" * 1000 + "HERE" + "y" * 1000
    _, line, caret = str(error_at(text, Span(1000, 1004), "it", "is wrong")).splitlines()
    assert line[caret.index("^") : caret.rindex("^") + 1] == "HERE"
    assert line.strip().startswith("…x")
    assert line.endswith("y…")


def test_a_request_of_too_many_words_says_how_many_there_may_be() -> None:
    assert "more than 4096 words" in message("PING " + "1 " * 4096)
    parse("PING " + "'a b' " * 4095)
