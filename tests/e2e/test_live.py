"""Live listening to a real server, by both clients."""

import contextlib
import itertools
import time

import numpy as np
import pytest

from racs import AsyncRacs, Racs, RacsServerError, RacsTypeError
from tests.e2e.daemon import Daemon

NOISE = np.random.default_rng(1).integers(-32768, 32768, 2 * 8000, dtype=np.int32)


def made(r: Racs, *ids: str) -> None:
    for name in ids:
        r.pipeline().create(name, 8000, 2, 16).execute()


def test_a_stream_is_followed_from_its_begin_to_its_end(daemon: Daemon) -> None:
    with daemon.client() as r, daemon.client(timeout=0.5) as listener:
        made(r, "mic")
        r.pipeline().open("mic").execute()
        r.stream("mic", pcm_data=NOISE[:2000])
        blocks = listener.follow("mic", 0.0, until_closed=True)
        first = next(blocks)
        assert (first.start, first.missed) == (0, 0)
        heard = [first.samples]
        for start in range(2000, len(NOISE), 2000):
            r.stream("mic", pcm_data=NOISE[start : start + 2000])
            told = time.monotonic()
            block = next(blocks)
            assert time.monotonic() - told < 5
            assert block.start == start // 2
            assert block.frames == len(block.samples) // 2
            heard.append(block.samples)
        r.pipeline().close("mic").execute()
        assert list(blocks) == []
        assert np.array_equal(np.concatenate(heard), NOISE)
        assert listener.statistics().own == 0


def test_events_come_in_order_and_can_be_resumed(daemon: Daemon) -> None:
    with daemon.client() as r:
        events = r.subscribe("a*")
        ready = next(events)
        assert ready.kind == "ready"
        made(r, "a1", "b", "a2")
        r.stream("a1").execute(NOISE)
        r.pipeline().delete("a2").execute()
        seen = list(itertools.islice(events, 6))
        kinds = {name: [e.kind for e in seen if e.stream_id == name] for name in ("a1", "a2")}
        assert kinds["a2"] == ["created", "deleted"]
        assert kinds["a1"][:2] == ["created", "opened"]
        assert kinds["a1"][-1] == "closed"
        appended = [e for e in seen if e.kind == "appended"]
        assert (appended[0].start, appended[-1].stop) == (0, 8000)
        again = r.subscribe("a*", seen[1].number)
        assert next(again).kind == "ready"
        assert next(again) == seen[2]


async def test_async_feeds(daemon: Daemon) -> None:
    with daemon.client() as r:
        made(r, "mic")
        r.stream("mic").execute(NOISE)
    async with AsyncRacs("127.0.0.1", daemon.port) as ar:
        heard = [b.samples async for b in ar.follow("mic", 0.5, until_closed=True)]
        assert np.array_equal(np.concatenate(heard), NOISE[8000:])
        async with contextlib.aclosing(ar.subscribe()) as events:
            assert (await anext(events)).kind == "ready"
            await ar.pipeline().create("new", 8000, 1, 16).execute()
            assert (await anext(events)).stream_id == "new"
        assert ar.statistics().own == 0


def test_a_feed_on_what_is_not_there_or_was_deleted_is_an_error(daemon: Daemon) -> None:
    with daemon.client() as r:
        with pytest.raises(RacsServerError, match="there is no stream 'mic'"):
            next(r.follow("mic"))
        with pytest.raises(RacsTypeError, match="frm must be a datetime"):
            r.follow("mic", "yesterday")  # type: ignore[arg-type]


def test_a_server_that_ends_ends_its_feeds(daemon: Daemon) -> None:
    with daemon.client() as r:
        events = r.subscribe()
        next(events)
        assert daemon.stop() == 0
        with pytest.raises(ConnectionError):
            list(events)
