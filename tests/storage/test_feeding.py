"""Audio from the server itself: its session, its turn, what else may append meanwhile."""

from collections.abc import Iterator

import pytest

from racs_server.errors import StreamError
from racs_server.storage import Durability
from tests.storage.helpers import BOB, MONO, Clock, make_open, noise, read, send, start


@pytest.mark.parametrize("durability", list(Durability))
def test_what_is_fed_is_in_the_stream(durability: Durability) -> None:
    store = start(durability=durability)
    make_open(store, "a")
    pcm = noise(100_000)
    assert store.feed("a", iter([pcm[:2000], pcm[2000:60_000]])) == 60_000
    assert store.feed("a", [pcm[60_000:]]) == 40_000
    assert store.feed("a", []) == 0
    assert read(store, "a") == pcm
    store.close_stream("a")
    assert [session.first for session in store.sessions("a")] == [0]


def test_only_an_open_stream_is_fed() -> None:
    store = start()
    with pytest.raises(StreamError):
        store.feed("a", [])
    store.create("a", MONO)
    with pytest.raises(StreamError, match="'a' is not open: OPEN it first"):
        store.feed("a", [b"ab"])


def test_a_stream_has_one_sender() -> None:
    store = start()
    make_open(store, "a", "b")
    send(store, "a", b"abcd")
    with pytest.raises(StreamError, match=r"in use\. 'a' takes audio from another session"):
        store.feed("a", [b"ef"])
    store.feed("b", [b"ab"])
    with pytest.raises(StreamError, match="in use"):
        send(store, "b", b"cd")
    store.close_stream("b")
    store.open_stream("b")
    send(store, "b", b"cd", BOB)
    assert read(store, "b") == b"abcd"


def test_a_feed_of_nothing_leaves_the_stream_to_others() -> None:
    store = start()
    make_open(store, "a")
    assert store.feed("a", []) == 0
    send(store, "a", b"ab")


def test_one_feed_at_a_time() -> None:
    store = start()
    make_open(store, "a")

    def meanwhile() -> Iterator[bytes]:
        yield b"ab"
        with pytest.raises(StreamError, match="Another pipe is appending to 'a'"):
            store.feed("a", [b"xx"])
        yield b"cd"

    store.feed("a", meanwhile())
    assert read(store, "a") == b"abcd"


def test_a_feed_ends_with_its_opening() -> None:
    store = start()
    make_open(store, "a")

    def meanwhile() -> Iterator[bytes]:
        yield b"ab"
        store.close_stream("a")
        store.open_stream("a")
        yield b"cd"

    with pytest.raises(StreamError, match="'a' was closed while a pipe fed it"):
        store.feed("a", meanwhile())
    send(store, "a", b"ef", BOB)
    assert read(store, "a") == b"abef"


def test_after_a_lapse_the_next_opening_can_be_fed() -> None:
    clock = Clock()
    store = start(clock=clock)
    make_open(store, "a")
    store.feed("a", [b"ab"])
    clock.turn(31)
    assert store.lapse() == ["a"]
    store.open_stream("a")
    store.feed("a", [b"cd"])
    assert read(store, "a") == b"abcd"
