"""The commands that take audio out and process it, as texts: results, errors, HELP, memory."""

import io
import itertools
import os
import threading
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from racs_server.commands import TABLE, Encoding, Executor
from racs_server.errors import (
    CommandError,
    DiskFullError,
    LimitError,
    RacsError,
    RequestError,
    StorageError,
)
from racs_server.values import (
    NS_PER_MS,
    NS_PER_S,
    AudioFormat,
    EncodedPlan,
    StreamRange,
    Tags,
    building,
    plans,
)
from tests.audio import model
from tests.audio.sources import Endless
from tests.commands.memory_store import MemoryStore
from tests.commands.results import file_bytes, samples

REF = 1_703_543_445_123
RATE = 44_100


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def executor(store: MemoryStore) -> Executor:
    return Executor(store, lambda: None)


def record(
    store: MemoryStore, name: str, frames: int, rate: int = RATE, channels: int = 2, depth: int = 16
) -> model.Audio:
    """Make a stream of noise; return its samples."""
    limit = 2 ** (depth - 1)
    noise = np.random.default_rng(len(name)).integers(-limit, limit, (frames, channels), np.int64)
    store.create(name, AudioFormat(rate, channels, depth))
    store.record(name, REF, noise.astype(np.int32).reshape(-1))
    return noise


async def refusal(executor: Executor, text: str, kind: type[RacsError] = RequestError) -> str:
    with pytest.raises(kind) as caught:
        await executor.run(text)
    return str(caught.value)


# ---------------------------------------------------------------------- RANGE


@pytest.mark.parametrize("name", ["RANGE", "EXTRACT", "range"])
async def test_seconds_are_the_decimal_number_that_was_written(
    store: MemoryStore, executor: Executor, name: str
) -> None:
    audio = record(store, "a", 20_000)
    for text, first, stop in [
        ("0.0 0.1", 0, 4410),
        ("0.1 1e-1", 4410, 8820),
        ("0.1 0", 4410, 4410),
        ("-0.1 0.2", 0, 4410),
        ("0.45 0.45", 19_845, 20_000),
        ("7.5 1", 20_000, 20_000),
        ("1e308 1e308", 20_000, 20_000),
        ("1e-308 1.0", 1, 20_000),
    ]:
        found = samples(store, await executor.run(f"{name} 'a' {text}"))
        assert np.array_equal(found, audio[first:stop]), text


async def test_whole_numbers_are_seconds_in_range_and_milliseconds_in_extract(
    store: MemoryStore, executor: Executor
) -> None:
    audio = record(store, "a", 3000, rate=1000)
    assert np.array_equal(samples(store, await executor.run("RANGE 'a' 1 1")), audio[1000:2000])
    text = f"EXTRACT 'a' {REF + 1} {REF + 3}"
    assert np.array_equal(samples(store, await executor.run(text)), audio[1:3])
    assert np.array_equal(samples(store, await executor.run("EXTRACT 'a' 1 1.0")), audio[1000:2000])


@pytest.mark.parametrize("rate", [1, 7, 11_025, 44_056, 48_000])
async def test_adjoining_ranges_tile_at_every_rate(
    store: MemoryStore, executor: Executor, rate: int
) -> None:
    audio = record(store, "a", 2 * rate + 1, rate=rate, channels=1)
    cuts = [Fraction(cut, 1000) for cut in (0, 1, 333, 334, 1000, 1001, 1999, 3000)]
    joined = [
        samples(store, await executor.run(f"RANGE 'a' {float(a)} {float(b - a)}"))
        for a, b in pairwise(cuts)
    ]
    assert np.array_equal(np.concatenate(joined), audio)


# ---------------------------------------------------------------------- pipes


