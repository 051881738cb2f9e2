"""What a data folder holds, found out by reading alone; also while a server appends to it.

Invariants
----------
- The log is read before every ``stream.json``, that before the checksums, those before the PCM. The
  server writes in the opposite order and drops a log file last: so whatever had been acknowledged
  when the look began is seen in the one or the other, and all that is vouched for is there.
- Nothing is changed.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec
from crc32c import crc32c

from racs_server.errors import StorageError
from racs_server.riff import SEGMENT_HEADER, Pcm, segment_header
from racs_server.storage.care.findings import MISSING
from racs_server.storage.catalog import read_catalog
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.fs import File, FileSystem
from racs_server.storage.log import LogReader
from racs_server.storage.records import Appended, Created, Deleted, Expires, Opened, Record
from racs_server.storage.segment import READ, Segment
from racs_server.storage.stream import Stream, folder_name, read_manifest, stream_folders
from racs_server.values import NS_PER_MS, NS_PER_S, AudioFormat

Progress = Callable[[int], None]
"""Is told of every so many bytes that were read."""

_ATTEMPTS = 20


class Log(msgspec.Struct):
    """What the commit log says.

    Attributes
    ----------
    files
        Names of its files.
    records
        All records but of deleted streams, by serial.
    deleted
        Serials of streams that it says are deleted.
    made
        The streams that it says were made, and that are not deleted, by folder.
    torn
        Where and why it ends too early, or None.
    """

    files: list[str]
    records: dict[int, list[Record]]
    deleted: set[int]
    torn: str | None
    made: dict[str, Created] = {}


class Holding(msgspec.Struct):
    """One stream as its ``stream.json`` and the log have it.

    Attributes
    ----------
    stream
        With its sessions, its segments and all sample frames that were acknowledged.
    settled
        How many sample frames ``stream.json`` vouches for.
    tail
        The log's records of those behind, in order.
    fault
        Why ``stream.json`` cannot be believed, or None; the stream is put together from the
        catalogue or the segments' headers then.
    """

    stream: Stream
    settled: int
    tail: list[Appended]
    fault: str | None = None

    def due(self, segment: Segment) -> int:
        """Return how many bytes of a segment's PCM are vouched for by its checksum file."""
        frames = min(self.settled, segment.stop) - segment.first
        return max(0, frames) * self.stream.format.frame_bytes


