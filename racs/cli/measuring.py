"""``bench``: how fast this server is from here, with a stream of its own that is removed.

Each figure is the median of `_ROUNDS` rounds of at least `seconds` / `_ROUNDS`; nothing is left
out, no cache is warmed but the server's own.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from racs.cli.base import command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from racs.cli.session import Session

_ROUNDS = 3
_RATE, _CHANNELS = 48_000, 2
_PIPELINED = 200


@command("bench", "racs bench", "racs bench --seconds 5 --json")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="For each figure.",
)
def bench_command(session: "Session", seconds: float) -> None:
    """Measure this server.

    Round trips; audio in, acknowledged, as 32 KiB blocks one by one and in batches; audio out. One
    connection at a time. It makes a stream of its own, and removes it; what the disk
    does in the background is part of it.
    """
    import numpy as np
    from rich.live import Live

    session.do("PING")
    name = f"racs-bench-{os.urandom(4).hex()}"
    audio = np.random.default_rng(0).integers(-(2**15), 2**15, 4 << 20).astype(np.int16)
    data = {}
    session.do("CREATE", name, _RATE, _CHANNELS, 16)
    try:
        for title, unit, work in _works(session, name, audio):
            # drawn once, not by a thread that would take part in what is measured
            with Live(
                f"measuring {title} …", console=session.notes, auto_refresh=False, transient=True
            ):
                figure = _measure(work, seconds / _ROUNDS)
            data[title] = {"value": figure, "unit": unit}
            if not session.json:
                session.say(f"{title:<28}{figure:>12,.0f} {unit}{_real_time(figure, unit)}")
    finally:
        session.do("DELETE", name)
    if session.json:
        session.show(data, "")


def _works(
    session: "Session", name: str, audio: "NDArray[np.int16]"
) -> Iterator[tuple[str, str, Callable[[], float]]]:
    """Yield what is measured: its name, its unit, and what does some of it and says how much."""
    client = session.client

    def ping() -> float:
        client.execute_command("PING")
        return 1

    def pipelined() -> float:
        return len(client.execute_commands(["PING"] * _PIPELINED))

    def append(batch: int) -> float:
        client.stream(name).batch_size(batch).execute(audio)
        return audio.nbytes / 1e6

    def extract() -> float:
        blocks = client.extract_blocks(name, 0, 2**53)
        frames = 0
        for block in blocks:
            frames += len(block)
            if frames > audio.size:
                break
        blocks.close()  # type: ignore[attr-defined]
        return frames * 2 / 1e6

    yield "PING, one by one", "a second", ping
    yield f"PING, {_PIPELINED} at once", "a second", pipelined
    yield "audio in, single blocks", "MB/s", lambda: append(1)
    yield "audio in, batches of 50", "MB/s", lambda: append(50)
    yield "audio out", "MB/s", extract


def _measure(work: Callable[[], float], seconds: float) -> float:
    """Return how much a second is done: the median of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        began, done = time.perf_counter(), 0.0
        while (took := time.perf_counter() - began) < seconds:
            done += work()
        rounds.append(done / took)
    return statistics.median(rounds)


def _real_time(figure: float, unit: str) -> str:
    """Say what a throughput is worth in streams."""
    if unit != "MB/s":
        return ""
    streams = figure * 1e6 / (_RATE * _CHANNELS * 2)
    return f"   {streams:,.0f} x real time (48 kHz stereo, 16 bit)"
