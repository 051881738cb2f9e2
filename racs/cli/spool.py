"""What a recording holds until the server has it: bytes in order, in memory and then on disk.

A reader puts bytes in at one end. A sender takes them from any place on that is still held, again
if need be; what is known to be safe is let go of. All places are bytes since the begin.

Invariants
----------
- ``base <= every place that is asked for <= end``; the bytes between `base` and `end` are held.
- At most `memory` bytes are in memory; what is more lies in one temporary file, without a name,
  which is emptied when nothing in it is held any more.
- Nothing is dropped that was not released, but when the disk is full: then `put` raises.
"""

import tempfile
import threading
from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

_PATIENCE = 0.05


class _Piece(msgspec.Struct):
    """Some bytes: in memory, or from `at` in the file on."""

    start: int
    size: int
    data: bytes | None
    at: int = 0


class Spool:
    """Bytes between one who reads and one who sends.

    Parameters
    ----------
    memory
        How many bytes are held in memory before they go to the disk.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._pieces: list[_Piece] = []
        self._file: BinaryIO | None = None
        self._written = 0
        self._in_memory = 0
        self._ended = False
        self._changed = threading.Condition()
        self.base = 0
        self.end = 0

    def __repr__(self) -> str:
        disk = sum(each.size for each in self._pieces if each.data is None)
        return f"<Spool of {self.base} … {self.end}, {disk} on disk>"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._ended

    def put(self, data: bytes) -> None:
        """Add bytes; `OSError` if they have to go to the disk and it is full."""
        with self._changed:
            if self._ended or not data:
                return
            piece = _Piece(self.end, len(data), data)
            if self._in_memory + len(data) > self._memory:
                self._store(piece)
            else:
                self._in_memory += len(data)
            self._pieces.append(piece)
            self.end += len(data)
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that nothing more comes."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Forget all."""
        self.finish()
        with self._changed:
            self._pieces.clear()
            self.base = self.end
            if self._file is not None:
                self._file.close()
                self._file = None

    def release(self, place: int) -> None:
        """Let go of what lies before a place, in whole pieces."""
        with self._changed:
            while self._pieces and self._pieces[0].start + self._pieces[0].size <= place:
                piece = self._pieces.pop(0)
                self.base = piece.start + piece.size
                self._in_memory -= piece.size if piece.data is not None else 0
            if self._file is not None and all(each.data is not None for each in self._pieces):
                self._file.truncate(0)
                self._written = 0

    def read_from(self, place: int) -> Iterator[bytes]:
        """Yield what is held from a place on, and what comes, until nothing more does.

        While nothing comes, it yields no bytes every `_PATIENCE` seconds, so that who takes them
        can do with what there is.

        Raises
        ------
        LookupError
            What lies there is not held any more, or has never come.
        """
        if not self.base <= place <= self.end:
            raise LookupError(f"byte {place} is not held: {self!r}")
        while (data := self._next(place)) is not None:
            yield data
            place += len(data)

    def peek(self, start: int, stop: int) -> bytes:
        """Return the bytes between two places, which are held."""
        found = bytearray()
        while start + len(found) < stop:
            found += self._next(start + len(found)) or b""
        return bytes(found[: stop - start])

    def _next(self, place: int) -> bytes | None:
        """Return the rest of the piece that a place lies in, maybe nothing yet; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: place < self.end or self._ended, _PATIENCE)
            if place >= self.end:
                return None if self._ended else b""
            number = bisect_right(self._pieces, place, key=lambda each: each.start) - 1
            piece = self._pieces[number]
            return self._load(piece)[place - piece.start :]

    def _store(self, piece: _Piece) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="racs-record-")  # noqa: SIM115 (see close)
        assert piece.data is not None
        self._file.seek(self._written)
        self._file.write(piece.data)
        self._file.flush()
        piece.at, piece.data = self._written, None
        self._written += piece.size

    def _load(self, piece: _Piece) -> bytes:
        if piece.data is not None:
            return piece.data
        assert self._file is not None
        self._file.seek(piece.at)
        return self._file.read(piece.size)
