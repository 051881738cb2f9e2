"""What happens to streams, as the store tells it to whoever was injected to hear it."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What can happen to a stream."""

    CREATED = "created"
    OPENED = "opened"
    APPENDED = "appended"
    CLOSED = "closed"
    DELETED = "deleted"
    EXPIRED = "expired"


class StreamEvent(msgspec.Struct, frozen=True):
    """Something happened to a stream.

    Attributes
    ----------
    kind
        What.
    stream_id
        To which stream.
    time
        When, in ms since the epoch, by the server's clock.
    start, stop
        The sample frames that came: the first, and one past the last. Where none came both are the
        stream's length.
    """

    kind: Kind
    stream_id: str
    time: int
    start: int
    stop: int


class Follow(msgspec.Struct, frozen=True):
    """What a connection is to do next: send a stream's audio as it comes.

    Attributes
    ----------
    stream_id, serial
        Which stream.
    start
        The first sample frame to send.
    """

    stream_id: str
    serial: int
    start: int


class Subscribe(msgspec.Struct, frozen=True):
    """What a connection is to do next: tell what happens to streams.

    Attributes
    ----------
    pattern
        Glob pattern of the streams' ids.
    since
        The number of the last event that the client knows; None: it wants what happens from now on.
    """

    pattern: str
    since: int | None
