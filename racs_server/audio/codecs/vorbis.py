"""Vorbis in Ogg, by libsndfile."""

from typing import BinaryIO

import numpy as np

from racs_server.audio.codecs.comments import comments
from racs_server.audio.codecs.ogg import OggFile, serial_number
from racs_server.audio.codecs.sound import SoundFileEncoder
from racs_server.audio.codecs.spec import Block, Codec, Setting, Spooled, Wanted
from racs_server.audio.codecs.spooling import storage_errors
from racs_server.values import AudioFormat

_RATES = (8000, 192_000)
_QUALITIES = range(11)
_USUAL = 5
_WRITE = 8192


class VorbisEncoder(SoundFileEncoder):
    """Writes one file, the same bytes for the same audio, however it is cut into blocks.

    Parameters
    ----------
    wanted, file
        As for `SoundFileEncoder`.
    """

    def __init__(self, wanted: Wanted, file: BinaryIO) -> None:
        self._pages = OggFile(file, serial_number(comments(wanted.tags)))
        self._step = _WRITE * wanted.format.channels
        self._waiting = np.empty(0, np.int32)
        level = 1 - wanted.bit_rate / _QUALITIES[-1]
        super().__init__(
            wanted, self._pages, "Vorbis", format="OGG", subtype="VORBIS", compression_level=level
        )

    def write(self, block: Block) -> None:
        """Add samples, as `SoundFileEncoder.write`; libvorbis gets as many each time."""
        samples = np.concatenate([self._waiting, block])
        whole = samples.size // self._step * self._step
        for start in range(0, whole, self._step):
            super().write(samples[start : start + self._step])
        self._waiting = samples[whole:]
        self._check()

    def finish(self) -> None:
        """Complete the file; `StorageError` if it could not be written."""
        super().write(self._waiting)
        super().finish()
        self._check()

    def _check(self) -> None:
        with storage_errors("Vorbis"):
            if self._pages.error is not None:
                raise self._pages.error


def most_bytes(wanted: Wanted) -> int:
    """Return about how many bytes a file can get: 500 kbit/s for two channels, and the tables."""
    format_ = wanted.format
    return wanted.frames * 250_000 * format_.channels // 8 // format_.sample_rate + 65_536


def _holds(format_: AudioFormat) -> bool:
    return _RATES[0] <= format_.sample_rate <= _RATES[1] and format_.channels <= 2


VORBIS = Codec(
    mime_type="audio/vorbis",
    aliases=("audio/x-vorbis",),
    name="Vorbis",
    holds=_holds,
    limits=f"1 or 2 channels at {_RATES[0]} to {_RATES[1]} Hz",
    way=Spooled(VorbisEncoder, most_bytes),
    setting=Setting("quality", "", lambda format_: _QUALITIES, lambda format_: _USUAL),
)
