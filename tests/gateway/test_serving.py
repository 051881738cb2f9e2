"""The listener, by real sockets: its limits, and an end that nobody holds up."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import numpy as np
import pytest
import trio
import trio.testing
import trustme

from racs_server.config import Settings
from racs_server.errors import StartError
from racs_server.gateway import Site, make_app
from racs_server.gateway.serving import App
from racs_server.storage import Store
from tests.gateway.conftest import MakeServices
from tests.gateway.filling import fill

Serve = Callable[..., Awaitable[tuple[Site, str]]]


async def hello(scope: MutableMapping[str, Any], _: Any, send: Any) -> None:
    if scope["type"] == "http":
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})


async def endless(scope: MutableMapping[str, Any], _: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})


@pytest.fixture
def ending() -> trio.Event:
    return trio.Event()


@pytest.fixture
async def serve(ending: trio.Event, nursery: trio.Nursery) -> AsyncIterator[Serve]:
    """Return a function that serves an app."""

    async def start(
        app: App, tls: ssl.SSLContext | None = None, **settings: object
    ) -> tuple[Site, str]:
        site = Site(app, 0, Settings(**settings), tls)  # type: ignore[arg-type]
        await site.listen()
        nursery.start_soon(site.serve, ending)
        return site, site.urls

    yield start
    ending.set()


async def test_serves_many_requests_on_one_connection(serve: Serve) -> None:
    _, url = await serve(hello)
    async with httpx.AsyncClient() as client:
        for _ in range(3):
            assert (await client.get(url)).text == "hello"


async def test_tls(serve: Serve) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    _, url = await serve(hello, context)
    assert url.startswith("https://")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with httpx.AsyncClient(verify=trusting) as client:
        assert (await client.get(url)).text == "hello"


async def test_a_port_in_use_is_told(serve: Serve) -> None:
    _, url = await serve(hello)
    with pytest.raises(StartError, match="the port is in use"):
        await Site(hello, int(url.rpartition(":")[2]), Settings()).listen()


async def test_a_reply_before_the_end_of_the_request_arrives(serve: Serve) -> None:
    """More is sent than hypercorn queues and sockets hold: nothing waits for nobody."""
    _, url = await serve(hello)
    port = int(url.rpartition(":")[2])
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    size = 8 << 20
    await stream.send_all(
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size * 2}\r\n\r\n".encode()
    )
    with trio.fail_after(10):
        await stream.send_all(bytes(size))
        reply = bytearray()
        async for data in stream:
            reply += data
    assert reply.endswith(b"hello")
    await stream.aclose()


async def test_one_connection_too_many_is_closed(serve: Serve) -> None:
    _, url = await serve(hello, max_connections=1)
    async with httpx.AsyncClient() as client, httpx.AsyncClient() as other:
        assert (await client.get(url)).text == "hello"
        with pytest.raises(httpx.TransportError):
            await other.get(url)


async def test_who_takes_nothing_is_cut_off(serve: Serve) -> None:
    left = trio.Event()

    async def watched(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        try:
            await endless(scope, receive, send)
        finally:
            left.set()

    _, url = await serve(watched, send_time=0.1)
    stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    with trio.fail_after(10):
        await left.wait()
    await stream.aclose()


@pytest.mark.parametrize("request_", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_nobody_holds_up_the_end(request_: bytes, ending: trio.Event) -> None:
    site = await Site(endless, 0, Settings(send_time=3600, shutdown_time=0.1)).listen()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.serve, ending)
            stream = await trio.open_tcp_stream("127.0.0.1", int(site.urls.rpartition(":")[2]))
            await stream.send_all(request_)
            await trio.testing.wait_all_tasks_blocked(0.05)
            ending.set()
    await stream.aclose()


async def test_a_connection_that_had_a_file_ends_like_any_other(
    serve: Serve, make_services: MakeServices, store: Store
) -> None:
    fill(store, "x", np.arange(1000), 8000, 1)
    _, url = await serve(make_app(make_services()), message_time=0.1)
    stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
    request = b"GET /streams/x/audio?format=flac HTTP/1.1\r\nHost: localhost\r\n\r\n"
    await stream.send_all(request)
    with trio.fail_after(10):
        reply = b"".join([data async for data in stream])
    assert b"fLaC" in reply
    await stream.aclose()
