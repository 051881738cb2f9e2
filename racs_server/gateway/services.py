"""What the operations work with; all of it is injected."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec
import trio

from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.gateway.door import Guard
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
    """

    store: Store
    executor: Executor
    guard: Guard
    listen: Callable[[int | None], Listener]
    reading: trio.CapacityLimiter
    settings: Settings

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do work that blocks, when it is its turn."""
        return await trio.to_thread.run_sync(work, limiter=self.reading)
