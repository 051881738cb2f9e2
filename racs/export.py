"""A reply that is a file, written to disk block by block as it comes, in little memory.

Invariant: the file appears under its name whole or not at all; what was there before stays till
then. Whatever goes wrong, nothing half-written is left.
"""

import uuid
from collections.abc import Callable
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO

from racs.connection import Connection
from racs.errors import RacsTypeError, RacsValueError
from racs.pool import Pool
from racs.script import Blocking, Script
from racs.wire import encode_command

BLOCK = 1 << 20
"""Bytes that are held at once."""

_FILES = ("u8v", "s8v")

Progress = Callable[[int, int], object]
"""Is told how many bytes have come, and of how many."""


def checked_path(to: object) -> Path:
    """Return where a file is to go; `RacsTypeError` if it is no path."""
    if not isinstance(to, str | PathLike):
        raise RacsTypeError(f"to must be a path, not {to!r} ({type(to).__name__})")
    return Path(fspath(to))


def export(pool: Pool, text: str, path: Path, progress: Progress | None = None) -> Script[int]:
    """Script: carry out a command text and write its result, bytes, to a file.

    Returns
    -------
    int
        How many bytes the file has.

    Raises
    ------
    RacsException
        As `Connection.receive`; or the result is something else than bytes.
    OSError
        The file cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    file: BinaryIO = yield Blocking(partial(part.open, "xb"))
    try:
        try:
            size = yield from pool.use(partial(_receive, text=text, file=file, progress=progress))
        finally:
            yield Blocking(file.close)
        yield Blocking(partial(part.replace, path))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return size


def _receive(
    connection: Connection, text: str, file: BinaryIO, progress: Progress | None
) -> Script[int]:
    yield from connection.send([encode_command(text)])
    start = yield from connection.receive_vector()
    if start.type not in _FILES:
        raise RacsValueError(
            f"the result is {start.type}, no file: end with format(...) or encode(...), or execute"
            " without to="
        )
    buffer = memoryview(bytearray(min(BLOCK, start.size)))
    left = start.size
    while left:
        block = buffer[:left]
        yield from connection.receive_into(block)
        yield Blocking(partial(file.write, block))
        left -= len(block)
        if progress is not None:
            progress(start.size - left, start.size)
    return start.size
