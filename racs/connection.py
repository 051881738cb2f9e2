"""One connection to the server: a socket, what was sent on it, and what is still due.

Owns the socket and the translation of its troubles into errors that name host and port. Knows
nothing of commands, audio or the pool. What waits is a script (see `racs.script`): with a socket
that blocks it never yields, with one that does not it yields until the socket is ready.

Invariants
----------
- `outstanding` is raised before the first byte of a request is sent and lowered after the last byte
  of its reply was read, so that an interruption anywhere leaves the connection not `clean`.
- A connection that is not clean is never used again: nobody can tell what its next bytes are.
"""

import os
import select
import socket
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from racs.address import Address, Login
from racs.errors import (
    RacsAuthError,
    RacsConnectionError,
    RacsException,
    RacsProtocolError,
    RacsReplyLost,
    RacsServerError,
    RacsTimeout,
)
from racs.script import Ready, Script, run
from racs.wire import (
    VECTOR_DTYPES,
    ClientConnection,
    NotAVector,
    Vector,
    VectorStart,
    WireError,
    decode_reply,
)
from racs.wire.events import Buffer
from racs.wire.replies import ReplyError, Value

Answer = None | bool | int | float | str | bytes | Sequence[Any] | NDArray[Any]
"""A reply as Python has it: vectors are arrays, ``u8v`` and ``s8v`` are bytes."""

