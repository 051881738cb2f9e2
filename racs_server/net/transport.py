"""The bytes of one client's socket.

The system calls are made directly on the non-blocking socket, and the event loop is asked to wait
only where one would. A wait costs more than most requests do (measured: 20 us of work in the event
loop, and as long again until the system has woken up the process). So the server looks out a moment
for the next request of a client that it has just answered, as long as no other client's bytes have
come meanwhile: a client that works in lock step is answered without a wait.
"""

import os
import select
import socket
import time
from typing import ClassVar, Protocol

import trio

_PATIENCE = 100e-6
"""Seconds to look out for the next request: a little more than most clients take for it."""

_IN_A_ROW = 8
"""Reads without a wait before all other tasks get their turn: about a millisecond."""

_ASK_AFTER = 60
"""Seconds of silence after which the system asks whether the peer is still there."""


class Transport(Protocol):
    """A byte stream to a client. All but `close` raise `trio.BrokenResourceError` when it left."""

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""

    def send_now(self, data: memoryview) -> int:
        """Send what can be sent without waiting, return how many bytes."""

    async def wait_sendable(self) -> None:
        """Return when `send_now` would send something."""

    def has_left(self) -> bool:
        """Return whether the peer is gone; one that only sends no more still waits for replies."""

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
    """

    _latest: ClassVar["SocketTransport | None"] = None
    """Whose bytes came last, of all clients."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = stream.socket
        self._fd = stream.socket.fileno()
        self._drained = True
        self._in_a_row = 0
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ASK_AFTER)

    def __repr__(self) -> str:
        return f"<SocketTransport descriptor={self._fd}>"

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""
        while True:
            if not self._comes_soon():
                self._in_a_row = 0
                # A read that filled its buffer may have left more; else there is nothing to try for
                if self._drained:
                    await trio.lowlevel.wait_readable(self._fd)
                else:
                    await trio.lowlevel.checkpoint()
            try:
                count = os.readv(self._fd, [buffer])
            except BlockingIOError:
                self._drained = True
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error
            self._drained = count < len(buffer)
            SocketTransport._latest = self
            return count

    def _comes_soon(self) -> bool:
        """Look out for bytes, if it is this client's turn; return whether there are some."""
        if SocketTransport._latest is not self or self._in_a_row == _IN_A_ROW:
            return False
        self._in_a_row += 1
        end = time.perf_counter() + _PATIENCE
        while not self._poll.poll(0):
            if time.perf_counter() > end:
                return False
        return True

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
        """Return whether the peer is gone; one that only sends no more still waits for replies."""
        poll = select.poll()
        # no event is asked for: of errors and of the end of both directions it always tells
        poll.register(self._fd, 0)
        return bool(poll.poll(0))

    def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    def close(self) -> None:
        """Close at once."""
        if SocketTransport._latest is self:
            SocketTransport._latest = None
        self._socket.close()
