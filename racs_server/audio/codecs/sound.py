"""Writing files with libsndfile: what FLAC and Vorbis have in common.

Invariants
----------
- 24-bit samples are handed to libsndfile in the upper bits of an int32: it drops the lower eight.
- No write has more than `MAX_WRITE` sample frames.
"""

from contextlib import suppress
from typing import BinaryIO

import numpy as np
import soundfile

from racs_server.audio.codecs.comments import fields
from racs_server.audio.codecs.ogg import OggFile
from racs_server.audio.codecs.spec import Block, Wanted
from racs_server.audio.codecs.spooling import storage_errors

MAX_WRITE = 65_536
"""Sample frames of one write; libsndfile has crashed on very long ones."""


class _Sound(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is not put on the disk when it is closed: it is sent, and gone."""

    def flush(self) -> None:
        """Do nothing: libsndfile would wait for the disk."""


class SoundFileEncoder:
    """Writes one file by libsndfile, with its tags.

    Parameters
    ----------
    wanted
        The file.
    file
        Where it is written to: seekable, empty, with a descriptor; or what takes pages of Ogg.
    name
        The format's, for messages.
    options
        The format's, for `soundfile.SoundFile`.
    """

    def __init__(
        self, wanted: Wanted, file: BinaryIO | OggFile, name: str, **options: object
    ) -> None:
        self._format = wanted.format
        self._name = name
        with storage_errors(name):
            self._sound = _Sound(
                file if isinstance(file, OggFile) else file.fileno(),
                "w",
                samplerate=wanted.format.sample_rate,
                channels=wanted.format.channels,
                closefd=False,
                **options,
            )
            for field, text in fields(wanted.tags).items():
                setattr(self._sound, field.lower(), text)

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
        with storage_errors(self._name):
            for start in range(0, len(frames), MAX_WRITE):
                self._sound.write(frames[start : start + MAX_WRITE])

    def finish(self) -> None:
        """Complete the file; `StorageError` if it could not be written."""
        with storage_errors(self._name):
            self._sound.close()

    def abandon(self) -> None:
        """Free what the encoder holds; the file is of no use."""
        # what could not be written once cannot be written now either
        with suppress(OSError, soundfile.LibsndfileError):
            self._sound.close()
