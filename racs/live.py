"""Feeds: a stream's audio as it comes, and what happens to streams.

Owns what the replies of FOLLOW and SUBSCRIBE mean; the README's protocol section has their form.
A feed has a connection to itself, which is closed when the feed is given up.
"""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from racs.commands import checked_int, checked_number, checked_text, checked_time, command
from racs.connection import Connection
from racs.errors import RacsProtocolError
from racs.pool import Pool
from racs.script import Script
from racs.wire import encode_command


class LiveBlock(msgspec.Struct, frozen=True):
    """A piece of a stream that is being followed.

    Attributes
    ----------
    start
        Its first sample frame, counted from the stream's begin.
    frames
        How many sample frames it has; none if the stream was closed before audio came that was not
        passed over.
    samples
        Shape (sample frames * channels,), int32, interleaved; the caller's own.
    missed
        Sample frames before it that were passed over, for the caller was too slow. They are in the
        stream all the same, and can be extracted.
    """

    start: int
    frames: int
    samples: NDArray[np.int32]
    missed: int = 0


class StreamEvent(msgspec.Struct, frozen=True):
    """Something that happened to a stream.

    Attributes
    ----------
    number
        Its number: given as `since`, the feed goes on behind it.
    kind
        ``created``, ``opened``, ``appended``, ``closed``, ``deleted`` or ``expired``. Before
        these comes ``ready``: the events after this number follow. ``missed``, in its place or
        later, says that events up to this number are lost: look at the streams anew.
    stream_id
        To which stream; empty for ``ready`` and ``missed``.
    time
        When, in ms since the epoch, by the server's clock; 0 for ``ready`` and ``missed``.
    start, stop
        For ``appended``, the sample frames that came: the first, and one past the last.
    """

    number: int
    kind: str
    stream_id: str = ""
    time: int = 0
    start: int = 0
    stop: int = 0


def follow_command(stream_id: object, frm: datetime | int | float | None) -> str:
    """Return the FOLLOW for a stream, from a time or from seconds after its begin.

    Raises
    ------
    RacsTypeError, RacsValueError
        An argument is wrong.
    """
    text = command("FOLLOW", checked_text(stream_id, "stream_id"))
    if frm is None:
        return text
    if isinstance(frm, float | np.floating):
        return f"{text} {checked_number(frm, 'frm')!r}"
    return f"{text} {checked_time(frm, 'frm')}"


def subscribe_command(pattern: object, since: int | None) -> str:
    """Return the SUBSCRIBE for a pattern.

    Raises
    ------
    RacsTypeError, RacsValueError
        An argument is wrong.
    """
    text = command("SUBSCRIBE", checked_text(pattern, "pattern"))
    return text if since is None else f"{text} {checked_int(since, 'since')}"


class Feed:
    """Takes the replies of a feed.

    Parameters
    ----------
    connection
        The feed's alone.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _receive(self) -> Script[list[Any]]:
        answer = yield from self.connection.receive(unasked=True)
        if not isinstance(answer, list):
            raise RacsProtocolError(f"a {type(answer).__name__} where a feed's list was due")
        return answer


class Follower(Feed):
    """Takes the audio of a FOLLOW.

    Parameters
    ----------
    connection
        The feed's alone.
    until_closed
        Whether the stream's being closed is the end.
    """

    def __init__(self, connection: Connection, *, until_closed: bool) -> None:
        super().__init__(connection)
        self._until_closed = until_closed
        self._ended = False

    def next(self) -> Script[LiveBlock | None]:
        """Script: return the next block, or None at the end.

        Raises
        ------
        RacsException
            As `Connection.receive`.
        """
        missed = stop = 0
        while not self._ended:
            match (yield from self._receive()):
                case ["audio", int(start), int(frames)]:
                    samples = yield from self.connection.receive(unasked=True)
                    if not isinstance(samples, np.ndarray):
                        raise RacsProtocolError("a piece of audio without its samples")
                    return LiveBlock(start, frames, samples, missed)
                case ["missed", int(start), int(frames)]:
                    missed, stop = missed + frames, start + frames
                case ["closed", *_]:
                    self._ended = self._until_closed
                    if missed:
                        return LiveBlock(stop, 0, np.zeros(0, np.int32), missed)
        return None


class Subscriber(Feed):
    """Takes the events of a SUBSCRIBE."""

    def next(self) -> Script[StreamEvent]:
        """Script: return the next event.

        Raises
        ------
        RacsException
            As `Connection.receive`.
        """
        return StreamEvent(*(yield from self._receive()))


def begin(pool: Pool, text: str) -> Script[Connection]:
    """Script: start a feed on a connection of its own, to be given back as such.

    Raises
    ------
    RacsException
        The server cannot be reached.
    """
    connection = yield from pool.take_own()
    connection.wait_for_ever()
    try:
        yield from connection.send([encode_command(text)])
    except BaseException as error:
        pool.give_back(connection, error, own=True)
        raise
    return connection
