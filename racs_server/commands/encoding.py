"""From the description of a file to its bytes.

A file whose length is known beforehand is made while it is sent. Any other is written to a
temporary file that has no name, so that nothing is left of it whatever happens, and sent from
there: its length costs disk, not memory.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from racs.wire.replies import MAX_BIN
from racs_server.audio.codecs import CODECS, Encoder, Spooled, Streamed, Wanted
from racs_server.commands.context import Context, Reader
from racs_server.commands.source import Block, described, iter_blocks, iter_packed
from racs_server.errors import DiskFullError, LimitError, StorageError
from racs_server.values import EncodedPlan, StreamRange

STEP_SAMPLES = 1 << 18
"""Samples that are read and encoded at once: some milliseconds of FLAC, some ten of Opus or MP3."""

_PIECE = 512 << 10


class Encoding:
    """One file in the making. All of it blocks, and may be run in any thread, in one at a time.

    What a spooled file is made of is read and converted in a thread of its own, one step ahead of
    the encoder, so that a long one keeps two processors busy.

    Parameters
    ----------
    store
        Whence the PCM comes.
    encoded
        What to make.
    folder
        Where temporary files go.
    most
        The most bytes that the file may have.

    Attributes
    ----------
    size
        Bytes of the file; None until it is known.
    """

    def __init__(
        self, store: Reader, encoded: EncodedPlan, folder: Path, most: int = MAX_BIN
    ) -> None:
        plan = encoded.plan
        self._store = store
        self._most = most
        self._encoded = encoded
        self._folder = folder
        self._blocks = iter_blocks(store, plan)
        self._reader = ThreadPoolExecutor(1, "reader")
        self._ahead: Future[list[Block]] | None = None
        self._file: BinaryIO | None = None
        self._encoder: Encoder | None = None
        self._wanted = wanted(encoded)
        self._way = CODECS.find(encoded.mime_type).way
        self.size: int | None = None
        if isinstance(self._way, Streamed):
            self.size = self._way.length(self._wanted)
            self._pieces = self._made(self._way)

    def __repr__(self) -> str:
        return f"<Encoding {self._encoded.mime_type}, {self.size} bytes>"

    def advance(self) -> None:
        """Do a part of the work; to be called until `size` is known, and `read` may be called.

        Raises
        ------
        RacsError
            The audio cannot be read.
        StorageError
            The temporary file cannot be written, or there is no room for it.
        LimitError
            The file gets too large for a reply.
        """
        if not isinstance(self._way, Spooled):
            return
        if self._encoder is None:
            self._file = self._temporary()
            self._check_room(self._file, self._way.most_bytes(self._wanted))
            self._encoder = self._way.begin(self._wanted, self._file)
        assert self._file is not None
        blocks = self._step() if self._ahead is None else self._ahead.result()
        if not blocks:
            self._finish(self._encoder, self._file)
            return
        self._ahead = self._reader.submit(self._step)
        for block in blocks:
            self._encoder.write(block)
        self._check(self._file)

    def pieces(self, place: int = 0) -> Iterator[bytes | memoryview]:
        """Return the bytes from a place on, once `size` is known; several can be read at once.

        Where the place of a sample in the file is known, nothing before it is read.

        Raises
        ------
        RacsError
            By its steps: the audio, or the temporary file, cannot be read.
        """
        if isinstance(self._way, Spooled):
            assert self._file is not None
            assert self.size is not None
            return _pieces(self._file, self.size, place)
        plan, frame = self._encoded.plan, 0
        if self._way.head is not None:
            before = self._way.head(self._wanted)
            frame = min(max(place - before, 0) // plan.format.frame_bytes, plan.frames)
        pieces = self._made(self._way, frame)
        return _without(place - frame * plan.format.frame_bytes, pieces)

    def read(self) -> bytes | memoryview | None:
        """Return the next bytes of the file, or None at its end.

        Raises
        ------
        RacsError
            The audio cannot be read.
        """
        return next(self._pieces, None)

    @property
    def spooled(self) -> int:
        """Bytes of the temporary file, so far; 0 if there is none."""
        return os.fstat(self._file.fileno()).st_size if self._file is not None else 0

    def close(self) -> None:
        """Free everything; the temporary file is gone."""
        self._reader.shutdown()
        try:
            if self._encoder is not None:
                self._encoder.abandon()
        finally:
            if self._file is not None:
                self._file.close()

    def _made(self, way: Streamed, frame: int = 0) -> Iterator[bytes | memoryview]:
        """Yield a file, of whose audio all before a sample frame is left out."""
        plan = self._encoded.plan
        if way.packed is not None and isinstance(plan, StreamRange):
            return way.packed(self._wanted, iter_packed(self._store, plan, frame))
        return way.pieces(self._wanted, iter_blocks(self._store, plan, frame))

    def _step(self) -> list[Block]:
        """Return the next audio to encode; nothing at the end."""
        blocks: list[Block] = []
        done = 0
        while done < STEP_SAMPLES and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            done += block.size
        return blocks

    def _temporary(self) -> BinaryIO:
        try:
            return tempfile.TemporaryFile(dir=self._folder, buffering=0)
        except OSError as error:
            raise StorageError(
                f"no temporary file could be made for an encoded reply: {error.strerror}"
            ) from error

    def _check_room(self, file: BinaryIO, size: int) -> None:
        disk = os.fstatvfs(file.fileno())
        free = disk.f_bavail * disk.f_frsize
        if size > free:
            raise DiskFullError(
                f"a file of {described(self._encoded.plan)} as {self._encoded.mime_type} can take"
                f" {size} bytes while it is made, and the disk of the data folder has {free} left:"
                " ask for shorter pieces, or make room"
            )

    def _finish(self, encoder: Encoder, file: BinaryIO) -> None:
        encoder.finish()
        # the file may be kept for long, and needs neither memory nor a thread
        encoder.abandon()
        self._encoder = None
        self._reader.shutdown()
        self.size = self._check(file)
        self._pieces = _pieces(file, self.size)

    def _check(self, file: BinaryIO) -> int:
        size = os.fstat(file.fileno()).st_size
        if size > self._most:
            raise too_long(self._encoded)
        return size


def wanted(encoded: EncodedPlan) -> Wanted:
    """Return what an encoder needs to know of a file."""
    plan = encoded.plan
    codec = CODECS.find(encoded.mime_type)
    return codec.wanted(plan.format, plan.frames, encoded.tags, encoded.bit_rate)


def _without(count: int, pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield pieces, but for so many bytes at their begin."""
    for piece in pieces:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))


