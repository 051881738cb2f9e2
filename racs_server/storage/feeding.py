"""Audio that the server itself appends to a stream: what a pipe gives.

Invariants
----------
- All that is fed between an OPEN and the CLOSE is of one session, so that feeds may follow each
  other; no other sender's audio comes between, and there is one feed at a time.
- A feed ends with the opening that it began in: a stream that is closed and opened anew meanwhile
  is not its own any more.
"""

import uuid

from racs.wire import Frame, stream_hash
from racs_server.errors import StreamError
from racs_server.storage.fs import Buffer
from racs_server.storage.stream import Stream

_REFUSED = "Stream is closed or currently in use."


class Feed:
    """One turn of feeding a stream; to be used with the store's lock held.

    Parameters
    ----------
    stream
        An open stream that no other sender has.

    Raises
    ------
    StreamError
        It is not open, or has a sender.
    """

    def __init__(self, stream: Stream) -> None:
        opening = stream.opening
        if opening is None or opening.closing:
            raise StreamError(f"{_REFUSED} {stream.id!r} is not open: OPEN it first")
        if opening.feed is None:
            opening.feed = uuid.uuid4().bytes
        if opening.session not in (None, opening.feed):
            raise StreamError(
                f"{_REFUSED} {stream.id!r} takes audio from another session until it is closed"
            )
        if opening.fed:
            raise StreamError(
                f"{_REFUSED} Another pipe is appending to {stream.id!r}: wait until it is done"
            )
        self._stream = stream
        self._opening = opening
        self._session = opening.feed
        self._hash = stream_hash(stream.id)
        opening.fed = True

    def __repr__(self) -> str:
        return f"<Feed of {self._stream.id!r}>"

    def frame(self, packed: Buffer) -> Frame:
        """Return PCM as a frame that the stream takes.

        Raises
        ------
        StreamError
            The stream was closed meanwhile.
        """
        if self._stream.opening is not self._opening:
            raise StreamError(f"{_REFUSED} {self._stream.id!r} was closed while a pipe fed it")
        return Frame(self._hash, self._session, packed, None)

    def end(self) -> None:
        """Let the next feed begin."""
        self._opening.fed = False
