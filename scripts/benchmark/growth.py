"""How costs grow: with the number of streams, the length of a stream, and the number of clients.

``scripts/growth`` prints three tables as Markdown and draws them, for the README. All sizes of one
table are measured on one server, which grows from one to the next.
"""

import argparse
import os
import select
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from racs.wire import encode_command, encode_frame, encode_single, stream_hash
from scripts.benchmark.extract import archive
from scripts.benchmark.limits import NULL, PONG
from scripts.benchmark.load import (
    PREFIX,
    Count,
    Pace,
    block_message,
    call,
    connect,
    open_stream,
    receive_exactly,
    receive_reply,
    together,
)
from scripts.benchmark.programs import Program, racs_server
from scripts.benchmark.streams import pipelined

PICTURE = Path(__file__).resolve().parents[1] / "growth.png"
_SENDER = b"benchmark sender"
_TIMES = 200

Line = dict[str, float]
"""One row of a table: the figures by what they are, with their unit."""


def median_ms(port: int, messages: Sequence[bytes]) -> float:
    """Return the median of the milliseconds that requests take, one after another."""

    def job() -> Count:
        times = []
        with connect(port) as client:
            for message in messages:
                began = time.perf_counter()
                client.sendall(message)
                receive_exactly(client, int.from_bytes(receive_exactly(client, PREFIX), "little"))
                times.append(time.perf_counter() - began)
        return Count(len(times), 1, times)

    [count] = together([job], _cores()[0])
    return 1000 * statistics.median(count.times)


def with_streams(number: int, server: Program, have: int) -> Line:
    """Measure a server that has `have` streams, once it has `number`."""
    names = [f"stream {i}" for i in range(have, number)]
    began = time.perf_counter()
    pipelined(server.port, (encode_command(f"CREATE '{name}' 44100 2 16") for name in names))
    created = (time.perf_counter() - began) / len(names)
    chosen = np.unique(np.linspace(have, number - 1, _TIMES, dtype=int))
    some = [f"stream {i}" for i in chosen]
    block = os.urandom(4096)
    opened = median_ms(server.port, [encode_command(f"OPEN '{name}'") for name in some])
    blocks = [encode_single(encode_frame(stream_hash(name), _SENDER, block)) for name in some]
    appended = median_ms(server.port, blocks)
    extracted = median_ms(server.port, [encode_command(f"RANGE '{name}' 0 1") for name in some])
    pipelined(server.port, (encode_command(f"CLOSE '{name}'") for name in some))
    listed = median_ms(server.port, [encode_command("LIST 'stream *'")] * 5)
    return {
        "streams": number,
        "CREATE, ms": 1000 * created,
        "OPEN, ms": opened,
        "block of 4 KiB, ms": appended,
        "RANGE, ms": extracted,
        "LIST of all, ms": listed,
        "memory, MB": server.memory(),
    }


def growing_streams(folder: Path) -> list[Line]:
    """Measure 100 to 100,000 streams."""
    lines, have = [], 0
    for number in (100, 1_000, 10_000, 100_000):
        with racs_server(folder, _cores()[1]) as server:
            line = with_streams(number, server, have)
        with racs_server(folder, _cores()[1]) as server:
            lines.append({**line, "start, s": server.start_time})
        have = number
    return lines


def growing_length(folder: Path) -> list[Line]:
    """Measure streams of 8 kHz stereo, from a minute to a day."""
    lines = []
    with racs_server(folder, _cores()[1]) as server:
        for what, seconds in {"1 min": 60, "10 min": 600, "1 h": 3600, "24 h": 86400}.items():
            archive(server.port, what, seconds, 8000)
            middle = np.linspace(seconds * 0.2, seconds * 0.8, _TIMES)
            ranges = [encode_command(f"RANGE '{what}' {at:.3f} 1.0") for at in middle]
            peaks = encode_command(f"PEAKS '{what}' 0.0 {seconds}.0 1000")
            with connect(server.port) as client:
                client.sendall(peaks)  # the first one of a new stream finishes its waveform
                receive_reply(client)
                call(client, f"OPEN '{what}'")
            blocks = [block_message(what, os.urandom(4096))] * _TIMES
            lines.append(
                {
                    "seconds": seconds,
                    "RANGE of 1 s, ms": median_ms(server.port, ranges),
                    "block of 4 KiB, ms": median_ms(server.port, blocks),
                    "PEAKS of all, ms": median_ms(server.port, [peaks] * 20),
                    "INFO, ms": median_ms(
                        server.port, [encode_command(f"INFO '{what}' 'size'")] * _TIMES
                    ),
                    "memory, MB": server.memory(),
                }
            )
    return lines


