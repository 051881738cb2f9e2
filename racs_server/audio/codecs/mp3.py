"""MP3 of constant bit rate (ISO 11172-3, 13818-3 and the extension to lower rates), by LAME.

A file is an ID3 tag (see `id3`), an Info frame, and LAME's frames. The Info frame is a silent one
that tells players how long the audio is, and how much of what they decode to drop at both ends::

    0    frame header, zeros for the side information (9 to 32 bytes); from there:
    +0   Info 0000000f                   frames, bytes, table and quality follow
    +8   number of frames after this one (4), bytes from this one on (4)
    +16  100 bytes: where each hundredth of the time begins, in 256ths of the bytes
    +116 quality (4): 60 less LAME's, as LAME itself writes it for a constant bit rate
    +120 LAME3.100                       a name that players know to mean these fields
    +129 01, low-pass (1): 0, peak and gains (8): 0, flags (1): 0, kbit/s (1, at most 255)
    +141 delay of the encoder, padding at the end (12 bits each), in sample frames
    +144 class of the sample rate (2 bits), 0 (1), stereo mode (3), noise shaping (2): 0
    +145 zeros (3), bytes from this one on (4), CRC of the audio (2): 0
    +154 CRC-16 (polynomial 8005, bits mirrored) of all before it (2), big-endian

Reference: the description of the Xing and Info tags by G. Bouvigne ("MP3 Info Tag revision 1
specifications").

Worked example: of 44,100 sample frames in 40 frames of 1,152, delay and padding are ``240 5bc``
(576 and 1,404: 40 * 1152 - 576 - 44100).

Decoders that know these fields give back exactly the sample frames that came. What they play is as
long; but some, ffprobe 5 among them, tell of the duration of all frames, up to two frames more,
for this encoder's files as for any other's.
"""

from typing import BinaryIO

import lameenc
import numpy as np

from racs_server.audio.codecs.id3 import tag
from racs_server.audio.codecs.spec import Block, Codec, Setting, Spooled, Wanted
from racs_server.audio.codecs.spooling import storage_errors, write_all
from racs_server.audio.dsp import Dither
from racs_server.values import AudioFormat
from racs_server.values.building import sample_bounds

QUALITY = 7
"""LAME's, from 9 (quick) to 0: at 192 kbit/s 7 takes half the time of 5 and a third of that of 3,
with as little noise (55 dB below guitar music, segment by segment; 54 and 55 with those)."""

_DELAY = 576
"""Sample frames by which LAME delays audio, the decoder's own 529 not counted."""

_LEAD = 47
"""Sample frames of silence that go before audio whose frames have 576: then all that decoders drop
at the start is two whole frames. ffmpeg forgets about the rest of it where it lies in the frame in
which the audio ends, and gives 529 sample frames too many."""

_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG25 = _MPEG2[:8]
_LOWEST_MPEG1, _LOWEST_MPEG2 = 32_000, 16_000
_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_INFO = 156

_STEREO_MODES = (1, 3, 2, 0)
"""By the mode in a frame's header (stereo, joint, dual, mono), the number that LAME has for it."""

_LEAST = 1152
"""Sample frames that LAME is given at least: of less it does not always make whole MP3 frames."""


def _bit_rates(format_: AudioFormat) -> tuple[int, ...]:
    if format_.sample_rate >= _LOWEST_MPEG1:
        return _MPEG1
    return _MPEG2 if format_.sample_rate >= _LOWEST_MPEG2 else _MPEG25


def _usual(format_: AudioFormat) -> int:
    """Return 192 kbit/s for stereo at the rates of MPEG-1, and as much a sample elsewhere."""
    wanted = 96 * format_.channels * min(1, format_.sample_rate / 44_100)
    return next((each for each in _bit_rates(format_) if each >= wanted), _bit_rates(format_)[-1])


def _side(format_: AudioFormat) -> int:
    """Return how many bytes of side information a frame has."""
    if format_.sample_rate >= _LOWEST_MPEG1:
        return 17 if format_.channels == 1 else 32
    return 9 if format_.channels == 1 else 17


def _frame_bytes(format_: AudioFormat, bit_rate: int) -> float:
    """Return how many bytes one MP3 frame has on average."""
    return _frame_frames(format_) * bit_rate * 125 / format_.sample_rate


def _info_size(wanted: Wanted) -> tuple[int, int]:
    """Return the bit rate of the Info frame, at which it has room for all fields, and its bytes."""
    format_ = wanted.format
    for bit_rate in _bit_rates(format_):
        length = int(_frame_bytes(format_, bit_rate))
        if bit_rate >= wanted.bit_rate and length >= 4 + _side(format_) + _INFO:
            return bit_rate, length
    raise AssertionError(f"no bit rate has room at {format_}")


def _frame_frames(format_: AudioFormat) -> int:
    """Return how many sample frames one MP3 frame has."""
    return 1152 if format_.sample_rate >= _LOWEST_MPEG1 else 576


