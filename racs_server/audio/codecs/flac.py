"""FLAC, by libsndfile.

libsndfile writes nothing at all for audio of no length, so that `EMPTY` files are made here, of the
FLAC format's own (RFC 9639): the four bytes ``fLaC`` and one STREAMINFO block::

    0   fLaC
    4   80 00 00 22            the last metadata block, of type 0, 34 bytes
    8   10 00 10 00            least and greatest block size: 4096
    12  six zeros              frame sizes: not known
    18  rate (20 bits), channels - 1 (3), bit depth - 1 (5), number of sample frames (36)
    26  MD5 of the samples, of which there are none

Worked example, bytes 18 to 25 of an empty 44.1 kHz stereo 16-bit file: ``0a c4 42 f0 00 00 00 00``.

Invariants
----------
- 24-bit samples are handed to libsndfile in the upper bits of an int32: it drops the lower eight.
- No write has more than `MAX_WRITE` sample frames.
"""

import hashlib
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import soundfile

from racs_server.audio.codecs.spec import Block, Codec, Encoder, Spooled
from racs_server.errors import StorageError
from racs_server.values import AudioFormat

MAX_WRITE = 65_536
"""Sample frames of one write; libsndfile has crashed on very long ones."""

_MAX_CHANNELS = 8
_MAX_RATE = 655_350
_ANY_RATE = 65_535


def holds(format_: AudioFormat) -> bool:
    """Whether FLAC can hold a format: its headers have room only for some of the high rates."""
    rate = format_.sample_rate
    fits = rate <= _ANY_RATE or (rate <= _MAX_RATE and rate % 10 == 0)
    return fits and format_.channels <= _MAX_CHANNELS


def empty(format_: AudioFormat) -> bytes:
    """Return a file of no sample frames."""
    fields = format_.sample_rate << 44 | format_.channels - 1 << 41 | format_.bit_depth - 1 << 36
    info = bytes.fromhex("10001000 000000 000000") + fields.to_bytes(8, "big")
    return b"fLaC\x80\x00\x00\x22" + info + hashlib.md5(b"", usedforsecurity=False).digest()


class FlacEncoder:
    """Writes a FLAC file.

    Parameters
    ----------
    format_
        The audio's.
    file
        Where it is written to: seekable, empty, with a descriptor.
    """

    def __init__(self, format_: AudioFormat, file: BinaryIO) -> None:
        self._format = format_
        self._file = file
        self._sound: soundfile.SoundFile | None = None

    def write(self, block: Block) -> None:
        """Add samples.

        Parameters
        ----------
        block
            Interleaved, shape (frames * channels,), dtype int32.

        Raises
        ------
        StorageError
            The file could not be written.
        """
        frames = block.reshape(-1, self._format.channels)
        # 16 bits go as they are: half the memory, and no conversion in libsndfile
        frames = frames << 8 if self._format.bit_depth == 24 else frames.astype(np.int16)
        try:
            if self._sound is None:
                self._sound = self._open()
            for start in range(0, len(frames), MAX_WRITE):
                self._sound.write(frames[start : start + MAX_WRITE])
        except (OSError, soundfile.LibsndfileError) as error:
            raise _failed(error) from error

    def finish(self) -> None:
        """Complete the file; `StorageError` if it could not be written."""
        try:
            if self._sound is None:
                self._file.write(empty(self._format))
                self._file.flush()
            else:
                self._sound.close()
        except (OSError, soundfile.LibsndfileError) as error:
            raise _failed(error) from error

    def abandon(self) -> None:
        """Free what the encoder holds; the file is of no use."""
        if self._sound is not None:
            # what could not be written once cannot be written now either
            with suppress(OSError, soundfile.LibsndfileError):
                self._sound.close()

    def _open(self) -> soundfile.SoundFile:
        return soundfile.SoundFile(
            self._file.fileno(),
            "w",
            samplerate=self._format.sample_rate,
            channels=self._format.channels,
            subtype=f"PCM_{self._format.bit_depth}",
            format="FLAC",
            closefd=False,
        )


def _failed(error: Exception) -> StorageError:
    return StorageError(
        f"a FLAC file could not be written to the folder for temporary files: {error}"
    )


def begin(format_: AudioFormat, file: BinaryIO) -> Encoder:
    """Return an encoder of a file."""
    return FlacEncoder(format_, file)


FLAC = Codec(
    mime_type="audio/flac",
    aliases=("audio/x-flac",),
    name="FLAC",
    holds=holds,
    limits=f"1 to {_MAX_CHANNELS} channels at up to {_ANY_RATE} Hz, or at a multiple of 10 Hz up to"
    f" {_MAX_RATE} Hz",
    way=Spooled(begin),
)
