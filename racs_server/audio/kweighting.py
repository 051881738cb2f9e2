"""The K-weighting filter of ITU-R BS.1770, as a convolution: exact to 1e-10, at any sample rate.

K-weighting is two biquads in a row: a high shelf of about 4 dB above 1.7 kHz (the head), and a high
pass at 38 Hz (the revised low-frequency B curve). BS.1770 prints their coefficients for 48 kHz;
`biquads` gives those of the same two analogue filters by the bilinear transform, as the
recommendation asks for at other rates. The frequencies, gain and quality factors are the ones that
give back the printed coefficients.

A recursive filter in numpy would be a Python loop over samples. But its impulse response falls
below 1e-10 within an eighth of a second, so that it is a convolution for every practical purpose,
which `KWeighting` does by FFT (overlap-save), any number of channels at once.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
"""Shape (channels, frames)."""

LEAST_RATE = 4000
"""Hz; below it the shelf lies beyond half of the sample rate."""

_SHELF_FREQUENCY = 1681.974450955533
_SHELF_GAIN_DB = 3.999843853973347
_SHELF_QUALITY = 0.7071752369554196
_SHELF_MIDDLE = 0.4996667741545416
_PASS_FREQUENCY = 38.13547087602444
_PASS_QUALITY = 0.5003270373238773

_DECAY_SECONDS = 0.125
"""After it the high pass has decayed by exp(-30)."""
_FFT_PER_TAPS = 4


class Biquad(NamedTuple):
    """``y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]``."""

    b0: float
    b1: float
    b2: float
    a1: float
    a2: float


def biquads(sample_rate: int) -> tuple[Biquad, Biquad]:
    """Return the two stages of K-weighting: the high shelf and the high pass.

    Parameters
    ----------
    sample_rate
        In Hz, at least `LEAST_RATE`.
    """
    k = math.tan(math.pi * _SHELF_FREQUENCY / sample_rate)
    high = 10 ** (_SHELF_GAIN_DB / 20)
    middle = high**_SHELF_MIDDLE
    scale = 1 + k / _SHELF_QUALITY + k * k
    shelf = Biquad(
        (high + middle * k / _SHELF_QUALITY + k * k) / scale,
        2 * (k * k - high) / scale,
        (high - middle * k / _SHELF_QUALITY + k * k) / scale,
        2 * (k * k - 1) / scale,
        (1 - k / _SHELF_QUALITY + k * k) / scale,
    )
    k = math.tan(math.pi * _PASS_FREQUENCY / sample_rate)
    scale = 1 + k / _PASS_QUALITY + k * k
    # BS.1770 leaves the high pass's numerator at 1, -2, 1 at every rate
    high_pass = Biquad(
        1.0, -2.0, 1.0, 2 * (k * k - 1) / scale, (1 - k / _PASS_QUALITY + k * k) / scale
    )
    return shelf, high_pass


def impulse_response(sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the response of both stages to one sample of 1, until it has decayed.

    It is the inverse FFT of the filters' frequency response: what would come after its end wraps
    around to its beginning, and is below 1e-10.
    """
    taps = 1 << math.ceil(math.log2(_DECAY_SECONDS * sample_rate))
    delay = np.exp(-2j * np.pi * np.arange(taps // 2 + 1) / taps)
    response = np.ones(len(delay), np.complex128)
    for b0, b1, b2, a1, a2 in biquads(sample_rate):
        response *= (b0 + (b1 + b2 * delay) * delay) / (1 + (a1 + a2 * delay) * delay)
    return np.fft.irfft(response, taps)


class KWeighting:
    """Filters a signal that comes in pieces of any length.

    Parameters
    ----------
    sample_rate
        In Hz, at least `LEAST_RATE`.
    channels
        How many.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        response = impulse_response(sample_rate)
        size = _FFT_PER_TAPS * len(response)
        self._spectrum = np.fft.rfft(response, size)
        # overlap-save: as many frames of the past as the response is long, then new ones
        self._past = len(response)
        self._window = np.zeros((channels, size))
        self._filled = self._past

    def add(self, signal: Signal) -> list[Signal]:
        """Take frames; return what can be given out filtered, in order.

        Parameters
        ----------
        signal
            Shape (channels, frames), dtype float64.
        """
        outputs = []
        place, frames = 0, signal.shape[1]
        while place < frames:
            count = min(frames - place, self._window.shape[1] - self._filled)
            part = signal[:, place : place + count]
            self._window[:, self._filled : self._filled + count] = part
            self._filled += count
            place += count
            if self._filled == self._window.shape[1]:
                outputs.append(self._turn())
        return outputs

    def finish(self) -> Signal:
        """Return the rest; nothing may be added after it."""
        self._window[:, self._filled :] = 0
        new = self._filled - self._past
        return self._turn()[:, :new]

    def _turn(self) -> Signal:
        """Filter a full window, and keep its end as the next one's past."""
        spectrum = np.fft.rfft(self._window)
        spectrum *= self._spectrum
        filtered = np.fft.irfft(spectrum, self._window.shape[1])
        self._window[:, : self._past] = self._window[:, -self._past :]
        self._filled = self._past
        return filtered[:, self._past :]
