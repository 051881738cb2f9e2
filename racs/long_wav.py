r"""WAV files that are longer than a reply can be: RF64, put together from pieces.

The server makes every piece: the same audio between two `TRIM` bounds, as a WAV file of its own.
The pieces adjoin to the sample frame. The first one's chunks before its PCM become the file's.

RF64 (EBU Tech 3306) is a WAV file that states its sizes in a chunk ``ds64`` of 64-bit integers,
which comes first; the 32-bit ones are all ones. All integers are little-endian::

    0   RF64 ff ff ff ff WAVE
    12  ds64 1c 00 00 00
    20  8  bytes of the file after the first 8
    28  8  bytes of PCM
    36  8  sample frames
    44  4  0: no other chunk is longer than 4 GiB
    48  .. the other chunks: fmt, and bext if there is one
    ... data ff ff ff ff, and the PCM

Worked example: the start of a file of 4 bytes of 16-bit mono PCM, with a ``fmt`` chunk of 24 bytes,
which has 84 bytes::

    RF64 ff ff ff ff WAVE  ds64 1c 00 00 00  4c 00 00 00 00 00 00 00
    04 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  00 00 00 00  fmt_ 10 00 00 00 ...
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

from racs.commands import PIPE
from racs.connection import Connection
from racs.errors import RacsServerError, RacsValueError
from racs.output import Output
from racs.script import Script
from racs.wire import encode_command

MOST = 2**32 - (1 << 16)
"""Bytes of PCM in a piece: with its header it fits into a reply."""

_EXPORT = re.compile(
    r"""(?P<audio>\s*(?:EXTRACT|RANGE)\s.*)\|>\s*
    (?:ENCODE|FORMAT)\s+(?P<mime_type>'audio/(?:wav|x-wav|x-bwf)'|"audio/(?:wav|x-wav|x-bwf)")
    (?:\s+(?P<rate>\d+)\s+(?P<channels>\d+)\s+(?P<depth>\d+))?\s*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_UNKNOWN = b"\xff" * 4


class Shape(NamedTuple):
    """What audio is like: the reply of SHAPE, see there."""

    sample_rate: int
    channels: int
    bit_depth: int
    frames: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of a sample frame in a file."""
        return self.bit_depth // 8 * self.channels


class LongWav(NamedTuple):
    """A WAV file to be made of audio.

    Attributes
    ----------
    audio
        The text of the commands that give it.
    mime_type
        The file's, quoted.
    wanted
        The sample rate, channels and bit depth to convert it to; None: as it is.
    most
        Bytes of PCM in a piece.
    """

    audio: str
    mime_type: str
    wanted: tuple[int, int, int] | None
    most: int

    @classmethod
    def of(cls, text: str) -> "LongWav | None":
        """Return the file that a command text asks for, if it is one that can come in pieces."""
        match = _EXPORT.fullmatch(text)
        if match is None:
            return None
        numbers = match.group("rate", "channels", "depth")
        wanted = None if numbers[0] is None else (int(numbers[0]), int(numbers[1]), int(numbers[2]))
        return cls(match["audio"].rstrip(), match["mime_type"], wanted, MOST)

    def is_too_long(self, connection: Connection) -> Script[bool]:
        """Script: whether no reply can hold the file; False where the server cannot tell."""
        try:
            shape, _ = yield from self._measured(connection)
        except RacsServerError:
            return False
        return shape.frames * shape.frame_bytes > self.most

    def receive(self, connection: Connection, output: Output) -> Script[None]:
        """Script: ask for all pieces, one after the other, and put them together.

        Parameters
        ----------
        connection
            The script's alone.
        output
            Where the file goes.

        Raises
        ------
        RacsException
            As `Connection.receive`.
        RacsValueError
            The audio became longer or shorter meanwhile.
        """
        shape, audio = yield from self._measured(connection)
        pcm = shape.frames * shape.frame_bytes
        for text, expected in self._pieces(audio, shape):
            yield from connection.send([encode_command(text)])
            left = (yield from connection.receive_vector()).size
            chunks, found = yield from _read_head(connection)
            left -= 12 + len(chunks) + 8
            if found != expected:
                yield from _discard(connection, left)
                raise RacsValueError(
                    f"a piece of {expected} bytes came with {found}: the audio became longer or"
                    " shorter while it was exported. Let it end before now, or export it again"
                )
            if not output.size:
                head = rf64_head(chunks, pcm, shape.frames)
                output.size = len(head) + pcm + pcm % 2
                yield from output.write(head)
            yield from output.copy(connection, found)
            yield from _discard(connection, left - found)
        yield from output.write(bytes(pcm % 2))

    def _measured(self, connection: Connection) -> Script[tuple[Shape, str]]:
        """Return what is to be in the file, and the commands that give it."""
        shape = yield from _described(connection, self.audio)
        if self.wanted is None:
            return shape, self.audio
        rate, channels, depth = self.wanted
        # the order in which FORMAT converts
        audio = PIPE.join(
            (
                self.audio,
                f"DEPTH {max(shape.bit_depth, depth)}",
                f"REMIX {min(shape.channels, channels)}",
                f"RESAMPLE {rate}",
                f"REMIX {channels}",
                f"DEPTH {depth}",
            )
        )
        return (yield from _described(connection, audio)), audio

    def _pieces(self, audio: str, shape: Shape) -> Iterator[tuple[str, int]]:
        """Yield the commands for each piece of some audio, and how many bytes of PCM it has."""
        rate = shape.sample_rate
        step = max(1, self.most // shape.frame_bytes)
        for start, stop in pairwise([*range(0, shape.frames, step), shape.frames]):
            # half a frame beside the edge: no rounding of the seconds reaches another frame
            left = (start - 0.5) / rate if start else 0
            right = (shape.frames - stop + 0.5) / rate if stop < shape.frames else 0
            text = PIPE.join((audio, f"TRIM {left!r} {right!r}", f"ENCODE {self.mime_type}"))
            yield text, (stop - start) * shape.frame_bytes


def rf64_head(chunks: bytes, pcm: int, frames: int) -> bytes:
    """Return what comes before the PCM of a RF64 file.

    Parameters
    ----------
    chunks
        All chunks between ``ds64`` and ``data``, whole.
    pcm
        Bytes of PCM. An odd number of them is followed by a zero byte.
    frames
        Sample frames.
    """
    riff = 4 + 36 + len(chunks) + 8 + pcm + pcm % 2
    sizes = b"".join(number.to_bytes(8, "little") for number in (riff, pcm, frames)) + bytes(4)
    ds64 = b"ds64" + len(sizes).to_bytes(4, "little") + sizes
    return b"RF64" + _UNKNOWN + b"WAVE" + ds64 + chunks + b"data" + _UNKNOWN


def _described(connection: Connection, audio: str) -> Script[Shape]:
    [answer] = yield from connection.exchange([encode_command(f"{audio}{PIPE}SHAPE")])
    return Shape(*cast("Sequence[int]", answer))


def _read_head(connection: Connection) -> Script[tuple[bytes, int]]:
    """Read a WAV file's start: its chunks before ``data``, and how many bytes of PCM follow."""
    yield from _read(connection, 12)
    chunks = b""
    while True:
        head = yield from _read(connection, 8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return chunks, size
        chunks += head + (yield from _read(connection, size + size % 2))


def _read(connection: Connection, size: int) -> Script[bytes]:
    data = bytearray(size)
    if size:
        yield from connection.receive_into(memoryview(data))
    return bytes(data)


def _discard(connection: Connection, size: int) -> Script[None]:
    while size:
        part = min(size, 1 << 20)
        yield from _read(connection, part)
        size -= part
