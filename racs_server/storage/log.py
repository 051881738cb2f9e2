r"""The commit log: what makes an append safe before its segment is.

One log per data folder, in files ``log/<sequence, 16 hex digits>.log`` of a fixed, preallocated
size. All integers are little-endian. A file starts with 32 bytes::

    0   8  RACSLOG1
    8   8  sequence number of the file
    16  12 zeros
    28  4  CRC-32C of the 28 bytes before

and goes on with records (see `racs_server.storage.records`), up to one whose length is 0. The last
record of a file that the log goes on from is a NEXT: so a file whose end a power cut has taken is
told from one that was full.

Invariants
----------
- Records are written in the order in which they were added, by `flush`, with one write.
- `room` is asked before anything is changed, so that a full disk refuses an append instead of
  tearing it.
- A file is synced before a record of the next one is promised: `sync` goes through them in order.
- A reader stops at the first record that does not check: what lies behind it was never promised.
"""

import errno
import re
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crc32c import crc32c

from racs_server.errors import StorageError
from racs_server.storage.fs import Buffer, File, FileSystem
from racs_server.storage.records import (
    NEXT,
    NEXT_SIZE,
    RECORD,
    TYPES,
    Continued,
    Record,
    decode,
    next_payload,
)

FOLDER = "log"
MAGIC = b"RACSLOG1"
HEADER_SIZE = 32
_HEADER = struct.Struct("<8sQ12xI")


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
        self._unnamed = False
        """The folder entry of a file has not been synced."""
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
        if (
            self._file is None
            or self._offset + self._pending_bytes + size + NEXT_SIZE > self._capacity
        ):
            self.rotate(size)

    def add(self, type_: int, payload: bytes, pcm: Sequence[Buffer] = ()) -> None:
        """Add a record; `flush` writes it. `room` has been asked before."""
        check = crc32c(payload, self._seed[type_])
        length = len(payload)
        for part in pcm:
            check = crc32c(part, check)
            length += len(part)
        self._pending.append(RECORD.pack(length, check, type_) + payload)
        self._pending += pcm
        self._pending_bytes += RECORD.size + length
        self.added += RECORD.size + length

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
            unnamed, self._unnamed = self._unnamed, False
            for entry in old:
                if entry.end > self.synced:
                    entry.file.sync()
            if current is not None and position > self.synced:
                current.sync()
            if unnamed:
                self._fs.sync_folder(FOLDER)
            self.synced = max(self.synced, position)

    def rotate(self, least: int = 0) -> None:
        """Go on in a new file, with room for a record of `least` bytes."""
        self.flush()
        with self._allocation:
            file, capacity = self._take_next(max(self._size, HEADER_SIZE + least + NEXT_SIZE))
            if self._file is not None:
                try:
                    self._end_file(self._file)
                except OSError:
                    self._next = file, capacity
                    raise
            self._sequence += 1
        self._seed = {
            type_: crc32c(self._sequence.to_bytes(8, "little") + bytes([type_])) for type_ in TYPES
        }
        self._file, self._offset, self._capacity = file, HEADER_SIZE, capacity

    def _end_file(self, file: File) -> None:
        """Say at the end of the current file that the log goes on in the next one."""
        payload = next_payload(self._sequence + 1)
        head = RECORD.pack(len(payload), crc32c(payload, self._seed[NEXT]), NEXT)
        # Where this fails, the next record is written over it: none is shorter.
        file.write([head + payload], self._offset)
        self.added += NEXT_SIZE
        self.written = self.added
        self._old.append(OldFile(self._name(self._sequence), file, self.written))

    def prepare(self) -> None:
        """Allocate the next file ahead of need; may be called from a thread of its own."""
        with self._allocation:
            if self._next is None:
                self._next = self._allocate(self._size, durable=True)

    def _take_next(self, capacity: int) -> tuple[File, int]:
        ready, self._next = self._next, None
        if ready is not None and ready[1] >= capacity:
            return ready
        if ready is not None:
            ready[0].close()
        return self._allocate(capacity)

    def _allocate(self, capacity: int, *, durable: bool = False) -> tuple[File, int]:
        """Make the file with the next number, all zeros but its header.

        `sync` makes it durable, unless that is asked for here. A file that the disk has failed to
        store is not used: the next sync could call it a success.
        """
        name = self._name(self._sequence + 1)
        file = self._fs.open(name, create=True)
        try:
            _reserve(file, capacity)
            head = _HEADER.pack(MAGIC, self._sequence + 1, 0)[:28]
            file.write([head + crc32c(head).to_bytes(4, "little")], 0)
            self._unnamed = True
            if durable:
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
                # In order, on the medium too: a record may be needless only because of a later one.
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
                self._fs.sync_folder(FOLDER)  # in order, as in `drop`

    @staticmethod
    def _name(sequence: int) -> str:
        return f"{FOLDER}/{sequence:016x}.log"


