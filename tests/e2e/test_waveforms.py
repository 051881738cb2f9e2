"""Waveforms and loudness through the client and a server process, which is killed in between."""

from pathlib import Path

import numpy as np
import pytest

from racs_server.storage.waveform import NAME
from tests.audio.test_peaks import brute
from tests.e2e.daemon import Daemon

RATE = 48_000


def test_pictures_before_and_after_a_crash(tmp_path: Path) -> None:
    audio = np.random.default_rng(6).integers(-(2**15), 2**15, (12 * RATE, 2), np.int16)
    expected = brute(audio.astype(np.int32), 100, 16)
    with Daemon(tmp_path) as daemon, daemon.client() as racs:
        racs.execute_command(f"CREATE 'noise' {RATE} 2 16 |> OPEN 'noise'")
        racs.stream("noise", pcm_data=audio)
        p = racs.pipeline().range("noise", 0, 60).peaks(100)
        live = p.execute()
        assert live.dtype == np.float32
        assert np.array_equal(live.reshape(100, 2, 3), expected)
        racs.execute_command("CLOSE 'noise'")
        assert np.array_equal(p.execute(), live)
        daemon.kill()
    [file] = tmp_path.glob(f"streams/*/*/{NAME}")
    damaged = bytearray(file.read_bytes())
    damaged[1000] ^= 1
    file.write_bytes(damaged)
    with Daemon(tmp_path) as daemon, daemon.client() as racs:
        found = racs.execute_command("PEAKS 'noise' 0.0 60 100")
        assert np.array_equal(found, live)
        louder = racs.pipeline().range("noise", 0, 60).gain(0.5).peaks(100).execute()
        assert louder == pytest.approx(live / 2, abs=1e-4)
        normal = racs.pipeline().range("noise", 0, 60).normalize(-23).loudness().execute()
        assert normal[0] == pytest.approx(-23, abs=0.05)
        racs.execute_command("DELETE 'noise'")
    assert not list(tmp_path.glob(f"**/{NAME}"))
