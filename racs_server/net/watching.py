"""What is told of requests: how many there were, how they ended, and how long they took.

Nothing of this is done unless somebody wants to know: the metrics are on, or the log's level is
debug. What is told of a request are its command's name and sizes, never its text.
"""

import logging
import time
from enum import StrEnum

import msgspec

from racs.wire import AudioFrames, Bytes, Command, EndOfStream, Event
from racs_server.commands import Prepared
from racs_server.values import Histogram

logger = logging.getLogger("racs_server.requests")


class Result(StrEnum):
    """How a request ended."""

    OK = "ok"
    ERROR = "error"
    BROKEN = "broken"
    """The connection ended before the reply did."""


class Traffic(msgspec.Struct):
    """What has gone over one connection, or over several.

    Attributes
    ----------
    received, sent
        Bytes.
    requests, errors
        How many requests there were, and how many of these were answered with an error.
    """

    received: int = 0
    sent: int = 0
    requests: int = 0
    errors: int = 0

    def add(self, other: "Traffic") -> None:
        """Add another one's."""
        self.received += other.received
        self.sent += other.sent
        self.requests += other.requests
        self.errors += other.errors


class Request(msgspec.Struct):
    """One request that is watched.

    Attributes
    ----------
    connection, number
        Which it is: the connection's number, and its own on that one, from 1.
    began
        When it had come whole, in seconds of `time.perf_counter`.
    received, sent
        Bytes of what was asked (for audio: of its PCM), and of the reply.
    what
        The name of the command whose result was the reply, or what else it was.
    result
        How it ended.
    """

    connection: int
    number: int
    began: float
    received: int
    what: str
    sent: int = 0
    result: Result = Result.BROKEN


class Watch:
    """Takes note of requests, for all connections.

    Parameters
    ----------
    counts
        Whether they are counted, for the metrics.

    Attributes
    ----------
    times
        How long the requests took, by what they were and how they ended.
    """

    def __init__(self, *, counts: bool = True) -> None:
        self._counts = counts
        self._tells = logger.isEnabledFor(logging.DEBUG)
        self.times: dict[tuple[str, Result], Histogram] = {}

    def __repr__(self) -> str:
        return f"<Watch on {len(self.times)} kinds>"

    @property
    def is_wanted(self) -> bool:
        """Whether anything comes of it."""
        return self._counts or self._tells

    def note(self, request: Request, now: float) -> None:
        """Take note of a request that has ended, at a time of `time.perf_counter`."""
        seconds = now - request.began
        if self._counts:
            kind = request.what, request.result
            times = self.times.get(kind)
            if times is None:
                times = self.times[kind] = Histogram()
            times.add(seconds)
        if self._tells:
            logger.debug(
                "connection %d, request %d: %s %s, %.3f ms, %d bytes in, %d out",
                request.connection,
                request.number,
                request.what,
                request.result,
                seconds * 1e3,
                request.received,
                request.sent,
                extra={
                    "connection": request.connection,
                    "request": request.number,
                    "command": request.what,
                    "result": request.result,
                    "ms": round(seconds * 1e3, 3),
                    "bytes_in": request.received,
                    "bytes_out": request.sent,
                },
            )


class Observer:
    """Tells a `Watch` of the requests of one connection.

    Parameters
    ----------
    watch
        The watch.
    connection
        The connection's number.
    traffic
        What has gone over it.
    """

    def __init__(self, watch: Watch, connection: int, traffic: Traffic) -> None:
        self._watch = watch
        self._connection = connection
        self._traffic = traffic
        self._errors = self._sent = 0
        self._request: Request | None = None
        self._unsent: list[Request] = []

    def __repr__(self) -> str:
        return f"<Observer of {len(self._unsent)} requests>"

    def begin(self, waiting: int) -> None:
        """Note that a request has come whole; `waiting` bytes of earlier replies have not gone."""
        traffic = self._traffic
        now = time.perf_counter()
        self._request = Request(self._connection, traffic.requests, now, 0, "")
        self._errors, self._sent = traffic.errors, traffic.sent + waiting

    def end(self, event: Event, prepared: Prepared | None, waiting: int, *, broken: bool) -> None:
        """Note that it has been answered, or cannot be any more.

        Parameters
        ----------
        event, prepared
            See `kind_and_size`.
        waiting
            Bytes of replies that are still to be sent.
        broken
            Whether the connection ends before the reply does.
        """
        request = self._request
        assert request is not None
        if not broken:
            request.result = Result.OK if self._traffic.errors == self._errors else Result.ERROR
        request.what, request.received = kind_and_size(event, prepared)
        request.sent = self._traffic.sent + waiting - self._sent
        if waiting:
            self._unsent.append(request)
        else:
            self._watch.note(request, time.perf_counter())

    def failed(self) -> None:
        """Note that what was to be acknowledged could not be made safe."""
        for request in self._unsent:
            request.result = Result.ERROR

    def sent(self) -> None:
        """Note that all replies have gone."""
        if self._unsent:
            now = time.perf_counter()
            for request in self._unsent:
                self._watch.note(request, now)
            self._unsent.clear()


def kind_and_size(event: Event, prepared: Prepared | None) -> tuple[str, int]:
    """Return what a request was, and how many bytes it had.

    Parameters
    ----------
    event
        The request.
    prepared
        What was made of it, if it was a command that can be understood.
    """
    if isinstance(event, AudioFrames):
        return "audio", sum([len(frame.pcm) for frame in event.frames])
    if isinstance(event, Bytes):
        return "file", len(event.payload)
    if prepared is not None:
        return prepared.name, len(prepared.text)
    if isinstance(event, Command):
        return "invalid", len(event.text)
    return ("end" if isinstance(event, EndOfStream) else "invalid"), 0
