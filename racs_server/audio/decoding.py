"""Audio files that come in: read from the start to the end, as samples of a stream's bit depth.

Whole-number files keep their level: a value takes the place that it had below full scale, so that
16 bits in 24 are shifted left by 8, and nothing is rounded. Files of 32 bits or floats go into 24
bits by ``rint(x * 2**23)``, halves to even, saturated. Lossy files (MP3, Vorbis, Opus) have no bit
depth of their own: they are decoded to floats, and go into either.
"""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from racs_server.audio import pcm
from racs_server.audio.codecs.spec import Block
from racs_server.errors import DataError
from racs_server.values import AudioFormat

_BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ULAW": 16,
    "ALAW": 16,
    "IMA_ADPCM": 16,
    "MS_ADPCM": 16,
}
"""Subtypes that decode to whole numbers of so many bits, exactly."""

_FINER = ("PCM_32", "ALAC_32", "FLOAT", "DOUBLE")
_BLOCK_SAMPLES = 1 << 17


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that just reads on.

    `soundfile.SoundFile.read` seeks to where it is after each read of a seekable file; an MP3's
    decoder then loses what it carries from one MPEG frame to the next.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False


class DecodedFile:
    """An audio file of any kind that libsndfile reads; blocks.

    Parameters
    ----------
    file
        The file, of the operating system; it stays open.

    Attributes
    ----------
    format
        Its sample rate and channels, and the bit depth of a stream that holds it without loss.
    description
        What kind of file it is, for people.

    Raises
    ------
    DataError
        It is no audio file, or of a kind that is not known.
    """

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        try:
            self._file = _SequentialFile(file.fileno(), closefd=False)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DataError(
                f"this is no audio file that can be read ({error}): expected WAV, FLAC, AIFF, MP3,"
                " Ogg Vorbis, Opus or another that libsndfile knows"
            ) from None
        self._bits = _BITS.get(self._file.subtype)
        self.description = f"{self._file.format} ({self._file.subtype})"
        depth = 16 if self._bits is not None and self._bits <= 16 else 24
        self.format = AudioFormat(self._file.samplerate, self._file.channels, depth)

    def __repr__(self) -> str:
        return f"<DecodedFile {self.description}, {self.format}>"

    def check(self, target: AudioFormat) -> None:
        """Raise `DataError` unless a stream of a format can hold the file as it is."""
        own = self.format
        if (own.sample_rate, own.channels) != (target.sample_rate, target.channels):
            raise DataError(
                f"the file is {self.description} at {own.sample_rate} Hz with {own.channels}"
                f" channels, but the stream is {target}: convert it first, or make a stream for it"
            )
        finer = self._file.subtype in _FINER or (self._bits or 0) > target.bit_depth
        if target.bit_depth == 16 and finer:
            raise DataError(
                f"the file is {self.description}, of which a stream of 16 bit would lose bits: make"
                " a stream of 24 bit"
            )

    def blocks(self, bit_depth: int) -> Iterator[Block]:
        """Yield the samples.

        Parameters
        ----------
        bit_depth
            16 or 24: of a format that passed `check`.

        Yields
        ------
        array, shape (samples,), dtype int32
            Whole sample frames, interleaved.

        Raises
        ------
        DataError
            The file is damaged, or has a float that is no number; the sample frame is named.
        """
        frames = max(1, _BLOCK_SAMPLES // self.format.channels)
        done = 0
        while True:
            try:
                kind = "float64" if self._bits is None else "int32"
                block = self._file.read(frames, kind, always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise DataError(
                    f"the file is damaged from sample frame {done} on: {error}"
                ) from None
            if not len(block):
                return
            if block.dtype == np.int32:
                # libsndfile puts the bits that there are at the top of the 32
                yield (block >> 32 - bit_depth).reshape(-1)
            else:
                if np.isnan(block).any():
                    wrong = done + int(np.isnan(block).any(axis=1).argmax())
                    raise DataError(f"sample frame {wrong} of the file is no number (NaN)")
                scale = 1 << bit_depth - 1
                whole = np.rint(block * scale).clip(-scale, scale - 1)
                yield whole.astype(np.int32).reshape(-1)
            done += len(block)

    def pcm(self, bit_depth: int) -> Iterator[memoryview]:
        """Yield the same, packed as streams have it."""
        return (pcm.pack(block, bit_depth) for block in self.blocks(bit_depth))

    def close(self) -> None:
        """Free the decoder."""
        self._file.close()
