"""A connection on bytes in memory, on a store in a folder of its own, and a clock that jumps."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from racs.wire import ClientConnection, decode_reply
from racs.wire.replies import ReplyError
from racs_server.app import open_store
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.net import Bus, Connection, GroupCommit, Services
from racs_server.net.lookout import Answer, Send
from racs_server.storage import Store


class MemoryTransport:
    """Both ends of a client's bytes; the peer takes at most `window` bytes until it reads."""

    def __init__(self, window: int = 1 << 30) -> None:
        self._incoming = bytearray()
        self._ended = self._gone = False
        self._arrived = trio.Event()
        self._woken = False
        self._room = window
        self._read = trio.Event()
        self.sent = bytearray()
        self.said_goodbye = False
        self._closed = False

    def client_sends(self, data: bytes, *, end: bool = False) -> None:
        self._incoming += data
        self._ended = self._ended or end
        self._arrived.set()

    def client_reads(self, count: int) -> None:
        self._room += count
        self._read.set()

    async def rest(self, answer: Answer, send: Send) -> None:
        self._woken = False
        await self._wait_for_bytes()
        while not self._woken:
            answer()
            if not send():
                return
            await self._wait_for_bytes()

    def wake(self) -> None:
        self._woken = True
        self._arrived.set()

    async def _wait_for_bytes(self) -> None:
        while not self._incoming and not self._ended and not self._woken:
            self._arrived = trio.Event()
            await self._arrived.wait()
        await trio.lowlevel.checkpoint()

    def receive_now(self, buffer: memoryview) -> int | None:
        if not self._incoming and not self._ended:
            return None
        count = min(len(buffer), len(self._incoming))
        buffer[:count] = self._incoming[:count]
        del self._incoming[:count]
        return count

    async def receive_into(self, buffer: memoryview) -> int:
        self._woken = False
        while True:
            await self._wait_for_bytes()
            if (count := self.receive_now(buffer)) is not None:
                return count

    def send_now(self, data: memoryview) -> int:
        count = min(len(data), self._room)
        self._room -= count
        self.sent += data[:count]
        return count

    async def wait_sendable(self) -> None:
        while not self._room:
            self._read = trio.Event()
            await self._read.wait()

    def client_leaves(self) -> None:
        self._gone = True
        self.client_sends(b"", end=True)

    def has_left(self) -> bool:
        return self._gone

    def send_eof(self) -> None:
        self.said_goodbye = True

    def close(self) -> None:
        self._closed = True

    def is_closed(self) -> bool:
        return self._closed

    def replies(self) -> list[object]:
        """Return what has been sent so far, unpacked; errors as `ReplyError`."""
        wire = ClientConnection()
        data, found = bytes(self.sent), list[object]()
        while data:
            buffer = wire.get_buffer()
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
            wire.received(count)
            data = data[count:]
            while (reply := wire.next_event()) is not None:
                try:
                    found.append(decode_reply(reply.payload))
                except ReplyError as error:
                    found.append(error)
        return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "archive")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture
def services(store: Store, settings: Settings) -> Services:
    ending = trio.Event()
    executor = Executor(store, ending.set)
    reading = trio.CapacityLimiter(2)
    return Services(store, executor, GroupCommit(store), settings, reading, Bus(0))


@pytest.fixture
def connect(
    services: Services, nursery: trio.Nursery
) -> Callable[..., tuple[MemoryTransport, Connection]]:
    """Return a function that connects a client."""

    def connect_one(window: int = 1 << 30) -> tuple[MemoryTransport, Connection]:
        transport = MemoryTransport(window)
        connection = Connection(transport, services)
        nursery.start_soon(connection.run)
        return transport, connection

    return connect_one