def _reserve(file: File, size: int) -> None:
    """Make sure of a new file's room."""
    try:
        file.allocate(size)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        file.write([bytes(size)], 0)  # nobody else writes to this file yet


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
        self.torn: str | None
        self.dropped_bytes: int
        self._forget()

    def sync(self) -> None:
        """Put on the medium what was found, names and all; `OSError` if the disk fails."""
        for name in self.files:
            file = self._fs.open(name)
            try:
                file.sync()
            finally:
                file.close()
        self._fs.sync_folder(FOLDER)

    def __iter__(self) -> Iterator[Record]:
        """Yield every record up to the end or the first tear; `StorageError` if the disk fails."""
        self._forget()
        for name in self.files:
            try:
                contents = self._fs.read(name)
            except OSError as error:
                raise StorageError(
                    f"{name} cannot be read ({error.strerror}), and may hold audio that nothing"
                    " else tells of. Look after the disk and start again, or move this file out of"
                    " the data folder to start without it"
                ) from error
            self._check_continued(name, contents)
            if self.torn is not None:
                self.dropped_bytes += len(contents.rstrip(b"\0"))
                continue
            yield from self._records(name, contents)

    def _forget(self) -> None:
        self.torn, self.dropped_bytes = None, 0
        self._continued: int | None = None

    def _check_continued(self, name: str, contents: bytes) -> None:
        """Find out whether there is an end missing between the file before and this one."""
        follows = name == self.files[0] or self._continued == int(name[-20:-4], 16)
        self._continued = None
        # A file without records was allocated ahead.
        if not follows and self.torn is None and contents[HEADER_SIZE:].strip(b"\0"):
            self._tear(name, 0, b"", "the end of the file before it is missing")

    def _records(self, name: str, contents: bytes) -> Iterator[Record]:
        head = contents[:HEADER_SIZE]
        if len(head) < HEADER_SIZE or crc32c(head[:28]).to_bytes(4, "little") != head[28:]:
            self._tear(name, 0, contents, "the file's header does not check")
            return
        sequence = head[8:16]
        offset = HEADER_SIZE
        while offset + RECORD.size <= len(contents):
            length, check, type_ = RECORD.unpack_from(contents, offset)
            if not length:
                break
            start = offset + RECORD.size
            payload = contents[start : start + length]
            if len(payload) < length or crc32c(payload, crc32c(sequence + bytes([type_]))) != check:
                self._tear(name, offset, contents, "the record does not check")
                return
            try:
                record = decode(type_, payload)
            except (struct.error, ValueError) as error:
                self._tear(name, offset, contents, f"the record's fields do not fit: {error}")
                return
            if isinstance(record, Continued):
                self._continued = record.sequence
            else:
                yield record
            offset = start + length
        if contents[offset:].strip(b"\0"):
            self._tear(name, offset, contents, "there are bytes behind the end")

    def _tear(self, name: str, offset: int, contents: bytes, why: str) -> None:
        self.torn = f"{name} at byte {offset}: {why}"
        self.dropped_bytes += len(contents[offset:].rstrip(b"\0"))
