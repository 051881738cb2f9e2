"""Opus in Ogg (RFC 6716, RFC 7845), by libopus.

Opus runs at 48 kHz: audio of any other rate is resampled on its way. The first page of a file holds
the head, the second one comments; then come pages of packets of 20 ms::

    0   OpusHead 01
    9   channels (1), pre-skip (2)      sample frames that a decoder makes too many at the start
    12  the audio's own sample rate (4), gain (2), mapping family (1)
    19  families but 0: streams (1), coupled streams (1), the stream of each channel

One or two channels are family 0; more are family 255, in which each channel stands for itself: a
stream's channels are not tied to loudspeakers, and none must be taken for a subwoofer's.

The granule position of a page counts from before the pre-skip. That of the last one is where the
audio ends, which a decoder cuts off there.

Worked example, the head of 44.1 kHz stereo: ``4f70757348656164 01 02 3801 44ac0000 0000 00``.
"""

import ctypes
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import opuslib_next
import soxr
from opuslib_next.api import libopus
from opuslib_next.classes import MultiStreamEncoder

from racs_server.audio.codecs import ogg
from racs_server.audio.codecs.comments import comments
from racs_server.audio.codecs.spec import Block, Codec, Setting, Spooled, Wanted
from racs_server.audio.codecs.spooling import storage_errors, write_all
from racs_server.values import AudioFormat

RATE = 48_000
PACKET = 960
"""Sample frames of a packet: 20 ms."""

_PAGE_PACKETS = 50
COMPLEXITY = 7
"""libopus', up to 10: from 8 on it takes a third more time, and noise lies 0.1 to 0.2 dB lower (as
a ratio to what music masks, at 48 to 128 kbit/s; at 128 the ratio is -10.4 dB)."""

_MAX_PACKET = 1277
"""Bytes that a packet can have for each of its streams."""

_MAX_CHANNELS = 8
_USUAL = {1: 96, 2: 128}


