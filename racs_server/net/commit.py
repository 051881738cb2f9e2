"""Group commit: all who wait for the log to be synced share one sync.

With durability ``always`` an acknowledgement waits for the medium. While one sync runs, others
queue up behind it; the next one covers them all.
"""

import trio

from racs_server.errors import StorageError
from racs_server.storage import Durability, Store


class GroupCommit:
    """Makes what was appended as safe as the store's durability setting promises.

    Parameters
    ----------
    store
        The store.
    """

    def __init__(self, store: Store) -> None:
        self._upkeep = store.upkeep
        self._ahead = store.ahead
        self._short = trio.Event()
        self._always = store.options.durability is Durability.ALWAYS
        self._wanted = trio.Event()
        self._done = trio.lowlevel.ParkingLot()
        self._failure: StorageError | None = None

    def __repr__(self) -> str:
        return f"<GroupCommit waiting={len(self._done)}>"

    async def commit(self) -> None:
        """Return when all that was appended may be acknowledged.

        Raises
        ------
        StorageError
            It may not: the disk failed.
        """
        position = self.flush()
        if not self._always:
            return
        while self._upkeep.synced < position:
            if self._failure is not None:
                raise self._failure
            self._wanted.set()
            await self._done.park()

    def flush(self) -> int:
        """Hand what was appended to the operating system; return up to where, in the log.

        Raises
        ------
        StorageError
            The log cannot be written.
        """
        position = self._upkeep.flush()
        if self._ahead.wanted:
            self._short.set()
        return position

    async def run(self) -> None:
        """Sync the log whenever somebody waits for it, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            try:
                await trio.to_thread.run_sync(self._upkeep.sync_log)
            except StorageError as error:
                self._failure = error
            self._done.unpark_all()

    async def make_room(self) -> None:
        """Allocate room ahead for the streams that run short of it, until cancelled."""
        while True:
            await self._short.wait()
            self._short = trio.Event()
            await trio.to_thread.run_sync(self._ahead.allocate)
