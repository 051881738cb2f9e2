"""From the description of audio to the samples of a reply.

Audio stays a description until it is sent: then it is read block by block, so that a long range
takes no more memory than a short one.
"""

import itertools
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from racs.wire.replies import MAX_BIN
from racs_server.audio import pcm
from racs_server.audio.render import render
from racs_server.commands.context import Reader
from racs_server.errors import LimitError
from racs_server.values import AudioPlan, StreamRange

SAMPLE_BYTES = 4
"""Bytes of a sample in a reply (``s32v``), whatever the stream's bit depth."""

TURN_BYTES = 512 << 10
"""What is read or encoded in one turn: a change of threads costs as much as some ten KiB of it."""

Piece = bytes | memoryview
Block = npt.NDArray[np.int32]


def iter_blocks(store: Reader, plan: AudioPlan, start: int = 0) -> Iterator[Block]:
    """Read audio block by block; each step blocks, and may be taken in any thread.

    Parameters
    ----------
    store
        Whence the PCM comes.
    plan
        What to read.
    start
        The first of its sample frames to read.

    Returns
    -------
    iterator of arrays, shape (samples,), dtype int32
        Interleaved samples with their values; together exactly those from `start` on. None is
        empty.

    Raises
    ------
    RacsError
        By its steps: a stream is gone, damaged, or cannot be read.
    """
    if isinstance(plan, StreamRange):
        # pieces as large as the store's: fewer steps, each of which may cost a change of threads
        depth = plan.format.bit_depth
        return (pcm.unpack(packed, depth) for packed in store.read(_rest(plan, start)))
    return render(plan, store.read, start)


def iter_packed(store: Reader, plan: StreamRange, start: int = 0) -> Iterator[bytes]:
    """Read a stream's audio as `iter_blocks` does, but packed as it lies there."""
    return map(bytes, store.read(_rest(plan, start)))  # the store's pieces are lent


def _rest(plan: StreamRange, start: int) -> StreamRange:
    return msgspec.structs.replace(plan, start=plan.start + start)


def gather(pieces: Iterator[Piece]) -> Piece:
    """Return the next bytes, joined up to about `TURN_BYTES`; none at the end."""
    first = next(pieces, b"")
    if not first or len(first) >= TURN_BYTES:
        return first
    gathered = bytearray(first)
    while len(gathered) < TURN_BYTES and (piece := next(pieces, None)) is not None:
        gathered += piece
    return memoryview(gathered)


def check_reply_size(plan: AudioPlan) -> None:
    """Refuse audio that is too long to be one reply as it is.

    Raises
    ------
    LimitError
        It takes more bytes than a reply can hold.
    """
    if plan.samples * SAMPLE_BYTES <= MAX_BIN:
        return
    rate = plan.format.sample_rate
    most = MAX_BIN // SAMPLE_BYTES // plan.format.channels
    raise LimitError(
        f"{_clock(-(-plan.frames // rate))} of {described(plan)} was asked for, but one reply"
        f" holds at most {_clock(most // rate)} at {plan.format} (4 GiB of 32-bit samples): ask for"
        " ranges of at most that length, one after the other; where one ends with the time with"
        " which the next begins, they join without gap or overlap"
    )


def described(plan: AudioPlan) -> str:
    """Return the names of the streams that a plan reads, for people."""
    names = dict.fromkeys(repr(leaf.stream_id) for leaf in plan.leaves())
    if not names:
        return "samples of the request"
    return ", ".join(itertools.islice(names, _NAMED)) + (" ..." if len(names) > _NAMED else "")


_NAMED = 3


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
