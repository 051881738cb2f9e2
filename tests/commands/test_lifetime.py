"""EXPIRE, TTL and DELETE, as texts."""

import pytest

from racs_server.commands import Executor
from racs_server.errors import CommandError, StreamError
from tests.commands.memory_store import MemoryStore


async def test_a_pipeline_gives_a_new_stream_its_time_to_live() -> None:
    executor = Executor(MemoryStore(), lambda: None)
    assert await executor.run("CREATE 'a' 44100 2 16 |> expire 'a' 3600") is None
    assert await executor.run("TTL 'a'") == 3600
    assert await executor.run("EXPIRE 'a' -1 |> TTL 'a'") == -1


async def test_delete() -> None:
    executor = Executor(store := MemoryStore(), lambda: None)
    await executor.run("CREATE 'a' 44100 2 16 |> OPEN 'a'")
    with pytest.raises(StreamError, match="is open"):
        await executor.run("DELETE 'a'")
    assert await executor.run("CLOSE 'a' |> DELETE 'a'") is None
    assert store.streams == {}


@pytest.mark.parametrize("text", ["EXPIRE 'a' -2", "EXPIRE 'a' 1.5", "EXPIRE 'a'", "TTL 5"])
async def test_wrong_arguments(text: str) -> None:
    with pytest.raises(CommandError):
        await Executor(MemoryStore(), lambda: None).run(text)
