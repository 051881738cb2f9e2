"""What one client sends: its bytes, in a buffer of bounded size, and the requests in them.

Invariants
----------
- A client waits without limit only between two messages: half a message has a deadline. So a slow
  or silent client costs a socket and a small buffer.
- A buffer beyond the small one is leased from the budget of all connections.
"""

import math
from collections.abc import Awaitable
from typing import TypeVar

import msgspec
import trio

from racs.wire import Event, Limits, ServerConnection
from racs.wire.connection import SERVER_BUFFER
from racs_server.errors import LimitError
from racs_server.net.lookout import Answer, Send
from racs_server.net.memory import Budget, Lease
from racs_server.net.transport import Transport
from racs_server.net.watching import Traffic

T = TypeVar("T")

_TIME_PER = 64 << 10
"""Bytes of a message for which it gets another second."""
_MUCH = 256 << 10
"""Bytes."""
STALL = 5.0
"""Seconds that a client may do nothing while it has memory that others wait for."""


class Deadline(msgspec.Struct):
    """Until when a client has to do something, in seconds of trio's clock.

    Attributes
    ----------
    due
        At the latest.
    stalls_at
        If it has memory that others wait for.
    """

    due: float = math.inf
    stalls_at: float = math.inf

    def clear(self) -> None:
        """Wait for as long as it likes."""
        self.due = self.stalls_at = math.inf


class Inbox:
    """Takes what a client sends.

    Parameters
    ----------
    transport
        Whence the bytes come.
    budget
        For large messages.
    deadline
        Is kept up to date.
    traffic
        Counts the bytes.
    message_time
        Seconds for a message to come, and one more for each 64 KiB.

    Attributes
    ----------
    is_waiting
        Whether nothing is done but to wait for the client.
    log_in_by
        Until when the client may be silent at all.
    """

    def __init__(
        self,
        transport: Transport,
        budget: Budget,
        deadline: Deadline,
        traffic: Traffic,
        message_time: float,
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._deadline = deadline
        self._traffic = traffic
        self._message_time = message_time
        self._wire = ServerConnection()
        self._lease = Lease(budget, SERVER_BUFFER)
        self._began: float | None = None
        self._checked = self._rested = 0
        self.is_waiting = False
        self.log_in_by = math.inf

    def __repr__(self) -> str:
        return f"<Inbox of {self._lease.size} bytes>"

    @property
    def is_large(self) -> bool:
        """Whether it has memory that others may wait for."""
        return self._lease.is_large

    @property
    def ended(self) -> bool:
        """Whether the client has closed its end."""
        return self._wire.ended

    def limit(self, limits: Limits) -> None:
        """Change what is accepted, from the next message on."""
        self._wire.limit(limits)

    def expect_bytes(self, most: int) -> None:
        """Take the next message as bytes without a meaning, at most so many."""
        self._wire.expect_bytes(most)

    def next_event(self) -> Event | None:
        """Return the next request, or None while it has not come whole.

        Its memory is good until bytes are waited for, or taken.

        Raises
        ------
        FramingLost
            Nothing can be read any more.
        """
        event = self._wire.next_event()
        if event is not None:
            self._began = None
        return event

    def receive_now(self) -> bool:
        """Take what has come; return whether anything has, be it the end."""
        count = self._transport.receive_now(self._lend())
        if count is not None:
            self._take(count)
        return count is not None

    def may_rest(self) -> bool:
        """Return whether what comes next has room and is short; see to it that it comes in time.

        Much is better taken in large pieces, which gather while the event loop comes round.
        """
        return self._prepare() and self._wire.missing <= _MUCH

    def _prepare(self) -> bool:
        """Set the deadlines for what comes next; return whether there is room for it."""
        size = self._wire.partial
        if size is None:
            if self._lease.size > SERVER_BUFFER and self._budget.waiting:
                self._wire.rest()
                self._lend()
            self._deadline.due = self.log_in_by
            return True
        now = trio.current_time()
        if self._began is None:
            self._began = now
        due = self._began + self._message_time + size / _TIME_PER
        self._deadline.due = min(due, self.log_in_by)
        if self._wire.wanted > self._lease.size:
            return False
        self._deadline.stalls_at = now + STALL
        return True

    async def rest(self, answer: Answer, send: Send) -> None:
        """Have both called each time that bytes have come, until `send` says False."""
        await self._wait(self._transport.rest(answer, send))

    async def receive(self, until: float = math.inf) -> None:
        """Wait for bytes, or for room for them, not longer than until some time."""
        if not self._prepare() and not await self._make_room():
            return
        count = await self._wait(self._transport.receive_into(self._lend()), until)
        if count is not None:
            self._take(count)

    async def listen(self) -> None:
        """Wait until the client sends something, or leaves."""
        if self._wire.partial is not None:
            return
        try:
            self._take(await self._transport.receive_into(self._lend()))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._take(0)

    async def _wait(self, what: Awaitable[T], until: float = math.inf) -> T | None:
        self.is_waiting = True
        result = None
        try:
            with trio.move_on_at(until):
                result = await what
        except Exception:  # not when the client is given up while it is waited for: it is told so
            self._end_wait()
            raise
        self._end_wait()
        return result

    def _end_wait(self) -> None:
        self.is_waiting = False
        self._deadline.clear()

    async def _make_room(self) -> bool:
        """Wait for memory for the message under way; whether there is, else it is refused."""
        self._deadline.clear()  # nothing is read meanwhile, which is not to be the client's fault
        try:
            await self._wait(self._lease.grow(self._wire.wanted))
        except LimitError as error:
            self._wire.refuse(str(error))
            return False
        finally:
            self._began = trio.current_time()
        return self._prepare()

    def _lend(self) -> memoryview:
        buffer = self._wire.get_buffer()
        if self._lease.size > SERVER_BUFFER:
            self._lease.shrink(self._wire.size)
        return buffer

    def _take(self, count: int) -> None:
        self._wire.received(count)
        self._traffic.received += count

    def tidy(self) -> None:
        """Give memory back if the client is idle; to be called now and then."""
        received = self._traffic.received
        if self.is_waiting and received == self._checked != self._rested:
            self._rested = received
            self._wire.rest()
            if self._wire.partial is None:
                self._lease.shrink(0)
        self._checked = received

    def close(self) -> None:
        """Give all memory back."""
        self._lease.shrink(0)
