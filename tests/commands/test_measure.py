"""LOUDNESS and NORMALIZE as texts."""

import math

import numpy as np
import pytest

from racs_server.commands import Executor
from racs_server.errors import CommandError, RequestError
from racs_server.values import AudioFormat
from tests.commands.memory_store import MemoryStore
from tests.commands.results import samples

REF = 1_703_543_445_000
RATE = 48_000


@pytest.fixture
def store() -> MemoryStore:
    """Ten seconds of a stereo tone at -30 dBFS in 'tone', with peaks; of nothing in 'silence'."""
    store = MemoryStore()
    tone = np.sin(2 * np.pi * 997 * np.arange(10 * RATE) / RATE) * 10 ** (-30 / 20)
    for name, signal in (("tone", tone), ("silence", 0 * tone)):
        store.create(name, AudioFormat(RATE, 2, 24))
        scaled = np.rint(np.stack([signal, signal], axis=1) * 2**23).astype(np.int32)
        store.record(name, REF, scaled.reshape(-1))
    return store


@pytest.fixture
def executor(store: MemoryStore) -> Executor:
    return Executor(store, lambda: None)


@pytest.mark.parametrize(
    "text",
    [
        f"LOUDNESS 'tone' {REF} {REF + 10_000}",
        "LOUDNESS 'tone' 2023-12-25T22:30:46Z 2023-12-25T22:30:55Z",
        "LOUDNESS 'tone' 0.0 10",
        "RANGE 'tone' 0 10 |> LOUDNESS",
        "RANGE 'tone' 0 10 |> GAIN 0.5 |> GAIN 2 |> LOUDNESS",
    ],
)
async def test_loudness(executor: Executor, text: str) -> None:
    found = await executor.run(text)
    assert found == pytest.approx([-30, 0, -30, -30], abs=0.05)


async def test_loudness_of_nothing(executor: Executor) -> None:
    for text in ("LOUDNESS 'silence' 0.0 10", "LOUDNESS 'tone' 20.0 10"):
        assert await executor.run(text) == [-math.inf, 0, -math.inf, -math.inf]


@pytest.mark.parametrize(
    ("arguments", "loudness"),
    [
        ("-23", -23),
        ("-40.5", -40.5),
        ("-0.1", -1),
        ("-0.1 -3", -3),
        ("-6 -12.5", -12.5),
        ("0 0", 0),
    ],
)
async def test_normalize(executor: Executor, arguments: str, loudness: float) -> None:
    """The tone's true peak and its loudness are the same number."""
    found = await executor.run(f"RANGE 'tone' 0 10 |> NORMALIZE {arguments} |> LOUDNESS")
    assert isinstance(found, list)
    assert found[0] == pytest.approx(loudness, abs=0.05)


@pytest.mark.parametrize("text", ["RANGE 'silence' 0 10", "RANGE 'tone' 0 0.3", "RANGE 'tone' 0 0"])
async def test_what_has_no_loudness_stays(
    store: MemoryStore, executor: Executor, text: str
) -> None:
    before = await executor.run(text)
    after = await executor.run(f"{text} |> NORMALIZE -23")
    assert np.array_equal(samples(store, after), samples(store, before))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("RANGE 'tone' 0 1 |> NORMALIZE 3", "from -70 to 0"),
        ("RANGE 'tone' 0 1 |> NORMALIZE -23 1", "from -70 to 0"),
        ("RANGE 'tone' 0 1 |> NORMALIZE '-23'", "expected a number"),
        ("NORMALIZE -23", "expected s32v from the pipe"),
        ("LOUDNESS", "missing"),
        ("LOUDNESS 'tone' 2023-12-25T22:30:46Z 1.0", "expected a time"),
    ],
)
async def test_refusals(executor: Executor, text: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        await executor.run(text)


async def test_a_rate_too_low_is_an_error(store: MemoryStore, executor: Executor) -> None:
    store.create("slow", AudioFormat(100, 1, 16))
    with pytest.raises(RequestError, match="4000 Hz"):
        await executor.run("LOUDNESS 'slow' 0.0 1")