class Survey:
    """A look at a data folder.

    Parameters
    ----------
    fs
        The data folder.
    live
        Whether a server has it.

    Attributes
    ----------
    log
        What the log says.
    catalog
        What the catalogue says by folder, or why it cannot be believed; None where a server has
        the folder, for the catalogue is in its hands.
    unreadable
        Folders of folders that could not be listed, and why.
    """

    def __init__(self, fs: FileSystem, *, live: bool) -> None:
        self.fs = fs
        self.live = live
        self.unreadable: dict[str, OSError] = {}
        self.log = _read_log(fs, live=live)
        self.catalog: dict[str, Stream] | str | None = None
        if not live:
            try:
                self.catalog = {stream.folder: stream for stream in read_catalog(fs)}
            except FileNotFoundError:
                self.catalog = MISSING if any(stream_folders(fs)) else {}
            except (OSError, ValueError, sqlite3.Error) as error:
                self.catalog = str(error)

    def __repr__(self) -> str:
        return f"<Survey live={self.live} log={len(self.log.files)} files>"

    def folders(self) -> list[str]:
        """Return the folders of all streams, also of those that only the log knows.

        Folders of folders that cannot be listed are noted in `unreadable`.
        """
        return sorted(self.log.made.keys() | set(stream_folders(self.fs, self.unreadable)))

    def holding(self, folder: str, stop: int | None = None) -> Holding | None:
        """Return the stream that lies in a folder, or None if nothing tells what it is.

        Parameters
        ----------
        folder
            The folder.
        stop
            From this sample frame on the log is not believed.

        Raises
        ------
        FileNotFoundError
            The folder is gone: the stream was deleted meanwhile.
        """
        try:
            found = Holding(read_manifest(self.fs, folder), 0, [])
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            if self._is_gone(folder):
                raise FileNotFoundError(folder) from None
            rebuilt = self._rebuild(folder, error)
            if rebuilt is None:
                return None
            found = rebuilt
        found.settled = found.stream.frames
        _replay(found, self.log.records.get(found.stream.serial, ()), stop)
        found.stream.load_segments(self.fs)
        return found

    def changed(self, stream: Stream) -> bool:
        """Return whether a stream has been deleted since it was found."""
        try:
            return read_manifest(self.fs, stream.folder).serial != stream.serial
        except FileNotFoundError:
            return not self._is_unsettled(stream)
        except (OSError, ValueError, msgspec.MsgspecError):
            return False

    def _is_unsettled(self, stream: Stream) -> bool:
        """Whether a stream has no ``stream.json`` because it is new, and not because it is gone."""
        if not stream.frames:
            return stream.folder in self.log.made
        made = _read_log(self.fs, live=self.live).made.get(stream.folder)
        # Not in the log any more: it was settled meanwhile, or deleted.
        return (made is not None and made.serial == stream.serial) or self._is_settled(stream)

    def _is_settled(self, stream: Stream) -> bool:
        try:
            return read_manifest(self.fs, stream.folder).serial == stream.serial
        except (OSError, ValueError, msgspec.MsgspecError):
            return False

    def _is_gone(self, folder: str) -> bool:
        """Whether a stream's folder has been there, and is not any more."""
        parent, _, name = folder.rpartition("/")
        if name in self.fs.list(parent):
            return False
        made = self.log.made.get(folder)
        # A new stream without audio may have none yet.
        return made is None or any(
            isinstance(record, Appended) for record in self.log.records[made.serial]
        )

    def _rebuild(self, folder: str, error: Exception) -> Holding | None:
        """Put a stream together from what there is beside its ``stream.json``."""
        made = self.log.made.get(folder)
        if made is not None and isinstance(error, FileNotFoundError):
            format_ = AudioFormat(made.sample_rate, made.channels, made.bit_depth)
            stream = Stream(made.stream_id, made.serial, format_, made.time, folder)
            stream.sessions = []
            return Holding(stream, 0, [])
        known = self.catalog.get(folder) if isinstance(self.catalog, dict) else None
        stream_ = known or from_segments(self.fs, folder)
        if stream_ is None:
            return None
        stream_.sessions = []
        return Holding(stream_, 0, [], _explained(error, stream_))


def _explained(error: Exception, stream: Stream) -> str:
    """Say why a ``stream.json`` cannot be believed."""
    if isinstance(error, FileNotFoundError):
        return MISSING
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror}"
    return f"it {str(error).removeprefix(stream.manifest_name).strip()}"


def _read_log(fs: FileSystem, *, live: bool) -> Log:
    """Read the log; once more where a server has just dropped a file, or is about to write one."""
    torn: str | None = None
    for _ in range(_ATTEMPTS):
        reader = LogReader(fs)
        log = Log(reader.files, {}, set(), None)
        try:
            for record in reader:
                log.records.setdefault(record.serial, []).append(record)
                if isinstance(record, Deleted):
                    log.deleted.add(record.serial)
        except StorageError as error:
            if live and isinstance(error.__cause__, FileNotFoundError):
                continue
            raise
        log.torn = reader.torn if reader.dropped_bytes else None
        if not live or log.torn is None or log.torn == torn:
            break
        torn = log.torn
    log.records = {s: records for s, records in log.records.items() if s not in log.deleted}
    for records in log.records.values():
        for record in records:
            if isinstance(record, Created):
                log.made[folder_name(record.stream_id)] = record
    return log


def _replay(holding: Holding, records: Iterable[Record], stop: int | None) -> None:
    """Add to a stream what the log tells of it, as a recovery does."""
    stream, new_turn = holding.stream, False
    for record in records:
        if isinstance(record, Opened):
            new_turn = True
        elif isinstance(record, Expires):
            stream.expiry = record.seconds
        elif isinstance(record, Appended):
            if record.position == stream.frames != stop:
                stream.grow(record.count, record.time, record.session.hex(), new_turn=new_turn)
                holding.tail.append(record)
            new_turn = False


def segment_of(stream: Stream, frame: int) -> Segment | None:
    """Return the segment that holds a sample frame, or None if it would lie before the first."""
    segments = stream.segments or ()
    return stream.segment_at(frame) if segments and segments[0].first <= frame else None


