"""WAV: a header, then packed PCM; equal audio gives equal bytes."""

from collections.abc import Iterator

from racs_server.audio import pcm
from racs_server.audio.codecs.spec import Block, Buffer, Codec, Streamed
from racs_server.riff import Pcm, wav_header
from racs_server.values import AudioFormat


def length(format_: AudioFormat, frames: int) -> int:
    """Return how many bytes a file of so many sample frames has."""
    size = frames * format_.frame_bytes
    return len(wav_header(_pcm(format_), 0)) + size + size % 2


def pieces(format_: AudioFormat, frames: int, blocks: Iterator[Block]) -> Iterator[Buffer]:
    """Yield a file; its first piece comes once the first block could be read.

    Parameters
    ----------
    format_
        The audio's.
    frames
        How many sample frames the blocks have together.
    blocks
        Interleaved samples, dtype int32.
    """
    size = frames * format_.frame_bytes
    first = next(blocks, None)
    yield wav_header(_pcm(format_), size)
    if first is not None:
        yield pcm.pack(first, format_.bit_depth)
    for block in blocks:
        yield pcm.pack(block, format_.bit_depth)
    if size % 2:
        # chunks are aligned to two bytes; the one that fills up is not counted in the chunk
        yield b"\0"


def _pcm(format_: AudioFormat) -> Pcm:
    return Pcm(format_.sample_rate, format_.channels, format_.bit_depth)


WAV = Codec(
    mime_type="audio/wav",
    aliases=("audio/x-wav",),
    name="WAV",
    holds=lambda format_: True,
    limits="every format that a stream can have",
    way=Streamed(length, pieces),
)
