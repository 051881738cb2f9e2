"""What the caller gives as audio, turned into blocks of packed PCM in the stream's own format.

Owns the shapes that audio may come in: lists, arrays, bytes, files, live iterators of those. Knows
nothing of connections or messages.

Invariants
----------
- Audio that lies in memory is checked as a whole before its first block is given out.
- Nothing is resampled, remixed or cut to fewer bits behind the caller's back.
- Memory is bounded by the block size, however long a file or a live source is.
- A block is good until the next one is asked for.

Files
-----
Whole-number files keep their level: a value takes the place that it had below full scale. So 16-bit
files go bit-exact into 16-bit streams, and shifted left by 8 into 24-bit ones; 24-bit files go
bit-exact into 24-bit streams. 32-bit and float files go into 24-bit streams by the rule for floats.
A file of more than 16 bits is refused for a 16-bit stream. MP3, Vorbis and Opus files have no bit
depth of their own: they are decoded to floats, and go into either.
"""

import array as arrays
import io
import os
import struct
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from racs.errors import RacsTypeError, RacsValueError
from racs.pcm import StreamFormat, check_values, out_of_range, to_pcm

if TYPE_CHECKING:
    from soundfile import SoundFile

Samples = Sequence[int] | NDArray[Any] | bytes | bytearray | memoryview | str | os.PathLike[str]
PcmData = Samples | Iterable[Samples]
"""What audio may be given as; see `racs.client.Racs.stream`."""

_EXPECTED = (
    "a list of ints, a numpy array, bytes of packed PCM, the path of an audio file, or an iterator"
    " of these"
)
_WITHHELD = 0.05
"""Seconds for which a live source's audio may wait for more of it to fill a message."""
_PIECE = 4096
"""Ints of a list that are packed at once: what fits into the processor's cache."""

INTEGER_BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "DWVW_12": 12,
    "DWVW_16": 16,
    "DWVW_24": 24,
    "ULAW": 16,
    "ALAW": 16,
    "IMA_ADPCM": 16,
    "MS_ADPCM": 16,
    "GSM610": 16,
}
"""Subtypes of audio files that decode to whole numbers of so many bits, exactly."""
_FINER = ("PCM_32", "ALAC_32", "FLOAT", "DOUBLE")
"""Subtypes with more bits than a stream can have."""


class Source(Protocol):
    """Audio in a stream's format."""

    @property
    def live(self) -> bool:
        """Whether the next block may be long in coming."""

    @property
    def size(self) -> int | None:
        """Bytes of PCM in all, if that is known."""

    def blocks(self, size: int) -> Iterator[memoryview]:
        """Yield the packed PCM in blocks of at most `size` bytes, a multiple of a sample frame."""


def open_source(data: object, target: StreamFormat) -> Source:
    """Return what the caller gave as a source for a stream.

    Parameters
    ----------
    data
        See `racs.client.Racs.stream`.
    target
        The stream that it is for.

    Raises
    ------
    RacsTypeError
        It is nothing that can be audio.
    RacsValueError
        It does not fit the stream.
    """
    source = _open_samples(data, target, whole_frames=True)
    if source is not None:
        return source
    if isinstance(data, io.IOBase):
        raise RacsTypeError(
            "pcm_data is an open file; give the path of an audio file, or for packed PCM:"
            " iter(lambda: file.read(65536), b'')"
        )
    if isinstance(data, Iterable) and not isinstance(data, Mapping | Set):
        return LiveSource(data, target)
    if isinstance(data, AsyncIterable):
        raise RacsTypeError("pcm_data is an async iterator, which racs.AsyncRacs can send")
    raise RacsTypeError(f"pcm_data must be {_EXPECTED}, not a {type(data).__name__}: {data!r:.80}")


def open_async_source(data: object, target: StreamFormat) -> "Source | AsyncLiveSource":
    """Return the same, or the source of an async iterator; see `open_source`."""
    return (
        AsyncLiveSource(data, target)
        if isinstance(data, AsyncIterable)
        else open_source(data, target)
    )


def _open_samples(
    data: object, target: StreamFormat, *, whole_frames: bool
) -> "FileSource | BytesSource | ArraySource | None":
    """Return a source of anything but an iterator; None if it might be that."""
    if isinstance(data, str | os.PathLike):
        return FileSource(Path(os.fspath(data)), target)
    if isinstance(data, bytes | bytearray | memoryview):
        return BytesSource(data, target, whole_frames=whole_frames)
    if isinstance(data, list | tuple):
        return ArraySource(_from_ints(data, target), target, whole_frames=whole_frames)
    if isinstance(data, arrays.array) or hasattr(data, "__array__"):
        return ArraySource(np.asarray(data), target, whole_frames=whole_frames)
    return None


