"""`archive`: what makes a function one whose runs are kept.

Owns the way of a call: its arguments into the spool, the function as it is, its files and its end
into the spool, and off to the store behind its back. Whatever goes wrong in that is logged, and
nothing of it reaches the function or its caller.
"""

import atexit
import functools
import inspect
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from racs.client import Racs
from racs.runes import hooks
from racs.runes.output import listening
from racs.runes.recording import Call, Recording, begin, files_in, guarded
from racs.runes.spool import Spool
from racs.runes.threads import in_thread
from racs.runes.worker import Worker
from racs.runs.run_id import new_run_id

P = ParamSpec("P")
T = TypeVar("T")

SPOOL_LIMIT = 4 << 30
"""Bytes that may wait for a store that cannot be reached."""

AT_EXIT = 5.0
"""Seconds for which the end of the process waits for runs to be sent; the others stay on disk."""

_log = logging.getLogger("racs.runes")
_workers: dict[Path, Worker] = {}
_functions: dict[tuple[str, str], "Archived"] = {}
_MARK = "__racs_archived__"


class Archived:
    """A function whose runs are kept.

    Parameters
    ----------
    function
        The async function.
    worker
        What sends them.
    rune
        The rune's name; None for the name that runes-client was told, or else the function's.
    run_id
        What makes the ids of runs.
    """

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        worker: Worker,
        rune: str | None,
        run_id: Callable[[], str],
    ) -> None:
        self.function = function
        self.worker = worker
        self.method = getattr(function, "__name__", type(function).__name__)
        self._rune = rune
        self._run_id = run_id
        self.signature = _signature(function)

    @property
    def rune(self) -> str:
        """The rune's name."""
        return self._rune or hooks.rune_name() or self.method

    async def __call__(self, call: Call) -> Any:
        """Call the function; return what it returns."""
        return await self.carry_out(await self.begin(call), call)

    async def carry_out(self, run: Recording | None, call: Call) -> Any:
        """Call the function as a run that was begun; return what it returns."""
        if run is None:
            return await self.function(*call.args, **call.kwargs)
        try:
            with run.as_current(), listening():
                result = await self.function(*call.args, **call.kwargs)
        except BaseException as error:
            caught = error
            guarded("the end of a run", lambda: self._finish(run, caught))
            raise
        await self._end(run, result)
        return result

    async def begin(self, call: Call) -> Recording | None:
        """Begin a run by keeping its arguments; None if that failed."""
        made: Future[Recording | None] = Future()

        def work() -> None:
            try:
                names = (self.rune, self._run_id(), self.method)
                made.set_result(begin(self.worker.spool, names, self.signature, call))
            except Exception:
                _log.exception("a run of %r is not archived", self.method)
                made.set_result(None)

        try:
            hooks.listen_to_client()
            await in_thread(work)
        except Exception:
            _log.exception("a run of %r is not archived", self.method)
            return None
        except BaseException as error:  # cancelled, while the thread still works
            caught = error
            made.add_done_callback(lambda done: self._finish(done.result(), caught))
            raise
        return made.result()

    async def _end(self, run: Recording, result: object) -> None:
        """Keep what was returned; being cancelled here is not a failure of the run any more."""

        def work() -> None:
            def keep() -> None:
                for path in files_in(result):
                    run.add_returned(path)

            guarded("what a run returned", keep)
            guarded("the end of a run", lambda: self._finish(run))

        if _may_hold_files(result):
            await in_thread(work)
        else:
            work()

    def _finish(self, run: Recording | None, error: BaseException | None = None) -> None:
        if run is not None:
            run.finish(error)
            self.worker.wake()


