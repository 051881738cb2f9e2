"""WAV on pipes: a header before audio whose end is not known, and the head of what comes in.

All integers are little-endian (Multimedia Programming Interface and Data Specifications 1.0, 1991).

==== ========= =====================================================================
at   bytes     what
==== ========= =====================================================================
0    4         ``RIFF``
4    4         bytes that follow: 36 + PCM, and 1 if that is odd
8    4         ``WAVE``
12   4, 4      ``fmt ``, 16
20   2         1: whole numbers, PCM
22   2         channels
24   4         sample rate in Hz
28   4         bytes a second
32   2         bytes of a sample frame
34   2         bits of a sample
36   4, 4      ``data``, bytes of PCM that follow
==== ========= =====================================================================

On a pipe whose end is not known both lengths are 0xFFFFFFFF, as of ffmpeg; programs then read until
the end. What is read may have further chunks before ``data``, and the extensible form of ``fmt ``
(tag 0xFFFE, its true tag 24 bytes on), as everything with more than two channels has.

A mono stream of 8,000 Hz and 16 bits with two sample frames begins so::

    52494646 28000000 57415645 666d7420 10000000 0100 0100
    401f0000 803e0000 0200 1000 64617461 04000000
"""

import struct
from typing import BinaryIO

import msgspec

HEADER_BYTES = 44
HEAD_BYTES = 12
"""What tells a WAV file from other bytes."""
UNKNOWN = 0xFFFFFFFF
_PCM, _EXTENSIBLE = 1, 0xFFFE
_MOST_CHUNK = 1 << 20
_TAGS = {2: "ADPCM", 3: "float", 6: "A-law", 7: "µ-law", 0x55: "MP3"}


class NotWavError(ValueError):
    """What came is no WAV that can be recorded; the message says why, and what to do."""


class WavFormat(msgspec.Struct, frozen=True):
    """What a WAV file has.

    Attributes
    ----------
    sample_rate, channels, bit_depth
        Its format.
    size
        Bytes of PCM; None: not known, or it is not true.
    """

    sample_rate: int
    channels: int
    bit_depth: int
    size: int | None = None


def wav_header(sample_rate: int, channels: int, bit_depth: int, size: int | None = None) -> bytes:
    """Return the 44 bytes before PCM of `size` bytes; None, or more than fits: until the end."""
    known = size is not None and size <= UNKNOWN - HEADER_BYTES
    data = size if size is not None and known else UNKNOWN
    riff = 36 + data + data % 2 if known else UNKNOWN
    frame = channels * bit_depth // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", riff, b"WAVE", b"fmt ", 16, _PCM, channels),
        *(sample_rate, sample_rate * frame, frame, bit_depth, b"data", data),
    )


def begins_wav(head: bytes) -> bool:
    """Whether the first `HEAD_BYTES` bytes are those of a WAV file."""
    return head[:4] in (b"RIFF", b"RF64") and head[8:HEAD_BYTES] == b"WAVE"


def read_wav_header(file: BinaryIO, start: bytes = b"") -> WavFormat:
    """Read up to the first byte of PCM.

    Parameters
    ----------
    file
        Where it comes from, read no further than to the PCM.
    start
        What was read of it already, up to 12 bytes.

    Raises
    ------
    NotWavError
        It is no WAV file, or of no format that a stream can have.
    """
    head = start + _exactly(file, HEAD_BYTES - len(start))
    if not begins_wav(head):
        raise NotWavError(
            "what comes in does not begin as a WAV file does, with RIFF … WAVE. Of raw PCM say what"
            " it is: --rate 44100 --channels 2 --depth 16. Let all else be converted on the way, as"
            " with ffmpeg -i … -f wav -"
        )
    format_ = None
    while True:
        name, size = struct.unpack("<4sI", _exactly(file, 8))
        if name == b"data":
            break
        if size > _MOST_CHUNK:
            raise NotWavError(f"a chunk {name!r} of {size} bytes stands before the audio")
        chunk = _exactly(file, size + size % 2)
        if name == b"fmt ":
            format_ = _format(chunk)
    if format_ is None:
        raise NotWavError("the WAV file has no 'fmt ' chunk before its audio")
    endless = head[:4] == b"RF64" or size in (0, UNKNOWN, UNKNOWN - 1) or size >= 0x7FFFF000
    return msgspec.structs.replace(format_, size=None if endless else size)


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = file.read(count - len(found))
        if not data:
            raise NotWavError(
                "what came in ended before the audio of a WAV file began: look what the program"
                " that writes into the pipe has to say"
            )
        found += data
    return found


def _format(chunk: bytes) -> WavFormat:
    if len(chunk) < 16:
        raise NotWavError(f"the WAV file's 'fmt ' chunk has {len(chunk)} bytes, not 16 or more")
    tag, channels, rate, _, _, depth = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack("<H", chunk[24:26])
    if tag != _PCM or depth not in (16, 24):
        kind = _TAGS.get(tag, f"kind {tag}" if tag != _PCM else "PCM")
        raise NotWavError(
            f"the WAV file has {depth}-bit {kind} samples; a stream has PCM of 16 or 24 bits: let"
            " it be converted on the way, as with ffmpeg -i … -c:a pcm_s24le -f wav -"
        )
    return WavFormat(rate, channels, depth)
