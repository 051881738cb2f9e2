"""Audio that many followers want at the same moment: read and packed once for all of them.

Knows neither streams nor connections. A piece is found by where it begins; it lives for as long as
one of those who were given it keeps it, so that nothing has to be thrown away.
"""

from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

import trio


class Shared:
    """A piece of a stream.

    Parameters
    ----------
    serial
        Which stream of that id it is of.
    start
        Its first sample frame.

    Attributes
    ----------
    frames
        How many sample frames it has.
    reply
        The piece as it goes over the wire; nothing until it has been read.
    ready
        Set when it has been read, or could not be.
    """

    __slots__ = ("__weakref__", "frames", "ready", "reply", "serial", "start")

    def __init__(self, serial: int, start: int) -> None:
        self.serial = serial
        self.start = start
        self.frames = 0
        self.reply = b""
        self.ready = trio.Event()

    def __repr__(self) -> str:
        return f"<Shared piece, {self.frames} sample frames from {self.start}>"


class Pieces:
    """The piece of each stream that was asked for last."""

    def __init__(self) -> None:
        self._last: WeakValueDictionary[str, Shared] = WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<Pieces of {len(self._last)} streams>"

    async def get(
        self,
        stream_id: str,
        serial: int,
        start: int,
        read: Callable[[], Awaitable[tuple[int, bytes]]],
    ) -> Shared:
        """Return the piece that begins at a sample frame; keep it until the next one is wanted.

        Parameters
        ----------
        stream_id, serial
            The stream.
        start
            The first sample frame.
        read
            Gives sample frames and reply, if nobody has read them or is about to; what it raises is
            the business of who called with it alone.
        """
        while (piece := self._last.get(stream_id)) is not None:
            if (piece.serial, piece.start) != (serial, start):
                break
            await piece.ready.wait()
            if piece.reply:
                return piece
        piece = self._last[stream_id] = Shared(serial, start)
        try:
            piece.frames, piece.reply = await read()
        finally:
            if not piece.reply and self._last.get(stream_id) is piece:
                del self._last[stream_id]
            piece.ready.set()
        return piece
