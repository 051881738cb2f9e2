"""``top``: what goes on in the server, live."""

import threading
import time
from typing import TYPE_CHECKING, Any

import click

from racs.cli.base import command

if TYPE_CHECKING:
    from rich.console import Group

    from racs.cli.session import Session

_PICTURE = 0.5
"""Seconds between two pictures."""


@command(
    "top",
    "racs top",
    "racs top 'birds/*'",
    "racs top --once --json",
)
@click.argument("pattern", default="*")
@click.option("--once", is_flag=True, help="One look, after two seconds, as when it is piped.")
def top_command(session: "Session", pattern: str, once: bool) -> None:
    """Watch what is being recorded, live.

    The streams that are open, how fast audio comes, clients and disk. Ctrl-C ends it.
    """
    watch = Watch(session, pattern)
    if once or session.json or not session.out.is_terminal:
        time.sleep(2)
        session.show(watch.data(), watch.picture())
        return
    from rich.live import Live

    try:
        with Live(watch.picture(), console=session.out, auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(_PICTURE)
                live.update(watch.picture(), refresh=True)
    except KeyboardInterrupt:
        return


class Watch:
    """The server's figures, looked at now and then, and its streams, told by events.

    Parameters
    ----------
    session
        The connection.
    pattern
        Of the streams to show.
    """

    def __init__(self, session: "Session", pattern: str) -> None:
        from racs.cli.board import Board

        self._session = session
        self._pattern = pattern
        self._board = Board()
        self._lock = threading.Lock()
        self._problem: Exception | None = None
        self._figures: dict[str, Any] = {}
        self._before: tuple[float, dict[str, Any]] | None = None
        self._rates: dict[str, float] = {}
        self._formats: dict[str, Any] = {}
        self._look()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            with self._session.new_client() as client:
                for event in client.subscribe(self._pattern):
                    if event.kind in ("ready", "missed"):
                        streams = self._session.streams(self._pattern)
                        with self._lock:
                            self._board.begin(streams, time.monotonic())
                            self._formats |= {each.id: each for each in streams}
                    else:
                        with self._lock:
                            self._board.take(event, time.monotonic())
        except Exception as error:
            self._problem = error

    def _look(self) -> None:
        """Read the server's figures, and how fast those grow that do."""
        values = self._session.do("STATS")
        now, figures = time.monotonic(), dict(zip(values[::2], values[1::2], strict=True))
        if self._before is not None:
            then, before = self._before
            self._rates = {
                name: (figures[name] - before[name]) / max(now - then, 1e-3)
                for name in ("requests", "received_bytes", "sent_bytes", "appended_bytes")
            }
        self._before = (now, figures)
        self._figures = figures

    def _rows(self) -> list[tuple[Any, Any, float]]:
        """Return each row, with what is known of its stream, and its rate."""
        if self._problem is not None:
            raise self._problem
        now = time.monotonic()
        with self._lock:
            rows = self._board.rows(now)
            found = [(row, self._formats.get(row.id), row.rate(now)) for row in rows]
        unknown = [row.id for row, facts, _ in found if facts is None]
        self._formats |= {name: self._session.find(name) for name in unknown}
        return [(row, self._formats.get(row.id), rate) for row, _, rate in found]

    def data(self) -> dict[str, Any]:
        """Return all, as `--json` prints it."""
        self._look()
        streams = [
            {"id": row.id, "open": row.is_open, "frames": row.frames, "frames_per_second": rate}
            for row, _, rate in self._rows()
        ]
        return {"server": self._figures, "rates": self._rates, "streams": streams}

    def picture(self) -> "Group":
        """Return all, as people see it."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        from racs.cli.text import length_text, plural, size_text

        self._look()
        figures, rates = self._figures, self._rates
        head = Text(f"racs {figures['version']}  ", "bold")
        head.append(f"up {length_text(figures['uptime_seconds'])}  ", "not bold")
        head.append(f"{plural(figures['connections'], 'client')}  ")
        head.append(f"{figures['open_streams']:,} of {plural(figures['streams'], 'stream')} open")
        free, size = figures["disk_free_bytes"], figures["disk_size_bytes"]
        disk = Text(f"disk {size_text(free)} of {size_text(size)} free", _disk_style(free, size))
        traffic = Text(
            f"in {size_text(rates.get('received_bytes', 0))}/s"
            f"  out {size_text(rates.get('sent_bytes', 0))}/s"
            f"  {rates.get('requests', 0):,.0f} requests/s"
            f"  {plural(figures['errors'], 'error')}"
            f"  {plural(figures['followers'], 'follower')}"
        )
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("stream", overflow="fold")
        for name in ("length", "size", "rate", "real time"):
            table.add_column(name, justify="right", no_wrap=True)
        rows = self._rows()
        for row, facts, rate in rows:
            if facts is None:
                continue
            table.add_row(
                Text(row.id, "" if row.is_open else "dim"),
                length_text(row.frames / facts.sample_rate),
                size_text(row.frames * facts.frame_bytes),
                f"{size_text(rate * facts.frame_bytes)}/s",
                f"{rate / facts.sample_rate:.2f} x",
            )
        idle = Text("nothing is being recorded", "dim")
        return Group(head, disk, traffic, Text(), table if rows else idle)


def _disk_style(free: int, size: int) -> str:
    share = free / max(size, 1)
    return "red" if share < 0.03 else "yellow" if share < 0.1 else ""
