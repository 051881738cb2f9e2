"""A file that is being written from what comes on a connection."""

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from racs.connection import Connection
from racs.script import Blocking, Script

BLOCK = 1 << 20
"""Bytes that are held at once."""

Progress = Callable[[int, int], object]
"""Is told how many bytes have come, and of how many."""


class Output:
    """Writes a file, and tells how far it is.

    Parameters
    ----------
    file
        Where it goes.
    progress
        Who is told.

    Attributes
    ----------
    size
        How many bytes the file will have.
    """

    def __init__(self, file: BinaryIO, progress: Progress | None = None) -> None:
        self._file = file
        self._progress = progress
        self._written = 0
        self.size = 0

    def __repr__(self) -> str:
        return f"<Output {self._written} of {self.size} bytes>"

    def write(self, data: bytes | memoryview) -> Script[None]:
        """Script: write some bytes."""
        yield Blocking(partial(self._file.write, data))
        self._written += len(data)
        if self._progress is not None:
            self._progress(self._written, self.size)

    def copy(self, connection: Connection, size: int) -> Script[None]:
        """Script: write so many bytes of the vector that is under way on a connection."""
        buffer = memoryview(bytearray(min(BLOCK, size)))
        while size:
            block = buffer[:size]
            yield from connection.receive_into(block)
            yield from self.write(block)
            size -= len(block)
