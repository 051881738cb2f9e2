"""Each line of curl in the README's chapter on HTTP runs as it stands, but for the port."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.daemon import Daemon

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^curl .*$", README.split("\n## Over HTTP")[1].split("\n## ")[0], re.MULTILINE)
RATE = 44_100


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_lines_of_curl(tmp_path: Path) -> None:
    wren = np.random.default_rng(1).integers(-9000, 9000, 10 * RATE).astype(np.int16)
    soundfile.write(tmp_path / "wren.wav", wren, RATE)
    with Daemon(tmp_path / "archive", "--http-port", "0") as daemon:
        found = re.search(r"HTTP at http://([\w.:]+)", daemon.greeting)
        assert found is not None, daemon.greeting
        printed = [
            subprocess.run(
                ["/bin/sh", "-c", f"{line} --fail-with-body --silent --show-error"],
                cwd=tmp_path,
                env={"PATH": "/usr/bin:/bin", "no_proxy": "*"},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for line in (each.replace("localhost:8080", found[1]) for each in LINES)
        ]
        with daemon.client() as racs:
            assert racs.execute_command("RANGE 'wren' 0 100").tolist() == wren.tolist()
    made, taken, file, loudness = printed
    assert json.loads(made)["id"] == "wren"
    assert json.loads(taken) == {"frames": 10 * RATE, "start": 0, "stop": 10 * RATE}
    assert file == ""
    assert soundfile.info(tmp_path / "wren.mp3").frames == pytest.approx(4.5 * RATE, abs=1)
    assert -30 < json.loads(loudness)["value"][0] < 0
