"""One client's loop: bytes in, requests carried out in order, replies out.

All requests of one read from the socket are answered with one send, and their audio is put into
the commit log with one write before that. What needs no waiting is answered where it comes in, by a
plain call (`Connection._answer_now`); whatever waits is done in the client's own task. A reply of
audio is read, converted and sent piece by piece, the next piece being read while one is sent, so
that its length costs no memory.

Invariants
----------
- Every request gets exactly one reply, in order; whatever goes wrong with one is its reply.
- What is begun in `_answer_at_once` and has to wait is finished before anything else is taken.
"""

import itertools
import logging
import math
from collections.abc import Awaitable, Callable
from functools import partial

import outcome
import trio

from racs.wire import (
    AudioFrames,
    Bytes,
    Command,
    EndOfStream,
    Event,
    FramingLost,
    Rejected,
    Vector,
    encode_reply,
    vector_head,
)
from racs.wire.connection import SERVER_BUFFER
from racs.wire.replies import encode_error
from racs_server.access import NOBODY, Effect, Login, refusal, require
from racs_server.commands import Prepared, Value
from racs_server.errors import CommandError, RacsError
from racs_server.net.append import Appending
from racs_server.net.feeds import Feed, Following, Subscription
from racs_server.net.guard import Session, TooManyFailures
from racs_server.net.inbox import Deadline, Inbox
from racs_server.net.memory import Lease
from racs_server.net.outbox import Outbox
from racs_server.net.replies import BrokenReply, LongReplies
from racs_server.net.services import LIMITS_OF_NOBODY, Services
from racs_server.net.transport import Transport
from racs_server.net.watching import Observer, Traffic
from racs_server.storage import MAX_ATTACHMENT
from racs_server.values import AppendTo, AttachTo, AudioPlan, EncodedPlan, Follow, Subscribe

logger = logging.getLogger(__name__)

_LEFT = (trio.BrokenResourceError, trio.ClosedResourceError)
_TURN = 32
"""Requests that one client gets answered before it is the others' turn: about a millisecond."""

_STREAMED = 2 << 20
"""Memory that a reply takes that is sent in pieces, however long it is."""

_LONG = AudioPlan | EncodedPlan | Vector
_TAKES_TIME = _LONG | AppendTo | AttachTo | Login | Follow | Subscribe
"""Values that are long, or are not sent but say what the connection does next."""

