"""One look-out for the bytes of all clients, and the turns in which they are answered.

A task of its own that waits for each client's socket costs more than most requests do (measured: a
message through the event loop 80 us, its answer 25 us). So clients that are at rest, of whom the
next request may be answered without a wait, share one wait: all who have sent something are
answered one after the other in the same turn, by a plain call. Only what has to wait (for the disk,
for a slow client) is done in the client's own task.

Being woken costs a client as much again: after a turn the look-out stays awake for a moment, as
long as that pays.

Invariants
----------
- A turn ends after `_TURN`, however much comes: then all other tasks go on.
- A client is either served by the look-out or by its own task, never by both.
"""

import select
import time
from collections.abc import Callable

import outcome
import trio

Answer = Callable[[], bool]
"""Takes what has come and answers it; returns whether the client is at rest again."""

_AT_ONCE = 32
"""Clients that are answered before the clock is looked at."""
_TURN = 0.5e-3
"""Seconds."""
_PATIENCE = 100e-6
"""Seconds to stay awake: a little more than most clients take for their next request."""
_BLIND = 16
"""Turns after which it is tried again whether staying awake pays."""


class Lookout:
    """Waits for the bytes of all clients that are at rest."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._resting: dict[int, tuple[Answer, trio.lowlevel.Task]] = {}
        self._blind = 0

    def __repr__(self) -> str:
        return f"<Lookout for {len(self._resting)} clients>"

    async def rest(self, descriptor: int, answer: Answer) -> None:
        """Have `answer` called each time that bytes have come, until it returns False.

        Parameters
        ----------
        descriptor
            Of the client's socket. No other task waits for it meanwhile.
        answer
            Must not wait. What it raises is raised here.
        """
        self._epoll.register(descriptor, select.EPOLLIN)
        self._resting[descriptor] = answer, trio.lowlevel.current_task()

        def leave(_: object) -> trio.lowlevel.Abort:
            self._forget(descriptor)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)

    def wake(self, descriptor: int) -> None:
        """Let the client's own task go on, if it rests."""
        if descriptor in self._resting:
            self._end_rest(descriptor, outcome.Value(None))

    async def run(self) -> None:
        """Answer clients, until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._take_turn()
        finally:
            self._epoll.close()

    def _take_turn(self) -> None:
        end = time.perf_counter() + _TURN
        while ready := self._epoll.poll(0, _AT_ONCE) or self._stay_awake():
            for descriptor, _ in ready:
                self._serve(descriptor)
            if time.perf_counter() > end:
                return

    def _stay_awake(self) -> list[tuple[int, int]]:
        """Return who has sent something within a moment."""
        if self._blind:
            self._blind -= 1
            return []
        end = time.perf_counter() + _PATIENCE
        while time.perf_counter() < end:
            if ready := self._epoll.poll(0, _AT_ONCE):
                return ready
        self._blind = _BLIND
        return []

    def _serve(self, descriptor: int) -> None:
        if descriptor not in self._resting:
            return  # it was woken in this turn
        answer, _ = self._resting[descriptor]
        result = outcome.capture(answer)
        if isinstance(result, outcome.Error):
            self._end_rest(descriptor, result)
        elif not result.value:
            self._end_rest(descriptor, outcome.Value(None))

    def _end_rest(self, descriptor: int, result: outcome.Outcome[None]) -> None:
        _, task = self._resting[descriptor]
        self._forget(descriptor)
        trio.lowlevel.reschedule(task, result)

    def _forget(self, descriptor: int) -> None:
        del self._resting[descriptor]
        self._epoll.unregister(descriptor)
