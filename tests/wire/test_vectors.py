"""Vectors taken piece by piece: every split of the bytes, and what is no vector."""

import pytest

from racs.wire import ClientConnection, NotAVector, Vector, decode_reply, encode_reply, vector_head
from racs.wire.replies import encode_error

PONG = encode_reply("PONG")
SIZES = [0, 4, 252, 256, 65_532, 65_536, 300_000]


def feed(wire: ClientConnection, data: bytes) -> None:
    while data:
        buffer = wire.get_buffer()
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        wire.received(count)
        data = data[count:]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_elements_come_in_order_and_the_next_reply_after_them(size: int, step: int) -> None:
    elements = bytes(i % 251 for i in range(size))
    data = encode_reply(Vector("s32v", elements)) + PONG
    wire = ClientConnection()
    start, taken, answers = None, bytearray(), []
    largest = 0
    for place in range(0, len(data), step):
        feed(wire, data[place : place + step])
        largest = max(largest, len(wire.get_buffer()))
        if start is None and (start := wire.begin_vector()) is None:
            continue
        while (piece := wire.take_elements(1000)) is not None:
            taken += piece
        if not wire.under_way and (event := wire.next_event()) is not None:
            answers.append(decode_reply(event.payload))
    assert start is not None
    assert (start.type, start.size) == ("s32v", size)
    assert taken == elements
    assert answers == ["PONG"]
    assert not wire.under_way
    assert wire.partial is None


def test_a_long_vector_takes_no_memory_of_its_length() -> None:
    wire = ClientConnection()
    feed(wire, vector_head("s32v", 2**32 - 4)[:9])
    assert wire.begin_vector() is None
    feed(wire, vector_head("s32v", 2**32 - 4)[9:])
    start = wire.begin_vector()
    assert start is not None
    assert start.size == 2**32 - 4
    assert len(wire.get_buffer()) < 1 << 20


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_another_reply_can_still_be_read(step: int) -> None:
    for data in (PONG, encode_error("there is no stream"), encode_reply(None)):
        wire = ClientConnection()
        event, vector = None, True
        for place in range(0, len(data), step):
            feed(wire, data[place : place + step])
            if vector:
                try:
                    assert wire.begin_vector() is None
                except NotAVector:
                    vector = False
            if not vector:
                event = wire.next_event()
        assert event is not None
        assert bytes(event.payload) == data[8:]


def test_a_length_that_does_not_fit_the_head() -> None:
    data = bytearray(encode_reply(Vector("s32v", bytes(400))))
    data[0] += 1
    wire = ClientConnection()
    feed(wire, bytes(data) + b"?")
    with pytest.raises(NotAVector):
        wire.begin_vector()
