"""A reply that is a file, written to disk block by block as it comes, in little memory.

A WAV file that the server refuses because no reply can hold it is put together from pieces.

Invariant: the file appears under its name whole or not at all; what was there before stays till
then. Whatever goes wrong, nothing half-written is left. A link stays one, and the file that it
names is replaced. What is no file, a pipe or a device, and a file that the caller has opened, get
what comes as it comes.
"""

import uuid
from functools import partial
from io import TextIOBase
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, cast

from racs.connection import Connection
from racs.errors import RacsServerError, RacsTypeError, RacsValueError
from racs.long_wav import LongWav
from racs.output import Output, Progress
from racs.pool import Pool
from racs.script import Blocking, Script
from racs.wire import encode_command

_FILES = ("u8v", "s8v")


def checked_output(to: object) -> Path | BinaryIO:
    """Return where a file is to go; `RacsTypeError` if it is neither a path nor an open file."""
    if isinstance(to, str | PathLike):
        return Path(fspath(to))
    if isinstance(to, TextIOBase) or not hasattr(to, "write"):
        raise RacsTypeError(
            f"to must be a path, or a file that is open for bytes, not {to!r} ({type(to).__name__})"
        )
    return cast("BinaryIO", to)


def export(
    pool: Pool, text: str, to: Path | BinaryIO, progress: Progress | None = None
) -> Script[int]:
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
    if not isinstance(to, Path):
        return (yield from pool.use(partial(_receive, text=text, output=Output(to, progress))))
    to = to.resolve()
    if to.exists() and not to.is_file():
        return (yield from _write(pool, text, to, "wb", progress))
    part = to.with_name(f".{to.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        size = yield from _write(pool, text, part, "xb", progress)
        yield Blocking(partial(part.replace, to))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return size


def _write(pool: Pool, text: str, path: Path, mode: str, progress: Progress | None) -> Script[int]:
    file: BinaryIO = yield Blocking(partial(path.open, mode))
    try:
        return (yield from pool.use(partial(_receive, text=text, output=Output(file, progress))))
    finally:
        yield Blocking(file.close)


def _receive(connection: Connection, text: str, output: Output) -> Script[int]:
    yield from connection.send([encode_command(text)])
    try:
        start = yield from connection.receive_vector()
    except RacsServerError as refusal:
        wav = LongWav.of(text)
        if wav is None or not (yield from wav.is_too_long(connection)):
            raise refusal
        yield from wav.receive(connection, output)
        return output.size
    if start.type not in _FILES:
        raise RacsValueError(
            f"the result is {start.type}, no file: end with format(...) or encode(...), or execute"
            " without to="
        )
    output.size = start.size
    yield from output.copy(connection, start.size)
    return output.size
