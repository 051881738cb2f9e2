"""One client's loop: bytes in, requests carried out in order, replies out.

All requests of one read from the socket are answered with one send, and their audio is put into
the commit log with one write before that. A reply of audio is read, converted and sent piece by
piece, the next piece being read while one is sent, so that its length costs no memory.

Invariants
----------
- Nothing is acknowledged before `GroupCommit.commit` has returned.
- Every request gets exactly one reply, in order; whatever goes wrong with one is its reply.
- A connection waits without limit only between two messages: half a message, or a reply that is
  not taken, has a deadline. So a slow or silent client costs a socket and a small buffer.
"""

import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec
import outcome
import trio

from racs.wire import (
    AudioFrames,
    Bytes,
    Command,
    EndOfStream,
    Event,
    FramingLost,
    Limits,
    Rejected,
    ServerConnection,
    Vector,
    encode_reply,
    vector_head,
)
from racs.wire.connection import SERVER_BUFFER
from racs.wire.replies import encode_error
from racs_server.access import NOBODY, Effect, Login, refusal, require
from racs_server.commands import Executor, Prepared, Value
from racs_server.config import Settings
from racs_server.errors import CommandError, LimitError, RacsError, StorageError
from racs_server.net.append import Appending
from racs_server.net.bus import Bus
from racs_server.net.commit import GroupCommit
from racs_server.net.feeds import Feed, Following, Subscription
from racs_server.net.guard import Guard, Session, TooManyFailures
from racs_server.net.memory import Budget, Lease
from racs_server.net.replies import BrokenReply, LongReplies
from racs_server.net.transport import Transport
from racs_server.net.watching import Request, Result, Traffic, Watch, kind_and_size
from racs_server.storage import MAX_ATTACHMENT, Store
from racs_server.values import AppendTo, AttachTo, AudioPlan, EncodedPlan, Follow, Subscribe

logger = logging.getLogger(__name__)
T = TypeVar("T")

_LEFT = (trio.BrokenResourceError, trio.ClosedResourceError)
_TURN = 32
"""Requests that one client gets answered before it is the others' turn: about a millisecond."""

_TIME_PER = 64 << 10
_STALL = 5.0
"""Seconds that a client may do nothing while it has memory that others wait for."""

_STREAMED = 2 << 20
"""Memory that a reply takes that is sent in pieces, however long it is."""

_LINGER = 1.0
_LINGER_BYTES = 1 << 20
_LIMITS_OF_NOBODY = Limits(
    command=4 << 10, evaluation=4 << 10, message=4 << 10, inflated=64 << 10, batch=4 << 10
)
"""Enough for the longest AUTH."""
_NULL = encode_reply(None)
_numbers = itertools.count(1)


class Services(msgspec.Struct, frozen=True):
    """What every connection works with."""

    store: Store
    executor: Executor
    commit: GroupCommit
    settings: Settings
    reading: trio.CapacityLimiter
    bus: Bus
    guard: Guard = msgspec.field(default_factory=Guard)
    watch: Watch | None = None
    budget: Budget = msgspec.field(default_factory=Budget)

    @property
    def limits(self) -> Limits:
        """What is accepted from a client."""
        settings = self.settings
        return Limits(
            command=settings.max_command,
            evaluation=settings.max_eval,
            message=settings.max_message,
            inflated=settings.max_inflated,
            batch=settings.max_message,
        )