def _signature(function: Callable[..., object]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _may_hold_files(result: object) -> bool:
    return isinstance(result, str | os.PathLike | list | tuple | dict)


class Archiver:
    """What `archive` is: a maker of decorators, with `install` beside it."""

    def __call__(
        self,
        store: "Racs | str | None" = None,
        *,
        rune: str | None = None,
        spool: "str | os.PathLike[str] | None" = None,
        spool_limit: int = SPOOL_LIMIT,
        run_id: Callable[[], str] = new_run_id,
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
        """Return a decorator that keeps all runs of an async function.

        Parameters
        ----------
        store
            A client, or the URL of a server; without it that of the variable ``RACS_URL``, or else
            ``racs://localhost:6381``.
        rune
            The rune's name in the archive; usually the one that runes-client was told by
            ``set_name``, or else the function's.
        spool
            The folder in which runs wait, in one of each server; usually the variable
            ``RACS_SPOOL``, or else in the user's data folder.
        spool_limit
            Bytes that may wait there; what comes beyond is not kept, which is logged.
        run_id
            What makes the ids of runs; usually UUIDs that sort by time. An id that is taken gets
            ``-2``, ``-3`` … behind it.

        Returns
        -------
        Callable
            Gives a function that does what the one given does, with the same signature.

        Examples
        --------
        >>> @archive(Racs("localhost"))
        ... async def reverb(dry: Path, wet: float) -> Path: ...
        """
        worker = _worker(_client(store), spool, spool_limit)
        hooks.watch_client()

        def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            if hasattr(function, _MARK):
                return function
            return _wrapped(Archived(function, worker, rune, run_id))

        return decorate

    def install(self, store: "Racs | str | None" = None, **options: Any) -> None:
        """Keep all runs of every function that is registered with runes-client from now on.

        Parameters
        ----------
        store, options
            As for `archive` itself.
        """
        hooks.wrap_registered(self(store, **options))


archive = Archiver()


def _wrapped(archived: Archived) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(archived.function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await archived(Call(args, kwargs))

    if archived.signature is not None:
        wrapper.__signature__ = archived.signature  # type: ignore[attr-defined]
    setattr(wrapper, _MARK, archived)
    _functions[wrapper.__module__, wrapper.__qualname__] = archived
    return wrapper


def find_function(rune: str, method: str) -> Archived | None:
    """Return a function that was decorated in this process: the rune's, or one of that name."""
    found = [each for each in _functions.values() if each.method == method]
    exact = [each for each in found if each.rune == rune]
    return next(iter(exact or found), None)


def as_archived(function: Callable[..., Awaitable[Any]], store: Racs) -> Archived:
    """Return a function, decorated or not, as one whose runs are kept."""
    archived = getattr(function, _MARK, None)
    if isinstance(archived, Archived):
        return archived
    return Archived(function, _worker(store, None, SPOOL_LIMIT), None, new_run_id)


def flush(timeout: float | None = None) -> int:
    """Send all runs that wait, for the stores that this process archives to.

    Parameters
    ----------
    timeout
        Seconds to wait at most; None: until each was sent, or the store did not take it.

    Returns
    -------
    int
        How many runs wait still.
    """
    end = None if timeout is None else time.monotonic() + timeout
    left = 0
    for worker in list(_workers.values()):
        left += worker.flush(None if end is None else max(0.0, end - time.monotonic()))
    return left


atexit.register(flush, AT_EXIT)


def _client(store: "Racs | str | None") -> Racs:
    if isinstance(store, Racs):
        return store
    return Racs(store or os.environ.get("RACS_URL") or "racs://localhost:6381")


def _worker(store: Racs, folder: "str | os.PathLike[str] | None", limit: int) -> Worker:
    """Return what sends from a folder; there is one of each in a process."""
    from platformdirs import user_data_path

    base = folder or os.environ.get("RACS_SPOOL") or user_data_path("racs-runes")
    path = Path(base).absolute() / re.sub(r"[^\w.-]", "_", store.address)
    worker = _workers.get(path)
    if worker is None:
        worker = _workers[path] = Worker(store, Spool(path, limit))
        if len(worker.spool):
            worker.wake()  # what an earlier process has left
    worker.store = store
    worker.spool.limit = limit
    return worker
