"""What runs print, log and hand out: the places where it is seen.

Standard output is read along while runs go on; logging is listened to; and the objects by which a
rune answers, of runes-client or of this module, are told on to the run that is going on.
"""

import functools
import inspect
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from racs.runes.recording import Recording, current, guarded
from racs.runes.threads import in_thread

_guard = threading.Lock()
_listeners = 0


class Output:
    """What a rune without runes-client answers by; with it, by that package's own object.

    Files go into the archive of the run that is going on; nothing is sent anywhere else.
    """

    async def add_file(self, path: "str | os.PathLike[str]") -> None:
        """Hand out a file, as it is now."""

    async def add_message(self, message: str) -> None:
        """Tell the user something."""

    async def add_error(self, error: str) -> None:
        """Tell the user what went wrong; the run counts as failed."""

    async def add_log(self, log: str) -> None:
        """Note something."""


def output() -> Output:
    """Return what a rune that uses no runes-client answers by."""
    return Output()


def _add_file(run: Recording, path: object) -> None:
    run.add_output(Path(os.fspath(path)))  # type: ignore[call-overload]


_TOLD: dict[str, Callable[[Recording, Any], None]] = {
    "add_file": _add_file,
    "add_message": lambda run, text: run.add_message(str(text)),
    "add_error": lambda run, text: run.add_error(str(text)),
    "add_log": lambda run, text: run.add_log(f"{text}\n"),
}
"""The methods of an output object, and what a call of them means for the run."""


def listen_to(kind: type) -> None:
    """Have what is handed to the objects of a class noted in the run; done once for each class."""
    for name, tell in _TOLD.items():
        method = getattr(kind, name, None)
        if callable(method) and not hasattr(method, "__racs_runes__"):
            wrapped = _told(method, tell)
            wrapped.__racs_runes__ = True  # type: ignore[attr-defined]
            setattr(kind, name, wrapped)


def _told(method: Callable[..., Any], tell: Callable[[Recording, Any], None]) -> Callable[..., Any]:
    """Return a method that tells the run first: afterwards a file may be gone."""

    def telling(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], None] | None:
        run = current()
        given = [*args[1:], *kwargs.values()]
        if run is None or not given:
            return None
        return functools.partial(guarded, method.__name__, lambda: tell(run, given[0]))

    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            work = telling(args, kwargs)
            if work is not None:
                await in_thread(work) if tell is _add_file else work()
            return await method(*args, **kwargs)

        return awaited

    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        work = telling(args, kwargs)
        if work is not None:
            work()
        return method(*args, **kwargs)

    return called


listen_to(Output)


class _ReadAlong:
    """A text stream whose text is noted in the run that writes it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write, and note."""
        run = current()
        if run is not None:
            guarded("print", lambda: run.add_log(text))
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Listener(logging.Handler):
    """Notes in the run what it logs."""

    def emit(self, record: logging.LogRecord) -> None:
        run = current()
        if run is not None and record.name != "racs.runes":
            run.add_log(f"{record.levelname} {record.name}: {record.getMessage()}\n")


_listener = _Listener()


@contextmanager
def listening() -> Iterator[None]:
    """Note what is printed and logged, while any run goes on."""
    global _listeners
    with _guard:
        _listeners += 1
        if _listeners == 1:
            logging.getLogger().addHandler(_listener)
            sys.stdout = _ReadAlong(sys.stdout)
    try:
        yield
    finally:
        with _guard:
            _listeners -= 1
            if not _listeners:
                logging.getLogger().removeHandler(_listener)
                if isinstance(sys.stdout, _ReadAlong):
                    sys.stdout = sys.stdout.stream
