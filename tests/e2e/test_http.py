"""HTTP as a user has it: a real server, long audio, clients that leave."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.daemon import Daemon

SECONDS = 600


@pytest.fixture
def url(tmp_path: Path) -> Iterator[tuple[Daemon, str]]:
    with Daemon(tmp_path / "archive", "--http-port", "0") as daemon:
        match = re.search(r"HTTP at (http://\S+)", daemon.greeting)
        assert match is not None
        yield daemon, match[1]


def test_a_long_stream_comes_whole_in_bounded_memory(url: tuple[Daemon, str]) -> None:
    daemon, address = url
    second = np.random.default_rng(3).integers(-32768, 32767, 2 * 48_000).astype("<i2").tobytes()
    with httpx.Client(base_url=address, timeout=30) as client:
        stream = {"id": "long/one", "sample_rate": 48_000, "channels": 2, "bit_depth": 16}
        assert client.post("/streams", json=stream).status_code == 201
        path = "/streams/long%2Fone/audio"
        before = daemon.memory()
        pcm = {"Content-Type": "audio/x-raw"}
        sent = client.post(path, content=(second for _ in range(SECONDS)), headers=pcm)
        assert sent.json()["frames"] == SECONDS * 48_000
        got = 0
        with client.stream("GET", path) as response:
            assert int(response.headers["content-length"]) == 44 + SECONDS * len(second)
            for chunk in response.iter_bytes(len(second)):
                got += len(chunk)
        assert got == 44 + SECONDS * len(second)
        last = client.get(path, headers={"Range": f"bytes=-{len(second)}"})
        assert last.content == second
        assert daemon.memory() - before < 64 << 20, "115 MB went in, and out"


def test_clients_that_leave_cost_nothing(url: tuple[Daemon, str]) -> None:
    daemon, address = url
    with daemon.client() as racs:
        racs.execute_command("CREATE 'x' 48000 2 16")
        racs.stream("x").execute(np.zeros(2 * 48_000 * 120, np.int16))
    for _ in range(5):
        with (
            httpx.Client(base_url=address, timeout=30) as client,
            client.stream("GET", "/streams/x/audio") as response,
        ):
            assert response.status_code == 200
    with httpx.Client(base_url=address, timeout=30) as client:
        assert client.get("/streams").status_code == 200
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 4, "nobody holds up the end"


def test_shutdown_by_a_command(url: tuple[Daemon, str]) -> None:
    daemon, address = url
    text = {"Content-Type": "text/plain"}
    reply = httpx.post(f"{address}/commands", content="SHUTDOWN", headers=text)
    assert reply.json() == {"type": "null", "value": None}
    assert daemon.process.wait(timeout=20) == 0
