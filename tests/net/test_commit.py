"""Group commit: who waits for which sync of the log."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from racs.wire import encode_command
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.errors import StorageError
from racs_server.net import Bus, Connection, GroupCommit, Services
from racs_server.storage import Durability, Store
from tests.net.conftest import MemoryTransport
from tests.net.memory import audio
from tests.storage.helpers import frame, make_open, noise, start
from tests.storage.simulated import Fault, Operation, SimulatedDisk


class Slow:
    """A disk whose syncs of the log wait until they are let go."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        disk.hook = self._hook

    def _hook(self, operation: Operation) -> None:
        if operation.kind == "sync" and operation.name.startswith("log/"):
            self.begun.release()
            self.go_on.acquire()


@asynccontextmanager
async def committing(disk: SimulatedDisk) -> AsyncIterator[tuple[Store, GroupCommit]]:
    store = start(disk, durability=Durability.ALWAYS)
    make_open(store, "a")
    commit = GroupCommit(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit.run)
        yield store, commit
        nursery.cancel_scope.cancel()


async def test_all_who_come_during_a_sync_share_the_next() -> None:
    disk = SimulatedDisk()
    async with committing(disk) as (store, commit):
        slow = Slow(disk)
        done: list[int] = []

        async def send(number: int) -> None:
            store.append([frame("a", noise(100, number))])
            await commit.commit()
            done.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, 0)
            await trio.to_thread.run_sync(slow.begun.acquire)
            for number in range(1, 6):
                nursery.start_soon(send, number)
            await trio.testing.wait_all_tasks_blocked()
            assert done == []
            slow.go_on.release()
            await trio.to_thread.run_sync(slow.begun.acquire)
            await trio.testing.wait_all_tasks_blocked()
            assert done == [0]
            slow.go_on.release()
        assert sorted(done) == [0, 1, 2, 3, 4, 5]
        assert not slow.begun.acquire(blocking=False)


async def test_a_sync_that_fails_is_told_to_all_who_wait_and_to_all_who_come() -> None:
    disk = SimulatedDisk()
    async with committing(disk) as (store, commit):
        disk.faults.append(Fault("sync", "log/"))
        store.append([frame("a", noise(100))])
        for _ in range(2):
            with pytest.raises(StorageError, match="could not be stored"):
                await commit.commit()


async def test_whoever_opens_too_many_files_waits_for_a_sync() -> None:
    disk = SimulatedDisk()
    store = start(disk, open_files=4)
    commit = GroupCommit(store)
    for number in range(50):
        make_open(store, f"{number}")
        store.append([frame(f"{number}", noise(20))])
        await commit.commit()
        assert disk.open_files <= 4 * 2 + 2


async def test_who_has_nothing_to_wait_for_does_not_wait() -> None:
    disk = SimulatedDisk()
    async with committing(disk) as (store, commit):
        store.append([frame("a", noise(100))])
        await commit.commit()
        before = len(disk.operations)
        await commit.commit()
        assert len(disk.operations) == before


@asynccontextmanager
async def serving(
    disk: SimulatedDisk, tmp_path: Path
) -> AsyncIterator[tuple[MemoryTransport, Connection, Slow]]:
    """Serve a client for whom a stream is open, with syncs that wait to be let go."""
    async with committing(disk) as (store, commit):
        settings = Settings(data_dir=tmp_path)
        executor = Executor(store, lambda: None)
        services = Services(store, executor, commit, settings, trio.CapacityLimiter(1), Bus(0))
        client = MemoryTransport()
        connection = Connection(client, services)
        slow = Slow(disk)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            yield client, connection, slow
            disk.hook = None
            slow.go_on.release(10)
            connection.end()


async def begun(slow: Slow) -> None:
    await trio.to_thread.run_sync(slow.begun.acquire)
    await trio.testing.wait_all_tasks_blocked()


async def let_go(slow: Slow, client: MemoryTransport, replies: int) -> None:
    """Let a sync end, and wait until there are so many replies in all."""
    slow.go_on.release()
    while len(client.replies()) < replies:
        await trio.lowlevel.checkpoint()


async def test_replies_wait_for_the_sync_that_covers_them(tmp_path: Path) -> None:
    disk = SimulatedDisk()
    async with serving(disk, tmp_path) as (client, _, slow):
        client.client_sends(audio("a", noise(10)) + encode_command("PING"))
        await begun(slow)
        assert client.replies() == []
        client.client_sends(encode_command("PING") + audio("a", noise(10)))
        await let_go(slow, client, 2)
        await begun(slow)
        assert client.replies() == [None, "PONG"], "the others came after the sync had begun"
        await let_go(slow, client, 4)
        assert client.replies() == [None, "PONG", "PONG", None]


async def test_whoever_waits_for_a_sync_is_told_that_it_failed(tmp_path: Path) -> None:
    disk = SimulatedDisk()
    async with serving(disk, tmp_path) as (client, _, slow):
        client.client_sends(audio("a", noise(10)))
        disk.faults.append(Fault("sync", "log/"))
        await begun(slow)
        await let_go(slow, client, 1)
        [failed] = client.replies()
        assert "could not be stored" in str(failed)


@pytest.mark.parametrize("ended_by", ["the client", "the server"])
async def test_who_leaves_while_a_sync_runs_gets_the_reply(tmp_path: Path, ended_by: str) -> None:
    disk = SimulatedDisk()
    async with serving(disk, tmp_path) as (client, connection, slow):
        client.client_sends(audio("a", noise(10)))
        await begun(slow)
        if ended_by == "the client":
            client.client_sends(b"", end=True)
        else:
            connection.end()
        await trio.testing.wait_all_tasks_blocked()
        assert client.replies() == []
        slow.go_on.release(2)
        while not client.is_closed():
            await trio.lowlevel.checkpoint()
        assert client.replies() == [None]


async def test_a_slow_reader_gets_all_of_what_a_sync_has_covered(tmp_path: Path) -> None:
    disk = SimulatedDisk()
    async with serving(disk, tmp_path) as (client, _, slow):
        client.client_reads(-(1 << 30) + 5)
        client.client_sends(audio("a", noise(10)) + encode_command("PING"))
        await begun(slow)
        slow.go_on.release()
        while len(client.sent) < 5:
            await trio.lowlevel.checkpoint()
        client.client_reads(1000)
        await let_go(slow, client, 2)
        assert client.replies() == [None, "PONG"]
