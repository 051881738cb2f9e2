"""Scripts: what the client does, written once for callers who block and for callers who await.

A script is a generator that does everything itself but wait: for that it yields a `Step`, and gets
back what it waited for. `run` carries scripts out in the calling thread, `racs.aio.run_async` in an
event loop. So no decision is made in two places.

Invariant: whatever goes wrong in a step, an interruption too, is raised in the script, at the step.
"""

import enum
import select
import socket
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Final, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Event(Protocol):
    """Something that happens once; an event of `threading` or of an event loop."""

    def set(self) -> object:
        """Let it happen."""


class _End(enum.Enum):
    """Tells the end of an iterator from its items."""

    END = enum.auto()


END: Final = _End.END


class Ready(msgspec.Struct, frozen=True):
    """Wait until a socket that does not block can be read or written; `TimeoutError` if not."""

    socket: socket.socket
    writing: bool
    timeout: float | None


class Happens(msgspec.Struct, frozen=True):
    """Wait until an event happens."""

    event: Any


class Blocking(msgspec.Struct, frozen=True):
    """Call what may block; its result comes back."""

    call: Callable[[], Any]


class Pull(msgspec.Struct, frozen=True):
    """Get an iterator's next item, or `END`."""

    iterator: Iterator[Any] | AsyncIterator[Any]


Step = Ready | Happens | Blocking | Pull
Script = Generator[Step, Any, T]


def run(script: Script[T]) -> T:
    """Carry out a script in this thread, blocking; return what it returns."""
    try:
        step = script.send(None)
        while True:
            try:
                result = _carry_out(step)
            except BaseException as error:
                step = script.throw(error)
            else:
                step = script.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


def _carry_out(step: Step) -> object:
    if isinstance(step, Pull):
        assert isinstance(step.iterator, Iterator)
        return next(step.iterator, END)
    if isinstance(step, Blocking):
        return step.call()
    if isinstance(step, Happens):
        return step.event.wait()
    poll = select.poll()
    poll.register(step.socket, select.POLLOUT if step.writing else select.POLLIN)
    if not poll.poll(None if step.timeout is None else step.timeout * 1000):
        raise TimeoutError
    return None
