"""Group commit: all who wait for the log to be synced share one sync.

With durability ``always`` an acknowledgement waits for the medium. While one sync runs, others
queue up behind it; the next one covers them all. One thread does nothing else: as long as somebody
waits it begins the next sync as soon as one has ended, and the event loop hears of each sync once,
for all that it has covered. (Through the event loop and back between two syncs, 16 clients got 4
times the acknowledgements of one.)
"""

import logging
import threading
from collections.abc import Callable
from functools import partial

import trio

from racs_server.errors import StorageError
from racs_server.storage import Durability, Store

logger = logging.getLogger(__name__)


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
        self._waiting: list[Callable[[], object]] = []
        """What is called when the next sync has begun and ended."""
        self._awaited = 0
        self._unwanted = threading.Lock()
        """Held by the thread that syncs; whoever wants a sync takes it away."""
        self._unwanted.acquire()
        self._relief = trio.Lock()
        self._ended = False
        self._failure: StorageError | None = None

    def __repr__(self) -> str:
        return f"<GroupCommit waiting={len(self._waiting)}>"

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for a sync."""
        return self._awaited > 0

    async def commit(self) -> None:
        """Return when all that was appended may be acknowledged.

        Raises
        ------
        StorageError
            It may not: the disk failed.
        """
        position = self.flush()
        if self._upkeep.overcrowded:
            await self._relieve()
        if not self._is_synced(position):
            synced = trio.Event()
            self.after_sync(synced.set)
            await synced.wait()
            if not self._is_synced(position):
                assert self._failure is not None
                raise self._failure

    async def _relieve(self) -> None:
        """Wait for a sync of all that is dirty: the next ones to come would open too many files."""
        async with self._relief:
            if self._upkeep.overcrowded:
                await trio.to_thread.run_sync(self._upkeep.sync)

    def is_safe(self, position: int) -> bool:
        """Return whether what was appended up to there may be acknowledged without `commit`."""
        return self._is_synced(position) and not self._upkeep.overcrowded

    def _is_synced(self, position: int) -> bool:
        return not self._always or self._upkeep.synced >= position

    def after_sync(self, tell: Callable[[], object]) -> None:
        """Have `tell` called, by the event loop, after a sync of all that was flushed."""
        # Before the sync is asked for: the one that takes the list away covers what was flushed.
        self._waiting.append(tell)
        self._awaited += 1
        self._want()

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

    async def run(self, call_soon: Callable[[Callable[[], object]], object] | None = None) -> None:
        """Sync the log whenever somebody waits for it, until cancelled.

        Parameters
        ----------
        call_soon
            Has something called by the event loop, soon; used by another thread.
        """
        soon = call_soon or trio.lowlevel.current_trio_token().run_sync_soon
        thread = threading.Thread(target=self._sync, args=(soon,), name="racs-commit", daemon=True)
        thread.start()
        try:
            await trio.sleep_forever()
        finally:
            self._ended = True
            self._want()
            thread.join()

    def _want(self) -> None:
        """Have the log synced, once more if that is being done. Called by the event loop alone."""
        if self._unwanted.locked():
            self._unwanted.release()

    def _sync(self, call_soon: Callable[[Callable[[], object]], object]) -> None:
        """Sync the log as long as somebody wants it; runs in a thread of its own."""
        while True:
            self._unwanted.acquire()
            if self._ended:
                return
            covered, self._waiting = self._waiting, []
            try:
                self._upkeep.sync_log()
            except StorageError as error:
                self._failure = error
            except Exception as error:
                logger.exception("the commit log was not synced")
                what = f"a mistake of the server ({type(error).__name__})"
                self._failure = self._upkeep.give_up(what)
            call_soon(partial(self._tell, covered))

    async def make_room(self) -> None:
        """Allocate room ahead for the streams that run short of it, until cancelled."""
        while True:
            await self._short.wait()
            self._short = trio.Event()
            await trio.to_thread.run_sync(self._ahead.allocate)

    def _tell(self, waiting: list[Callable[[], object]]) -> None:
        self._awaited -= len(waiting)
        for tell in waiting:
            tell()
