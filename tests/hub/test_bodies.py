"""What requests bring to the hub: no slower, larger or costlier than it may be."""

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing
from starlette.requests import ClientDisconnect, Request

from racs_server.config import LEAST_RATE, Settings
from racs_server.errors import BusyError, RequestError
from racs_server.hub.bodies import Chunks, TooSlowError, json_of
from racs_server.hub.hub import Hub
from racs_server.net import Budget, Lease

SETTINGS = Settings(message_time=30)
LEFT = None


class Limits(msgspec.Struct):
    """What bodies use of a hub."""

    budget: Budget
    body_due: Any = SETTINGS.body_due

    @property
    def lease(self) -> Any:
        return partial(Lease, self.budget)


@pytest.fixture
def limits() -> Limits:
    return Limits(Budget())


@pytest.fixture
def hub(limits: Limits) -> Hub:
    return cast("Hub", limits)


def request_of(*parts: tuple[float, bytes | None]) -> Request:
    """Return a request whose parts come after so many seconds each; the last one is its end."""
    coming = iter(parts)
    left = len(parts)

    async def receive() -> dict[str, Any]:
        nonlocal left
        seconds, chunk = next(coming)
        left -= 1
        await trio.sleep(seconds)
        if chunk is LEFT:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": left > 0}

    return Request({"type": "http", "headers": []}, receive)


async def taken(hub: Hub, request: Request) -> bytes:
    return b"".join([chunk async for chunk in Chunks(hub, request)])


async def test_what_comes_in_time_is_taken(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    request = request_of((29, b"a"), (0.5, b""), (0.4, b"b"))
    assert await taken(hub, request) == b"ab"


def drops(seconds: float, size: int, count: int) -> Iterable[tuple[float, bytes]]:
    return ((seconds, bytes(size)) for _ in range(count))


async def test_a_large_file_has_its_time(hub: Hub, autojump_clock: trio.testing.MockClock) -> None:
    request = request_of(*drops(20, 20 * LEAST_RATE, 100))
    assert len(await taken(hub, request)) == 2000 * LEAST_RATE


@pytest.mark.parametrize(
    ("parts", "seconds"),
    [
        ([(3600, b"x")], 30),
        ([(1, bytes(100 * LEAST_RATE)), (3600, b"x")], 31),
        (list(drops(29, 1, 1000)), 30),
        (list(drops(10, 5 * LEAST_RATE, 1000)), 50),
    ],
    ids=["nothing", "a part, and no more", "drops", "half as fast as it has to be"],
)
async def test_who_is_too_slow_is_waited_for_no_longer(
    hub: Hub,
    autojump_clock: trio.testing.MockClock,
    parts: list[tuple[float, bytes]],
    seconds: float,
) -> None:
    began = trio.current_time()
    with pytest.raises(TooSlowError, match="did not go on in time"):
        await taken(hub, request_of(*parts))
    assert trio.current_time() - began == pytest.approx(seconds, abs=1)


async def test_who_leaves_is_told_from_an_end(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(ClientDisconnect):
        await taken(hub, request_of((0, b"x"), (0, LEFT)))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{", "not JSON"),
        (b"[1]", "a JSON object"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
async def test_what_is_no_object_is_refused(hub: Hub, body: bytes, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        await json_of(hub, request_of((0, body)))


async def test_json_counts_in_the_memory_of_all(
    hub: Hub, limits: Limits, autojump_clock: trio.testing.MockClock
) -> None:
    text = msgspec.json.encode({"text": "x" * (10 << 20)})
    half = len(text) // 2
    parts = (0, text[:half]), (0, text[half:])
    assert len((await json_of(hub, request_of(*parts)))["text"]) == 10 << 20
    with Lease(limits.budget) as others:
        await others.grow(limits.budget.total - (1 << 20))
        with pytest.raises(BusyError):
            await json_of(hub, request_of(*parts))
    assert limits.budget.statistics()["leased"] == 0
