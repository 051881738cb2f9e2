"""Changing the sample rate, by soxr, with its state between blocks.

soxr runs at its very high quality in float64: a sine comes through at -180 dB of noise and
distortion, below the last bit of 24 (its next lower quality, at -133 dB, would save a sixth of the
time). The pass band is flat to 0.1 dB up to 0.91 of half the lower rate, and linear in phase.

Frame j of the output is the input's audio at the time ``j / output rate``: soxr takes its delay
away itself. Before and after the input is silence, which soxr has to be given: by itself it gets
the first few frames wrong, as if what it begins with had been there before in part.

soxr cannot begin in the middle either. A part within the first `RUN_IN` frames is made from the
start, and is exactly as it is in the whole. For one further on, soxr begins a little before it;
then what is different is noise at -190 dB, which can round to another last bit of 24, and, at odd
ratios (44,056 to 44,100 Hz), where soxr counts time in steps of 2^-32 frames, a delay of that order
for each frame left out: at most half a frame after 27 hours.

Invariant: the output does not depend on where the input is cut.
"""

from collections.abc import Iterable, Iterator
from math import gcd

import numpy as np
import numpy.typing as npt
import soxr

Block = npt.NDArray[np.int32]
Samples = npt.NDArray[np.float64]

SUPPORT = 512
"""Frames, of the lower rate, that a frame can be felt before and after its place."""

RUN_IN = 1 << 21
"""A part that begins no further into the input is read from the start."""

INPUT_SAMPLES = 64 << 10
"""The most samples that soxr gets at once, fewer where more come out of them."""

_GRAIN = 2.0**24
"""Samples are rounded to its inverse first: the last bits of float64 must not decide a tie."""


def first_input(start: int, rates: tuple[int, int]) -> int:
    """Return where the input has to begin for an output that begins at a frame.

    Parameters
    ----------
    start
        The output's first frame.
    rates
        Of the input, and of the output.

    Returns
    -------
    int
        A frame of the input, or of the silence before it (below 0), at whose very time the output
        has one too.
    """
    before, after = _period(rates)
    place = start * before // after
    first = (place if place > RUN_IN else 0) - _reach(rates)
    return first // before * before


def end_of_input(stop: int, rates: tuple[int, int]) -> int:
    """Return where the input has to end, so that no frame of the output before `stop` changes."""
    before, after = _period(rates)
    return -(-stop * before // after) + _reach(rates)


def output_place(place: int, rates: tuple[int, int]) -> int:
    """Return which frame of the output is at the time of one that `first_input` returned."""
    before, after = _period(rates)
    return place // before * after


def resampled(blocks: Iterable[Block], rates: tuple[int, int], channels: int) -> Iterator[Samples]:
    """Yield the output that belongs to an input.

    Parameters
    ----------
    blocks
        The input: interleaved, shape (frames * channels,), dtype int32.
    rates
        Of the input, and of the output.
    channels
        How many.

    Yields
    ------
    array, shape (frames * channels,), dtype float64
        Interleaved, of any length, also 0; together as long as the input, to the nearest frame.
    """
    stream = soxr.ResampleStream(*rates, channels, dtype="float64", quality="VHQ")
    # what comes out may be many times as long as what goes in
    step = max(1, INPUT_SAMPLES * min(rates) // rates[1] // channels) * channels
    for block in blocks:
        for place in range(0, block.size, step):
            frames = block[place : place + step].reshape(-1, channels).astype(np.float64)
            yield _grained(stream.resample_chunk(frames))
    yield _grained(stream.resample_chunk(np.empty((0, channels)), last=True))


def _grained(frames: Samples) -> Samples:
    samples = frames.reshape(-1)
    samples *= _GRAIN
    np.rint(samples, out=samples)
    samples /= _GRAIN
    return samples


def _reach(rates: tuple[int, int]) -> int:
    """Return how many frames of the input before and after its place a frame of output needs."""
    return SUPPORT * max(1, -(-rates[0] // rates[1]))


def _period(rates: tuple[int, int]) -> tuple[int, int]:
    """Return how many frames of input and output take the shortest time that is whole in both."""
    common = gcd(*rates)
    return rates[0] // common, rates[1] // common
