"""PEAKS: as text, and with the waveform files of a real store on a disk that fails."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import trio
import trio.testing

from racs.wire import Vector
from racs_server.app import keep_waveforms
from racs_server.audio.pyramid import BLOCK_FRAMES, LEAST_WIDTH, blocks_until
from racs_server.commands import Executor, Value, advance
from racs_server.errors import CommandError, DamageError
from racs_server.riff import SEGMENT_HEADER
from racs_server.storage import Store
from racs_server.storage.waveform import NAME
from racs_server.values import AudioFormat
from tests.audio.test_peaks import brute
from tests.commands.memory_store import MemoryStore
from tests.storage.helpers import START, archived, files, make_open, read, send, start
from tests.storage.simulated import Fault, SimulatedDisk

RATE = 8000
MONO = AudioFormat(RATE, 1, 16)
AUDIO = np.random.default_rng(4).integers(-(2**15), 2**15, (5 * BLOCK_FRAMES + 999, 1), np.int32)

Samples = npt.NDArray[np.int32]


def picture(value: Value, channels: int = 1) -> npt.NDArray[np.float32]:
    assert isinstance(value, Vector)
    assert value.type == "f32v"
    return np.frombuffer(value.data, "<f4").reshape(-1, channels, 3)


def packed(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()


# ------------------------------------------------------------------------------------ as text


@pytest.fixture
def memory() -> MemoryStore:
    store = MemoryStore()
    store.create("a", AudioFormat(RATE, 2, 16))
    store.record("a", START, AUDIO[: 4 * RATE].reshape(-1))
    return store


@pytest.mark.parametrize(
    "text",
    [
        f"PEAKS 'a' {START + 250} {START + 1250} 7",
        "PEAKS 'a' 0.25 1 7",
        "peaks 'a' 2023-11-14T22:13:20.25Z 2023-11-14T22:13:21.25Z 7",
        "RANGE 'a' 0.25 1 |> PEAKS 7",
        "RANGE 'a' 0 2 |> GAIN 1 |> TRIM 0.25 0.75 |> PEAKS 7",
    ],
)
async def test_every_way_to_ask(memory: MemoryStore, text: str) -> None:
    found = picture(await Executor(memory, lambda: None).run(text), 2)
    samples = AUDIO[: 4 * RATE].reshape(-1, 2)[RATE // 4 : RATE + RATE // 4]
    assert np.array_equal(found, brute(samples, 7, 16))


async def test_processed_audio_is_drawn_processed(memory: MemoryStore) -> None:
    executor = Executor(memory, lambda: None)
    found = picture(await executor.run("RANGE 'a' 0 1 |> CLIP -100 50 |> SPLIT 1 |> PEAKS 5"))
    clipped = np.clip(AUDIO[: 2 * RATE].reshape(-1, 2)[:, 1:], -100, 50)
    assert np.array_equal(found, brute(clipped, 5, 16))


async def test_nothing_has_no_points(memory: MemoryStore) -> None:
    found = await Executor(memory, lambda: None).run("PEAKS 'a' 10.0 1 100")
    assert picture(found).size == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PEAKS 'a' 0.0 1 0", "from 1 to 65536"),
        ("PEAKS 'a' 0.0 1 65537", "from 1 to 65536"),
        ("PEAKS 'a' 0.0 1", "missing"),
        ("PEAKS 5", "found 1"),
    ],
)
async def test_refusals(memory: MemoryStore, text: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        await Executor(memory, lambda: None).run(text)


# ------------------------------------------------------------------------- with a waveform file


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


@pytest.fixture
def store(disk: SimulatedDisk) -> Store:
    """A stream ``a`` that is closed and has no waveform yet."""
    store = start(disk)
    make_open(store, "a", format_=MONO)
    for place in range(0, len(AUDIO), 20_000):
        send(store, "a", packed(AUDIO[place : place + 20_000]))
    store.close_stream("a")
    return store


async def drawn(store: Store, start: float = 0, stop: float = 60, points: int = 9) -> None:
    """Ask for a picture, and compare it with the audio's own."""
    text = f"PEAKS 'a' {float(start)} {float(stop - start)} {points}"
    found = picture(await Executor(store, lambda: None).run(text))
    first, last = (min(round(time * RATE), len(AUDIO)) for time in (start, stop))
    assert np.array_equal(found, brute(AUDIO[first:last], points, 16))


def blocks(store: Store) -> int:
    plan = store.plan("a", 0, 1)
    return store.waveform(plan, 256 * 16).count()


def waveform(disk: SimulatedDisk) -> str:
    (name,) = files(disk, NAME)
    return name


async def test_an_old_stream_gets_its_waveform_on_first_use(store: Store) -> None:
    assert blocks(store) == 0
    await drawn(store)
    assert blocks(store) == blocks_until(5)
    await drawn(store, 1.25, 39.5)


