"""Making blocks louder and softer, and holding them within bounds."""

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.int32]
Bounds = tuple[int, int]
"""The least and the greatest value that is let through."""


def gained(block: Block, factor: float, bounds: Bounds) -> Block:
    """Return ``rint(block * factor)``, saturated.

    Parameters
    ----------
    block
        Shape (samples,), dtype int32.
    factor
        Any finite number.
    bounds
        Where it saturates.

    Returns
    -------
    array, shape (samples,), dtype int32
    """
    return rounded(np.multiply(block, factor, dtype=np.float64), bounds)


def panned(block: Block, position: float, bounds: Bounds) -> Block:
    """Return a stereo block with one channel scaled by ``1 - |position|``.

    Parameters
    ----------
    block
        Shape (frames * 2,), dtype int32.
    position
        -1 ... 1; panning right (above 0) scales the left channel.
    bounds
        Where it saturates.

    Returns
    -------
    array, shape (frames * 2,), dtype int32
    """
    softer = 0 if position > 0 else 1
    result = block.copy()
    result[softer::2] = gained(block[softer::2], 1.0 - abs(position), bounds)
    return result


def faded(
    block: Block, channels: int, place: int, frames: int, fades: tuple[int, int], bounds: Bounds
) -> Block:
    """Return a block of audio that is faded in and out.

    Parameters
    ----------
    block
        Shape (samples,), dtype int32.
    channels
        How many it has.
    place
        Which sample frame of the audio its first one is.
    frames
        How many the audio has.
    fades
        Over how many it is faded in, and out. Frame *i* is multiplied by i / n, and at the end
        mirrored, by the product of both where they overlap.
    bounds
        Where it saturates.

    Returns
    -------
    array, shape (samples,), dtype int32
    """
    rise, fall = fades
    count = block.size // channels
    from_end = frames - place - count
    if place >= rise and from_end >= fall:
        return block
    scale = np.ones(count)
    rising = min(max(rise - place, 0), count)
    scale[:rising] = np.arange(place, place + rising, dtype=np.float64) / rise if rising else 1.0
    falling = min(max(fall - from_end, 0), count)
    if falling:
        tail = np.arange(from_end + falling - 1, from_end - 1, -1, dtype=np.float64)
        scale[count - falling :] *= tail / fall
    scaled = block.reshape(count, channels) * scale[:, np.newaxis]
    return rounded(scaled.reshape(-1), bounds)


def bounded(block: Block, bounds: Bounds) -> Block:
    """Return a block with every sample held within bounds."""
    return np.clip(block, *bounds)


def added(left: Block, right: Block, bounds: Bounds) -> Block:
    """Return the sum of two blocks of equal length, saturated.

    The samples have at most 24 bits, so that int32 holds their sum.
    """
    total = left + right
    return np.clip(total, *bounds, out=total)


def rounded(samples: npt.NDArray[np.float64], bounds: Bounds) -> Block:
    """Return float64 samples, which are overwritten, rounded half to even and then saturated."""
    np.rint(samples, out=samples)
    np.clip(samples, *bounds, out=samples)
    return samples.astype(np.int32)
