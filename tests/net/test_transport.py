"""One client's socket: when the event loop is asked to wait for it, and when not."""

import socket

import pytest
import trio
from trio.testing import assert_checkpoints, assert_no_checkpoints

from racs_server.net.transport import SocketTransport


class Peer:
    """A transport, and the client's end of it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        server.setblocking(False)
        self.transport = SocketTransport(trio.SocketStream(trio.socket.from_stdlib_socket(server)))

    async def ask(self) -> None:
        """Send a request and have it received."""
        self.client.sendall(b"request")
        buffer = memoryview(bytearray(64))
        count = await self.transport.receive_into(buffer)
        assert bytes(buffer[:count]) == b"request"

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()
        self.client.close()


async def test_a_client_that_is_alone_is_answered_without_a_wait() -> None:
    with Peer() as peer:
        await peer.ask()
        with assert_no_checkpoints():
            await peer.ask()


async def test_all_others_get_their_turn_now_and_then() -> None:
    with Peer() as peer:
        await peer.ask()
        with assert_checkpoints():
            for _ in range(10):
                await peer.ask()


async def test_two_clients_are_waited_for_together() -> None:
    with Peer() as one, Peer() as other:
        await one.ask()
        await other.ask()
        with assert_checkpoints():
            await one.ask()


async def test_a_client_that_has_left_is_not_looked_out_for() -> None:
    with Peer() as peer:
        await peer.ask()
        peer.client.close()
        assert await peer.transport.receive_into(memoryview(bytearray(64))) == 0


async def test_a_client_that_broke_off_is_reported() -> None:
    with Peer() as peer:
        await peer.ask()
        peer.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0] + 4 * [0]))
        peer.client.close()
        with pytest.raises(trio.BrokenResourceError):
            await peer.transport.receive_into(memoryview(bytearray(64)))


async def test_a_client_that_sends_no_more_is_still_there() -> None:
    with Peer() as peer:
        await peer.ask()
        peer.client.shutdown(socket.SHUT_WR)
        assert await peer.transport.receive_into(memoryview(bytearray(64))) == 0
        assert not peer.transport.has_left()
        peer.transport.send_now(memoryview(b"reply"))
        assert peer.client.recv(64) == b"reply"


async def test_a_client_that_is_gone_has_left() -> None:
    with Peer() as peer:
        await peer.ask()
        peer.transport.send_now(memoryview(b"a reply that nobody reads"))
        assert not peer.transport.has_left()
        peer.client.close()
        while not peer.transport.has_left():
            await trio.lowlevel.checkpoint()
