"""Taking channels apart and putting them together."""

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.int32]


def one_channel(block: Block, channels: int, channel: int) -> Block:
    """Return one channel of a block.

    Parameters
    ----------
    block
        Shape (frames * channels,), dtype int32.
    channels
        How many it has.
    channel
        Which to return, from 0.

    Returns
    -------
    array, shape (frames,), dtype int32
    """
    return np.ascontiguousarray(block[channel::channels])


def interleaved(left: Block, right: Block) -> Block:
    """Return two mono blocks of equal length as one of stereo, shape (2 * frames,)."""
    block = np.empty(2 * left.size, np.int32)
    block[0::2] = left
    block[1::2] = right
    return block
