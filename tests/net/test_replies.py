"""Files as replies: errors before the first byte, clients that leave, nothing left behind."""

import gc
import io
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio
import trio.testing

from racs.wire import Vector, encode_command
from racs.wire.replies import ReplyError
from racs_server.config import Settings
from racs_server.errors import StorageError
from racs_server.net import Connection
from racs_server.net.replies import LongReplies
from racs_server.storage import Store
from racs_server.values import AudioFormat, StreamRange
from tests.net.conftest import MemoryTransport

Connect = Callable[..., tuple[MemoryTransport, Connection]]
FRAMES = 500_000


@pytest.fixture
def recorded(store: Store) -> Store:
    store.create("a", AudioFormat(44_100, 2, 16))
    store.open_stream("a")
    noise = np.random.default_rng(1).integers(-(2**15), 2**15, FRAMES * 2, np.int16)
    store.feed("a", [noise.tobytes()])
    return store


def temporary_files(folder: Path) -> list[str]:
    """Return the files in a folder that have no name, but are held open by this process."""
    found = []
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return [each for each in found if each.startswith(str(folder)) and each.endswith("(deleted)")]


async def until(done: Callable[[], object]) -> None:
    """Wait for what worker threads do."""
    with trio.fail_after(20):
        while not done():
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/flac"])
async def test_a_file_is_one_reply_among_others(
    connect: Connect, recorded: Store, settings: Settings, mime_type: str
) -> None:
    client, connection = connect()
    text = f"RANGE 'a' 0 100 |> ENCODE '{mime_type}'"
    client.client_sends(encode_command(text) + encode_command("PING"))
    await until(lambda: client.sent.endswith(b"PONG"))
    file, pong = client.replies()
    assert pong == "PONG"
    assert isinstance(file, Vector)
    assert file.type == "u8v"
    samples, _ = soundfile.read(io.BytesIO(file.data), dtype="int16", always_2d=True)
    expected = b"".join(map(bytes, recorded.read(recorded.plan("a", 0, FRAMES))))
    assert samples.tobytes() == expected
    assert temporary_files(settings.data_dir) == []
    connection.end()


@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/flac"])
async def test_what_fails_before_the_first_byte_is_an_error(
    connect: Connect,
    recorded: Store,
    settings: Settings,
    mime_type: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(_: Store, plan: StreamRange) -> Iterator[memoryview]:
        if mime_type == "audio/flac":
            yield memoryview(bytes(400_000))
        raise StorageError("stream 'a' is damaged")

    monkeypatch.setattr(Store, "read", damaged)
    client, connection = connect()
    text = f"RANGE 'a' 0 100 |> GAIN 1 |> ENCODE '{mime_type}'"
    client.client_sends(encode_command(text) + encode_command("PING"))
    await until(lambda: client.sent.endswith(b"PONG"))
    error, pong = client.replies()
    assert isinstance(error, ReplyError)
    assert str(error) == "stream 'a' is damaged"
    assert pong == "PONG"
    assert temporary_files(settings.data_dir) == []
    connection.end()


async def test_what_fails_later_ends_the_connection(
    connect: Connect, recorded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: Store, plan: StreamRange) -> Iterator[memoryview]:
        yield memoryview(bytes(1_000_000))
        raise StorageError("stream 'a' is damaged")

    monkeypatch.setattr(Store, "read", damaged)
    client, _ = connect()
    client.client_sends(encode_command("RANGE 'a' 0 100 |> ENCODE 'audio/wav'"))
    await until(client.is_closed)
    assert client.replies() == []


async def test_a_client_that_leaves_leaves_nothing_behind(
    connect: Connect, recorded: Store, settings: Settings
) -> None:
    client, connection = connect(window=100_000)
    client.client_sends(encode_command("RANGE 'a' 0 100 |> ENCODE 'audio/flac'"))
    await until(lambda: len(client.sent) == 100_000)
    assert len(temporary_files(settings.data_dir)) == 1
    connection.check(trio.current_time() + 1000)
    await until(client.is_closed)
    assert temporary_files(settings.data_dir) == []


async def test_a_client_that_leaves_while_its_file_is_made_ends_the_work(
    connect: Connect, recorded: Store, settings: Settings
) -> None:
    client, _ = connect()
    client.client_sends(encode_command("RANGE 'a' 0 100 |> PAD 9000 9000 |> ENCODE 'audio/ogg'"))
    await until(lambda: temporary_files(settings.data_dir))
    client.client_leaves()
    await until(client.is_closed)
    assert "looks like a client that has gone" in str(client.replies()[-1])
    assert temporary_files(settings.data_dir) == []


async def test_a_client_that_sends_no_more_gets_its_file(connect: Connect, recorded: Store) -> None:
    client, _ = connect()
    client.client_sends(
        encode_command("RANGE 'a' 0 100 |> PAD 90 90 |> ENCODE 'audio/ogg'"), end=True
    )
    await until(client.is_closed)
    (file,) = client.replies()
    assert isinstance(file, Vector)
    assert bytes(file.data[:4]) == b"OggS"


async def test_others_are_served_while_a_file_is_made(connect: Connect, recorded: Store) -> None:
    busy, connection = connect()
    text = "RANGE 'a' 0 100 |> PAD 120 120 |> ENCODE 'audio/flac'"
    busy.client_sends(encode_command(text))
    await trio.testing.wait_all_tasks_blocked()
    other, second = connect()
    other.client_sends(encode_command("PING"))
    await until(lambda: other.sent)
    assert not busy.sent
    connection.end()
    second.end()
    await until(busy.is_closed)
    assert isinstance(busy.replies()[0], Vector)


async def test_a_reply_that_breaks_off_keeps_no_memory(recorded: Store, tmp_path: Path) -> None:
    pieces: list[weakref.ref[object]] = []

    async def send(piece: bytes | memoryview) -> None:
        if isinstance(piece, memoryview):
            pieces.append(weakref.ref(piece))
        if len(pieces) == 2:
            raise trio.BrokenResourceError

    replies = LongReplies(recorded, trio.CapacityLimiter(2), tmp_path)
    plan = recorded.plan("a", 0, FRAMES)
    gc.collect()
    gc.disable()  # it may come late
    try:
        with suppress(trio.BrokenResourceError):
            await replies.send_audio(plan, send)
        assert [piece() for piece in pieces] == [None, None]
    finally:
        gc.enable()
