"""What `top` shows of streams: kept up to date by events, without asking again.

Pure: is told events and the time.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from racs.cli.session import Facts
from racs.live import StreamEvent

_WINDOW = 5.0
"""Seconds over which rates are measured."""


class Row(msgspec.Struct):
    """A stream that is open, or was written to.

    Attributes
    ----------
    id
        Which.
    is_open
        Whether it takes audio now.
    frames
        Its length in sample frames.
    since
        When it was opened or first seen, by the clock that events are told with.
    recent
        When how many sample frames came, for as long as rates look back.
    """

    id: str
    is_open: bool
    frames: int
    since: float
    recent: deque[tuple[float, int]] = msgspec.field(default_factory=deque)

    def rate(self, now: float) -> float:
        """Return the sample frames a second that came lately."""
        while self.recent and self.recent[0][0] < now - _WINDOW:
            self.recent.popleft()
        span = min(_WINDOW, max(now - self.since, 1.0))
        return sum(frames for _, frames in self.recent) / span


class Board:
    """All rows, by stream id."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def begin(self, streams: Iterable[Facts], now: float) -> None:
        """Take the streams as they are; those that are not open are shown when they change."""
        self._rows = {
            each.id: Row(each.id, is_open=True, frames=each.frames, since=now)
            for each in streams
            if each.is_open
        }

    def take(self, event: StreamEvent, now: float) -> None:
        """Take note of an event."""
        name = event.stream_id
        if event.kind in ("deleted", "expired"):
            self._rows.pop(name, None)
        elif event.kind == "closed":
            if name in self._rows:
                self._rows[name].is_open = False
        elif event.kind in ("opened", "appended"):
            row = self._rows.setdefault(name, Row(name, is_open=True, frames=0, since=now))
            row.is_open = True
            if event.kind == "appended":
                row.frames = event.stop
                row.recent.append((now, event.stop - event.start))

    def rows(self, now: float) -> list[Row]:
        """Return the rows to show: those that are open, the fastest first; then the rest."""
        rows = [row for row in self._rows.values() if row.is_open or row.rate(now)]
        return sorted(rows, key=lambda row: (not row.is_open, -row.rate(now), row.id))
