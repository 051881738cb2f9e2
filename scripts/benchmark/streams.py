"""Rows: many streams, the start of a server, and its recovery."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial

from crc32c import crc32c

from racs.wire import encode_command, encode_frame, encode_single, stream_hash
from scripts.benchmark.load import Count, connect, receive_exactly, receive_reply, together
from scripts.benchmark.programs import Program
from scripts.benchmark.rows import Bench, Measure, Row

_AT_ONCE = 200
_NULL = 14
_IMPORTS = "import anyio, click, crc32c, lark, mmh3, msgspec, numpy, sqlite3, trio"
_SENDER = b"benchmark sender"


def pipelined(port: int, messages: Iterable[bytes]) -> int:
    """Send many requests, many at once; return how many there were. All replies have to be null."""
    group: list[bytes] = []
    total = 0
    with connect(port) as client:
        for message in [*messages, b""]:
            group += [message] if message else []
            if len(group) == _AT_ONCE or not message:
                client.sendall(b"".join(group))
                for _ in group:
                    reply = receive_reply(client)
                    if reply != b"\x91\xa4null":
                        raise ValueError(f"an unexpected reply: {bytes(reply)!r}")
                total += len(group)
                group = []
    return total


def _create(port: int, start: int, number: int) -> Count:
    """Make streams one after another."""
    began = time.perf_counter()
    with connect(port) as client:
        for i in range(start, start + number):
            client.sendall(encode_command(f"CREATE 'stream {i}' 44100 2 16"))
            receive_exactly(client, _NULL)
    return Count(number, time.perf_counter() - began)


def _fill(bench: Bench, number: int) -> Program:
    """Return a server with at least so many streams."""
    server = bench.server()
    have = bench.notes.get("streams", 0)
    names = (f"CREATE 'stream {i}' 44100 2 16" for i in range(have, number))
    bench.notes["streams"] = max(have, have + pipelined(server.port, map(encode_command, names)))
    return server


def _create_rate(before: int) -> Measure:
    def measure(bench: Bench) -> float:
        server = _fill(bench, before)
        number = 300 if bench.quick else 1000
        start = bench.notes["streams"]
        [count] = together([partial(_create, server.port, start, number)], bench.load_cores)
        bench.notes["streams"] = start + number
        return count.rate

    return measure


def _make_folders(bench: Bench) -> float:
    """Return how many folders a second can be made with a line in a log for each."""
    folder = bench.folder()

    def job() -> Count:
        fd = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
        began = time.perf_counter()
        for i in range(1000):
            (folder / f"stream {i}").mkdir()
            os.write(fd, bytes(64))
        return Count(1000, time.perf_counter() - began)

    return together([job], bench.server_cores)[0].rate


def _list(port: int, number: int) -> Count:
    with connect(port) as client:
        began = time.perf_counter()
        client.sendall(encode_command("LIST 'stream *'"))
        reply = receive_reply(client)
        took = time.perf_counter() - began
    if reply.count(b"stream ") < number:
        raise ValueError("the list is too short")
    return Count(1, 1, [took])


def _list_time(number: int) -> Measure:
    def measure(bench: Bench) -> float:
        server = _fill(bench, number)
        [count] = together([partial(_list, server.port, number)], bench.load_cores)
        return 1000 * count.times[0]

    return measure


def _start_time(number: int) -> Measure:
    """Return what measures the seconds of a start with so many streams, after an orderly end."""

    def measure(bench: Bench) -> float:
        key = f"start with {number}"
        if key not in bench.folders:
            bench.folders[key] = bench.folder()
            with bench.start(bench.folders[key]) as server:
                names = (f"CREATE 'stream {i}' 44100 2 16" for i in range(number))
                pipelined(server.port, map(encode_command, names))
        with bench.start(bench.folders[key]) as server:
            return server.start_time

    return measure


def _bare_start(_: Bench) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
    return time.perf_counter() - began


def _recovery(bench: Bench) -> float:
    """Return the seconds that a start takes with a gigabyte that came since the last checkpoint."""
    folder = bench.folder()
    server = bench.start(folder, "--checkpoint-interval", "3600")
    _send_gigabytes(server.port, 1_000_000_000)
    server.end(signal.SIGKILL)
    bench.folders["killed"] = folder
    with bench.start(folder) as server:
        return server.start_time


def _send_gigabytes(port: int, size: int) -> None:
    """Send so many bytes of PCM to a new stream, which stays open."""
    block = os.urandom(64_000)
    message = encode_single(encode_frame(stream_hash("dirty"), _SENDER, block))
    commands = ["CREATE 'dirty' 44100 2 16", "OPEN 'dirty'"]
    pipelined(port, map(encode_command, commands))
    pipelined(port, (message for _ in range(size // len(block))))


def _read_all(bench: Bench) -> float:
    """Return the seconds that reading and checking that gigabyte takes, after a bare start."""
    if "killed" not in bench.folders:
        _recovery(bench)
    began = time.perf_counter()
    _bare_start(bench)
    for path in bench.folders["killed"].rglob("*.wav"):
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                crc32c(piece)
    return time.perf_counter() - began


def _recover_many(number: int) -> Measure:
    """Return what measures a start with so many streams that had each just got a block."""

    def measure(bench: Bench) -> float:
        folder = bench.folder()
        server = bench.start(folder, "--checkpoint-interval", "3600", "--durability", "os")
        block = os.urandom(4096)

        def requests() -> Iterable[bytes]:
            for i in range(number):
                name = f"stream {i}"
                yield encode_command(f"CREATE '{name}' 44100 2 16 |> OPEN '{name}'")
                yield encode_single(encode_frame(stream_hash(name), _SENDER, block))

        pipelined(server.port, requests())
        server.end(signal.SIGKILL)
        with bench.start(folder) as server:
            return server.start_time

    return measure


ROWS = [
    Row("CREATE, 1,000 streams before", "1/s", _create_rate(1000), _make_folders, 1000, quick=True),
    Row("LIST of 1,000 streams", "ms", _list_time(1000), None, 1.3, quick=True),
    Row("CREATE, 10,000 streams before", "1/s", _create_rate(10_000), _make_folders),
    Row("LIST of 10,000 streams", "ms", _list_time(10_000), None, 3650),
    Row("CREATE, 100,000 streams before", "1/s", _create_rate(100_000), _make_folders, rounds=3),
    Row("LIST of 100,000 streams", "ms", _list_time(100_000), None, rounds=3),
    Row("start with no stream", "s", _start_time(0), _bare_start, 0.071, quick=True),
    Row("start with 10,000 streams", "s", _start_time(10_000), _bare_start, rounds=3),
    Row("recovery of 1 GB", "s", _recovery, _read_all, rounds=2),
    Row("recovery of 10,000 dirty streams", "s", _recover_many(10_000), _bare_start, rounds=1),
]