async def test_commands_work_together(store: MemoryStore, executor: Executor) -> None:
    left, right = record(store, "a", 50_000), record(store, "bb", 44_100, channels=1)
    text = (
        "RANGE 'a' 0.5 0.5 |> gain 1.5 |> Trim 0.1 0.05 |> PAD 0.01 0 |> FADE 0.1 0.2"
        " |> PAN -0.25 |> CLIP -20000 20000 |> SPLIT 0 |> MERGE 'bb' 0 0.25 |> MIX 'a' 0.25 0.5"
    )
    expected = model.gain(left[22_050:44_100], 16, 1.5)
    expected = model.trim(expected, RATE, Fraction("0.1"), Fraction("0.05"))
    expected = model.pad(expected, RATE, Fraction("0.01"), Fraction(0))
    expected = model.fade(expected, 16, RATE, Fraction("0.1"), Fraction("0.2"))
    expected = model.clip(model.pan(expected, 16, -0.25), 16, -20_000, 20_000)
    expected = model.merge(expected[:, :1], right[:11_025])
    expected = model.mix(expected, left[11_025:33_075], 16)
    assert np.array_equal(samples(store, await executor.run(text)), expected)


async def test_audio_is_converted(store: MemoryStore, executor: Executor) -> None:
    audio = record(store, "a", 44_100, depth=24)
    whole = "RANGE 'a' 0 1 |>"
    mono = samples(store, await executor.run(f"{whole} REMIX 1"))
    assert np.array_equal(mono.ravel(), np.rint(audio.mean(axis=1)))
    assert len(samples(store, await executor.run(f"{whole} RESAMPLE 48000"))) == 48_000
    plain = samples(store, await executor.run(f"{whole} DEPTH 16 'none'"))
    assert np.array_equal(plain, model.rounded(audio / 256, 16))
    texts = ("DEPTH 16", "DEPTH 16 0", "DEPTH 16 1")
    dithered, same, other = [
        samples(store, await executor.run(f"{whole} {text}")) for text in texts
    ]
    assert np.array_equal(dithered, same)
    assert not np.array_equal(dithered, other)
    for each in (dithered, other):
        assert np.abs(each - audio / 256).max() < 1.5


async def test_format_does_what_the_commands_do(store: MemoryStore, executor: Executor) -> None:
    record(store, "a", 44_100, depth=24)
    whole = "RANGE 'a' 0.1 0.5 |>"
    steps = f"{whole} REMIX 1 |> RESAMPLE 48000 |> DEPTH 16 |> ENCODE 'audio/wav'"
    data = file_bytes(store, await executor.run(f"{whole} FORMAT 'audio/wav' 48000 1 16"))
    assert len(data) == 44 + 2 * 24_000
    assert data == file_bytes(store, await executor.run(steps))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("RANGE 'a' 0 1 |> RESAMPLE 0", "expected an int from 1 to 768000"),
        ("RANGE 'a' 0 1 |> REMIX 33", "expected an int from 1 to 32"),
        ("RANGE 'a' 0 1 |> DEPTH 20", "expected 16 or 24"),
        ("RANGE 'a' 0 1 |> DEPTH 16 -1", "expected an int of at least 0"),
        ("RANGE 'a' 0 1 |> DEPTH 16 'no'", "DEPTH is written DEPTH bit_depth or DEPTH bit_d"),
        ("GAIN 1", "expected s32v from the pipe, but nothing is piped"),
        ("RANGE 'a' 0 1 |> ENCODE 'audio/wav' |> GAIN 1", "but ENCODE, which gives u8v, is piped"),
        ("CREATE 'new' 8000 1 16 |> PAN 0", "but CREATE, which gives null, is piped"),
        ("RANGE 'a' 0 -1", "expected a number of at least 0, found the int '-1'"),
        ("RANGE 'a' 0 1 |> FADE 0 -0.5", "expected a number of at least 0"),
        ("RANGE 'a' 0 1 |> PAN -1.5", "expected a number from -1 to 1"),
        ("RANGE 'a' 0 1 |> SPLIT -1", "expected an int of at least 0"),
        ("RANGE 'a' 0 1 |> CLIP 0.5 1", "expected an int, found the float '0.5'"),
        ("RANGE 'a' 0 1 |> ENCODE 'audio/midi'", "expected 'audio/wav', 'audio/x-wav', 'audio/"),
        ("RANGE 'a' 0 1 |> DEPTH 16 'off'", "argument 2 (dither) at character 27: expected 'none'"),
        (
            "RANGE 'a' 0 1 |> DEPTH 16 -1",
            "argument 2 (seed) at character 27: expected an int",
        ),
        ("RANGE 'a' 0 1 |> ENCODE 'Audio/WAV'", "did you mean 'audio/wav'?"),
        ("RANGE 'a' 0 1 |> FORMAT 'audio/wav' 44100 2 8", "expected 16 or 24"),
    ],
)
async def test_what_cannot_fit_is_refused_before_anything_runs(
    store: MemoryStore, executor: Executor, text: str, says: str
) -> None:
    assert says in await refusal(executor, text, CommandError)
    assert store.streams == {}


