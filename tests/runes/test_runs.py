"""Runs of plain async functions: what a real store then has of them."""

import asyncio
import hashlib
import inspect
import logging
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
import soundfile
import trio

from racs import Racs
from racs.runes import Run, archive, flush, output, results, runs
from tests.runes.sounds import RATE, archived, noise, write

WAIT = 60


def last(store: Racs, rune: str) -> Run:
    """Return a rune's last run, which has to be in the archive now."""
    assert flush(WAIT) == 0
    return next(runs(store, rune))


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_run_with_audio_in_and_out(store: Racs, tmp_path: Path, backend: str) -> None:
    values = noise(70_000, 2, 24)
    dry = write(tmp_path / "dry.wav", values, 24)
    before = datetime.now(UTC)

    @archive(store, rune=f"reverb {backend}")
    async def reverb(dry: Path, wet: float, mode: str = "hall") -> str:
        """Add reverb."""
        print("working")
        logging.getLogger("reverb").warning("careful")
        await output().add_message("done")
        wet_path = write(tmp_path / "wet.wav", values[::-1], 24)
        await results().add_file(wet_path)
        await anyio.lowlevel.checkpoint()
        return "the result"

    async def main() -> str:
        return await reverb(dry, wet=0.5)

    assert anyio.run(main, backend=backend) == "the result"
    run = last(store, f"reverb {backend}")
    assert run.status == "completed"
    assert run.parameters == {"dry": str(dry), "wet": 0.5, "mode": "hall"}
    assert run.record.method == "reverb"
    assert run.record.message == "done"
    assert run.record.logs == "working\nWARNING reverb: careful\n"
    assert run.started is not None
    assert run.ended is not None
    assert before - timedelta(milliseconds=1) <= run.started <= run.ended <= datetime.now(UTC)
    folder = f"runes/reverb {backend}/{run.id}"
    assert run.streams == [f"{folder}/in/dry", f"{folder}/out/001-wet.wav"]
    assert archived(store, run.streams[0]) == values.ravel().tolist()
    assert archived(store, run.streams[1]) == values[::-1].ravel().tolist()
    assert run.inputs["dry"].sha256 == hashlib.sha256(dry.read_bytes()).hexdigest()
    assert run.inputs["dry"].bytes == dry.stat().st_size
    info = [
        store.pipeline().info(run.streams[0], name).execute()
        for name in ("sample_rate", "channels", "bit_depth")
    ]
    assert info == [RATE, 2, 24]


def test_the_function_looks_as_it_did(store: Racs) -> None:
    async def blur(sound: Path, *, amount: int = 3) -> None:
        """Blur."""

    decorated = archive(store)(blur)
    assert inspect.signature(decorated) == inspect.signature(blur)
    assert inspect.iscoroutinefunction(decorated)
    assert (decorated.__name__, decorated.__doc__) == ("blur", "Blur.")
    assert decorated.__annotations__ == blur.__annotations__
    assert archive(store)(decorated) is decorated


def lossless(subtype: str, file_format: str, depth: int, channels: int) -> Callable[[Path], Any]:
    def make(path: Path) -> list[int]:
        values = noise(3000, channels, depth)
        soundfile.write(path, values << (32 - depth), RATE, subtype, format=file_format)
        samples: list[int] = values.ravel().tolist()
        return samples

    return make


def in_24_bits(subtype: str, file_format: str, channels: int = 2) -> Callable[[Path], Any]:
    def make(path: Path) -> list[int]:
        values = np.random.default_rng(1).uniform(-0.3, 0.3, (150_000, channels))
        soundfile.write(path, values, RATE, subtype, format=file_format)
        decoded, _ = soundfile.read(path, dtype="float64")
        samples: list[int] = np.rint(decoded * (1 << 23)).astype(int).ravel().tolist()
        return samples

    return make


