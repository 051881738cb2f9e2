"""Loudness by ITU-R BS.1770-5, EBU R 128, EBU Tech 3341 and 3342; measured block by block.

The signal is K-weighted (see `racs_server.audio.kweighting`), and its mean square kept for every
tenth of a second. From these come

- the *integrated loudness*: blocks of 400 ms, one every 100 ms; those at or below -70 LUFS do not
  count, nor those more than 10 LU below the mean of the others. LUFS.
- the *loudness range*: windows of 3 s, one every 100 ms, gated at -70 LUFS and 20 LU below the mean
  of the others; from the 10th to the 95th percentile. LU.
- the *sample peak* (dBFS) and the *true peak* (dBTP, see `racs_server.audio.truepeak`).

Where nothing is loud enough to count, the integrated loudness is minus infinity, as meters show it,
and the loudness range 0; the peaks of digital silence are minus infinity too. A signal of less than
400 ms has no block, so that its loudness is minus infinity; one of less than 3 s has the range 0.
Where a tenth of a second is no whole number of sample frames, tenth i ends before frame
floor((i + 1) * rate / 10).

Channels are weighted by their places, which follow from their number as in WAV files: 1 and 2
channels count 1; surround channels at the sides 1.41, back ones of 7 and 8 channels 1, the
low-frequency channel of 6 and more does not count. More than 8 channels count 1 each.

Memory: 8 bytes for every tenth of a second.
"""

from array import array
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from racs_server.audio.kweighting import LEAST_RATE, KWeighting, Signal
from racs_server.audio.truepeak import TruePeak
from racs_server.errors import RequestError
from racs_server.values import AudioFormat

Block = npt.NDArray[np.int32]
Energies = npt.NDArray[np.float64]

_SIDE = 1.41
WEIGHTS = {
    4: (1.0, 1.0, _SIDE, _SIDE),
    5: (1.0, 1.0, 1.0, _SIDE, _SIDE),
    6: (1.0, 1.0, 1.0, 0.0, _SIDE, _SIDE),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, _SIDE, _SIDE),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, _SIDE, _SIDE),
}
"""What channels count by their number; what is not here counts 1 (BS.1770-5, tables 3 and 4)."""

SILENCE = float("-inf")
_OFFSET = -0.691
_ABSOLUTE_GATE = -70.0
_BLOCK_TENTHS = 4
_WINDOW_TENTHS = 30
_INTEGRATED_GATE = -10.0
_RANGE_GATE = -20.0
_RANGE_PERCENTILES = (0.10, 0.95)


class Loudness(NamedTuple):
    """A measurement.

    Attributes
    ----------
    integrated
        LUFS; minus infinity where nothing counts.
    range
        LU.
    sample_peak, true_peak
        dBFS and dBTP; minus infinity for silence.
    """

    integrated: float
    range: float
    sample_peak: float
    true_peak: float


def check_format(format_: AudioFormat) -> None:
    """Raise `RequestError` if loudness is not defined for a format."""
    if format_.sample_rate < LEAST_RATE:
        raise RequestError(
            f"the loudness of audio at {format_.sample_rate} Hz is not defined: its K-weighting"
            f" needs at least {LEAST_RATE} Hz"
        )


class LoudnessMeter:
    """Measures audio that comes in blocks.

    Parameters
    ----------
    format_
        The audio's.

    Raises
    ------
    RequestError
        Its sample rate is too low.
    """

    def __init__(self, format_: AudioFormat) -> None:
        check_format(format_)
        self._format = format_
        self._full_scale = float(1 << format_.bit_depth - 1)
        weights = WEIGHTS.get(format_.channels, (1.0,) * format_.channels)
        self._weights = np.array(weights)
        self._weighting = KWeighting(format_.sample_rate, format_.channels)
        self._peak = TruePeak(format_.channels)
        self._place = 0
        self._energy = 0.0
        self._tenths = array("d")

    def __repr__(self) -> str:
        return f"<LoudnessMeter {self._format}: {len(self._tenths) / 10} s>"

    def add(self, block: Block) -> None:
        """Take samples.

        Parameters
        ----------
        block
            Interleaved, shape (frames * channels,), dtype int32.
        """
        scaled = np.multiply(block, 1 / self._full_scale, dtype=np.float64)
        self._peak.add(scaled.astype(np.float32))
        for filtered in self._weighting.add(scaled.reshape(-1, self._format.channels).T):
            self._keep(filtered)

    def finish(self) -> Loudness:
        """Return the measurement; nothing may be added after it."""
        self._keep(self._weighting.finish())
        tenths = np.frombuffer(self._tenths, np.float64)
        return Loudness(
            integrated_loudness(tenths),
            loudness_range(tenths),
            decibels(self._peak.sample),
            decibels(self._peak.true),
        )

    def _keep(self, filtered: Signal) -> None:
        """Add up the squares of filtered frames tenth by tenth; those of whole tenths are kept."""
        frames = filtered.shape[1]
        if not frames:
            return
        power = self._weights @ np.square(filtered)
        rate, end = self._format.sample_rate, self._place + frames
        # of the tenth that the first new frame lies in, up to the one that goes on after the last
        first = len(self._tenths)
        edges = np.arange(first, (end * 10 + 9) // rate + 2, dtype=np.int64) * rate // 10
        starts = np.maximum(edges - self._place, 0)
        sums = np.add.reduceat(power, starts[starts < frames])
        sums[0] += self._energy
        whole = int(np.searchsorted(edges[1:], end, side="right"))
        lengths = np.diff(edges[: whole + 1])
        self._tenths.extend(sums[:whole] / lengths)
        self._energy = float(sums[whole]) if whole < len(sums) else 0.0
        self._place = end


def integrated_loudness(tenths: Energies) -> float:
    """Return the integrated loudness, in LUFS, of mean squares of tenths of a second."""
    gated = _gated(_sliding(tenths, _BLOCK_TENTHS), _INTEGRATED_GATE)
    return _loudness(float(gated.mean())) if gated.size else SILENCE


def loudness_range(tenths: Energies) -> float:
    """Return the loudness range, in LU, of mean squares of tenths of a second."""
    gated = np.sort(_gated(_sliding(tenths, _WINDOW_TENTHS), _RANGE_GATE))
    if not gated.size:
        return 0.0
    low, high = (gated[round((gated.size - 1) * each)] for each in _RANGE_PERCENTILES)
    return _loudness(float(high)) - _loudness(float(low))


def decibels(amplitude: float) -> float:
    """Return an amplitude, 1 being full scale, in dB."""
    return float(20 * np.log10(amplitude)) if amplitude else SILENCE


def _sliding(tenths: Energies, width: int) -> Energies:
    """Return the mean of every stretch of so many tenths."""
    if tenths.size < width:
        return np.empty(0)
    means: Energies = np.lib.stride_tricks.sliding_window_view(tenths, width).mean(axis=1)
    return means


def _gated(blocks: Energies, relative: float) -> Energies:
    """Return the blocks that are above both gates."""
    blocks = blocks[blocks > _energy(_ABSOLUTE_GATE)]
    if not blocks.size:
        return blocks
    return blocks[blocks > _energy(_loudness(float(blocks.mean())) + relative)]


def _loudness(energy: float) -> float:
    return _OFFSET + float(10 * np.log10(energy))


def _energy(loudness: float) -> float:
    return float(10 ** ((loudness - _OFFSET) / 10))
