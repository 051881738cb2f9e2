"""Audio files of runs: what a stream gets of one, and whether that is all there is to it.

================================================ =====  ========
the file's samples                               depth  exact
================================================ =====  ========
8 bits, 16 bits (8 take their place below full    16    yes
scale: shifted left by 8)
20 bits, 24 bits                                  24    yes
32 bits, floats, and whatever a lossy format      24    no: the
(MP3, Vorbis, Opus, ADPCM, µ-law …) is decoded           file is
to, rounded half to even and saturated                  attached
================================================ =====  ========

Sample rate and channels are the file's own.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

MAX_CHANNELS = 32
MAX_RATE = 768_000
"""What a stream can have; a file beyond is kept as a file alone."""

_EXACT = {
    "PCM_S8": 16,
    "PCM_U8": 16,
    "PCM_16": 16,
    "ALAC_16": 16,
    "ALAC_20": 24,
    "PCM_24": 24,
    "ALAC_24": 24,
}
"""Bit depths that hold the samples of a file, by its subtype as libsndfile names it."""
_DEPTH = 24
_BLOCK_SAMPLES = 1 << 16

Block = npt.NDArray[np.int32]


class Sound:
    """An audio file that is open for reading; blocks.

    Parameters
    ----------
    path
        Where it is.

    Attributes
    ----------
    sample_rate, channels, bit_depth
        The format of the stream that holds it.
    exact
        Whether the stream holds all of it: the file's bytes need not be kept.

    Raises
    ------
    ValueError
        It is no audio file, or none that a stream can hold; says why.
    OSError
        It cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import soundfile  # takes long to import

        from racs.files import SequentialFile

        # opened here, since libsndfile looks at the name as well
        self._file = Path(path).open("rb")  # noqa: SIM115 (closed with the sound)
        try:
            self._sound = SequentialFile(self._file)
        except soundfile.LibsndfileError as error:
            self._file.close()
            raise ValueError(f"{os.fspath(path)!r} is no audio file: {error}") from None
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.exact = self._sound.subtype in _EXACT
        self.bit_depth = _EXACT.get(self._sound.subtype, _DEPTH)
        if self.channels > MAX_CHANNELS or not 0 < self.sample_rate <= MAX_RATE:
            self.close()
            raise ValueError(
                f"{os.fspath(path)!r} has {self.channels} channels at {self.sample_rate} Hz, and a"
                f" stream has at most {MAX_CHANNELS} at {MAX_RATE} Hz"
            )

    def __repr__(self) -> str:
        return f"<Sound {self.sample_rate} Hz, {self.channels} channels, {self.bit_depth} bits>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._sound.close()
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """Yield the samples as the stream has them, once.

        Yields
        ------
        array, shape (frames * channels,), dtype int32
            Interleaved, with the values of `bit_depth`.

        Raises
        ------
        ValueError
            The file is damaged.
        """
        if self.exact:
            # libsndfile gives whole numbers left-justified
            for block in self._read("int32"):
                yield block >> (32 - self.bit_depth)
            return
        most = float(1 << (_DEPTH - 1))
        for block in self._read("float64"):
            np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
            yield np.rint(block * most).clip(-most, most - 1).astype(np.int32)

    def floats(self) -> Iterator[npt.NDArray[np.float64]]:
        """Yield the samples as they are, once: full scale is ±1, floats may be beyond.

        Yields
        ------
        array, shape (frames * channels,), dtype float64
            Interleaved.

        Raises
        ------
        ValueError
            The file is damaged.
        """
        for block in self._read("float64"):
            yield np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)

    def _read(self, dtype: str) -> Iterator[npt.NDArray[Any]]:
        import soundfile

        frames = max(1, _BLOCK_SAMPLES // self.channels)
        while True:
            try:
                block = self._sound.read(frames, dtype=dtype, always_2d=True)
            except soundfile.LibsndfileError as error:
                raise ValueError(f"the audio cannot be decoded: {error}") from None
            if not len(block):
                return
            yield block.ravel()
