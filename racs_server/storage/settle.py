"""From written to durable: syncing segments, and settling all that describes them.

*Syncing* a stream makes its PCM safe: header, segment, folder entry. *Settling* it makes the log's
records of it needless as well: checksum files and ``stream.json`` are brought up to date.

Many streams are brought to the medium in step: each is a `Work`, which says what it wants synced
before it goes on, and what they all want is synced at once. A disk is several times as fast with
that: writing has begun for all files when the first is waited for, and one commit of the file
system's journal serves them all.

Invariants
----------
- What a ``.crc`` file or a ``stream.json`` says is durable before it says so: segments first, then
  checksums, then ``stream.json``, then the folder; the log is dropped after all of them. Going in
  step changes nothing of that: each stream keeps its own order, no stream's files rely on those of
  another, and a sync that fails is told to those who wanted it.
- A stream's `io` lock is held around the work on its files, the store's lock only for a look at its
  state: appending goes on meanwhile. Who holds several `io` locks took them in the order of the
  streams' serials.
- After a failed sync the kernel may have thrown the data away and call the next sync a success.
  So the stream is poisoned: nothing more is acknowledged on it until it is opened anew, and then
  its audio goes into a new segment; and the next sync writes the segment's PCM once more.
"""

import errno
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from racs_server.errors import StorageError, SyncFailedError
from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.checksums import BLOCK
from racs_server.storage.fs import File, FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.segment import DamagedBlock, Segment
from racs_server.storage.stream import FOLDER, Stream

logger = logging.getLogger(__name__)

_IN_STEP = 256
"""How many streams go in step: that many `io` locks are held, and a CLOSE may have to wait."""

Work = Generator[Sequence[File | str]]
"""Yields the files, and the names of the folders, that it wants synced before it goes on.

`OSError` is raised where it waits if one of them fails.
"""


class Settler:
    """Brings streams to the medium.

    Parameters
    ----------
    fs, handles
        The data folder and its open segments.
    lock
        The store's lock.
    threads
        How many files are synced at once; 0 syncs them one after another in the caller's thread.

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

    def sync(self, stream: Stream) -> None:
        """Make durable the PCM that has been written so far.

        Raises
        ------
        SyncFailedError
            The disk failed; the stream is poisoned.
        """
        for error in self.sync_all([stream]).values():
            raise error

    def sync_all(self, streams: Iterable[Stream]) -> dict[Stream, StorageError]:
        """Do the same for many streams in step; return those it failed for, and why."""
        return self._in_groups(streams, self._syncing)

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
        for error in self._in_groups([stream], partial(self._settling, cut=cut)).values():
            raise error

    def settle_all(self, streams: Iterable[Stream]) -> dict[Stream, StorageError]:
        """Do the same for many streams in step; return those it failed for, and why."""
        return self._in_groups(streams, self._settling)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    # ------------------------------------------------------------------ many in step

    def _in_groups(
        self, streams: Iterable[Stream], work: Callable[[Stream], Work]
    ) -> dict[Stream, StorageError]:
        ordered = sorted(streams, key=lambda stream: stream.serial)
        failures = {}
        for start in range(0, len(ordered), _IN_STEP):
            group = ordered[start : start + _IN_STEP]
            failures.update(self._in_step({stream: work(stream) for stream in group}))
        return failures

    def _in_step(self, works: dict[Stream, Work]) -> dict[Stream, StorageError]:
        """Do works; return those that failed."""
        failures: dict[Stream, StorageError] = {}
        wanted: dict[Stream, Sequence[File | str]] = {}
        errors: dict[File | str, OSError] = {}
        try:
            while works:
                for stream, work in list(works.items()):
                    failed = [errors[each] for each in wanted.get(stream, ()) if each in errors]
                    try:
                        wanted[stream] = work.throw(failed[0]) if failed else next(work)
                    except StopIteration:
                        del works[stream]
                    except StorageError as error:
                        del works[stream]
                        failures[stream] = error
                errors = self._sync_all(each for stream in works for each in wanted[stream])
        finally:
            for work in works.values():
                work.close()
        return failures

    def _sync_all(self, wanted: Iterable[File | str]) -> dict[File | str, OSError]:
        """Sync files and folders, each once; return those that failed."""
        each_once = list(dict.fromkeys(wanted))
        if len(each_once) > 1:
            for each in each_once:
                if not isinstance(each, str):
                    each.begin_sync()
        run = map if self._pool is None or len(each_once) < 2 else self._pool.map
        outcomes = zip(each_once, run(self._attempt, each_once), strict=True)
        return {each: error for each, error in outcomes if error is not None}

    def _attempt(self, wanted: File | str) -> OSError | None:
        try:
            if isinstance(wanted, str):
                self._fs.sync_folder(wanted)
            else:
                wanted.sync()
        except OSError as error:
            return error
        return None

    # ------------------------------------------------------------------ one stream

    def _syncing(self, stream: Stream) -> Work:
        with stream.io:
            if not stream.deleted:
                yield from self._sync(stream)

    def _settling(self, stream: Stream, *, cut: bool = False) -> Work:
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
            yield from self._sync(stream)
            yield from self._describe(
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

    def _sync(self, stream: Stream) -> Work:
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
                    lost += self._write_header(stream, segment, covered, checks)
                yield [segment.file for segment, _, _ in dirty if segment.file is not None]
                for segment, _, _ in dirty:
                    segment.suspect = False
                if any(segment.is_new for segment, _, _ in dirty):
                    yield from self._name(stream)
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

    def _write_header(
        self, stream: Stream, segment: Segment, covered: int, checks: list[int]
    ) -> list[str]:
        """Write what a sync of a segment needs; return what is lost since one has failed."""
        lost = _write_again(segment, covered, checks) if segment.suspect else []
        segment.suspect = True
        segment.write_header(covered, stream_id=stream.id, serial=stream.serial, ref=stream.ref)
        return lost

    def _load_sessions(self, stream: Stream) -> None:
        try:
            stream.load_sessions(self._fs)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{stream.manifest_name} of stream {stream.id!r} cannot be read: {error}"
            ) from error

    def _describe(self, stream: Stream, manifest: bytes, sums: list[tuple[str, bytes]]) -> Work:
        try:
            stream.make_folder(self._fs)
            if sums:
                yield from self._replace(sums)
                # Or a power cut could keep the new stream.json and lose what it relies on.
                yield [stream.folder]
            yield from self._replace([(stream.manifest_name, manifest)])
            yield from self._name(stream)
        except OSError as error:
            raise StorageError(
                f"the disk could not take what describes stream {stream.id!r}: {error.strerror}."
                " Its audio is safe in the commit log meanwhile; make room or look after the disk"
            ) from error
        stream.is_new = False

    def _replace(self, files: Sequence[tuple[str, bytes]]) -> Work:
        """Put new files in the place of old ones, as `FileSystem.replace` does."""
        with ExitStack() as opened:
            written = []
            for name, contents in files:
                file = self._fs.open(f"{name}.new", create=True)
                opened.callback(file.close)
                file.truncate(0)
                file.write([contents], 0)
                written.append(file)
            yield written
        for name, _ in files:
            self._fs.rename(f"{name}.new", name)

    def _name(self, stream: Stream) -> Work:
        """Make durable the names in a stream's folder, and once those that lead to a new one."""
        parent = stream.folder.rpartition("/")[0]
        leading: list[str] = []
        if stream.is_new and not stream.is_rooted:
            leading = [parent] if parent in self._rooted else [parent, FOLDER, ""]
        yield [stream.folder, *leading]
        if leading:
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
