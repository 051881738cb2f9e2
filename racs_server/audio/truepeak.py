"""The true peak of ITU-R BS.1770 annex 2: the highest level between the samples, too.

The signal is interpolated to four times its rate. BS.1770 gives a filter of 12 taps a phase as one
that would do; here it is a Kaiser-windowed sinc of 16, of which the phase of the samples themselves
needs no arithmetic: the true peak is never below the sample peak. Reading four points a sample can
miss up to 0.5 dB close to half of the sample rate, which is the method's own limit.

What is measured is mostly a part of something longer, of which nothing is known: within eight
sample frames of its ends the samples alone count. Were silence assumed there, every cut through a
sound would read as a click.
"""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

OVERSAMPLING = 4
TAPS = 16
"""Of each of the phases between two samples."""
_SHAPE = 6.0
_PIECE = 16_384
"""Samples that are worked on at once: they stay in a processor's nearest cache."""


def interpolators() -> npt.NDArray[np.float32]:
    """Return the filters of the points a quarter, a half and three quarters after a sample.

    Returns
    -------
    array, shape (OVERSAMPLING - 1, TAPS), dtype float32
        Each sums to 1: what does not change stays as it is.
    """
    phases = np.arange(1, OVERSAMPLING)[:, np.newaxis] / OVERSAMPLING
    distance = np.arange(TAPS) - (TAPS // 2 - 1) - phases
    window = np.i0(_SHAPE * np.sqrt(1 - (distance / (TAPS / 2)) ** 2))
    filters = np.sinc(distance) * window
    filters /= filters.sum(axis=1, keepdims=True)
    return filters.astype(np.float32)


_FILTERS = interpolators()
_MOST = float(np.abs(_FILTERS).sum(axis=1).max())
"""No interpolated value is greater than this times the greatest sample that it is made of."""


class TruePeak:
    """Finds the peaks of interleaved samples that come in blocks.

    Parameters
    ----------
    channels
        How many.

    Attributes
    ----------
    sample
        The greatest absolute value of the samples so far.
    true
        The same of the interpolated signal, as far as all that its points are made of has come.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._past = np.empty(0, np.float32)
        self._reach = (TAPS - 1) * channels
        self.sample = 0.0
        self.true = 0.0

    def add(self, block: Samples) -> None:
        """Take samples: shape (frames * channels,), dtype float32."""
        signal = np.concatenate([self._past, block])
        step = max(_PIECE // self._channels, 1) * self._channels
        for place in range(0, signal.size, step):
            self._take(signal[place : place + step + self._reach])
        self._past = signal[-self._reach :]

    def _take(self, signal: Samples) -> None:
        peak = float(max(signal.max(), -signal.min()))
        self.sample = max(self.sample, peak)
        self.true = max(self.true, peak)
        count = signal.size - self._reach
        if count <= 0 or peak * _MOST <= self.true:
            return
        # frame i of all channels lies at once: one tap is one product of two contiguous arrays
        total, product = np.empty(count, np.float32), np.empty(count, np.float32)
        for taps in _FILTERS:
            np.multiply(signal[:count], taps[0], out=total)
            for number in range(1, TAPS):
                start = number * self._channels
                np.multiply(signal[start : start + count], taps[number], out=product)
                total += product
            self.true = max(self.true, float(total.max()), -float(total.min()))
