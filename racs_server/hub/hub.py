"""The hub: runs go to runes, what they make comes back, and whoever watches is told.

The way of a run: `Hub.ask` checks the values, archives the inputs, converts them for the rune and
queues it; `Hub.poll` gives it to the rune; `Hub.reply` takes its result; `Hub.run` puts that into
the archive, in the background.

Invariants
----------
- What is said to a rune or a page is on the disk before.
- The database is used in one thread at a time; nothing else blocks here.
"""

import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import msgspec
import trio

from racs_server.access import Access, Caller, Effect, require
from racs_server.errors import RacsError, RequestError
from racs_server.hub.archive import Archive
from racs_server.hub.book import Book
from racs_server.hub.changes import Changes
from racs_server.hub.contract import Contract, Excerpt, check_values
from racs_server.hub.desk import Desk, outside
from racs_server.hub.files import Files
from racs_server.hub.inputs import Inputs
from racs_server.hub.presence import ADVICE, GONE, Signs, state_of
from racs_server.hub.rows import PENDING, Run, Rune, Target, Upload
from racs_server.storage import Store

logger = logging.getLogger(__name__)
T = TypeVar("T")

HOLD = 20.0
"""Seconds for which a poll is held open; the client has been seen to wait for longer than 50."""
_OFFER_CHECK = 5.0
_CARE = 2.0
_REMOVAL = 3600.0
_DAY = 86_400.0
_ARCHIVERS = 2

_replace = msgspec.structs.replace


