"""What all connections share: handed from `app` to each of them."""

import msgspec
import trio

from racs.wire import Limits
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.net.bus import Bus
from racs_server.net.commit import GroupCommit
from racs_server.net.guard import Guard
from racs_server.net.memory import Budget
from racs_server.net.pieces import Pieces
from racs_server.net.watching import Watch
from racs_server.storage import Store

LIMITS_OF_NOBODY = Limits(
    command=4 << 10, evaluation=4 << 10, message=4 << 10, inflated=64 << 10, batch=4 << 10
)
"""What is accepted from who has not said yet who they are: enough for the longest AUTH."""


class Services(msgspec.Struct, frozen=True):
    """What every connection works with."""

    store: Store
    executor: Executor
    commit: GroupCommit
    settings: Settings
    reading: trio.CapacityLimiter
    bus: Bus
    guard: Guard = msgspec.field(default_factory=Guard)
    watch: Watch | None = None
    budget: Budget = msgspec.field(default_factory=Budget)
    pieces: Pieces = msgspec.field(default_factory=Pieces)

    @property
    def limits(self) -> Limits:
        """What is accepted from a client."""
        settings = self.settings
        return Limits(
            command=settings.max_command,
            evaluation=settings.max_eval,
            message=settings.max_message,
            inflated=settings.max_inflated,
            batch=settings.max_message,
        )
