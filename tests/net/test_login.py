"""Who is let in: AUTH, its limits and delays, and what changes of the users do to a connection."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from racs.wire import encode_command
from racs.wire.replies import ReplyError
from racs_server.access import Access, Login, UsersFile
from racs_server.app import open_store
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.net import Bus, Connection, GroupCommit, Guard, Services
from racs_server.net.guard import MAX_FAILURES, PATIENCE
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.access.users import TOKEN, access_to, some_users
from tests.net.memory import END, Client, MemoryTransport, audio

BEN, CORA = "AUTH 'ben' 'bens secret'", "AUTH 'cora' 'coras secret'"
WRONG = "AUTH 'ben' 'hush'"


@pytest.fixture
def bus() -> Bus:
    return Bus(0)


@pytest.fixture
async def store(tmp_path: Path, bus: Bus) -> AsyncIterator[Store]:
    opened = open_store(Settings(data_dir=tmp_path / "archive"), bus.notify)
    for stream_id in ("birds/wren", "calls/1"):
        opened.create(stream_id, AudioFormat(8000, 1, 16))
        opened.open_stream(stream_id)
    yield opened
    opened.close()


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(access_to(tmp_path / "users.json"))


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the work of threads be done at once: a clock that jumps knows nothing of them."""

    async def at_once(work: Callable[[], object], **_: object) -> object:
        await trio.lowlevel.checkpoint()
        return work()

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)


Connect = Callable[..., Client]


@asynccontextmanager
async def serving(store: Store, guard: Guard, bus: Bus | None = None) -> AsyncIterator[Connect]:
    bus = bus or Bus(0)
    services = Services(
        store,
        Executor(store, lambda: None),
        GroupCommit(store),
        Settings(),
        trio.CapacityLimiter(1),
        bus,
        guard,
    )
    async with trio.open_nursery() as nursery:

        def connect(address: str = "10.0.0.1") -> Client:
            client = Client()
            connection = Connection(MemoryTransport(client.incoming, client), services, address)
            nursery.start_soon(connection.run)
            nursery.start_soon(watch, connection)
            return client

        async def watch(connection: Connection) -> None:
            while True:
                await trio.sleep(1)
                connection.check(trio.current_time())

        nursery.start_soon(bus.run)
        yield connect
        nursery.cancel_scope.cancel()


def error(reply: object) -> str:
    assert isinstance(reply, ReplyError)
    return str(reply)


async def test_nothing_but_ping_before_auth(store: Store, guard: Guard) -> None:
    async with serving(store, guard) as connect:
        client = connect()
        assert await client.ask("PING") == "PONG"
        for text in ("LIST '*'", "HELP", "SHUTDOWN", "NONSENSE", "AUHT 'ben' 'hush'"):
            reply = error(await client.ask(text))
            assert "say first who you are, with AUTH" in reply
            assert "hush" not in reply
        await client.send(audio("birds/wren", b"\1\0"))
        assert "say first" in error(await client.reply())
        assert await client.ask(BEN) is None
        assert await client.ask("LIST '*'") == ["birds/wren", "calls/1"]
        assert store.info("birds/wren").frames == 0


async def test_a_caller_keeps_to_the_roles(store: Store, guard: Guard) -> None:
    async with serving(store, guard) as connect:
        ben, cora = connect(), connect()
        assert await ben.ask(f"AUTH '{TOKEN}'") is None
        assert await cora.ask(CORA) is None
        for client, stream_id, taken in (
            (ben, "birds/wren", True),
            (ben, "calls/1", False),
            (ben, "absent", False),
            (cora, "birds/wren", False),
        ):
            await client.send(audio(stream_id, b"\1\0"))
            reply = await client.reply()
            assert (reply is None) is taken
            if not taken:
                assert "has the role write" in error(reply)
                assert stream_id not in error(reply)
        assert await cora.ask("LIST '*'") == ["birds/wren"]
        assert "not allowed" in error(await ben.ask("DELETE 'birds/wren'"))
        # another AUTH makes another caller
        assert await ben.ask(CORA) is None
        await ben.send(audio("birds/wren", b"\1\0"))
        assert "has the role write" in error(await ben.reply())


async def test_a_large_message_before_auth_ends_the_connection(
    store: Store, guard: Guard, autojump_clock: trio.abc.Clock, no_threads: None
) -> None:
    async with serving(store, guard) as connect:
        client = connect()
        await client.send(audio("birds/wren", bytes(5000)))
        reply = error(await client.reply())
        assert "at most 4096" in reply
        assert "say first who you are" in reply
        await client.closed.wait()
        # what is sent behind an AUTH has its caller's limits
        client = connect()
        await client.send(encode_command(BEN), audio("birds/wren", bytes(5000)))
        assert [await client.reply(), await client.reply()] == [None, None]


async def test_who_does_not_say_who_they_are_is_closed(
    store: Store, guard: Guard, autojump_clock: trio.abc.Clock, no_threads: None
) -> None:
    async with serving(store, guard) as connect:
        start = trio.current_time()
        silent, known = connect(), connect()
        assert await known.ask(BEN) is None
        await silent.closed.wait()
        assert 30 <= trio.current_time() - start < 33
        assert "nobody said who they are within 30 s" in error(await silent.reply())
        await trio.sleep(100)
        assert await known.ask("PING") == "PONG"


