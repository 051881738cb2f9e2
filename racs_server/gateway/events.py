"""What happens to streams, as it happens: on a WebSocket (RFC 6455), or as server-sent events.

Each message is one JSON object::

    {"number": 1700000000000000, "kind": "ready"}       all events after this one follow
    {"number": 1700000000000042, "kind": "missed"}      events up to this one were lost: look anew
    {"number": 1700000000000043, "kind": "appended", "id": "birds/wren", "time": 1700000000123,
     "start": 0, "stop": 48000}

``kind`` is created, opened, appended, closed, deleted or expired, ``time`` is in ms since the
epoch, [start, stop) are the sample frames that came. A client that comes back names the last
number that it knows: ``since``, or ``Last-Event-ID``, which browsers send by themselves.

Invariant: nobody waits for a listener; one that is too slow is told that it missed something.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
import trio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from racs_server.access import Effect, require
from racs_server.errors import RacsError
from racs_server.gateway.door import SUBPROTOCOL, caller_of
from racs_server.gateway.files import unless_left
from racs_server.gateway.operations import Body, Operation, failed, number, text
from racs_server.gateway.services import Numbered, Services
from racs_server.glob import compile_glob

_LARGEST = 2**63 - 1
_HEARTBEAT = 20.0
"""Seconds without an event after which a comment shows that the server is still there."""


class Told(msgspec.Struct, frozen=True):
    """An event, as JSON."""

    number: int
    kind: str
    id: str
    time: int
    start: int
    stop: int


class Notice(msgspec.Struct, frozen=True):
    """How a listener stands, as JSON."""

    number: int
    kind: str


class Subscription:
    """The events that somebody wants, and may know of.

    Parameters
    ----------
    services, scope
        The server's, and the request's, whose caller may lose their rights meanwhile.
    match
        Glob pattern of the streams' ids.
    since
        The number of the last event that is known.
    """

    def __init__(self, services: Services, scope: Scope, match: str, since: int | None) -> None:
        self._access = services.guard.access
        self._caller = caller_of(scope)
        self._matches = compile_glob(match)
        self._listener = services.listen(since)

    async def next(self) -> list[Told | Notice]:
        """Return what is to be told next; perhaps nothing."""
        news = await self._listener.next()
        if news.kind != "events":
            return [Notice(news.number, news.kind)]
        return list(self._chosen(news.events))

    def _chosen(self, events: Sequence[Numbered]) -> Iterator[Told]:
        caller = self._access.renew(self._caller)
        for each in events:
            event = each.event
            if self._matches(event.stream_id) and caller.may(Effect.READ, event.stream_id):
                yield Told(
                    each.number,
                    str(event.kind),
                    event.stream_id,
                    event.time,
                    event.start,
                    event.stop,
                )


async def get_events(
    services: Services, request: Request, match: str = "*", since: int | None = None
) -> Response:
    """Answer with server-sent events."""
    require(caller_of(request.scope), "SUBSCRIBE", Effect.READ)
    last = request.headers.get("last-event-id", "")
    if re.fullmatch(r"[0-9]{1,18}", last):
        since = int(last)
    return _EventStream(Subscription(services, request.scope, match, since))


class _EventStream(Response):
    """Server-sent events (HTML Standard, 9.2)."""

    def __init__(self, subscription: Subscription) -> None:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        super().__init__(None, headers=headers)
        del self.headers["content-length"]
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            await unless_left(receive, partial(self._send, send))
        except ClientDisconnect:
            return

    async def _send(self, send: Send) -> None:
        while True:
            body = b": nothing new\n\n"
            with trio.move_on_after(_HEARTBEAT):
                told = await self._subscription.next()
                body = b"".join(map(_written, told))
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})


def _written(told: Told | Notice) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        told.number,
        told.kind.encode(),
        msgspec.json.encode(told),
    )


def socket_route(services: Services) -> WebSocketRoute:
    """Return the route of the WebSocket, which has the path and the parameters of `get_events`."""
    return WebSocketRoute("/events", partial(_talk, services))


async def _talk(services: Services, socket: WebSocket) -> None:
    """Tell somebody on a WebSocket what happens, until they leave."""
    scope = socket.scope
    try:
        require(caller_of(scope), "SUBSCRIBE", Effect.READ)
        query = EVENTS.read_query(socket)
    except RacsError as error:
        await socket.send_denial_response(failed(error, scope))
        return
    subscription = Subscription(services, scope, query.get("match", "*"), query.get("since"))
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_left, socket, nursery.cancel_scope)
        while True:
            for told in await subscription.next():
                await socket.send_text(msgspec.json.encode(told).decode())


async def _until_left(socket: WebSocket, scope: trio.CancelScope) -> None:
    """Pass over whatever a client says, until it leaves."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()


EVENTS = Operation(
    method="GET",
    path="/events",
    name="events",
    doc="Tell what happens to streams, as it happens: as server-sent events, or with an Upgrade on"
    " a WebSocket, one JSON object a message.",
    call=get_events,
    query=(
        text("match", "Glob pattern of the streams' ids; usually all."),
        number("since", "Number of the last event that is known.", 0, _LARGEST),
    ),
    responses={200: Body("Events, without end.", {"text/event-stream": {"type": "string"}})},
)
