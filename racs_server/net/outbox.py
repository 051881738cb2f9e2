"""What one client gets: replies are gathered, and sent together once what they say is safe.

Invariants
----------
- Nothing is acknowledged before it is as safe as the durability setting promises; what could not be
  made so is answered with an error.
- A reply that is not taken has a deadline.
"""

import trio

from racs.wire.connection import SERVER_BUFFER
from racs.wire.replies import encode_error
from racs_server.errors import StorageError
from racs_server.net.commit import GroupCommit
from racs_server.net.inbox import STALL, Deadline
from racs_server.net.transport import Transport
from racs_server.net.watching import Observer, Traffic

_NOTHING = memoryview(b"")
"""Keeps no data alive, as the end of a sent view would."""


class Outbox:
    """Sends what a client gets.

    Parameters
    ----------
    transport
        Where the bytes go.
    commit
        Makes safe what is acknowledged.
    deadline
        Is kept up to date.
    traffic
        Counts bytes and errors.
    send_time
        Seconds for a client to take some bytes.
    observer
        Is told when requests have been answered; None: nobody wants to know.
    """

    def __init__(
        self,
        transport: Transport,
        commit: GroupCommit,
        deadline: Deadline,
        traffic: Traffic,
        send_time: float,
        observer: Observer | None = None,
    ) -> None:
        self._transport = transport
        self._commit = commit
        self._deadline = deadline
        self._traffic = traffic
        self._send_time = send_time
        self._observer = observer
        self._replies: list[bytes] = []
        self._acknowledged: list[int] = []
        self._unsent = _NOTHING
        self._position: int | None = None
        """Up to where in the log a sync is awaited, while no task waits for it."""
        self._covered = 0
        """How many replies that covers."""

    def __repr__(self) -> str:
        return f"<Outbox of {len(self._replies)} replies>"

    @property
    def waiting(self) -> int:
        """Bytes that are still to be sent."""
        return len(self._unsent) + sum(map(len, self._replies))

    def add(self, *replies: bytes) -> None:
        """Reply what promises nothing that is not safe."""
        self._replies += replies

    def acknowledge(self, reply: bytes) -> None:
        """Reply that something was done."""
        self._acknowledged.append(len(self._replies))
        self._replies.append(reply)

    def refuse(self, why: str) -> None:
        """Reply an error."""
        self._traffic.errors += 1
        self._replies.append(encode_error(why))

    def flush_now(self) -> bool:
        """Send the replies gathered so far without waiting.

        Returns
        -------
        Whether nothing is left to wait for: all have gone, or go as soon as the log is synced.
        """
        if self._acknowledged and not self._settle():
            return self.waiting < SERVER_BUFFER
        if self._replies:
            self._unsent = memoryview(b"".join((self._unsent, *self._replies)))
            self._replies.clear()
        self._push()
        if self._unsent:
            return False
        if self._observer is not None:
            self._observer.sent()
        return True

    async def flush(self) -> None:
        """Send the replies gathered so far, once what they acknowledge is safe."""
        self._position = None
        if self._acknowledged:
            try:
                await self._commit.commit()
            except StorageError as error:
                self._take_back(error)
            self._acknowledged.clear()
        if not self.flush_now():
            await self._drain()
            if self._observer is not None:
                self._observer.sent()

    def _settle(self) -> bool:
        """Have made safe what is acknowledged; return whether it is, or has failed."""
        if self._position is not None:
            return False
        try:
            position = self._commit.flush()
        except StorageError as error:
            self._take_back(error)
        else:
            if not self._commit.is_safe(position):
                self._position, self._covered = position, len(self._replies)
                self._commit.after_sync(self._release)
                return False
        self._acknowledged.clear()
        return True

    def _release(self) -> None:
        """Send what a sync has covered, without the client's task if that can be done."""
        position, self._position = self._position, None
        if position is None:
            return  # its own task was quicker
        if not self._commit.is_safe(position):
            self._transport.wake()
            return
        covered, self._covered = self._covered, 0
        later = self._replies[covered:]
        acknowledged = [place - covered for place in self._acknowledged if place >= covered]
        del self._replies[covered:]
        self._acknowledged.clear()
        try:
            done = self.flush_now()
        except trio.BrokenResourceError:
            done = False  # its own task will see that too
        self._replies += later
        self._acknowledged += acknowledged
        if not (done and self.flush_now()):
            self._transport.wake()

    def close(self) -> None:
        """Send nothing more."""
        self._position = None

    async def send(self, data: bytes | memoryview) -> None:
        """Send a piece of a long reply; `flush` has sent all before it."""
        self._unsent = memoryview(data)
        self._push()
        await self._drain()

    def try_to_send(self, reply: bytes) -> bool:
        """Send a last word, if the client takes it at once; return whether it did."""
        return self._transport.send_now(memoryview(reply)) == len(reply)

    def _push(self) -> None:
        if self._unsent:
            count = self._transport.send_now(self._unsent)
            self._traffic.sent += count
            self._unsent = self._unsent[count:] or _NOTHING

    async def _drain(self) -> None:
        while self._unsent:
            now = trio.current_time()
            self._deadline.due, self._deadline.stalls_at = now + self._send_time, now + STALL
            await self._transport.wait_sendable()
            self._deadline.clear()
            self._push()

    def _take_back(self, error: StorageError) -> None:
        """Say of all that was to be acknowledged that it failed."""
        self._traffic.errors += len(self._acknowledged)
        for place in self._acknowledged:
            self._replies[place] = encode_error(str(error))
        if self._observer is not None:
            self._observer.failed()