def _from_ints(data: list[Any] | tuple[Any, ...], target: StreamFormat) -> NDArray[np.integer[Any]]:
    """Return a list of ints as an array, each checked.

    By struct, piece by piece: of all ways that check, the quickest (measured, ms for 60 s of stereo
    at 44.1 kHz: 71; by the array module 116; by struct in one piece 145).
    """
    code, dtype = ("h", np.int16) if target.bit_depth == 16 else ("i", np.int32)
    values: NDArray[np.integer[Any]] = np.empty(len(data), dtype)
    try:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            struct.pack_into(f"={len(piece)}{code}", values.data, start * values.itemsize, *piece)
        return values
    except struct.error:
        for index, value in enumerate(data):
            if not hasattr(value, "__index__"):
                raise RacsTypeError(
                    f"the value at index {index} is {value!r} ({type(value).__name__}); a list or"
                    " tuple holds ints, one for each sample; give anything else as a numpy array"
                ) from None
            if not target.lowest <= int(value) <= target.highest:
                raise out_of_range(int(value), f"index {index}", target) from None
        raise


class BytesSource:
    """Packed PCM as it stands."""

    live = False

    def __init__(
        self, data: bytes | bytearray | memoryview, target: StreamFormat, *, whole_frames: bool
    ) -> None:
        view = memoryview(data)
        if not view.c_contiguous:
            raise RacsValueError("pcm_data is a memoryview with gaps; give bytes(pcm_data)")
        if whole_frames and view.nbytes % target.frame_bytes:
            raise RacsValueError(
                f"{view.nbytes} bytes of PCM end in the middle of a sample frame: one of {target}"
                f" has {target.frame_bytes} bytes"
            )
        self._view = view.cast("B") if view.nbytes else memoryview(b"")
        self.size = view.nbytes

    def blocks(self, size: int) -> Iterator[memoryview]:
        """Yield the packed PCM; see `Source.blocks`."""
        for start in range(0, len(self._view), size):
            yield self._view[start : start + size]


class ArraySource:
    """Samples in memory: whole numbers are stream values, floats are in -1 ... 1."""

    live = False

    def __init__(self, array: NDArray[Any], target: StreamFormat, *, whole_frames: bool) -> None:
        check_shape(array.shape, target, whole_frames=whole_frames)
        check_values(array, target)
        self._array = array
        self._depth = target.bit_depth
        self._row_bytes = target.sample_bytes * (array.shape[1] if array.ndim == 2 else 1)
        self.size = len(array) * self._row_bytes

    def blocks(self, size: int) -> Iterator[memoryview]:
        """Yield the packed PCM; see `Source.blocks`."""
        rows = size // self._row_bytes
        for start in range(0, len(self._array), rows):
            yield to_pcm(self._array[start : start + rows], self._depth)


def check_shape(shape: tuple[int, ...], target: StreamFormat, *, whole_frames: bool) -> None:
    """Make sure that an array is whole sample frames of the stream.

    Raises
    ------
    RacsValueError
        It is not.
    """
    channels = target.channels
    if len(shape) not in (1, 2):
        raise RacsValueError(
            f"an array of shape {shape}: audio has one dimension (interleaved samples) or two"
            " (sample frames x channels)"
        )
    if len(shape) == 2 and shape[1] != channels:
        hint = "; it seems to be channels x frames: give its transpose, .T"
        raise RacsValueError(
            f"an array of shape {shape} is {shape[0]} sample frames of {shape[1]} channels, but"
            f" {target} has {channels}{hint if shape[0] == channels else ''}"
        )
    if whole_frames and len(shape) == 1 and shape[0] % channels:
        raise RacsValueError(
            f"{shape[0]} samples end in the middle of a sample frame: {target} needs a multiple of"
            f" {channels}"
        )


class FileSource:
    """An audio file, read block by block."""

    live = False

    def __init__(self, path: Path, target: StreamFormat) -> None:
        self._path = path
        self._target = target
        with self._open() as file:
            self._bits = self._check(file)
            self.size = file.frames * target.frame_bytes

    def _open(self) -> "SoundFile":
        # here: it takes long to import, and most callers have no files
        import soundfile

        from racs.files import SequentialFile

        if not self._path.is_file():
            raise RacsValueError(
                f"there is no audio file {str(self._path)!r}; text is taken as a path"
            )
        try:
            return SequentialFile(self._path)
        except (soundfile.SoundFileError, TypeError) as error:
            raise RacsValueError(
                f"{str(self._path)!r} cannot be read as audio: {error}; WAV, FLAC, AIFF, OGG and"
                " MP3 can"
            ) from None

    def _check(self, file: "SoundFile") -> int | None:
        """Return how many bits the file's whole numbers have; None if it decodes to floats."""
        target, path = self._target, str(self._path)
        if file.samplerate != target.sample_rate:
            raise RacsValueError(
                f"{path!r} has {file.samplerate} Hz, but {target} has not; resample it first, or"
                f" make a stream of {file.samplerate} Hz"
            )
        if file.channels != target.channels:
            raise RacsValueError(
                f"{path!r} has {file.channels} channels, but {target} has not; mix it first, or"
                f" make a stream of {file.channels} channels"
            )
        bits = INTEGER_BITS.get(file.subtype)
        if target.bit_depth == 16 and (file.subtype in _FINER or (bits or 0) > 16):
            raise RacsValueError(
                f"{path!r} holds {file.subtype} samples, of which {target} would lose bits; make a"
                " stream of 24 bit, or read the file yourself and give what you make of it"
            )
        return bits

    def blocks(self, size: int) -> Iterator[memoryview]:
        """Yield the packed PCM; see `Source.blocks`."""
        target = self._target
        frames = size // target.frame_bytes
        first = 0
        with self._open() as file:
            while len(block := self._read(file, frames, first)):
                first += len(block)
                yield to_pcm(block, target.bit_depth)

    def _read(self, file: "SoundFile", frames: int, first: int) -> NDArray[Any]:
        """Return the next block, of which `first` is the first sample frame, as good values."""
        import soundfile

        whole = "int16" if self._target.bit_depth == 16 else "int32"
        try:
            block: NDArray[Any] = file.read(
                frames, "float64" if self._bits is None else whole, always_2d=True
            )
            if self._bits is None:
                check_values(block, self._target)
        except (soundfile.SoundFileError, RacsValueError) as error:
            raise RacsValueError(
                f"{str(self._path)!r}, counted from sample frame {first}: {error}"
            ) from None
        # libsndfile puts the bits that there are at the top of the 32.
        return block >> 8 if block.dtype == np.int32 else block


