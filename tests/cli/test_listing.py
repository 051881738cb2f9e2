"""ls, info, rm, expire and eval, against a real server."""

import json

import numpy as np
import pytest

from racs.cli.removing import lifetime
from tests.cli.conftest import Run
from tests.e2e.daemon import Daemon


@pytest.fixture
def streams(server: Daemon) -> None:
    with server.client() as racs:
        for each in racs.pipeline().list("*").execute():
            racs.execute_command(f"DELETE '{each}'")
        for name, channels, depth in (("takes/monday", 2, 16), ("takes/tuesday", 1, 24)):
            racs.execute_command(f"CREATE '{name}' 8000 {channels} {depth}")
        racs.stream("takes/monday").execute(np.full((4000, 2), 1 << 14, np.int16))
        racs.execute_command("CREATE '[odd*' 48000 1 16")


pytestmark = pytest.mark.usefixtures("streams")


def test_streams_are_listed_as_a_table_for_people(racs: Run) -> None:
    result = racs("ls", "takes/*")
    assert result.exit_code == 0
    header, monday, tuesday, total = result.output.splitlines()
    assert header.split() == ["id", "rate", "ch", "bit", "length", "size", "first", "last", "open"]
    assert monday.split()[:8] == ["takes/monday", "8,000", "2", "16", "0.500", "s", "16", "kB"]
    assert tuesday.split() == [
        "takes/tuesday",
        "8,000",
        "1",
        "24",
        "0.000",
        "s",
        "0",
        "B",
        "–",
        "–",
    ]
    assert total == "2 streams, 16 kB"


def test_streams_are_listed_for_programs(racs: Run) -> None:
    monday, tuesday = json.loads(racs("ls", "takes/*", "--json").stdout)
    assert (monday["id"], monday["frames"], monday["open"]) == ("takes/monday", 4000, False)
    assert monday["first"] < monday["last"]
    assert (tuesday["first"], tuesday["ttl"]) == (None, None)
    assert json.loads(racs("--json", "ls", "takes/*").stdout) == [monday, tuesday]


def test_a_stream_is_described(racs: Run) -> None:
    text = racs("info", "takes/monday").stdout
    assert "8 kHz stereo 16 bit" in text
    assert "0.500 s  (4,000 sample frames)" in text
    assert "for ever" in text
    assert json.loads(racs("info", "[odd*", "--json").stdout)["sample_rate"] == 48000


def test_an_unknown_stream_is_answered_with_those_like_it(racs: Run) -> None:
    result = racs("info", "takes/mnday")
    assert result.exit_code == 1
    assert "there is no stream 'takes/mnday'. Did you mean 'takes/monday'" in result.stderr
    assert "'racs ls' lists all there are" in racs("info", "xyzzy").stderr


def test_streams_are_removed_after_asking(racs: Run) -> None:
    result = racs("rm", "takes/monday")
    assert result.exit_code == 2
    assert "this would delete 'takes/monday' (16 kB) for good: add --yes" in result.stderr
    assert racs("rm", "takes/*", "[odd*", "-y").stdout == "deleted 3 streams\n"
    assert json.loads(racs("ls", "--json").stdout) == []


def test_streams_are_given_a_time_to_live(racs: Run) -> None:
    assert racs("expire", "takes/*", "1h30m").stdout == (
        "2 streams to be deleted 1h30m after the last audio\n"
    )
    assert 5390 < json.loads(racs("info", "takes/monday", "--json").stdout)["ttl"] <= 5400
    racs("expire", "takes/monday", "never")
    assert json.loads(racs("info", "takes/monday", "--json").stdout)["ttl"] is None


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        ("(+ 1 2 3)", "6\n"),
        ('"hello"', "hello\n"),
        ("(= 1 1)", "true\n"),
        ("'()", "null\n"),
        ('\'(1 2.5 "three")', "1\n2.5\nthree\n"),
        ('(range "takes/monday" 0 0.25)', "s32v, 4,000 values, peak −6.0 dBFS\n"),
    ],
)
def test_programs_are_evaluated(expression: str, output: str, racs: Run) -> None:
    assert racs("eval", expression).stdout == output
    assert racs("eval", "-", input=expression).stdout == output


def test_the_file_that_a_program_makes_is_written(racs: Run) -> None:
    program = '(encode (range "takes/monday" 0 0.25) "audio/wav")'
    assert racs("eval", program).stdout_bytes.startswith(b"RIFF")
    wrong = racs("eval", "(+ 1 2)", "-o", "never.wav")
    assert (wrong.exit_code, "the result is no file but 3" in wrong.stderr) == (1, True)


def test_what_the_server_says_to_a_wrong_program_is_passed_on(racs: Run) -> None:
    result = racs("eval", "(+ 1")
    assert result.exit_code == 1
    assert result.stderr.startswith("racs: ")


def test_a_time_to_live_is_never_rounded_down_to_nothing(racs: Run) -> None:
    assert racs("expire", "takes/monday", "999500ms").exit_code == 0
    assert json.loads(racs("info", "takes/monday", "--json").stdout)["ttl"] > 990
    assert lifetime("1ms") == 1


def test_patterns_that_the_shell_replaced_are_known_by_their_number(racs: Run) -> None:
    assert "takes/tuesday" in racs("ls", "[[]odd*", "takes/*").stdout
    result = racs("ls", "file.txt", "other.txt")
    assert result.exit_code == 0
    assert "no stream's id matches 'file.txt' or 'other.txt' (a pattern needs quotes)" in (
        result.stderr
    )