def frames_at_48k(wanted: Wanted) -> int:
    """Return how many sample frames a file has at Opus' own rate: all that begin in the audio."""
    return -(-wanted.frames * RATE // wanted.format.sample_rate)


class _Packets:
    """libopus, called without opuslib's copies of each packet, during which no other thread runs.

    Parameters
    ----------
    channels
        How many.
    bit_rate
        In kbit/s.

    Attributes
    ----------
    mapping
        What stands in a file's head of how channels are mapped to streams.
    lookahead
        Sample frames that a decoder makes too many at the start.
    """

    def __init__(self, channels: int, bit_rate: int) -> None:
        streams, coupled = (1, channels - 1) if channels <= 2 else (channels, 0)
        order = list(range(channels))
        self._encoder = MultiStreamEncoder(
            RATE, channels, streams, coupled, order, opuslib_next.APPLICATION_AUDIO
        )
        self._encoder.bitrate = bit_rate * 1000
        self._encoder.complexity = COMPLEXITY
        self.mapping = b"\0" if channels <= 2 else bytes([255, streams, coupled, *order])
        self.lookahead = int(self._encoder.lookahead)
        self._packet = ctypes.create_string_buffer(_MAX_PACKET * streams)

    def encode(self, frames: npt.NDArray[np.float32]) -> Iterator[bytes]:
        """Yield the packets of some times `PACKET` frames, shape (frames, channels)."""
        place, step = frames.ctypes.data, PACKET * frames.shape[1] * frames.itemsize
        for start in range(place, place + frames.nbytes, step):
            size = _ENCODE(
                self._encoder.msencoder_state, start, PACKET, self._packet, len(self._packet)
            )
            if size < 0:
                raise opuslib_next.OpusError(size)
            yield ctypes.string_at(self._packet, size)


_ENCODE = libopus["opus_multistream_encode_float"]
_ENCODE.argtypes = [
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int32,
]
_ENCODE.restype = ctypes.c_int32


class OpusEncoder:
    """Writes one file.

    Parameters
    ----------
    wanted
        The file.
    file
        Where it is written to: seekable, empty, with a descriptor.
    """

    def __init__(self, wanted: Wanted, file: BinaryIO) -> None:
        format_ = wanted.format
        self._format = format_
        self._file = file
        self._place = self._number = self._granule = 0
        self._packets: list[bytes] = []
        self._segments = 0
        self._length = frames_at_48k(wanted)
        self._resampled = 0
        self._resampler = None
        if format_.sample_rate != RATE:
            self._resampler = soxr.ResampleStream(
                format_.sample_rate, RATE, format_.channels, dtype="float32", quality="HQ"
            )
        self._waiting = np.empty((0, format_.channels), np.float32)
        self._encoder = _Packets(format_.channels, wanted.bit_rate)
        self._skip = self._encoder.lookahead
        tags = comments(wanted.tags)
        self._serial = ogg.serial_number(tags)
        with storage_errors("Opus"):
            self._write_page([_head(format_, self._skip, self._encoder.mapping)], 0, ogg.FIRST)
            self._write_page([b"OpusTags" + tags], 0)

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
        frames = block.reshape(-1, self._format.channels).astype(np.float32)
        frames *= 2.0 ** (1 - self._format.bit_depth)
        self._take(self._resample(frames, last=False))

    def finish(self) -> None:
        """Complete the file; `StorageError` if it could not be written."""
        channels = self._format.channels
        if self._resampler is not None:
            self._take(self._resample(np.empty((0, channels), np.float32), last=True))
        end = self._skip + self._length
        packets = max(1, -(-end // PACKET))
        silence = packets * PACKET - self._granule - len(self._waiting)
        self._take(np.zeros((silence, channels), np.float32))
        with storage_errors("Opus"):
            self._write_page(self._packets, end, ogg.LAST)

    def abandon(self) -> None:
        """Free what the encoder holds; the file is of no use."""
        del self._encoder, self._resampler

    def _resample(self, frames: npt.NDArray[np.float32], *, last: bool) -> npt.NDArray[np.float32]:
        """Return what can be told at 48 kHz, never more than there is to be in all."""
        if self._resampler is not None:
            frames = self._resampler.resample_chunk(frames, last=last)
        frames = frames[: self._length - self._resampled]
        self._resampled += len(frames)
        return frames

    def _take(self, frames: npt.NDArray[np.float32]) -> None:
        """Encode what makes whole packets; the rest waits for more."""
        self._waiting = np.concatenate([self._waiting, frames])
        whole = len(self._waiting) // PACKET
        for packet in self._encoder.encode(self._waiting[: whole * PACKET]):
            self._add(packet)
        self._waiting = self._waiting[whole * PACKET :]

    def _add(self, packet: bytes) -> None:
        """Put a packet on the page; a full page is written when one more comes."""
        count = len(ogg.segments(packet))
        if len(self._packets) == _PAGE_PACKETS or self._segments + count > ogg.MAX_SEGMENTS:
            with storage_errors("Opus"):
                self._write_page(self._packets, self._granule)
            self._packets, self._segments = [], 0
        self._packets.append(packet)
        self._segments += count
        self._granule += PACKET

    def _write_page(self, packets: list[bytes], granule: int, flags: int = 0) -> None:
        data = ogg.page(packets, granule, self._serial, self._number, flags)
        write_all(self._file, data, self._place)
        self._place += len(data)
        self._number += 1


def _head(format_: AudioFormat, skip: int, mapping: bytes) -> bytes:
    return (
        b"OpusHead\x01"
        + bytes([format_.channels])
        + skip.to_bytes(2, "little")
        + format_.sample_rate.to_bytes(4, "little")
        + bytes(2)
        + mapping
    )


def most_bytes(wanted: Wanted) -> int:
    """Return about how many bytes a file can get: the bit rate varies around the one asked for."""
    return frames_at_48k(wanted) * wanted.bit_rate * 1000 // 8 // RATE * 3 // 2 + 65_536


def _usual(format_: AudioFormat) -> int:
    return _USUAL.get(format_.channels, 64 * format_.channels)


OPUS = Codec(
    mime_type="audio/ogg",
    aliases=("audio/opus",),
    name="Opus",
    holds=lambda format_: format_.channels <= _MAX_CHANNELS,
    limits=f"1 to {_MAX_CHANNELS} channels at any sample rate",
    way=Spooled(OpusEncoder, most_bytes),
    setting=Setting(
        "bit rate",
        " kbit/s",
        lambda format_: range(6 * format_.channels, 256 * format_.channels + 1),
        _usual,
    ),
)
