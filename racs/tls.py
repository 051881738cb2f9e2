"""TLS for the client: whom to trust, and a socket that behaves as a plain one does.

Imported only when it is asked for.

Invariant: what is raised for want of bytes is `BlockingIOError`, as a plain socket raises it.
"""

import os
import socket
import ssl
from collections.abc import Sequence
from os import PathLike

from racs.errors import RacsConnectionError, RacsTimeout, RacsTypeError, RacsValueError

_AT_ONCE = 256 << 10
_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


def make_context(tls: object) -> ssl.SSLContext:
    """Return what says whom to trust.

    Parameters
    ----------
    tls
        True: whom this machine trusts; the path of a PEM file: who is in it; or a context.

    Raises
    ------
    RacsTypeError, RacsValueError
        It is none of these, or the file cannot be used.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    if tls is True:
        return ssl.create_default_context()
    if not isinstance(tls, str | PathLike):
        raise RacsTypeError(
            "tls must be True, the path of a PEM file with the certificates to trust, or an"
            f" ssl.SSLContext, not {tls!r}"
        )
    try:
        return ssl.create_default_context(cafile=tls)
    except OSError as error:
        raise RacsValueError(
            f"tls={str(tls)!r} is no PEM file of certificates to trust"
            f" ({error.strerror or type(error).__name__})"
        ) from None


class TlsSocket:
    """A socket with TLS, with the few methods that a connection uses.

    Parameters
    ----------
    sock
        After its handshake; becomes this object's own.
    """

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._socket = sock
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"<TlsSocket {self._socket.version()}>"

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def settimeout(self, timeout: float | None) -> None:
        """Set how long the socket waits; 0: not at all."""
        self._socket.settimeout(timeout)

    def gettimeout(self) -> float | None:
        """Return how many seconds a call may wait: see `socket.socket.gettimeout`."""
        return self._socket.gettimeout()

    def setsockopt(self, level: int, name: int, value: int) -> None:
        """Set an option of the socket."""
        self._socket.setsockopt(level, name, value)

    def recv_into(self, buffer: memoryview) -> int:
        """Receive some bytes; return how many, 0 at the end."""
        try:
            return self._socket.recv_into(buffer)
        except _WANTS:
            raise BlockingIOError from None

    def sendmsg(self, pieces: Sequence[memoryview]) -> int:
        """Send some of the bytes of all pieces, return how many.

        After a `BlockingIOError` it has to be called with the same bytes again: they are encrypted.
        """
        joined, size = [], 0
        for piece in pieces:
            joined.append(piece[: _AT_ONCE - size])
            size += len(joined[-1])
            if size == _AT_ONCE:
                break
        try:
            return self._socket.send(b"".join(joined))
        except _WANTS:
            raise BlockingIOError from None

    def close(self) -> None:
        """Say goodbye as TLS wants it, as far as that needs no waiting, and close the socket."""
        # a forked child says nothing: the connection is its parent's
        if self._process == os.getpid():
            try:
                self._socket.settimeout(0)
                self._socket.unwrap()
            except (OSError, ValueError):
                pass  # the server's own goodbye is not waited for
        self._socket.close()


def wrap(sock: socket.socket, context: ssl.SSLContext, host: str, where: str) -> TlsSocket:
    """Return a connected socket with TLS, after the handshake; blocks as the socket does.

    Parameters
    ----------
    sock
        Closed if this fails.
    context
        See `make_context`.
    host
        Whose certificate is expected.
    where
        Host and port, for messages.

    Raises
    ------
    RacsConnectionError
        The server has no TLS, or is not to be trusted.
    """
    try:
        return TlsSocket(context.wrap_socket(sock, server_hostname=host))
    except ssl.SSLCertVerificationError as error:
        problem: RacsConnectionError = RacsConnectionError(
            f"{where} is not to be trusted: {error.verify_message}. If it has a certificate of its"
            " own making, give that: tls='cert.pem'"
        )
    except TimeoutError:
        problem = RacsTimeout(f"{where} did not finish the TLS handshake in time")
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        problem = RacsConnectionError(
            f"no TLS with {where} ({str(why).lower().replace('_', ' ')}): has racs-server a"
            " certificate (--tls-cert)? Without TLS the address begins with racs://, not racss://"
        )
    sock.close()
    raise problem