async def test_what_the_audio_does_not_allow_is_refused(
    store: MemoryStore, executor: Executor
) -> None:
    record(store, "a", 100)
    record(store, "b", 100, channels=1)
    record(store, "wide", 100, channels=9)
    for text, says in [
        ("RANGE 'a' 0 1 |> SPLIT 2", "SPLIT: there is no channel 2, the audio has channels 0 to 1"),
        ("RANGE 'b' 0 1 |> PAN 0", "PAN: only stereo has a left and a right"),
        ("RANGE 'a' 0 1 |> CLIP 2 1", "CLIP: the least value, 2, is above the greatest, 1"),
        ("RANGE 'a' 0 1 |> MIX 'b' 0 1", "they differ in channels (2 and 1)"),
        ("RANGE 'a' 0 1 |> MERGE 'b' 0 1", "MERGE: the first (left) audio is 44100 Hz, 2 channels"),
        ("RANGE 'a' 0 1 |> MIX 'none' 0 1", "no such stream: 'none'"),
        ("RANGE 'wide' 0 1 |> ENCODE 'audio/flac'", "FLAC (audio/flac) cannot hold 44100 Hz, 9 ch"),
        ("RANGE 'a' 0 1 |> RESAMPLE 440", "RESAMPLE: from 44100 Hz to 440 Hz, but a rate can bec"),
        ("RANGE 'a' 0 1 |> FORMAT 'audio/flac' 44100 9 16", "FLAC (audio/flac) cannot hold 44100"),
        ("RANGE 'a' 0 1 |> FORMAT 'audio/wav' 8 2 16", "RESAMPLE: from 44100 Hz to 8 Hz"),
    ]:
        assert says in await refusal(executor, text), text


async def test_only_the_last_result_has_to_fit_into_a_reply(
    store: MemoryStore, executor: Executor
) -> None:
    store.create("long", AudioFormat(48_000, 2, 24))
    store.claim("long", REF, 48_000 * 3600 * 4)
    four_hours = "RANGE 'long' 0 14400"
    says = await refusal(executor, f"{four_hours} |> GAIN 0.5", LimitError)
    assert says.startswith("4:00:00 of 'long' was asked for, but one reply holds at most 3:06:24")
    trimmed = await executor.run(f"{four_hours} |> GAIN 0.5 |> TRIM 7200 7199")
    assert isinstance(trimmed, plans.Window)
    assert trimmed.frames == 48_000
    assert isinstance(await executor.run(f"{four_hours} |> ENCODE 'audio/wav'"), EncodedPlan)
    assert await executor.run(f"{four_hours} |> PAD 60000 0 |> PING") == "PONG"
    says = await refusal(executor, f"{four_hours} |> PAD 600 0 |> ENCODE 'audio/wav'", LimitError)
    assert says.startswith("15000 s of 'long' as audio/wav take more than 4 GiB")


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("text", ["ENCODE '{}'", "FORMAT '{}' 44100 2 24"])
@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/x-wav", "audio/flac"])
@pytest.mark.parametrize("frames", [0, 1, 100_000])
async def test_files_hold_the_audio(
    store: MemoryStore, executor: Executor, text: str, mime_type: str, frames: int
) -> None:
    audio = record(store, "a", frames, depth=24)
    value = await executor.run(f"RANGE 'a' 0 10 |> GAIN 0.5 |> {text.format(mime_type)}")
    data = file_bytes(store, value)
    assert data[:4] == (b"fLaC" if mime_type == "audio/flac" else b"RIFF")
    if frames or mime_type != "audio/flac":
        found, rate = soundfile.read(io.BytesIO(data), dtype="int32", always_2d=True)
        assert rate == RATE
        assert np.array_equal(found >> 8, model.gain(audio, 24, 0.5))


