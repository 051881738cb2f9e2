"""A page of metrics over HTTP, on a port of its own.

Invariants
----------
- The rule for whatever listens holds (`racs_server.access`): where users are defined, a token is
  shown as ``Authorization: Bearer …``.
- A client gets one answer, within `PATIENCE` seconds, and at most `AT_ONCE` are there at once: so
  nobody can grow or hold up the server by this port.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import h11
import trio

from racs_server.access import NOBODY, Caller, Effect, Login, require
from racs_server.errors import AccessError, StartError
from racs_server.net.guard import Guard

logger = logging.getLogger(__name__)

PATIENCE = 10.0
AT_ONCE = 16
_READ = 4096
_BEARER = "bearer "

Answer = tuple[int, str, bytes]
"""Status, content type, body."""

_LEFT = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError)


class MetricsServer:
    """Listens for who reads metrics.

    Parameters
    ----------
    page
        Makes the page; is run in a thread.
    content_type
        The page's.
    guard
        Knows who may read it.
    tls
        The server's end of TLS; None: plain text.
    """

    def __init__(
        self,
        page: Callable[[], bytes],
        content_type: str,
        guard: Guard,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._page = page
        self._content_type = content_type
        self._guard = guard
        self._tls = tls
        self._listeners: list[trio.SocketListener] = []
        self._clients = 0

    def __repr__(self) -> str:
        return f"<MetricsServer clients={self._clients}>"

    async def listen(self, host: str, port: int) -> None:
        """Open the listening sockets.

        Raises
        ------
        StartError
            The address or the port cannot be had.
        """
        try:
            self._listeners = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            raise StartError(
                f"cannot listen for metrics on {host}:{port}: {error.strerror or error}. Name"
                " another port (--metrics-port)"
            ) from None

    async def serve(self) -> None:
        """Answer until cancelled."""
        async with trio.open_nursery() as nursery:
            await trio.serve_listeners(self._welcome, self._listeners, handler_nursery=nursery)

    async def _welcome(self, socket: trio.SocketStream) -> None:
        if self._clients >= AT_ONCE:
            await trio.aclose_forcefully(socket)
            return
        self._clients += 1
        stream: trio.abc.Stream = socket
        try:
            address = socket.socket.getpeername()[0]
            if self._tls is not None:
                stream = trio.SSLStream(socket, self._tls, server_side=True, https_compatible=True)
            with trio.move_on_after(PATIENCE):
                await converse(stream, partial(self._answer, address))
        except _LEFT as error:
            logger.debug("a reader of metrics was gone: %s", error)
        except Exception:
            logger.exception("the metrics could not be told")
        finally:
            self._clients -= 1
            await trio.aclose_forcefully(stream)

    async def _answer(self, address: str, request: h11.Request) -> Answer:
        path = request.target.partition(b"?")[0]
        if request.method != b"GET" or path != b"/metrics":
            return 404, "text/plain", b"GET /metrics is all that there is\n"
        try:
            require(await self._caller(address, request), "metrics", Effect.READ)
        except AccessError as error:
            return 401, "text/plain", f"{error}\n".encode()
        return 200, self._content_type, await trio.to_thread.run_sync(self._page)

    async def _caller(self, address: str, request: h11.Request) -> Caller:
        anyone = self._guard.access.anyone
        if anyone is not NOBODY:
            return anyone
        headers = {name: value.decode("latin-1") for name, value in request.headers}
        shown = headers.get(b"authorization", "")
        if not shown.lower().startswith(_BEARER):
            raise AccessError("metrics: show a token, as Authorization: Bearer ...")
        return await self._guard.identify(Login(None, shown[len(_BEARER) :].strip()), address)


async def converse(
    stream: trio.abc.Stream, answer: Callable[[h11.Request], Awaitable[Answer]]
) -> None:
    """Read one request, and send what is answered."""
    http = h11.Connection(h11.SERVER)
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(_READ)))
        if not isinstance(event, h11.Request):
            return
        status, content_type, body = await answer(event)
        if event.method == b"HEAD":
            body = b""
    except h11.RemoteProtocolError as error:
        status, content_type, body = error.error_status_hint, "text/plain", f"{error}\n".encode()
    headers = [
        ("content-type", content_type),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    if status == 401:
        headers.append(("www-authenticate", "Bearer"))
    parts = (
        h11.Response(status_code=status, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    )
    await stream.send_all(b"".join([http.send(part) or b"" for part in parts]))
