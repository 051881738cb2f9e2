"""A server's connection without sockets, on a store whose disk and clock are simulated."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from racs.wire import ClientConnection, decode_reply, encode_command, encode_frame, encode_single
from racs.wire import stream_hash as hash_of
from racs.wire.replies import ReplyError, Value
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.net import Bus, Connection, GroupCommit, Services
from racs_server.net.lookout import Answer, Send
from racs_server.storage import Store
from tests.storage.helpers import ALICE

END = bytes(8)
"""A message of length 0."""


class MemoryTransport:
    """One end of a pipe, as a server's connection wants it."""

    def __init__(self, stream: trio.testing.MemoryReceiveStream, out: "Client") -> None:
        self._incoming = stream
        self._out = out
        self._resting = trio.CancelScope()
        self._come: bytes | bytearray | None = None

    async def rest(self, answer: Answer, send: Send) -> None:
        with trio.CancelScope() as self._resting:
            while True:
                self._come = await self._incoming.receive_some(1 << 20)
                answer()
                if not send():
                    return

    def wake(self) -> None:
        self._resting.cancel()

    def receive_now(self, buffer: memoryview) -> int | None:
        data, self._come = self._come, None
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    async def receive_into(self, buffer: memoryview) -> int:
        data = await self._incoming.receive_some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send_now(self, data: memoryview) -> int:
        self._out.came(bytes(data))
        return len(data)

    async def wait_sendable(self) -> None:
        await trio.lowlevel.checkpoint()

    def has_left(self) -> bool:
        return False

    def send_eof(self) -> None:
        pass

    def close(self) -> None:
        self._incoming.close()
        self._out.closed.set()


class Client:
    """The other end: sends bytes, and takes replies one by one."""

    def __init__(self) -> None:
        self.send_stream, self.incoming = trio.testing.memory_stream_one_way_pair()
        self.closed = trio.Event()
        self._wire = ClientConnection()
        self._in, self._out = trio.open_memory_channel[bytes](1 << 20)

    def came(self, data: bytes) -> None:
        self._in.send_nowait(data)

    async def send(self, *messages: bytes) -> None:
        await self.send_stream.send_all(b"".join(messages))

    async def ask(self, text: str) -> Value | ReplyError:
        await self.send(encode_command(text))
        return await self.reply()

    async def reply(self) -> Value | ReplyError:
        """Return the next reply; an error as an object."""
        while (event := self._wire.next_event()) is None:
            data = await self._out.receive()
            while data:
                buffer = self._wire.get_buffer()
                count = min(len(data), len(buffer))
                buffer[:count] = data[:count]
                self._wire.received(count)
                data = data[count:]
        try:
            return decode_reply(event.payload)
        except ReplyError as error:
            return error

    @property
    def silent(self) -> bool:
        """Whether nothing more has come."""
        return self._wire.partial is None and not self._out.statistics().current_buffer_used


@asynccontextmanager
async def connected(
    store: Store, bus: Bus | None = None, **settings: object
) -> AsyncIterator[Client]:
    """Run a connection to a store."""
    executor = Executor(store, lambda: None)
    services = Services(
        store,
        executor,
        GroupCommit(store),
        Settings(**settings),  # type: ignore[arg-type]
        trio.CapacityLimiter(1),
        bus or Bus(0),
    )
    client = Client()
    connection = Connection(MemoryTransport(client.incoming, client), services)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(services.commit.run)
        nursery.start_soon(services.bus.run)
        nursery.start_soon(connection.run)
        yield client
        nursery.cancel_scope.cancel()


def audio(stream_id: str, pcm: bytes, session: bytes = ALICE) -> bytes:
    """Return the message of a single."""
    return encode_single(encode_frame(hash_of(stream_id), session, pcm))
