"""What is refused before anything of a pipeline runs, and in which words."""

from fractions import Fraction

import pytest

from racs_server.commands import TABLE, CommandSpec, CommandTable, Context, Param
from racs_server.commands.check import Step, check
from racs_server.commands.spec import Effect, Kind, Mode, Output, Overload
from racs_server.errors import CommandError
from racs_server.lang import parse
from racs_server.values import AudioFormat, StreamRange
from tests.commands.memory_store import MemoryStore

TIME = "2025-01-01T00:00:00Z"


def checked(text: str, table: CommandTable = TABLE) -> tuple[Step, ...]:
    return check(parse(text), text, table)


def message(text: str, table: CommandTable = TABLE) -> str:
    with pytest.raises(CommandError) as caught:
        checked(text, table)
    return str(caught.value)


def first_line(text: str, table: CommandTable = TABLE) -> str:
    return message(text, table).splitlines()[0]


def noted(_: Context, *arguments: object) -> list[object]:
    return list(arguments)


def spec(
    name: str,
    *overloads: tuple[Param, ...],
    output: Output = Output.NULL,
    input_: Output | None = None,
    mode: Mode = Mode.REPLY,
) -> CommandSpec:
    return CommandSpec(
        name=name,
        doc="For the test.",
        example=f"{name} 'x'",
        overloads=tuple(Overload(params, noted) for params in overloads or ((),)),
        output=output,
        input=input_,
        effect=Effect.READ,
        mode=mode,
    )


def param(kind: Kind, least: int | None = None, most: int | None = None) -> Param:
    return Param(kind.value, kind, "For the test.", least=least, most=most)


CONTEXT = Context(MemoryStore(), lambda: None, TABLE, lambda: None)

OTHER = CommandTable(
    [
        spec("SOUND", output=Output.AUDIO),
        spec("GAIN", (param(Kind.FLOAT),), output=Output.AUDIO, input_=Output.AUDIO),
        spec("PAN", (param(Kind.FLOAT, -1, 1),)),
        spec("SPLIT", (param(Kind.INT, 0),)),
        spec("BELOW", (param(Kind.INT, None, 9),)),
        spec("COUNT", output=Output.INT),
        spec("STREAM", mode=Mode.APPEND),
        spec(
            "TAKE",
            (param(Kind.STRING), param(Kind.TIME), param(Kind.TIME)),
            (param(Kind.STRING), param(Kind.FLOAT), param(Kind.FLOAT)),
            (param(Kind.STRING),),
        ),
    ]
)


def test_handlers_get_plain_values() -> None:
    (create,) = checked("create 'a' 44100 2 16")
    assert create.spec.name == "CREATE"
    assert create.arguments == ("a", 44100, 2, 16)


def test_a_time_is_nanoseconds_and_a_bare_int_milliseconds() -> None:
    (step,) = checked("EXTRACT 'a' 1970-01-01T00:00:01Z -1500")
    assert step.arguments == ("a", 1_000_000_000, -1_500_000_000)


@pytest.mark.parametrize(("word", "value"), [("2", Fraction(2)), ("-0.1", Fraction(-1, 10))])
def test_a_number_is_exact(word: str, value: Fraction) -> None:
    (_, step) = checked(f"SOUND |> GAIN {word}", OTHER)
    assert step.arguments == (value,)
    assert isinstance(step.arguments[0], Fraction)


@pytest.mark.parametrize(
    ("alias", "name"), [("ls", "LIST"), ("Search", "LIST"), ("list", "LIST"), ("meta", "INFO")]
)
def test_aliases(alias: str, name: str) -> None:
    arguments = "'a' 'ref'" if name == "INFO" else "'a'"
    assert checked(f"{alias} {arguments}")[0].spec.name == name


def test_an_unknown_command_gets_a_suggestion_and_the_list() -> None:
    assert message("PING |> opne 'a'") == (
        "unknown command at character 9: there is no 'OPNE'; did you mean OPEN? the commands are"
        f" {', '.join(sorted(TABLE.names))}\n"
        "    PING |> opne 'a'\n"
        "            ^^^^"
    )
    assert "did you mean" not in message("XYZZY")
    assert len(message("A" * 60_000)) < 1000


