"""Group commit: who waits for which sync of the log."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from racs_server.errors import StorageError
from racs_server.net import GroupCommit
from racs_server.storage import Durability, Store
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


async def test_who_has_nothing_to_wait_for_does_not_wait() -> None:
    disk = SimulatedDisk()
    async with committing(disk) as (store, commit):
        store.append([frame("a", noise(100))])
        await commit.commit()
        before = len(disk.operations)
        await commit.commit()
        assert len(disk.operations) == before