def test_a_file_too_large_for_a_reply_is_given_up(store: MemoryStore, tmp_path: Path) -> None:
    record(store, "a", 1_000_000)
    plan = EncodedPlan(store.plan("a", 0, 1_000_000), "audio/flac")
    encoding = Encoding(store, plan, tmp_path, most=1_000_000)
    encoding.advance()
    with pytest.raises(LimitError, match="as audio/flac take more than 4 GiB"):
        encoding.advance()
    encoding.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_found_before_the_work(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, "a", 1_000_000)
    free = os.statvfs_result((4096, 4096, 1000, 1000, 900, 0, 0, 0, 0, 255))
    monkeypatch.setattr("os.fstatvfs", lambda descriptor: free)
    for mime_type in ("audio/flac", "audio/mpeg"):
        plan = store.plan("a", 0, 1_000_000)
        encoding = Encoding(store, EncodedPlan(plan, mime_type, tags=Tags("a")), tmp_path)
        if mime_type == "audio/flac":
            with pytest.raises(DiskFullError, match=r"as audio/flac can take .* 3686400 left"):
                encoding.advance()
        else:
            encoding.advance()  # 192 kbit/s are less
        encoding.close()
    assert list(tmp_path.iterdir()) == []


async def test_files_tell_whose_audio_they_hold_and_when_it_sounded(
    store: MemoryStore, executor: Executor
) -> None:
    record(store, "a", RATE * 3)
    record(store, "b", RATE * 3)
    start = REF * NS_PER_MS
    for text, seconds in [
        ("RANGE 'a' 0 3", 0),
        ("RANGE 'a' 1.5 1", 1.5),
        ("RANGE 'a' 1 2 |> GAIN 0.5 |> TRIM 0.25 0", 1.25),
        ("RANGE 'a' 1 2 |> FADE 1 1 |> PAD 2.5 0", -1.5),
        ("RANGE 'a' 1 2 |> MIX 'b' 2 1", 1),
    ]:
        value = await executor.run(f"{text} |> ENCODE 'audio/x-bwf'")
        assert isinstance(value, EncodedPlan)
        assert value.tags == Tags("a", start + round(seconds * NS_PER_S)), text
    store.create("empty", AudioFormat(RATE, 2, 16))
    value = await executor.run("RANGE 'empty' 0 1 |> ENCODE 'audio/flac'")
    assert isinstance(value, EncodedPlan)
    assert value.tags == Tags("empty")


async def test_a_bit_rate_is_the_last_argument(store: MemoryStore, executor: Executor) -> None:
    record(store, "a", 1000)
    for text in ("ENCODE 'audio/mp3' 128", "FORMAT 'audio/mpeg' 44100 2 16 128"):
        value = await executor.run(f"RANGE 'a' 0 1 |> {text}")
        assert isinstance(value, EncodedPlan)
        assert (value.mime_type, value.bit_rate) == ("audio/mpeg", 128)
    says = await refusal(executor, "RANGE 'a' 0 1 |> ENCODE 'audio/mp3' 100")
    assert "it can be 32, 40" in says
    says = await refusal(executor, "RANGE 'a' 0 1 |> FORMAT 'audio/wav' 44100 2 16 128")
    assert "WAV (audio/wav) has no bit rate to be set" in says


def test_no_folder_for_the_temporary_file(store: MemoryStore, tmp_path: Path) -> None:
    record(store, "a", 10)
    encoded = EncodedPlan(store.plan("a", 0, 10), "audio/flac")
    encoding = Encoding(store, encoded, tmp_path / "gone")
    with pytest.raises(StorageError, match="no temporary file could be made"):
        encoding.advance()
    encoding.close()


@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/flac"])
def test_encoding_in_bounded_memory(mime_type: str, tmp_path: Path) -> None:
    stream = StreamRange("long", 1, 0, RATE * 900, AudioFormat(RATE, 2, 16))
    plan = building.fade(building.gain(stream, Fraction("0.8")), Fraction(60), Fraction(60))
    encoding = Encoding(Endless(), EncodedPlan(plan, mime_type), tmp_path)
    tracemalloc.start()
    try:
        while encoding.size is None:
            encoding.advance()
        size = sum(len(piece) for piece in iter(encoding.read, None))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        encoding.close()
    assert size == encoding.size
    assert most < 16 << 20