_MOST_PIECES = 1024
"""The most buffers that one sendmsg takes on Linux (IOV_MAX)."""
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Replies have no time limit by default; a server that vanished is noticed after two minutes."""


class Connection:
    """A connected socket and its bookkeeping.

    Parameters
    ----------
    sock
        Connected; becomes this object's own.
    where
        Host and port, for messages.
    timeout
        Seconds for which the server may be silent when it is its turn; `None`: for ever.

    Attributes
    ----------
    outstanding
        How many replies are due.
    process
        The process that made it.
    holder
        Whoever its pool has lent it to, who is forgotten with it.
    """

    def __init__(
        self,
        sock: socket.socket,
        where: str,
        timeout: float | None = None,
    ) -> None:
        self._socket = sock
        self.where = where
        self._timeout = timeout
        self._wire = ClientConnection()
        self._broken = False
        self._hasty = False
        self.outstanding = 0
        self.process = os.getpid()
        self.holder: object = None
        # Also when this object is forgotten, even in a circle that the garbage collector finds.
        self._close = weakref.finalize(self, sock.close)
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def __repr__(self) -> str:
        state = "clean" if self.clean else f"{self.outstanding} replies due"
        return f"<Connection to {self.where}, {state}>"

    @property
    def clean(self) -> bool:
        """Whether nothing is due or left over, so that another request can be sent."""
        return not (
            self._broken or self.outstanding or self._wire.ended or self._wire.partial is not None
        )

    def readable(self) -> bool:
        """Whether bytes, or the end of the connection, can be read without waiting.

        On a connection on which nothing is due that means that it is dead.
        """
        if self._wire.partial is not None:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def wait_for_ever(self) -> None:
        """Have no time limit for what the server sends: a feed may be silent for days."""
        self._timeout = None
        if self._socket.gettimeout():
            self._socket.settimeout(None)

    def stop_blocking(self) -> None:
        """Let the socket not wait by itself any more: the scripts do."""
        self._socket.settimeout(0)

    def close(self) -> None:
        """Close the socket; whatever is still due is given up."""
        self._broken = True
        self._close()

    def exchange(self, messages: Sequence[bytes]) -> Script[list[Answer]]:
        """Script: send requests all at once and return their answers.

        Raises
        ------
        RacsServerError
            The first error among the answers; the others have been read.
        RacsConnectionError
            The connection broke.
        """
        broken: RacsConnectionError | None = None
        refusal: RacsServerError | None = None
        answers: list[Answer] = []
        try:
            yield from self.send([b"".join(messages)], requests=len(messages))
        except RacsConnectionError as error:
            broken = error
        while self.outstanding:
            try:
                answers.append((yield from self.receive()))
            except RacsServerError as error:
                refusal = refusal or error
            except RacsConnectionError as error:
                broken = broken or error
                break
        try:
            if refusal is not None:
                raise refusal  # if the connection broke too, this is why
            if broken is not None:
                raise broken
        finally:
            refusal = broken = None  # an error keeps its frames: none may keep the error
        return answers

    def send(self, pieces: Iterable[Buffer], *, requests: int = 1) -> Script[None]:
        """Script: send whole messages, given in pieces, that will get `requests` replies.

        After an error, what the server had sent before can still be received, without waiting.

        Raises
        ------
        RacsTimeout
            The server took nothing more for as long as the time limit is.
        RacsConnectionError
            The connection broke.
        """
        self.outstanding += requests
        try:
            yield from self._send([memoryview(piece) for piece in pieces])
        except TimeoutError:
            self._make_haste()
            raise self._silent("took no more of what was being sent to it") from None
        except OSError as error:
            self._broken = True
            self._make_haste()
            raise RacsConnectionError(
                f"{self.where}: the connection broke while sending ({_reason(error)});"
                " what was being sent was not received whole"
            ) from error

    def _make_haste(self) -> None:
        """Wait for nothing any more: only what has come already is taken."""
        self._hasty = True
        self._socket.settimeout(0)

    def _send(self, pieces: list[memoryview]) -> Script[None]:
        at = 0
        while at < len(pieces):
            try:
                sent = self._socket.sendmsg(pieces[at : at + _MOST_PIECES])
            except BlockingIOError:
                yield Ready(self._socket, True, self._timeout)
                continue
            while at < len(pieces) and sent >= len(pieces[at]):
                sent -= len(pieces[at])
                at += 1
            if sent:
                pieces[at] = pieces[at][sent:]

    def receive(self, *, unasked: bool = False) -> Script[Answer]:
        """Script: return the next answer; `unasked`, it is none of those that are outstanding.

        Raises
        ------
        RacsServerError
            The answer was an error.
        RacsTimeout
            The server was silent for as long as the time limit is.
        RacsReplyLost
            The connection ended first.
        RacsProtocolError
            What came is no reply.
        """
        try:
            while (event := self._wire.next_event()) is None:
                yield from self._fill()
            if not unasked:
                self.outstanding -= 1
            return _answer(decode_reply(event.payload), owned=event.owned)
        except ReplyError as error:
            raise RacsServerError(str(error)) from None
        except WireError as error:
            raise self._no_reply(str(error)) from error

    def receive_vector(self) -> Script[VectorStart]:
        """Script: return the head of the next answer, a vector; `receive_into` gives the rest.

        Raises
        ------
        RacsException
            As `receive`; the answer was something else.
        """
        try:
            while (start := self._wire.begin_vector()) is None:
                yield from self._fill()
        except NotAVector:
            answer = yield from self.receive()
            raise self._no_reply(f"a {type(answer).__name__} where audio was due") from None
        except WireError as error:
            raise self._no_reply(str(error)) from error
        if not start.size:
            self.outstanding -= 1
        return start

    def receive_into(self, buffer: memoryview) -> Script[None]:
        """Script: fill a buffer with the next bytes of the vector under way, which has as many."""
        filled = 0
        while filled < len(buffer):
            piece = self._wire.take_elements(len(buffer) - filled)
            if piece is None:
                yield from self._fill()
                continue
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        if not self._wire.under_way:
            self.outstanding -= 1

    def _no_reply(self, why: str) -> RacsProtocolError:
        self._broken = True
        return RacsProtocolError(
            f"{self.where} sent no RACS reply ({why}): is it racs-server that listens there?"
        )

    def _fill(self) -> Script[None]:
        buffer = self._wire.get_buffer()
        try:
            while True:
                try:
                    count = self._socket.recv_into(buffer)
                    break
                except BlockingIOError:
                    if self._hasty:
                        raise
                    yield Ready(self._socket, False, self._timeout)
        except TimeoutError:
            raise self._silent("did not answer") from None
        except OSError as error:
            raise self._lost(_reason(error)) from error
        self._wire.received(count)
        if not count:
            raise self._lost("the server closed the connection")

    def _silent(self, what: str) -> RacsTimeout:
        self._broken = True
        return RacsTimeout(
            f"{self.where} {what} for {self._timeout} s, the time limit that was set"
            " (timeout=...); what was asked for may still be done"
        )

    def _lost(self, why: str) -> RacsReplyLost:
        self._broken = True
        arrived, whole = self._wire.arrived, self._wire.partial
        if arrived:
            return RacsReplyLost(
                f"{self.where}: the reply was cut after {arrived} of {whole} bytes ({why}): most"
                " likely the server met an error while it was sending; ask for the same in smaller"
                " ranges, and it answers with the error itself"
            )
        return RacsReplyLost(
            f"{self.where}: the connection ended before the reply came ({why}); what was asked"
            " for may have been done or not: look before you ask again"
        )


def connect(
    address: Address, connect_timeout: float, timeout: float | None, *, blocking: bool = True
) -> Connection:
    """Return a new connection, tried at every address that the host has; blocks meanwhile.

    The server has been shown what there is to show when this returns.

    Raises
    ------
    RacsTimeout
        There was no answer in time.
    RacsAuthError
        What it was shown was wrong.
    RacsConnectionError
        The host is not known, nobody listens there, or it is not to be trusted.
    """
    where = str(address)
    sock = _connected(address, connect_timeout)
    if address.context is not None:
        from racs.tls import wrap

        # it has the methods of a socket that are used here
        sock = cast("socket.socket", wrap(sock, address.context, address.host, where))
    try:
        connection = Connection(sock, where, timeout)
    except OSError as error:
        sock.close()
        raise RacsConnectionError(f"{where} hung up at once ({_reason(error)})") from error
    if address.login is not None:
        _log_in(connection, address.login)
    if not blocking:
        connection.stop_blocking()
    return connection


def _connected(address: Address, connect_timeout: float) -> socket.socket:
    try:
        return socket.create_connection((address.host, address.port), connect_timeout)
    except TimeoutError:
        raise RacsTimeout(
            f"no answer from {address} within {connect_timeout} s of connecting: is the host up,"
            " and does a firewall let port and address through?"
        ) from None
    except (socket.gaierror, UnicodeError) as error:
        raise RacsConnectionError(
            f"cannot connect to {address}: the host name has no address ({_reason(error)});"
            " check host="
        ) from error
    except OSError as error:
        raise RacsConnectionError(
            f"cannot connect to {address} ({_reason(error)}): is racs-server running there? Start"
            " it with `racs-server`, or check host= and port="
        ) from error


def _log_in(connection: Connection, login: Login) -> None:
    """Show the server who this is; closes the connection if that fails."""
    problem: RacsException | None = None
    try:
        run(connection.exchange([login.message()]))
    except RacsServerError as error:
        who = "this token" if login.user is None else repr(login.user)
        problem = RacsAuthError(f"{connection.where} does not let {who} in: {error}")
    except RacsConnectionError as error:
        problem = type(error)(str(error))
    finally:
        if not connection.clean:
            connection.close()
    if problem is not None:
        connection.close()
        # another error, raised here: the first one's traceback leads to what was sent
        raise problem


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _answer(value: Value, *, owned: bool) -> Answer:
    """Return what a reply's value is in Python.

    Arrays are writable, aligned, native, and the caller's own: made where the bytes lie when the
    reply owns its memory, else copied.
    """
    if not isinstance(value, Vector):
        return value
    if VECTOR_DTYPES[value.type][2] == "1":
        return bytes(value.data)
    array = np.frombuffer(value.data, VECTOR_DTYPES[value.type])
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native is array and not (owned and array.flags.aligned):
        return array.copy()
    return native
