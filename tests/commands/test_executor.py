"""Running pipelines: results, order, threads, the cache."""

import contextlib
import threading
import traceback
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
import trio

from racs_server.access import Login
from racs_server.commands import (
    CommandSpec,
    CommandTable,
    Context,
    Executor,
    Value,
    iter_blocks,
)
from racs_server.commands.spec import Effect, Output, Overload
from racs_server.errors import CommandError, LimitError, RequestError, StreamError
from racs_server.values import AudioFormat, AudioPlan
from tests.commands.memory_store import MemoryStore

REF = 1_703_543_445_123


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def executor(store: MemoryStore) -> Executor:
    return Executor(store, lambda: None)


def fill(store: MemoryStore, executor: Executor, frames: int = 1000) -> None:
    executor.run_now(executor.prepare("CREATE 'a' 1000 2 16"))
    store.record("a", REF, np.arange(frames * 2, dtype=np.int32))


def samples(store: MemoryStore, value: Value) -> list[int]:
    assert isinstance(value, AudioPlan)
    return [sample for block in iter_blocks(store, value) for sample in block.tolist()]


def iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


# ---------------------------------------------------------------------- results


async def test_a_streams_life(executor: Executor) -> None:
    assert await executor.run("CREATE 'a' 44100 2 16") is None
    assert await executor.run("OPEN 'a'") is None
    with pytest.raises(StreamError, match="Stream is already open"):
        await executor.run("OPEN 'a'")
    assert await executor.run("CLOSE 'a'") is None
    with pytest.raises(StreamError, match="Stream is not open"):
        await executor.run("CLOSE 'a'")
    assert await executor.run("LIST '*'") == ["a"]


async def test_info_tells_every_attribute(store: MemoryStore, executor: Executor) -> None:
    fill(store, executor)
    told = {
        name: await executor.run(f"INFO 'a' '{name}'")
        for name in ("sample_rate", "channels", "bit_depth", "ref", "size")
    }
    assert told == {"sample_rate": 1000, "channels": 2, "bit_depth": 16, "ref": REF, "size": 4000}


async def test_all_streams_are_described_at_once(store: MemoryStore, executor: Executor) -> None:
    fill(store, executor)
    await executor.run("CREATE 'b' 48000 1 24 |> OPEN 'b' |> EXPIRE 'b' 60")
    a, b = ["a", 1000, 2, 16, REF, 4000, False, -1], ["b", 48000, 1, 24, 0, 0, True, 60]
    assert await executor.run("DESCRIBE '*'") == [*a, *b]
    assert await executor.run("DESCRIBE 'b'") == b
    assert await executor.run("DESCRIBE 'c'") == []


async def test_ids_are_listed_by_code_point(executor: Executor) -> None:
    for name in ("b", "a", "日", "Z", "é", "🎵", "z"):
        await executor.run(f"CREATE '{name}' 1 1 16")
    assert await executor.run("LIST '*'") == ["Z", "a", "b", "z", "é", "日", "🎵"]
    assert await executor.run("LIST '[a-z]'") == ["a", "b", "z"]


async def test_the_store_decides_what_an_id_can_be(executor: Executor) -> None:
    with pytest.raises(RequestError):
        await executor.run("CREATE '' 1 1 16")


# ---------------------------------------------------------------------- EXTRACT


async def test_extract_gives_the_frames_from_one_time_up_to_another(
    store: MemoryStore, executor: Executor
) -> None:
    fill(store, executor)
    text = f"EXTRACT 'a' {iso(REF + 2)} {iso(REF + 4)}"
    assert samples(store, await executor.run(text)) == [4, 5, 6, 7]
    assert samples(store, await executor.run(f"EXTRACT 'a' {REF + 2} {REF + 4}")) == [4, 5, 6, 7]


async def test_adjoining_ranges_tile(store: MemoryStore, executor: Executor) -> None:
    fill(store, executor)
    cuts = [REF - 5, REF, REF + 1, REF + 333, REF + 999, REF + 1000, REF + 5000]
    joined = [
        sample
        for start, stop in pairwise(cuts)
        for sample in samples(store, await executor.run(f"EXTRACT 'a' {start} {stop}"))
    ]
    assert joined == list(range(2000))


@pytest.mark.parametrize(
    ("start", "stop"), [(REF + 4, REF + 4), (REF + 9, REF + 4), (0, REF), (REF + 1000, 2**62)]
)
async def test_an_empty_range(
    store: MemoryStore, executor: Executor, start: int, stop: int
) -> None:
    fill(store, executor)
    assert samples(store, await executor.run(f"EXTRACT 'a' {start} {stop}")) == []


