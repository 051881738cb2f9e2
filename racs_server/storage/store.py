"""The façade: streams are created, opened, appended to, closed, read and deleted here.

The way of an append: `Store.append` checks every frame of a message, writes the PCM behind what the
stream has, adds a record to the commit log and makes the audio visible; `Upkeep.flush` writes the
log's records, once for all messages of one read from a socket. Then it may be acknowledged; with
durability ``always`` once `Upkeep.sync_log` has covered the position that `flush` returned.

Invariants
----------
- A message is taken whole or not at all.
- Nothing of a stream that was acknowledged is ever overwritten.
- The store's lock is held for memory work, reads of small files, and the writes of an append,
  never for a sync: so the methods not marked as blocking may be called from an event loop.

Locks are taken in the order: a stream's `io`, the store's, the handles'.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import Protocol

import msgspec

from racs.wire import Frame, stream_hash
from racs_server.errors import DamageError, StorageError, StreamError, SyncFailedError
from racs_server.storage import attachments
from racs_server.storage import log as records
from racs_server.storage.ahead import Ahead
from racs_server.storage.appends import Appender, check_frames
from racs_server.storage.catalog import Catalog
from racs_server.storage.expiry import Mortals, check_expiry, is_due, seconds_left
from racs_server.storage.feeding import Feed
from racs_server.storage.fs import Buffer, FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.log import CommitLog
from racs_server.storage.reading import known_damage, read_plan
from racs_server.storage.recovery import RecoveryReport, move_to_lost, recover
from racs_server.storage.settle import Settler
from racs_server.storage.stream import (
    TRASH,
    Opening,
    Session,
    Stream,
    check_format,
    check_id,
    check_name,
    folder_name,
)
from racs_server.storage.upkeep import Upkeep, disk_error
from racs_server.values import AudioFormat, StreamInfo, StreamRange

logger = logging.getLogger(__name__)


class Durability(StrEnum):
    """What an acknowledgement promises; see the README."""

    OS = "os"
    INTERVAL = "interval"
    ALWAYS = "always"


class StoreOptions(msgspec.Struct, frozen=True):
    """Settings of a store.

    Attributes
    ----------
    durability
        When appended audio is synced.
    segment_bytes
        A segment that holds this many bytes of PCM is sealed, and a new one begun.
    log_bytes
        Bytes of one commit log file; a full one asks for a checkpoint.
    open_files
        How many segment files are kept open.
    lease
        Seconds after which a stream is taken from a sender that is not heard of.
    sync_threads
        How many streams are synced at once.
    """

    durability: Durability = Durability.INTERVAL
    segment_bytes: int = 64 << 20
    log_bytes: int = 16 << 20
    open_files: int = 1024
    lease: float = 30.0
    sync_threads: int = 4


class Clock(Protocol):
    """Where the store takes the time from."""

    def wall_ms(self) -> int:
        """Return ms since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that only go forward."""


class Store:
    """An archive of audio streams in one data folder, which this process owns.

    Opening it takes the folder's lock and recovers what a crash has left; this blocks.

    Parameters
    ----------
    fs
        The data folder.
    clock
        The time.
    options
        Settings.

    Attributes
    ----------
    report
        What recovery found.
    upkeep, ahead
        What has to be done in the background.

    Raises
    ------
    StartError
        Another process has the folder, or it cannot be written.
    StorageError
        The disk failed during recovery; nothing has been thrown away.
    """

    def __init__(self, fs: FileSystem, clock: Clock, options: StoreOptions | None = None) -> None:
        self.options = options or StoreOptions()
        self._fs = fs
        self._clock = clock
        self._lock = threading.RLock()
        fs.lock()
        with ExitStack() as undo:
            undo.callback(fs.unlock)
            self._handles = Handles(fs, self.options.open_files)
            undo.callback(self._handles.close)
            self._settler = Settler(fs, self._handles, self._lock, self.options.sync_threads)
            undo.callback(self._settler.close)
            try:
                self._catalog = Catalog(fs)
                undo.callback(self._catalog.close)
                recovered = recover(fs, self._catalog, self._handles, self._settler)
            except (OSError, sqlite3.Error) as error:
                what = f"the data folder {fs.describe()} could not be brought into order"
                raise disk_error(what, error) from error
            self._release = undo.pop_all()
        self.report: RecoveryReport = recovered.report
        self._by_id = {stream.id: stream for stream in recovered.streams}
        self._by_hash = {stream_hash(stream.id): stream for stream in recovered.streams}
        self._last_serial = recovered.last_serial
        self._log = CommitLog(fs, recovered.next_sequence, self.options.log_bytes)
        self.ahead = Ahead(self._handles, self.options.segment_bytes)
        self._appender = Appender(
            fs,
            self._handles,
            self._log,
            self.ahead,
            segment_bytes=self.options.segment_bytes,
            log_pcm=self.options.durability is Durability.ALWAYS,
        )
        self.upkeep = Upkeep(fs, self._log, self._settler, self._catalog, self._handles, self._lock)
        self._open: set[Stream] = set()
        self._mortals = Mortals(recovered.streams)
        self._appended_bytes = 0

    def __repr__(self) -> str:
        return f"<Store {self._fs.describe()}: {len(self._by_id)} streams>"

    # ------------------------------------------------------------------ streams

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
                if not self._fs.make_folder(folder):
                    move_to_lost(self._fs, folder)
                    self._fs.make_folder(folder)
                self._log.add(records.CREATE, payload)
            except OSError as error:
                raise disk_error(f"stream {stream_id!r} was not created", error) from error
            stream = Stream(stream_id, serial, format_, now, folder)
            stream.is_new, stream.sessions, stream.segments = True, [], []
            self._last_serial = serial
            self._by_id[stream_id] = self._by_hash[hash_] = stream
            self.upkeep.touched(stream)

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
                payload = records.open_payload(stream.serial, self._clock.wall_ms())
                self._add_record(records.OPEN, payload)
            except (OSError, ValueError) as error:
                raise disk_error(f"stream {stream_id!r} cannot be opened", error) from error
            if stream.poisoned is not None:
                stream.poisoned, stream.wants_segment = None, True
            stream.opening = Opening(self._clock.monotonic())
            self._open.add(stream)

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
                for stream in self._open
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
            self.upkeep.sync_log_if_possible()
            self._settler.settle(stream, cut=True)
            self.upkeep.settled(stream)
        finally:
            with self._lock:
                stream.opening = None
                self._open.discard(stream)
                self.upkeep.touched(stream)

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
        self._delete(stream, lambda: True)

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
                if self._delete(stream, partial(self._is_due, stream)):
                    logger.info("%r: its time to live is over: deleted", stream.id)
                    gone.append(stream.id)
            except StorageError as error:
                logger.error("%s", error)
        return gone

    def _is_due(self, stream: Stream) -> bool:
        return is_due(stream, self._clock.wall_ms())

    def _delete(self, stream: Stream, wanted: Callable[[], bool]) -> bool:
        """Delete a stream if that is still wanted when nothing can come between; say whether."""
        with stream.io:
            with self._lock:
                if not wanted():
                    return False
                trash = self._detach(stream)
            try:
                self._fs.sync_folder(stream.folder.rpartition("/")[0])
                self.upkeep.sync_log()
            except OSError as error:
                raise disk_error(f"stream {stream.id!r} is not safely deleted", error) from error
            with self._lock:
                del self._by_id[stream.id], self._by_hash[stream_hash(stream.id)]
                self.upkeep.removed(stream)
                self._mortals.note(stream)
            try:
                self._fs.remove_tree(trash)
            except OSError as error:
                logger.warning("%s is left for the next start to remove: %s", trash, error)
        return True

    def _detach(self, stream: Stream) -> str:
        """Make a stream unusable, and return the folder that its files have been moved to."""
        if self._find(stream.id) is not stream:
            raise StreamError(f"stream {stream.id!r} was deleted and made anew meanwhile")
        if stream.opening is not None:
            raise StreamError(f"Stream is open: {stream.id!r}. CLOSE it before deleting it")
        trash = f"{TRASH}/{stream.serial}"
        payload = records.open_payload(stream.serial, self._clock.wall_ms())
        try:
            # Room first: nothing may fail between the move and its record.
            self._log_room(payload)
            self._fs.rename(stream.folder, trash)
        except OSError as error:
            raise disk_error(f"stream {stream.id!r} cannot be deleted", error) from error
        self._log.add(records.DELETE, payload)
        stream.deleted = True
        for segment in stream.segments or ():
            self._handles.forget(segment)
        self.upkeep.flush()
        return trash

    def info(self, stream_id: str) -> StreamInfo:
        """Return a stream as it stands; `StreamError` if there is none of that id."""
        with self._lock:
            return self._find(stream_id).info()

    def ids(self) -> list[str]:
        """Return the ids of all streams, in no order."""
        with self._lock:
            return [stream_id for stream_id, s in self._by_id.items() if not s.deleted]

    def sessions(self, stream_id: str) -> list[Session]:
        """Return a stream's sessions, with their wall-clock times, oldest first."""
        with self._lock:
            return list(self._find(stream_id).load_sessions(self._fs))

    # ------------------------------------------------------------------ attachments

    def check_attachment(self, stream_id: str, name: str, size: int = 0) -> None:
        """Raise `RacsError` unless a file of that name and size can be kept with a stream."""
        check_name(name, "file name")
        attachments.check_size(size)
        with self._lock:
            self._find(stream_id)

    def attach(self, stream_id: str, name: str, contents: Buffer) -> None:
        """Keep a file with a stream, in the place of one of the same name; blocks.

        Raises
        ------
        RequestError
            The name or the size is out of bounds.
        StreamError
            There is no such stream.
        StorageError
            The disk would not take it; what there was of that name is kept.
        """
        self.check_attachment(stream_id, name, len(contents))
        with self._lock:
            stream = self._find(stream_id)
        self.upkeep.sync_log_if_possible()
        self._settler.settle(stream)
        with stream.io:
            self._refuse_deleted(stream)
            try:
                attachments.write(self._fs, stream.folder, name, contents)
            except OSError as error:
                what = f"{name!r} was not attached to stream {stream_id!r}"
                raise disk_error(what, error) from error

    def attachment(self, stream_id: str, name: str) -> bytes:
        """Return a file that is kept with a stream; blocks.

        Raises
        ------
        StreamError
            There is no such stream, or file.
        DamageError
            The file does not match its checksum.
        StorageError
            It cannot be read.
        """
        with self._lock:
            stream = self._find(stream_id)
        with stream.io:
            self._refuse_deleted(stream)
            try:
                return attachments.read(self._fs, stream.folder, name)
            except FileNotFoundError:
                raise attachments.missing(stream_id, name) from None
            except ValueError as error:
                path = attachments.file_name(stream.folder, name)
                raise DamageError(
                    f"attachment {name!r} of stream {stream_id!r} is damaged, in {path}: {error}"
                ) from None
            except OSError as error:
                raise disk_error(f"{name!r} of {stream_id!r} cannot be read", error) from error

    def attachments(self, stream_id: str) -> list[str]:
        """Return the names of the files kept with a stream, sorted; blocks; errors as above."""
        with self._lock:
            stream = self._find(stream_id)
        with stream.io:
            self._refuse_deleted(stream)
            try:
                return attachments.names(self._fs, stream.folder)
            except OSError as error:
                what = f"the attachments of stream {stream_id!r} cannot be listed"
                raise disk_error(what, error) from error

    def _refuse_deleted(self, stream: Stream) -> None:
        with self._lock:
            if self._find(stream.id) is not stream:
                raise StreamError(f"stream {stream.id!r} was deleted and made anew meanwhile")

    # ------------------------------------------------------------------ audio in

    def append(self, frames: Sequence[Frame]) -> int:
        """Take the frames of one message, all or none; `Upkeep.flush` before they are acknowledged.

        Parameters
        ----------
        frames
            Checked and decompressed; of one stream or of several.

        Returns
        -------
        How many bytes of PCM were taken.

        Raises
        ------
        StreamError
            A stream is not open, or is in use by another session.
        DataError
            A block does not hold whole samples.
        StorageError
            The disk is full, or failed.
        """
        with self._lock:
            self.upkeep.check()
            takes = check_frames(self._by_hash, frames)
            try:
                self._appender.write(takes)
            except OSError as error:
                names = ", ".join(repr(take.stream.id) for take in takes)
                raise disk_error(f"the audio for {names} was not taken", error) from error
            now, heard = self._clock.wall_ms(), self._clock.monotonic()
            total = 0
            for take in takes:
                self._appender.admit(take, now, heard)
                if take.size:
                    self.upkeep.written(take.stream)
                    total += take.size
            self._appended_bytes += total
            return total

    def feed(self, stream_id: str, blocks: Iterable[Buffer]) -> int:
        """Append blocks to an open stream, one after the other; blocks like each of them.

        Parameters
        ----------
        stream_id
            A stream that no sender has.
        blocks
            Packed PCM in whole sample frames, in the stream's format.

        Returns
        -------
        How many bytes of PCM were taken.

        Raises
        ------
        StreamError
            There is no such stream, or it is not open, in use, or was closed meanwhile.
        StorageError
            The disk is full, or failed. The blocks before are in the stream.
        """
        with self._lock:
            feed = Feed(self._find(stream_id))
        try:
            total = 0
            for block in blocks:
                with self._lock:
                    total += self.append([feed.frame(block)])
                    self.upkeep.flush()
            return total
        finally:
            feed.end()

    def make_durable(self, stream_id: str) -> int:
        """Put all of a stream on the medium, which stays open; blocks.

        Returns
        -------
        How many sample frames of it are durable.

        Raises
        ------
        StreamError
            There is no such stream.
        StorageError
            The disk failed to store it.
        """
        with self._lock:
            stream = self._find(stream_id)
            self.upkeep.flush()
            frames = stream.frames
        self._settler.sync(stream)
        self.upkeep.sync_log()
        if stream.poisoned is not None:
            raise SyncFailedError(stream.poisoned)
        return frames

    # ------------------------------------------------------------------ audio out

    def plan(self, stream_id: str, start: int, stop: int) -> StreamRange:
        """Describe a range of a stream.

        Parameters
        ----------
        stream_id
            The stream.
        start, stop
            First sample frame, and one past the last; cut to what there is.

        Raises
        ------
        StreamError
            There is no such stream.
        DamageError
            An earlier read has found damage in the range.
        """
        with self._lock:
            stream = self._find(stream_id)
            start = min(max(start, 0), stream.frames)
            stop = min(max(stop, start), stream.frames)
            if (damage := known_damage(stream, start, stop)) is not None:
                raise damage
            return StreamRange(stream_id, stream.serial, start, stop, stream.format)

    def read(self, plan: StreamRange) -> Iterator[memoryview]:
        """Yield the PCM that a plan describes; blocks, and may be run in any thread.

        Yields
        ------
        Packed, interleaved PCM in whole sample frames, about 512 KiB at most; each piece is good
        until the next is asked for.

        Raises
        ------
        StreamError
            The stream is gone.
        DamageError
            A block of it does not match its checksum.
        StorageError
            A file cannot be read.
        """
        return read_plan(plan, self._planned, self._handles, self._lock)

    def _planned(self, plan: StreamRange) -> Stream:
        stream = self._find(plan.stream_id)
        if stream.serial != plan.serial:
            raise StreamError(f"stream {plan.stream_id!r} was deleted and made anew meanwhile")
        stream.load_segments(self._fs)
        return stream

    # ------------------------------------------------------------------ the end

    def close_all(self) -> None:
        """Close all open streams and put everything on the medium; blocks.

        Raises
        ------
        StorageError
            The disk failed to store a stream; the others are stored.
        """
        with self._lock:
            streams = [s for s in self._open if s.opening and not s.opening.closing]
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

    def close(self) -> None:
        """Put everything on the medium and give the folder back; blocks.

        Raises
        ------
        StorageError
            The disk failed; the log is left for the next start.
        """
        with self._release:
            settled = False
            try:
                self.close_all()
                settled = True
            finally:
                try:
                    self._log.close(remove=settled)
                except OSError as error:
                    raise disk_error("a log file could not be removed", error) from error

    def statistics(self) -> dict[str, int | str | bool]:
        """Return figures on the store's state."""
        with self._lock:
            return {
                "streams": len(self._by_id),
                "open_streams": len(self._open),
                "open_files": len(self._handles),
                "appended_bytes": self._appended_bytes,
                "durability": str(self.options.durability),
                **self.upkeep.statistics(),
            }

    # ------------------------------------------------------------------ helpers

    def _find(self, stream_id: str) -> Stream:
        stream = self._by_id.get(stream_id)
        if stream is None or stream.deleted:
            raise StreamError(f"there is no stream {stream_id!r}: CREATE it, or LIST what there is")
        return stream

    def _log_room(self, payload: bytes) -> None:
        self.upkeep.check()
        self._log.room(records.RECORD_HEAD + len(payload))

    def _add_record(self, type_: int, payload: bytes) -> None:
        self._log_room(payload)
        self._log.add(type_, payload)
