"""What the store tells a listener."""

import pytest

from racs_server.errors import StreamError
from racs_server.values import Kind, StreamEvent
from tests.storage.helpers import BOB, MONO, Clock, frame, make_open, send, start


def test_every_step_of_a_life_is_told() -> None:
    heard: list[StreamEvent] = []
    clock = Clock()
    store = start(clock=clock, notify=heard.append)
    make_open(store, "a")
    send(store, "a", bytes(2 * 10))
    send(store, "a", bytes(2 * 5))
    clock.turn(1)
    store.close_stream("a")
    store.delete("a")
    assert heard == [
        StreamEvent(Kind.CREATED, "a", clock.wall - 1000, 0, 0),
        StreamEvent(Kind.OPENED, "a", clock.wall - 1000, 0, 0),
        StreamEvent(Kind.APPENDED, "a", clock.wall - 1000, 0, 10),
        StreamEvent(Kind.APPENDED, "a", clock.wall - 1000, 10, 15),
        StreamEvent(Kind.CLOSED, "a", clock.wall, 15, 15),
        StreamEvent(Kind.DELETED, "a", clock.wall, 15, 15),
    ]


def test_a_stream_that_was_given_up_is_told_as_closed_and_one_whose_time_is_over_as_expired() -> (
    None
):
    heard: list[StreamEvent] = []
    clock = Clock()
    store = start(clock=clock, notify=heard.append)
    make_open(store, "a")
    store.expire("a", 60)
    clock.turn(31)
    store.lapse()
    clock.turn(60)
    store.delete_expired()
    assert [event.kind for event in heard[2:]] == [Kind.CLOSED, Kind.EXPIRED]


def test_a_message_for_several_streams_is_told_for_each() -> None:
    heard: list[StreamEvent] = []
    store = start(notify=heard.append)
    make_open(store, "a", "b")
    store.append([frame("a", b"1234"), frame("b", b"12", BOB), frame("a", b"56")])
    told = {event.stream_id: event for event in heard if event.kind is Kind.APPENDED}
    assert (told["a"].start, told["a"].stop) == (0, 3)
    assert (told["b"].start, told["b"].stop) == (0, 1)


def test_what_was_refused_is_not_told() -> None:
    heard: list[StreamEvent] = []
    store = start(notify=heard.append)
    store.create("a", MONO)
    with pytest.raises(StreamError):
        send(store, "a", b"12")
    assert [event.kind for event in heard] == [Kind.CREATED]
