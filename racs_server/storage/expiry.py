"""Which streams have an end, and when it is due.

A stream with a time to live is deleted so many seconds after its last append, or after its creation
while it has none; never while it is open. Owns the arithmetic and the set of such streams. Knows
neither log nor disk. Guarded by the store's lock.
"""

from collections.abc import Iterable

from racs_server.errors import RequestError
from racs_server.storage.stream import NEVER, Stream

LONGEST = 2**40
"""Seconds, 34,865 years: what is longer is a mistake, and would not fit into a date."""


def check_expiry(seconds: int) -> None:
    """Raise `RequestError` unless a stream can have the time to live."""
    if seconds != NEVER and not 0 <= seconds <= LONGEST:
        raise RequestError(
            f"a time to live of {seconds} seconds: it must be 0 to {LONGEST}, or {NEVER} for ever"
        )


def seconds_left(stream: Stream, now: int) -> int:
    """Return a stream's seconds, rounded up and 0 at least, or `NEVER`; `now` in ms."""
    if stream.expiry == NEVER:
        return NEVER
    return max(0, -(-(_due(stream) - now) // 1000))


def _due(stream: Stream) -> int:
    """Return when a stream is to be deleted, in ms since the epoch."""
    return (stream.appended or stream.created) + stream.expiry * 1000


class Mortals:
    """The streams with a time to live.

    Parameters
    ----------
    streams
        All streams there are.
    """

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._streams: set[Stream] = set()
        for stream in streams:
            self.note(stream)

    def __repr__(self) -> str:
        return f"<Mortals: {len(self._streams)}>"

    def note(self, stream: Stream) -> None:
        """Take note of a stream's time to live, or that it has none or is gone."""
        if stream.expiry == NEVER or stream.deleted:
            self._streams.discard(stream)
        else:
            self._streams.add(stream)

    def due(self, now: int) -> list[Stream]:
        """Return the streams that are to be deleted at a time in ms since the epoch."""
        return [stream for stream in self._streams if is_due(stream, now)]


def is_due(stream: Stream, now: int) -> bool:
    """Whether a stream is to be deleted at a time in ms since the epoch."""
    if stream.expiry == NEVER or stream.opening is not None or stream.deleted:
        return False
    return now >= _due(stream)
