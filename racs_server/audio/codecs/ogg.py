"""Ogg pages (RFC 3533), which Opus and Vorbis are kept in.

A page is 27 bytes, one byte for each segment of its packets, and the packets, all little-endian::

    0   OggS 00
    5   1: goes on with a packet, 2: the first page, 4: the last one
    6   granule position: sample frames up to the end of the last packet that ends here (8)
    14  serial number (4), page number (4)
    22  CRC-32 of the page with zeros here: polynomial 04c11db7, begun with 0, highest bit first (4)
    26  number of segments (1), their lengths

A packet is cut into segments of 255 bytes and a shorter one, which may have none.

A file's serial number follows from its comments: equal audio gives equal bytes, and the files of
consecutive pieces, one put after the other, are one Ogg file of chained streams.

Worked example, the first page of a stream 0 with the packet ``61``: ``4f676753 00 02
0000000000000000 00000000 00000000 d979467b 01 01 61``.
"""

import zlib
from collections.abc import Sequence
from typing import BinaryIO

from racs_server.audio.codecs.spooling import write_all

FIRST, LAST = 2, 4
MAX_SEGMENTS = 255

_HEAD = 27
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def segments(packet: bytes) -> bytes:
    """Return the lengths of a packet's segments."""
    return b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])


def serial_number(comments: bytes) -> int:
    """Return the serial number of a file with such comments: odd, for some refuse 0."""
    return zlib.crc32(comments) | 1


def page(packets: Sequence[bytes], granule: int, serial: int, number: int, flags: int = 0) -> bytes:
    """Return a page of whole packets.

    Parameters
    ----------
    packets
        Of `MAX_SEGMENTS` segments together, at most.
    granule
        Sample frames up to their end.
    serial
        The stream's number.
    number
        The page's, from 0.
    flags
        `FIRST`, `LAST`.
    """
    lengths = b"".join(map(segments, packets))
    return _page(lengths, b"".join(packets), granule, serial, number, flags)


def _page(lengths: bytes, body: bytes, granule: int, serial: int, number: int, flags: int) -> bytes:
    head = b"OggS\0" + bytes([flags]) + granule.to_bytes(8, "little")
    numbers = serial.to_bytes(4, "little") + number.to_bytes(4, "little")
    return _checked(head + numbers + bytes(4) + bytes([len(lengths)]) + lengths + body)


class OggFile:
    """What libsndfile writes Ogg into: passes its pages on, the same ones for the same audio.

    Its serial number, which libsndfile chooses at random, becomes another. If all audio is on one
    page, the first packet, out of which a decoder gets nothing yet, gets a page of its own: its
    granule position, 0, tells where the audio begins, so that ffmpeg cuts off its end, too.

    Parameters
    ----------
    file
        Where the pages go.
    serial
        The stream's number.
    """

    def __init__(self, file: BinaryIO, serial: int) -> None:
        self._file = file
        self._serial = serial
        self._held = bytearray()
        self._came = self._place = 0
        self._begun = False
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Take bytes; an error is kept, for nothing may be raised through libsndfile."""
        self._held += data
        self._came += len(data)
        while self.error is None and (size := self._page_size()):
            try:
                self._pass_on(bytes(self._held[:size]))
            except OSError as error:
                self.error = error
            del self._held[:size]
        return len(data)

    def tell(self) -> int:
        """Return how many bytes have come."""
        return self._came

    def seek(self, place: int, whence: int = 0) -> int:
        """Stay at the end, the only place that Ogg is written to."""
        return self._came

    def read(self, count: int) -> bytes:
        """Return nothing: it is only written to."""
        return b""

    def _page_size(self) -> int:
        """Return the size of the page that has come whole, or 0."""
        held = self._held
        if len(held) < _HEAD or len(held) < _HEAD + held[26]:
            return 0
        size = _HEAD + held[26] + sum(held[_HEAD : _HEAD + held[26]])
        return size if len(held) >= size else 0

    def _pass_on(self, data: bytes) -> None:
        granule = int.from_bytes(data[6:14], "little")
        lengths = data[_HEAD : _HEAD + data[26]]
        body = data[_HEAD + len(lengths) :]
        number = int.from_bytes(data[18:22], "little")
        if granule and not self._begun and data[5] & LAST:
            count = len(lengths) - len(lengths.lstrip(b"\xff")) + 1
            size = sum(lengths[:count])
            self._write(_page(lengths[:count], body[:size], 0, self._serial, number, 0))
            lengths, body, number = lengths[count:], body[size:], number + 1
        self._begun = self._begun or granule > 0
        self._write(_page(lengths, body, granule, self._serial, number, data[5]))

    def _write(self, data: bytes) -> None:
        write_all(self._file, data, self._place)
        self._place += len(data)


def _checked(data: bytes) -> bytes:
    """Return a page, which has zeros for its checksum, with it.

    zlib's CRC-32 is of the same polynomial with the bits of each byte in the other order, begun
    with ones, and inverted: so are the bytes before, and the result after it.
    """
    mirrored = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    crc = mirrored.to_bytes(4, "little").translate(_MIRRORED)
    return data[:22] + crc[::-1] + data[26:]
