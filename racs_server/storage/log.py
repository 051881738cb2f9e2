r"""The commit log: what makes an append safe before its segment is.

One log per data folder, in files ``log/<sequence, 16 hex digits>.log`` of a fixed, preallocated
size. All integers are little-endian. A file starts with 32 bytes::

    0   8  RACSLOG1
    8   8  sequence number of the file
    16  12 zeros
    28  4  CRC-32C of the 28 bytes before

and goes on with records, each::

    0   4  length of the payload; 0 where the log ends
    4   4  CRC-32C of the file's sequence number (8 bytes), the type and the payload
    8   1  type
    9   .. payload

==== =========== ===========================================================================
type name        payload
==== =========== ===========================================================================
1    CREATE      serial u64, time u64, sample rate u32, channels u16, bit depth u16, id UTF-8
2    OPEN        serial u64, time u64
3    APPEND      serial u64, time u64, position u64, count u32, CRC-32C u32, session 16 bytes
4    APPEND_PCM  the same, then the PCM itself
5    CLOSE       serial u64, time u64, position u64
6    DELETE      serial u64, time u64
7    EXPIRE      serial u64, time u64, seconds i64
==== =========== ===========================================================================

Times are ms since the epoch; positions and counts are sample frames; the checksum is of the PCM;
the seconds of an EXPIRE are the stream's time to live from then on, -1 for ever.
Worked example: OPEN of the stream with serial 7 at 1000 ms, in file 1, is
``10 00 00 00  <crc of 01 00*7 02 payload>  02  07 00*7  e8 03 00*6``.

Invariants
----------
- Records are written in the order in which they were added, by `flush`, with one write.
- `room` is asked before anything is changed, so that a full disk refuses an append instead of
  tearing it.
- A file is synced before a record of the next one is promised: `sync` goes through them in order.
- A reader stops at the first record that does not check: what lies behind it was never promised.
"""

import re
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from crc32c import crc32c

from racs_server.storage.fs import Buffer, File, FileSystem

FOLDER = "log"
MAGIC = b"RACSLOG1"
HEADER_SIZE = 32
_HEADER = struct.Struct("<8sQ12xI")
_RECORD = struct.Struct("<IIB")
_SERIAL_TIME = struct.Struct("<QQ")
_CREATE = struct.Struct("<QQIHH")
_APPEND = struct.Struct("<QQQII16s")
_CLOSE = struct.Struct("<QQQ")
_EXPIRE = struct.Struct("<QQq")

CREATE, OPEN, APPEND, APPEND_PCM, CLOSE, DELETE, EXPIRE = range(1, 8)


class Created(msgspec.Struct, frozen=True):
    """A stream came into being."""

    serial: int
    time: int
    sample_rate: int
    channels: int
    bit_depth: int
    stream_id: str


class Opened(msgspec.Struct, frozen=True):
    """A stream was opened."""

    serial: int
    time: int


class Appended(msgspec.Struct, frozen=True):
    """Sample frames were put behind a stream's last; `pcm` only where the log carries it."""

    serial: int
    time: int
    position: int
    count: int
    checksum: int
    session: bytes
    pcm: bytes | None = None


class Closed(msgspec.Struct, frozen=True):
    """A stream was closed, with its length in sample frames."""

    serial: int
    time: int
    position: int


class Deleted(msgspec.Struct, frozen=True):
    """A stream is gone."""

    serial: int
    time: int


class Expires(msgspec.Struct, frozen=True):
    """A stream was given a time to live, in seconds; -1 takes it away."""

    serial: int
    time: int
    seconds: int


Record = Created | Opened | Appended | Closed | Deleted | Expires


class OldFile(NamedTuple):
    """A full log file, and the position in the log that it ends at."""

    name: str
    file: File
    end: int


