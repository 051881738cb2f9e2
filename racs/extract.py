"""A range of audio block by block: the requests that it takes, and the arrays that come.

Knows the limits of a reply and where to cut a range that is longer. Owns no connection.

Invariants
----------
- The requests' ranges adjoin, so that every sample frame comes once.
- No more than one block is held, whatever the range.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from racs.commands import checked_int, checked_text, checked_time, command
from racs.connection import Connection
from racs.errors import RacsValueError
from racs.pool import Pool
from racs.script import Script
from racs.wire import encode_command

DEFAULT_BLOCK = 65_536
_MAX_BYTES = 2**32 - 1
"""The most bytes of samples that one reply holds."""
_SAMPLE = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Range(msgspec.Struct, frozen=True):
    """What is asked for, checked.

    Attributes
    ----------
    stream_id
        Which stream.
    start, stop
        In microseconds since the epoch.
    texts
        The same as the server reads them.
    block
        Sample frames in a block.
    """

    stream_id: str
    start: int
    stop: int
    texts: tuple[str, str]
    block: int


def checked_range(stream_id: object, frm: object, to: object, block_frames: object) -> Range:
    """Return what is asked for.

    Raises
    ------
    RacsTypeError, RacsValueError
        An argument is wrong.
    """
    block = checked_int(block_frames, "block_frames")
    if block < 1:
        raise RacsValueError(f"block_frames must be 1 or more, not {block}")
    texts = (checked_time(frm, "frm"), checked_time(to, "to"))
    return Range(
        checked_text(stream_id, "stream_id"), _microseconds(frm), _microseconds(to), texts, block
    )


def _microseconds(time: object) -> int:
    if isinstance(time, datetime):
        return (time - _EPOCH) // _MICROSECOND
    return checked_int(time, "time") * 1000


def cut(range_: Range, rate: int, channels: int, ref: int, frames: int) -> list[tuple[str, str]]:
    """Return the ranges to ask for one after the other, as texts, each no longer than a reply.

    Parameters
    ----------
    range_
        The whole of it.
    rate, channels, ref, frames
        The stream's sample rate (Hz), channels, time of the first sample frame (ms since the epoch)
        and length.
    """
    most = _MAX_BYTES // _SAMPLE // channels - 1
    start = max(range_.start, ref * 1000)
    stop = min(range_.stop, ref * 1000 + -(-frames * 1_000_000 // rate))
    step = most * 1_000_000 // rate
    if stop - start <= step:
        return [range_.texts]
    # Up to where the stream is now: what comes meanwhile could make the last reply too long.
    edges = [range_.texts[0], *map(_text, [*range(start + step, stop, step), stop])]
    return list(pairwise(edges))


def _text(time: int) -> str:
    moment = _EPOCH + time * _MICROSECOND
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class BlockReader:
    """Asks for a range and takes the replies block by block.

    Parameters
    ----------
    connection
        The reader's alone while it reads.
    range_, requests
        What is asked for, and in which pieces.
    channels
        The stream's.
    """

    def __init__(
        self, connection: Connection, range_: Range, requests: list[tuple[str, str]], channels: int
    ) -> None:
        self.connection = connection
        self._stream_id = range_.stream_id
        self._requests = requests
        self._most = range_.block * channels
        self._left = 0

    def next_block(self) -> Script[NDArray[np.int32] | None]:
        """Script: return the next block, or None at the end.

        Raises
        ------
        RacsException
            As `Connection.receive`.
        """
        while not self._left:
            if not self._requests:
                return None
            frm, to = self._requests.pop(0)
            text = f"{command('EXTRACT', self._stream_id)} {frm} {to}"
            yield from self.connection.send([encode_command(text)])
            start = yield from self.connection.receive_vector()
            self._left = start.size // _SAMPLE
        block = np.empty(min(self._most, self._left), "<i4")
        self._left -= len(block)
        yield from self.connection.receive_into(block.view(np.uint8).data)
        return block.astype(np.int32, copy=False)


def begin(pool: Pool, range_: Range) -> Script[BlockReader]:
    """Script: ask what the stream is like, and take a connection for its audio.

    Raises
    ------
    RacsException
        There is no such stream, or the server cannot be reached.
    """
    names = ("sample_rate", "channels", "bit_depth", "ref", "size")
    answers = yield from pool.exchange(
        [encode_command(command("INFO", range_.stream_id, name)) for name in names]
    )
    rate, channels, depth, ref, size = map(checked_int, answers, names)
    requests = cut(range_, rate, channels, ref, size // (channels * depth // 8))
    connection = yield from pool.take()
    return BlockReader(connection, range_, requests, channels)
