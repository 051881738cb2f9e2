"""The program as a whole: its help, its exit codes, what it says to mistakes."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from racs import Racs
from racs.cli.base import Command
from racs.cli.completing import quoted
from racs.cli.main import COMMANDS, cli
from racs.commands import quote as quoted_id
from tests.cli.conftest import ROOT, Run, program_on_path, start
from tests.e2e.daemon import Daemon


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_summary_and_examples(name: str) -> None:
    module, summary = COMMANDS[name]
    command = getattr(import_module(module), f"{name}_command")
    assert isinstance(command, Command)
    assert command.help is not None
    assert command.help.partition("\n")[0] == summary
    assert command.examples
    assert any(f"racs {name}" in each for each in command.examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_examples(name: str, racs: Run) -> None:
    result = racs(name, "--help")
    assert result.exit_code == 0
    assert "\nExamples:\n  " in result.output
    # a group's commands have options of their own
    assert ("--json" in result.output) is (name != "rune")


def test_help_loads_neither_the_client_nor_a_command() -> None:
    code = "import sys; from racs.cli.main import cli; cli(['--help'], standalone_mode=False)"
    told = f"{code}; print(*[m for m in sys.modules if m.startswith(('racs', 'numpy', 'rich'))])"
    result = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = result.stdout.splitlines()[-1].split()
    modules = ["base", "completing", "main"]
    assert loaded == ["racs", "racs.cli", *(f"racs.cli.{each}" for each in modules)]


def test_without_a_command_it_helps(racs: Run) -> None:
    result = racs()
    assert result.exit_code == 0
    assert result.output == racs("--help").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lss"], "There is no command 'lss'. Did you mean 'ls'?"),
        (["xyzzy"], "There are ls, info, "),
        (["info"], "Missing argument 'ID'"),
        (["ls", "--jsn"], "No such option"),
        (["expire", "a", "soon"], "'soon' is no length of time; write 30s, 5m, 1h30m"),
        (["rm", "nothing"], "no streams yet"),
    ],
)
def test_wrong_use_is_told_in_a_line(arguments: list[str], message: str, racs: Run) -> None:
    result = racs(*arguments)
    assert result.exit_code == (1 if arguments[0] == "rm" else 2)
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("line", ["ls", "info x", "eval 1", "rm x", "expire x 1d"])
def test_without_a_server_it_says_how_to_start_one(line: str, racs: Run) -> None:
    result = racs("--url", "racs://127.0.0.1:1", *line.split())
    assert result.exit_code == 3
    assert "Start it with `racs-server`" in result.output
    assert "--url racs://host:port, or RACS_URL" in result.output


def test_a_url_that_is_none_is_told(racs: Run) -> None:
    result = racs("--url", "http://127.0.0.1", "ls")
    assert result.exit_code == 2
    assert "it must begin with racs://" in result.output


def test_completion_knows_commands_and_streams(racs: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    racs("eval", '(create "birds/robin" 8000 1 16)')
    racs("eval", '(create "birds/wren" 8000 1 16)')

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        group = click.shell_completion.BashComplete(cli, {}, "racs", "_RACS_COMPLETE")
        return [item.value for item in group.get_completions(words[:-1], words[-1])]

    assert complete("ev") == ["eval"]
    assert complete("info birds/r") == ["birds/robin"]
    assert complete("rm birds/wren birds/") == ["birds/robin", "birds/wren"]
    assert "--json" in complete("ls --")
    monkeypatch.setenv("RACS_URL", "racs://127.0.0.1:1")
    assert complete("info birds/r") == []


NAMES = ["my take", "it's", 'say "hi"', "a:b c:d", "cost$5", "back\\slash", "one,two", "[x]*?", "é"]


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_completes_whatever_a_stream_is_called(
    quote: str, racs: Run, tmp_path: Path, server: Daemon
) -> None:
    with Racs("127.0.0.1", server.port) as client:
        there = client.pipeline().list("*").execute()
        client.execute_commands(f"CREATE {quoted_id(n)} 8000 1 16" for n in NAMES if n not in there)
    # bash puts a reply behind the quote, and reads the line then as any other
    complete = """
        eval "$(_RACS_COMPLETE=bash_source racs)"
        COMP_LINE="racs info $1" COMP_POINT=99; _racs_completion racs
        for reply in "${COMPREPLY[@]}"; do
            eval "words=(info $1$reply$1)"; printf '%s\\n' "${words[1]}"
        done
    """
    command = ["bash", "-c", complete, "-", quote]
    told = subprocess.run(
        command, env=program_on_path(tmp_path), capture_output=True, text=True, check=True
    )
    assert told.stderr == ""
    assert set(NAMES) <= set(told.stdout.splitlines())


def test_bash_goes_on_behind_a_colon() -> None:
    assert quoted("a:b c:d", "racs info a:b") == r"b\ c:d"
    assert quoted("a:b c:d", r"racs info a:b\ c:") == "d"
    assert quoted("a:b c:d", r"racs info a\:b") == r"a:b\ c:d"
    assert quoted("a:b c:d", "racs info 'a:b c:") == "a:b c:d"


def test_completion_without_a_server_says_nothing(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "racs"],
        env=program_on_path(tmp_path)
        | {"_RACS_COMPLETE": "bash_complete", "RACS_URL": "racs://127.0.0.1:1"}
        | {"COMP_LINE": "racs info x"},
        capture_output=True,
        text=True,
    )
    assert (told.stdout.strip(), told.stderr) == ("", "")


def test_it_runs_as_a_process_of_its_own(server: object) -> None:
    process = start("--version", url="racs://127.0.0.1:1")
    out, errors = process.communicate(timeout=30)
    assert out.startswith(b"racs, version ")
    assert (process.returncode, errors) == (0, b"")


def test_who_is_not_logged_in_is_told_how_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ["user", "add", "anna", "--admin", "*", "--no-password", "--data-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "racs_server", *add], check=True, capture_output=True)
    with Daemon(tmp_path) as server:
        monkeypatch.setenv("RACS_URL", f"racs://127.0.0.1:{server.port}")
        for name in ("ls", "doctor"):
            result = CliRunner().invoke(cli, [name])
            assert result.exit_code == 1
            assert "lets in only those whom it knows" in result.output
            assert "ay who you are: RACS_URL=racs://user:password@host:port" in result.output
