"""Many real-time writers, and clients that misbehave beside them: how long each write takes.

Every writer sends a tenth of a second of CD audio ten times a second, and waits for each answer.
The others, in a process of their own, do what `BAD` lists. At the end every stream is as long as
what was acknowledged, or the exit status is 1. Ctrl-C ends early, with the figures until then.

What others' programs take of the processors meanwhile is printed: where that is much, the times
are theirs. ``chrt -r 1 scripts/load`` goes before them.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import click
import numpy as np
import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from racs.wire import ClientConnection, encode_command, encode_frame, encode_single, stream_hash
from racs.wire.replies import ReplyError, decode_reply
from tests.e2e.daemon import Daemon

RATE, CHANNELS, DEPTH = 44_100, 2, 16
EVERY = 0.1
BLOCK = int(RATE * EVERY) * CHANNELS * DEPTH // 8
MIB = 1 << 20


# ------------------------------------------------------------------------------ those that write


class Writers:
    """What all writers have seen.

    Attributes
    ----------
    times
        Seconds that each block took until it was acknowledged.
    acknowledged
        Bytes, by stream.
    refused
        Errors that they got, and should not have.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.acknowledged: dict[str, int] = {}
        self.refused: list[str] = []

    async def write(self, port: int, stream_id: str, end: float) -> None:
        """Be one writer until a time of trio's clock."""
        chance = random.Random(stream_id)
        pcm = encode_frame(stream_hash(stream_id), chance.randbytes(16), chance.randbytes(BLOCK))
        message = encode_single(pcm)
        async with _connected(port) as client:
            await client.ask(encode_command(f"CREATE '{stream_id}' {RATE} {CHANNELS} {DEPTH}"))
            await client.ask(encode_command(f"OPEN '{stream_id}'"))
            due = trio.current_time() + chance.uniform(0, EVERY)
            while due < end:
                await trio.sleep_until(due)
                due += EVERY
                began = time.perf_counter()
                reply = await client.ask(message)
                self.times.append(time.perf_counter() - began)
                if isinstance(reply, ReplyError):
                    self.refused.append(str(reply))
                else:
                    self.acknowledged[stream_id] = self.acknowledged.get(stream_id, 0) + BLOCK


class _Client:
    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._wire = ClientConnection()

    async def ask(self, message: bytes) -> object:
        """Return what the server answers; an error as a `ReplyError`."""
        await self.stream.send_all(message)
        while (event := self._wire.next_event()) is None:
            data = await self.stream.receive_some(1 << 16)
            if not data:
                raise trio.BrokenResourceError("the server has hung up")
            while data:
                buffer = self._wire.get_buffer()
                count = min(len(buffer), len(data))
                buffer[:count] = data[:count]
                self._wire.received(count)
                data = data[count:]
        try:
            return decode_reply(event.payload)
        except ReplyError as error:
            return error


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[_Client]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield _Client(stream)


# --------------------------------------------------------------------------- those that misbehave

Attack: TypeAlias = Callable[[trio.SocketStream, random.Random], Awaitable[None]]


async def _stalled(stream: trio.SocketStream, chance: random.Random) -> None:
    """Ask for much, and read nothing of it."""
    await stream.send_all(encode_command("RANGE 'writer 0' 0 3600"))
    await stream.send_all(encode_command("RANGE 'writer 1' 0 3600 |> ENCODE 'audio/flac'"))
    await trio.sleep(chance.uniform(20, 40))


async def _slow(stream: trio.SocketStream, _chance: random.Random) -> None:
    """Send a byte a second."""
    for byte in encode_command("LIST '*'"):
        await stream.send_all(bytes([byte]))
        await trio.sleep(1)


async def _noisy(stream: trio.SocketStream, chance: random.Random) -> None:
    """Send any bytes."""
    await stream.send_all(chance.randbytes(chance.randint(1, 5000)))
    await trio.sleep(0.2)


async def _bombing(stream: trio.SocketStream, chance: random.Random) -> None:
    """Send a zstd frame (RFC 8878) whose header claims terabytes."""
    bomb = b"\x28\xb5\x2f\xfd\xe0" + (1 << chance.randint(30, 63)).to_bytes(8, "little") + b"\1\0\0"
    frame = bytearray(encode_frame(stream_hash("writer 0"), bytes(16), bomb))
    frame[33] |= 1
    await stream.send_all(encode_single(bytes(frame)))
    await trio.sleep(0.1)


async def _half(stream: trio.SocketStream, chance: random.Random) -> None:
    """Begin a message of 48 MiB, and leave it at that."""
    await stream.send_all((48 * MIB).to_bytes(8, "little") + b"rsp" + bytes(100_000))
    await trio.sleep(chance.uniform(15, 35))


async def _lengthy(stream: trio.SocketStream, _chance: random.Random) -> None:
    """Send a command of 5 MB."""
    await stream.send_all(encode_command("x" * 5_000_000))
    await trio.sleep(0.5)


