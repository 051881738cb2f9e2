"""A level meter: the peak and the RMS of what has come since the last look."""

import threading

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from racs.cli.text import decibels, level_text

_WIDTH = 30
_FLOOR = -60.0
"""The level in dBFS at which the meter begins."""
_HOT, _LOUD = -1.0, -9.0
"""Above these levels in dBFS it is red, and yellow."""


class Meter:
    """Measures packed PCM, from one thread; another one looks.

    Parameters
    ----------
    channels, bit_depth
        Of the PCM.
    """

    def __init__(self, channels: int, bit_depth: int) -> None:
        self._bytes = bit_depth // 8
        self._full = 1 << (bit_depth - 1)
        self._lock = threading.Lock()
        self._peak = 0.0
        self._squares = 0.0
        self._count = 0
        self._held = 0.0

    def add(self, pcm: bytes) -> None:
        """Take note of PCM: whole samples, little-endian."""
        if not pcm:
            return
        samples = _floats(pcm, self._bytes, self._full)
        peak, squares = float(np.abs(samples).max()), float(np.dot(samples, samples))
        with self._lock:
            self._peak = max(self._peak, peak)
            self._squares += squares
            self._count += len(samples)

    def take(self) -> tuple[float, float]:
        """Return peak and RMS since the last call, full scale being 1."""
        with self._lock:
            rms = (self._squares / self._count) ** 0.5 if self._count else 0.0
            taken = (self._peak, rms)
            self._peak, self._squares, self._count = 0.0, 0.0, 0
        return taken

    def picture(self) -> Text:
        """Return a bar of the RMS with a mark at the peak, and the peak in words."""
        peak, rms = self.take()
        # a peak is to be seen for longer than it sounds: it falls by 2 dB a picture
        self._held = max(peak, self._held * 10 ** (-2 / 20))
        level, mark = (_place(decibels(each)) for each in (rms, self._held))
        bar = Text()
        for column in range(_WIDTH):
            decibel = _FLOOR - _FLOOR * (column + 1) / _WIDTH
            colour = "red" if decibel > _HOT else "yellow" if decibel > _LOUD else "green"
            character = "┃" if column == mark - 1 else "█" if column < level else "·"
            bar.append(character, colour if character != "·" else "dim")
        return bar.append(f" {level_text(self._held):>11}")


def _place(decibel: float) -> int:
    return int(np.clip((decibel - _FLOOR) / -_FLOOR, 0, 1) * _WIDTH)


def _floats(pcm: bytes, sample_bytes: int, full: int) -> NDArray[np.float32]:
    if sample_bytes == 2:
        return np.frombuffer(pcm, "<i2") * np.float32(1 / full)
    packed = np.frombuffer(pcm, np.uint8).reshape(-1, 3)
    wide = np.zeros((len(packed), 4), np.uint8)
    wide[:, 1:] = packed
    # the value stands in the upper three bytes, so that its sign is right
    return wide.view("<i4").reshape(-1).astype(np.float32) * np.float32(1 / (full << 8))
