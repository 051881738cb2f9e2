r"""WAV headers, as segments and encoders write them.

References: Multimedia Programming Interface and Data Specifications 1.0 (IBM, Microsoft, 1991),
chapter 3, for RIFF and ``fmt ``; Multiple Channel Audio Data and WAVE Files (Microsoft, 2007) for
WAVE_FORMAT_EXTENSIBLE; EBU Tech 3285 version 2 (2011) for ``bext``.

A segment's header always has `SEGMENT_HEADER` bytes, so that a sample is found by arithmetic::

    0     RIFF <size> WAVE
    12    fmt  16 bytes (1 or 2 channels), or 40 (WAVE_FORMAT_EXTENSIBLE, more channels)
    ...   bext 602 bytes: stream id, origin, date, time, time reference
    ...   JUNK zeros, up to
    1016  data <size>
    1024  PCM

Worked example, the start of a 44.1 kHz stereo 16-bit header that states 8 bytes of PCM::

    RIFF 00 04 00 00 WAVE  fmt_ 10 00 00 00  01 00 02 00 44 ac 00 00 10 b1 02 00 04 00 10 00
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SEGMENT_HEADER = 1024
"""Bytes before a segment's first sample."""

_PCM = 0x0001
_EXTENSIBLE = 0xFFFE
_PCM_SUBFORMAT = bytes.fromhex("0100000000001000800000aa00389b71")
_FMT = struct.Struct("<HHIIHH")
_FMT_EXTENSION = struct.Struct("<HHI16s")
_BEXT = struct.Struct("<256s32s32s10s8sQH254s")
_NS_PER_S = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pcm(NamedTuple):
    """What a header says of the PCM behind it.

    Attributes
    ----------
    sample_rate
        Sample frames a second.
    channels
        Channels.
    bit_depth
        Bits of a sample, whole bytes.
    """

    sample_rate: int
    channels: int
    bit_depth: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample frame."""
        return self.bit_depth // 8 * self.channels


def segment_header(
    pcm: Pcm, data_bytes: int, *, stream_id: str, serial: int, start_ns: int
) -> bytes:
    """Return the header of a segment file.

    Parameters
    ----------
    pcm
        The stream's format.
    data_bytes
        How many bytes of PCM are valid, less than 2 GiB.
    stream_id, serial
        Which stream the segment is of; the id is cut to the 256 bytes of the field.
    start_ns
        The instant of the segment's first sample frame, in ns since the epoch.
    """
    fmt = _chunk(b"fmt ", _fmt(pcm))
    bext = _chunk(b"bext", _bext(pcm, stream_id, f"{serial:020d}", start_ns))
    junk = bytes(SEGMENT_HEADER - 12 - len(fmt) - len(bext) - 8 - 8)
    data = b"data" + data_bytes.to_bytes(4, "little")
    body = b"WAVE" + fmt + bext + _chunk(b"JUNK", junk) + data
    size = len(body) + data_bytes + data_bytes % 2
    return b"RIFF" + size.to_bytes(4, "little") + body


def wav_header(pcm: Pcm, data_bytes: int) -> bytes:
    """Return the header of a plain WAV file: 44 bytes for one or two channels, 68 for more.

    Parameters
    ----------
    pcm
        The format.
    data_bytes
        How many bytes of PCM follow. An odd number of them is followed by a zero byte, which is
        part of the file but not of the PCM.
    """
    body = b"WAVE" + _chunk(b"fmt ", _fmt(pcm)) + b"data" + data_bytes.to_bytes(4, "little")
    size = len(body) + data_bytes + data_bytes % 2
    return b"RIFF" + size.to_bytes(4, "little") + body


def bwf_header(
    pcm: Pcm, data_bytes: int, *, description: str = "", start_ns: int | None = None
) -> bytes:
    """Return the header of a Broadcast Wave file: a ``bext`` chunk before the others.

    Parameters
    ----------
    pcm
        The format.
    data_bytes
        How many bytes of PCM follow; see `wav_header`.
    description
        Cut to the 256 bytes of the field.
    start_ns
        The instant of the first sample frame, in ns since the epoch; None: not known.
    """
    sound = {1: "mono", 2: "stereo"}.get(pcm.channels, f"multi {pcm.channels}")
    history = f"A=PCM,F={pcm.sample_rate},W={pcm.bit_depth},M={sound},T=racs\r\n".encode()
    history += bytes(len(history) % 2)
    bext = _chunk(b"bext", _bext(pcm, description, "", start_ns) + history)
    data = b"data" + data_bytes.to_bytes(4, "little")
    body = b"WAVE" + bext + _chunk(b"fmt ", _fmt(pcm)) + data
    size = len(body) + data_bytes + data_bytes % 2
    return b"RIFF" + size.to_bytes(4, "little") + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body


def _fmt(pcm: Pcm) -> bytes:
    extensible = pcm.channels > 2
    base = _FMT.pack(
        _EXTENSIBLE if extensible else _PCM,
        pcm.channels,
        pcm.sample_rate,
        pcm.sample_rate * pcm.frame_bytes,
        pcm.frame_bytes,
        pcm.bit_depth,
    )
    if not extensible:
        return base
    # Channel mask 0: a stream's channels are not tied to loudspeakers.
    return base + _FMT_EXTENSION.pack(22, pcm.bit_depth, 0, _PCM_SUBFORMAT)


def _bext(pcm: Pcm, description: str, reference: str, start_ns: int | None) -> bytes:
    """Return the fields of a ``bext`` chunk, all but the coding history at its end."""
    date = time = ""
    since_midnight = 0
    if start_ns is not None:
        start = _EPOCH + timedelta(seconds=start_ns // _NS_PER_S)
        date, time = f"{start:%Y-%m-%d}", f"{start:%H:%M:%S}"
        since_midnight = start_ns % (24 * 3600 * _NS_PER_S) * pcm.sample_rate // _NS_PER_S
    return _BEXT.pack(
        _fit(description, 256),
        b"racs",
        reference.encode(),
        date.encode(),
        time.encode(),
        since_midnight,
        1,
        b"",
    )


def _fit(text: str, size: int) -> bytes:
    """Return the text's UTF-8 bytes, cut between characters."""
    return text.encode()[:size].decode(errors="ignore").encode()
