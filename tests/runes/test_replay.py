"""Runs that are called again, from the archive alone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio

from racs import Racs
from racs.runes import archive, archiving, flush, output, replay, runs
from tests.runes.sounds import RATE, archived, noise, write

WAIT = 60


def contents(path: Path | str) -> bytes:
    return Path(path).read_bytes()


def test_a_run_is_called_again_with_the_same_inputs(store: Racs, tmp_path: Path) -> None:
    values = noise(1000, 6, 24)
    wav = write(tmp_path / "surround.wav", values, 24, format="WAVEX")
    mp3 = tmp_path / "song.mp3"
    soundfile.write(mp3, 0.3 * np.sin(np.arange(5000, dtype=np.float32)), RATE)
    original = mp3.read_bytes()
    heard = []

    @archive(store, rune="again")
    async def listen(surround: Path, song: str, times: int, *more: float, deep: object) -> Path:
        heard.append((contents(surround), contents(song), times, more, deep))
        samples, _ = soundfile.read(surround, dtype="int32", always_2d=True)
        return write(surround.with_name("out.wav"), samples[::-1] >> 8, 24)

    async def first() -> None:
        await listen(wav, str(mp3), 3, deep={"a": [1, None, "x"]})

    trio.run(first)
    assert flush(WAIT) == 0
    wav.unlink()
    mp3.unlink()
    (tmp_path / "out.wav").unlink()
    [run] = runs(store, "again")
    again = trio.run(replay, run)
    assert again.id != run.id
    assert again.status == "completed"
    assert [r.id for r in runs(store, "again")] == [again.id, run.id]
    assert heard[0][1:] == heard[1][1:]
    assert heard[1][1] == original
    for one, other in zip(run.streams, again.streams, strict=True):
        assert archived(store, one) == archived(store, other)
    assert archived(store, again.streams[2]) == values[::-1].ravel().tolist()
    assert not Path(again.parameters["surround"]).exists()


def test_a_function_that_was_never_decorated_can_be_given(store: Racs) -> None:
    @archive(store, rune="given")
    async def strict(number: int, odd: object) -> int:
        if number > 1:
            raise ValueError("too many")
        return number

    async def lenient(number: int, odd: object) -> int:
        await output().add_message(f"{number} {odd}")
        return number

    with pytest.raises(ValueError, match="too many"):
        trio.run(strict, 2, {1, 2})
    assert flush(WAIT) == 0
    [run] = runs(store, "given")
    with pytest.raises(ValueError, match=r"'odd' was \{1, 2\}"):
        trio.run(replay, run)

    async def again() -> None:
        failed = await replay(run, odd=None)
        assert (failed.status, failed.record.error) == ("error", "ValueError: too many")
        good = await replay(run, lenient, odd=None)
        assert (good.rune, good.record.message) == ("lenient", "2 None")
        with pytest.raises(ValueError, match="no parameter 'wrong'"):
            await replay(run, odd=None, wrong=1)

    trio.run(again)


def test_a_function_that_is_not_there_has_to_be_given(store: Racs) -> None:
    async def local() -> None: ...

    trio.run(archive(store, rune="gone")(local))
    assert flush(WAIT) == 0
    [run] = runs(store, "gone")
    archiving._functions.clear()
    with pytest.raises(ValueError, match="no function 'local' of rune 'gone'"):
        trio.run(replay, run)
