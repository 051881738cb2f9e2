"""A real server, and the program with it, in this process or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from racs.cli.main import cli
from tests.e2e.daemon import Daemon

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a server that a module's tests share; each has streams of its own."""
    with Daemon(tmp_path_factory.mktemp("server") / "archive") as running:
        yield running


@pytest.fixture
def racs(server: Daemon, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs the program in this process, against the shared server."""
    monkeypatch.setenv("RACS_URL", f"racs://127.0.0.1:{server.port}")

    def run(*arguments: object, input: str | bytes | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(cli, [str(each) for each in arguments], input=input)

    return run


def program(*arguments: str, url: str) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of the program as a process."""
    command = [sys.executable, "-m", "racs", "--url", url, *arguments]
    return command, os.environ | {"PYTHONPATH": str(ROOT)}


def start(*arguments: str, url: str, **options: object) -> "subprocess.Popen[bytes]":
    """Start the program as a process of its own, with pipes."""
    command, environment = program(*arguments, url=url)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, **(pipes | options))  # type: ignore[call-overload,no-any-return]


def program_on_path(folder: Path) -> dict[str, str]:
    """Return an environment in which `racs` is found, and finds nothing at the usual place."""
    script = folder / "racs"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m racs "$@"\n')
    script.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
