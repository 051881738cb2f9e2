"""The front of the client that awaits: `AsyncRacs`, for trio and asyncio, by way of anyio.

Everything but waiting is the other client's own: `run_async` carries out the same scripts.

Invariant: this is the only module of the client that imports an event loop's library.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from datetime import datetime
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, TypeVar, overload

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from racs.address import find_address
from racs.base import NO_DATA, Client, Missing
from racs.connection import Connection
from racs.extract import DEFAULT_BLOCK, Range, begin, checked_range
from racs.live import (
    Follower,
    LiveBlock,
    StreamEvent,
    Subscriber,
    follow_command,
    subscribe_command,
)
from racs.live import begin as begin_feed
from racs.pipeline import Pipeline
from racs.pool import Pool
from racs.script import END, Blocking, Happens, Pull, Script, Step
from racs.sources import PcmData, Samples, open_async_source
from racs.stream import (
    DEFAULT_CHUNK,
    Builder,
    SendSettings,
    checked_chunk,
    open_and_send,
    send_audio,
)
from racs.wire.events import Buffer

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")
AsyncPcmData = PcmData | AsyncIterable[Samples]
"""What audio may be given as: see `racs.client.Racs.stream`; or an async iterator."""


async def run_async(script: Script[T]) -> T:
    """Carry out a script in the event loop; return what it returns."""
    try:
        step = script.send(None)
        while True:
            try:
                result = await _carry_out(step)
            except BaseException as error:
                step = script.throw(error)
            else:
                step = script.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


async def _carry_out(step: Step) -> object:
    if isinstance(step, Pull):
        if isinstance(step.iterator, AsyncIterator):
            return await anext(step.iterator, END)
        return await anyio.to_thread.run_sync(next, step.iterator, END)
    if isinstance(step, Blocking):
        return await anyio.to_thread.run_sync(step.call, abandon_on_cancel=True)
    if isinstance(step, Happens):
        return await step.event.wait()
    wait = anyio.wait_writable if step.writing else anyio.wait_readable
    with anyio.fail_after(step.timeout):
        await wait(step.socket)
    return None


class AsyncRacs(Client):
    """A client of one server, for code that awaits; the same as `racs.Racs` otherwise.

    May be shared by the tasks of one event loop. An exchange that is cancelled has its connection
    closed, since nobody can tell what its next bytes are.

    Parameters
    ----------
    host, port, pool_size, connect_timeout, timeout, vectors, tls, user, password, token
        As for `racs.Racs`.

    Examples
    --------
    >>> async with AsyncRacs("localhost") as r:
    ...     await r.pipeline().ping().execute()
    'PONG'
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6381,
        pool_size: int = 3,
        *,
        connect_timeout: float = 5.0,
        timeout: float | None = None,
        vectors: Literal["numpy", "list"] = "numpy",
        tls: "bool | str | PathLike[str] | SSLContext" = False,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
    ) -> None:
        address = find_address(host, port, tls, user, password, token)
        super().__init__(address, pool_size, connect_timeout, timeout, vectors)

    def _make_pool(self, connect: Callable[..., Connection], size: int) -> Pool:
        return Pool(partial(connect, blocking=False), size, anyio.Event)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; those in use are closed when their exchange is over."""
        self._pool.close()

    def pipeline(self) -> Pipeline:
        """Return an empty pipeline of commands; its `execute()` is to be awaited."""
        return Pipeline(self.execute_command)

    async def execute_command(
        self, text: str, to: "str | PathLike[str] | BinaryIO | None" = None
    ) -> Any:
        """Send the text of a command, or of a pipeline; see `racs.Racs.execute_command`."""
        return await run_async(self._execute(text, to))

    async def execute_commands(self, texts: Iterable[str]) -> list[Any]:
        """Send many commands at once; see `racs.Racs.execute_commands`."""
        return await run_async(self._execute_all(texts))

    async def attach(self, stream_id: str, name: str, data: Buffer) -> None:
        """Keep a file with a stream; see `racs.Racs.attach`."""
        await run_async(self._attach(stream_id, name, data))

    async def attachment(self, stream_id: str, name: str) -> bytes:
        """Return a file that is kept with a stream; see `racs.Racs.attachment`."""
        contents: bytes = await self.execute_command(self._attachment(stream_id, name))
        return contents

    async def attachments(self, stream_id: str) -> list[str]:
        """Return the names of the files that are kept with a stream, sorted."""
        names: list[str] = await self.execute_command(self._attachments(stream_id))
        return names

    def extract_blocks(
        self,
        stream_id: str,
        frm: datetime | int,
        to: datetime | int,
        *,
        block_frames: int = DEFAULT_BLOCK,
    ) -> AsyncGenerator[NDArray[np.int32], None]:
        """Get a stretch of time block by block; see `racs.Racs.extract_blocks`.

        Who gives the iterator up closes it, and with it its connection: best by
        ``async with contextlib.aclosing(r.extract_blocks(...)) as blocks:``.
        """
        return self._blocks(checked_range(stream_id, frm, to, block_frames))

    async def _blocks(self, range_: Range) -> AsyncGenerator[NDArray[np.int32], None]:
        reader = await run_async(begin(self._pool, range_))
        try:
            while (block := await run_async(reader.next_block())) is not None:
                yield block
        except BaseException as error:
            self._pool.give_back(reader.connection, error)
            raise
        self._pool.give_back(reader.connection)

    def follow(
        self,
        stream_id: str,
        frm: datetime | int | float | None = None,
        *,
        until_closed: bool = False,
    ) -> AsyncGenerator[LiveBlock, None]:
        """Get a stream's audio as it comes; see `racs.Racs.follow`.

        Who gives the iterator up closes it, as that of `extract_blocks`.
        """
        text = follow_command(stream_id, frm)
        return self._feed(text, lambda connection: Follower(connection, until_closed=until_closed))

    def subscribe(
        self, pattern: str = "*", since: int | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Get told what happens to streams; see `racs.Racs.subscribe`."""
        return self._feed(subscribe_command(pattern, since), Subscriber)

    async def _feed(
        self, text: str, reader: Callable[[Connection], Follower | Subscriber]
    ) -> AsyncGenerator[Any, None]:
        feed = reader(await run_async(begin_feed(self._pool, text)))
        try:
            while (item := await run_async(feed.next())) is not None:
                yield item
        finally:
            self._pool.give_back(feed.connection, own=True)

    @overload
    def stream(self, stream_id: str, chunk_size: int = ...) -> "AsyncStreamBuilder": ...

    @overload
    def stream(
        self, stream_id: str, chunk_size: int = ..., *, pcm_data: AsyncPcmData
    ) -> Awaitable[int]: ...

    @overload
    def stream(self, stream_id: str, chunk_size: int, pcm_data: AsyncPcmData) -> Awaitable[int]: ...

    def stream(
        self,
        stream_id: str,
        chunk_size: int = DEFAULT_CHUNK,
        pcm_data: AsyncPcmData | Literal[Missing.DATA] = NO_DATA,
    ) -> "AsyncStreamBuilder | Awaitable[int]":
        """Send audio to a stream that is open; or, without data, return a builder.

        Parameters
        ----------
        stream_id, chunk_size
            As for `racs.Racs.stream`.
        pcm_data
            The same; or an async iterator. A file, and an iterator that is not async, are read in
            worker threads: a cancellation waits for the piece that is being read.

        Returns
        -------
        Awaitable[int]
            Sample frames sent, all acknowledged. Or the builder.

        Raises
        ------
        RacsException
            As `racs.Racs.stream`.
        """
        settings = SendSettings(chunk=checked_chunk(chunk_size))
        target = self._target(stream_id, pcm_data, open_async_source)
        if pcm_data is NO_DATA:
            return AsyncStreamBuilder(target, settings)
        return run_async(send_audio(target, pcm_data, settings))


class AsyncStreamBuilder(Builder):
    """Sending with settings, made by `AsyncRacs.stream` when it is given no data.

    Examples
    --------
    >>> await r.stream("chopin").chunk_size(32768).compression(True).execute(data)
    """

    async def execute(self, pcm_data: AsyncPcmData) -> int:
        """Open the stream, send the audio, and close the stream, also if sending failed.

        Parameters
        ----------
        pcm_data
            See `AsyncRacs.stream`.

        Returns
        -------
        int
            Sample frames, all acknowledged and on the disk.

        Raises
        ------
        RacsException
            As `racs.Racs.stream`; data that are found wrong at once leave the stream untouched.
        """
        return await run_async(open_and_send(self._target, pcm_data, self._settings))