async def _following(stream: trio.SocketStream, _chance: random.Random) -> None:
    """Follow a stream, and hardly keep up."""
    await stream.send_all(encode_command("FOLLOW 'writer 2' 0.0"))
    async for _ in stream:
        await trio.sleep(0.5)


async def _flooding(_stream: trio.SocketStream, _chance: random.Random) -> None:
    """Connect, and connect again."""
    await trio.sleep(0.05)


BAD: tuple[Attack, ...] = (
    _stalled, _slow, _noisy, _bombing, _half, _lengthy, _following, _flooding,
)  # fmt: skip


async def _misbehave(port: int, number: int) -> None:
    chance = random.Random(number)
    while True:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await BAD[number % len(BAD)](stream, chance)
        except (OSError, trio.BrokenResourceError):
            await trio.sleep(0.1)


async def _misbehave_all(port: int, count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(_misbehave, port, number)


def _bad_clients(port: int, count: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trio.run(_misbehave_all, port, count)


# ------------------------------------------------------------------------------------ the figures


async def _run(writers: Writers, port: int, count: int, seconds: float, console: Console) -> None:
    """Have all write, until the time is over or Ctrl-C is pressed."""
    began = trio.current_time()
    with (
        trio.open_signal_receiver(signal.SIGINT) as interrupts,
        Progress(console=console, transient=True) as progress,
    ):
        async with trio.open_nursery() as nursery:

            async def stop_early() -> None:
                async for _ in interrupts:
                    console.print("interrupted: the figures until now")
                    nursery.cancel_scope.cancel()

            async def show() -> None:
                task = progress.add_task("writing", total=seconds)
                while True:
                    await trio.sleep(0.5)
                    progress.update(task, completed=trio.current_time() - began)

            nursery.start_soon(stop_early)
            nursery.start_soon(show)
            async with trio.open_nursery() as writing:
                for number in range(count):
                    writing.start_soon(writers.write, port, f"writer {number}", began + seconds)
            nursery.cancel_scope.cancel()


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _processors_busy() -> float:
    """Return how many seconds all processors have worked, for whomever."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:]
    return sum(map(int, (user, nice, system, irq, softirq))) / 100


def _report(daemon: Daemon, writers: Writers, others: float, console: Console) -> bool:
    """Print what was measured; return whether every acknowledged byte is there."""
    with daemon.client(timeout=60) as racs:
        figures = racs.execute_command("STATS")
        wrong = [
            stream_id
            for stream_id, size in writers.acknowledged.items()
            if racs.execute_command(f"INFO '{stream_id}' 'size'") < size
        ]
    known = dict(zip(figures[::2], figures[1::2], strict=True))
    p50, p99, p999, top = np.percentile(np.array(writers.times or [0]), (50, 99, 99.9, 100)) * 1e3
    table = Table("measured", "value")
    for name, value in (
        ("blocks acknowledged", f"{len(writers.times) - len(writers.refused):,}"),
        ("refused", f"{len(writers.refused)} {writers.refused[:1] or ''}"),
        ("streams that lack something", f"{len(wrong)} {wrong[:3] or ''}"),
        ("median", f"{p50:.1f} ms"),
        ("99 %", f"{p99:.1f} ms"),
        ("99.9 %", f"{p999:.1f} ms"),
        ("slowest", f"{top:.1f} ms"),
        ("server's processor time", f"{_processor_seconds(daemon.process.pid):.1f} s"),
        ("others' processor time", f"{others:.1f} s"),
        ("server's memory at most", f"{daemon.memory() / MIB:.0f} MiB"),
        ("stalls over 50 ms", f"{known['stalls']}"),
        ("longest stall", f"{known['longest_stall_seconds'] * 1e3:.0f} ms"),
    ):
        table.add_row(name, value)
    console.print(table)
    return not wrong and not writers.refused


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=60.0, show_default=True, help="How long the writers write.")
@click.option("--writers", "count", default=200, show_default=True, help="How many write.")
@click.option("--bad", default=70, show_default=True, help="How many misbehave.")
def main(seconds: float, count: int, bad: int) -> None:
    """Let writers write in real time beside clients that misbehave."""
    console = Console()
    writers = Writers()
    # In a session of its own the server is out of Ctrl-C's reach.
    with (
        tempfile.TemporaryDirectory() as folder,
        Daemon(Path(folder), wrapper=["setsid"]) as daemon,
    ):
        clients = multiprocessing.get_context("spawn").Process(
            target=_bad_clients, args=(daemon.port, bad), daemon=True
        )
        clients.start()
        busy = _processors_busy()
        try:
            trio.run(_run, writers, daemon.port, count, seconds, console)
        finally:
            used = map(_processor_seconds, (os.getpid(), daemon.process.pid, clients.pid or 0))
            others = _processors_busy() - busy - sum(used)
            clients.terminate()
            clients.join()
        whole = _report(daemon, writers, others, console)
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
