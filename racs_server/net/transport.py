"""The bytes of one client's socket.

The system calls are made directly on the non-blocking socket, and the event loop is asked to wait
only where one would: a request and its reply cost one wait and two calls.
"""

import os
import socket
from typing import Protocol

import trio


class Transport(Protocol):
    """A byte stream to a client. All but `close` raise `trio.BrokenResourceError` when it left."""

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""

    def send_now(self, data: memoryview) -> int:
        """Send what can be sent without waiting, return how many bytes."""

    async def wait_sendable(self) -> None:
        """Return when `send_now` would send something."""

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

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = stream.socket
        self._fd = stream.socket.fileno()
        self._drained = True
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def __repr__(self) -> str:
        return f"<SocketTransport descriptor={self._fd}>"

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""
        while True:
            # A read that filled its buffer may have left more; else there is nothing to try for.
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

    def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    def close(self) -> None:
        """Close at once."""
        self._socket.close()
