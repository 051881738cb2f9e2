"""The listeners: clients come in, up to a limit, and are seen out in order at the end."""

import logging
import ssl
import time
from typing import Self

import msgspec
import trio

from racs.wire.replies import encode_error
from racs_server.config import Settings
from racs_server.errors import StartError
from racs_server.net.connection import Connection
from racs_server.net.lookout import Lookout
from racs_server.net.services import Services
from racs_server.net.tls import TlsTransport
from racs_server.net.transport import SocketTransport, Transport
from racs_server.net.watching import Traffic

logger = logging.getLogger(__name__)

_REFUSAL_TIME = 1.0
_REFUSED_AT_ONCE = 64
"""Clients that are told that there is no room for them, as many as there can be clients at most;
each takes a descriptor meanwhile."""
_WATCH_INTERVAL = 1.0


class Server:
    """Listens, and runs a `Connection` for each client.

    Parameters
    ----------
    services
        What the connections work with.
    tls
        See `racs_server.net.tls`; None: no TLS.

    Attributes
    ----------
    lookout
        Where clients rest.
    """

    def __init__(self, services: Services, tls: ssl.SSLContext | None = None) -> None:
        self._services = services
        self._settings: Settings = services.settings
        self._tls = tls
        self.lookout = Lookout(lambda: services.commit.is_awaited)
        self._connections: set[Connection] = set()
        self._refused = 0
        self._listeners: list[trio.SocketListener] = []
        self._began = time.monotonic()
        self._past = Traffic()
        """Of the connections that have ended."""

    def __repr__(self) -> str:
        return f"<Server {self.addresses} connections={len(self._connections)}>"

    async def listen(self) -> Self:
        """Open the listening sockets.

        Raises
        ------
        StartError
            The address or the port cannot be had.
        """
        host, port = self._settings.host, self._settings.port
        try:
            self._listeners = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            why = "the port is in use" if "in use" in str(error) else str(error)
            raise StartError(
                f"cannot listen on {host}:{port}: {why}. Stop what uses it, or name another"
                " address (--host, --port)"
            ) from None
        return self

    @property
    def addresses(self) -> str:
        """Where it listens, as ``host:port`` ..."""
        names = []
        for listener in self._listeners:
            host, port, *_ = listener.socket.getsockname()
            names.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        return ", ".join(names)

    async def serve(self, ending: trio.Event) -> None:
        """Serve clients until `ending` is set; then let them finish, up to the deadline."""
        async with trio.open_nursery() as helpers:
            helpers.start_soon(self._watch)
            helpers.start_soon(self.lookout.run)
            with trio.CancelScope() as cutting:
                await self._serve_clients(ending, cutting)
            if cutting.cancelled_caught:
                logger.warning("requests under way were cut off at the deadline")
            helpers.cancel_scope.cancel()

    async def _serve_clients(self, ending: trio.Event, cutting: trio.CancelScope) -> None:
        accepting = trio.CancelScope()
        async with trio.open_nursery() as clients:

            async def accept() -> None:
                with accepting:
                    await trio.serve_listeners(
                        self._welcome, self._listeners, handler_nursery=clients
                    )

            clients.start_soon(accept)
            await ending.wait()
            accepting.cancel()
            for connection in self._connections:
                connection.end()
            cutting.deadline = trio.current_time() + self._settings.shutdown_time

    async def _watch(self) -> None:
        """Look for clients that are overdue."""
        while True:
            await trio.sleep(_WATCH_INTERVAL)
            now = trio.current_time()
            for connection in self._connections:
                connection.check(now)

    async def _welcome(self, stream: trio.SocketStream) -> None:
        if len(self._connections) >= self._settings.max_connections:
            await self._refuse(stream)
            return
        try:
            address = stream.socket.getpeername()[0]
            transport: Transport = SocketTransport(stream, self.lookout)
        except OSError as error:
            logger.debug("a client was gone before it was let in: %s", error)
            await trio.aclose_forcefully(stream)
            return
        if self._tls is not None:
            transport = TlsTransport(transport, self._tls, address, self._settings.login_time)
        connection = Connection(transport, self._services, address)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._past.add(connection.traffic)

    async def _refuse(self, stream: trio.SocketStream) -> None:
        """Say why there is no room; the client's first request gets this as its reply."""
        limit = self._settings.max_connections
        # with TLS it could only be told after a handshake, which is work that there is no room for
        if self._tls is not None or self._refused >= min(_REFUSED_AT_ONCE, limit):
            await trio.aclose_forcefully(stream)
            return
        self._refused += 1
        try:
            with trio.move_on_after(_REFUSAL_TIME):
                await stream.send_all(
                    encode_error(f"all {limit} connections are taken: try again later")
                )
                await stream.send_eof()
                await stream.receive_some()
        except trio.BrokenResourceError as error:
            logger.debug("a refused client was gone already: %s", error)
        finally:
            self._refused -= 1
            await trio.aclose_forcefully(stream)

    def statistics(self) -> dict[str, int | float]:
        """Return figures on the connections, and what has gone over all there were; any thread."""
        connections = tuple(self._connections)
        traffic = Traffic()
        for each in (self._past, *(connection.traffic for connection in connections)):
            traffic.add(each)
        return {
            "uptime": time.monotonic() - self._began,
            "connections": len(connections),
            **msgspec.structs.asdict(traffic),
        }