@pytest.mark.parametrize(
    ("name", "make", "exact"),
    [
        ("a.wav", lossless("PCM_16", "WAV", 16, 1), True),
        ("b.wav", lossless("PCM_24", "WAV", 24, 2), True),
        ("c.flac", lossless("PCM_24", "FLAC", 24, 2), True),
        ("d.aiff", lossless("PCM_16", "AIFF", 16, 2), True),
        ("six.wav", lossless("PCM_24", "WAVEX", 24, 6), True),
        ("e.wav", in_24_bits("PCM_32", "WAV"), False),
        ("f.wav", in_24_bits("FLOAT", "WAV"), False),
        ("g.mp3", in_24_bits("MPEG_LAYER_III", "MP3"), False),
    ],
)
def test_every_kind_of_file(
    store: Racs, tmp_path: Path, name: str, make: Callable[[Path], Any], exact: bool
) -> None:
    path = tmp_path / name
    samples = make(path)

    @archive(store, rune=f"kind {name}")
    async def hand_on(sound: Path) -> Path:
        return sound

    trio.run(hand_on, path)
    run = last(store, f"kind {name}")
    assert len(run.streams) == 2
    for file in (run.inputs["sound"], run.outputs[0]):
        assert archived(store, file.stream) == samples
        assert (file.attachment == "") == exact
        if not exact:
            assert store.attachment(file.stream, file.attachment) == path.read_bytes()


def test_files_that_are_no_audio_or_are_empty(store: Racs, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros((0, 2)), 8000, "PCM_16")
    (tmp_path / "nothing.wav").write_bytes(b"")
    (tmp_path / "tune.mid").write_bytes(b"MThd\0\0\0\6")
    (tmp_path / "notes.txt").write_text("la la la")

    @archive(store, rune="odds and ends")
    async def make() -> None:
        for name in ("silence.wav", "nothing.wav", "tune.mid", "notes.txt", "missing.wav"):
            await output().add_file(tmp_path / name)

    trio.run(make)
    run = last(store, "odds and ends")
    silence, nothing, tune, notes, missing = run.outputs
    assert archived(store, silence.stream) == []
    assert [f.type for f in run.outputs] == ["audio", "audio", "midi", "text", "audio"]
    assert [f.stream for f in (nothing, tune, notes, missing)] == ["", "", "", ""]
    assert [run.read(f) for f in (nothing, tune, notes)] == [b"", b"MThd\0\0\0\6", b"la la la"]
    assert "No such file" in missing.problem
    assert run.status == "completed"


def test_fifty_files_of_one_name_that_is_written_again_and_again(
    store: Racs, tmp_path: Path
) -> None:
    @archive(store, rune="fifty")
    async def make() -> None:
        for number in range(50):
            path = write(tmp_path / "take.wav", noise(100, 1, 16, number), 16)
            await output().add_file(path)
            path.unlink()

    trio.run(make)
    run = last(store, "fifty")
    assert len(run.outputs) == len(set(run.streams)) == 50
    for number, stream_id in enumerate(run.streams):
        assert stream_id.endswith(f"/out/{number + 1:03}-take.wav")
        assert archived(store, stream_id) == noise(100, 1, 16, number).ravel().tolist()


@pytest.mark.parametrize(
    "name", ["ü ñ 🎵.wav", "a'b\"c\\d.wav", "-rf *.wav", "x" * 250 + ".wav", "new\nline.wav"]
)
def test_odd_names(store: Racs, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(10, 1, 16), 16)

    @archive(store, rune=f"odd {name}")
    async def hand_on(sound: str) -> str:
        return sound

    trio.run(hand_on, str(path))
    run = last(store, "odd *") if "*" not in name else last(store, "odd -rf*")
    assert run.rune == f"odd {name}"
    assert len(run.streams) == 2
    for stream_id in run.streams:
        assert len(stream_id.encode()) <= 255
        assert archived(store, stream_id) == noise(10, 1, 16).ravel().tolist()
    assert run.outputs[0].name == name


def test_what_the_function_does_to_its_input_changes_nothing(store: Racs, tmp_path: Path) -> None:
    values = noise(5000, 2, 16)
    path = spoiled = write(tmp_path / "in.wav", values, 16)

    @archive(store, rune="vandal")
    async def spoil(sound: Path) -> None:
        with sound.open("r+b") as file:
            file.seek(44)
            file.write(bytes(10_000))
        await output().add_file(sound)
        spoiled.unlink()

    trio.run(spoil, path)
    run = last(store, "vandal")
    assert archived(store, run.streams[0]) == values.ravel().tolist()
    assert archived(store, run.streams[1]) == [0] * 5000 + values.ravel().tolist()[5000:]


