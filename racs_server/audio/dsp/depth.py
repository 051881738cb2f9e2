"""Changing the bit depth: to more bits exactly, to fewer with or without dither.

Dither is triangular (TPDF): the sum of two random numbers, each of them even over one step of the
lesser depth, is added before rounding. Then neither the mean nor the power of what rounding adds
depends on the audio (Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither: A Theoretical
Survey", J. Audio Eng. Soc. 40(5), 1992).

Random numbers come from Philox-4x64, which gives those of any place at once: sample i of the audio
always has the same two, the upper and the lower 15 bits of the i-th 32-bit word for the seed.
"""

import numpy as np
import numpy.typing as npt

from racs_server.audio.dsp.levels import Bounds, rounded

Block = npt.NDArray[np.int32]

DITHER_FRAMES = 1024
"""Sample frames, counted from the start of the audio, that are dithered together, or not at all."""

_WORDS = 8
"""32-bit words that Philox-4x64 gives for one value of its counter."""

_FINE = 15
"""Bits of a random number; with a sample of 24 bits above them, it all fits into an int32."""


def deepened(block: Block, bits: int) -> Block:
    """Return a block with so many more bits, all of them 0."""
    return block << bits


def shortened(block: Block, bits: int, bounds: Bounds) -> Block:
    """Return a block with so many fewer bits, rounded half to even and saturated."""
    return rounded(block / float(1 << bits), bounds)


def dithered(
    block: Block, bits: int, channels: int, place: int, seed: int, bounds: Bounds
) -> Block:
    """Return a block with fewer bits, dithered.

    Groups of `DITHER_FRAMES` whose dropped bits are all zero are not dithered: silence stays
    silence, and what had the lesser depth before has it again, exactly.

    Parameters
    ----------
    block
        Interleaved, shape (frames * channels,), dtype int32, samples of at most 24 bits.
    bits
        How many bits are dropped.
    channels
        How many the block has.
    place
        Which sample frame of the audio its first one is: a multiple of `DITHER_FRAMES`.
    seed
        Where the random numbers begin.
    bounds
        Where it saturates.

    Returns
    -------
    array, shape (frames * channels,), dtype int32
    """
    group = DITHER_FRAMES * channels
    dropped = np.bitwise_or.reduceat(block, np.arange(0, block.size, group)) & ((1 << bits) - 1)
    if not dropped.any():
        return block >> bits
    words = _random_words(seed, place * channels, block.size)
    # floor((x + r + s - 1) * fewer) has the mean x: r and s are even over 0 ... 1, of a new step
    total = block << (_FINE - bits)
    total += (words >> np.uint32(32 - _FINE)).view(np.int32)
    total += (words & np.uint32((1 << _FINE) - 1)).view(np.int32)
    total -= 1 << _FINE - 1
    total >>= _FINE
    np.clip(total, *bounds, out=total)
    exact = np.repeat(dropped == 0, group)[: block.size]
    return np.where(exact, block >> bits, total)


class Dither:
    """Dithers audio that comes in blocks of any length, as `dithered` would all of it at once.

    Parameters
    ----------
    bits
        How many bits are dropped.
    channels
        How many the audio has.
    bounds
        Where it saturates.
    seed
        Where the random numbers begin.
    """

    def __init__(self, bits: int, channels: int, bounds: Bounds, seed: int = 0) -> None:
        self._bits, self._channels = bits, channels
        self._bounds, self._seed = bounds, seed
        self._place = 0
        self._rest = np.empty(0, np.int32)

    def add(self, block: Block) -> Block:
        """Take samples; return those that whole groups of `DITHER_FRAMES` are made of."""
        block = np.concatenate([self._rest, block])
        group = DITHER_FRAMES * self._channels
        whole = block.size // group * group
        self._rest = block[whole:]
        return self._dithered(block[:whole])

    def finish(self) -> Block:
        """Return what is left."""
        return self._dithered(self._rest)

    def _dithered(self, block: Block) -> Block:
        place = self._place
        self._place += block.size // self._channels
        if not block.size:
            return block
        return dithered(block, self._bits, self._channels, place, self._seed, self._bounds)


def _random_words(seed: int, first: int, count: int) -> npt.NDArray[np.uint32]:
    """Return 32-bit random words, from a place in the endless row that a seed stands for."""
    counter, skip = divmod(first, _WORDS)
    generator = np.random.Philox(key=seed, counter=counter)
    words = generator.random_raw(-(-(skip + count) // 2)).astype("<u8", copy=False).view("<u4")
    return words[skip : skip + count]