async def test_wrong_attempts_wait_longer_each_time_and_end_the_connection(
    store: Store,
    guard: Guard,
    autojump_clock: trio.abc.Clock,
    no_threads: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(store, guard) as connect:
        client, other = connect(), connect("10.0.0.2")
        times = []
        await client.send(*[encode_command(WRONG)] * 1000)
        for _ in range(MAX_FAILURES):
            reply = error(await client.reply())
            assert "the user or the password is wrong" in reply
            assert "hush" not in reply
            times.append(trio.current_time())
            # nobody else waits
            before = trio.current_time()
            assert await other.ask(BEN) is None
            assert trio.current_time() == before
        assert "This connection is closed" in reply
        await client.closed.wait()
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert waits == pytest.approx([0.25, 0.5, 1, 2])
        # the same address goes on where it was
        again = connect()
        assert await again.ask(BEN) is None
        assert trio.current_time() - times[-1] >= 4 - 1.1
    assert "hush" not in caplog.text
    assert "secret" not in caplog.text


async def test_many_connections_of_one_address_try_no_faster_than_one(
    store: Store, guard: Guard, autojump_clock: trio.abc.Clock, no_threads: None
) -> None:
    async with serving(store, guard) as connect:
        start = trio.current_time()
        clients = [connect() for _ in range(50)]
        seen = 0
        for client in clients:
            await client.send(encode_command(WRONG))
        for client in clients:
            seen += "is wrong" in error(await client.reply())
        assert trio.current_time() - start <= PATIENCE + 1
        # 60 s are enough for 0.25 + 0.5 + ... + 16 s and a last one, two at a time
        assert seen <= 16
        # who has a token is not held up by them
        before = trio.current_time()
        assert await connect().ask(f"AUTH '{TOKEN}'") is None
        assert trio.current_time() == before


async def test_a_wrong_token_waits_too(
    store: Store, guard: Guard, autojump_clock: trio.abc.Clock, no_threads: None
) -> None:
    async with serving(store, guard) as connect:
        start = trio.current_time()
        client = connect()
        for _ in range(MAX_FAILURES):
            assert "no such token" in error(await client.ask("AUTH 'racs_hush'"))
        assert trio.current_time() - start == pytest.approx(0.25 + 0.5 + 1 + 2)
        await client.closed.wait()


async def test_at_most_two_passwords_are_compared_at_once(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading
    import time

    lock, running, most = threading.Lock(), [], []
    compare = Access.check_password

    def watched(self: Access, login: Login) -> object:
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.002)
        caller = compare(self, login)
        with lock:
            running.pop()
        return caller

    monkeypatch.setattr(Access, "check_password", watched)
    async with trio.open_nursery() as nursery:
        for number in range(10):
            login = Login("ben", "bens secret")
            nursery.start_soon(guard.identify, login, f"10.0.0.{number}")
    assert max(most) == 2


async def test_who_is_removed_loses_the_connection_s_rights(
    store: Store, guard: Guard, tmp_path: Path
) -> None:
    async with serving(store, guard) as connect:
        client, appending, attaching = connect(), connect(), connect()
        for each in (client, appending, attaching):
            assert await each.ask(BEN) is None
        await client.send(audio("birds/wren", b"\1\0"))
        assert await client.reply() is None
        assert await client.ask("CLOSE 'birds/wren' |> OPEN 'birds/wren'") is None
        assert await appending.ask("STREAM 'birds/wren'") == 1
        assert await attaching.ask("ATTACH 'birds/wren' 'x'") is None
        UsersFile(tmp_path / "users.json").edit(lambda users: users.without("ben"))
        guard.access.refresh()
        await appending.send(audio("birds/wren", b"\2\0"), END)
        assert "say first" in error(await appending.reply())
        assert await appending.reply() == 1
        await attaching.send((3).to_bytes(8, "little") + b"abc")
        assert "say first" in error(await attaching.reply())
        await client.send(audio("birds/wren", b"\1\0"))
        assert "say first" in error(await client.reply())
        assert store.attachments("birds/wren") == []
        assert store.info("birds/wren").frames == 1


async def test_the_first_user_ends_the_time_of_everyone(store: Store, tmp_path: Path) -> None:
    file = UsersFile(tmp_path / "later.json")
    guard = Guard(Access(file))
    async with serving(store, guard) as connect:
        client = connect()
        assert await client.ask("LIST 'calls*'") == ["calls/1"]
        assert "no users" in error(await client.ask(BEN))
        file.edit(lambda _: some_users())
        guard.access.refresh()
        assert "say first" in error(await client.ask("LIST 'calls*'"))


async def test_feeds_tell_what_may_be_read_as_long_as_it_may(
    store: Store,
    guard: Guard,
    bus: Bus,
    tmp_path: Path,
    autojump_clock: trio.abc.Clock,
    no_threads: None,
) -> None:
    async with serving(store, guard, bus) as connect:
        subscriber, follower = connect(), connect()
        for client in (subscriber, follower):
            assert await client.ask(CORA) is None
        assert "not allowed" in error(await follower.ask("FOLLOW 'calls/1'"))
        ready = await subscriber.ask("SUBSCRIBE '*'")
        assert isinstance(ready, list)
        assert await follower.ask("FOLLOW 'birds/wren'") == ["opened", 0]
        for stream_id in ("calls/1", "birds/wren"):
            store.close_stream(stream_id)
        told = await subscriber.reply()
        assert isinstance(told, list)
        assert told[1:3] == ["closed", "birds/wren"]
        assert await follower.reply() == ["closed", 0]
        UsersFile(tmp_path / "users.json").edit(lambda users: users.without("cora"))
        guard.access.refresh()
        store.open_stream("birds/wren")
        assert "may not be followed any more" in error(await follower.reply())
        assert "say first" in error(await follower.ask("LIST '*'"))
        await trio.sleep(10)
        assert subscriber.silent