def _pieces(file: BinaryIO, size: int, place: int = 0) -> Iterator[bytes]:
    while place < size:
        try:
            piece = os.pread(file.fileno(), min(_PIECE, size - place), place)
        except OSError as error:
            raise StorageError(f"a temporary file cannot be read: {error.strerror}") from error
        if not piece:
            raise StorageError(f"a temporary file ends after {place} of its {size} bytes")
        place += len(piece)
        yield piece


def check_encoded_size(encoded: EncodedPlan, spool: int, most: int = MAX_BIN) -> None:
    """Refuse a file that cannot be made, as far as this is known beforehand.

    Parameters
    ----------
    encoded
        The file.
    spool
        Most bytes of PCM that a file may be made of whose length is known only at the end.
    most
        Most bytes that any file may have.

    Raises
    ------
    LimitError
        It has more bytes than a reply, or its format, can hold, or is made of more than the spool
        allows.
    """
    way = CODECS.find(encoded.mime_type).way
    plan = encoded.plan
    if isinstance(way, Streamed):
        if way.length(wanted(encoded)) > min(most, way.most):
            raise too_long(encoded)
    elif plan.frames * plan.format.frame_bytes > spool:
        seconds = spool // (plan.format.frame_bytes * plan.format.sample_rate)
        raise LimitError(
            f"{-(-plan.frames // plan.format.sample_rate)} s of {described(plan)} as"
            f" {encoded.mime_type}: at most {spool} bytes of PCM ({seconds} s) may be spooled for"
            " one file. Ask for shorter pieces, one after the other; the limit is the server's"
            " setting max_spool"
        )


def encoded_bytes(
    context: Context, encoded: EncodedPlan, check: Callable[[int], None]
) -> bytearray:
    """Make a whole file; blocks, until whoever wants it wants it no more.

    Parameters
    ----------
    context
        Whence the PCM comes, and how much of it there may be.
    encoded
        What to make.
    check
        Is given the file's size before its bytes are put together; refuses it in the same way.
    """
    check_encoded_size(encoded, context.spool)
    encoding = Encoding(context.store, encoded, Path(tempfile.gettempdir()))
    try:
        while encoding.size is None:
            context.check_cancelled()
            encoding.advance()
        check(encoding.size)
        contents, place = bytearray(encoding.size), 0
        for piece in iter(encoding.read, None):
            context.check_cancelled()
            contents[place : place + len(piece)] = piece
            place += len(piece)
        return contents
    finally:
        encoding.close()


def too_long(encoded: EncodedPlan) -> LimitError:
    """Return the error for a file that is too long for a reply."""
    plan = encoded.plan
    return LimitError(
        f"{-(-plan.frames // plan.format.sample_rate)} s of {described(plan)} as"
        f" {encoded.mime_type} take more than 4 GiB, the most that one reply holds: ask for"
        " shorter pieces, one after the other"
    )
