"""Audio for runes: converted to what a rune wants, with headroom; all of it blocks.

The audio is mixed and resampled in float64, looked at for its greatest sample, and only if that is
beyond full scale (a float file may be, and the audio between samples often is) all of it is made
softer by as much as it takes. Then it is rounded, to 16 bits with dither where they do not hold it
exactly. So what needs no conversion comes out bit-exact, and nothing is ever clipped.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from racs_server.audio import dsp
from racs_server.audio.codecs import CODECS, Spooled, Wanted
from racs_server.hub.rows import Target
from racs_server.values import AudioFormat, Tags

Floats = npt.NDArray[np.float64]
Block = npt.NDArray[np.int32]

MIME_TYPES = {
    "wav": "audio/wav",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
}
"""By the names of formats that runes know, which are the suffixes of their files."""

_GROUP = 64 * dsp.DITHER_FRAMES
_MIDDLE = 24
_HIGHEST = 1 - 2**-15
"""What the greatest sample becomes if it has to become less: the highest step of 16 bits."""


def convert(
    read: Callable[[], Iterator[Floats]], rate: int, channels: int, target: Target, path: Path
) -> float:
    """Write a file of audio as a rune wants it.

    Parameters
    ----------
    read
        Returns the audio from its start, interleaved, full scale is ±1; it is called twice.
    rate, channels
        The audio's, in Hz.
    target
        What is wanted.
    path
        The new file.

    Returns
    -------
    float
        What the audio was multiplied by, so that it did not clip: at most 1.

    Raises
    ------
    RacsError
        The file could not be written, or the audio could not be read.
    """
    frames, peak = 0, 0.0
    for block in _shaped(read(), rate, channels, target):
        frames += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
    gain = 1.0 if peak <= 1.0 else _HIGHEST / peak
    blocks = _quantized(_shaped(read(), rate, channels, target), gain, target)
    format_ = AudioFormat(target.sample_rate, target.channels, target.bit_depth)
    _write(path, MIME_TYPES[target.format], format_, frames, blocks)
    return gain


def _shaped(blocks: Iterator[Floats], rate: int, channels: int, target: Target) -> Iterator[Floats]:
    """Yield audio with the target's channels and rate, shape (frames, channels)."""
    down = min(channels, target.channels)
    frames: Iterator[Floats] = (_mixed(block.reshape(-1, channels), down) for block in blocks)
    if rate != target.sample_rate:
        frames = _resampled(frames, rate, target.sample_rate, down)
    return (_mixed(each, target.channels) for each in frames)


def _mixed(frames: Floats, channels: int) -> Floats:
    before = frames.shape[1]
    if before == channels:
        return frames
    matrix: Floats = np.array(dsp.remix_matrix(before, channels)) @ frames.T
    return matrix.T


def _resampled(frames: Iterator[Floats], rate: int, wanted: int, channels: int) -> Iterator[Floats]:
    stream = soxr.ResampleStream(rate, wanted, channels, dtype="float64", quality="VHQ")
    for block in frames:
        yield stream.resample_chunk(np.ascontiguousarray(block)).reshape(-1, channels)
    yield stream.resample_chunk(np.empty((0, channels)), last=True).reshape(-1, channels)


def _quantized(frames: Iterator[Floats], gain: float, target: Target) -> Iterator[Block]:
    """Yield interleaved samples of the target's depth."""
    scale, most = gain * (1 << _MIDDLE - 1), 1 << _MIDDLE - 1
    place = 0
    for block in _in_groups(frames, target.channels):
        samples = np.rint(block.reshape(-1) * scale).clip(-most, most - 1).astype(np.int32)
        if target.bit_depth == _MIDDLE:
            yield samples
        else:
            bits = _MIDDLE - target.bit_depth
            bounds = (-(1 << target.bit_depth - 1), (1 << target.bit_depth - 1) - 1)
            yield dsp.dithered(samples, bits, target.channels, place, 0, bounds)
        place += len(block)


def _in_groups(frames: Iterator[Floats], channels: int) -> Iterator[Floats]:
    """Yield the same in whole groups of frames that are dithered together, but the last."""
    kept: Floats = np.empty((0, channels))
    for block in frames:
        kept = np.concatenate((kept, block))
        whole = len(kept) // _GROUP * _GROUP
        if whole:
            yield kept[:whole]
            kept = kept[whole:]
    if len(kept):
        yield kept


def _write(
    path: Path, mime_type: str, format_: AudioFormat, frames: int, blocks: Iterator[Block]
) -> None:
    codec = CODECS.find(mime_type)
    codec.check(format_)
    wanted: Wanted = codec.wanted(format_, frames, Tags())
    if not isinstance(codec.way, Spooled):
        with path.open("wb") as plain:
            plain.writelines(codec.way.pieces(wanted, blocks))
        return
    with path.open("w+b", buffering=0) as file:
        encoder = codec.way.begin(wanted, file)
        try:
            for block in blocks:
                encoder.write(block)
            encoder.finish()
        finally:
            encoder.abandon()