class LiveSource:
    """An iterator of pieces of audio, which come in their own time.

    Pieces may be cut anywhere, in the middle of a sample frame too. What has come is given out when
    there is a block of it, or when it has been withheld for long enough.
    """

    live = True
    size = None

    def __init__(
        self,
        pieces: Iterable[object],
        target: StreamFormat,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pieces = pieces
        self._target = target
        self._clock = clock

    def blocks(self, size: int) -> Iterator[memoryview]:
        """Yield the packed PCM; see `Source.blocks`."""
        cutter = _Cutter(self._target, size, self._clock)
        for piece in self._pieces:
            yield from cutter.cut(piece)
        yield from cutter.end()


class AsyncLiveSource:
    """The same of an async iterator."""

    live = True
    size = None

    def __init__(
        self,
        pieces: AsyncIterable[object],
        target: StreamFormat,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pieces = pieces
        self._target = target
        self._clock = clock

    async def blocks(self, size: int) -> AsyncIterator[memoryview]:
        """Yield the packed PCM; see `Source.blocks`."""
        cutter = _Cutter(self._target, size, self._clock)
        async for piece in self._pieces:
            for block in cutter.cut(piece):
                yield block
        for block in cutter.end():
            yield block


class _Cutter:
    """Cuts the pieces of a live source into blocks of at most `size` bytes."""

    def __init__(self, target: StreamFormat, size: int, clock: Callable[[], float]) -> None:
        self._target = target
        self._size = size
        self._clock = clock
        self._pending = bytearray()
        self._given = clock()
        self._pieces = 0

    def cut(self, piece: object) -> Iterator[memoryview]:
        """Yield the blocks that are due when a piece has come."""
        self._pieces += 1
        for part in self._open_piece(self._pieces - 1, piece).blocks(self._size):
            self._pending += part
            while len(self._pending) >= self._size:
                yield from self._give(self._size)
        if self._whole and self._clock() - self._given >= _WITHHELD:
            yield from self._give(self._whole)

    def end(self) -> Iterator[memoryview]:
        """Yield what is left."""
        if self._whole:
            yield from self._give(self._whole)
        if self._pending:
            raise RacsValueError(
                f"the source ended with {len(self._pending)} bytes of an incomplete sample frame:"
                f" one of {self._target} has {self._target.frame_bytes}; all before it was sent"
            )

    @property
    def _whole(self) -> int:
        return len(self._pending) - len(self._pending) % self._target.frame_bytes

    def _give(self, size: int) -> Iterator[memoryview]:
        block, self._pending = _split(self._pending, size)
        yield block
        self._given = self._clock()

    def _open_piece(self, number: int, piece: object) -> FileSource | BytesSource | ArraySource:
        try:
            source = _open_samples(piece, self._target, whole_frames=False)
        except RacsTypeError as error:
            raise RacsTypeError(f"piece {number} of the source: {error}") from None
        except RacsValueError as error:
            raise RacsValueError(f"piece {number} of the source: {error}") from None
        if source is None:
            hint = "; make a list of the ints" if isinstance(piece, int | np.integer) else ""
            raise RacsTypeError(
                f"piece {number} of the source is a {type(piece).__name__} ({piece!r:.80}); an"
                f" iterator gives lists of ints, arrays, bytes or paths{hint}"
            )
        return source


def _split(pending: bytearray, size: int) -> tuple[memoryview, bytearray]:
    """Cut off the first `size` bytes; the rest is copied, so that the view stays good."""
    return memoryview(pending)[:size], bytearray(memoryview(pending)[size:])
