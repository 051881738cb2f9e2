"""The real runes-client 0.9.4, in the environment that scripts/runes.sh makes."""

import json
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

from racs import Racs
from racs.runes import Run, runs
from tests.e2e.daemon import Daemon
from tests.runes.sounds import archived, write

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""Seconds that anything may take: the client imports much; it takes far less."""
PYTHON = next(
    (
        path
        for folder in (ROOT, Path(sys.prefix).parent)
        if (path := folder / ".venv-runes-0.9.4" / "bin" / "python").exists()
    ),
    None,
)


@pytest.mark.skipif(PYTHON is None, reason="sh scripts/runes.sh makes its environment")
@pytest.mark.parametrize("how", ["above", "below", "install"])
def test_a_run_that_the_real_client_calls(
    daemon: Daemon, store: Racs, tmp_path: Path, how: str
) -> None:
    values = np.random.default_rng(2).integers(-8000, 8000, (30_000, 2), np.int32)
    path = write(tmp_path / "tone.flac", values, 24)
    stub = tmp_path / "bin" / "ffmpeg"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    given = {"a": (7, "int"), "b": (str(path), "RunesFilePath"), "c": ("oranges", "str")}
    params = {name: {"value": value, "type": kind} for name, (value, kind) in given.items()}
    data = json.dumps({"method_name": "arbitrary_method", "params": params})
    hub = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/runes/polled.py"), data, str(PATIENCE)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert hub.stdout is not None
    url = f"http://127.0.0.1:{hub.stdout.readline().strip()}/"
    environment = os.environ | {
        "DN_CLIENT_API_BASE_URL": url,
        "DN_CLIENT_STORAGE_BUCKET": f"{url}bucket",
        "DN_CLIENT_SENTRY_API_KEY": "",
        "PATH": f"{stub.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RACS_URL": f"racs://127.0.0.1:{daemon.port}",
    }
    packages = sysconfig.get_path("purelib")
    with (tmp_path / "rune.log").open("w") as log:
        rune = subprocess.Popen(
            [str(PYTHON), str(ROOT / "tests/runes/rune.py"), packages, how],
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        try:
            line = hub.stdout.readline()
            assert line, (tmp_path / "rune.log").read_text()
            reply = json.loads(line)
            run = run_of(store, path)
        finally:
            rune.kill()
            hub.kill()
            rune.wait()
            hub.communicate()
    assert reply["response"]["status"] == "completed"
    assert reply["response"]["message"] == "7 oranges"
    assert [file["name"] for file in reply["response"]["files"]] == ["tone.wav"]
    assert "working on tone.flac" in reply["response"]["logs"]
    assert run.status == "completed"
    assert run.parameters == {"a": 7, "b": str(path), "c": "oranges"}
    assert run.record.message == "7 oranges"
    assert run.record.logs.startswith("working on tone.flac\n")
    folder = f"runes/My Remote Code/{run.id}"
    assert run.streams == [f"{folder}/in/b", f"{folder}/out/001-tone.flac"]
    assert [archived(store, each) == values.ravel().tolist() for each in run.streams] == [True] * 2


def run_of(store: Racs, path: Path) -> Run:
    """Return the run with an input, as soon as it is in the archive."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for run in runs(store, "My Remote Code"):
            if run.parameters["b"] == str(path):
                return run
        time.sleep(0.1)
    raise AssertionError(f"no run with {path} came")