class CommitLog:
    """The log as it is written.

    Parameters
    ----------
    fs
        The data folder.
    sequence
        Number of the first file to write; larger than that of any file there is.
    size
        Bytes of a file; a record that is larger gets a larger file.
    """

    def __init__(self, fs: FileSystem, sequence: int, size: int) -> None:
        self._fs = fs
        self._size = size
        self._sequence = sequence - 1
        self._pending: list[Buffer] = []
        self._pending_bytes = 0
        self._offset = 0
        self._capacity = 0
        self._file: File | None = None
        self._old: list[OldFile] = []
        self._syncing = threading.Lock()
        self._next: tuple[File, int] | None = None
        self._allocation = threading.Lock()
        self.added = 0
        """Bytes of records added since the start: a position in the log."""
        self.written = 0
        """Up to which position the log has been handed to the operating system."""
        self.synced = 0
        """Up to which position the log is on the medium."""

    def __repr__(self) -> str:
        return f"<CommitLog file={self._sequence} offset={self._offset} old={len(self._old)}>"

    @property
    def old_files(self) -> int:
        """How many full files wait for a checkpoint."""
        return len(self._old)

    @property
    def used(self) -> int:
        """Bytes of records in the current file."""
        return max(0, self._offset - HEADER_SIZE) + self._pending_bytes

    def room(self, size: int) -> None:
        """Make sure that records of that many bytes, heads and all, can be added.

        Raises
        ------
        OSError
            There is no room for another log file.
        """
        if self._file is None or self._offset + self._pending_bytes + size > self._capacity:
            self.rotate(size)

    def add(self, type_: int, payload: bytes, pcm: Sequence[Buffer] = ()) -> None:
        """Add a record; `flush` writes it. `room` has been asked before."""
        check = crc32c(payload, self._seed[type_])
        length = len(payload)
        for part in pcm:
            check = crc32c(part, check)
            length += len(part)
        self._pending.append(_RECORD.pack(length, check, type_) + payload)
        self._pending += pcm
        self._pending_bytes += _RECORD.size + length
        self.added += _RECORD.size + length

    def flush(self) -> int:
        """Hand all added records to the operating system with one write.

        Returns
        -------
        The position up to which they are written.
        """
        if self._pending:
            assert self._file is not None
            parts = [b"".join(self._pending)] if self._pending_bytes < 1 << 16 else self._pending
            self._file.write(parts, self._offset)
            self._offset += self._pending_bytes
            self._pending = []
            self._pending_bytes = 0
            self.written = self.added
        return self.written

    def sync(self) -> None:
        """Put all that is flushed on the medium; may be called from a thread of its own."""
        with self._syncing:
            # The position first, then the current file, then the old ones: a rotation in between
            # puts a file among the old ones before another becomes the current one.
            position, current, old = self.written, self._file, list(self._old)
            for entry in old:
                if entry.end > self.synced:
                    entry.file.sync()
            if current is not None and position > self.synced:
                current.sync()
            self.synced = max(self.synced, position)

    def rotate(self, least: int = 0) -> None:
        """Go on in a new file, with room for a record of `least` bytes."""
        self.flush()
        with self._allocation:
            file, capacity = self._take_next(max(self._size, HEADER_SIZE + least))
            if self._file is not None:
                self._old.append(OldFile(self._name(self._sequence), self._file, self.written))
            self._sequence += 1
        self._seed = {
            type_: crc32c(self._sequence.to_bytes(8, "little") + bytes([type_]))
            for type_ in range(CREATE, EXPIRE + 1)
        }
        self._file, self._offset, self._capacity = file, HEADER_SIZE, capacity

    def prepare(self) -> None:
        """Allocate the next file ahead of need; may be called from a thread of its own."""
        with self._allocation:
            if self._next is None:
                self._next = self._allocate(self._size)

    def _take_next(self, capacity: int) -> tuple[File, int]:
        ready, self._next = self._next, None
        if ready is not None and ready[1] >= capacity:
            return ready
        if ready is not None:
            ready[0].close()
        return self._allocate(capacity)

    def _allocate(self, capacity: int) -> tuple[File, int]:
        """Make the file with the next number, all zeros but its header."""
        name = self._name(self._sequence + 1)
        file = self._fs.open(name, create=True)
        try:
            file.allocate(capacity)
            head = _HEADER.pack(MAGIC, self._sequence + 1, 0)[:28]
            file.write([head + crc32c(head).to_bytes(4, "little")], 0)
            file.sync()
            self._fs.sync_folder(FOLDER)
        except OSError:
            file.close()
            self._fs.remove(name)
            raise
        return file, capacity

    def take_old(self) -> list["OldFile"]:
        """Return the full files that there are now: a checkpoint will make them needless."""
        return list(self._old)

    def drop(self, files: list["OldFile"]) -> None:
        """Remove files whose records a checkpoint has made needless."""
        if not files:
            return
        with self._syncing:
            for entry in files:
                # In order: a record may be needless only because of a later one.
                self._fs.remove(entry.name)
                self._old.remove(entry)
                entry.file.close()
            self._fs.sync_folder(FOLDER)

    def close(self, *, remove: bool) -> None:
        """Close all files; remove them where all they say has been settled."""
        files = [(entry.name, entry.file) for entry in self._old]
        if self._file is not None:
            files.append((self._name(self._sequence), self._file))
        if self._next is not None:
            files.append((self._name(self._sequence + 1), self._next[0]))
        self._old, self._file, self._next = [], None, None
        for name, file in files:
            file.close()
            if remove:
                self._fs.remove(name)
        if files and remove:
            self._fs.sync_folder(FOLDER)

    @staticmethod
    def _name(sequence: int) -> str:
        return f"{FOLDER}/{sequence:016x}.log"