def test_an_argument_of_the_wrong_type() -> None:
    assert message("CREATE 'g1' 44100 'x' 16") == (
        "CREATE, argument 3 (channels) at character 19: expected an int from 1 to 32, found the"
        " string 'x'; it stands without quotes\n"
        "    CREATE 'g1' 44100 'x' 16\n"
        "                      ^^^"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("OPEN 1", "expected a string, found the int '1'; strings stand in quotes"),
        ("OPEN 1.5", "expected a string, found the float '1.5'; strings stand in quotes"),
        ("CREATE 'a' 1e3 2 16", "found the float '1e3'; write it without a point"),
        ("CREATE 'a' 2025-01-01T00:00:00Z 2 16", "a number is due here, not a moment"),
        ("CREATE 'a' 0 2 16", "expected an int from 1 to 768000, found the int '0'"),
        ("CREATE 'a' 768001 2 16", "expected an int from 1 to 768000, found the int '768001'"),
        ("CREATE 'a' 1 33 16", "expected an int from 1 to 32, found the int '33'"),
        ("CREATE 'a' 1 1 8", "argument 4 (bit_depth) at character 16: expected 16 or 24, found"),
        ("INFO 'a' 'seize'", "or 'size', found the string 'seize'; did you mean 'size'?"),
        ("EXTRACT 'a' '2025-01-01T00:00:00Z' 1", "expected a time, found the string '2025"),
        ("EXTRACT 'a' '2025-01-01T00:00:00Z' 1", "it stands without quotes, like 2023-"),
        (
            f"EXTRACT 'a' {TIME} 1.5",
            "argument 3 (stop) at character 34: expected a time, found the",
        ),
        (f"EXTRACT 'a' {TIME} 1.5", "or whole milliseconds since 1970"),
        (f"EXTRACT 'a' {TIME} 1.5", "is written EXTRACT stream_id start stop or EXTRACT stream_id"),
        (
            "RANGE 'a' 0 -1",
            "argument 3 (duration) at character 13: expected a number of at least 0",
        ),
        ("RANGE 'a' 0 1 |> PAN 1.01", "(position) at character 22: expected a number from -1 to 1"),
        ("PING |> GAIN 2", "expected s32v from the pipe, but PING, which gives string, is piped"),
    ],
)
def test_errors_say_what_was_expected_and_what_to_do(text: str, says: str) -> None:
    assert says in first_line(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PAN 1.5", "expected a number from -1 to 1, found the float '1.5'"),
        ("PAN -1.00001", "expected a number from -1 to 1"),
        ("PAN 'x'", "found the string 'x'; it stands without quotes"),
        ("PAN 2025-01-01T00:00:00Z", "a number is due here, not a moment"),
        ("SPLIT -1", "expected an int of at least 0"),
        ("BELOW 10", "expected an int of at most 9"),
    ],
)
def test_bounds(text: str, says: str) -> None:
    assert says in first_line(text, OTHER)


def test_bounds_belong_to_what_is_allowed() -> None:
    checked("PAN 1 |> PAN -1.0 |> SPLIT 0 |> BELOW 9", OTHER)


def test_a_missing_argument() -> None:
    assert message("PING |> CREATE 'g1' 44100 |> PING") == (
        "CREATE, argument 3 (channels) at character 26: it is missing: CREATE takes 4 arguments,"
        " found 2; it is written CREATE stream_id sample_rate channels bit_depth, for example:"
        " CREATE 'chopin' 44100 2 16\n"
        "    PING |> CREATE 'g1' 44100 |> PING\n"
        "                             ^"
    )


def test_arguments_too_many() -> None:
    assert message("PING 'a' 'b'").splitlines() == [
        "PING, argument 1 at character 6: PING takes no arguments, found 2; it is written PING,"
        " for example: PING",
        "    PING 'a' 'b'",
        "         ^^^^^^^",
    ]
    assert "OPEN, argument 2 at character 10: OPEN takes 1 argument, found 2" in first_line(
        "OPEN 'a' 'b'"
    )


def test_the_first_overload_that_fits_is_taken() -> None:
    (step,) = checked("TAKE 'a' 1 2", OTHER)
    assert step.arguments == ("a", 1_000_000, 2_000_000)
    (step,) = checked("TAKE 'a' 1 2.5", OTHER)
    assert step.arguments == ("a", Fraction(1), Fraction(5, 2))
    (step,) = checked("TAKE 'a'", OTHER)
    assert step.arguments == ("a",)


def test_when_no_overload_fits_the_one_that_came_furthest_is_blamed() -> None:
    line = first_line("TAKE 'a' 2025-01-01T00:00:00Z 2.5", OTHER)
    assert line.startswith("TAKE, argument 3 (time) at character 31: expected a time, found the")
    assert line.endswith(
        "; TAKE is written TAKE string time time or TAKE string float float or TAKE string"
    )
    assert "TAKE takes 1 or 3 arguments, found 2" in first_line("TAKE 'a' 1", OTHER)


def test_a_command_that_takes_audio_must_be_piped_audio() -> None:
    checked("SOUND |> GAIN 1 |> GAIN 2", OTHER)
    assert "expected s32v from the pipe, but nothing is piped into it" in first_line(
        "GAIN 1", OTHER
    )
    assert first_line("SOUND |> COUNT |> GAIN 1", OTHER).startswith(
        "GAIN at character 19: expected s32v from the pipe, but COUNT, which gives int, is"
    )


def test_a_command_that_takes_nothing_ignores_what_is_piped() -> None:
    assert len(checked("SOUND |> COUNT |> SOUND", OTHER)) == 3


def test_nothing_can_follow_a_command_that_keeps_the_connection() -> None:
    checked("COUNT |> STREAM", OTHER)
    assert "nothing can follow STREAM, it must be the last" in first_line("STREAM |> COUNT", OTHER)


def test_the_first_mistake_is_reported_and_later_commands_are_checked_too() -> None:
    assert "argument 1 (stream_id)" in first_line("OPEN 1 |> NOPE")
    assert "there is no 'NOPE'" in first_line("OPEN 'a' |> NOPE")


def test_two_commands_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two commands are named PING"):
        CommandTable([spec("PING"), spec("PING")])


def test_piped_audio_comes_before_the_arguments() -> None:
    sound = StreamRange("a", 1, 0, 1000, AudioFormat(1000, 2, 16))
    (_, step) = checked("SOUND |> GAIN 2", OTHER)
    assert step.run(CONTEXT, sound) == [sound, Fraction(2)]
    (_, step) = checked("SOUND |> PAN 1", OTHER)
    assert step.run(CONTEXT, sound) == [Fraction(1)]
