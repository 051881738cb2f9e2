"""The life of a stream: it is made, may be given a time to live, and is deleted.

Invariants
----------
- An id is free for a new stream only once nothing that a crash could leave of the old one can be
  taken for the new one's.
- An open stream is never deleted.
- A new stream is in the log alone, so that CREATE costs one record: its folder and ``stream.json``
  are made with its first audio, or when it is first settled. A recovery makes those of any stream
  that the log has. So nothing may lie where its folder will be: it would be taken for the stream's.
"""

import logging
from collections.abc import Callable
from functools import partial

from racs.wire import stream_hash
from racs_server.errors import StorageError, StreamError
from racs_server.storage import records
from racs_server.storage.core import Core
from racs_server.storage.expiry import check_expiry, is_due, seconds_left
from racs_server.storage.folders import move_to_lost
from racs_server.storage.stream import TRASH, Stream, check_format, check_id, folder_name
from racs_server.storage.upkeep import disk_error
from racs_server.values import AudioFormat, Kind

logger = logging.getLogger(__name__)


class Lives(Core):
    """The part of the store that makes and deletes streams."""

    def create(self, stream_id: str, format_: AudioFormat) -> None:
        """Make a new, empty, closed stream.

        Raises
        ------
        RequestError
            The id or the format is out of bounds.
        StreamError
            There is a stream of that id, or one whose id has the same hash.
        StorageError
            The disk would not take it.
        """
        check_id(stream_id)
        check_format(format_)
        hash_ = stream_hash(stream_id)
        with self._lock:
            if (other := self._by_hash.get(hash_)) is not None:
                if other.deleted:
                    raise StreamError(f"stream {other.id!r} is being deleted: wait until it is")
                if other.id == stream_id:
                    raise StreamError(f"stream {stream_id!r} exists already ({other.format})")
                raise StreamError(
                    f"stream {stream_id!r} has the same 64-bit hash as {other.id!r}, so that their"
                    " audio could not be told apart: choose another id"
                )
            now = self._clock.wall_ms()
            serial = max(self._last_serial + 1, now * 1000)
            record = records.Created(
                serial, now, format_.sample_rate, format_.channels, format_.bit_depth, stream_id
            )
            payload = records.create_payload(record)
            folder = folder_name(stream_id)
            try:
                self._log_room(payload)
                if self._fs.list(folder):
                    move_to_lost(self._fs, folder)
                self._log.add(records.CREATE, payload)
            except OSError as error:
                raise disk_error(f"stream {stream_id!r} was not created", error) from error
            stream = Stream(stream_id, serial, format_, now, folder)
            stream.has_folder, stream.is_new = False, True
            stream.sessions, stream.segments = [], []
            self._last_serial = serial
            self._by_id[stream_id] = self._by_hash[hash_] = stream
            self.upkeep.touched(stream)
            self._tell(Kind.CREATED, stream)

    def delete(self, stream_id: str) -> None:
        """Remove a closed stream for good; blocks while its files are removed.

        Its id is free for a new stream only once the disk has both the move to the trash and the
        log's record of it: so whatever a crash leaves, no file can be taken for the other one's.

        Raises
        ------
        StreamError
            There is no such stream, or it is open.
        StorageError
            The disk would not take it; the stream may be gone after the next start.
        """
        with self._lock:
            stream = self._find(stream_id)
        self._delete(stream, lambda: True, Kind.DELETED)

    def expire(self, stream_id: str, seconds: int) -> None:
        """Give a stream a time to live: from its last append on, or from its creation without one.

        Parameters
        ----------
        stream_id
            The stream; may be open.
        seconds
            How long; 0 ends it when it is closed, -1 lets it live for ever.

        Raises
        ------
        RequestError
            The number is out of bounds.
        StreamError
            There is no such stream.
        StorageError
            The disk would not take it.
        """
        check_expiry(seconds)
        with self._lock:
            stream = self._find(stream_id)
            payload = records.expire_payload(stream.serial, self._clock.wall_ms(), seconds)
            try:
                self._add_record(records.EXPIRE, payload)
            except OSError as error:
                raise disk_error(f"stream {stream_id!r} has no new end", error) from error
            stream.expiry = seconds
            self._mortals.note(stream)
            self.upkeep.touched(stream)

    def seconds_left(self, stream_id: str) -> int:
        """Return how long a stream still lives, -1: for ever; `StreamError` if there is none."""
        with self._lock:
            return seconds_left(self._find(stream_id), self._clock.wall_ms())

    def delete_expired(self) -> list[str]:
        """Delete the streams whose time has come; blocks. Returns their ids.

        One that the disk fails for is logged, and tried again the next time.
        """
        with self._lock:
            due = self._mortals.due(self._clock.wall_ms())
        gone = []
        for stream in due:
            try:
                if self._delete(stream, partial(self._is_due, stream), Kind.EXPIRED):
                    logger.info("%r: its time to live is over: deleted", stream.id)
                    gone.append(stream.id)
            except StorageError as error:
                logger.error("%s", error)
        return gone

    def _is_due(self, stream: Stream) -> bool:
        return is_due(stream, self._clock.wall_ms())

    def _delete(self, stream: Stream, wanted: Callable[[], bool], kind: Kind) -> bool:
        """Delete a stream if that is still wanted when nothing can come between; say whether."""
        with stream.io:
            with self._lock:
                if not wanted():
                    return False
                trash = self._detach(stream)
            try:
                if trash is not None:
                    self._fs.sync_folder(stream.folder.rpartition("/")[0])
                self.upkeep.sync_log()
            except OSError as error:
                raise disk_error(f"stream {stream.id!r} is not safely deleted", error) from error
            with self._lock:
                del self._by_id[stream.id], self._by_hash[stream_hash(stream.id)]
                self.upkeep.removed(stream)
                self._mortals.note(stream)
                self._tell(kind, stream)
            try:
                if trash is not None:
                    self._fs.remove_tree(trash)
            except OSError as error:
                logger.warning("%s is left for the next start to remove: %s", trash, error)
        return True

    def _detach(self, stream: Stream) -> str | None:
        """Make a stream unusable, and return where its folder has been moved to, if it had one."""
        if self._find(stream.id) is not stream:
            raise StreamError(f"stream {stream.id!r} was deleted and made anew meanwhile")
        if stream.opening is not None:
            raise StreamError(f"Stream is open: {stream.id!r}. CLOSE it before deleting it")
        trash = f"{TRASH}/{stream.serial}"
        payload = records.open_payload(stream.serial, self._clock.wall_ms())
        try:
            # Room first: nothing may fail between the move and its record.
            self._log_room(payload)
            if stream.has_folder:
                self._fs.rename(stream.folder, trash)
        except OSError as error:
            raise disk_error(f"stream {stream.id!r} cannot be deleted", error) from error
        self._log.add(records.DELETE, payload)
        stream.deleted = True
        for segment in stream.segments or ():
            self._handles.forget(segment)
        self.upkeep.flush()
        return trash if stream.has_folder else None