def create_payload(record: Created) -> bytes:
    """Return the payload of a CREATE record."""
    head = _CREATE.pack(
        record.serial, record.time, record.sample_rate, record.channels, record.bit_depth
    )
    return head + record.stream_id.encode()


def open_payload(serial: int, time: int) -> bytes:
    """Return the payload of an OPEN or DELETE record."""
    return _SERIAL_TIME.pack(serial, time)


def append_payload(
    serial: int, time: int, position: int, count: int, checksum: int, session: bytes
) -> bytes:
    """Return the payload of an APPEND record, and the start of that of an APPEND_PCM."""
    return _APPEND.pack(serial, time, position, count, checksum, session)


RECORD_HEAD = _RECORD.size
"""Bytes of a record before its payload."""

APPEND_SIZE = _RECORD.size + _APPEND.size
"""Bytes of an APPEND record, and of an APPEND_PCM without its PCM."""


def close_payload(serial: int, time: int, position: int) -> bytes:
    """Return the payload of a CLOSE record."""
    return _CLOSE.pack(serial, time, position)


def expire_payload(serial: int, time: int, seconds: int) -> bytes:
    """Return the payload of an EXPIRE record."""
    return _EXPIRE.pack(serial, time, seconds)


def _decode(type_: int, payload: bytes) -> Record:
    """Return the record that a payload, already checked, stands for."""
    if type_ == CREATE:
        serial, time, rate, channels, depth = _CREATE.unpack_from(payload)
        return Created(serial, time, rate, channels, depth, payload[_CREATE.size :].decode())
    if type_ == APPEND:
        return Appended(*_APPEND.unpack(payload))
    if type_ == APPEND_PCM:
        fields = (*_APPEND.unpack_from(payload), payload[_APPEND.size :])
        return Appended(*fields)
    if type_ == CLOSE:
        return Closed(*_CLOSE.unpack(payload))
    if type_ == OPEN:
        return Opened(*_SERIAL_TIME.unpack(payload))
    if type_ == DELETE:
        return Deleted(*_SERIAL_TIME.unpack(payload))
    if type_ == EXPIRE:
        return Expires(*_EXPIRE.unpack(payload))
    raise ValueError(f"there is no record type {type_}")


class LogReader:
    """The log as it was left: an iterator of its records, which then says how it ended.

    Attributes
    ----------
    files
        Names of the log files found, in order.
    next_sequence
        Larger than the number of any of them.
    torn
        Where and why reading stopped before the end, or None.
    dropped_bytes
        How many bytes that are not zero lie behind the tear, at most.
    """

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs
        found = sorted(n for n in fs.list(FOLDER) if re.fullmatch(r"[0-9a-f]{16}\.log", n))
        self.files = [f"{FOLDER}/{name}" for name in found]
        self.next_sequence = int(found[-1][:16], 16) + 1 if found else 1
        self.torn: str | None = None
        self.dropped_bytes = 0

    def sync(self) -> None:
        """Put on the medium what was found; `OSError` if the disk fails."""
        for name in self.files:
            file = self._fs.open(name)
            try:
                file.sync()
            finally:
                file.close()

    def __iter__(self) -> Iterator[Record]:
        """Yield every record up to the end or the first tear."""
        self._forget()
        for name in self.files:
            contents = self._fs.read(name)
            if self.torn is not None:
                self.dropped_bytes += len(contents.rstrip(b"\0"))
                continue
            yield from self._records(name, contents)

    def _forget(self) -> None:
        self.torn, self.dropped_bytes = None, 0

    def _records(self, name: str, contents: bytes) -> Iterator[Record]:
        head = contents[:HEADER_SIZE]
        if len(head) < HEADER_SIZE or crc32c(head[:28]).to_bytes(4, "little") != head[28:]:
            self._tear(name, 0, contents, "the file's header does not check")
            return
        sequence = head[8:16]
        offset = HEADER_SIZE
        while offset + _RECORD.size <= len(contents):
            length, check, type_ = _RECORD.unpack_from(contents, offset)
            if not length:
                break
            start = offset + _RECORD.size
            payload = contents[start : start + length]
            if len(payload) < length or crc32c(payload, crc32c(sequence + bytes([type_]))) != check:
                self._tear(name, offset, contents, "the record does not check")
                return
            try:
                yield _decode(type_, payload)
            except (struct.error, ValueError) as error:
                self._tear(name, offset, contents, f"the record's fields do not fit: {error}")
                return
            offset = start + length
        if contents[offset:].strip(b"\0"):
            self._tear(name, offset, contents, "there are bytes behind the end")

    def _tear(self, name: str, offset: int, contents: bytes, why: str) -> None:
        self.torn = f"{name} at byte {offset}: {why}"
        self.dropped_bytes += len(contents[offset:].rstrip(b"\0"))