async def test_an_empty_stream(store: MemoryStore, executor: Executor) -> None:
    await executor.run("CREATE 'a' 1000 2 24")
    text = "EXTRACT 'a' 1960-01-01T00:00:00Z 2100-01-01T00:00:00Z"
    assert samples(store, await executor.run(text)) == []


async def test_audio_too_long_for_one_reply_is_refused_only_as_a_reply(
    store: MemoryStore, executor: Executor
) -> None:
    await executor.run("CREATE 'a' 48000 2 24")
    store.claim("a", REF, 48000 * 3600 * 4)
    text = f"EXTRACT 'a' 0 {2**50}"
    with pytest.raises(LimitError, match=r"4:00:00 of 'a' was asked for.* 3:06:24 at 48000 Hz"):
        await executor.run(text)
    assert await executor.run(f"{text} |> PING") == "PONG"


# ---------------------------------------------------------------------- pipelines


async def test_the_reply_is_the_last_commands(executor: Executor) -> None:
    assert await executor.run("CREATE 'a' 44100 2 16 |> OPEN 'a' |> INFO 'a' 'channels'") == 2


async def test_the_first_error_ends_the_pipeline(store: MemoryStore, executor: Executor) -> None:
    with pytest.raises(StreamError):
        await executor.run("CREATE 'a' 1 1 16 |> OPEN 'b' |> CREATE 'c' 1 1 16")
    assert store.ids() == ["a"]


async def test_nothing_runs_unless_all_of_it_can(store: MemoryStore, executor: Executor) -> None:
    for bad in ("NOPE", "OPEN", "OPEN 1", "CREATE 'b' 1 1 8", "", "PING PING", "OPEN 'x"):
        with pytest.raises(CommandError):
            await executor.run(f"CREATE 'a' 1 1 16 |> {bad}")
    assert store.ids() == []


async def test_a_long_pipeline_lets_others_run(executor: Executor) -> None:
    order: list[str] = []

    async def long() -> None:
        prepared = executor.prepare("|>".join(["PING"] * 100))
        assert prepared.blocks
        assert await executor.run(prepared) == "PONG"
        order.append("long")

    async def other() -> None:
        await trio.lowlevel.checkpoint()
        order.append("other")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(long)
        nursery.start_soon(other)
    assert order == ["other", "long"]


# ---------------------------------------------------------------------- threads


def witness(name: str, *, blocks: bool, seen: list[threading.Thread]) -> CommandSpec:
    def handler(context: Context) -> None:
        seen.append(threading.current_thread())

    return CommandSpec(
        name=name,
        doc="For the test.",
        example=name,
        overloads=(Overload((), handler),),
        output=Output.NULL,
        effect=Effect.READ,
        blocks=blocks,
    )


async def test_what_blocks_runs_in_a_thread_and_the_rest_does_not(store: MemoryStore) -> None:
    seen: list[threading.Thread] = []
    table = CommandTable(
        [witness("FAST", blocks=False, seen=seen), witness("SLOW", blocks=True, seen=seen)]
    )
    executor = Executor(store, lambda: None, table=table)
    await executor.run("FAST |> SLOW |> FAST")
    here = threading.current_thread()
    assert [thread is here for thread in seen] == [True, False, True]


def test_what_does_not_block_needs_no_event_loop(executor: Executor) -> None:
    prepared = executor.prepare("CREATE 'a' 44100 2 16 |> OPEN 'a' |> INFO 'a' 'ref'")
    assert not prepared.blocks
    assert executor.run_now(prepared) == 0


@pytest.mark.parametrize("text", ["CLOSE 'a'", "LIST '*'", "SHUTDOWN", "PING |> CLOSE 'a'"])
def test_what_blocks_has_to_be_awaited(store: MemoryStore, executor: Executor, text: str) -> None:
    prepared = executor.prepare(text)
    assert prepared.blocks
    with pytest.raises(ValueError, match="has to be awaited"):
        executor.run_now(prepared)
    assert store.calls == []


async def test_shutdown_stores_everything_and_then_asks_for_the_end(store: MemoryStore) -> None:
    here = threading.current_thread()
    ended = trio.Event()

    def end() -> None:
        assert threading.current_thread() is here
        store.calls.append("end")
        ended.set()

    assert await Executor(store, end).run("SHUTDOWN") is None
    await ended.wait()
    assert store.calls == ["close_all", "end"]


