"""Rows: the Python client, 60 s of 44.1 kHz stereo from and to lists, arrays and files."""

import socket
import struct
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import soundfile

from racs import Racs
from scripts.benchmark.extract import archive, music
from scripts.benchmark.load import PREFIX, Count, connect, receive_exactly, together
from scripts.benchmark.rows import Bench, Measure, Row

_SECONDS = 60
_BLOCK = 1 << 15


def _timed(work: Callable[[], object]) -> Count:
    began = time.perf_counter()
    work()
    return Count(1, 1, [time.perf_counter() - began])


def _send(port: int, data: Any) -> Count:
    with Racs(port=port) as racs:
        stream_id = uuid.uuid4().hex
        racs.execute_command(f"CREATE '{stream_id}' 44100 2 16")
        count = _timed(lambda: racs.stream(stream_id).execute(data))
        racs.execute_command(f"DELETE '{stream_id}'")
        return count


def _sends(kind: str) -> Measure:
    def measure(bench: Bench) -> float:
        samples = music(_SECONDS)
        data: Any = samples.ravel()
        if kind == "a list":
            data = samples.ravel().tolist()
        elif kind == "a file":
            data = str(_file(bench))
        job = partial(_send, bench.server().port, data)
        return 1000 * together([job], bench.load_cores)[0].times[0]

    return measure


def _file(bench: Bench) -> Path:
    if "file" not in bench.folders:
        bench.folders["file"] = bench.folder() / "music.wav"
        soundfile.write(bench.folders["file"], music(_SECONDS), 44100)
    return bench.folders["file"]


def _sends_bare(bench: Bench) -> float:
    """Return the ms that the bare bytes take, to a server that stores them and syncs them."""
    pcm = memoryview(music(_SECONDS).tobytes())
    port = bench.limit("append", "interval").port

    def job() -> Count:
        with connect(port) as client:
            return _timed(partial(_send_bare, client, pcm))

    return 1000 * together([job], bench.load_cores)[0].times[0]


def _send_bare(client: socket.socket, pcm: memoryview) -> None:
    for at in range(0, len(pcm), _BLOCK):
        block = pcm[at : at + _BLOCK]
        client.sendall(len(block).to_bytes(PREFIX, "little") + block)
    client.sendall(bytes(PREFIX))
    receive_exactly(client, 14)


def _packs_list(bench: Bench) -> float:
    """Return the ms that `struct.pack` takes for that list."""
    values = music(_SECONDS).ravel().tolist()
    job = partial(_timed, lambda: struct.pack(f"<{len(values)}h", *values))
    return 1000 * together([job], bench.load_cores)[0].times[0]


def _receive(port: int, stream_id: str, vectors: Literal["numpy", "list"]) -> Count:
    with Racs(port=port, vectors=vectors) as racs:
        command = f"EXTRACT '{stream_id}' 0.0 {float(_SECONDS)}"
        return _timed(lambda: racs.execute_command(command))


def _receives(vectors: Literal["numpy", "list"]) -> Measure:
    def measure(bench: Bench) -> float:
        server = bench.server()
        if bench.notes.setdefault("music", 0) == 0:
            archive(server.port, "music", _SECONDS)
            bench.notes["music"] = 1
        job = partial(_receive, server.port, "music", vectors)
        return 1000 * together([job], bench.load_cores)[0].times[0]

    return measure


ROWS = [
    Row("client: 60 s from numpy", "ms", _sends("numpy"), _sends_bare, quick=True),
    Row("client: 60 s from a file", "ms", _sends("a file"), _sends_bare),
    Row("client: 60 s from a list", "ms", _sends("a list"), _packs_list, 180, quick=True),
    Row("client: 60 s into numpy", "ms", _receives("numpy"), quick=True),
    Row("client: 60 s into a list", "ms", _receives("list"), None, 1100),
]
