"""Tells those who watch that something has changed, not what: they look again."""

import trio


class Changes:
    """Counts changes."""

    def __init__(self) -> None:
        self.number = 0
        self._next = trio.Event()

    def __repr__(self) -> str:
        return f"<Changes: {self.number}>"

    def tell(self) -> None:
        """Tell of a change."""
        self.number += 1
        self._next.set()
        self._next = trio.Event()

    async def wait(self, since: int, ending: trio.Event, patience: float) -> int:
        """Return the number of the latest change, as soon as it is not `since`.

        Parameters
        ----------
        since
            The number that is known.
        ending
            Nobody waits any more when this is set, and `tell` is called.
        patience
            Seconds to wait at most.
        """
        with trio.move_on_after(patience):
            while self.number == since and not ending.is_set():
                await self._next.wait()
        return self.number