async def test_a_short_range_of_a_long_stream_does_not_wait_for_all_of_it(store: Store) -> None:
    store.grown()
    await drawn(store, 40, 41, points=2)
    assert blocks(store) == 0
    assert [plan.stream_id for plan in store.grown()] == ["a"]


@pytest.mark.parametrize("place", [3, 24, 5000, 20_000, -1])
async def test_a_damaged_waveform_is_built_anew(
    store: Store, disk: SimulatedDisk, place: int
) -> None:
    await drawn(store)
    good = disk.read(waveform(disk))
    disk.flip(waveform(disk), place % len(good))
    for _ in range(2):
        await drawn(store)
    await drawn(store, 0, 20, points=5)
    await drawn(store, 0.1, 41, points=20)
    assert disk.read(waveform(disk)) == good


async def test_a_waveform_that_is_ahead_of_the_audio_is_built_anew(
    store: Store, disk: SimulatedDisk
) -> None:
    await drawn(store)
    name = waveform(disk)
    good = disk.read(name)
    disk.put(name, good + good[24 : 24 + 4 * 4100])
    assert blocks(store) > blocks_until(5)
    await drawn(store)
    assert disk.read(name) == good


@pytest.mark.parametrize("seed", range(8))
async def test_a_power_cut_leaves_no_wrong_picture(disk: SimulatedDisk, seed: int) -> None:
    """What a power cut took comes again, and differs: no waveform may be of the old audio."""
    store = start(disk)
    make_open(store, "a", format_=MONO)
    send(store, "a", packed(AUDIO[: 2 * BLOCK_FRAMES]))
    store.upkeep.checkpoint()
    send(store, "a", packed(~AUDIO[2 * BLOCK_FRAMES :]))
    plan = store.plan("a", 0, 1 << 62)
    while advance(store, plan):
        pass
    assert blocks(store) == 2
    disk.crash(seed)
    store = start(disk)
    kept = store.info("a").frames
    assert kept >= 2 * BLOCK_FRAMES
    archived(store, "a", packed(AUDIO[kept - len(AUDIO) :]) + packed(AUDIO))
    whole = np.frombuffer(read(store, "a"), "<i2").astype(np.int32)
    for points in (1, 9, 100):
        found = await Executor(store, lambda: None).run(f"PEAKS 'a' 0.0 1000 {points}")
        assert np.array_equal(picture(found), brute(whole[:, np.newaxis], points, 16))


async def test_damaged_audio_is_an_error_where_the_picture_shows_it(
    store: Store, disk: SimulatedDisk
) -> None:
    (segment,) = files(disk, ".wav")
    disk.flip(segment, SEGMENT_HEADER + 2 * BLOCK_FRAMES * 2)
    executor = Executor(store, lambda: None)
    with pytest.raises(DamageError):
        await executor.run("PEAKS 'a' 0.0 60 9")
    assert blocks(store) == 2
    await drawn(store, 0, 15, points=5)
    await drawn(store, 34, 41, points=5)


async def test_a_full_disk_is_no_reason_not_to_draw(store: Store, disk: SimulatedDisk) -> None:
    await drawn(store, 0, LEAST_WIDTH * 9 / RATE - 0.001)
    disk.faults.append(Fault("write", NAME, times=1000))
    await drawn(store)


# ---------------------------------------------------------------------------- in the background


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    async def run_sync(work: object, *args: object, **_: object) -> object:
        await trio.lowlevel.checkpoint()
        return work(*args)  # type: ignore[operator]

    with monkeypatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", run_sync)
        yield


@pytest.mark.usefixtures("without_threads")
async def test_waveforms_follow_in_the_background(
    store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_waveforms, store)
        await trio.sleep(5)
        assert blocks(store) == blocks_until(5)
        archived(store, "a", packed(AUDIO))
        await trio.sleep(5)
        assert blocks(store) == blocks_until(10)
        store.open_stream("a")
        send(store, "a", packed(AUDIO))
        await trio.sleep(5)
        assert blocks(store) == blocks_until(10)
        store.upkeep.checkpoint()
        await trio.sleep(5)
        assert blocks(store) == blocks_until(15)
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("without_threads")
async def test_one_bad_stream_does_not_stop_the_others(
    store: Store, disk: SimulatedDisk, autojump_clock: trio.testing.MockClock
) -> None:
    (segment,) = files(disk, ".wav")
    disk.flip(segment, SEGMENT_HEADER)
    for name in ("b", "c"):
        make_open(store, name, format_=MONO)
        send(store, name, packed(AUDIO))
        store.close_stream(name)
    assert len(store.grown()) == 3
    for name in ("a", "b", "c"):
        store.note_growth(store.plan(name, 0, 1))
    store.delete("b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_waveforms, store)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert len(files(disk, NAME)) == 1