def crowd(port: int, clients: int, pace: Pace, *, audio: bool) -> Count:
    """Be many clients in lock step, in one process."""
    sockets = {client.fileno(): client for client in (connect(port) for _ in range(clients))}
    message = {fd: encode_command("PING") for fd in sockets}
    size = PREFIX + len(NULL if audio else PONG)
    if audio:
        for fd, client in sockets.items():
            open_stream(client, name := f"crowd of {clients}, {fd}")
            message[fd] = block_message(name, os.urandom(4096))
    ready = select.epoll()
    sent: dict[int, float] = {}
    begin = time.perf_counter() + pace.warm_up
    for fd, client in sockets.items():
        ready.register(fd, select.EPOLLIN)
        sent[fd] = time.perf_counter()
        client.sendall(message[fd])
    times: list[float] = []
    while (now := time.perf_counter()) < begin + pace.measured:
        for fd, _ in ready.poll(1):
            client = sockets[fd]
            if len(receive_exactly(client, size)) == size and sent[fd] > begin:
                times.append(time.perf_counter() - sent[fd])
            sent[fd] = time.perf_counter()
            client.sendall(message[fd])
    for client in sockets.values():
        client.close()
    return Count(len(times), now - begin, times)


def growing_crowd(folder: Path) -> list[Line]:
    """Measure 1 to 500 clients."""
    lines = []
    pace = Pace(0.5, 3)
    with racs_server(folder, _cores()[1]) as server:
        for clients in (1, 4, 16, 64, 256, 500):
            job = partial(crowd, server.port, clients, pace)
            [pings] = together([partial(job, audio=False)], _cores()[0])
            [blocks] = together([partial(job, audio=True)], _cores()[0])
            lines.append(
                {
                    "clients": clients,
                    "PINGs a second": pings.rate,
                    "PING, 99 of 100, ms": 1000 * float(np.percentile(pings.times, 99)),
                    "blocks of 4 KiB a second": blocks.rate,
                    "block, 99 of 100, ms": 1000 * float(np.percentile(blocks.times, 99)),
                    "memory, MB": server.memory(),
                }
            )
    return lines


def table(lines: list[Line]) -> str:
    """Return a table as Markdown."""
    names = list(lines[0])
    rows = [names, ["---:"] * len(names)]
    rows += [[_figure(line[name]) for name in names] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def draw(tables: list[list[Line]], path: Path) -> None:
    """Draw each table: all its figures over its first column, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, lines in zip(figure.subplots(1, len(tables)), tables, strict=True):
        over, *names = lines[0]
        for name in names:
            axes.plot(
                [line[over] for line in lines], [line[name] for line in lines], "o-", label=name
            )
        axes.set(xscale="log", yscale="log", xlabel=over)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=110)


def _cores() -> tuple[set[int], set[int]]:
    """Return where the load is made, and where the server runs."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="scripts/growth", description=__doc__)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="file to draw into")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    tables: list[list[Line]] = []
    measures: list[Callable[[Path], list[Line]]] = [growing_streams, growing_length, growing_crowd]
    for measure in measures:
        folder = Path(tempfile.mkdtemp(prefix="growth-", dir=arguments.folder))
        try:
            with console.status((measure.__doc__ or "").splitlines()[0]):
                tables.append(measure(folder))
        finally:
            shutil.rmtree(folder)
        print(table(tables[-1]), end="\n\n", flush=True)
    draw(tables, arguments.picture)
    console.print(f"drawn: {arguments.picture}")


if __name__ == "__main__":
    main()
