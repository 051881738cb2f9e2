"""Audio for another number of loudspeakers, by a matrix.

How many channels there are says which loudspeakers they are for, in the order of WAV files:

======== ======================= ========================================
channels loudspeakers            that is
======== ======================= ========================================
1        FC                      mono
2        FL FR                   stereo
3        FL FR FC                3.0
4        FL FR BL BR             quadraphonic
5        FL FR FC BL BR          5.0
6        FL FR FC LFE BL BR      5.1
7        FL FR FC LFE BC SL SR   6.1
8        FL FR FC LFE BL BR SL SR 7.1
======== ======================= ========================================

(F front, B back, S side; L left, R right, C centre; LFE low-frequency effects.)

1. A loudspeaker that is in both layouts keeps its channel.
2. One that is missing is folded into others: into the first row of its entry in `FOLDS` of which
   all loudspeakers are there. From 5.1 to stereo these are the coefficients of ITU-R BS.775-4,
   annex 4, table 2: the centre and the surround channels come to their sides at 1/sqrt(2), LFE is
   left out.
3. The whole matrix is divided by the greatest sum of a row, so that what fitted into a sample does
   so afterwards, whatever it is: mono becomes twice itself, stereo its mean.

Beyond 8 channels there are no loudspeakers, but numbers (microphones of an array): channel i goes
to channel ``i % n`` of n, and rule 3 holds; the channels that nothing goes to are silent.

Worked example: from 5.1 to stereo, left is ``(FL + 0.7071 FC + 0.7071 BL) / 2.4142``.
"""

from functools import cache
from math import sqrt

import numpy as np
import numpy.typing as npt

from racs_server.audio.dsp.levels import Bounds, rounded

Block = npt.NDArray[np.int32]
Matrix = tuple[tuple[float, ...], ...]
"""A row for each channel that comes out, with a factor for each that goes in."""

LAYOUTS = tuple(
    tuple(row.split())
    for row in (
        "",
        "FC",
        "FL FR",
        "FL FR FC",
        "FL FR BL BR",
        "FL FR FC BL BR",
        "FL FR FC LFE BL BR",
        "FL FR FC LFE BC SL SR",
        "FL FR FC LFE BL BR SL SR",
    )
)

_HALF_POWER = sqrt(0.5)

FOLDS: dict[str, tuple[dict[str, float], ...]] = {
    "FL": ({"FC": _HALF_POWER},),
    "FR": ({"FC": _HALF_POWER},),
    "FC": ({"FL": _HALF_POWER, "FR": _HALF_POWER},),
    "LFE": (),
    "BL": ({"SL": 1.0}, {"FL": _HALF_POWER}, {"FC": 0.5}),
    "BR": ({"SR": 1.0}, {"FR": _HALF_POWER}, {"FC": 0.5}),
    "SL": ({"BL": 1.0}, {"FL": _HALF_POWER}, {"FC": 0.5}),
    "SR": ({"BR": 1.0}, {"FR": _HALF_POWER}, {"FC": 0.5}),
    "BC": (
        {"BL": _HALF_POWER, "BR": _HALF_POWER},
        {"SL": _HALF_POWER, "SR": _HALF_POWER},
        {"FL": 0.5, "FR": 0.5},
        {"FC": _HALF_POWER},
    ),
}
"""Where a loudspeaker's channel goes if there is no such loudspeaker, and by which factors."""


@cache
def remix_matrix(before: int, after: int) -> Matrix:
    """Return how so many channels become so many others.

    Parameters
    ----------
    before, after
        Numbers of channels, 1 or more.

    Returns
    -------
    tuple of `after` rows of `before` factors
        None is negative, and no row's sum is above 1.
    """
    if before == after:
        return tuple(tuple(float(i == j) for j in range(before)) for i in range(after))
    if max(before, after) < len(LAYOUTS):
        matrix = _by_loudspeakers(LAYOUTS[before], LAYOUTS[after])
    else:
        matrix = [[float(j % after == i) for j in range(before)] for i in range(after)]
    greatest = max(sum(row) for row in matrix)
    return tuple(tuple(factor / greatest for factor in row) for row in matrix)


def _by_loudspeakers(before: tuple[str, ...], after: tuple[str, ...]) -> list[list[float]]:
    gains = [_gains(speaker, after) for speaker in before]
    return [[each.get(speaker, 0.0) for each in gains] for speaker in after]


def _gains(speaker: str, after: tuple[str, ...]) -> dict[str, float]:
    if speaker in after:
        return {speaker: 1.0}
    fitting = (fold for fold in FOLDS[speaker] if all(each in after for each in fold))
    return next(fitting, {})


def remixed(block: Block, matrix: Matrix, bounds: Bounds) -> Block:
    """Return a block for other loudspeakers.

    Parameters
    ----------
    block
        Interleaved, shape (frames * channels before,), dtype int32.
    matrix
        As `remix_matrix` returns it.
    bounds
        Where it saturates.

    Returns
    -------
    array, shape (frames * channels after,), dtype int32
    """
    frames = block.reshape(-1, len(matrix[0]))
    result = np.zeros((len(frames), len(matrix)))
    # one channel after the other, in this order: a matrix product's last bits would depend on how
    # many frames a block has, and it takes more threads than are asked of it
    for after, row in enumerate(matrix):
        for before, factor in enumerate(row):
            if factor:
                result[:, after] += factor * frames[:, before]
    return rounded(result.reshape(-1), bounds)
