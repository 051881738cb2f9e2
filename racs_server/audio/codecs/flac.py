"""FLAC, by libsndfile.

libsndfile writes nothing at all for audio of no length, so that `empty` files are made here, of the
FLAC format's own (RFC 9639): the four bytes ``fLaC``, one STREAMINFO block, and one of comments::

    0   fLaC
    4   00 00 00 22            a metadata block of type 0, 34 bytes
    8   10 00 10 00            least and greatest block size: 4096
    12  six zeros              frame sizes: not known
    18  rate (20 bits), channels - 1 (3), bit depth - 1 (5), number of sample frames (36)
    26  MD5 of the samples, of which there are none
    42  84 <size>              the last metadata block, of type 4: see `comments`

Worked example, bytes 18 to 25 of an empty 44.1 kHz stereo 16-bit file: ``0a c4 42 f0 00 00 00 00``.

Files have no table of seek points: STREAMINFO tells how many sample frames there are and how large
FLAC's frames get, by which decoders find any place in a few steps. To begin in the middle of half
an hour (83 MB), libsndfile and sox read 0.2 MB, ffmpeg at most 2.5.
"""

import hashlib
from typing import BinaryIO

from racs_server.audio.codecs.comments import comments
from racs_server.audio.codecs.plain import data_bytes
from racs_server.audio.codecs.sound import SoundFileEncoder
from racs_server.audio.codecs.spec import Codec, Encoder, Spooled, Wanted
from racs_server.audio.codecs.spooling import storage_errors, write_all
from racs_server.values import AudioFormat

_MAX_CHANNELS = 8
_MAX_RATE = 655_350
_ANY_RATE = 65_535
_METADATA = 64 << 10


def holds(format_: AudioFormat) -> bool:
    """Whether FLAC can hold a format: its headers have room only for some of the high rates."""
    rate = format_.sample_rate
    fits = rate <= _ANY_RATE or (rate <= _MAX_RATE and rate % 10 == 0)
    return fits and format_.channels <= _MAX_CHANNELS


def empty(wanted: Wanted) -> bytes:
    """Return a file of no sample frames."""
    format_ = wanted.format
    numbers = format_.sample_rate << 44 | format_.channels - 1 << 41 | format_.bit_depth - 1 << 36
    info = bytes.fromhex("10001000 000000 000000") + numbers.to_bytes(8, "big")
    tags = comments(wanted.tags)
    return (
        b"fLaC\x00\x00\x00\x22"
        + info
        + hashlib.md5(b"", usedforsecurity=False).digest()
        + b"\x84"
        + len(tags).to_bytes(3, "big")
        + tags
    )


class _Empty:
    """Writes a file of no sample frames."""

    def __init__(self, wanted: Wanted, file: BinaryIO) -> None:
        self._wanted = wanted
        self._file = file

    def write(self, block: object) -> None:
        raise AssertionError("no audio was announced")

    def finish(self) -> None:
        with storage_errors("FLAC"):
            write_all(self._file, empty(self._wanted), 0)

    def abandon(self) -> None:
        pass


def begin(wanted: Wanted, file: BinaryIO) -> Encoder:
    """Return an encoder of a file."""
    if not wanted.frames:
        return _Empty(wanted, file)
    subtype = f"PCM_{wanted.format.bit_depth}"
    return SoundFileEncoder(wanted, file, "FLAC", format="FLAC", subtype=subtype)


def most_bytes(wanted: Wanted) -> int:
    """Return about how many bytes a file can get: PCM that cannot be compressed stays as it is."""
    return data_bytes(wanted) * 101 // 100 + _METADATA


FLAC = Codec(
    mime_type="audio/flac",
    aliases=("audio/x-flac",),
    name="FLAC",
    holds=holds,
    limits=f"1 to {_MAX_CHANNELS} channels at up to {_ANY_RATE} Hz, or at a multiple of 10 Hz up to"
    f" {_MAX_RATE} Hz",
    way=Spooled(begin, most_bytes),
)
