"""Long replies: audio and files, sent piece by piece while the next piece is read.

Invariants
----------
- Nothing is sent before the first piece is there: what fails till then is an ordinary error.
- Whatever happens, what a reply holds (open files, a temporary file) is freed.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import outcome
import trio

from racs.wire import vector_head
from racs_server.commands import Encoding, Piece, Reader, gather, iter_blocks
from racs_server.errors import LimitError, RacsError
from racs_server.values import AudioPlan, EncodedPlan

logger = logging.getLogger(__name__)
T = TypeVar("T")

SAMPLE = 4
"""Bytes of a sample on the wire, in an ``s32v``."""

_SHUT = (
    "no more came from here while the file was made, which looks like a client that has gone: keep"
    " the sending side of the connection open until the reply has come"
)

Send = Callable[[Piece], Awaitable[None]]


class BrokenReply(Exception):
    """The reply under way cannot be finished: the connection has to end."""


class LongReplies:
    """Sends what does not fit into memory.

    Parameters
    ----------
    store
        Whence the PCM comes.
    limiter
        How many threads may read and encode at once, over all connections.
    folder
        Where temporary files go.
    """

    def __init__(self, store: Reader, limiter: trio.CapacityLimiter, folder: Path) -> None:
        self._store = store
        self._limiter = limiter
        self._folder = folder

    def __repr__(self) -> str:
        return f"<LongReplies {self._limiter.borrowed_tokens} of {self._limiter.total_tokens}>"

    async def send_audio(self, plan: AudioPlan, send: Send) -> None:
        """Send a plan's samples as an ``s32v``.

        Parameters
        ----------
        plan
            What to send.
        send
            Sends bytes to the client.

        Raises
        ------
        RacsError
            The first piece could not be read: nothing has been sent.
        BrokenReply
            A later one could not.
        """
        pieces = (block.data.cast("B") for block in iter_blocks(self._store, plan))
        await self._send(vector_head("s32v", plan.samples * SAMPLE), pieces, send)

    async def send_encoded(
        self, encoded: EncodedPlan, send: Send, has_left: Callable[[], bool]
    ) -> None:
        """Send a file as a ``u8v``.

        Parameters
        ----------
        encoded
            What to send.
        send
            Sends bytes to the client.
        has_left
            Whether the client waits no more: asked while the file is made.

        Raises
        ------
        RacsError
            It could not be made, or its first piece not be read, or the client has left: nothing
            has been sent.
        BrokenReply
            A later piece could not be read.
        """
        encoding = Encoding(self._store, encoded, self._folder)
        try:
            while encoding.size is None:
                if has_left():
                    raise LimitError(_SHUT)
                await self._in_thread(encoding.advance)
            await self._send(vector_head("u8v", encoding.size), iter(encoding.read, None), send)
        finally:
            # freeing the blocks of a large file takes its time
            with trio.CancelScope(shield=True):
                await self._in_thread(encoding.close)

    async def _send(self, head: bytes, pieces: Iterator[Piece], send: Send) -> None:
        read = partial(self._in_thread, partial(gather, pieces))
        piece = await read()
        await send(head)
        while piece:
            try:
                piece = await _overlap(partial(send, piece), read)
            except RacsError as error:
                logger.error("a reply was cut off: %s", error)
                raise BrokenReply("a reply could not be read to its end") from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


async def _overlap(
    foreground: Callable[[], Awaitable[None]], background: Callable[[], Awaitable[T]]
) -> T:
    """Do two things at once; return what the second returns, or raise what either raises."""
    results: list[outcome.Outcome[T]] = []

    async def capture() -> None:
        results.append(await outcome.acapture(background))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(capture)
        done = await outcome.acapture(foreground)
    try:
        done.unwrap()
        return results[0].unwrap()
    finally:
        # an error keeps this frame: if this kept the error, both would keep the pieces for long
        del done
        results.clear()
