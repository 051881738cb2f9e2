"""TLS over bytes in memory: every way in which the socket below may take and give them."""

import logging
import ssl

import pytest
import trio
import trustme

from racs_server.errors import StartError
from racs_server.net.tls import TlsTransport, load_tls
from tests.net.conftest import MemoryTransport


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.num_tickets = 0
    authority.issue_cert("studio.example").configure_cert(context)
    return context


class Peer:
    """The client's end, moved by hand."""

    def __init__(self, authority: trustme.CA, lower: MemoryTransport) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="studio.example")
        self.lower = lower
        self.taken = 0

    def move(self) -> None:
        """Give each end what the other has sent."""
        self.lower.client_sends(self.outgoing.read())
        self.incoming.write(bytes(self.lower.sent[self.taken :]))
        self.taken = len(self.lower.sent)

    async def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.move()
                await trio.lowlevel.checkpoint()
            else:
                self.move()
                return

    def read(self) -> bytes:
        self.move()
        data = bytearray()
        try:
            while piece := self.tls.read(1 << 16):
                data += piece
        except ssl.SSLWantReadError:
            pass
        return bytes(data)


@pytest.fixture
def lower() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def transport(lower: MemoryTransport, server_context: ssl.SSLContext) -> TlsTransport:
    return TlsTransport(lower, server_context, "10.0.0.1", 30)


@pytest.fixture
def peer(authority: trustme.CA, lower: MemoryTransport) -> Peer:
    return Peer(authority, lower)


async def receive(transport: TlsTransport, size: int = 1 << 20) -> bytes:
    buffer = memoryview(bytearray(size))
    return bytes(buffer[: await transport.receive_into(buffer)])


async def connected(transport: TlsTransport, peer: Peer) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, transport)
        await peer.shake_hands()
        peer.tls.write(b"hello")
        peer.move()


async def test_bytes_go_both_ways_whatever_the_sizes(transport: TlsTransport, peer: Peer) -> None:
    await connected(transport, peer)
    data = bytes(range(256)) * 1000
    peer.tls.write(data)
    peer.move()
    got = b""
    while len(got) < len(data):
        got += await receive(transport, 10_007)
    assert got == data
    assert transport.send_now(memoryview(data)) == len(data)
    assert peer.read() == data


async def test_a_peer_that_takes_little_gets_all_of_it_once(
    transport: TlsTransport, peer: Peer, lower: MemoryTransport
) -> None:
    await connected(transport, peer)
    data = memoryview(bytes(range(256)) * 4000)
    lower.client_reads(-(1 << 30) + len(lower.sent))  # no room at all
    sent, got = 0, b""
    while sent < len(data):
        sent += transport.send_now(data[sent:])
        lower.client_reads(50_021)
        got += peer.read()
    got += peer.read()
    assert got == data


async def test_the_end_comes_with_and_without_a_goodbye(
    transport: TlsTransport, peer: Peer, lower: MemoryTransport
) -> None:
    await connected(transport, peer)
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.move()
    assert await receive(transport) == b""
    transport.send_eof()
    peer.move()
    peer.tls.unwrap()
    assert lower.said_goodbye


async def test_the_end_without_a_goodbye_is_an_end(
    transport: TlsTransport, peer: Peer, lower: MemoryTransport
) -> None:
    await connected(transport, peer)
    lower.client_sends(b"", end=True)
    assert await receive(transport) == b""


async def test_after_the_goodbye_what_comes_is_passed_over(
    transport: TlsTransport, peer: Peer, lower: MemoryTransport
) -> None:
    await connected(transport, peer)
    transport.send_eof()
    peer.tls.write(b"late")
    peer.move()
    lower.client_sends(b"", end=True)
    while await receive(transport, 10):
        pass
    assert transport.send_now(memoryview(b"more")) == 0


@pytest.mark.parametrize("data", [b"\4\0\0\0\0\0\0\0PING", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 99])
async def test_plain_text_is_said_to_be_so(
    transport: TlsTransport, lower: MemoryTransport, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lower.client_sends(data)
    with pytest.raises(trio.BrokenResourceError):
        await receive(transport)
    assert "10.0.0.1: no TLS handshake" in caplog.text
    assert "plain text?" in caplog.text
    assert transport.send_now(memoryview(b"x")) == 0


async def test_half_a_handshake_has_a_deadline(
    transport: TlsTransport,
    peer: Peer,
    autojump_clock: trio.abc.Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.do_handshake()
    peer.lower.client_sends(peer.outgoing.read()[:50])
    start = trio.current_time()
    with pytest.raises(trio.BrokenResourceError):
        await receive(transport)
    assert trio.current_time() - start == 30
    assert "in time" in caplog.text


async def test_rubbish_after_the_handshake_breaks_the_connection(
    transport: TlsTransport, peer: Peer, lower: MemoryTransport
) -> None:
    await connected(transport, peer)
    lower.client_sends(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    with pytest.raises(trio.BrokenResourceError, match="TLS"):
        await receive(transport)


def test_old_versions_are_not_spoken(authority: trustme.CA, tmp_path: object) -> None:
    cert = authority.issue_cert("studio.example")
    with cert.private_key_and_cert_chain_pem.tempfile() as pem:
        context = load_tls(pem, pem)
        assert context is not None
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert load_tls("", "") is None
    with pytest.raises(StartError, match="only one was given"):
        load_tls("cert.pem", "")
    with pytest.raises(StartError, match=r"no/cert\.pem"):
        load_tls("no/cert.pem", "no/key.pem")
