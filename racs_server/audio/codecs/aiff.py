"""AIFF (Audio Interchange File Format 1.3, Apple, 1989).

All numbers are big-endian, chunks are filled up to two bytes::

    FORM <size> AIFF
    COMM 00000012  channels (2), sample frames (4), bits (2), sample rate (80-bit float)
    NAME <size>    the stream's id                          where it is known
    ANNO <size>    when the first sample frame sounded      where it is known
    ID3  <size>    both, as an ID3 tag                      where either is known
    SSND <size>    offset and block size (8 zero bytes), PCM

The texts of AIFF itself are of no known encoding; these are UTF-8. The ID3 tag, which players have
agreed upon since, tells its own.

Worked example: 44,100 Hz as an 80-bit float (exponent 16383 + 15, then the number shifted up until
its highest bit is in front): ``40 0e ac 44 00 00 00 00 00 00``.
"""

from racs_server.audio.codecs import id3
from racs_server.audio.codecs.plain import data_bytes, plain
from racs_server.audio.codecs.spec import Codec, Wanted


def head(wanted: Wanted) -> bytes:
    """Return what stands before the PCM."""
    format_, tags = wanted.format, wanted.tags
    common = (
        format_.channels.to_bytes(2, "big")
        + wanted.frames.to_bytes(4, "big")
        + format_.bit_depth.to_bytes(2, "big")
        + _extended(format_.sample_rate)
    )
    chunks = _chunk(b"COMM", common)
    if tags.stream_id is not None:
        chunks += _chunk(b"NAME", tags.stream_id.encode())
    if tags.date is not None:
        chunks += _chunk(b"ANNO", f"recorded from {tags.date}".encode())
    if tag := id3.tag(tags):
        chunks += _chunk(b"ID3 ", tag)
    size = data_bytes(wanted)
    sound = b"SSND" + (8 + size).to_bytes(4, "big") + bytes(8)
    body = b"AIFF" + chunks + sound
    return b"FORM" + (len(body) + size + size % 2).to_bytes(4, "big") + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "big") + body + bytes(len(body) % 2)


def _extended(number: int) -> bytes:
    """Return a whole number from 1 to 2^64 - 1 as an 80-bit float (IEEE 754 extended)."""
    place = number.bit_length() - 1
    return (16383 + place).to_bytes(2, "big") + (number << 63 - place).to_bytes(8, "big")


AIFF = Codec(
    mime_type="audio/aiff",
    aliases=("audio/x-aiff",),
    name="AIFF",
    way=plain(head, "big"),
)
