"""The program on a terminal: what a person types there, and what the screen gets."""

import contextlib
import os
import pty
import re
import select
import subprocess
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, program
from tests.e2e.daemon import Daemon

_LONGEST = 20.0
"""Seconds after which a test has failed."""
_MOMENT = 0.5
"""Seconds after which a person presses Ctrl-C again."""
_CTRL_C, _CTRL_D = "\x03", "\x04"
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_DATA = Path(__file__).parents[1] / "data"


def converse(
    server: Daemon,
    folder: Path,
    arguments: list[str],
    *steps: tuple[str, str],
    variables: dict[str, str] = {},  # noqa: B006 (only read)
) -> str:
    """Run the program on a terminal, typing each step's text when what it waits for has come.

    Returns all that the screen got; fails if the program does not end well, and in time.
    """
    command, environment = program(*arguments, url=f"racs://127.0.0.1:{server.port}")
    environment |= {"TERM": "xterm", "XDG_STATE_HOME": str(folder)} | variables
    # as without the extra: what prompt_toolkit draws is no text that a step could wait for
    (folder / "prompt_toolkit.py").write_text("raise ImportError", encoding="ascii")
    environment["PYTHONPATH"] = f"{folder}{os.pathsep}{environment['PYTHONPATH']}"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env=environment, preexec_fn=partial(os.login_tty, theirs), close_fds=False
    )
    os.close(theirs)
    screen, seen, left, typed = "", 0, list(steps), ""
    deadline = time.monotonic() + _LONGEST
    try:
        while (rest := deadline - time.monotonic()) > 0:
            if not select.select([ours], [], [], min(rest, _MOMENT))[0]:
                if typed == _CTRL_C:  # Python misses one between its prompt and its wait for a key
                    os.write(ours, typed.encode())
                continue
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # Linux: the other end was closed
                break
            if not data:
                break
            screen = _COLOUR.sub("", screen + data.decode(errors="replace"))
            while left and (found := screen.find(left[0][0], seen)) >= 0:
                expected, typed = left.pop(0)
                seen = found + len(expected)
                os.write(ours, typed.encode())
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        code = process.wait()
        os.close(ours)
    assert (code, left) == (0, []), screen
    return screen


def test_a_conversation_in_the_shell_without_the_extra(
    server: Daemon, racs: Run, tmp_path: Path
) -> None:
    assert racs("import", _DATA / "speech_austen_16k_mono.wav", "--id", "said").exit_code == 0
    screen = converse(
        server,
        tmp_path,
        ["shell"],
        ("racs> ", "(+ 1\r"),
        (" ...> ", _CTRL_C),
        ("racs> ", "(audio-duration\r"),
        (" ...> ", '(range "said" 0 2))\r'),
        ("\n2\r\n", "RANGE 'said' 0 1 |> LOUDNESS\r"),
        ("true peak dBTP", "FOO\r"),
        ("there is no 'FOO'", ""),
        ("racs> ", _CTRL_D),
    )
    assert "Traceback" not in screen
    assert "(+ 1" in next(tmp_path.rglob("shell_history")).read_text(encoding="utf-8")


def test_ctrl_c_at_a_coloured_line_is_an_interrupt(tmp_path: Path) -> None:
    pytest.importorskip("prompt_toolkit")
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    from racs.cli.prompting import make_asker

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        ask = make_asker(tmp_path / "history", lambda: ["LIST"], lambda: ["said"])
        keys.send_text("LIS" + _CTRL_C)
        with pytest.raises(KeyboardInterrupt) as interrupted:
            ask("racs> ")
        assert interrupted.value.__suppress_context__, "none must pass through asyncio"
        keys.send_text("LIST 's'\r")
        assert ask("racs> ") == "LIST 's'"
        keys.send_text(_CTRL_D)
        with pytest.raises(EOFError):
            ask("racs> ")


def test_what_is_told_stands_above_the_bar(server: Daemon, tmp_path: Path) -> None:
    files = [str(_DATA / "speech_austen_16k_mono.wav"), str(_DATA / "field_water_44k_mono.wav")]
    screen = converse(server, tmp_path, ["import", *files, "--prefix", "seen/"])
    for name in ("seen/speech_austen_16k_mono  7.1 s", "seen/field_water_44k_mono  3.5 s"):
        assert re.search(rf"(^|\n|\r|\x1b\[2K){name}", screen), screen


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (100, "id rate ch bit length size first last open"),
        (60, "id rate ch bit length last open"),
        (45, "id length last open"),
        (30, "id length open"),
    ],
)
def test_a_table_has_the_columns_that_there_is_room_for(
    width: int, header: str, server: Daemon, tmp_path: Path
) -> None:
    with server.client() as racs:
        racs.execute_command("CREATE 'narrow/name' 48000 2 24")
        racs.stream("narrow/name").execute(np.ones((480_000, 2), np.int32))
    screen = converse(server, tmp_path, ["ls", "narrow*"], variables={"COLUMNS": str(width)})
    with server.client() as racs:
        racs.execute_command("DELETE 'narrow/name'")
    first, row, *_ = screen.splitlines()
    assert first.split() == header.split()
    assert max(len(first), len(row)) <= width
    assert row.startswith("narrow/name")


def test_a_terminal_without_unicode_gets_a_waveform_too(server: Daemon, tmp_path: Path) -> None:
    with server.client() as racs:
        racs.execute_command("CREATE 'plain' 8000 1 16")
        racs.stream("plain").execute(np.full(8000, 2**14))
    variables = {"PYTHONIOENCODING": "ascii", "COLUMNS": "60"}
    screen = converse(server, tmp_path, ["wave", "plain"], variables=variables)
    assert "#" * 60 in screen
    assert "peak -6.0 dBFS" in screen


def test_the_shell_works_where_no_history_can_be_kept(server: Daemon, tmp_path: Path) -> None:
    variables = {"XDG_STATE_HOME": "/proc/nowhere"}
    screen = converse(
        server,
        tmp_path,
        ["shell"],
        ("racs> ", "PING\r"),
        ("PONG", ""),
        ("racs> ", _CTRL_D),
        variables=variables,
    )
    assert "Traceback" not in screen
