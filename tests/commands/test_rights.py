"""Every command, for callers with few roles."""

import contextlib
import re

import pytest

from racs_server.access import NOBODY, Caller
from racs_server.commands import TABLE, CommandSpec, Executor
from racs_server.commands.check import check
from racs_server.commands.spec import Effect, Mode
from racs_server.errors import AccessError, CommandError, StartError, StreamError
from racs_server.lang import parse
from racs_server.values import AudioFormat
from tests.access.users import grant
from tests.commands.memory_store import MemoryStore

READER = Caller("reader", [grant("read", "*")])
WRITER = Caller("writer", [grant("write", "mine*")])
OWNER = Caller("owner", [grant("admin", "mine*")])
CALLERS = {"nobody": NOBODY, "reader": READER, "writer": WRITER, "owner": OWNER}


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for stream_id in ("mine", "mine too", "theirs"):
        store.create(stream_id, AudioFormat(8000, 1, 16))
    store.claim("mine", 0, 8000)
    store.claim("theirs", 0, 8000)
    return store


@pytest.fixture
def executor(store: MemoryStore) -> Executor:
    return Executor(store, lambda: None)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("PING", "nobody reader writer owner"),
        ("HELP", "reader writer owner"),
        ("LIST '*'", "reader writer owner"),
        ("DESCRIBE '*'", "reader writer owner"),
        ("INFO 'theirs' 'size'", "reader"),
        ("INFO 'mine' 'size'", "reader writer owner"),
        ("TTL 'mine'", "reader writer owner"),
        ("CREATE 'mine as well' 8000 1 16", "writer owner"),
        ("CREATE 'other' 8000 1 16", ""),
        ("OPEN 'mine'", "writer owner"),
        ("CLOSE 'theirs'", ""),
        ("RANGE 'mine' 0 1", "reader writer owner"),
        ("RANGE 'mine' 0 1 |> MIX 'theirs' 0 1", "reader"),
        ("RANGE 'mine' 0 1 |> MERGE 'theirs' 0 1", "reader"),
        ("RANGE 'theirs' 0 1 |> MIX 'mine' 0 1", "reader"),
        ("EXTRACT 'theirs' 0 1", "reader"),
        ("RANGE 'mine' 0 1 |> STREAM 'mine too'", "writer owner"),
        ("RANGE 'mine' 0 1 |> STREAM 'theirs'", ""),
        ("STREAM 'theirs'", ""),
        ("RANGE 'mine' 0 1 |> ENCODE 'audio/wav' |> ATTACH 'theirs' 'x'", ""),
        ("ATTACH 'theirs' 'x'", ""),
        ("ATTACH 'mine' 'x'", "writer owner"),
        ("ATTACHMENTS 'theirs'", "reader"),
        ("EXPIRE 'mine too' 9", "writer owner"),
        ("EXPIRE 'mine' 9", "owner"),
        ("EXPIRE 'mine' -1", "writer owner"),
        ("DELETE 'mine'", "owner"),
        ("DELETE 'theirs'", ""),
        ("SHUTDOWN", ""),
        ("AUTH 'x'", "nobody reader writer owner"),
    ],
)
@pytest.mark.parametrize("who", CALLERS)
async def test_who_may_use_what(
    executor: Executor, store: MemoryStore, text: str, allowed: str, who: str
) -> None:
    before = repr(store.streams)
    if who in allowed.split():
        with contextlib.suppress(StreamError):
            await executor.run(text, CALLERS[who])
        return
    with pytest.raises(AccessError, match=rf"{who}|AUTH"):
        await executor.run(text, CALLERS[who])
    assert repr(store.streams) == before


async def test_nothing_of_a_pipeline_runs_unless_all_of_it_is_allowed(
    executor: Executor, store: MemoryStore
) -> None:
    for text in ("OPEN 'mine' |> DELETE 'theirs'", "PING |> OPEN 'mine' |> SHUTDOWN"):
        with pytest.raises(AccessError):
            await executor.run(text, WRITER)
    assert not store.streams["mine"].is_open


@pytest.mark.parametrize("pattern", ["*", "theirs", "[!x]*"])
async def test_only_what_may_be_read_is_listed(executor: Executor, pattern: str) -> None:
    everything = await executor.run(f"LIST '{pattern}'", READER)
    assert isinstance(everything, list)
    assert "theirs" in everything
    assert "theirs" not in str(await executor.run(f"LIST '{pattern}'", WRITER))


async def test_whether_a_stream_exists_is_not_told_to_who_may_not_read_it(
    executor: Executor,
) -> None:
    texts = []
    for stream_id in ("theirs", "absent"):
        with pytest.raises(AccessError) as raised:
            await executor.run(f"INFO '{stream_id}' 'size'", WRITER)
        texts.append(str(raised.value).replace(stream_id, "?"))
    assert texts[0] == texts[1]


ROWS = [*TABLE, *(spec.when_piped for spec in TABLE if spec.when_piped is not None)]


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_every_stream_that_a_command_names_is_checked(spec: CommandSpec) -> None:
    for overload in spec.overloads:
        for param in overload.params:
            assert param.is_stream is bool(re.search("stream", param.name))
    assert not spec.public or spec.name in ("AUTH", "PING")
    assert spec.secret is (spec.mode is Mode.LOGIN)


def test_what_needs_admin() -> None:
    assert {s.name for s in TABLE if s.effect is Effect.ADMIN} == {"DELETE", "SHUTDOWN"}


def test_commands_can_be_turned_off() -> None:
    table = TABLE.without(["delete", "SEARCH"])
    for text in ("DELETE 'x'", "LIST '*'", "ls '*'"):
        with pytest.raises(CommandError, match="told not to have it"):
            check(parse(text), text, table)
    assert "DELETE" not in table.names
    with pytest.raises(StartError, match="'FLY'"):
        TABLE.without(["FLY"])