async def test_a_command_under_way_is_finished_though_its_client_is_gone(
    store: MemoryStore,
) -> None:
    begun, release = trio.Event(), threading.Event()
    finished: list[str] = []

    def slow(context: Context) -> None:
        trio.from_thread.run_sync(begun.set)
        release.wait()
        finished.append("slow")

    spec = CommandSpec(
        name="SLOW",
        doc="For the test.",
        example="SLOW",
        overloads=(Overload((), slow),),
        output=Output.NULL,
        effect=Effect.WRITE,
        blocks=True,
    )
    executor = Executor(store, lambda: None, table=CommandTable([spec]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(executor.run, "SLOW")
        await begun.wait()
        nursery.cancel_scope.cancel()
        release.set()
    assert finished == ["slow"]


async def test_a_long_text_is_parsed_off_the_loop(executor: Executor) -> None:
    prepared = executor.prepare(f"LIST '{'x' * 2000}'")
    assert prepared.blocks
    assert await executor.run(prepared) == []
    with pytest.raises(CommandError, match="no closing"):
        await executor.run(f"LIST '{'x' * 2000}")


# ---------------------------------------------------------------------- the cache


def test_a_text_is_parsed_once(executor: Executor) -> None:
    first = executor.prepare("PING")
    assert executor.prepare("PING") is first
    assert executor.prepare("ping") is not first
    assert executor.statistics() == {
        "blocking": 0,
        "waiting": 0,
        "evaluating": 0,
        "waiting_to_evaluate": 0,
        "cached": 2,
        "hits": 1,
        "misses": 2,
    }


def test_the_cache_is_bounded_and_keeps_what_is_used(executor: Executor) -> None:
    first = executor.prepare("PING")
    for number in range(3000):
        executor.prepare(f"OPEN '{number}'")
        assert executor.prepare("PING") is first
    assert executor.statistics()["cached"] == 1024


@pytest.mark.parametrize("text", [f"OPEN '{'x' * 1100}'", "OPEN 1", "NOPE"])
def test_long_texts_and_errors_are_not_kept(executor: Executor, text: str) -> None:
    with contextlib.suppress(CommandError):
        executor.prepare(text)
    assert executor.statistics()["cached"] == 0


@pytest.mark.parametrize("text", ["AUTH 'anna' 'hush'", "PING |> auth 'hush'"])
def test_a_secret_is_not_kept(executor: Executor, text: str) -> None:
    prepared = executor.prepare(text)
    login = executor.run_now(prepared)
    assert isinstance(login, Login)
    assert login.secret == "hush"
    assert executor.statistics()["cached"] == 0
    assert "hush" not in repr((prepared, prepared.steps, login))


@pytest.mark.parametrize(
    "text",
    [
        "AUTH 'anna' 'hush",
        "AUTH 'anna' hush",
        "AUTH 'anna', 'hush'",
        "AUTH anna hush",
        "AUTH 'anna' 'hush' 'hush'",
        "AUTH 1 'hush'",
        "AUTH 'hush' |> PING",
        "PING AUTH 'hush'",
        "authenticate 'anna' 'hush'",
        "INFO 'x' 'size' |> AUTHORISE 'hush'",
        "AUTH'anna''hush'",
        'auth "hush" 7' + " " * 2000,
    ],
)
async def test_a_malformed_secret_is_not_quoted(executor: Executor, text: str) -> None:
    with pytest.raises(CommandError) as raised:
        await executor.run(text)
    assert "AUTH 'user' 'password'" in str(raised.value)
    assert "hush" not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None


def test_a_file_of_more_than_the_spool_allows_is_refused_before_any_work() -> None:
    store = MemoryStore()
    store.create("s", AudioFormat(8000, 1, 16))
    executor = Executor(store, lambda: None, spool=16_000)
    assert executor.run_now(executor.prepare("RANGE 's' 0 1 |> PAD 0 1 |> ENCODE 'audio/flac'"))
    with pytest.raises(LimitError, match=r"16000 bytes of PCM \(1 s\).*max_spool"):
        executor.run_now(executor.prepare("RANGE 's' 0 1 |> PAD 0 1.1 |> ENCODE 'audio/flac'"))
    assert executor.run_now(executor.prepare("RANGE 's' 0 1 |> PAD 0 1.1 |> ENCODE 'audio/wav'"))
