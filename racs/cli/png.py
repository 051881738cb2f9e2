"""PNG pictures of a few colours (ISO/IEC 15948, also RFC 2083), with zlib alone.

A signature, then chunks: length (4 bytes, big-endian), name, data, CRC-32 of name and data.

==== ===== ===============================================================================
name bytes data
==== ===== ===============================================================================
IHDR 13    width, height (4 bytes each), 8 bits, colour type 3 (palette), 0, 0, 0
PLTE 3 n   red, green, blue of each colour
IDAT       zlib: for each line, filter type 0 and then one byte a pixel, its colour's number
IEND 0
==== ===== ===============================================================================

A picture of one pixel, black, begins ``89504e470d0a1a0a 0000000d 49484452 00000001 00000001 08 03
00 00 00`` and the CRC ``28cb34bb``.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Colour = tuple[int, int, int]


def encode_png(pixels: NDArray[np.uint8], colours: Sequence[Colour]) -> bytes:
    """Return a picture as the bytes of a PNG file.

    Parameters
    ----------
    pixels
        Shape (height, width): the number of each pixel's colour.
    colours
        Red, green and blue of each, 0 ... 255; at most 256.
    """
    height, width = pixels.shape
    lines = np.pad(pixels, ((0, 0), (1, 0)))
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(value for colour in colours for value in colour)),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