class Connection:
    """One client.

    Parameters
    ----------
    transport
        The bytes.
    services
        What is needed to answer.
    address
        Where the client is.

    Attributes
    ----------
    traffic
        What has gone over it.
    """

    def __init__(self, transport: Transport, services: Services, address: str = "") -> None:
        self.number = next(_numbers)
        self._transport = transport
        self._store = services.store
        self._executor = services.executor
        self._commit = services.commit
        self._bus = services.bus
        self._reading = services.reading
        self._settings = services.settings
        self._long = LongReplies(services.store, services.reading, services.settings.data_dir)
        self._session = Session(services.guard, address)
        self._watch = services.watch
        self._prepared: Prepared | None = None
        self._unsent: list[Request] = []
        self.traffic = Traffic()
        self._limits = services.limits
        self._wire = ServerConnection()
        self._set_limits()
        self._log_in_by = math.inf
        self._scope = trio.CancelScope()
        self._receiving = False
        self._ending = False
        self._began: float | None = None
        self._due = math.inf
        self._stalls_at = math.inf
        self._checked = self._rested = 0
        self._budget = services.budget
        self._buffered = Lease(services.budget, SERVER_BUFFER)
        self._lent = Lease(services.budget)
        self._replies: list[bytes] = []
        self._acknowledged: list[int] = []
        self._appending: Appending | None = None
        self._attaching: AttachTo | None = None
        self._feed: Feed | None = None
        self._feed_ended = False

    def __repr__(self) -> str:
        return f"<Connection {self.number}{' ending' if self._ending else ''}>"

    def end(self) -> None:
        """Finish the request under way, if any, and close."""
        self._ending = True
        if self._feed is not None:
            self._feed.stop()
        elif self._receiving:
            self._scope.cancel()

    def check(self, now: float) -> None:
        """Give the client up if it is overdue, and memory back if it is idle.

        The server asks this of all, every second.

        That costs a request nothing; a deadline of its own for each would cost it several
        microseconds.
        """
        stalled = now >= self._stalls_at and self._budget.waiting
        if now >= self._due or (stalled and (self._buffered.is_large or self._lent.is_large)):
            self._scope.cancel()
        received = self.traffic.received
        if self._receiving and received == self._checked != self._rested:
            self._rested = received
            self._wire.rest()
            if self._wire.partial is None:
                self._buffered.shrink(0)
        self._checked = received

    async def run(self) -> None:
        """Serve the client until it leaves, or until `end`."""
        self._log_in_by = trio.current_time() + self._settings.login_time
        try:
            with self._scope:
                await self._serve()
            if self._scope.cancelled_caught and not self._ending:
                await self._give_up()
        except (BrokenReply, *_LEFT) as error:
            logger.debug("connection %d: %s", self.number, error)
        except Exception:
            logger.exception("connection %d ends by a mistake of the server", self.number)
        finally:
            self._transport.close()
            self._buffered.shrink(0)
            self._lent.shrink(0)

    async def _serve(self) -> None:
        while not self._ending:
            count = await self._receive()
            if count is not None:
                self._wire.received(count)
                self.traffic.received += count
            if self._wire.ended:
                return
            if self._session.renew():
                self._set_limits()
            try:
                await self._answer_all()
            except (FramingLost, TooManyFailures) as error:
                why = refusal(self._session.caller, f"{error}", Effect.READ) or f"{error}"
                self._replies.append(encode_error(f"{why}. This connection is closed"))
                await self._flush()
                break
        await self._say_goodbye()

    async def _receive(self) -> int | None:
        """Return how many bytes have come, 0 at the end; None if there is something else to do."""
        size = self._wire.partial
        if size is not None:
            now = trio.current_time()
            if self._began is None:
                self._began = now
            self._due = self._began + self._settings.message_time + size / _TIME_PER
            if self._wire.wanted > self._buffered.size and not await self._make_room():
                return None
            self._stalls_at = now + _STALL
        elif self._buffered.size > SERVER_BUFFER and self._budget.waiting:
            self._wire.rest()
        buffer = self._wire.get_buffer()
        if self._buffered.size > SERVER_BUFFER:
            self._buffered.shrink(self._wire.size)
        if not self._session.admitted:
            self._due = min(self._due, self._log_in_by)
        self._receiving = True
        count = None
        if self._appending is None or self._appending.deadline is None:
            count = await self._transport.receive_into(buffer)
        else:
            with trio.move_on_at(self._appending.deadline):
                count = await self._transport.receive_into(buffer)
        self._receiving = False
        self._due = self._stalls_at = math.inf
        return count

    async def _make_room(self) -> bool:
        """Wait for memory for the message under way; whether there is, else it is refused."""
        # meanwhile nothing is read, which is not to be the client's fault
        self._due, self._receiving = math.inf, True
        try:
            await self._buffered.grow(self._wire.wanted)
        except LimitError as error:
            self._wire.refuse(str(error))
            return False
        finally:
            self._receiving = False
            self._began = trio.current_time()
        return True

    async def _answer_all(self) -> None:
        """Answer every request that has come whole."""
        for number in itertools.count(1):
            event = self._wire.next_event()
            if event is None:
                break
            if number % _TURN == 0:
                await self._flush()
                await trio.lowlevel.checkpoint()
            self._began = None
            self.traffic.requests += 1
            if self._watch is None:
                await self._answer(event)
            else:
                await self._answer_watched(event, self._watch)
        if self._appending is not None:
            await self._continue(self._appending, self._appending.after_read)
        if self._replies:
            await self._flush()

    async def _answer(self, event: Event) -> None:
        """Answer one request; what is short waits in `_replies` for the others of its read."""
        after_feed, self._feed_ended = self._feed_ended, False
        if self._appending is not None:
            await self._continue(self._appending, partial(self._take, self._appending, event))
        elif isinstance(event, AudioFrames):
            self._append(event)
        elif isinstance(event, Bytes) and self._attaching is not None:
            await self._attach(self._attaching, event.payload)
        elif isinstance(event, Command):
            await self._execute(event.text)
        elif isinstance(event, EndOfStream) and not after_feed:
            self._refuse("an empty message: expected a command or audio")
        elif isinstance(event, Rejected):
            self._attaching = None
            why = refusal(self._session.caller, event.reason, Effect.READ) or event.reason
            self._refuse(why)

    async def _answer_watched(self, event: Event, watch: Watch) -> None:
        """Answer one request, and have it noted when its reply has been sent."""
        self._prepared = None
        traffic, errors = self.traffic, self.traffic.errors
        request = Request(self.number, traffic.requests, time.perf_counter(), 0, "")
        before = traffic.sent + sum(map(len, self._replies))
        try:
            await self._answer(event)
            request.result = Result.OK if traffic.errors == errors else Result.ERROR
        finally:
            request.what, request.received = kind_and_size(event, self._prepared)
            request.sent = traffic.sent + sum(map(len, self._replies)) - before
            if self._replies:
                self._unsent.append(request)
            else:
                watch.note(request, time.perf_counter())

    def _refuse(self, why: str) -> None:
        """Answer a request with an error."""
        self.traffic.errors += 1
        self._replies.append(encode_error(why))

    def _set_limits(self) -> None:
        """Accept from who has not said yet who they are no more than they need for that."""
        self._wire.limit(self._limits if self._session.admitted else _LIMITS_OF_NOBODY)

    def _check_audio(self, event: AudioFrames) -> None:
        """Raise `AccessError` unless the caller may send this."""
        if not self._session.caller.unrestricted:
            self._session.check_audio(event.frames, self._store.id_of)

    async def _take(self, appending: Appending, event: Event) -> list[bytes]:
        if isinstance(event, AudioFrames):
            self._check_audio(event)
        return await appending.take(event)

    async def _continue(
        self, appending: Appending, step: Callable[[], Awaitable[list[bytes]]]
    ) -> None:
        """Do a step of append mode; whatever goes wrong is its one error."""
        try:
            self._replies += await step()
        except RacsError as error:
            self.traffic.errors += 1
            self._replies += appending.refuse(encode_error(str(error)))
        except Exception as error:
            self.traffic.errors += 1
            self._replies += appending.refuse(encode_error(self._mistake(error, "append mode")))
        if appending.ended:
            self._appending = None

    async def _attach(self, target: AttachTo, contents: memoryview) -> None:
        """Store the message that ATTACH announced."""
        self._attaching = None
        attach = partial(self._store.attach, target.stream_id, target.name, contents)
        try:
            require(self._session.caller, "ATTACH", Effect.WRITE, (target.stream_id,))
            await trio.to_thread.run_sync(attach)
        except RacsError as error:
            self._refuse(str(error))
        except Exception as error:
            self._refuse(self._mistake(error, "an attachment"))
        else:
            self._replies.append(_NULL)

    def _append(self, event: AudioFrames) -> None:
        try:
            self._check_audio(event)
            self._store.append(event.frames)
        except RacsError as error:
            self._refuse(str(error))
        except Exception as error:
            self._refuse(self._mistake(error, "an audio message"))
        else:
            self._acknowledged.append(len(self._replies))
            self._replies.append(_NULL)

    async def _execute(self, text: str) -> None:
        try:
            self._prepared = prepared = self._executor.prepare(text)
            if prepared.blocks:
                await self._flush()
                run = self._executor.run
                value = await run(prepared, self._session.caller, self._lent.grow)
            else:
                value = self._executor.run_now(prepared, self._session.caller)
            if isinstance(value, AudioPlan | EncodedPlan | Vector) and await self._stream(value):
                return
            reply = await self._reply(value)
            if len(reply) > SERVER_BUFFER:
                await self._lent.grow(len(reply))
        except (BrokenReply, TooManyFailures, *_LEFT):
            raise
        except RacsError as error:
            why = str(error)
            if isinstance(error, CommandError) and not self._session.admitted:
                # a mistyped AUTH too: nothing of it is quoted
                why = refusal(NOBODY, "this cannot be understood", Effect.READ) or why
            self._refuse(why)
        except Exception as error:
            self._refuse(self._mistake(error, "a command"))
        else:
            self._acknowledged.append(len(self._replies))
            self._replies.append(reply)
            if len(reply) > SERVER_BUFFER:
                await self._flush()
        finally:
            if self._lent.size:
                self._lent.shrink(0)

    async def _stream(self, value: AudioPlan | EncodedPlan | Vector) -> bool:
        """Send a reply in pieces, if it is a long one; whether it is."""
        size = len(value.data) if isinstance(value, Vector) else _STREAMED
        if size <= SERVER_BUFFER:
            return False
        await self._flush()
        self._lent.shrink(size)
        await self._lent.grow(size)
        if isinstance(value, AudioPlan):
            await self._long.send_audio(value, self._send)
        elif isinstance(value, EncodedPlan):
            await self._long.send_encoded(value, self._send, self._transport.has_left)
        else:
            await self._send(vector_head(value.type, size))
            await self._send(memoryview(value.data).cast("B"))
        return True

    async def _reply(self, value: Value) -> bytes:
        """Return the reply to a command; where its value stands for a mode, go into that first."""
        may_read = self._session.may_read
        if isinstance(value, AppendTo):
            self._appending = Appending(value, self._store, self._commit)
            return encode_reply(value.frames)
        if isinstance(value, AttachTo):
            self._attaching = value
            self._wire.expect_bytes(MAX_ATTACHMENT)
        elif isinstance(value, Login):
            await self._flush()
            await self._session.log_in(value)
            self._set_limits()
        elif isinstance(value, Follow):
            reads = self._store, self._reading, self._budget
            await self._run_feed(Following(value, self._bus, *reads, may_read))
        elif isinstance(value, Subscribe):
            await self._run_feed(Subscription(value, self._bus, may_read))
        else:
            assert not isinstance(value, AudioPlan | EncodedPlan)
            return encode_reply(value)
        return _NULL

    async def _run_feed(self, feed: Feed) -> None:
        """Feed the client until it sends anything, or leaves."""
        await self._flush()
        self._feed = feed
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_feed, feed)
                result = await outcome.acapture(feed.run, self._send)
                nursery.cancel_scope.cancel()
        finally:
            self._feed, self._feed_ended = None, True
        result.unwrap()

    async def _end_feed(self, feed: Feed) -> None:
        """Stop a feed as soon as the client has sent something; what it is, is looked at then."""
        if self._wire.partial is None:
            buffer = self._wire.get_buffer()
            try:
                self._wire.received(await self._transport.receive_into(buffer))
            except _LEFT:
                self._wire.received(0)
        feed.stop()

    def _mistake(self, error: Exception, what: str) -> str:
        """Return what to reply to a mistake of this program, and log it: the client lives on."""
        logger.error("connection %d: %s failed", self.number, what, exc_info=error)
        return f"internal error ({type(error).__name__}): the server's log has the particulars"

    async def _flush(self) -> None:
        """Send the replies gathered so far, once what they acknowledge is safe."""
        if self._acknowledged:
            try:
                await self._commit.commit()
            except StorageError as error:
                for place in self._acknowledged:
                    self._replies[place] = encode_error(str(error))
                self.traffic.errors += len(self._acknowledged)
                for request in self._unsent:
                    request.result = Result.ERROR
            self._acknowledged.clear()
        data = b"".join(self._replies)
        self._replies.clear()
        await self._send(data)
        if self._watch is not None and self._unsent:
            now = time.perf_counter()
            for request in self._unsent:
                self._watch.note(request, now)
            self._unsent.clear()

    async def _send(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        sent = self._transport.send_now(view) if view else 0
        while sent < len(view):
            now = trio.current_time()
            self._due, self._stalls_at = now + self._settings.send_time, now + _STALL
            await self._transport.wait_sendable()
            self._due = self._stalls_at = math.inf
            sent += self._transport.send_now(view[sent:])
        self.traffic.sent += sent

    async def _give_up(self) -> None:
        """Tell a client that did not finish its message in time, if it still listens."""
        if not self._receiving:
            return
        if self._session.admitted:
            why = (
                "the message that was begun did not come to its end in time"
                f" ({self._settings.message_time:g} s, and 1 s for each 64 KiB)"
            )
        else:
            why = f"nobody said who they are within {self._settings.login_time:g} s (AUTH)"
        reply = encode_error(f"{why}: this connection is closed")
        if self._transport.send_now(memoryview(reply)) == len(reply):
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        """Let the last reply arrive: closing with unread bytes waiting would destroy it."""
        with trio.move_on_after(_LINGER):
            self._transport.send_eof()
            buffer = memoryview(bytearray(1 << 16))
            for _ in range(_LINGER_BYTES // len(buffer)):
                if not await self._transport.receive_into(buffer):
                    return
