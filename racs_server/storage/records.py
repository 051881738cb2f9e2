r"""The records of the commit log: what happened to a stream, and how it is written down.

All integers are little-endian. A record is::

    0   4  length of the payload; 0 where the log ends
    4   4  CRC-32C of the file's sequence number (8 bytes), the type and the payload
    8   1  type
    9   .. payload

==== =========== ===========================================================================
type name        payload
==== =========== ===========================================================================
1    CREATE      serial u64, time u64, sample rate u32, channels u16, bit depth u16, id UTF-8
2    OPEN        serial u64, time u64
3    APPEND      serial u64, time u64, position u64, count u32, CRC-32C u32, session 16 bytes
4    APPEND_PCM  the same, then the PCM itself
5    CLOSE       serial u64, time u64, position u64
6    DELETE      serial u64, time u64
7    EXPIRE      serial u64, time u64, seconds i64
8    NEXT        number u64 of the file in which the log goes on; the last record of its own
==== =========== ===========================================================================

Times are ms since the epoch; positions and counts are sample frames; the checksum is of the PCM;
the seconds of an EXPIRE are the stream's time to live from then on, -1 for ever. An OPEN comes just
before the first APPEND since the stream was opened: it begins another turn of a session.
Worked example: OPEN of the stream with serial 7 at 1000 ms, in file 1, is
``10 00 00 00  <crc of 01 00*7 02 payload>  02  07 00*7  e8 03 00*6``.
"""

import struct

import msgspec

RECORD = struct.Struct("<IIB")
_SERIAL_TIME = struct.Struct("<QQ")
_CREATE = struct.Struct("<QQIHH")
_APPEND = struct.Struct("<QQQII16s")
_CLOSE = struct.Struct("<QQQ")
_EXPIRE = struct.Struct("<QQq")
_NEXT = struct.Struct("<Q")

TYPES = range(1, 9)
CREATE, OPEN, APPEND, APPEND_PCM, CLOSE, DELETE, EXPIRE, NEXT = TYPES


class Created(msgspec.Struct, frozen=True):
    """A stream came into being."""

    serial: int
    time: int
    sample_rate: int
    channels: int
    bit_depth: int
    stream_id: str


class Opened(msgspec.Struct, frozen=True):
    """A stream was opened."""

    serial: int
    time: int


class Appended(msgspec.Struct, frozen=True):
    """Sample frames were put behind a stream's last; `pcm` only where the log carries it."""

    serial: int
    time: int
    position: int
    count: int
    checksum: int
    session: bytes
    pcm: bytes | None = None


class Closed(msgspec.Struct, frozen=True):
    """A stream was closed, with its length in sample frames."""

    serial: int
    time: int
    position: int


class Deleted(msgspec.Struct, frozen=True):
    """A stream is gone."""

    serial: int
    time: int


class Expires(msgspec.Struct, frozen=True):
    """A stream was given a time to live, in seconds; -1 takes it away."""

    serial: int
    time: int
    seconds: int


class Continued(msgspec.Struct, frozen=True):
    """The log goes on in another file."""

    sequence: int


Record = Created | Opened | Appended | Closed | Deleted | Expires


NEXT_SIZE = RECORD.size + _NEXT.size
"""Bytes of a NEXT record."""


def next_payload(sequence: int) -> bytes:
    """Return the payload of a NEXT record."""
    return _NEXT.pack(sequence)


def create_payload(record: Created) -> bytes:
    """Return the payload of a CREATE record."""
    head = _CREATE.pack(
        record.serial, record.time, record.sample_rate, record.channels, record.bit_depth
    )
    return head + record.stream_id.encode()


def open_payload(serial: int, time: int) -> bytes:
    """Return the payload of an OPEN or DELETE record."""
    return _SERIAL_TIME.pack(serial, time)


def append_payload(
    serial: int, time: int, position: int, count: int, checksum: int, session: bytes
) -> bytes:
    """Return the payload of an APPEND record, and the start of that of an APPEND_PCM."""
    return _APPEND.pack(serial, time, position, count, checksum, session)


RECORD_HEAD = RECORD.size
"""Bytes of a record before its payload."""

APPEND_SIZE = RECORD.size + _SERIAL_TIME.size + RECORD.size + _APPEND.size
"""Bytes of an OPEN and an APPEND record, at most, and of an APPEND_PCM without its PCM."""


def close_payload(serial: int, time: int, position: int) -> bytes:
    """Return the payload of a CLOSE record."""
    return _CLOSE.pack(serial, time, position)


def expire_payload(serial: int, time: int, seconds: int) -> bytes:
    """Return the payload of an EXPIRE record."""
    return _EXPIRE.pack(serial, time, seconds)


def decode(type_: int, payload: bytes) -> Record | Continued:
    """Return the record that a payload, already checked, stands for."""
    if type_ == CREATE:
        serial, time, rate, channels, depth = _CREATE.unpack_from(payload)
        return Created(serial, time, rate, channels, depth, payload[_CREATE.size :].decode())
    if type_ == APPEND:
        return Appended(*_APPEND.unpack(payload))
    if type_ == APPEND_PCM:
        fields = (*_APPEND.unpack_from(payload), payload[_APPEND.size :])
        return Appended(*fields)
    if type_ == CLOSE:
        return Closed(*_CLOSE.unpack(payload))
    if type_ == OPEN:
        return Opened(*_SERIAL_TIME.unpack(payload))
    if type_ == DELETE:
        return Deleted(*_SERIAL_TIME.unpack(payload))
    if type_ == EXPIRE:
        return Expires(*_EXPIRE.unpack(payload))
    if type_ == NEXT:
        return Continued(*_NEXT.unpack(payload))
    raise ValueError(f"there is no record type {type_}")