_LINGER = 1.0
_LINGER_BYTES = 1 << 20
_NULL = encode_reply(None)
_numbers = itertools.count(1)


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
        self.traffic = Traffic()
        settings = services.settings
        watch = services.watch
        self._transport = transport
        self._store = services.store
        self._executor = services.executor
        self._commit = services.commit
        self._bus = services.bus
        self._reading = services.reading
        self._budget = services.budget
        self._pieces = services.pieces
        self._settings = settings
        self._limits = services.limits
        self._deadline = Deadline()
        self._observer = None if watch is None else Observer(watch, self.number, self.traffic)
        self._inbox = Inbox(
            transport, self._budget, self._deadline, self.traffic, settings.message_time
        )
        self._outbox = Outbox(
            transport, self._commit, self._deadline, self.traffic, settings.send_time,
            self._observer,
        )  # fmt: skip
        self._long = LongReplies(services.store, services.reading, settings.data_dir)
        self._lent = Lease(services.budget)
        self._session = Session(services.guard, address)
        self._scope = trio.CancelScope()
        self._ending = False
        self._event: Event | None = None
        self._is_left = False
        """Something of what has come is left for the client's own task."""
        self._prepared: Prepared | None = None
        self._value: Value = None
        self._appending: Appending | None = None
        self._attaching: AttachTo | None = None
        self._feed: Feed | None = None
        self._feed_ended = False
        self._set_limits()

    def __repr__(self) -> str:
        return f"<Connection {self.number}{' ending' if self._ending else ''}>"

    def end(self) -> None:
        """Finish the request under way, if any, and close."""
        self._ending = True
        if self._feed is not None:
            self._feed.stop()
        elif self._outbox.waiting:
            self._transport.wake()
        elif self._inbox.is_waiting:
            self._scope.cancel()

    def check(self, now: float) -> None:
        """Give the client up if it is overdue, and memory back if it is idle.

        The server asks this of all, every second.

        That costs a request nothing; a deadline of its own for each would cost it several
        microseconds.
        """
        stalled = now >= self._deadline.stalls_at and self._budget.waiting
        is_large = self._inbox.is_large or self._lent.is_large
        if now >= self._deadline.due or (stalled and is_large):
            self._scope.cancel()
        self._inbox.tidy()

    async def run(self) -> None:
        """Serve the client until it leaves, or until `end`."""
        if not self._session.admitted:
            self._inbox.log_in_by = trio.current_time() + self._settings.login_time
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
            self._inbox.close()
            self._outbox.close()
            self._lent.shrink(0)

    async def _serve(self) -> None:
        while not self._ending:
            try:
                await self._receive()
                if self._inbox.ended:
                    await self._outbox.flush()
                    return
                await self._answer_all()
            except (FramingLost, TooManyFailures) as error:
                why = refusal(self._session.caller, f"{error}", Effect.READ) or f"{error}"
                self._outbox.add(encode_error(f"{why}. This connection is closed"))
                await self._outbox.flush()
                break
        await self._say_goodbye()

    async def _receive(self) -> None:
        """Return when something has come that takes time; the rest is answered meanwhile."""
        if self._appending is None and self._inbox.may_rest():
            await self._inbox.rest(self._answer_now, self._send_now)
            return
        deadline = None if self._appending is None else self._appending.deadline
        await self._inbox.receive(math.inf if deadline is None else deadline)
        self._look_at_users()

    def _answer_now(self) -> None:
        """Answer what has come, until something has to wait; the replies are gathered."""
        self._is_left = False
        if not self._inbox.receive_now():
            return
        self._look_at_users()
        for _ in range(_TURN):
            event = self._next_event()
            if event is None:
                return
            if not self._answer_at_once(event):
                self._event = event
                break
        self._is_left = True

    def _send_now(self) -> bool:
        """Send the replies; return whether nothing is left for the client's own task."""
        if self._is_left or not self._outbox.flush_now():
            return False
        return not self._inbox.ended and self._inbox.may_rest()

    async def _answer_all(self) -> None:
        """Answer every request that has come whole."""
        for number in itertools.count(1):
            event, self._event = self._event, None
            if event is None:
                event = self._next_event()
                if event is None:
                    break
                if number % _TURN == 0:
                    await self._outbox.flush()
                    await trio.lowlevel.checkpoint()
                if self._answer_at_once(event):
                    continue
            broken = True
            try:
                await self._answer(event)
                broken = False
            finally:
                self._note(event, broken=broken)
        if self._appending is not None:
            await self._continue(self._appending, self._appending.after_read)
        await self._outbox.flush()

    def _next_event(self) -> Event | None:
        event = self._inbox.next_event()
        if event is not None:
            self.traffic.requests += 1
            self._prepared = None
            if self._observer is not None:
                self._observer.begin(self._outbox.waiting)
        return event

    def _note(self, event: Event, *, broken: bool = False) -> None:
        """Have it noted that a request has been answered."""
        if self._observer is not None:
            self._observer.end(event, self._prepared, self._outbox.waiting, broken=broken)

    def _look_at_users(self) -> None:
        """Take note of a change of the users."""
        if self._session.renew():
            self._set_limits()

    def _set_limits(self) -> None:
        """Accept from who has not said yet who they are no more than they need for that."""
        admitted = self._session.admitted
        self._inbox.limit(self._limits if admitted else LIMITS_OF_NOBODY)
        if admitted:
            self._inbox.log_in_by = math.inf

    def _answer_at_once(self, event: Event) -> bool:
        """Answer one request, if nothing of it has to be waited for; else `_answer` goes on."""
        if self._appending is not None:
            return False
        after_feed, self._feed_ended = self._feed_ended, False
        if isinstance(event, AudioFrames):
            self._append(event)
        elif isinstance(event, Command):
            if not self._execute_now(event.text):
                return False
        elif isinstance(event, EndOfStream):
            if not after_feed:
                self._outbox.refuse("an empty message: expected a command or audio")
        elif isinstance(event, Rejected):
            self._attaching = None
            why = refusal(self._session.caller, event.reason, Effect.READ) or event.reason
            self._outbox.refuse(why)
        else:
            return False
        self._note(event)
        return True

    async def _answer(self, event: Event) -> None:
        """Answer one request that takes time."""
        if self._appending is not None:
            await self._continue(self._appending, partial(self._take, self._appending, event))
        elif isinstance(event, Bytes) and self._attaching is not None:
            await self._attach(self._attaching, event.payload)
        elif self._prepared is not None:
            await self._execute(self._prepared)

    def _check_audio(self, event: AudioFrames) -> None:
        """Raise `AccessError` unless the caller may send this."""
        if not self._session.caller.unrestricted:
            self._session.check_audio(event.frames, self._store.id_of)

    def _append(self, event: AudioFrames) -> None:
        try:
            self._check_audio(event)
            self._store.append(event.frames)
        except Exception as error:
            self._outbox.refuse(self._explain(error, "an audio message"))
        else:
            self._outbox.acknowledge(_NULL)

    async def _take(self, appending: Appending, event: Event) -> list[bytes]:
        if isinstance(event, AudioFrames):
            self._check_audio(event)
        return await appending.take(event)

    async def _continue(
        self, appending: Appending, step: Callable[[], Awaitable[list[bytes]]]
    ) -> None:
        """Do a step of append mode; whatever goes wrong is its one error."""
        try:
            self._outbox.add(*await step())
        except Exception as error:
            self.traffic.errors += 1
            self._outbox.add(*appending.refuse(encode_error(self._explain(error, "append mode"))))
        if appending.ended:
            self._appending = None

    async def _attach(self, target: AttachTo, contents: memoryview) -> None:
        """Store the message that ATTACH announced."""
        self._attaching = None
        attach = partial(self._store.attach, target.stream_id, target.name, contents)
        try:
            require(self._session.caller, "ATTACH", Effect.WRITE, (target.stream_id,))
            await trio.to_thread.run_sync(attach)
        except Exception as error:
            self._outbox.refuse(self._explain(error, "an attachment"))
        else:
            self._outbox.add(_NULL)

    def _execute_now(self, text: str) -> bool:
        """Carry out a command, or as much of it as needs no waiting; whether that was all."""
        try:
            self._prepared = prepared = self._executor.prepare(text)
            if prepared.blocks:
                return False
            value = self._executor.run_now(prepared, self._session.caller)
            reply = None if isinstance(value, _TAKES_TIME) else encode_reply(value)
        except Exception as error:
            self._outbox.refuse(self._explain(error, "a command"))
            return True
        if reply is None or len(reply) > SERVER_BUFFER:
            self._value = value
            return False
        self._outbox.acknowledge(reply)
        return True

    async def _execute(self, prepared: Prepared) -> None:
        """Carry out the rest of a command."""
        try:
            value, self._value = self._value, None
            if prepared.blocks:
                await self._outbox.flush()
                run = self._executor.run
                value = await run(prepared, self._session.caller, self._lent.grow)
            if isinstance(value, _LONG) and await self._stream(value):
                return
            reply = await self._reply(value)
            if len(reply) > SERVER_BUFFER:
                await self._lent.grow(len(reply))
        except (BrokenReply, TooManyFailures, *_LEFT):
            raise
        except Exception as error:
            self._outbox.refuse(self._explain(error, "a command"))
        else:
            self._outbox.acknowledge(reply)
            if len(reply) > SERVER_BUFFER:
                await self._outbox.flush()
        finally:
            self._lent.shrink(0)

    async def _stream(self, value: _LONG) -> bool:
        """Send a reply in pieces, if it is a long one; whether it is."""
        size = len(value.data) if isinstance(value, Vector) else _STREAMED
        if size <= SERVER_BUFFER:
            return False
        await self._outbox.flush()
        self._lent.shrink(size)
        await self._lent.grow(size)
        send = self._outbox.send
        if isinstance(value, AudioPlan):
            await self._long.send_audio(value, send)
        elif isinstance(value, EncodedPlan):
            await self._long.send_encoded(value, send, self._transport.has_left)
        else:
            await send(vector_head(value.type, size))
            await send(memoryview(value.data).cast("B"))
        return True

    async def _reply(self, value: Value) -> bytes:
        """Return the reply to a command; where its value stands for a mode, go into that first."""
        may_read = self._session.may_read
        if isinstance(value, AppendTo):
            self._appending = Appending(value, self._store, self._commit)
            return encode_reply(value.frames)
        if isinstance(value, AttachTo):
            self._attaching = value
            self._inbox.expect_bytes(MAX_ATTACHMENT)
        elif isinstance(value, Login):
            await self._outbox.flush()
            await self._session.log_in(value)
            self._set_limits()
        elif isinstance(value, Follow):
            reads = self._store, self._reading, self._budget, self._pieces
            await self._run_feed(Following(value, self._bus, *reads, may_read))
        elif isinstance(value, Subscribe):
            await self._run_feed(Subscription(value, self._bus, may_read))
        else:
            assert not isinstance(value, AudioPlan | EncodedPlan)
            return encode_reply(value)
        return _NULL

    async def _run_feed(self, feed: Feed) -> None:
        """Feed the client until it sends anything, or leaves."""
        await self._outbox.flush()
        self._feed = feed
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_feed, feed)
                result = await outcome.acapture(feed.run, self._outbox.send)
                nursery.cancel_scope.cancel()
        finally:
            self._feed, self._feed_ended = None, True
        try:
            result.unwrap()
        finally:
            del result  # an error keeps this frame, which must not keep the error

    async def _end_feed(self, feed: Feed) -> None:
        """Stop a feed as soon as the client has sent something; what it is, is looked at then."""
        await self._inbox.listen()
        feed.stop()

    def _explain(self, error: Exception, what: str) -> str:
        """Return what to reply to what went wrong; a mistake of this program is logged."""
        if isinstance(error, CommandError) and not self._session.admitted:
            # a mistyped AUTH too: nothing of it is quoted
            return refusal(NOBODY, "this cannot be understood", Effect.READ) or str(error)
        if isinstance(error, RacsError):
            return str(error)
        logger.error("connection %d: %s failed", self.number, what, exc_info=error)
        return f"internal error ({type(error).__name__}): the server's log has the particulars"

    async def _give_up(self) -> None:
        """Tell a client that did not finish its message in time, if it still listens."""
        if not self._inbox.is_waiting:
            return
        if self._session.admitted:
            why = (
                "the message that was begun did not come to its end in time"
                f" ({self._settings.message_time:g} s, and 1 s for each 64 KiB)"
            )
        else:
            why = f"nobody said who they are within {self._settings.login_time:g} s (AUTH)"
        if self._outbox.try_to_send(encode_error(f"{why}: this connection is closed")):
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        """Let the last reply arrive: closing with unread bytes waiting would destroy it."""
        with trio.move_on_after(_LINGER):
            self._transport.send_eof()
            buffer = memoryview(bytearray(1 << 16))
            for _ in range(_LINGER_BYTES // len(buffer)):
                if not await self._transport.receive_into(buffer):
                    return
