r"""Replies: one msgpack array each, a type name and then the value.

=================================== ============================ =====================
type                                msgpack value                Python value
=================================== ============================ =====================
``null``                            nothing follows              `None`
``bool`` ``int`` ``float`` ``string`` one value                  the same
``list``                            the elements follow          `list`
``u8v`` ``s16v`` ``s32v`` ...       bin, little-endian elements  `Vector`
``error``                           str                          `ReplyError` raised
=================================== ============================ =====================

Worked example: the reply ``PONG`` is ``92 a6 string a4 PONG``, sample values 1 and -1 are
``92 a4 s32v c4 08 01 00 00 00 ff ff ff ff``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from racs.wire.errors import WireError
from racs.wire.events import Buffer
from racs.wire.frames import bin_head

VECTOR_DTYPES = {
    "u8v": "<u1",
    "s8v": "<i1",
    "s16v": "<i2",
    "u16v": "<u2",
    "s32v": "<i4",
    "u32v": "<u4",
    "f32v": "<f4",
    "c64v": "<c8",
}
"""Vector type names and the numpy dtype of their elements."""

MAX_BIN = 2**32 - 1
"""The longest msgpack bin, in bytes."""

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder().decode
_decode_vector = msgspec.msgpack.Decoder(tuple[str, memoryview]).decode
_FIXSTR = 0xA0
_ARRAY_HEADS = dict.fromkeys(range(0x91, 0xA0), 1) | {0xDC: 3, 0xDD: 5}
"""First byte of a msgpack array and how many bytes its head has; an empty one is no reply."""
_SCALARS = {bool: "bool", int: "int", float: "float", str: "string"}
_ELEMENTS = {*_SCALARS, type(None)}


class Vector(msgspec.Struct, frozen=True):
    """A uniform vector: a key of `VECTOR_DTYPES` and the bytes of its elements."""

    type: str
    data: Buffer


class ReplyError(Exception):
    """The reply was an ``error``; the message is the server's text."""


Value = None | bool | int | float | str | Sequence[Any] | Vector


def encode_reply(value: Value) -> bytes:
    """Return the reply message for a value, with its length prefix.

    Raises
    ------
    OverflowError
        An integer does not fit into 64 bits, signed.
    """
    if value is None:
        body = b"\x91\xa4null"
    elif isinstance(value, Vector):
        return vector_head(value.type, len(value.data)) + value.data
    elif isinstance(value, list | tuple):
        body = _encode(["list", *value])
    elif type(value) is int and not -(2**63) <= value < 2**63:
        raise OverflowError(f"{value} does not fit into the 64 bits of an int reply")
    else:
        body = _encode((_SCALARS[type(value)], value))
    return len(body).to_bytes(8, "little") + body


def encode_error(text: str) -> bytes:
    """Return the ``error`` reply message, with its length prefix."""
    body = _encode(("error", text))
    return len(body).to_bytes(8, "little") + body


def vector_head(type_: str, size: int) -> bytes:
    """Return all of a vector's reply message that comes before its elements.

    Parameters
    ----------
    type_
        A key of `VECTOR_DTYPES`.
    size
        How many bytes of elements will follow, at most `MAX_BIN`.
    """
    head = b"\x92" + _encode(type_) + bin_head(size)
    return (len(head) + size).to_bytes(8, "little") + head


VECTOR_HEAD = 11
"""The most bytes that come before a vector's elements."""


class VectorStart(msgspec.Struct, frozen=True):
    """What the head of a vector's reply says: the type, and how many bytes of elements follow."""

    type: str
    size: int


class NotAVector(WireError):
    """A reply that is something else than a vector."""


def parse_vector_head(head: Buffer, length: int) -> VectorStart:
    """Read the first bytes of a reply as the head of a vector; the inverse of `vector_head`.

    Parameters
    ----------
    head
        The first `VECTOR_HEAD` bytes, or all if there are fewer.
    length
        The whole reply's length.

    Raises
    ------
    NotAVector
        The reply is something else.
    """
    for name in VECTOR_DTYPES:
        start = b"\x92" + _encode(name)
        if bytes(head[: len(start)]) == start:
            for marker, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4)):
                if head[len(start) : len(start) + 1] == bytes([marker]):
                    at = len(start) + 1
                    size = int.from_bytes(head[at : at + width], "big")
                    if at + width + size == length:
                        return VectorStart(name, size)
    raise NotAVector("the reply is no vector")


def decode_reply(payload: Buffer) -> Value:
    """Unpack a reply; a `Vector`'s data is a view of the payload.

    Raises
    ------
    ReplyError
        The server answered with an error.
    WireError
        The bytes are not a reply.
    """
    values: list[Any]
    try:
        kind = _kind(payload)
        if kind in VECTOR_DTYPES:
            return _vector(*_decode_vector(payload))
        _, *values = _decode(payload)
    except WireError:
        raise
    except (msgspec.MsgspecError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise WireError(
            f"a reply that is no msgpack array of a type and a value: {error}"
        ) from None
    if kind == "list":
        if strange := set(map(type, values)) - _ELEMENTS:
            raise WireError(
                f"a list with a {strange.pop().__name__} in it, where only booleans, numbers and"
                " texts can be"
            )
        return values
    if kind == "null" and not values:
        return None
    if len(values) == 1:
        value: object = values[0]
        if kind == "error" and isinstance(value, str):
            raise ReplyError(value)
        if kind == "float" and type(value) is int:
            return float(value)
        if isinstance(value, bool | int | float | str) and _SCALARS[type(value)] == kind:
            return value
    raise WireError(f"a reply of type {kind!r} with {len(values)} values that do not fit it")


def _vector(type_: str, data: memoryview) -> Vector:
    size = int(VECTOR_DTYPES[type_][2])
    if len(data) % size:
        raise WireError(f"a {type_} of {len(data)} bytes, whose elements have {size} bytes each")
    return Vector(type_, data)


def _kind(payload: Buffer) -> str:
    """Return the type name, read without unpacking what follows it."""
    start = _ARRAY_HEADS.get(payload[0])
    if start is None:
        raise WireError(f"the reply starts with {payload[0]:#04x}, which begins no array")
    if not _FIXSTR <= payload[start] < _FIXSTR + 32:
        raise WireError("the first element of the array is no short string")
    return bytes(payload[start + 1 : start + 1 + payload[start] - _FIXSTR]).decode()
