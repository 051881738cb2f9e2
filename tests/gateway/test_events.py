"""What happens to streams, on WebSockets and as server-sent events, by real sockets."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import websockets
from websockets.sync.client import ClientConnection, connect

from racs_server.access import Access
from racs_server.gateway import Site, make_app
from racs_server.net import Bus
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.access.users import TOKEN, access_to
from tests.gateway.conftest import MakeServices

FORMAT = AudioFormat(8000, 1, 16)


@pytest.fixture
async def address(
    make_services: MakeServices,
    bus: Bus,
    tmp_path: Path,
    nursery: trio.Nursery,
    request: pytest.FixtureRequest,
) -> AsyncIterator[str]:
    """Return the host and port of a server; for a test with the mark "users", one that has some."""
    access = access_to(tmp_path / "users.json") if "users" in request.fixturenames else Access()
    services = make_services(access, shutdown_time=0.1)
    site = await Site(make_app(services), 0, services.settings).listen()
    ending = trio.Event()
    nursery.start_soon(bus.run)
    nursery.start_soon(site.serve, ending)
    yield site.urls.removeprefix("http://")
    ending.set()


@pytest.fixture
def users() -> None:
    """Mark a test's server as one with users."""


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await trio.to_thread.run_sync(lambda: socket.recv(timeout=10)))


async def open_socket(url: str, **options: Any) -> ClientConnection:
    return await trio.to_thread.run_sync(lambda: connect(url, **options).__enter__())


async def close(socket: ClientConnection) -> None:
    await trio.to_thread.run_sync(socket.close)


async def test_a_web_socket_tells_what_happens(address: str, store: Store) -> None:
    socket = await open_socket(f"ws://{address}/events?match=a*")
    ready = await receive(socket)
    assert ready["kind"] == "ready"
    store.create("b", FORMAT)
    store.create("a", FORMAT)
    store.open_stream("a")
    store.feed("a", [bytes(20)])
    told = [await receive(socket) for _ in range(3)]
    assert [event["kind"] for event in told] == ["created", "opened", "appended"]
    assert (told[2]["id"], told[2]["start"], told[2]["stop"]) == ("a", 0, 10)
    await close(socket)
    later = await open_socket(f"ws://{address}/events?since={told[0]['number']}")
    assert (await receive(later)) == {"number": told[0]["number"], "kind": "ready"}
    assert (await receive(later)) == told[1]
    await close(later)
    store.close_stream("a")


async def test_what_was_lost_is_told(address: str) -> None:
    socket = await open_socket(f"ws://{address}/events?since=5")
    assert (await receive(socket))["kind"] == "missed"
    await close(socket)


@pytest.mark.parametrize(
    ("query", "options", "status"),
    [
        ("", {"origin": "https://evil.example"}, 403),
        ("", {"additional_headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ("?since=x", {}, 400),
        ("?nope=x", {}, 400),
    ],
)
async def test_sockets_that_are_refused(
    address: str, query: str, options: dict[str, Any], status: int
) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        await open_socket(f"ws://{address}/events{query}", **options)
    assert caught.value.response.status_code == status
    assert caught.value.response.headers["content-type"] == "application/problem+json"


async def test_a_page_shows_its_token_as_a_subprotocol(
    users: None, address: str, store: Store
) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        await open_socket(f"ws://{address}/events")
    assert caught.value.response.status_code == 401
    protocols = ["racs", f"bearer.{TOKEN}"]
    socket = await open_socket(f"ws://{address}/events", subprotocols=protocols)
    assert socket.subprotocol == "racs"
    assert (await receive(socket))["kind"] == "ready"
    await close(socket)


@asynccontextmanager
async def listening(address: str, *headers: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Ask for server-sent events; yield what gives the lines that come."""
    host, _, port = address.partition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    head = "\r\n".join(["GET /events HTTP/1.0", f"Host: {address}", *headers])
    await stream.send_all(f"{head}\r\n\r\n".encode())
    received = bytearray()

    async def line() -> str:
        with trio.fail_after(10):
            while b"\n" not in received:
                received.extend(await stream.receive_some())
        line, _, rest = bytes(received).partition(b"\n")
        received[:] = rest
        return line.decode().strip()

    async with stream:
        yield line


async def test_server_sent_events(address: str, store: Store) -> None:
    async with listening(address) as line:
        assert (await line()).startswith("HTTP/1.1 200")
        while head := await line():
            assert "content-type" not in head or head.endswith("text/event-stream")
        number = int((await line()).removeprefix("id: "))
        assert await line() == "event: ready"
        assert json.loads((await line()).removeprefix("data: "))["number"] == number
        assert await line() == ""
        store.create("a", FORMAT)
        assert await line() == f"id: {number + 1}"
        assert await line() == "event: created"
        assert json.loads((await line()).removeprefix("data: "))["id"] == "a"
    async with listening(address, f"Last-Event-ID: {number}") as line:
        while await line():
            pass
        assert await line() == f"id: {number}"
