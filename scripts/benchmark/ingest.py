"""Rows: audio in, in lock step, in batches and in append mode."""

import os
import uuid
from functools import partial

from racs.wire import encode_batch, encode_command, encode_frame, stream_hash
from scripts.benchmark.limits import NULL, PONG
from scripts.benchmark.load import (
    PREFIX,
    Count,
    Pace,
    append,
    batches,
    block_message,
    call,
    connect,
    lockstep,
    open_stream,
    together,
)
from scripts.benchmark.rows import Bench, Measure, Row

_BATCH = 50
_KIB = 1 << 10
_REPLY = PREFIX + len(NULL)

_PEERS = {
    (4, 1): 42.0, (32, 1): 372.0, (60, 1): 404.0,
    (4, 4): 118.0, (32, 4): 494.0, (60, 4): 642.0,
    (4, 16): 80.0, (32, 16): 510.0, (60, 16): 612.0,
}  # fmt: skip
"""MB/s of the C program by KiB and connections; it acknowledges before it writes."""


def _lockstep(port: int, size: int, pace: Pace, *, ours: bool) -> Count:
    with connect(port) as client:
        stream_id = uuid.uuid4().hex
        if ours:
            open_stream(client, stream_id)
        message = block_message(stream_id, os.urandom(size))
        count = lockstep(client, message, _REPLY, pace)
    if ours:
        _remove(port, stream_id)
    return count


def _batches(port: int, size: int, pace: Pace, *, ours: bool) -> Count:
    with connect(port) as client:
        stream_id = uuid.uuid4().hex
        if ours:
            open_stream(client, stream_id)
        session = uuid.uuid4().bytes
        hash_ = stream_hash(stream_id)
        frames = [encode_frame(hash_, session, os.urandom(size)) for _ in range(_BATCH)]
        count = batches(client, encode_batch(frames), _REPLY, pace)
    if ours:
        _remove(port, stream_id)
    return count


def _append(port: int, size: int, pace: Pace, *, ours: bool) -> Count:
    with connect(port) as client:
        stream_id = uuid.uuid4().hex
        if ours:
            open_stream(client, stream_id)
            call(client, f"STREAM '{stream_id}'")
        count = append(client, block_message(stream_id, os.urandom(size)), pace)
    if ours:
        _remove(port, stream_id)
    return count


def _remove(port: int, stream_id: str) -> None:
    """Make room for the next round."""
    with connect(port) as client:
        call(client, f"CLOSE '{stream_id}' |> DELETE '{stream_id}'")


def _ping(port: int, pace: Pace) -> Count:
    with connect(port) as client:
        return lockstep(client, encode_command("PING"), PREFIX + len(PONG), pace)


_JOBS = {
    "lock-step": ("ingest", _lockstep),
    "batches": ("ingest", _batches),
    "append": ("append", _append),
}


def _megabytes(kind: str, durability: str, size: int, clients: int, *, ours: bool) -> Measure:
    """Return what measures the MB/s that all clients bring in together."""
    limit, job = _JOBS[kind]
    blocks = _BATCH if kind == "batches" else 1

    def measure(bench: Bench) -> float:
        server = (
            bench.server("--durability", durability) if ours else bench.limit(limit, durability)
        )
        work = partial(job, server.port, size, bench.pace, ours=ours)
        counts = together([work] * clients, bench.load_cores)
        return sum(count.rate for count in counts) * blocks * size / 1e6

    return measure


def _row(kind: str, durability: str, kib: int, clients: int, *, quick: bool) -> Row:
    plural = "connection" if clients == 1 else "connections"
    return Row(
        f"ingest, {kind}, {kib} KiB, {clients} {plural}, {durability}",
        "MB/s",
        _megabytes(kind, durability, kib * _KIB, clients, ours=True),
        _megabytes(kind, durability, kib * _KIB, clients, ours=False),
        peer=_PEERS.get((kib, clients)) if kind == "lock-step" else None,
        quick=quick,
    )


def _pings(clients: int) -> Row:
    def ours(bench: Bench) -> float:
        return _rate(bench, bench.server("--durability", "interval").port)

    def limit(bench: Bench) -> float:
        return _rate(bench, bench.limit("echo").port)

    def _rate(bench: Bench, port: int) -> float:
        work = partial(_ping, port, bench.pace)
        return sum(count.rate for count in together([work] * clients, bench.load_cores))

    plural = "connection" if clients == 1 else "connections"
    peer = {1: 13_700.0, 4: 31_000.0, 16: 30_000.0}[clients]
    return Row(f"PING, {clients} {plural}", "1/s", ours, limit, peer, quick=clients <= 4)


ROWS = [
    *(_pings(clients) for clients in (1, 4, 16)),
    *(
        _row("lock-step", durability, kib, clients, quick=durability == "interval" and clients <= 4)
        for durability in ("interval", "os", "always")
        for kib in (4, 32, 60)
        for clients in (1, 4, 16)
    ),
    *(
        _row(kind, durability, 32, clients, quick=durability == "interval" and clients == 1)
        for durability in ("interval", "os", "always")
        for kind in ("batches", "append")
        for clients in (1, 4)
    ),
]
