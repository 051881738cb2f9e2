"""Export hours of audio in each format, and measure what it costs the server and its other clients.

Run ``python -m scripts.long_export --hours 4``. For each format: how long it takes, by how much the
server's memory grows at its greatest, and the round trips of another client's PING meanwhile, every
10 ms, from a process of its own; at the end, what is left of an export whose client goes away in
the middle. A server of its own, in a temporary folder, takes the audio in.
"""

import multiprocessing
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from racs.wire import decode_reply, encode_command
from scripts.benchmark.extract import archive
from scripts.benchmark.load import PREFIX, connect, receive_exactly, receive_reply
from tests.e2e.daemon import Daemon

FORMATS = ("audio/wav", "audio/flac", "audio/mpeg", "audio/opus", "audio/vorbis")
PATIENCE = 30.0
"""Seconds that the server is given to free what it holds."""
LEAST = 1000
"""Bytes of a reply: one with fewer is no file."""
PING = encode_command("PING")
console = Console()


def ping(port: int, report: Connection) -> None:
    """Measure round trips, in ms, until told to end; send them then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    times: list[float] = []
    with connect(port) as client:
        report.send(times)  # from now on it measures
        while not report.poll(0.01):
            begun = time.perf_counter()
            client.sendall(PING)
            receive_reply(client)
            times.append(1000 * (time.perf_counter() - begun))
    with suppress(BrokenPipeError):  # nobody wants to know
        report.send(times)


@contextmanager
def pings(port: int) -> Iterator[list[float]]:
    """Let another client PING meanwhile; its round trips are there at the end."""
    times: list[float] = []
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=ping, args=(port, theirs))
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield times
        ours.send("end")
        times += ours.recv()
    finally:
        ours.close()
        process.join()


def told(process: int, name: str) -> int:
    """Return a number of a process's status: ``Threads``, or bytes of ``VmRSS``, ``VmHWM``."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+)( kB)?$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) << (10 if found[2] else 0)


def export(daemon: Daemon, command: str) -> int:
    """Let the server make a file, and throw it away; return how many bytes it has."""
    with connect(daemon.port) as client:
        client.sendall(encode_command(command))
        rest = int.from_bytes(receive_exactly(client, PREFIX), "little")
        size = rest
        if size < LEAST:
            decode_reply(receive_exactly(client, size))  # an error, most likely: it is raised
        buffer = bytearray(1 << 20)
        while rest:
            rest -= client.recv_into(buffer, min(rest, len(buffer)))
    return size


def spooled(daemon: Daemon) -> int:
    """Return how many temporary files the server has open."""
    names = []
    for descriptor in Path(f"/proc/{daemon.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            names.append(descriptor.readlink().name)
    return sum(name.endswith("(deleted)") for name in names)


def resources(daemon: Daemon) -> str:
    """Return what the server holds, for people."""
    process = daemon.process.pid
    return (
        f"{told(process, 'VmRSS') / 2**20:.0f} MiB, {told(process, 'Threads')} threads,"
        f" {spooled(daemon)} temporary files"
    )


def leave(daemon: Daemon, command: str, seconds: float) -> list[str]:
    """Ask for a file, and go away; return what the server holds before, meanwhile, and after."""
    found, before = [resources(daemon)], spooled(daemon)
    with connect(daemon.port) as client:
        client.sendall(encode_command(command))
        time.sleep(seconds)
        found.append(resources(daemon))
    begun = time.perf_counter()
    while spooled(daemon) > before and time.perf_counter() - begun < PATIENCE:
        time.sleep(0.01)
    took = time.perf_counter() - begun
    return [*found, f"{resources(daemon)}, {1000 * took:.0f} ms later"]


@click.command()
@click.option("--hours", default=4.0, help="Of stereo audio.", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to put temporary files.")
@click.argument("formats", nargs=-1)
def main(hours: float, folder: Path | None, formats: tuple[str, ...]) -> None:
    """Export hours of audio in each of FORMATS (all that people use, if none is given)."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    table = Table("format", "s", "speed", "MB", "grown, MiB", "PING, ms", "p99", "max")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    left: list[str] = []
    with (
        tempfile.TemporaryDirectory(dir=folder) as place,
        Daemon(Path(place) / "data") as daemon,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("taking the audio in")
        try:
            archive(daemon.port, "long", round(hours * 3600))
            for mime_type in ("", *(formats or FORMATS)):
                progress.update(task, description=mime_type or "nothing")
                table.add_row(*measured(daemon, mime_type, hours))
            progress.update(task, description="a client that goes away")
            left = leave(daemon, _command(hours, "audio/opus"), 3)
        except KeyboardInterrupt:
            console.print("stopped")
    console.print(table)
    if left:
        console.print("an export to Opus whose client leaves:")
    for when, what in zip(("before", "meanwhile", "afterwards"), left, strict=False):
        console.print(f"  {when}: {what}", highlight=False)


def _command(hours: float, mime_type: str) -> str:
    return f"RANGE 'long' 0 {hours * 3600} |> ENCODE '{mime_type}'"


def measured(daemon: Daemon, mime_type: str, hours: float) -> list[str]:
    """Export once; return the table's row. Without a format nothing is exported for 10 s."""
    process = daemon.process.pid
    if mime_type:  # what a format's first use costs is no growth with the audio's length
        export(daemon, _command(20 / 3600, mime_type))
    Path(f"/proc/{process}/clear_refs").write_text("5")  # VmHWM begins anew
    before, size = told(process, "VmRSS"), 0
    begun = time.perf_counter()
    with pings(daemon.port) as times:
        if mime_type:
            size = export(daemon, _command(hours, mime_type))
        else:
            time.sleep(10)
    took = time.perf_counter() - begun
    growth = (told(process, "VmHWM") - before) / 2**20
    middle, high, top = np.percentile(times, (50, 99, 100))
    speed = f"{hours * 3600 / took:,.0f} x" if mime_type else ""
    return [
        mime_type or "(nothing)", f"{took:.1f}", speed, f"{size / 1e6:,.0f}", f"{growth:.1f}",
        f"{middle:.2f}", f"{high:.2f}", f"{top:.2f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
