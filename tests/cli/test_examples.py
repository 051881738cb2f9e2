"""The examples of the help, typed as they stand."""

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from racs.cli.main import COMMANDS
from tests.cli.conftest import ROOT, program_on_path
from tests.e2e.daemon import Daemon

_TOOLS = re.compile(r"\b(jq|sox|ffmpeg|arecord|ffplay)\b")
_NOT_HERE = re.compile(
    # what needs a microphone, a loudspeaker, somebody who watches, another machine, or is a stream
    # of another time of day
    r"arecord|ffmpeg|sox -d|ffplay|studio:|:\d\d|racs play [^|]*$|racs (top|shell)$|racs top '"
    r"|^racs (bench|rune)|rm chopin$"
)


def examples() -> list[str]:
    """Return all that can be typed here, what deletes last."""
    found = []
    for name, (module, _) in COMMANDS.items():
        found += getattr(import_module(module), f"{name}_command").examples
    here = [each for each in found if not _NOT_HERE.search(each)]
    return sorted(here, key=lambda each: each.startswith(("racs rm", "racs expire")))


@pytest.fixture(scope="module")
def folder(server: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files, and let the server have the streams, that they speak of."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("takes", "recordings"):
        (folder / name).mkdir()
    music = ROOT / "tests" / "data" / "music_guitar_44k_stereo.flac"
    speech = ROOT / "tests" / "data" / "speech_austen_16k_mono.wav"
    shutil.copy(music, folder / "monday.flac")
    shutil.copy(speech, folder / "takes" / "one.wav")
    shutil.copy(speech, folder / "recordings" / "two.wav")
    (folder / "program.scm").write_text("(+ 1 2)\n")
    with server.client() as racs:
        for name in ("chopin", "mic", "birds/2025-wren", "calls/1", "test-1"):
            racs.pipeline().create(name, 44_100, 1, 16).execute()
            racs.stream(name).execute(np.arange(32_000, dtype=np.int16))
    return folder


@pytest.mark.parametrize("line", examples())
def test_an_example_works_as_it_stands(line: str, server: Daemon, folder: Path) -> None:
    if missing := [tool for tool in _TOOLS.findall(line) if not shutil.which(tool)]:
        pytest.skip(f"{missing} is not installed")
    environment = program_on_path(folder) | {"RACS_URL": f"racs://127.0.0.1:{server.port}"}
    if line.startswith("racs follow mic -o"):
        line += " --until-closed"  # nobody is here to press Ctrl-C
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
