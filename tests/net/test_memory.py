"""One budget for all connections: what is large waits or is refused, what is small goes on."""

import platform
from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.testing

from racs.wire import Vector, encode_command, encode_frame, encode_single, stream_hash
from racs.wire.connection import SERVER_BUFFER
from racs.wire.replies import ReplyError
from racs_server.errors import LimitError
from racs_server.net import Budget, Connection, Services
from racs_server.net.memory import PATIENCE, RETURN_EVERY, Lease, find_trim, return_memory
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.net.conftest import MemoryTransport

MIB = 1 << 20
Connect = Callable[..., tuple[MemoryTransport, Connection]]


@pytest.fixture
def budget() -> Budget:
    return Budget(4 * MIB)


@pytest.fixture
def services(services: Services, store: Store, budget: Budget) -> Services:
    store.create("mic", AudioFormat(8000, 1, 16))
    store.open_stream("mic")
    return msgspec.structs.replace(services, budget=budget)


def batch(pcm: int = 3 * MIB) -> bytes:
    block = encode_frame(stream_hash("mic"), b"s" * 16, bytes(32 << 10))
    body = b"rsp" + msgspec.msgpack.encode([block] * (pcm // (32 << 10)))
    return len(body).to_bytes(8, "little") + body


def small() -> bytes:
    return encode_single(encode_frame(stream_hash("mic"), b"s" * 16, bytes(2000)))


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.01)


async def test_leases_are_given_in_order_and_no_more_than_there_is(budget: Budget) -> None:
    got = []

    async def take(size: int) -> None:
        await budget.take(size)
        got.append(size)

    async with trio.open_nursery() as nursery:
        for size in (3 * MIB, 4 * MIB, MIB):
            nursery.start_soon(take, size)
            await settle()
        assert got == [3 * MIB], "the last would fit, but may not overtake"
        budget.give(3 * MIB)
        await settle()
        assert got == [3 * MIB, 4 * MIB]
        budget.give(4 * MIB)
    assert got == [3 * MIB, 4 * MIB, MIB]
    assert budget.statistics() == {"total": 4 * MIB, "leased": MIB, "waiting": 0}


async def test_what_does_not_get_free_in_time_is_refused(
    budget: Budget, autojump_clock: trio.testing.MockClock
) -> None:
    await budget.take(4 * MIB)
    with pytest.raises(LimitError, match="try again later"):
        await budget.take(1)
    assert trio.current_time() == pytest.approx(PATIENCE)
    with pytest.raises(LimitError, match="setting memory_budget"):
        await budget.take(5 * MIB)
    budget.give(4 * MIB)
    assert budget.statistics() == {"total": 4 * MIB, "leased": 0, "waiting": 0}


@pytest.mark.parametrize("given_first", [False, True])
async def test_who_stops_waiting_keeps_nothing(budget: Budget, *, given_first: bool) -> None:
    await budget.take(4 * MIB)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(budget.take, 2 * MIB)
        await settle()
        if given_first:
            budget.give(4 * MIB)
        nursery.cancel_scope.cancel()
        if not given_first:
            await trio.lowlevel.cancel_shielded_checkpoint()
            budget.give(4 * MIB)
    leased = budget.statistics()["leased"]
    # given before it was cancelled: then it has it
    assert leased == (2 * MIB if given_first else 0)
    assert not budget.waiting


async def test_a_lease_is_given_back(budget: Budget) -> None:
    with Lease(budget, free=MIB) as lease:
        await lease.grow(MIB)
        assert not lease.is_large
        await lease.grow(3 * MIB)
        assert budget.statistics()["leased"] == 2 * MIB
    assert lease.size == MIB
    assert budget.statistics()["leased"] == 0


async def test_a_large_message_waits_and_small_ones_do_not(
    connect: Connect, budget: Budget, store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    await budget.take(4 * MIB)
    large, connection = connect()
    other, _ = connect()
    large.client_sends(batch())
    await settle()
    taken = len(large._incoming)
    assert taken > 2 * MIB, "it is not read from"
    other.client_sends(small() + encode_command("PING"))
    await settle()
    assert other.replies() == [None, "PONG"]
    await trio.sleep(PATIENCE - 1)
    connection.check(trio.current_time() + 10**6)
    assert large.replies() == []
    budget.give(4 * MIB)
    await settle()
    assert large.replies() == [None]
    assert store.info("mic").frames == (3 * MIB + 2000) // 2


async def test_one_that_waits_in_vain_is_refused_and_the_connection_lives_on(
    connect: Connect, budget: Budget, store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    await budget.take(4 * MIB)
    client, _ = connect()
    client.client_sends(batch() + encode_command("PING"))
    await trio.sleep(PATIENCE + 1)
    error, pong = client.replies()
    assert "try again later" in str(error)
    assert pong == "PONG"
    assert store.info("mic").frames == 0
    budget.give(4 * MIB)
    client.client_sends(batch())
    await settle()
    assert client.replies()[2:] == [None]


async def test_a_large_buffer_is_given_back_when_its_connection_is_idle(
    connect: Connect, budget: Budget
) -> None:
    client, connection = connect()
    client.client_sends(batch())
    await settle()
    assert budget.statistics()["leased"] > MIB
    connection.check(trio.current_time())
    assert budget.statistics()["leased"] > MIB, "it may go on in a moment"
    connection.check(trio.current_time())
    assert budget.statistics()["leased"] == 0
    assert not any(connection._inbox._wire._buffer[: 64 << 10]), "its pages are gone"
    client.client_sends(small())
    await settle()
    assert connection._inbox._wire.size == SERVER_BUFFER
    assert client.replies() == [None, None]


async def test_while_others_wait_it_is_given_back_at_once(connect: Connect, budget: Budget) -> None:
    one, _ = connect()
    two, _ = connect()
    for _ in range(5):
        for client in (one, two):
            client.client_sends(batch())
        await settle()
    assert one.replies() == two.replies() == [None] * 5


@pytest.mark.parametrize("how", ["half a message", "a reply that is not read"])
async def test_who_stalls_on_memory_that_others_wait_for_is_given_up(
    connect: Connect,
    budget: Budget,
    store: Store,
    autojump_clock: trio.testing.MockClock,
    how: str,
) -> None:
    store.attach("mic", "noise", bytes(3 * MIB))
    stalled, connection = connect(1000)
    if how == "half a message":
        stalled.client_sends(batch()[:1000])
        await settle()
    else:
        budget.total = 256 * MIB
        stalled.client_sends(encode_command("ATTACHMENT 'mic' 'noise'"))
        while not stalled.sent:
            await settle()
        budget.total = 4 * MIB
    assert budget.statistics()["leased"] > 2 * MIB
    await trio.sleep(6)
    connection.check(trio.current_time())
    await settle()
    assert not stalled.is_closed(), "nobody waits"
    other, _ = connect()
    other.client_sends(batch())
    await settle()
    connection.check(trio.current_time())
    await trio.sleep(2)
    assert other.replies() == [None]
    assert stalled.is_closed()


async def test_a_large_reply_is_whole_and_its_memory_is_given_back(
    connect: Connect, budget: Budget, store: Store
) -> None:
    budget.total = 256 * MIB
    contents = bytes(range(256)) * 4 * 1024
    store.attach("mic", "noise", contents)
    client, _ = connect()
    client.client_sends(encode_command("PING |> ATTACHMENT 'mic' 'noise'") + encode_command("PING"))
    with trio.fail_after(10):
        while len(client.replies()) < 2:
            await settle()
    assert client.replies() == [Vector("u8v", contents), "PONG"]
    assert budget.statistics()["leased"] == 0


async def test_a_file_that_there_is_no_memory_for_is_refused(
    connect: Connect, budget: Budget, store: Store
) -> None:
    store.attach("mic", "note", b"small")
    client, _ = connect()
    client.client_sends(encode_command("ATTACHMENT 'mic' 'note'"))
    await settle()
    (error,) = client.replies()
    assert isinstance(error, ReplyError)
    assert "memory_budget" in str(error)


async def test_what_was_given_back_is_returned_to_the_system() -> None:
    budget, returned = Budget(512 * MIB), list[int]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(return_memory, budget, returned.append)
        with Lease(budget) as large, Lease(budget) as small:
            await large.grow(100 * MIB)
            await small.grow(2 * MIB)
            await trio.sleep(3 * RETURN_EVERY)
            assert not returned, "all of it is in use"
            small.shrink(0)
            await trio.sleep(3 * RETURN_EVERY)
            assert not returned, "it is not worth it"
        await trio.sleep(3 * RETURN_EVERY)
        assert returned == [0, 0]
        nursery.cancel_scope.cancel()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries do without")
def test_the_system_takes_memory() -> None:
    trim = find_trim()
    assert trim is not None
    trim(0)
