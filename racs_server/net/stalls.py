"""Watches that the event loop comes round: a stall of it is one for every client.

The event loop says when it begins and ends a round of work (a trio instrument: two looks at the
clock a round); a thread looks at that some times a second, and where a round has become long, at
what the loop is doing.

Invariant: the log gets one line in `REST` seconds at most, with the longest stall of these.
"""

import logging
import sys
import threading
import time
import traceback
from types import FrameType

import trio

logger = logging.getLogger(__name__)

LONG = 0.05
"""Seconds that a round may take."""

REST = 5.0
_LOOK = 0.02
_FRAMES = 12


class Stalls(trio.abc.Instrument):
    """Counts and logs the event loop's long rounds, between `start` and `stop`.

    Is made and started in the event loop's thread.
    """

    def __init__(self) -> None:
        self._loop = threading.get_ident()
        self._began: float | None = None
        self._count = 0
        self._longest = 0.0
        self._untold: tuple[float, str] | None = None
        self._seen: tuple[float, str] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="stalls", daemon=True)

    def __repr__(self) -> str:
        return f"<Stalls {self._count}, longest {self._longest:.3f} s>"

    def statistics(self) -> dict[str, float]:
        """Return how many long rounds there were, and how many seconds the longest took."""
        return {"stalls": self._count, "longest": self._longest}

    def start(self) -> None:
        """Begin to watch."""
        trio.lowlevel.add_instrument(self)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._ended.set()
        trio.lowlevel.remove_instrument(self)
        self._thread.join()

    def after_io_wait(self, timeout: float) -> None:
        """Note that a round of work begins."""
        self._began = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        """Note that it has ended."""
        began, self._began = self._began, None
        if began is not None and (took := time.perf_counter() - began) > LONG:
            self._count += 1
            self._longest = max(self._longest, took)
            seen, where = self._seen or (began, "")
            if self._untold is None or took > self._untold[0]:
                self._untold = took, where if seen == began else "nobody saw in what"

    def _look(self) -> None:
        tell_at = 0.0
        while not self._ended.wait(_LOOK):
            began, now = self._began, time.perf_counter()
            if began is not None and now - began > LONG / 2:
                frame = sys._current_frames().get(self._loop)
                if frame is not None and (self._seen is None or self._seen[0] != began):
                    self._seen = began, describe(frame)
            if self._untold is not None and now >= tell_at:
                (took, where), self._untold = self._untold, None
                tell_at = now + REST
                logger.warning(
                    "the event loop stood still for %.0f ms (%d times so far), in: %s",
                    took * 1e3,
                    self._count,
                    where,
                    extra={"ms": round(took * 1e3), "stalls": self._count, "stack": where},
                )


def describe(frame: FrameType) -> str:
    """Return what a thread is doing: its innermost calls, outermost first."""
    calls = traceback.extract_stack(frame, limit=_FRAMES)
    return " > ".join(
        f"{call.name} ({call.filename.split('/')[-1]}:{call.lineno})" for call in calls
    )
