"""The client that awaits, under both event loops: the same exchanges, and cancelling them."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

import anyio
import numpy as np
import pytest

from racs import (
    AsyncRacs,
    Racs,
    RacsClosed,
    RacsConnectionError,
    RacsReplyLost,
    RacsServerError,
    RacsTimeout,
    RacsTypeError,
    RacsValueError,
)
from racs.wire import Vector, encode_reply

from .fake_server import FakeServer, HangUp
from .test_append import AppendServer

NOISE = np.random.default_rng(1).integers(-32768, 32768, (100_000, 2)).astype(np.int16)
SAMPLES = np.arange(100_000, dtype=np.int32)
Run = Callable[[Callable[[AsyncRacs], Awaitable[None]]], None]


@pytest.fixture(params=["trio", "asyncio"])
def run(request: pytest.FixtureRequest, server: FakeServer) -> Run:
    """Run a coroutine function with a client of the server."""

    def run(work: Callable[[AsyncRacs], Awaitable[None]]) -> None:
        async def main() -> None:
            async with AsyncRacs("127.0.0.1", server.port, timeout=20) as r:
                with anyio.fail_after(30):
                    await work(r)

        anyio.run(main, backend=request.param)

    return run


def test_commands_and_pipelines(server: FakeServer, run: Run) -> None:
    server.replies["EXTRACT 'a' 0 1"] = encode_reply(Vector("s32v", SAMPLES.tobytes()))

    async def work(r: AsyncRacs) -> None:
        assert await r.execute_commands(["PING", "PING"]) == ["PONG", "PONG"]
        assert await r.execute_command("PING") == "PONG"
        assert await r.pipeline().ping().execute() == "PONG"
        assert np.array_equal(await r.pipeline().extract("a", 0, 1).execute(), SAMPLES)
        with pytest.raises(RacsServerError, match="cannot run NOPE"):
            await r.execute_command("NOPE")
        assert (r.statistics().made, r.statistics().idle) == (1, 1)
        assert repr(r).startswith("<AsyncRacs at 127.0.0.1:")

    run(work)
    assert server.accepted == 1


def test_wrong_arguments(server: FakeServer, run: Run) -> None:
    async def work(r: AsyncRacs) -> None:
        with pytest.raises(RacsTypeError):
            await r.execute_command(5)  # type: ignore[arg-type]
        with pytest.raises(RacsValueError, match="chunk_size"):
            r.stream("a", 0)
        with pytest.raises(RacsValueError, match="port"):
            AsyncRacs(port=0)

    run(work)


def test_many_tasks_share_few_connections(server: FakeServer, run: Run) -> None:
    for number in range(24):
        server.add(f"s{number}", rate=number)

    async def ask(r: AsyncRacs, number: int) -> None:
        for _ in range(10):
            answer = await r.execute_command(f"INFO 's{number}' 'sample_rate'")
            assert answer == number

    async def work(r: AsyncRacs) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(24):
                tasks.start_soon(ask, r, number)
        assert (r.statistics().busy, r.statistics().waiting) == (0, 0)

    run(work)
    assert server.accepted <= 3


async def cancelled_while(condition: Callable[[], bool], work: Callable[[], object]) -> None:
    """Start something, and cancel it when the condition holds."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)  # type: ignore[arg-type]
        while not condition():
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


def test_a_cancelled_exchange_has_its_connection_closed(server: FakeServer, run: Run) -> None:
    gate = threading.Event()

    def later() -> bytes:
        gate.wait()
        return encode_reply(None)

    server.replies["HOLD"] = later

    async def work(r: AsyncRacs) -> None:
        await cancelled_while(lambda: "HOLD" in server.commands, partial(r.execute_command, "HOLD"))
        gate.set()
        assert await r.execute_command("PING") == "PONG"
        assert (r.statistics().made, r.statistics().discarded) == (2, 1)

    run(work)


def test_cancelling_one_who_waits_in_line(server: FakeServer, run: Run) -> None:
    gate = threading.Event()

    def later() -> bytes:
        gate.wait()
        return encode_reply(None)

    server.replies["HOLD"] = later

    async def work(r: AsyncRacs) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(r.execute_command, "HOLD")
            while r.statistics().busy < 3:
                await anyio.lowlevel.checkpoint()
            await cancelled_while(
                lambda: r.statistics().waiting == 1, partial(r.execute_command, "PING")
            )
            assert r.statistics().waiting == 0
            gate.set()
        assert (r.statistics().busy, r.statistics().idle) == (0, 3)

    run(work)


