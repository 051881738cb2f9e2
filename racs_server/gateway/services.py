"""What the operations work with; all of it is injected."""

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

import msgspec
import trio

from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.gateway.door import Guard
from racs_server.gateway.shelf import Shelf
from racs_server.storage import Store
from racs_server.values import StreamEvent

T = TypeVar("T")


class Numbered(Protocol):
    """An event with its number."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def event(self) -> StreamEvent:
        """What happened."""


class News(Protocol):
    """What a listener is told at once."""

    @property
    def kind(self) -> str:
        """What it is: ready, missed, or events."""

    @property
    def number(self) -> int:
        """The number of the last event that is known then."""

    @property
    def events(self) -> Sequence[Numbered]:
        """Some events."""


class Listener(Protocol):
    """One who is told of events."""

    async def next(self) -> News:
        """Return what comes next, as soon as it does."""


class Lease(Protocol):
    """A share of the memory that all connections together may take; given back at the end."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(self, *_: object) -> None:
        """Give all back."""

    async def grow(self, size: int) -> None:
        """Have at least so many bytes; `RacsError` if there are not."""

    def shrink(self, size: int) -> None:
        """Have no more than so many bytes."""


class Services(msgspec.Struct, frozen=True):
    """What the operations work with.

    Attributes
    ----------
    store, executor, settings
        The server's.
    guard
        What tells who somebody is.
    listen
        Returns a listener to events, after the one of a number or from now on.
    reading
        How many threads may read and encode at once.
    lease
        Returns a share of the memory of all connections, of nothing at first.
    shelf
        Keeps files that were made.
    """

    store: Store
    executor: Executor
    guard: Guard
    listen: Callable[[int | None], Listener]
    reading: trio.CapacityLimiter
    settings: Settings
    lease: Callable[[], Lease]
    shelf: Shelf

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do work that blocks, when it is its turn."""
        return await trio.to_thread.run_sync(work, limiter=self.reading)
