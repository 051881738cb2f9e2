"""Clients that are interrupted at every step of what they do with a real server.

Whatever is cut off wherever: the next request gets its own reply, and the pool is whole.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain, count, repeat
from typing import Any

import numpy as np
import pytest
import trio
import trustme

import racs.aio
import racs.script
from racs import AsyncRacs, Racs
from racs.connection import Connection
from racs.pool import PoolStatistics
from tests.e2e.daemon import Daemon

FRAMES = 300_000
RECORDED = (np.arange(FRAMES) % 30_011).astype(np.int16)


@pytest.fixture(scope="module", params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with a recording; yields the options that clients need."""
    folder = tmp_path_factory.mktemp("server")
    flags: list[str] = []
    options: dict[str, Any] = {}
    if request.param == "TLS":
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        flags = ["--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.pem")]
        context = ssl.create_default_context()
        authority.configure_trust(context)
        options = {"tls": context}
    with Daemon(folder / "archive", *flags) as daemon:
        options |= {"host": "127.0.0.1", "port": daemon.port, "pool_size": 2, "timeout": 20}
        with Racs(**options) as r:
            r.execute_command("CREATE 'recorded' 8000 1 16")
            r.stream("recorded").execute(RECORDED)
            r.attach("recorded", "note", bytes(100_000))
        yield options


def check(answer: object, statistics: PoolStatistics, number: int) -> None:
    assert answer == 1000 + number, "a reply that belongs to another request"
    assert (statistics.busy, statistics.waiting, statistics.own) == (0, 0, 0)
    assert statistics.idle <= statistics.size


def fresh(number: int, work: str) -> tuple[str, str]:
    """Return the id of a stream for one attempt, and the command that makes it."""
    stream_id = f"{work}/{number}"
    return stream_id, f"CREATE '{stream_id}' {1000 + number} 1 16"


def follow(r: Racs, _: str) -> None:
    for _block in r.follow("recorded", 30.0, until_closed=True):
        pass


def blocks(r: Racs, _: str) -> None:
    place = 0
    for block in r.extract_blocks("recorded", 0, 2**53, block_frames=50_000):
        assert np.array_equal(block, RECORDED[place : place + len(block)])
        place += len(block)


WORKS: dict[str, Callable[[Racs, str], object]] = {
    "command": lambda r, id_: r.execute_command(f"INFO '{id_}' 'channels'"),
    "commands": lambda r, id_: r.execute_commands([f"OPEN '{id_}'", "PING", f"CLOSE '{id_}'"]),
    "array": lambda r, _: r.execute_command("RANGE 'recorded' 0 100"),
    "file": lambda r, _: r.execute_command("RANGE 'recorded' 0 5 |> ENCODE 'audio/flac'"),
    "append": lambda r, id_: r.stream(id_).execute(RECORDED),
    "attach": lambda r, id_: r.attach(id_, "note", bytes(300_000)),
    "attachment": lambda r, _: r.attachment("recorded", "note"),
    "blocks": blocks,
    "feed": follow,
}


class Interrupter:
    """Raises at the n-th thing that is done by way of it: before it is done, or after."""

    def __init__(self) -> None:
        self.left = -1
        self.late = False

    def arm(self, at: int, *, late: bool) -> None:
        self.left, self.late = at, late

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self.left -= 1
        if self.left == -1 and not self.late:
            raise KeyboardInterrupt
        result = work(*arguments)
        if self.left == -1:
            raise KeyboardInterrupt
        return result


class Cut:
    """A socket whose calls are interrupted."""

    def __init__(self, sock: Any, interrupter: Interrupter) -> None:
        self._sock = sock
        self._interrupter = interrupter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: memoryview) -> int:
        return self._interrupter.call(self._sock.recv_into, buffer)  # type: ignore[no-any-return]

    def sendmsg(self, pieces: Any) -> int:
        return self._interrupter.call(self._sock.sendmsg, pieces)  # type: ignore[no-any-return]


@pytest.fixture
def interrupter(monkeypatch: pytest.MonkeyPatch) -> Interrupter:
    """Return what interrupts all that blocking clients wait for."""
    interrupter = Interrupter()
    carry_out, begin = racs.script._carry_out, Connection.__init__

    def wrapped(self: Connection, sock: Any, *rest: Any) -> None:
        begin(self, Cut(sock, interrupter), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "__init__", wrapped)
    monkeypatch.setattr(racs.script, "_carry_out", partial(interrupter.call, carry_out))
    return interrupter


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("work", WORKS)
def test_a_client_that_blocks(
    server: dict[str, Any], interrupter: Interrupter, work: str, *, late: bool
) -> None:
    with Racs(**server) as r:
        for number in count():
            stream_id, create = fresh(number, f"blocking/{work}/{late}")
            r.execute_command(create)
            interrupter.arm(number, late=late)
            with suppress(KeyboardInterrupt):
                WORKS[work](r, stream_id)
            done, interrupter.left = interrupter.left >= 0, -1
            for _ in range(2):
                answer = r.execute_command(f"INFO '{stream_id}' 'sample_rate'")
                check(answer, r.statistics(), number)
            if done:
                break
    assert number > 1


async def _all(items: Any) -> None:
    async for _ in items:
        pass


ASYNC_WORKS: dict[str, Callable[[AsyncRacs, str], Any]] = {
    "command": lambda r, id_: r.execute_command(f"INFO '{id_}' 'channels'"),
    "commands": lambda r, id_: r.execute_commands([f"OPEN '{id_}'", "PING", f"CLOSE '{id_}'"]),
    "array": lambda r, _: r.execute_command("RANGE 'recorded' 0 100"),
    "append": lambda r, id_: r.stream(id_).execute(RECORDED),
    "attach": lambda r, id_: r.attach(id_, "note", bytes(300_000)),
    "blocks": lambda r, _: _all(r.extract_blocks("recorded", 0, 2**53, block_frames=50_000)),
    "feed": lambda r, _: _all(r.follow("recorded", 30.0, until_closed=True)),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("work", ASYNC_WORKS)
async def test_a_client_that_awaits(
    server: dict[str, Any], monkeypatch: pytest.MonkeyPatch, work: str, *, late: bool
) -> None:
    carry_out = racs.aio._carry_out
    cancelled = 0
    async with AsyncRacs(**server) as r:
        # the first step often: a quick server has answered before there is anything to wait for
        for turn, number in enumerate(chain(repeat(0, 20), count(1))):
            stream_id, create = fresh(turn, f"awaiting/{work}/{late}")
            await r.execute_command(create)
            left = number

            async def cancelling(step: Any, scope: trio.CancelScope) -> Any:
                nonlocal left
                left -= 1
                if left == -1 and not late:
                    scope.cancel()
                result = await carry_out(step)
                if left == -1:
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
                return result

            with monkeypatch.context() as patched, trio.CancelScope() as scope:
                patched.setattr(racs.aio, "_carry_out", lambda step, s=scope: cancelling(step, s))
                await ASYNC_WORKS[work](r, stream_id)
            for _ in range(2):
                answer = await r.execute_command(f"INFO '{stream_id}' 'sample_rate'")
                check(answer, r.statistics(), turn)
            cancelled += left < 0
            if number and left >= 0:
                break
    assert cancelled > 0
