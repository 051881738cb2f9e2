"""The program as a whole: its help, its exit codes, what it says to mistakes."""

import subprocess
import sys
from importlib import import_module

import click
import pytest

from racs.cli.base import Command
from racs.cli.main import COMMANDS, cli
from tests.cli.conftest import ROOT, Run, start


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
    assert loaded == ["racs", "racs.cli", "racs.cli.base", "racs.cli.main"]


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
    assert result.exit_code == 1
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


def test_it_runs_as_a_process_of_its_own(server: object) -> None:
    process = start("--version", url="racs://127.0.0.1:1")
    out, errors = process.communicate(timeout=30)
    assert out.startswith(b"racs, version ")
    assert (process.returncode, errors) == (0, b"")
