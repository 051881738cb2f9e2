"""One budget for the memory that all connections together may take for large things.

Large is what is longer than a connection's own small buffer: a message on its way in, a reply that
is made or sent in pieces, a file. Each has a lease for its bytes, and without one it is not begun:
a client whose message has to wait is not read from (TCP holds it back), and is refused when nothing
gets free. What is small has no lease and waits for nothing.

Invariants
----------
- Leases come to no more than the budget, and are given in the order in which they were asked for:
  a large one is not overtaken for ever by small ones.
- Whoever waits is there to be seen (`Budget.waiting`): those who hold a lease and keep it from the
  others by being slow are not waited for as long as else.
- What was leased and is given back does not stay with the process: the C library keeps freed memory
  for each of its arenas, and many threads have many of these (measured after twice 200 clients that
  did not read: 454 MB in use without a client, with `return_memory` 90).
"""

import ctypes
import logging
from collections import deque
from collections.abc import Callable
from typing import Self

import trio

from racs_server.errors import BusyError, LimitError

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds for which a lease may be waited for."""
RETURN_EVERY = 5.0
"""Seconds."""
_WORTH_IT = 64 << 20
"""Bytes by which leases have to have become less for that: it takes up to 50 ms of a thread."""


class Budget:
    """Gives out memory.

    Parameters
    ----------
    total
        Bytes.
    """

    def __init__(self, total: int = 512 << 20) -> None:
        self.total = total
        self._leased = self._peak = 0
        self._queue: deque[tuple[int, trio.Event]] = deque()

    def __repr__(self) -> str:
        return f"<Budget {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """Return how many bytes there are and are leased, and how many wait for some."""
        return {"total": self.total, "leased": self._leased, "waiting": len(self._queue)}

    @property
    def waiting(self) -> bool:
        """Whether anybody waits."""
        return bool(self._queue)

    async def take(self, size: int) -> None:
        """Lease so many bytes, when it is their turn and they are free.

        Raises
        ------
        LimitError
            They are more than there are; `BusyError`: they did not get free in time.
        """
        if size > self.total:
            raise LimitError(
                f"this takes {size} bytes of memory, and all connections together may have"
                f" {self.total} (setting memory_budget)"
            )
        if not self._queue and self._leased + size <= self.total:
            self._lease(size)
            return
        place = size, trio.Event()
        self._queue.append(place)
        has_it = False
        try:
            with trio.move_on_after(PATIENCE):
                await place[1].wait()
                has_it = True
        finally:
            if not has_it:
                self._forget(place)
        if has_it:
            return
        raise BusyError(
            f"the server's memory for large messages and replies ({self.total} bytes, setting"
            f" memory_budget) is taken by other clients, and {size} bytes did not get free in"
            f" {PATIENCE:g} s: try again later"
        )

    def give(self, size: int) -> None:
        """Give bytes back."""
        self._leased -= size
        self._serve()

    def _forget(self, place: tuple[int, trio.Event]) -> None:
        """Let somebody wait no longer, who may have been given it just now."""
        size, event = place
        if event.is_set():
            self.give(size)
        else:
            self._queue.remove(place)
            self._serve()

    def _serve(self) -> None:
        while self._queue and self._leased + self._queue[0][0] <= self.total:
            size, event = self._queue.popleft()
            self._lease(size)
            event.set()

    def _lease(self, size: int) -> None:
        self._leased += size
        self._peak = max(self._peak, self._leased)

    def has_fallen(self) -> bool:
        """Return whether much less is leased than at some time since this was last the case."""
        if self._peak - self._leased < _WORTH_IT:
            return False
        self._peak = self._leased
        return True


class Lease:
    """What one thing has of a budget.

    Parameters
    ----------
    budget
        The budget.
    free
        Bytes that cost nothing.

    Attributes
    ----------
    size
        Bytes that may be used.
    """

    def __init__(self, budget: Budget, free: int = 0) -> None:
        self._budget = budget
        self._free = free
        self.size = free

    def __repr__(self) -> str:
        return f"<Lease of {self.size}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shrink(0)

    @property
    def is_large(self) -> bool:
        """Whether it takes anything of the budget."""
        return self.size > self._free

    async def grow(self, size: int) -> None:
        """Have at least so many bytes; errors as `Budget.take`."""
        if size > self.size:
            await self._budget.take(size - self.size)
            self.size = size

    def shrink(self, size: int) -> None:
        """Have no more than so many bytes."""
        size = max(size, self._free)
        if size < self.size:
            given, self.size = self.size - size, size
            self._budget.give(given)


def find_trim() -> Callable[[int], object] | None:
    """Return what gives the system the memory that the C library has no use for (glibc has it)."""
    trim: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


async def return_memory(budget: Budget, trim: Callable[[int], object] | None) -> None:
    """Give the system back what connections have given back, until cancelled.

    Parameters
    ----------
    budget
        Theirs.
    trim
        See `find_trim`.
    """
    again = False
    while trim is not None:
        await trio.sleep(RETURN_EVERY)
        fallen = budget.has_fallen()
        if fallen or again:
            await trio.to_thread.run_sync(trim, 0)
            logger.debug("memory was given back to the system")
        again = fallen  # what a lease was for can outlast it by a moment
