"""Audio that many followers want at once is read once."""

import gc

import pytest
import trio
import trio.testing

from racs_server.net.pieces import Pieces, Shared


class Reader:
    """Reads a second later, and counts how often."""

    def __init__(self, error: Exception | None = None) -> None:
        self.count = 0
        self._error = error

    async def __call__(self) -> tuple[int, bytes]:
        self.count += 1
        await trio.sleep(1)
        if self._error is not None:
            raise self._error
        return 8, b"8 sample frames"


@pytest.fixture(autouse=True)
def _clock(autojump_clock: trio.testing.MockClock) -> None:
    """Let no test wait for real."""


async def get(pieces: Pieces, read: Reader, kept: list[Shared], start: int = 0) -> None:
    kept.append(await pieces.get("a", 1, start, read))


async def test_those_who_want_the_same_get_the_same() -> None:
    pieces, read, kept = Pieces(), Reader(), list[Shared]()
    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(get, pieces, read, kept)
    await get(pieces, read, kept)
    assert read.count == 1
    assert {(each.frames, each.reply) for each in kept} == {(8, b"8 sample frames")}


async def test_another_place_or_another_stream_of_the_name_is_read_anew() -> None:
    pieces, read, kept = Pieces(), Reader(), list[Shared]()
    await get(pieces, read, kept)
    await get(pieces, read, kept, start=8)
    kept.append(await pieces.get("a", 2, 8, read))
    assert read.count == 3
    assert [(each.serial, each.start) for each in kept] == [(1, 0), (1, 8), (2, 8)]


async def test_what_nobody_keeps_is_forgotten() -> None:
    pieces, read, kept = Pieces(), Reader(), list[Shared]()
    await get(pieces, read, kept)
    kept.clear()
    gc.collect()
    assert repr(pieces) == "<Pieces of 0 streams>"


async def test_who_waited_for_a_reader_that_left_reads() -> None:
    pieces, read, kept = Pieces(), Reader(), list[Shared]()
    async with trio.open_nursery() as nursery:
        leaves = trio.CancelScope()

        async def leave() -> None:
            with leaves:
                await get(pieces, read, kept)

        nursery.start_soon(leave)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(10):
            nursery.start_soon(get, pieces, read, kept)
        await trio.testing.wait_all_tasks_blocked()
        leaves.cancel()
    assert (read.count, len(kept)) == (2, 10)


async def test_an_error_is_everybodys_own() -> None:
    pieces, read, errors = Pieces(), Reader(ValueError("damaged")), list[str]()

    async def fail() -> None:
        with pytest.raises(ValueError, match="damaged") as error:
            await pieces.get("a", 1, 0, read)
        errors.append(str(error.value))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(fail)
    assert (read.count, len(errors)) == (5, 5)
