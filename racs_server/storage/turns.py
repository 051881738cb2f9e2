"""The turns of senders: a stream is opened, taken by one session, and closed.

Invariants
----------
- While a stream is being closed it still counts as open: nobody can open it before its files are
  settled and cut.
- A sender that is not heard of loses its turn, and cannot have it back before the next CLOSE.
"""

import logging

from racs_server.errors import StorageError, StreamError
from racs_server.storage import records
from racs_server.storage.core import Core
from racs_server.storage.stream import Opening, Session, Stream
from racs_server.storage.upkeep import disk_error
from racs_server.values import Kind

logger = logging.getLogger(__name__)


class Turns(Core):
    """The part of the store that opens and closes streams."""

    def open_stream(self, stream_id: str) -> None:
        """Let a stream take audio: the first frame ties it to that frame's session.

        Raises
        ------
        StreamError
            There is no such stream, or it is open.
        StorageError
            The disk would not take or give what it has to.
        """
        with self._lock:
            self.upkeep.check()
            stream = self._find(stream_id)
            if stream.opening is not None:
                raise StreamError(
                    f"Stream is already open: {stream_id!r}. CLOSE it first; if its sender is gone,"
                    f" its lease ends {self.options.lease:g} s after its last block"
                )
            try:
                stream.load_sessions(self._fs)
                stream.load_segments(self._fs)
                stream.sweep(self._fs)
            except (OSError, ValueError) as error:
                raise disk_error(f"stream {stream_id!r} cannot be opened", error) from error
            if stream.poisoned is not None:
                stream.poisoned, stream.wants_segment = None, True
            stream.opening = Opening(self._clock.monotonic())
            self._open.add(stream)
            self._tell(Kind.OPENED, stream)

    def close_stream(self, stream_id: str) -> None:
        """End a stream's session; blocks until all of it is on the medium.

        Raises
        ------
        StreamError
            There is no such stream, or it is not open.
        StorageError
            It is closed, but the disk failed to store it.
        """
        with self._lock:
            stream = self._find(stream_id)
            if stream.opening is None or stream.opening.closing:
                raise StreamError(f"Stream is not open: {stream_id!r}")
            self._begin_close(stream)
            stream.fenced = None
        self._finish_close(stream)

    def lapse(self) -> list[str]:
        """Take the streams whose lease has ended from their senders; blocks like a close.

        Returns
        -------
        Their ids. The lapsed sessions are fenced until the next `close_stream`.
        """
        now = self._clock.monotonic()
        with self._lock:
            lapsed = [
                stream
                for stream in sorted(self._open, key=lambda stream: stream.serial)
                if stream.opening is not None
                and not stream.opening.closing
                and now - stream.opening.heard >= self.options.lease
            ]
            for stream in lapsed:
                assert stream.opening is not None
                stream.fenced = stream.opening.session or stream.fenced
                self._begin_close(stream)
        for stream in lapsed:
            logger.warning("%r: no block for %g s: closed", stream.id, self.options.lease)
            try:
                self._finish_close(stream)
            except StorageError as error:
                logger.error("%s", error)
        return [stream.id for stream in lapsed]

    def close_all(self) -> None:
        """Close all open streams and put everything on the medium; blocks.

        Raises
        ------
        StorageError
            The disk failed to store a stream; the others are stored.
        """
        with self._lock:
            streams = [s for s in self._open if s.opening and not s.opening.closing]
            streams.sort(key=lambda stream: stream.serial)
            for stream in streams:
                self._begin_close(stream)
        failures = []
        for stream in streams:
            try:
                self._finish_close(stream)
            except StorageError as error:
                failures.append(error)
        self.upkeep.checkpoint()
        if failures:
            raise failures[0]

    def sessions(self, stream_id: str) -> list[Session]:
        """Return a stream's sessions, with their wall-clock times, oldest first.

        Raises
        ------
        StreamError
            There is no such stream.
        StorageError
            Its ``stream.json`` cannot be read.
        """
        with self._lock:
            stream = self._find(stream_id)
            try:
                return list(stream.load_sessions(self._fs))
            except (OSError, ValueError) as error:
                raise disk_error(f"the sessions of {stream_id!r} are unknown", error) from error

    def _begin_close(self, stream: Stream) -> None:
        assert stream.opening is not None
        stream.opening.closing = True
        if stream.opening.held:
            logger.warning(
                "%r: closed in the middle of a sample frame: its %d bytes are dropped",
                stream.id,
                len(stream.opening.held),
            )
        now = self._clock.wall_ms()
        try:
            payload = records.close_payload(stream.serial, now, stream.frames)
            self._add_record(records.CLOSE, payload)
            self.upkeep.flush()
        except (OSError, StorageError) as error:
            # The record only tells a recovery what settling the stream will tell it too.
            logger.warning("%r: the log could not note its end: %s", stream.id, error)

    def _finish_close(self, stream: Stream) -> None:
        try:
            self.upkeep.settle(stream, cut=True)
        finally:
            with self._lock:
                stream.opening = None
                self._open.discard(stream)
                self.upkeep.touched(stream)
                self._tell(Kind.CLOSED, stream)