def _rate_class(format_: AudioFormat) -> int:
    """Return 1 for 44.1 kHz, 2 for 48 kHz, 0 for what is lower."""
    return {44_100: 1, 48_000: 2}.get(format_.sample_rate, 0)


def _lead(format_: AudioFormat) -> int:
    return _LEAD if _frame_frames(format_) == 576 else 0


class Mp3Encoder:
    """Writes one file.

    Parameters
    ----------
    wanted
        The file.
    file
        Where it is written to: seekable, empty, with a descriptor.
    """

    def __init__(self, wanted: Wanted, file: BinaryIO) -> None:
        self._wanted = wanted
        self._file = file
        self._head = len(tag(wanted.tags)) + _info_size(wanted)[1]
        self._place = self._head
        self._first = b""
        self._lame = lameenc.Encoder()
        self._lame.set_in_sample_rate(wanted.format.sample_rate)
        self._lame.set_out_sample_rate(wanted.format.sample_rate)
        self._lame.set_channels(wanted.format.channels)
        self._lame.set_bit_rate(wanted.bit_rate)
        self._lame.set_quality(QUALITY)
        self._lame.silence()
        self._encode(np.zeros(_lead(wanted.format) * wanted.format.channels, np.int32))
        bits = wanted.format.bit_depth - 16
        self._dither = Dither(bits, wanted.format.channels, sample_bounds(16)) if bits else None

    def write(self, block: Block) -> None:
        """Add samples.

        Parameters
        ----------
        block
            Interleaved, shape (frames * channels,), dtype int32. 24 bits are dithered to 16, which
            is what LAME is given.

        Raises
        ------
        StorageError
            The file could not be written.
        """
        self._encode(self._dither.add(block) if self._dither else block)

    def finish(self) -> None:
        """Complete the file; `StorageError` if it could not be written."""
        if self._dither:
            self._encode(self._dither.finish())
        missing = max(0, _LEAST - self._wanted.frames)
        self._encode(np.zeros(missing * self._wanted.format.channels, np.int32))
        self._append(self._lame.flush())
        size = self._place - self._head
        info = info_frame(self._wanted, self._first, size)
        with storage_errors("MP3"):
            write_all(self._file, tag(self._wanted.tags) + info, 0)

    def abandon(self) -> None:
        """Free what the encoder holds; the file is of no use."""
        del self._lame

    def _encode(self, block: Block) -> None:
        self._append(self._lame.encode(block.astype("<i2").tobytes()))

    def _append(self, data: bytearray) -> None:
        self._first = self._first or bytes(data[:4])
        with storage_errors("MP3"):
            write_all(self._file, data, self._place)
        self._place += len(data)


def info_frame(wanted: Wanted, header: bytes, size: int) -> bytes:
    """Return the frame that tells of the others.

    Parameters
    ----------
    wanted
        The file.
    header
        Of the first of the others: 4 bytes.
    size
        Bytes of all the others.
    """
    format_ = wanted.format
    bit_rate, length = _info_size(wanted)
    # Frames are of one length but for a byte, so that their sizes tell how many they are.
    frames = round(size / _frame_bytes(format_, wanted.bit_rate))
    delay = _DELAY + _lead(format_)
    padding = frames * _frame_frames(format_) - delay - wanted.frames
    place = _bit_rates(format_).index(bit_rate) + 1
    info = (
        bytes([header[0], header[1] | 1, place << 4 | header[2] & 0x0C, header[3]])
        + bytes(_side(format_))
        + b"Info\0\0\0\x0f"
        + frames.to_bytes(4, "big")
        + (length + size).to_bytes(4, "big")
        + bytes(each * 256 // 100 for each in range(100))
        + (60 - QUALITY).to_bytes(4, "big")
        + b"LAME3.100\x01"
        + bytes(10)
        + bytes([min(wanted.bit_rate, 255)])
        + (delay << 12 | padding).to_bytes(3, "big")
        + bytes([_rate_class(format_) << 6 | _STEREO_MODES[header[3] >> 6] << 2])
        + bytes(3)
        + (length + size).to_bytes(4, "big")
        + bytes(2)
    )
    return (info + _crc16(info).to_bytes(2, "big")).ljust(length, b"\0")


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def most_bytes(wanted: Wanted) -> int:
    """Return how many bytes a file can get, at most."""
    return wanted.frames * wanted.bit_rate * 125 // wanted.format.sample_rate + 65_536


MP3 = Codec(
    mime_type="audio/mpeg",
    aliases=("audio/mp3", "audio/x-mp3"),
    name="MP3",
    holds=lambda format_: format_.sample_rate in _RATES and format_.channels <= 2,
    limits=f"1 or 2 channels at {', '.join(map(str, _RATES[:-1]))} or {_RATES[-1]} Hz",
    way=Spooled(Mp3Encoder, most_bytes),
    setting=Setting("bit rate", " kbit/s", _bit_rates, _usual),
)
