"""The bytes of one client's socket.

The system calls are made directly on the non-blocking socket, and the event loop is asked to wait
only where one would.
"""

import math
import os
import select
import socket
from typing import Protocol

import trio

from racs_server.net.lookout import Answer, Lookout, Send

_ASK_AFTER = 60
"""Seconds of silence after which the system asks whether the peer is still there."""

SHUT_PATIENCE = 10.0
"""Seconds for which a peer that has shut its side is not yet taken for one that is gone.

Nothing tells the two apart but an answer to bytes, and there are none to send yet.
"""


class Transport(Protocol):
    """A byte stream to a client. All but `close` raise `trio.BrokenResourceError` when it left."""

    async def rest(self, answer: Answer, send: Send) -> None:
        """Have both called each time that bytes have come, until `send` says False.

        They take and send with `receive_now` and `send_now`, and do not wait. What they raise is
        raised here.
        """

    def wake(self) -> None:
        """Let `rest` return, if that is what is done."""

    def receive_now(self, buffer: memoryview) -> int | None:
        """Put what has come into the buffer, return how many bytes; 0 at the end, None: nothing."""

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""

    def send_now(self, data: memoryview) -> int:
        """Send what can be sent without waiting, return how many bytes."""

    async def wait_sendable(self) -> None:
        """Return when `send_now` would send something."""

    def has_left(self) -> bool:
        """Return whether the peer is gone, or has sent no more for so long that it may well be."""

    def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent."""

    def close(self) -> None:
        """Close at once."""


class SocketTransport:
    """A `Transport` of an accepted connection.

    Parameters
    ----------
    stream
        The connection.
    lookout
        Where it rests.
    """

    def __init__(self, stream: trio.SocketStream, lookout: Lookout) -> None:
        self._socket = stream.socket
        self._lookout = lookout
        self._fd = stream.socket.fileno()
        self._shut_at = math.inf
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ASK_AFTER)

    def __repr__(self) -> str:
        return f"<SocketTransport descriptor={self._fd}>"

    async def rest(self, answer: Answer, send: Send) -> None:
        """Have both called each time that bytes have come, until `send` says False."""
        await self._lookout.rest(self._fd, answer, send)

    def wake(self) -> None:
        """Let `rest` return, if that is what is done."""
        self._lookout.wake(self._fd)

    def receive_now(self, buffer: memoryview) -> int | None:
        """Put what has come into the buffer, return how many bytes; 0 at the end, None: nothing."""
        try:
            return os.readv(self._fd, [buffer])
        except BlockingIOError:
            return None
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""
        await trio.lowlevel.checkpoint()  # who always has bytes waiting is not alone
        while (count := self.receive_now(buffer)) is None:
            await trio.lowlevel.wait_readable(self._fd)
        return count

    def send_now(self, data: memoryview) -> int:
        """Send what can be sent without waiting, return how many bytes."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def wait_sendable(self) -> None:
        """Return when `send_now` would send something."""
        await trio.lowlevel.wait_writable(self._fd)

    def has_left(self) -> bool:
        """Return whether the peer is gone, or has sent no more for so long that it may well be."""
        poll = select.poll()
        # of errors and of the end of both directions it tells without being asked
        poll.register(self._fd, select.POLLRDHUP)
        events = sum(event for _, event in poll.poll(0))
        if events & select.POLLRDHUP:
            self._shut_at = min(self._shut_at, trio.current_time())
        waited = trio.current_time() - self._shut_at
        return bool(events & (select.POLLHUP | select.POLLERR)) or waited > SHUT_PATIENCE

    def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    def close(self) -> None:
        """Close at once."""
        self._socket.close()