def test_audio_that_cannot_be_read_ahead_is_told_of_and_no_thread_stays(tmp_path: Path) -> None:
    class Damaged(Endless):
        def read(self, plan: StreamRange) -> Iterator[memoryview]:
            yield from itertools.islice(super().read(plan), 4)
            raise RacsError("damaged")

    plan = StreamRange("long", 1, 0, RATE * 900, AudioFormat(RATE, 2, 16))
    encoding = Encoding(Damaged(), EncodedPlan(plan, "audio/flac"), tmp_path)
    encoding.advance()
    encoding.advance()
    with pytest.raises(RacsError, match="damaged"):
        encoding.advance()
    encoding.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("reader")]
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- STREAM from a pipe


async def test_piped_audio_is_appended(store: MemoryStore, executor: Executor) -> None:
    audio = record(store, "a", 200_000)
    await executor.run(f"CREATE 'copy' {RATE} 2 16 |> OPEN 'copy'")
    assert await executor.run("RANGE 'a' 0 1 |> STREAM 'copy'") == RATE
    assert await executor.run("RANGE 'a' 1 10 |> GAIN 1 |> STREAM 'copy'") == 200_000 - RATE
    assert await executor.run("RANGE 'a' 9 10 |> STREAM 'copy' |> PING") == "PONG"
    assert np.array_equal(samples(store, await executor.run("RANGE 'copy' 0 10")), audio)


async def test_piped_audio_has_to_fit_the_stream(store: MemoryStore, executor: Executor) -> None:
    record(store, "a", 10)
    await executor.run("CREATE 'b' 48000 2 24 |> OPEN 'b'")
    says = await refusal(executor, "RANGE 'a' 0 1 |> STREAM 'b'")
    assert (
        "stream 'b' is 48000 Hz, 2 channels, 24 bit: they differ in sample rate (44100 and" in says
    )
    await executor.run(f"CREATE 'c' {RATE} 2 16")
    assert "Stream is closed" in await refusal(executor, "RANGE 'a' 0 1 |> STREAM 'c'")
    assert "no such stream" in await refusal(executor, "RANGE 'a' 0 1 |> STREAM 'd'")


async def test_an_error_tells_how_much_was_appended(
    store: MemoryStore, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, "a", 300_000)
    await executor.run(f"CREATE 'b' {RATE} 2 16 |> OPEN 'b'")
    whole = store.read

    def damaged(plan: StreamRange) -> Iterator[memoryview]:
        yield next(whole(plan))
        raise StorageError("'a' is damaged")

    monkeypatch.setattr(store, "read", damaged)
    says = await refusal(executor, "RANGE 'a' 0 9 |> STREAM 'b'", StorageError)
    assert says == "'a' is damaged. The first 131072 of 300000 sample frames are in 'b'"
    assert store.info("b").frames == 131_072


# ---------------------------------------------------------------------- HELP


async def test_help_lists_every_command(executor: Executor) -> None:
    text = await executor.run("HELP")
    assert isinstance(text, str)
    for spec in TABLE:
        assert spec.usage in text
        for alias in spec.aliases:
            assert alias in text


async def test_help_for_one_command(executor: Executor) -> None:
    text = await executor.run("help 'search'")
    assert isinstance(text, str)
    assert text.splitlines()[0] == "LIST pattern"
    assert "Also named LS, SEARCH." in text
    assert "Example: LIST 'birds/2025-*'" in text
    text = await executor.run("HELP 'Pan'")
    assert isinstance(text, str)
    assert "It takes s32v from the pipe, gives s32v." in text
    assert "position (float): Where to: -1 is left, 0 the middle, 1 right. From -1 to 1." in text


async def test_help_for_every_command(executor: Executor) -> None:
    for spec in TABLE:
        text = await executor.run(f"HELP '{spec.name}'")
        assert isinstance(text, str)
        assert text.startswith(spec.usage)


async def test_help_for_no_command(executor: Executor) -> None:
    says = await refusal(executor, "HELP 'paan'")
    assert says.startswith("HELP: there is no command 'paan'; did you mean PAN? the commands are ")