def test_a_run_that_raises(store: Racs, tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", noise(10, 1, 16), 16)

    @archive(store, rune="raises")
    async def fail(sound: Path) -> None:
        await output().add_file(sound)
        raise KeyError("no such effect")

    with pytest.raises(KeyError, match="no such effect"):
        trio.run(fail, path)
    run = last(store, "raises")
    assert run.status == "error"
    assert run.record.error == "KeyError: 'no such effect'"
    assert "in fail\n" in run.record.logs
    assert len(run.streams) == 2


def test_a_run_that_says_that_it_failed(store: Racs) -> None:
    @archive(store, rune="says so")
    async def fail() -> bool:
        await output().add_error("too loud")
        return False

    assert trio.run(fail) is False
    run = last(store, "says so")
    assert (run.status, run.record.error) == ("error", "too loud")


def test_runs_that_are_cancelled(store: Racs, tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", noise(10, 1, 16), 16)

    @archive(store, rune="cancelled")
    async def wait(sound: Path) -> None:
        await anyio.sleep_forever()

    async def with_trio() -> None:
        with trio.move_on_after(0.5):
            await wait(path)

    async def with_asyncio() -> None:
        task = asyncio.ensure_future(wait(path))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    trio.run(with_trio)
    asyncio.run(with_asyncio())
    assert flush(WAIT) == 0
    found = list(runs(store, "cancelled"))
    assert [run.status for run in found] == ["aborted", "aborted"]
    assert [len(run.streams) for run in found] == [1, 1]


def test_a_run_that_is_thrown_away_without_an_event_loop(store: Racs) -> None:
    @types.coroutine
    def pause() -> Iterator[None]:
        yield

    @archive(store, rune="thrown away")
    async def wait() -> None:
        await pause()

    run = wait()
    run.send(None)  # type: ignore[attr-defined]
    run.close()  # type: ignore[attr-defined]
    assert last(store, "thrown away").status == "aborted"


def test_wrong_arguments_are_told_by_the_function_itself(store: Racs) -> None:
    @archive(store, rune="wrong")
    async def one(a: int) -> None: ...

    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        trio.run(lambda: one(b=1))  # type: ignore[call-arg]
    assert last(store, "wrong").status == "error"


def test_values_that_no_json_holds_are_described(store: Racs) -> None:
    @archive(store, rune="values")
    async def take(*args: object, **kwargs: object) -> None: ...

    trio.run(lambda: take(1, "x", deep=[1.5, None], pair=(1, 2), nan=float("nan"), bad="\ud800"))
    run = last(store, "values")
    described = run.record.parameters
    assert described["args"] == {"type": "list", "value": [1, "x"]}
    assert "'deep': [1.5, None]" in described["kwargs"]["repr"]


def test_runs_side_by_side_keep_their_own(store: Racs, tmp_path: Path) -> None:
    @archive(store, rune="side by side")
    async def make(number: int) -> None:
        print(f"I am {number}")
        path = write(tmp_path / f"{number}.wav", noise(10, 1, 16, number), 16)
        await anyio.lowlevel.checkpoint()
        await output().add_file(path)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(make, number)

    trio.run(main)
    assert flush(WAIT) == 0
    found = list(runs(store, "side by side"))
    assert sorted(run.parameters["number"] for run in found) == [0, 1, 2, 3, 4]
    for run in found:
        number = run.parameters["number"]
        assert [f.name for f in run.outputs] == [f"{number}.wav"]
        assert run.record.logs == f"I am {number}\n"


def test_the_same_run_id_twice(store: Racs, tmp_path: Path) -> None:
    @archive(store, rune="twice", run_id=lambda: "seven")
    async def make(seed: int) -> Path:
        return write(tmp_path / "x.wav", noise(100 + seed, 1, 16, seed), 16)

    for seed in range(3):
        trio.run(make, seed)
        if seed == 1:
            assert flush(WAIT) == 0
    assert flush(WAIT) == 0
    found = {run.id: run for run in runs(store, "twice")}
    assert sorted(found) == ["seven", "seven-2", "seven-3"]
    for run in found.values():
        seed = run.parameters["seed"]
        assert archived(store, run.streams[0]) == noise(100 + seed, 1, 16, seed).ravel().tolist()


def test_runs_are_listed_newest_first_and_by_time(store: Racs) -> None:
    @archive(store, rune="many")
    async def note(number: int) -> None: ...

    async def main() -> None:
        for number in range(20):
            await note(number)
            await trio.sleep(0.002)

    trio.run(main)
    assert flush(WAIT) == 0
    found = list(runs(store, "many"))
    assert [run.parameters["number"] for run in found] == list(reversed(range(20)))
    middle = found[5].started
    assert [r.id for r in runs(store, "ma*", since=middle)] == [r.id for r in found[:6]]
    assert [r.id for r in runs(store, "many", until=middle)] == [r.id for r in found[6:]]
    with pytest.raises(ValueError, match="time zone"):
        runs(store, since=datetime(2026, 1, 1))
