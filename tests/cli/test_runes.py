"""``racs rune``: new runes, and how scripts and notebooks are run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from racs.cli import rune_boot
from racs.cli.rune_process import Printed
from tests.cli.conftest import Run

CLIENT = """
import asyncio, contextlib, inspect, io, threading

def output():
    return "the results"

def register_method(function):
    global registered
    registered = function
    print(function.__name__, inspect.signature(function))

def connect_to_server():
    threading.Thread(target=threading.Event().wait).start()  # as its heartbeats, without end
    with contextlib.redirect_stdout(io.StringIO()):
        asyncio.run(registered(1))
"""


@pytest.fixture
def python_path(tmp_path: Path) -> str:
    """A folder with something that stands for the client, which has no `results`."""
    folder = tmp_path / "packages" / "runes_client"
    folder.mkdir(parents=True)
    (folder / "core.py").write_text(CLIENT, encoding="utf-8")
    (folder / "__init__.py").write_text("from runes_client.core import *", encoding="utf-8")
    return str(folder.parent)


def boot(script: Path, python_path: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, rune_boot.__file__, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_new_rune_is_a_program(
    racs: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "hello-world.py is written" in racs("rune", "new", "hello-world").output
    text = Path("hello-world.py").read_text(encoding="utf-8")
    compile(text, "hello-world.py", "exec")
    assert "async def hello_world(" in text
    again = racs("rune", "new", "hello-world.py")
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert Path("hello-world.py").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["9lives", "", "1"])
def test_what_cannot_be_a_name_is_told(
    racs: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert racs("rune", "new", "--", name).exit_code == 1
    assert not [*tmp_path.iterdir()]


def test_a_hub_that_is_not_there_is_told(racs: Run, tmp_path: Path) -> None:
    script = tmp_path / "rune.py"
    script.touch()
    token = "0715c132-1111-4111-8111-111111111111"
    result = racs("rune", "run", str(script), "--hub", "http://127.0.0.1:9", "--token", token)
    assert result.exit_code == 3
    assert "racs-server --hub-port" in result.output


def test_what_is_no_token_is_told(racs: Run, tmp_path: Path) -> None:
    script = tmp_path / "rune.py"
    script.touch()
    result = racs("rune", "run", str(script), "--token", "mine")
    assert result.exit_code == 1
    assert "--token 'mine' is none" in result.output


@pytest.mark.parametrize("module", ["runes_client", "runes_client.core"])
def test_a_script_runs_as_it_is(tmp_path: Path, python_path: str, module: str) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'beside'", encoding="utf-8")
    script = tmp_path / "rune.py"
    script.write_text(
        f"import sys, beside, {module} as runes\n"
        "print(__name__, sys.argv[1:], beside.WORD, runes.results())",
        encoding="utf-8",
    )
    result = boot(script, python_path, "one", "two")
    assert result.stdout == "__main__ ['one', 'two'] beside the results\n", result.stderr


def test_a_notebook_runs_cell_by_cell(tmp_path: Path, python_path: str) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# no code"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install x\n", "a = 40\n"]},
        {"cell_type": "code", "source": "import asyncio\nawait asyncio.sleep(0)\nprint(a + 2)"},
    ]
    notebook = tmp_path / "rune.ipynb"
    notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert boot(notebook, python_path).stdout == "42\n"


def test_a_rune_that_leaves_ends_although_its_heartbeats_go_on(
    tmp_path: Path, python_path: str
) -> None:
    script = tmp_path / "rune.py"
    script.write_text(
        "import atexit, sys, runes_client\n"
        "atexit.register(print, 'the last word')\n"
        "async def work(a: int): sys.exit(3)\n"
        "runes_client.register_method(work)\n"
        "runes_client.connect_to_server()",
        encoding="utf-8",
    )
    result = boot(script, python_path)
    assert result.returncode == 3
    assert result.stdout == "work (a: int)\nthe last word\n"


def test_a_function_that_fails_tells_what_it_printed_and_where(
    tmp_path: Path, python_path: str
) -> None:
    script = tmp_path / "rune.py"
    script.write_text(
        "import runes_client\n"
        "async def work(a: int):\n"
        "    print('so far so good')\n"
        "    return 1 / 0\n"
        "runes_client.register_method(work)\n"
        "runes_client.connect_to_server()",
        encoding="utf-8",
    )
    result = boot(script, python_path)
    assert result.returncode == 1
    assert result.stderr.startswith("so far so good\nTraceback")
    assert "line 4, in work" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_ends_the_launcher_ends_the_rune(
    tmp_path: Path, python_path: str, number: signal.Signals
) -> None:
    script = tmp_path / "rune.py"
    script.write_text("import os, time\nprint(os.getpid())\ntime.sleep(600)", encoding="utf-8")
    hub = ["--hub", "http://127.0.0.1:9/r/key"]
    command = [sys.executable, "-c", "from racs.cli.main import cli; cli()", "rune", "run", *hub]
    with subprocess.Popen(
        [*command, str(script)],
        env={**os.environ, "PYTHONPATH": python_path},
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        assert launcher.stdout is not None
        rune = int(launcher.stdout.readline())
        launcher.send_signal(number)
        assert launcher.wait(120) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(rune, 0)


def test_what_the_hub_was_not_told_waits_for_it() -> None:
    printed = Printed()
    printed.add("one")
    taken = printed.take()
    printed.add("two")
    printed.give_back(taken)
    assert "".join(text for _, text in printed.take()) == "onetwo"
    printed.add("x" * (1 << 20))
    printed.add("the end")
    kept = "".join(text for _, text in printed.take())
    assert (len(kept), kept[-8:]) == (1 << 20, "xthe end")


def test_a_python_without_the_client_is_told(tmp_path: Path) -> None:
    result = boot(tmp_path / "rune.py", str(tmp_path))
    assert result.returncode == 1
    assert "pip install runes-client" in result.stderr
