"""From written to durable: syncing segments, and settling all that describes them.

*Syncing* a stream makes its PCM safe: header, segment, folder entry. *Settling* it makes the log's
records of it needless as well: checksum files and ``stream.json`` are brought up to date.

Invariants
----------
- What a ``.crc`` file or a ``stream.json`` says is durable before it says so: segments first, then
  checksums, then ``stream.json``, then the folder; the log is dropped after all of them.
- A stream's `io` lock is held around the work on its files, the store's lock only for a look at its
  state: appending goes on meanwhile.
- After a failed sync the kernel may have thrown the data away and call the next sync a success.
  So the stream is poisoned: nothing more is acknowledged on it until it is opened anew, and then
  its audio goes into a new segment; and the next sync writes the segment's PCM once more.
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from racs_server.errors import StorageError, SyncFailedError
from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.checksums import BLOCK
from racs_server.storage.fs import FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.segment import DamagedBlock, Segment
from racs_server.storage.stream import FOLDER, Stream

logger = logging.getLogger(__name__)


class Settler:
    """Brings streams to the medium.

    Parameters
    ----------
    fs, handles
        The data folder and its open segments.
    lock
        The store's lock.
    threads
        How many streams are synced at once; 0 syncs them one after another in the caller's thread.

    Attributes
    ----------
    grown
        Streams that have been settled with more audio than before; guarded by the store's lock.
        Whoever acts on it takes them out.
    """

    def __init__(
        self, fs: FileSystem, handles: Handles, lock: threading.RLock, threads: int
    ) -> None:
        self._fs = fs
        self._handles = handles
        self._lock = lock
        self._rooted: set[str] = set()
        self.grown: set[Stream] = set()
        self._pool = ThreadPoolExecutor(threads, "racs-sync") if threads else None

    def for_each(
        self, streams: Iterable[Stream], action: Callable[[Stream], None]
    ) -> dict[Stream, StorageError]:
        """Carry out `sync` or `settle` on many streams; return those it failed for, and why."""

        def attempt(stream: Stream) -> StorageError | None:
            try:
                action(stream)
            except StorageError as error:
                return error
            return None

        streams = sorted(streams, key=lambda stream: stream.serial)
        run = map if self._pool is None or len(streams) < 2 else self._pool.map
        outcomes = zip(streams, run(attempt, streams), strict=True)
        return {stream: error for stream, error in outcomes if error is not None}

    def sync(self, stream: Stream) -> None:
        """Make durable the PCM that has been written so far.

        Raises
        ------
        SyncFailedError
            The disk failed; the stream is poisoned.
        """
        with stream.io:
            if not stream.deleted:
                self._sync(stream)

    def settle(self, stream: Stream, *, cut: bool = False) -> None:
        """Make durable the PCM written so far, and all that describes it.

        Parameters
        ----------
        stream
            The stream.
        cut
            Whether room allocated ahead is given back: the stream is closed or being closed.

        Raises
        ------
        SyncFailedError
            The disk failed; the stream is poisoned.
        StorageError
            What describes the stream cannot be read or written.
        """
        with stream.io:
            with self._lock:
                if stream.deleted:
                    return
                self._load_sessions(stream)
                manifest, frames, ref = stream.manifest(), stream.frames, stream.ref
                appended, expiry = stream.appended, stream.expiry
                sums = [
                    (segment, segment.covered, segment.checksums.dump())
                    for segment in stream.segments or ()
                    if segment.unsettled and segment.checksums is not None
                ]
            self._sync(stream)
            self._describe(
                stream, manifest, [(segment.crc_name, dump) for segment, _, dump in sums]
            )
            with self._lock:
                if stream.settled_frames != frames:
                    self.grown.add(stream)
                stream.settled_frames, stream.settled_ref = frames, ref
                stream.settled_appended, stream.settled_expiry = appended, expiry
                for segment, covered, _ in sums:
                    segment.unsettled = segment.covered != covered
            self._cut(stream, last=cut)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _sync(self, stream: Stream) -> None:
        dirty: list[tuple[Segment, int, list[int]]] = []
        lost: list[str] = []
        try:
            with ExitStack() as kept_open:
                with self._lock:
                    for segment in stream.segments or ():
                        if segment.dirty:
                            kept_open.enter_context(self._handles.use(segment))
                            dirty.append((segment, segment.covered, self._checks(segment)))
                    for segment, _, _ in dirty:
                        segment.dirty = False
                for segment, covered, checks in dirty:
                    lost += self._sync_segment(stream, segment, covered, checks)
                if any(segment.is_new for segment, _, _ in dirty):
                    self._fs.sync_folder(stream.folder)
                    self._sync_parents(stream)
                    for segment, _, _ in dirty:
                        segment.is_new = False
        except OSError as error:
            with self._lock:
                for segment, _, _ in dirty:
                    segment.dirty = True
                raise self._poison(stream, error) from error
        if lost:
            # Said once: these blocks stay errors for whoever reads them, all others are safe.
            with self._lock:
                raise self._poison(stream, OSError(errno.EIO, "; ".join(lost)))

    def _checks(self, segment: Segment) -> list[int]:
        """Return the checksums that `_write_again` needs."""
        if not segment.suspect or segment.checksums is None:
            return []
        return segment.checksums.snapshot(0, -(-segment.covered // BLOCK))

    def _sync_segment(
        self, stream: Stream, segment: Segment, covered: int, checks: list[int]
    ) -> list[str]:
        """Sync one segment; return what of it is lost since an earlier sync has failed."""
        assert segment.file is not None
        lost: list[str] = []
        if segment.sync_error is not None:
            error, segment.sync_error = segment.sync_error, None
            segment.suspect = True
            raise error
        if segment.suspect:
            lost = _write_again(segment, covered, checks)
        segment.suspect = True
        segment.write_header(covered, stream_id=stream.id, serial=stream.serial, ref=stream.ref)
        segment.file.sync()
        segment.suspect = False
        return lost

    def _load_sessions(self, stream: Stream) -> None:
        try:
            stream.load_sessions(self._fs)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{stream.manifest_name} of stream {stream.id!r} cannot be read: {error}"
            ) from error

    def _describe(self, stream: Stream, manifest: bytes, sums: list[tuple[str, bytes]]) -> None:
        try:
            stream.make_folder(self._fs)
            for name, contents in sums:
                self._fs.replace(name, contents)
            if sums:
                # Or a power cut could keep the new stream.json and lose what it relies on.
                self._fs.sync_folder(stream.folder)
            self._fs.replace(stream.manifest_name, manifest)
            self._fs.sync_folder(stream.folder)
            self._sync_parents(stream)
        except OSError as error:
            raise StorageError(
                f"the disk could not take what describes stream {stream.id!r}: {error.strerror}."
                " Its audio is safe in the commit log meanwhile; make room or look after the disk"
            ) from error
        stream.is_new = False

    def _sync_parents(self, stream: Stream) -> None:
        """Make the entry of a new stream's folder durable, and those that lead to it, once each."""
        parent = stream.folder.rpartition("/")[0]
        if not stream.is_new or stream.is_rooted:
            return
        self._fs.sync_folder(parent)
        if parent not in self._rooted:
            self._fs.sync_folder(FOLDER)
            self._fs.sync_folder("")
            self._rooted.add(parent)
        stream.is_rooted = True

    def _cut(self, stream: Stream, *, last: bool) -> None:
        """Give back what was allocated ahead in sealed segments, and in the last one if asked."""
        segments = stream.segments or []
        for segment in segments if last else segments[:-1]:
            if segment.allocated != segment.covered:
                try:
                    with self._handles.use(segment):
                        trim(segment)
                except OSError as error:
                    logger.warning("%s could not be cut: %s", segment.name, error)

    def _poison(self, stream: Stream, error: OSError) -> SyncFailedError:
        reason = (
            f"the disk failed to store stream {stream.id!r} ({error.strerror}): what came since the"
            " last sync may be lost in a power cut. Look after the disk, then CLOSE and OPEN it"
        )
        stream.poisoned = reason
        return SyncFailedError(reason)


def _write_again(segment: Segment, covered: int, checks: list[int]) -> list[str]:
    """Write a segment's PCM once more: after a failed sync the system may take it for stored.

    Returns
    -------
    Which blocks cannot be written, for the system has thrown them away already.
    """
    assert segment.file is not None
    lost = []
    buffer = memoryview(bytearray(BLOCK))
    for number, check in enumerate(checks):
        start = number * BLOCK
        block = buffer[: min(BLOCK, covered - start)]
        try:
            count = segment.file.read_into(block, SEGMENT_HEADER + start)
            segment.check(block, count, number, [check])
            segment.file.write([block], SEGMENT_HEADER + start)
        except DamagedBlock as damage:
            lost.append(
                f"what it failed to store is lost, sample frames {damage.start} to {damage.stop}"
            )
    return lost


def trim(segment: Segment) -> None:
    """Cut an open segment's file to what is valid, with the pad byte that RIFF asks for."""
    assert segment.file is not None
    segment.file.truncate(SEGMENT_HEADER + segment.covered + segment.covered % 2)
    segment.allocated = segment.covered
