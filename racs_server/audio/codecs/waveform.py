r"""Waveforms as BBC audiowaveform writes them, version 2: binary (``.dat``) and JSON.

Players such as peaks.js draw them. Source: the page "Waveform data file format" of audiowaveform's
documentation. The binary form, all integers little-endian::

    0   4  version, 2
    4   4  flags: 1 if values have 8 bits, 0 if they have 16
    8   4  sample rate, Hz
    12  4  sample frames of a pixel
    16  4  pixels
    20  4  channels
    24  .. for each pixel and channel its least and its greatest sample, 1 or 2 bytes each, signed

A pixel stands for 256 sample frames, audiowaveform's own choice; the last one for what is left.
Values have 16 bits, or 8 where that is asked for. As in audiowaveform itself, of 24 bits the lower
eight are dropped, by floor; values of 8 bits are those of 16 divided by 256, towards zero, so that
noise of the last bit is silence. The JSON form is one object: ``version``, ``channels``,
``sample_rate``, ``samples_per_pixel``, ``bits``, ``length`` (pixels) and ``data``, in the same
order.

Worked example: the sample frames -2, 5 and 3 of 16-bit mono at 8,000 Hz are ``02 00 00 00
00 00 00 00  40 1f 00 00  00 01 00 00  01 00 00 00  01 00 00 00  fe ff 05 00``.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from racs_server.audio.codecs.spec import (
    Block,
    Buffer,
    Codec,
    Setting,
    Spooled,
    Streamed,
    Wanted,
)
from racs_server.audio.codecs.spooling import storage_errors

PIXEL = 256
"""Sample frames of a pixel."""

_HEAD = struct.Struct("<iIiiIi")
_VERSION = 2
_TYPES = {8: "<i1", 16: "<i2"}
_LONGEST_NUMBER = len("-32768,")

Values = npt.NDArray[np.signedinteger[Any]]


class Pixels:
    """Makes pixels of samples that come in blocks.

    Parameters
    ----------
    wanted
        The file.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._channels = wanted.format.channels
        self._shift = wanted.format.bit_depth - 16
        self._type = _TYPES[wanted.bit_rate]
        self._divisor = 1 << 16 - wanted.bit_rate
        self._rest = np.empty((0, self._channels), np.int32)

    def add(self, block: Block) -> Values:
        """Take samples; return the values of the pixels that they complete, in the file's order."""
        frames = np.concatenate([self._rest, block.reshape(-1, self._channels)])
        whole = len(frames) // PIXEL * PIXEL
        self._rest = frames[whole:]
        return self._values(frames[:whole].reshape(-1, PIXEL, self._channels))

    def finish(self) -> Values:
        """Return the values of the last pixel, if it is not whole."""
        if not len(self._rest):
            return np.empty(0, self._type)
        return self._values(self._rest[np.newaxis])

    def _values(self, pixels: npt.NDArray[np.int32]) -> Values:
        pairs = np.stack([pixels.min(axis=1), pixels.max(axis=1)], axis=-1) >> self._shift
        return np.trunc(pairs.reshape(-1) / self._divisor).astype(self._type)


def pixels(wanted: Wanted) -> int:
    """Return how many pixels a file has."""
    return -(-wanted.frames // PIXEL)


def length(wanted: Wanted) -> int:
    """Return how many bytes a binary file has."""
    return _HEAD.size + pixels(wanted) * wanted.format.channels * 2 * (wanted.bit_rate // 8)


def pieces(wanted: Wanted, blocks: Iterator[Block]) -> Iterator[Buffer]:
    """Yield a binary file, given its blocks."""
    maker = Pixels(wanted)
    # what fails with the first block fails before anything is sent
    first = [maker.add(block) for block in [next(blocks, None)] if block is not None]
    format_ = wanted.format
    yield _HEAD.pack(
        _VERSION,
        int(wanted.bit_rate == 8),
        format_.sample_rate,
        PIXEL,
        pixels(wanted),
        format_.channels,
    )
    yield from (values.tobytes() for values in first)
    for block in blocks:
        yield maker.add(block).tobytes()
    yield maker.finish().tobytes()


class JsonEncoder:
    """Writes a JSON file.

    Parameters
    ----------
    wanted
        The file.
    file
        Where it is written to.
    """

    def __init__(self, wanted: Wanted, file: BinaryIO) -> None:
        self._file = file
        self._pixels = Pixels(wanted)
        fields = {
            "version": _VERSION,
            "channels": wanted.format.channels,
            "sample_rate": wanted.format.sample_rate,
            "samples_per_pixel": PIXEL,
            "bits": wanted.bit_rate,
            "length": pixels(wanted),
            "data": [],
        }
        self._before = json.dumps(fields).removesuffix("]}")

    def write(self, block: Block) -> None:
        """Add samples; `StorageError` if the file could not be written."""
        self._write(self._pixels.add(block))

    def finish(self) -> None:
        """Complete the file; `StorageError` if it could not be written."""
        self._write(self._pixels.finish())
        self._put("]}" if self._before == "," else f"{self._before}]}}")

    def abandon(self) -> None:
        """Nothing is held but the file."""

    def _write(self, values: Values) -> None:
        if values.size:
            self._put(self._before + ",".join(map(str, values.tolist())))
            self._before = ","

    def _put(self, text: str) -> None:
        with storage_errors(JSON.name):
            self._file.write(text.encode())


def most_bytes(wanted: Wanted) -> int:
    """Return how many bytes a JSON file can get, at most."""
    return 256 + pixels(wanted) * wanted.format.channels * 2 * _LONGEST_NUMBER


_BITS = Setting("number of bits", "", lambda format_: tuple(_TYPES), lambda format_: 16)

DAT = Codec(
    mime_type="audio/x-waveform-data",
    name="audiowaveform data",
    way=Streamed(length, pieces),
    setting=_BITS,
)

JSON = Codec(
    mime_type="audio/x-waveform-data+json",
    name="audiowaveform JSON",
    way=Spooled(JsonEncoder, most_bytes),
    setting=_BITS,
)
