"""Open leases: a sender that died does not keep its stream; waking up does not get it back.

And, since it is the same kind of background task: the deletion of streams whose time is over.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from racs.wire.replies import ReplyError
from racs_server.app import expire, lapse
from racs_server.config import Settings
from racs_server.storage import Store
from tests.net.memory import Client, audio, connected
from tests.storage.helpers import ALICE, BOB, MONO, START, make_open, noise, read
from tests.storage.simulated import SimulatedDisk

LEASE = Settings().lease


class LoopClock:
    """The event loop's clock, for the store."""

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock

    def wall_ms(self) -> int:
        return START + round(self._clock.current_time() * 1000)

    def monotonic(self) -> float:
        return self._clock.current_time()


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do blocking work at once: a clock that jumps would not wait for a thread."""

    async def run_sync(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


@asynccontextmanager
async def two_senders(
    clock: trio.testing.MockClock,
) -> AsyncIterator[tuple[Store, Client, Client]]:
    """A store with the open stream ``a``, its background task, and two connections."""
    store = Store(SimulatedDisk(), LoopClock(clock))
    make_open(store, "a")
    async with connected(store) as alice, connected(store) as bob, trio.open_nursery() as nursery:
        nursery.start_soon(lapse, store, Settings())
        yield store, alice, bob
        nursery.cancel_scope.cancel()


async def send(client: Client, pcm: bytes, session: bytes) -> str | None:
    """Send a block; return the error, if it was refused."""
    await client.send(audio("a", pcm, session))
    reply = await client.reply()
    return str(reply) if isinstance(reply, ReplyError) else None


async def test_a_dead_senders_stream_can_be_taken_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with two_senders(autojump_clock) as (store, alice, bob):
        first, second = noise(20, 1), noise(20, 2)
        assert await send(alice, first, ALICE) is None
        assert "takes audio from session" in str(await send(bob, second, BOB))
        assert "already open" in str(await bob.ask("OPEN 'a'"))
        await trio.sleep(LEASE - 2)
        assert "already open" in str(await bob.ask("OPEN 'a'"))
        await trio.sleep(4)
        assert await bob.ask("OPEN 'a'") is None
        # Alice wakes up before Bob has sent: she must not tie the stream to herself again.
        assert "The lease of session" in str(await send(alice, noise(20, 3), ALICE))
        assert await send(bob, second, BOB) is None
        assert "Stream is closed or currently in use." in str(await send(alice, first, ALICE))
        assert await bob.ask("CLOSE 'a'") is None
        assert read(store, "a") == first + second
        assert await alice.ask("OPEN 'a'") is None
        assert await send(alice, first, ALICE) is None


@pytest.mark.parametrize("block", [b"", b"12"])
async def test_every_block_renews_the_lease_an_empty_one_too(
    autojump_clock: trio.testing.MockClock, block: bytes
) -> None:
    async with two_senders(autojump_clock) as (store, alice, _):
        for _ in range(5):
            assert await send(alice, block, ALICE) is None
            await trio.sleep(LEASE - 2)
        assert store.info("a").is_open
        await trio.sleep(4)
        assert not store.info("a").is_open


async def test_a_stream_that_nobody_sent_to_lapses_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with two_senders(autojump_clock) as (store, alice, bob):
        await trio.sleep(LEASE + 2)
        assert not store.info("a").is_open
        assert await bob.ask("OPEN 'a'") is None
        assert await send(alice, b"12", ALICE) is None


async def test_what_a_lapsed_sender_had_acknowledged_is_kept_and_durable(
    autojump_clock: trio.testing.MockClock,
) -> None:
    disk = SimulatedDisk()
    store = Store(disk, LoopClock(autojump_clock))
    make_open(store, "a")
    async with connected(store) as alice, trio.open_nursery() as nursery:
        nursery.start_soon(lapse, store, Settings())
        assert await send(alice, pcm := noise(20), ALICE) is None
        await trio.sleep(LEASE + 2)
        nursery.cancel_scope.cancel()
    disk.crash(keep="none")
    assert read(Store(disk, LoopClock(autojump_clock)), "a") == pcm


async def test_a_stream_with_a_time_to_live_goes_within_a_minute_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = Store(SimulatedDisk(), LoopClock(autojump_clock))
    for stream_id in ("a", "open"):
        store.create(stream_id, MONO)
        store.expire(stream_id, 3600)
    store.open_stream("open")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expire, store)
        await trio.sleep(3599)
        assert sorted(store.ids()) == ["a", "open"]
        await trio.sleep(61)
        assert store.ids() == ["open"]
        await trio.sleep(10_000)
        assert store.ids() == ["open"]
        store.close_stream("open")
        await trio.sleep(60)
        assert store.ids() == []
        nursery.cancel_scope.cancel()
