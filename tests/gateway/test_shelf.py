"""Encoded files: made once for all who come for parts of them, kept within bounds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import trio
import trio.testing

from racs_server.commands import Executor
from racs_server.errors import StreamError
from racs_server.gateway import Shelf
from racs_server.gateway.shelf import KEPT, MOST_FILES
from racs_server.net import Budget, Lease
from racs_server.storage import Store
from racs_server.values import EncodedPlan
from tests.gateway.conftest import MakeClient
from tests.gateway.filling import fill

FLAC = "/streams/x/audio?format=flac"
MakeShelf = Callable[..., Shelf]
LIMITER = trio.CapacityLimiter(2)


@pytest.fixture(autouse=True)
def stream(store: Store) -> None:
    fill(store, "x", np.random.default_rng(1).integers(-9000, 9000, 600_000), 44_100, 2)


@pytest.fixture
def make_shelf(store: Store, tmp_path: Path) -> Iterator[MakeShelf]:
    shelves: list[Shelf] = []

    def make(most_bytes: int = 1 << 30) -> Shelf:
        shelves.append(Shelf(store, tmp_path, LIMITER, most_bytes))
        return shelves[-1]

    yield make
    for shelf in shelves:
        shelf.close()


@pytest.fixture
def shelf(make_shelf: MakeShelf) -> Shelf:
    return make_shelf()


async def plan(store: Store, command: str = "RANGE 'x' 0 9 |> ENCODE 'audio/flac'") -> EncodedPlan:
    encoded = await Executor(store, lambda: None).run(command)
    assert isinstance(encoded, EncodedPlan)
    return encoded


async def use(shelf: Shelf, tag: str, encoded: EncodedPlan) -> bytes:
    """Take a file, and give it back; returns it."""
    file = shelf.take(tag, encoded)
    await file.make(LIMITER)
    contents = b"".join(file.pieces(0))
    await shelf.give_back(file)
    return contents


@pytest.fixture
def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is read of the store."""
    found: list[object] = []
    read = store.read

    def noted(wanted: object) -> object:
        found.append(wanted)
        return read(wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", noted)
    return found


@pytest.mark.parametrize("format_", ["flac", "mp3", "opus"])
async def test_a_seek_makes_nothing_anew(
    client: httpx.AsyncClient, reads: list[object], format_: str
) -> None:
    url = f"/streams/x/audio?format={format_}"
    whole = await client.get(url)
    made = len(reads)
    assert made
    for start, stop in [(0, 1), (5000, 9000), (len(whole.content) - 10, len(whole.content))]:
        part = await client.get(url, headers={"Range": f"bytes={start}-{stop - 1}"})
        assert part.status_code == 206
        assert part.content == whole.content[start:stop]
    assert len(reads) == made


async def test_who_come_at_once_wait_for_the_same(
    client: httpx.AsyncClient, reads: list[object]
) -> None:
    found: list[bytes] = []

    async def get(start: int) -> None:
        part = await client.get(FLAC, headers={"Range": f"bytes={start}-"})
        found.append(part.content)

    async with trio.open_nursery() as nursery:
        for start in (0, 100, 7000):
            nursery.start_soon(get, start)
    assert len(reads) == 1
    whole = max(found, key=len)
    assert all(whole.endswith(each) for each in found)


async def test_who_comes_back_finds_what_was_begun(
    shelf: Shelf, store: Store, reads: list[object]
) -> None:
    encoded = await plan(store)
    file = shelf.take("a", encoded)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.make, LIMITER)
        await trio.testing.wait_all_tasks_blocked()  # a thread is at it
        nursery.cancel_scope.cancel()
    assert file.size is None
    await shelf.give_back(file)
    assert await use(shelf, "a", encoded)
    assert len(reads) == 1


async def test_a_stream_that_has_grown_is_another_file(client: httpx.AsyncClient) -> None:
    before = await client.get(FLAC)
    pcm = {"Content-Type": "audio/x-raw"}
    assert (await client.post("/streams/x/audio", content=bytes(4000), headers=pcm)).is_success
    after = await client.get(FLAC)
    assert after.headers["etag"] != before.headers["etag"]
    assert after.content != before.content


