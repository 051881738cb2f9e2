r"""Packed little-endian PCM and arrays of int32: the one place where sample bytes are interpreted.

Samples stay interleaved by channel and keep their values: a 16-bit sample is -32768 ... 32767 in
its int32, a 24-bit one -8388608 ... 8388607. It knows nothing of streams, files or sample rates.

========= ===== ======================================================
bit depth bytes sample
========= ===== ======================================================
16        2     two's complement, low byte first
24        3     the same, packed: no fourth byte
========= ===== ======================================================

Worked example: the samples 1, -2 are ``01 00 fe ff`` at 16 bits and ``01 00 00 fe ff ff`` at 24.

Invariants
----------
- `unpack` returns memory of its own: the packed buffer may be used again at once.
- ``pack(unpack(data, depth), depth) == data`` for every whole number of samples.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

ByteOrder = Literal["little", "big"]
Packed = bytes | bytearray | memoryview
Samples = npt.NDArray[np.int32]


def unpack(packed: Packed, bit_depth: int) -> Samples:
    """Return packed PCM as an array.

    Parameters
    ----------
    packed
        Whole samples, little-endian.
    bit_depth
        16 or 24.

    Returns
    -------
    array, shape (samples,), dtype int32
        The samples with their values, interleaved as they were.

    Raises
    ------
    ValueError
        The size is not a whole number of samples, or the depth is neither 16 nor 24.
    """
    width = _width(bit_depth)
    size = memoryview(packed).nbytes
    count, rest = divmod(size, width)
    if rest:
        raise ValueError(f"{size} bytes are no whole number of {bit_depth}-bit samples")
    if width == 2:
        return np.frombuffer(packed, "<i2").astype(np.int32)
    return _unpack_24(packed, count)


def _unpack_24(packed: Packed, count: int) -> Samples:
    """Read overlapping 32-bit words of which the sample is the upper three bytes.

    The word of sample i starts one byte before it, so that one arithmetic shift drops the
    foreign low byte and extends the sign. Only sample 0 has no byte before it.
    """
    samples = np.empty(count, np.int32)
    if count:
        samples[0] = int.from_bytes(memoryview(packed)[:3], "little", signed=True) * 256
        samples[1:] = np.ndarray((count - 1,), "<i4", buffer=packed, offset=2, strides=(3,))
        samples >>= 8
    return samples


def pack(samples: Samples, bit_depth: int, order: ByteOrder = "little") -> memoryview:
    """Return samples as packed PCM: the inverse of `unpack`, in the order that streams have.

    Parameters
    ----------
    samples
        Shape (samples,), dtype int32, interleaved.
    bit_depth
        16 or 24.
    order
        Of the bytes of a sample.

    Returns
    -------
    memoryview of bytes
        2 or 3 bytes a sample.

    Raises
    ------
    ValueError
        A sample does not fit into the depth, or the depth is neither 16 nor 24.
    """
    width = _width(bit_depth)
    _check_range(samples, bit_depth)
    mark = "<" if order == "little" else ">"
    if width == 2:
        return samples.astype(f"{mark}i2").view(np.uint8).data
    words = np.ascontiguousarray(samples, f"{mark}i4").view(np.uint8).reshape(-1, 4)
    if order == "big":
        words = words[:, 1:]  # the highest byte comes first
    packed = np.empty((len(words), 3), np.uint8)
    for plane in range(3):
        packed[:, plane] = words[:, plane]
    return packed.reshape(-1).data


def _check_range(samples: Samples, bit_depth: int) -> None:
    limit = 1 << bit_depth - 1
    if not samples.size:
        return
    low, high = int(samples.min()), int(samples.max())
    if low < -limit or high >= limit:
        wrong = low if low < -limit else high
        raise ValueError(
            f"a sample of {wrong} does not fit into {bit_depth} bits: {-limit} to {limit - 1}"
        )


def _width(bit_depth: int) -> int:
    if bit_depth not in (16, 24):
        raise ValueError(f"PCM of {bit_depth} bits; only 16 and 24 are known")
    return bit_depth // 8
