"""Feeds: what a connection does after FOLLOW and SUBSCRIBE, until the client sends anything.

A feed is replies without requests. All are lists, and audio is a list with an ``s32v`` behind it;
the last is a ``null``. Whatever the client sends ends the feed; a message of length 0 does only
that, anything else is a request and is answered after the ``null``. An error instead ends it too.

FOLLOW: ``start`` and ``frames`` are sample frames, the first one and how many.

======================================== =====================================================
``["list", "audio", start, frames]``     and, at once behind it, ``["s32v", samples]``
``["list", "missed", start, frames]``    passed over, for the client is too slow; can be extracted
``["list", "closed", frames]``           nothing more comes before the stream is opened again
``["list", "opened", frames]``           the stream is open, and has so many sample frames
======================================== =====================================================

The first is "opened" or "closed", behind what was asked for of the past. SUBSCRIBE:

============================================== ===============================================
``["list", n, "ready"]``                       the first reply: everything after event n follows
``["list", n, "missed"]``                      events up to n were lost: look anew, then go on
``["list", n, kind, id, time, start, stop]``   event n: created, opened, appended, closed, deleted
                                               or expired, at `time` (ms since the epoch);
                                               appended: the sample frames [start, stop)
============================================== ===============================================

Invariants
----------
- A feed waits for its client and nobody waits for a feed: it reads what it sends from the store and
  the bus when it sends it.
- It is ended between two replies, never in one.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from racs.wire import encode_reply, vector_head
from racs_server.commands import TURN_BYTES, Piece, iter_blocks
from racs_server.errors import AccessError, StreamError
from racs_server.glob import compile_glob
from racs_server.net.bus import Bell, Bus
from racs_server.net.memory import Budget, Lease
from racs_server.net.pieces import Pieces, Shared
from racs_server.net.replies import SAMPLE
from racs_server.storage import Store
from racs_server.values import Follow, StreamInfo, StreamRange, Subscribe

LAG = 10.0
"""Seconds of audio that a follower that has once kept up can be behind by."""

_SMALL = 256 << 10
"""Bytes of audio that need no lease: what comes while a client keeps up."""

Send = Callable[[Piece], Awaitable[None]]
MayRead = Callable[[str], bool]
"""Whether the client may read a stream, now."""


class Feed(ABC):
    """Replies to come.

    Parameters
    ----------
    bus
        Tells when there is something to send.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bell = Bell()
        self._stopped = False

    def stop(self) -> None:
        """End the feed after the reply under way."""
        self._stopped = True
        self._bell.ring()

    @abstractmethod
    async def run(self, send: Send) -> None:
        """Send until `stop`.

        Raises
        ------
        RacsError
            It cannot go on.
        """


class Following(Feed):
    """A stream's audio as it comes.

    Parameters
    ----------
    follow
        From where.
    bus, store
        Where it comes from.
    reading
        How many threads may read at once, over all connections.
    budget
        The memory for what is long.
    pieces
        What is short, and others may have read already.
    may_read
        Whether the client may read a stream; it may lose that.
    """

    def __init__(
        self,
        follow: Follow,
        bus: Bus,
        store: Store,
        reading: trio.CapacityLimiter,
        budget: Budget,
        pieces: Pieces,
        may_read: MayRead,
    ) -> None:
        super().__init__(bus)
        self._may_read = may_read
        self._pieces = pieces
        self._piece: Shared | None = None
        """What was sent last, kept for those who come to want it."""
        self._follow = follow
        self._store = store
        self._reading = reading
        self._budget = budget
        self._position = follow.start
        self._was_open: bool | None = None
        """What the client was told; None while it gets what it asked for of the past."""

    async def run(self, send: Send) -> None:
        """Send what there is from the start on, then what comes."""
        with self._bus.following(self._bell, self._follow.stream_id):
            while not self._stopped:
                info = self._info()
                if self._position < info.frames:
                    await self._send_audio(info, send)
                elif info.is_open is not self._was_open:
                    self._was_open = info.is_open
                    state = "opened" if info.is_open else "closed"
                    await send(encode_reply([state, info.frames]))
                else:
                    await self._bell.wait()

    def _info(self) -> StreamInfo:
        if not self._may_read(self._follow.stream_id):
            raise AccessError(f"{self._follow.stream_id!r} may not be followed any more")
        info = self._store.info(self._follow.stream_id)
        if info.serial != self._follow.serial:
            raise StreamError(f"stream {info.id!r} was deleted and made anew meanwhile")
        return info

    async def _send_audio(self, info: StreamInfo, send: Send) -> None:
        start, stop = self._position, info.frames
        behind = stop - start
        if self._was_open is not None and behind > LAG * info.format.sample_rate:
            self._position = stop
            await send(encode_reply(["missed", start, behind]))
            return
        frame = SAMPLE * info.format.channels
        stop = min(stop, start + TURN_BYTES // frame)
        read = partial(self._read, info.id, start, stop)
        needed = 2 * frame * (stop - start)
        if needed <= _SMALL:
            piece = self._piece = await self._pieces.get(info.id, info.serial, start, read)
            self._position += piece.frames
            await send(piece.reply)
            return
        with Lease(self._budget, _SMALL) as lease:
            await lease.grow(needed)
            frames, reply = await read()
            self._position += frames
            await send(reply)

    async def _read(self, stream_id: str, start: int, stop: int) -> tuple[int, bytes]:
        """Return how many sample frames there are of a range, and the reply that has them."""
        plan = self._store.plan(stream_id, start, stop)
        read = partial(_samples, plan, self._store)
        samples = await trio.to_thread.run_sync(read, limiter=self._reading)
        head = encode_reply(["audio", start, plan.frames]) + vector_head("s32v", len(samples))
        return plan.frames, head + samples


def _samples(plan: StreamRange, store: Store) -> bytes:
    return b"".join(block.data.cast("B") for block in iter_blocks(store, plan))


class Subscription(Feed):
    """What happens to the streams that match a pattern.

    Parameters
    ----------
    subscribe
        Which, and since when.
    bus
        Where it comes from.
    may_read
        Whether the client may read a stream: of others it is told nothing.
    """

    def __init__(self, subscribe: Subscribe, bus: Bus, may_read: MayRead) -> None:
        super().__init__(bus)
        self._may_read = may_read
        self._matches = compile_glob(subscribe.pattern)
        self._listener = bus.listener(subscribe.since)

    async def run(self, send: Send) -> None:
        """Send what has happened since the event that the client knows, then what happens."""
        with self._bus.listening(self._bell):
            while not self._stopped:
                news = self._listener.news()
                if news is None:
                    await self._bell.wait()
                elif news.kind == "events":
                    replies = [
                        each.reply
                        for each in news.events
                        if self._matches(each.stream_id) and self._may_read(each.stream_id)
                    ]
                    await send(b"".join(replies))
                else:
                    await send(encode_reply([news.number, news.kind]))