class Lease(Protocol):
    """A share of the memory that all connections together may take; given back at the end."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *_: object) -> None:
        """Give all back."""

    async def grow(self, size: int) -> None:
        """Have at least so many bytes; `RacsError` if there are not."""


class Hub:
    """Connects runes and pages.

    Parameters
    ----------
    folder
        Where its database and files are.
    store
        The streams.
    access
        The users.
    most_bytes
        Of one upload.
    keep
        Seconds for which the files of runs are kept that are in the archive.
    names, origins
        Of this server, and of pages that may use it: see `racs_server.hub.door`.
    tls
        Whether it is reached over TLS.
    body_due
        Returns by when more of a request has to come: see `Settings.body_due`.
    lease
        Returns a share of the memory of all connections, of nothing at first.
    clock
        Returns seconds since the epoch.

    Raises
    ------
    StartError
        The database cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        access: Access,
        *,
        most_bytes: int = 100 << 20,
        keep: float = 7 * _DAY,
        names: frozenset[str] = frozenset(),
        origins: frozenset[str] = frozenset(),
        tls: bool = False,
        body_due: Callable[[float, float, int], float],
        lease: Callable[[], Lease],
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = Files(folder, most_bytes)
        self.desk = Desk(Book(folder / "hub.sqlite"), clock)
        self.access = access
        self.names, self.origins = names, origins
        self.body_due, self.lease = body_due, lease
        self._archive = Archive(store, self.files)
        self._inputs = Inputs(self._archive, self.files, self.desk.book, tls=tls)
        self._clock = clock
        self._keep = keep
        self._turn = trio.CapacityLimiter(1)
        self._archiving = trio.CapacityLimiter(_ARCHIVERS)
        self._bells: dict[str, trio.Event] = {}
        self._signs: dict[str, Signs] = {}
        self._began = trio.current_time()
        self.changes = Changes()
        self._to_archive = trio.Event()
        self.nameless = 0
        self.ending = trio.Event()

    def __repr__(self) -> str:
        return f"<Hub with {len(self._signs)} runes>"

    def close(self) -> None:
        """Close the database; blocks."""
        self.desk.book.close()

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._clock()

    async def do(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Use the desk or its book, in their thread."""
        call = partial(work, *arguments, **options)
        return await trio.to_thread.run_sync(call, limiter=self._turn)

    # runes

    async def register(
        self, token: str, contract: Contract, key: str, host: str, *, near: bool
    ) -> None:
        """Take a rune's contract; see `Rune`."""
        await self.do(self.desk.register, token, contract, key, host, near=near)
        self.changes.tell()

    async def set_loaded(self, token: str, loaded: bool) -> None:
        """Note whether a rune is ready for work."""
        self.heard(token)
        await self.do(self.desk.set_loaded, token, loaded)
        self._ring(token)

    def heard(self, token: str) -> None:
        """Note a heartbeat."""
        self._signs_of(token).beat = trio.current_time()

    async def poll(self, token: str) -> Run | None:
        """Return what a rune has to do next; waits for a while if there is nothing yet."""
        signs = self._signs_of(token)
        signs.polling += 1
        try:
            with trio.move_on_after(HOLD):
                while not self.ending.is_set():
                    bell = self._bells.setdefault(token, trio.Event())
                    with trio.CancelScope(shield=True):
                        run = await self.do(self.desk.offer, token)
                    if run is not None or await self.do(self.desk.book.get, Rune, token) is None:
                        return run
                    with trio.move_on_after(_OFFER_CHECK):
                        await bell.wait()
            return None
        finally:
            signs.polling -= 1
            signs.polled = trio.current_time()

    async def take_status(self, token: str, run_id: str, status: str) -> None:
        """Take a rune's word that it has begun, or has not."""
        await self.do(self.desk.take_status, token, run_id, status)
        self._ring(token)

    async def reply(self, token: str, run_id: str, response: dict[str, Any]) -> None:
        """Take what a run has come to."""
        await self.do(self.desk.take_reply, token, run_id, response)
        self._ring(token)
        self._to_archive.set()

    async def take_output(self, key: str, printed: Sequence[tuple[float, str]], ended: str) -> str:
        """Take what a rune's process has printed, and why it is over; see `Desk.take_output`."""
        stop = await self.do(self.desk.take_output, key, printed)
        if ended:
            await self.do(self.desk.take_end, key, ended)
        if printed or ended:
            self.changes.tell()
            self._to_archive.set()
        return stop

    async def take_upload(
        self,
        chunks: AsyncIterator[bytes],
        name: str,
        key: str,
        upload_id: str,
        *,
        output: bool,
        original: bool = False,
    ) -> Upload:
        """Take a file, as it comes; see `Upload`."""
        size, digest = await self.files.take(upload_id, chunks)
        upload = Upload(upload_id, key, "", name, size, digest, self._clock(), output, original)
        upload = await self.do(self.desk.take_upload, upload)
        self.changes.tell()
        return upload

    # pages

    async def ask(
        self,
        token: str,
        values: Mapping[str, Any],
        caller: Caller,
        *,
        bpm: float = 120,
        sample_rate: int = 48_000,
    ) -> Run:
        """Queue a run.

        Parameters
        ----------
        token
            The rune's.
        values
            By parameter.
        caller
            Who asks; has to be allowed to read what is taken from the archive.
        bpm, sample_rate
            What a request has to have.

        Raises
        ------
        RacsError
            There is no such rune, a value does not fit, or an input cannot be used.
        """
        rune = await self.do(self.desk.rune, token)
        if rune.contract is None:
            raise RequestError(f"the rune {token!r} has not said what it takes: restart it")
        checked = check_values(rune.contract, values)
        for name, value in checked.items():
            if isinstance(value, Excerpt):
                require(caller, f"an input from the archive ({name})", Effect.READ, [value.stream])
        run = Run(
            id=str(uuid.uuid4()),
            token=token,
            state=PENDING,
            rune=rune.contract.title,
            method=rune.contract.method_name,
            values=msgspec.to_builtins(checked),
            request={},
            created=self._clock(),
        )
        prepare = partial(self._inputs.prepare, run, rune, rune.contract, checked)
        run, params = await trio.to_thread.run_sync(prepare, limiter=self._archiving)
        request = {
            "token": outside(token),
            "type": "run_method",
            "bpm": bpm,
            "sample_rate": sample_rate,
        }
        data = {"method_name": run.method, "params": params}
        run = _replace(run, request={**request, "data": data})
        await self.do(self.desk.queue, run)
        self._ring(token)
        return run

    async def abort(self, token: str, run_id: str | None = None) -> int:
        """Stop the runs of a rune, or one; returns how many."""
        ended = await self.do(self.desk.abort, token, run_id)
        self._ring(token)
        self._to_archive.set()
        return len(ended)

    async def set_target(self, token: str, target: Target) -> None:
        """Set what audio is converted to for a rune."""
        rune = await self.do(self.desk.rune, token)
        await self.do(self.desk.book.put, _replace(rune, target=target))
        self.changes.tell()

    async def forget(self, rune: Rune) -> None:
        """Forget a rune; its runs stay in the archive."""
        await self.do(self.desk.book.remove, rune)
        self.changes.tell()

    async def state(self, rune: Rune) -> dict[str, Any]:
        """Return how a rune is."""
        active = await self.do(self.desk.active, rune.token)
        busy = [run.id for run in active if run.holds]
        waiting = [run.id for run in active if run.state == PENDING]
        state = state_of(
            self._signs_of(rune.token),
            loaded=rune.loaded,
            busy=bool(busy),
            now=trio.current_time(),
        )
        return {"state": state, "advice": ADVICE[state], "running": busy, "waiting": waiting}

    async def wait_for_change(self, since: int) -> int:
        """Return the number of the latest change; waits for a while if that is `since`."""
        return await self.changes.wait(since, self.ending, HOLD)

    # in the background

    async def run(self, ending: trio.Event) -> None:
        """Archive what is done, look after runes that are gone, remove old files; until the end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_archiving)
            nursery.start_soon(self._look_after)
            nursery.start_soon(self._remove_old)
            await ending.wait()
            self.ending.set()
            for bell in self._bells.values():
                bell.set()
            self.changes.tell()
            nursery.cancel_scope.cancel()

    async def _keep_archiving(self) -> None:
        while True:
            self._to_archive = trio.Event()
            for run in await self.do(self.desk.book.select, Run, archived=False):
                if run.state != PENDING and run.ended:
                    await self._archive_run(run)
            with trio.move_on_after(60):
                await self._to_archive.wait()

    async def _archive_run(self, run: Run) -> None:
        try:
            with trio.CancelScope(shield=True):
                finish = partial(self._archive.finish, run)
                done = await trio.to_thread.run_sync(finish, limiter=self._archiving)
        except RacsError as error:
            logger.error("the run %s is not archived yet: %s", run.id, error)
            return
        except Exception:
            logger.exception("the run %s is not archived yet", run.id)
            return
        await self.do(self._archived, run, done)
        self.changes.tell()

    def _archived(self, before: Run, done: Run) -> None:
        """Keep where a run's files are, unless more has come of it meanwhile."""
        if self.desk.book.get(Run, before.id) == before:
            self.desk.book.put(done)

    async def _look_after(self) -> None:
        states: dict[str, str] = {}
        while True:
            for rune in await self.do(self.desk.book.select, Rune):
                found = await self.state(rune)
                if found["state"] == GONE and found["running"]:
                    why = "the rune is gone: neither polls nor heartbeats come. Restart it"
                    await self.do(self.desk.give_up, rune.token, why)
                    self._to_archive.set()
                if states.get(rune.token) != found["state"]:
                    states[rune.token] = found["state"]
                    self.changes.tell()
            await trio.sleep(_CARE)

    async def _remove_old(self) -> None:
        """Remove files that are old, once all runs are in the archive."""
        while True:
            if not await self.do(self.desk.book.select, Run, archived=False):
                horizon = self._clock() - self._keep
                await trio.to_thread.run_sync(self.files.remove_older, horizon)
            await trio.sleep(_REMOVAL)

    def _ring(self, token: str) -> None:
        """Let the polls of a rune look again, and tell those who watch."""
        bell = self._bells.pop(token, None)
        if bell is not None:
            bell.set()
        self.changes.tell()

    def _signs_of(self, token: str) -> Signs:
        return self._signs.setdefault(token, Signs(self._began))
