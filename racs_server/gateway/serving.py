"""Serves an ASGI app over HTTP/1.1, HTTP/2 and WebSocket: the listener, its limits, its end.

The protocols are hypercorn's, one of its `TCPServer` for each client. Around it stands what it
lacks: a limit of clients, a deadline for those that do not take what they are sent, a reply that
arrives although its request was not read to the end, and an end that nobody can hold up.

Invariants
----------
- A client that takes nothing for `Settings.send_time` is cut off.
- At the end all are cut off after `Settings.shutdown_time`, whatever they do.
"""

import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Self, cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import wrap_app

from racs_server.config import Settings
from racs_server.errors import StartError

logger = logging.getLogger(__name__)

MAX_HEAD = 32 << 10
"""Bytes of a request's first line and headers: an id of 255 bytes takes 765 at most."""

MAX_SOCKET_MESSAGE = 64 << 10
"""Bytes of one message from a client of a WebSocket."""

_PIECE = 64 << 10
_LINGER = 1.0
_PING_INTERVAL = 20.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Site:
    """Listens, and serves an app to each client.

    Parameters
    ----------
    app
        What answers.
    port
        Where to listen, 0: anywhere.
    settings
        The address and the limits.
    tls
        What TLS needs; None: no TLS.
    """

    def __init__(
        self, app: App, port: int, settings: Settings, tls: ssl.SSLContext | None = None
    ) -> None:
        self._app = wrap_app(cast("Any", reading_to_the_end(app)), 0, "asgi")
        self._port = port
        self._settings = settings
        self._tls = tls
        self._config = _config(settings)
        self._context = WorkerContext(None)
        self._listeners: list[trio.SocketListener] = []
        self._streams: set[PatientStream] = set()

    def __repr__(self) -> str:
        return f"<Site {self.urls} clients={len(self._streams)}>"

    async def listen(self) -> Self:
        """Open the listening sockets.

        Raises
        ------
        StartError
            The address or the port cannot be had.
        """
        host = self._settings.host
        try:
            self._listeners = await trio.open_tcp_listeners(self._port, host=host)
        except OSError as error:
            why = "the port is in use" if "in use" in str(error) else str(error)
            raise StartError(
                f"cannot listen for HTTP on {host}:{self._port}: {why}. Stop what uses it, or name"
                " another port"
            ) from None
        return self

    @property
    def urls(self) -> str:
        """Where it is reached, as URLs."""
        scheme = "https" if self._tls else "http"
        names = []
        for listener in self._listeners:
            host, port, *_ = listener.socket.getsockname()
            names.append(
                f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
            )
        return ", ".join(names)

    async def serve(self, ending: trio.Event) -> None:
        """Serve clients until `ending` is set; then let them finish, up to the deadline."""
        async with trio.open_nursery() as helpers:
            async with trio.open_nursery() as clients:
                accepting = trio.CancelScope()

                async def accept() -> None:
                    with accepting:
                        await trio.serve_listeners(
                            self._welcome, self._listeners, handler_nursery=clients
                        )

                clients.start_soon(accept)
                await ending.wait()
                accepting.cancel()
                await self._context.terminated.set()  # clients without a request leave
                helpers.start_soon(self._cut_off)
            helpers.cancel_scope.cancel()

    async def _cut_off(self) -> None:
        await trio.sleep(self._settings.shutdown_time)
        logger.warning("%d clients of HTTP were cut off at the deadline", len(self._streams))
        for stream in self._streams:
            stream.abort()

    async def _welcome(self, socket_stream: trio.SocketStream) -> None:
        if len(self._streams) >= self._settings.max_connections:
            await trio.aclose_forcefully(socket_stream)
            return
        serving = trio.CancelScope()
        patient = PatientStream(socket_stream, self._settings.send_time, serving)
        stream: PatientStream | trio.SSLStream[PatientStream] = patient
        if self._tls is not None:
            stream = trio.SSLStream(patient, self._tls, server_side=True, https_compatible=True)
        state = ConnectionState(LifespanState({}))
        self._streams.add(patient)
        try:
            with serving:
                await TCPServer(self._app, self._config, self._context, state, cast("Any", stream))
        except Exception:
            logger.exception("a client of HTTP is left by a mistake of the server")
        finally:
            self._streams.discard(patient)
            patient.abort()


def _config(settings: Settings) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logger
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEAD
    config.h2_max_header_list_size = MAX_HEAD
    config.websocket_max_message_size = MAX_SOCKET_MESSAGE
    config.websocket_ping_interval = _PING_INTERVAL
    config.keep_alive_timeout = settings.message_time
    config.ssl_handshake_timeout = settings.login_time
    return config


class PatientStream(trio.abc.HalfCloseableStream):
    """A client's socket, with patience that ends.

    Parameters
    ----------
    stream
        The socket.
    send_time
        Seconds in which a client must take 64 KiB.
    serving
        All that is done for the client: cancelled when nothing can be sent any more.
    """

    def __init__(
        self, stream: trio.SocketStream, send_time: float, serving: trio.CancelScope
    ) -> None:
        self._stream = stream
        self._send_time = send_time
        self._serving = serving
        self._receiving = trio.Lock()
        self._ended = False
        self._closing = False
        self.socket = stream.socket

    def __repr__(self) -> str:
        return f"<PatientStream {self._stream!r}>"

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; `trio.BrokenResourceError` if the client does not take it."""
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            try:
                with trio.fail_after(self._send_time):
                    await self._stream.send_all(view[start : start + _PIECE])
            except (trio.TooSlowError, trio.BrokenResourceError):
                self.abort()
                raise trio.BrokenResourceError("the client is gone, or takes nothing") from None

    async def wait_send_all_might_not_block(self) -> None:
        """Return when something can be sent."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return what has come; nothing at the end."""
        try:
            async with self._receiving:
                data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self._ended = True
            raise
        if not data:
            self._ended = True
        return data

    async def send_eof(self) -> None:
        """Tell the client that nothing more will be sent."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close, once the last reply has arrived: what comes unread would destroy it."""
        try:
            if not self._closing:
                self._closing = True
                with trio.move_on_after(_LINGER):
                    await self._wait_for_end()
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _wait_for_end(self) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.send_eof()
            while not self._ended:
                await self.receive_some(_PIECE)

    def abort(self) -> None:
        """Close at once, and end what is done for the client."""
        self.socket.close()
        self._serving.cancel()


def reading_to_the_end(app: App) -> App:
    """Return an app that goes on reading a request that it has answered already.

    Otherwise what is left of the request would fill hypercorn's queue, and its connection would
    wait for ever for somebody to empty it.
    """

    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def discard() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async with trio.open_nursery() as nursery:

            async def send_on(message: Message) -> None:
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    nursery.start_soon(discard)
                await send(message)

            await app(scope, receive, send_on)
            nursery.cancel_scope.cancel()

    return wrapped