def test_troubles_have_the_same_names(server: FakeServer, run: Run) -> None:
    def hang_up() -> bytes:
        raise HangUp

    server.replies["HANG"] = hang_up
    server.replies["SILENT"] = b""

    async def work(r: AsyncRacs) -> None:
        with pytest.raises(RacsReplyLost, match="ended before the reply came"):
            await r.execute_command("HANG")
        async with AsyncRacs("127.0.0.1", server.port, timeout=0.05) as hasty:
            with pytest.raises(RacsTimeout, match=r"did not answer for 0\.05 s"):
                await hasty.execute_command("SILENT")
        with pytest.raises(RacsClosed):
            await hasty.execute_command("PING")
        with pytest.raises(RacsConnectionError, match="is racs-server running there"):
            await AsyncRacs("127.0.0.1", 1).execute_command("PING")

    run(work)


def test_sending(server: FakeServer, run: Run) -> None:
    stream = server.add("a", opened=False)

    async def work(r: AsyncRacs) -> None:
        builder = r.stream("a").chunk_size(1000).batch_size(7)
        assert await builder.execute(NOISE) == 100_000
        assert not stream.is_open
        stream.is_open = True
        assert await r.stream("a", pcm_data=[1, 2]) == 1
        assert await r.stream("a", 400, NOISE.tobytes()) == 100_000
        with pytest.raises(RacsValueError, match="40000"):
            await r.stream("a", pcm_data=[40_000, 1])

    run(work)
    assert bytes(stream.pcm) == NOISE.tobytes() + b"\1\0\2\0" + NOISE.tobytes()
    assert server.accepted == 1


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_live_sources(server: FakeServer, run: Run, kind: str) -> None:
    stream = server.add("a", opened=False)
    pieces = [NOISE[:10], NOISE[10:15].tobytes(), NOISE[15:40].ravel().tolist()]

    async def source() -> AsyncIterator[object]:
        for piece in pieces:
            await anyio.lowlevel.checkpoint()
            yield piece

    async def work(r: AsyncRacs) -> None:
        data = source() if kind == "async" else iter(pieces)
        assert await r.stream("a").execute(data) == 40  # type: ignore[arg-type]
        assert r.statistics().own == 0

    run(work)
    assert bytes(stream.pcm) == NOISE[:40].tobytes()
    assert not stream.is_open


def test_error_of_an_async_source(server: FakeServer, run: Run) -> None:
    stream = server.add("a", opened=False)

    async def source() -> AsyncIterator[bytes]:
        yield bytes(4000)
        raise RuntimeError("microphone unplugged")

    async def work(r: AsyncRacs) -> None:
        with pytest.raises(RuntimeError, match="unplugged") as caught:
            await r.stream("a").chunk_size(100).batch_size(10).execute(source())
        assert ": 1000 sample frames" in caught.value.__notes__[0]

    run(work)
    assert len(stream.pcm) == 4000
    assert not stream.is_open


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_append_mode(backend: str) -> None:
    with AppendServer() as server:
        stream = server.add("a", opened=False)

        async def main() -> None:
            async with AsyncRacs("127.0.0.1", server.port, timeout=20) as r:
                assert await r.stream("a").chunk_size(1000).execute(NOISE) == 100_000
                assert r.statistics().idle == 1

        anyio.run(main, backend=backend)
        assert bytes(stream.pcm) == NOISE.tobytes()
        assert "STREAM 'a'" in server.commands


def test_blocks(server: FakeServer, run: Run) -> None:
    server.add("a").info.update(ref=0, size=200_000)
    server.replies["EXTRACT 'a' 0 1"] = encode_reply(Vector("s32v", SAMPLES.tobytes()))

    async def work(r: AsyncRacs) -> None:
        blocks = [block async for block in r.extract_blocks("a", 0, 1, block_frames=999)]
        assert np.array_equal(np.concatenate(blocks), SAMPLES)
        assert r.statistics().idle == 1
        async with aclosing(r.extract_blocks("a", 0, 1, block_frames=10)) as given_up:
            async for block in given_up:
                assert block.tolist() == list(range(20))
                break
        assert (r.statistics().busy, r.statistics().discarded) == (0, 1)

    run(work)


def test_the_client_that_blocks_refuses_an_async_source(server: FakeServer) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b""

    server.add("a")
    with Racs("127.0.0.1", server.port) as r, pytest.raises(RacsTypeError, match="AsyncRacs"):
        r.stream("a", pcm_data=source())  # type: ignore[call-overload]
