"""Numbers to packed PCM: the rules by which values become the bytes of a stream.

Owns the arithmetic, on whole arrays. Knows nothing of where the numbers come from.

- Whole numbers are stream values: -32768 ... 32767 at 16 bit, -8388608 ... 8388607 at 24. One that
  does not fit is an error, never cut.
- Floats are rint(x * 2**(depth - 1)), halves to even, saturated; NaN is an error.
- PCM is little-endian and interleaved: 2 bytes a sample at 16 bit, 3 at 24.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from racs.errors import RacsTypeError, RacsValueError

_NAN_BLOCK = 1 << 18


class StreamFormat(msgspec.Struct, frozen=True):
    """A stream and how its PCM is laid out.

    Attributes
    ----------
    stream_id
        Its name.
    sample_rate
        Sample frames a second.
    channels
        Samples in a sample frame.
    bit_depth
        16 or 24.
    """

    stream_id: str
    sample_rate: int
    channels: int
    bit_depth: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return self.bit_depth // 8

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample frame: one sample of every channel."""
        return self.sample_bytes * self.channels

    @property
    def lowest(self) -> int:
        """The smallest value that a sample can have."""
        return -(1 << self.bit_depth - 1)

    @property
    def highest(self) -> int:
        """The largest value that a sample can have."""
        return (1 << self.bit_depth - 1) - 1

    def __str__(self) -> str:
        channels = "channel" if self.channels == 1 else "channels"
        return (
            f"stream {self.stream_id!r} ({self.sample_rate} Hz, {self.channels} {channels},"
            f" {self.bit_depth} bit)"
        )


def check_values(array: NDArray[Any], target: StreamFormat) -> None:
    """Make sure that all of an array can become PCM.

    Parameters
    ----------
    array
        Any shape; of whole numbers or floats.
    target
        Whose range the values have to fit.

    Raises
    ------
    RacsTypeError
        The array holds neither whole numbers nor floats.
    RacsValueError
        A whole number is out of range, or a float is NaN; the first one and its index are named.
    """
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        for start in range(0, len(array), _NAN_BLOCK):
            wrong = np.isnan(array[start : start + _NAN_BLOCK])
            if wrong.any():
                raise RacsValueError(
                    f"NaN is no sample value: the data have it at {_first(wrong, start)};"
                    " put something else in its place first, for instance by numpy.nan_to_num"
                )
    elif kind not in "iu":
        raise RacsTypeError(
            f"an array of {array.dtype} cannot be audio; whole numbers (stream values) or floats"
            " in -1 ... 1 can"
        )
    elif array.size and (size > target.sample_bytes or (kind, size) == ("u", target.sample_bytes)):
        if array.min() >= target.lowest and array.max() <= target.highest:
            return
        wrong = (array < target.lowest) | (array > target.highest)
        value = array[np.unravel_index(int(wrong.argmax()), array.shape)]
        raise out_of_range(int(value), _first(wrong, 0), target)


def out_of_range(value: int, where: str, target: StreamFormat) -> RacsValueError:
    """Return the error that says that a value does not fit into the stream."""
    return RacsValueError(
        f"the value {value} at {where} does not fit {target}, whose samples are"
        f" {target.lowest} ... {target.highest}; scale the data, or give floats in -1 ... 1"
    )


def _first(wrong: NDArray[np.bool_], start: int) -> str:
    """Say where the first true element is, in an array that begins at row `start` of the data."""
    index = np.unravel_index(int(wrong.argmax()), wrong.shape)
    row = start + int(index[0])
    if wrong.ndim == 1:
        return f"index {row}"
    return f"sample frame {row}, channel {int(index[1])}"


def to_pcm(array: NDArray[Any], bit_depth: int) -> memoryview:
    """Return the packed PCM of values that `check_values` found good.

    Parameters
    ----------
    array
        1-D interleaved, or 2-D frames by channels. Contiguous little-endian int16 is not copied
        for a depth of 16: the result is then a view of it.
    bit_depth
        16 or 24.
    """
    if array.dtype.kind == "f":
        array = quantize(array, bit_depth)
    if bit_depth == 16:
        return _bytes_of(np.ascontiguousarray(array, "<i2"))
    return _bytes_of(_pack24(np.ascontiguousarray(array, "<i4")))


def quantize(array: NDArray[Any], bit_depth: int) -> NDArray[np.signedinteger[Any]]:
    """Return floats as stream values: rint(x * 2**(bit_depth - 1)), saturated."""
    scale = 1 << bit_depth - 1
    # Single precision has just the 24 bits that the largest values need; half has too few.
    scaled = np.clip(array, -1, 1, dtype=np.promote_types(array.dtype, np.float32))
    scaled *= scale
    np.rint(scaled, out=scaled)
    np.minimum(scaled, scale - 1, out=scaled)
    whole: NDArray[np.signedinteger[Any]] = scaled.astype("<i2" if bit_depth == 16 else "<i4")
    return whole


def _pack24(array: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the three low bytes of little-endian elements; byte plane by byte plane is fastest."""
    wide = array.reshape(-1).view(np.uint8).reshape(-1, 4)
    packed = np.empty((len(wide), 3), np.uint8)
    for plane in range(3):
        packed[:, plane] = wide[:, plane]
    return packed


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
