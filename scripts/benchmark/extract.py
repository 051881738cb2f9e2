"""Rows: audio out, from the start, the middle and the end of streams, warm and after a restart."""

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from racs.wire import encode_batch, encode_frame, stream_hash
from scripts.benchmark.limits import RANGE
from scripts.benchmark.load import (
    PREFIX,
    Count,
    call,
    connect,
    open_stream,
    receive_exactly,
    receive_reply,
    together,
)
from scripts.benchmark.programs import Program
from scripts.benchmark.rows import Bench, Measure, Row

MUSIC = Path(__file__).resolve().parents[2] / "tests/data/music_guitar_44k_stereo.flac"
_FRAME = 4
_BLOCK = 32_000
_STREAMS = {"10 min": (44100, 600), "60 min": (44100, 3600), "24 h": (8000, 86400)}
"""Sample rate and seconds; the longest has a low rate, to fit on a disk."""


def music(seconds: int, rate: int = 44100) -> np.ndarray:
    """Return real music over and over, shape (frames, 2), dtype int16."""
    once = soundfile.read(MUSIC, dtype="int16")[0]
    return np.resize(once, (seconds * rate, 2))


def archive(port: int, stream_id: str, seconds: int, rate: int = 44100) -> None:
    """Make a stream of music, a minute sent at once."""
    minute = music(min(60, seconds), rate).tobytes()
    pieces = [minute[at : at + _BLOCK] for at in range(0, len(minute), _BLOCK)]
    hash_, session = stream_hash(stream_id), os.urandom(16)
    batch = encode_batch([encode_frame(hash_, session, piece) for piece in pieces])
    with connect(port) as client:
        open_stream(client, stream_id, rate=rate)
        for _ in range(max(1, seconds // 60)):
            client.sendall(batch)
            if receive_reply(client) != b"\x91\xa4null":
                raise ValueError("the music was not taken")
        call(client, f"CLOSE '{stream_id}'")


def request(port: int, message: bytes) -> Count:
    """Ask once; the times are those to the first bytes and to the last, in seconds."""
    with connect(port) as client:
        began = time.perf_counter()
        client.sendall(message)
        size = int.from_bytes(receive_exactly(client, PREFIX), "little")
        first = time.perf_counter() - began
        buffer = bytearray(1 << 20)
        while size:
            count = client.recv_into(buffer, min(size, len(buffer)))
            if not count:
                raise ConnectionError("the server has closed the connection")
            size -= count
        return Count(1, 1, [first, time.perf_counter() - began])


def _prepared(bench: Bench, name: str) -> Program:
    """Return a server with the stream of that name."""
    server = bench.server()
    if bench.notes.setdefault(name, 0) == 0:
        rate, seconds = _STREAMS[name]
        archive(server.port, name, seconds, rate)
        bench.notes[name] = 1
    return server


def _of_limit(bench: Bench, name: str) -> Program:
    """Return the limit with a file as long as the stream, all of it."""
    if (name, "limit") not in bench.folders:
        folder = bench.folders[name, "limit"] = bench.folder()
        rate, seconds = _STREAMS[name]
        minute = music(60, rate).tobytes()
        with (folder / "pcm").open("wb") as file:
            for _ in range(seconds // 60):
                file.write(minute)
    return bench.limit("extract", "pcm", bench.folders[name, "limit"])


def _ms(bench: Bench, port: int, message: bytes, *, first: bool) -> float:
    [count] = together([partial(request, port, message)], bench.load_cores)
    return 1000 * count.times[0 if first else 1]


def _extract(
    name: str, start: float, seconds: int, *, first: bool = False
) -> tuple[Measure, Measure]:
    """Return what measures the ms of an EXTRACT, of ours and of the limit."""
    rate, _ = _STREAMS[name]

    def ours(bench: Bench) -> float:
        text = f"EXTRACT '{name}' {float(start)} {float(seconds)}".encode()
        message = len(text).to_bytes(PREFIX, "little") + text
        return _ms(bench, _prepared(bench, name).port, message, first=first)

    def limit(bench: Bench) -> float:
        message = RANGE.pack(round(start * rate) * _FRAME, seconds * rate * _FRAME)
        return _ms(bench, _of_limit(bench, name).port, message, first=first)

    return ours, limit


_PEERS = {1: 1.2, 10: 6.0, 60: 63.0, 3600: 14_500.0}


def _rows() -> list[Row]:
    rows = []
    for name, (_, length) in _STREAMS.items():
        for seconds in (1, 10, 60, 3600):
            if seconds >= length:
                continue
            places = {"start": 0, "middle": length / 2, "end": length - seconds}
            for place, start in places.items():
                ours, limit = _extract(name, start, seconds)
                rows.append(
                    Row(
                        f"EXTRACT {seconds} s at the {place} of {name}",
                        "ms",
                        ours,
                        limit,
                        _PEERS[seconds] if name == "10 min" else None,
                        quick=name == "10 min" and place == "middle",
                    )
                )
        ours, limit = _extract(name, length / 2, 60, first=True)
        what = f"EXTRACT 60 s in the middle of {name}, first bytes"
        rows.append(Row(what, "ms", ours, limit, quick=name == "10 min"))
    return rows


def _after_restart(bench: Bench) -> float:
    """Return the ms of a first EXTRACT of a server that has just been started."""
    if "restart" not in bench.folders:
        bench.folders["restart"] = bench.folder()
        with bench.start(bench.folders["restart"]) as server:
            archive(server.port, "10 min", 600)
    for path in bench.folders["restart"].rglob("*.wav"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with bench.start(bench.folders["restart"]) as server:
        text = b"EXTRACT '10 min' 300.0 60.0"
        return _ms(bench, server.port, len(text).to_bytes(PREFIX, "little") + text, first=False)


def _limit_from_disk(bench: Bench) -> float:
    server = _of_limit(bench, "10 min")
    with (bench.folders["10 min", "limit"] / "pcm").open("rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    message = RANGE.pack(300 * 44100 * _FRAME, 60 * 44100 * _FRAME)
    return _ms(bench, server.port, message, first=False)


ROWS = [
    *_rows(),
    Row(
        "EXTRACT 60 s after a restart, from the disk",
        "ms",
        _after_restart,
        _limit_from_disk,
        quick=True,
    ),
]