async def test_what_was_deleted_goes(
    shelf: Shelf, store: Store, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    await use(shelf, "a", await plan(store))
    nursery.start_soon(shelf.run)
    await trio.sleep(60)
    assert shelf.statistics()["files"] == 1
    store.delete("x")
    await trio.sleep(6)
    assert shelf.statistics() == {"files": 0, "bytes": 0}
    nursery.cancel_scope.cancel()


async def test_what_nobody_asks_for_goes(
    shelf: Shelf, store: Store, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    encoded = await plan(store)
    await use(shelf, "a", encoded)
    nursery.start_soon(shelf.run)
    await trio.sleep(KEPT - 10)
    await use(shelf, "a", encoded)
    await trio.sleep(KEPT - 10)
    assert shelf.statistics()["files"] == 1
    await trio.sleep(20)
    assert shelf.statistics()["files"] == 0
    nursery.cancel_scope.cancel()


async def test_the_oldest_makes_room(make_shelf: MakeShelf, store: Store) -> None:
    encoded = await plan(store)
    size = len(await use(make_shelf(), "a", encoded))
    shelf = make_shelf(2 * size)
    for tag in ("a", "b", "a", "c"):
        await use(shelf, tag, encoded)
        assert shelf.statistics()["bytes"] <= 2 * size
    first, last = shelf.take("a", encoded), shelf.take("b", encoded)
    assert first.size == size
    assert last.size is None, "it was used before the others"
    for file in (first, last):
        await shelf.give_back(file)


async def test_a_file_in_use_stays(make_shelf: MakeShelf, store: Store) -> None:
    shelf = make_shelf(0)
    encoded = await plan(store)
    one, other = shelf.take("a", encoded), shelf.take("a", encoded)
    await one.make(LIMITER)
    await shelf.give_back(one)
    assert len(b"".join(other.pieces(0))) == other.size
    await shelf.give_back(other)
    assert shelf.statistics() == {"files": 0, "bytes": 0}


async def test_there_are_so_many_files_at_most(shelf: Shelf, store: Store) -> None:
    encoded = await plan(store, "RANGE 'x' 0 0.01 |> ENCODE 'audio/flac'")
    for number in range(MOST_FILES + 3):
        await use(shelf, str(number), encoded)
    assert shelf.statistics()["files"] == MOST_FILES


async def test_what_could_not_be_made_is_tried_again(shelf: Shelf, store: Store) -> None:
    encoded = await plan(store)
    store.delete("x")
    file = shelf.take("a", encoded)
    with pytest.raises(StreamError, match="no stream 'x'"):
        await file.make(LIMITER)
    await shelf.give_back(file)
    assert shelf.statistics()["files"] == 0
    fill(store, "x", np.arange(2000), 44_100, 2)
    assert await use(shelf, "a", await plan(store, "RANGE 'x' 0 1 |> ENCODE 'audio/flac'"))


async def test_no_name_is_left_on_the_disk(client: httpx.AsyncClient, tmp_path: Path) -> None:
    def names() -> list[Path]:
        return sorted(tmp_path.rglob("*"))

    before = names()
    await client.get(FLAC)
    assert names() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/streams/x/audio?format=flac", None),
        ("GET", "/streams/x/audio", None),
        ("POST", "/streams/x/audio", b"\0" * 400),
    ],
)
async def test_files_wait_for_memory_that_others_have(
    make_client: MakeClient,
    autojump_clock: trio.testing.MockClock,
    method: str,
    path: str,
    body: bytes | None,
) -> None:
    budget = Budget()
    headers = {"Content-Type": "audio/x-raw"} if body else {}
    async with make_client(lease=lambda: Lease(budget)) as client:
        with Lease(budget) as others:
            await others.grow(budget.total)
            refused = await client.request(method, path, content=body, headers=headers)
            assert refused.status_code == 503
            assert "memory_budget" in refused.json()["detail"]
        taken = await client.request(method, path, content=body, headers=headers)
        assert taken.status_code == 200
    assert budget.statistics()["leased"] == 0
