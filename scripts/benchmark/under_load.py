"""Rows: how long small requests take while others work the server, and what memory it takes."""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial

from racs.wire import encode_command
from scripts.benchmark.extract import archive, request
from scripts.benchmark.limits import PONG
from scripts.benchmark.load import (
    PREFIX,
    Count,
    Pace,
    block_message,
    connect,
    lockstep,
    open_stream,
    receive_exactly,
    together,
)
from scripts.benchmark.programs import Program
from scripts.benchmark.rows import Bench, Measure, Row

_WRITERS = 16
_READERS = 2
_BLOCK = 17_640
"""Bytes of a tenth of a second, 44.1 kHz stereo."""
_REPLY = PREFIX + len(PONG)
_AT_ONCE = 500


def _writer(port: int, number: int, pace: Pace) -> Count:
    """Send audio as fast as it is played."""
    with connect(port) as client:
        stream_id = f"writer {os.getpid()} {number}"
        open_stream(client, stream_id)
        message = block_message(stream_id, os.urandom(_BLOCK))
        began = time.perf_counter()
        for tenth in range(round(10 * (pace.warm_up + pace.measured))):
            client.sendall(message)
            receive_exactly(client, 14)
            time.sleep(max(0, began + tenth / 10 - time.perf_counter()))
    return Count(0, 1)


def _again(port: int, text: str, pace: Pace) -> Count:
    """Ask for the same, again and again."""
    end = time.perf_counter() + pace.warm_up + pace.measured
    while time.perf_counter() < end:
        request(port, encode_command(text))
    return Count(0, 1)


def _pings(port: int, pace: Pace) -> Count:
    with connect(port) as client:
        return lockstep(client, encode_command("PING"), _REPLY, pace)


def _latency(share: float) -> Measure:
    """Return what measures the ms in which that share of PINGs is answered, under load."""

    def measure(bench: Bench) -> float:
        server = _with_music(bench)
        pace = Pace(0.5, 4 * bench.pace.measured)
        extract = "EXTRACT 'music' 0.0 600.0"
        encode = "RANGE 'music' 0.0 60.0 |> ENCODE 'audio/flac'"
        jobs: list[Callable[[], Count]] = [partial(_pings, server.port, pace)]
        jobs += [partial(_writer, server.port, number, pace) for number in range(_WRITERS)]
        jobs += [partial(_again, server.port, extract, pace)] * _READERS
        jobs += [partial(_again, server.port, encode, pace)]
        times = together(jobs, bench.load_cores)[0].times
        return 1000 * statistics.quantiles(times, n=100)[round(100 * share) - 1]

    return measure


def _with_music(bench: Bench) -> Program:
    server = bench.server()
    if bench.notes.setdefault("music", 0) == 0:
        archive(server.port, "music", 600)
        bench.notes["music"] = 1
    return server


def _idle(bench: Bench) -> float:
    with bench.start(bench.folder()) as server:
        return server.memory()


def _after_an_hour(bench: Bench) -> float:
    """Return the MB after an hour of audio has come, and has been read again."""
    with bench.start(bench.folder()) as server:
        archive(server.port, "hour", 3600)
        request(server.port, encode_command("EXTRACT 'hour' 0.0 3600.0"))
        return server.memory()


def _growth(work: Callable[[int, int], None], times: int, quick_times: int) -> Measure:
    """Return what measures by how many MB the server grows while something is done many times."""

    def measure(bench: Bench) -> float:
        server = _with_music(bench)
        number = quick_times if bench.quick else times
        work(server.port, number // 10)
        before = server.memory()
        work(server.port, number)
        return server.memory() - before

    return measure


def _many_pings(port: int, number: int) -> None:
    group = encode_command("PING") * _AT_ONCE
    with connect(port) as client:
        for _ in range(number // _AT_ONCE):
            client.sendall(group)
            receive_exactly(client, _AT_ONCE * _REPLY)


def _many_extracts(port: int, number: int) -> None:
    for _ in range(number):
        request(port, encode_command("EXTRACT 'music' 30.0 1.0"))


ROWS = [
    Row("PING under load, median", "ms", _latency(0.5), quick=True, rounds=1),
    Row("PING under load, 99 of 100", "ms", _latency(0.99), quick=True, rounds=2),
    Row("memory, idle", "MB", _idle, None, 172, quick=True, rounds=1),
    Row("memory, an hour taken and read again", "MB", _after_an_hour, None, 2065, rounds=1),
    Row(
        "memory grown by 1,000,000 PINGs",
        "MB",
        _growth(_many_pings, 1_000_000, 100_000),
        None,
        4000,
        rounds=1,
    ),
    Row(
        "memory grown by 10,000 EXTRACTs",
        "MB",
        _growth(_many_extracts, 10_000, 1_000),
        rounds=1,
    ),
]
