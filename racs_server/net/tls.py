"""TLS: a client's bytes, encrypted (RFC 8446, RFC 5246; nothing older than TLS 1.2).

The protocol is OpenSSL's, between two buffers in memory (`ssl.SSLObject`); the bytes of the socket
are those of a plain transport. So a client with TLS is served by the same code as one without.

Invariants
----------
- The handshake is part of the client's own first `rest` or `receive_into`, and has a deadline: who
  does not finish it holds up nobody.
- What was encrypted is sent before `send_now` says that it was taken: no reply ends in a buffer.
"""

import contextlib
import logging
import ssl
from typing import cast

import trio

from racs_server.errors import StartError
from racs_server.net.lookout import Answer, Send
from racs_server.net.transport import Transport

logger = logging.getLogger(__name__)

_PIECE = 256 << 10
_BUFFER = 64 << 10


def load_tls(cert: str, key: str) -> ssl.SSLContext | None:
    """Return what the server's end of TLS needs; None if neither file is named.

    Parameters
    ----------
    cert, key
        PEM files: the certificate with those that vouch for it, and its private key.

    Raises
    ------
    StartError
        A file is missing, cannot be read, or does not belong to the other.
    """
    if not (cert or key):
        return None
    if not (cert and key):
        raise StartError("TLS needs both --tls-cert and --tls-key, and only one was given")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # sessions are not resumed; and a client would take a ticket for a reply that nobody asked for
    context.num_tickets = 0
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except OSError as error:
        raise StartError(
            f"the certificate {cert} with the key {key} cannot be used:"
            f" {error.strerror or error}: both have to be PEM, readable, of one pair, and without a"
            " password"
        ) from None
    return context


def _no_password() -> str:
    raise OSError("the key has a password, which nobody is there to type")


class TlsTransport:
    """A `Transport` that encrypts what another one carries.

    Parameters
    ----------
    lower
        Carries the encrypted bytes.
    context
        See `load_tls`.
    peer
        Who the client is, for the log.
    handshake_time
        Seconds for the handshake.
    """

    def __init__(
        self, lower: Transport, context: ssl.SSLContext, peer: str, handshake_time: float
    ) -> None:
        self._lower = lower
        self._peer = peer
        self._handshake_time = handshake_time
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._ready = False
        self._more = False
        """Whether there may be bytes that have come and are not waited for any more."""
        self._ending = False
        self._unsent = memoryview(b"")
        self._owed = 0

    def __repr__(self) -> str:
        return f"<TlsTransport {self._tls.version() or 'before the handshake'}>"

    async def rest(self, answer: Answer, send: Send) -> None:
        """Have both called each time that bytes have come, until `send` says False."""
        if not self._ready:
            await self._shake_hands()

        def send_all() -> bool:
            while send():
                if not self._more:
                    return True
                answer()
            return False

        if self._more:
            answer()
            if not send_all():
                return
        await self._lower.rest(answer, send_all)

    def wake(self) -> None:
        """Let `rest` return, if that is what is done."""
        self._lower.wake()

    def receive_now(self, buffer: memoryview) -> int | None:
        """Put what has come into the buffer, return how many bytes; 0 at the end, None: nothing."""
        if self._ending:
            return self._lower.receive_now(buffer)  # of no interest to anybody
        count = self._decrypt(buffer)
        if count is None:
            self._flush_now()  # without waiting: a reply may be waiting for room already
            fetched = self._lower.receive_now(self._buffer)
            if fetched is None:
                return None
            self._fetched(fetched)
            count = self._decrypt(buffer)
        return count

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put them into the buffer, return how many; 0 at the end."""
        if self._ending:
            return await self._lower.receive_into(buffer)
        if not self._ready:
            await self._shake_hands()
        while (count := self._decrypt(buffer)) is None:
            await self._fetch()
        return count

    def _decrypt(self, buffer: memoryview) -> int | None:
        """Fill the buffer as far as can be done with what has come; None: with nothing yet."""
        count, want = 0, len(buffer)
        self._more = False
        while count < want:
            try:
                # into a buffer it returns how many bytes, which its stub does not know
                some = cast("int", self._tls.read(want - count, buffer[count:]))
            except ssl.SSLWantReadError:
                return count or None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return count
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(f"TLS: {_reason(error)}") from None
            if not some:
                return count
            count += some
        self._more = True
        return count

    async def _shake_hands(self) -> None:
        try:
            with trio.fail_after(self._handshake_time):
                while not self._ready:
                    try:
                        self._tls.do_handshake()
                        self._ready = self._more = True
                    except ssl.SSLWantReadError:
                        await self._flush()
                        await self._fetch()
                await self._flush()
        except (ssl.SSLError, trio.TooSlowError) as error:
            why = _reason(error) if isinstance(error, ssl.SSLError) else "it was not done in time"
            logger.info("%s: no TLS handshake: %s. Does it speak plain text?", self._peer, why)
            self._flush_now()  # the alert that says so to the client, if it can be sent
            raise trio.BrokenResourceError("no TLS handshake") from None

    async def _fetch(self) -> None:
        """Wait for more encrypted bytes."""
        self._flush_now()
        self._fetched(await self._lower.receive_into(self._buffer))

    def _fetched(self, count: int) -> None:
        if count:
            self._incoming.write(self._buffer[:count])
        else:
            self._incoming.write_eof()

    def send_now(self, data: memoryview) -> int:
        """Send what can be sent without waiting, return how many bytes.

        What was taken but could not be sent is counted when it has been, in a later call with the
        same data.
        """
        if not self._ready or self._ending or not self._flush_now():
            return 0
        sent, self._owed = self._owed, 0
        while sent < len(data):
            try:
                count = self._tls.write(data[sent : sent + _PIECE])
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(f"TLS: {_reason(error)}") from None
            if not self._flush_now():
                self._owed = count
                break
            sent += count
        return sent

    async def wait_sendable(self) -> None:
        """Return when `send_now` would send something."""
        await self._lower.wait_sendable()

    def has_left(self) -> bool:
        """Return whether the peer is gone, or has sent no more for so long that it may well be."""
        return self._lower.has_left()

    def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent: TLS's close_notify, then TCP's end."""
        if self._ready and not self._ending:
            self._ending = True
            # it asks for the client's own close_notify, which need not come
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush_now()
        self._lower.send_eof()

    def close(self) -> None:
        """Close at once."""
        self._lower.close()

    async def _flush(self) -> None:
        while not self._flush_now():
            await self._lower.wait_sendable()

    def _flush_now(self) -> bool:
        """Send what was encrypted, as far as that can be done; whether all of it could be."""
        if self._outgoing.pending:
            self._unsent = memoryview(bytes(self._unsent) + self._outgoing.read())
        if self._unsent:
            self._unsent = self._unsent[self._lower.send_now(self._unsent) :]
        return not self._unsent


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
