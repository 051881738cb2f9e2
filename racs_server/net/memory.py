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
"""

from collections import deque
from typing import Self

import trio

from racs_server.errors import BusyError, LimitError

PATIENCE = 10.0
"""Seconds for which a lease may be waited for."""


class Budget:
    """Gives out memory.

    Parameters
    ----------
    total
        Bytes.
    """

    def __init__(self, total: int = 512 << 20) -> None:
        self.total = total
        self._leased = 0
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
            self._leased += size
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
            self._leased += size
            event.set()


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
