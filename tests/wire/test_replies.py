"""Replies: the bytes of each type, and what becomes of bytes that are none."""

import math
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs.wire import Vector, WireError, decode_reply, encode_reply, vector_head
from racs.wire.replies import VECTOR_DTYPES, ReplyError, Value, encode_error

from .feeding import message

BODIES: dict[str, tuple[Value, bytes]] = {
    "null": (None, b"\x91\xa4null"),
    "true": (True, b"\x92\xa4bool\xc3"),
    "false": (False, b"\x92\xa4bool\xc2"),
    "int": (44_100, b"\x92\xa3int\xcd\xac\x44"),
    "zero": (0, b"\x92\xa3int\x00"),
    "negative": (-1, b"\x92\xa3int\xff"),
    "smallest": (-(2**63), b"\x92\xa3int\xd3\x80\0\0\0\0\0\0\0"),
    "largest": (2**63 - 1, b"\x92\xa3int\xcf\x7f" + b"\xff" * 7),
    "float": (1.5, b"\x92\xa5float\xcb\x3f\xf8\0\0\0\0\0\0"),
    "string": ("PONG", b"\x92\xa6string\xa4PONG"),
    "list": (["a", 1], b"\x93\xa4list\xa1a\x01"),
    "empty list": ([], b"\x91\xa4list"),
    "s32v": (
        Vector("s32v", b"\1\0\0\0\xff\xff\xff\xff"),
        b"\x92\xa4s32v\xc4\x08\1\0\0\0\xff\xff\xff\xff",
    ),
    "u8v": (Vector("u8v", b"RIFF"), b"\x92\xa3u8v\xc4\x04RIFF"),
    "empty": (Vector("s16v", b""), b"\x92\xa4s16v\xc4\x00"),
}
each_body = pytest.mark.parametrize(("value", "body"), BODIES.values(), ids=BODIES.keys())


@each_body
def test_bytes_of_each_type(value: Value, body: bytes) -> None:
    assert encode_reply(value) == message(body)
    assert decode_reply(memoryview(body)) == value
    assert type(decode_reply(body)) is type(value)


def test_error() -> None:
    body = b"\x92\xa5error\xb5Unknown command: NOPE"
    assert encode_error("Unknown command: NOPE") == message(body)
    with pytest.raises(ReplyError, match=r"^Unknown command: NOPE$"):
        decode_reply(body)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_int_that_does_not_fit(number: int) -> None:
    with pytest.raises(OverflowError, match=str(number)):
        encode_reply(number)


@pytest.mark.parametrize("kind", VECTOR_DTYPES)
@pytest.mark.parametrize("size", [0, 248, 256, 65_528, 65_536])
def test_vectors_of_every_type(kind: str, size: int) -> None:
    data = bytes(size)
    reply = encode_reply(Vector(kind, data))
    assert reply == vector_head(kind, size) + data
    assert reply == message(msgspec.msgpack.encode([kind, data]))
    assert decode_reply(memoryview(reply)[8:]) == Vector(kind, data)


def test_head_of_the_longest_vector() -> None:
    head = vector_head("s32v", 2**32 - 1)
    assert head == (2**32 - 1 + 11).to_bytes(8, "little") + b"\x92\xa4s32v\xc6\xff\xff\xff\xff"


def test_vector_is_a_view() -> None:
    buffer = bytearray(b"\x92\xa4s16v\xc4\x02\1\0")
    vector = decode_reply(memoryview(buffer))
    buffer[-2] = 9
    assert isinstance(vector, Vector)
    assert np.frombuffer(vector.data, "<i2").tolist() == [9]


def test_whole_number_sent_as_float_type() -> None:
    value = decode_reply(b"\x92\xa5float\x03")
    assert value == 3.0
    assert isinstance(value, float)


def test_other_heads_of_the_array() -> None:
    assert decode_reply(b"\xdc\0\2\xa6string\xa4PONG") == "PONG"
    assert decode_reply(b"\xdd\0\0\0\1\xa4null") is None


NO_REPLIES = {
    "nothing": b"",
    "empty array": b"\x90",
    "no array": b"\xa4null",
    "a map": b"\x81\xa4null\xc0",
    "array cut": b"\x92\xa3int",
    "head cut": b"\xdc\0",
    "bytes after": b"\x91\xa4null\0",
    "unknown type": b"\x92\xa4what\x01",
    "type is no text": b"\x92\x01\x02",
    "type is no UTF-8": b"\x92\xa4\xff\xff\xff\xff\x01",
    "null with a value": b"\x92\xa4null\x01",
    "int with none": b"\x91\xa3int",
    "int with two": b"\x93\xa3int\1\2",
    "int with a text": b"\x92\xa3int\xa11",
    "bool as int": b"\x92\xa3int\xc3",
    "error with an int": b"\x92\xa5error\5",
    "vector with a text": b"\x92\xa3u8v\xa2ab",
    "vector with two": b"\x93\xa3u8v\xc4\1a\xc4\1b",
    "vector cut in an element": b"\x92\xa4s32v\xc4\3abc",
    "vector cut": b"\x92\xa4s32v\xc4\4abc",
    "endless nesting of arrays": b"\x92\xa4list" + b"\x91" * 100_000,
    "endless nesting of maps": b"\x92\xa4list" + b"\x81" * 100_000,
    "list with an extension": b"\x92\xa4list\xd4\x01a",
    "list with bytes": b"\x92\xa4list\xc4\1a",
    "list in a list": b"\x92\xa4list\x91\1",
    "list with a broken text": b"\x92\xa4list\xa2\xff\xff",
}


@pytest.mark.parametrize("body", NO_REPLIES.values(), ids=NO_REPLIES.keys())
def test_no_reply(body: bytes) -> None:
    with pytest.raises(WireError):
        decode_reply(memoryview(body))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
)


@given(st.one_of(scalars, st.lists(scalars)))
def test_what_is_encoded_comes_back(value: Value) -> None:
    reply = encode_reply(value)
    assert int.from_bytes(reply[:8], "little") == len(reply) - 8
    found = decode_reply(memoryview(reply)[8:])
    assert found == value
    assert type(found) is type(value)


def test_nan_comes_back() -> None:
    found = decode_reply(encode_reply(math.nan)[8:])
    assert isinstance(found, float)
    assert math.isnan(found)


@given(st.sampled_from(sorted(VECTOR_DTYPES)), st.binary(max_size=2000))
def test_vectors_come_back(kind: str, data: bytes) -> None:
    whole = data[: len(data) // 8 * 8]
    assert decode_reply(encode_reply(Vector(kind, whole))[8:]) == Vector(kind, whole)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_reply_or_a_wire_error(data: bytes) -> None:
    for body in (data, b"\x92" + data, b"\x92\xa4s32v" + data, b"\x93\xa4list" + data):
        try:
            decode_reply(memoryview(body))
        except (WireError, ReplyError):
            continue


@given(st.text())
def test_error_texts_come_back(text: str) -> None:
    with pytest.raises(ReplyError) as caught:
        decode_reply(encode_error(text)[8:])
    assert str(caught.value) == text


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50))
def test_elements_are_little_endian(numbers: list[int]) -> None:
    data = struct.pack(f"<{len(numbers)}i", *numbers)
    found = decode_reply(encode_reply(Vector("s32v", data))[8:])
    assert isinstance(found, Vector)
    assert np.frombuffer(found.data, VECTOR_DTYPES["s32v"]).tolist() == numbers