def from_segments(fs: FileSystem, folder: str) -> Stream | None:
    """Return a stream as its segments tell of it, or None if they do not.

    A segment's header names stream, serial, format and time; it is believed where all of it is what
    would be written for a stream of this folder.
    """
    names = sorted(name for name in fs.list(folder) if re.fullmatch(r"[0-9]{20}\.wav", name))
    for name in names:
        stream = _from_header(read_piece(fs, f"{folder}/{name}", 0, SEGMENT_HEADER), folder, name)
        if stream is not None:
            break
    else:
        return None
    last = f"{folder}/{names[-1]}"
    try:
        size = Checksums.load(fs.read(last.removesuffix("wav") + "crc")).covered
    except (OSError, ValueError):
        head = read_piece(fs, last, 0, SEGMENT_HEADER)
        room = file_size(fs, last) - SEGMENT_HEADER
        size = min(int.from_bytes(head[-4:], "little"), max(0, room))
    stream.frames = int(names[-1][:20]) + size // stream.format.frame_bytes
    return stream


def _from_header(head: bytes, folder: str, name: str) -> Stream | None:
    if len(head) < SEGMENT_HEADER:
        return None
    channels, rate = int.from_bytes(head[22:24], "little"), int.from_bytes(head[24:28], "little")
    depth = int.from_bytes(head[34:36], "little")
    bext = head.find(b"bext", 12, 128) + 8
    try:
        stream_id = head[bext : bext + 256].rstrip(b"\0").decode()
        serial = int(head[bext + 288 : bext + 308])
        stamp = head[bext + 320 : bext + 338].decode()
        day = msgspec.convert(f"{stamp[:10]}T{stamp[10:]}Z", datetime)
        since_midnight = int.from_bytes(head[bext + 338 : bext + 346], "little")
        midnight = day.replace(hour=0, minute=0, second=0)
        start = int(midnight.timestamp()) * NS_PER_S + -(-since_midnight * NS_PER_S // rate)
    except (ValueError, ZeroDivisionError, msgspec.MsgspecError):
        return None
    ref = round((start - int(name[:20]) * NS_PER_S // rate) / NS_PER_MS)
    stream = Stream(stream_id, serial, AudioFormat(rate, channels, depth), ref, folder)
    stream.ref = ref
    stated = int.from_bytes(head[-4:], "little")
    first = int(name[:20])
    matches = folder_name(stream_id) == folder and head_of(stream, first, stated) == head
    return stream if matches else None


def head_of(stream: Stream, first: int, size: int) -> bytes:
    """Return the header of a stream's segment that begins at a sample frame, with `size` bytes."""
    pcm = Pcm(stream.format.sample_rate, stream.format.channels, stream.format.bit_depth)
    start = stream.ref * NS_PER_MS + first * NS_PER_S // stream.format.sample_rate
    return segment_header(pcm, size, stream_id=stream.id, serial=stream.serial, start_ns=start)


def read_piece(fs: FileSystem, name: str, offset: int, size: int) -> bytes:
    """Return a part of a file, as far as there is one."""
    file = fs.open(name, write=False)
    try:
        buffer = bytearray(size)
        return bytes(buffer[: file.read_into(memoryview(buffer), offset)])
    finally:
        file.close()


def file_size(fs: FileSystem, name: str) -> int:
    """Return a file's length in bytes."""
    file = fs.open(name, write=False)
    try:
        return file.size()
    finally:
        file.close()


def pieces(file: File, start: int, stop: int) -> Iterator[memoryview]:
    """Yield a range of a segment's PCM, in bytes, unchecked, in whole blocks; it may end early.

    A piece is good until the next is asked for.
    """
    buffer = memoryview(bytearray(min(READ, max(0, stop - start))))
    while start < stop:
        count = file.read_into(buffer[: stop - start], SEGMENT_HEADER + start)
        if not count:
            return
        yield buffer[:count]
        start += count


def damaged_blocks(
    file: File, sums: Checksums, progress: Progress
) -> Iterator[tuple[int, int, str]]:
    """Yield the ranges of a segment's PCM, in bytes, that do not match its checksums, and why."""
    checks = sums.entries()
    done = 0
    for piece in pieces(file, 0, sums.covered):
        progress(len(piece))
        for offset in range(0, len(piece), BLOCK):
            block = piece[offset : offset + BLOCK]
            stop = done + offset + len(block)
            whole = stop == sums.covered or len(block) == BLOCK
            if whole and crc32c(block) != checks[(done + offset) // BLOCK]:
                yield done + offset, stop, "the PCM does not match its checksum"
        done += len(piece)
    if done < sums.covered:
        yield done - done % BLOCK, sums.covered, "the file is too short"
