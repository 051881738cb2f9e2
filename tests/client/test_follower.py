"""What a follower makes of the replies that the server sends."""

from collections.abc import Generator, Iterator
from typing import Any, cast

import numpy as np

from racs.connection import Connection
from racs.live import Follower, LiveBlock


class Replies:
    """A connection on which these replies come."""

    def __init__(self, *replies: Any) -> None:
        self._replies = iter(replies)

    def receive(self, *, unasked: bool) -> Generator[None, None, Any]:
        assert unasked
        yield from ()
        return next(self._replies)


def follow(*replies: Any, until_closed: bool) -> Iterator[LiveBlock]:
    follower = Follower(cast("Connection", Replies(*replies)), until_closed=until_closed)
    while True:
        try:
            next(follower.next())
        except StopIteration as end:
            if end.value is None:
                return
            yield end.value


SAMPLES = np.arange(5, dtype=np.int32)


def told(*replies: Any, until_closed: bool = True) -> list[tuple[int, int, int]]:
    blocks = follow(*replies, until_closed=until_closed)
    return [(each.start, each.frames, each.missed) for each in blocks]


def test_what_was_missed_is_told_with_the_next_audio() -> None:
    replies = (["opened", 0], ["missed", 0, 7], ["missed", 7, 2], ["audio", 9, 5], SAMPLES)
    assert told(*replies, ["closed", 14]) == [(9, 5, 9)]


def test_what_was_missed_last_is_told_when_the_stream_is_closed() -> None:
    replies = (["opened", 0], ["audio", 0, 5], SAMPLES, ["missed", 5, 7], ["closed", 12])
    assert told(*replies) == [(0, 5, 0), (12, 0, 7)]
    again = (*replies, ["opened", 12], ["audio", 12, 5], SAMPLES)
    blocks = follow(*again, until_closed=False)
    assert [next(blocks).missed for _ in range(3)] == [0, 7, 0]
