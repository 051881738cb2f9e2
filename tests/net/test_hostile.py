"""What clients can send, and when they can leave, and what that leaves of the server: all of it."""

import random
from collections.abc import Callable, Iterator
from itertools import count

import pytest
import trio
import trio.testing
import zstandard

from racs.wire import encode_command, encode_frame, encode_single, stream_hash
from racs.wire.frames import MAGIC
from racs.wire.replies import ReplyError
from racs_server.net import Connection, Services
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.net.conftest import MemoryTransport

Connect = Callable[..., tuple[MemoryTransport, Connection]]
MIB = 1 << 20


def frame(stream_id: str, block: bytes, *, zstd: bool = False) -> bytes:
    made = bytearray(encode_frame(stream_hash(stream_id), b"s" * 16, block))
    made[33] |= zstd
    return bytes(made)


def message(body: bytes) -> bytes:
    return len(body).to_bytes(8, "little") + body


def batch(frames: list[bytes]) -> bytes:
    body = b"".join([b"\xc5" + len(each).to_bytes(2, "big") + each for each in frames])
    return message(MAGIC + b"\xdd" + len(frames).to_bytes(4, "big") + body)


@pytest.fixture
def opened(store: Store) -> Store:
    store.create("mic", AudioFormat(8000, 2, 16))
    store.open_stream("mic")
    store.feed("mic", [bytes(4000)])
    return store


async def answers(connect: Connect, sent: bytes) -> list[object]:
    """Return what the server answers to some bytes and then a PING; a last answer must be PONG."""
    client, _ = connect()
    client.client_sends(sent + encode_command("PING"), end=True)
    while not client.is_closed():
        await trio.testing.wait_all_tasks_blocked(0.001)
    return client.replies()


def _compressed(block: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(block)


_UNSIZED = zstandard.ZstdCompressor(write_content_size=False)


def _lying(claims: int) -> bytes:
    """Return a zstd frame (RFC 8878) whose header claims a size that its content does not have."""
    return b"\x28\xb5\x2f\xfd\xe0" + claims.to_bytes(8, "little") + b"\x01\x00\x00"


BOMBS = {
    "claims a terabyte": message(frame("mic", _lying(1 << 40), zstd=True)),
    "claims all there is": message(frame("mic", _lying(2**64 - 1), zstd=True)),
    "grows over the limit": message(frame("mic", _compressed(bytes(2 * MIB)), zstd=True)),
    "claims nothing": message(frame("mic", _UNSIZED.compress(bytes(64)), zstd=True)),
    "many": batch([frame("mic", _compressed(bytes(MIB)), zstd=True)] * 2000),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_bombs_are_refused(connect: Connect, opened: Store, bomb: str) -> None:
    error, pong = await answers(connect, BOMBS[bomb])
    assert isinstance(error, ReplyError)
    assert pong == "PONG"
    assert opened.info("mic").frames == 1000


PIPE = " |> "
MIC = "RANGE 'mic' 0 1"


@pytest.mark.parametrize(
    "text",
    [
        MIC + " |> PAD 0 1e12",
        MIC + " |> PAD 1e308 1e308",
        MIC + " |> RESAMPLE 768000" + " |> RESAMPLE 8000 |> RESAMPLE 768000" * 30 + " |> PAD 6e3 0",
        MIC + " |> RESAMPLE 1000000000",
        MIC + " |> REMIX 100000",
        MIC + " |> PEAKS 1000000000000",
        MIC + " |> FORMAT 'audio/wav' 1000000000 2 16",
        MIC + " |> FORMAT 'audio/mpeg' 44100 1000 16",
        MIC + " |> PAD 0 500000 |> ENCODE 'audio/flac' |> ATTACH 'mic' 'x'",
        PIPE.join([MIC, *["MIX 'mic' 0 1"] * 200]),
        PIPE.join(["PING"] * 5000 + ["NOPE"]),
        "PING '" + "\\" * 60_000,
        "LIST '" + "*?" * 20_000 + "'",
        "CREATE 'big' 999999999999999999999 2 16",
        "(" * 60_000,
        "'" * 60_001,
        "RANGE 'mic' 1e309 1",
        "EXTRACT 'mic' -9999999999999999999999 9999999999999999999999",
        "x" * 70_000,
    ],
    ids=lambda text: text[:70],
)
async def test_absurd_commands_are_errors(connect: Connect, opened: Store, text: str) -> None:
    first, pong = await answers(connect, encode_command(text))
    assert isinstance(first, ReplyError) or first == []
    assert "internal error" not in str(first)
    assert pong == "PONG"


async def test_random_bytes_are_answered_and_harm_nobody(connect: Connect, opened: Store) -> None:
    """Valid sessions with bytes changed, taken out and put in, and plain noise."""
    chance = random.Random(6)
    session = b"".join(
        [
            encode_command("INFO 'mic' 'size'"),
            encode_single(encode_frame(stream_hash("mic"), b"s" * 16, bytes(64))),
            batch([frame("mic", _compressed(bytes(800)), zstd=True)] * 3),
            encode_command("RANGE 'mic' 0 1 |> GAIN 0.5 |> ENCODE 'audio/wav'"),
            encode_command("STREAM 'mic'"),
            encode_single(encode_frame(stream_hash("mic"), b"s" * 16, bytes(64))),
            bytes(8),
            encode_command("ATTACH 'mic' 'x'"),
            message(b"contents"),
        ]
    )
    for _ in range(150):
        noise = bytearray(session)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(noise))
            noise[at : at + chance.choice((0, 1, 1, 9))] = chance.randbytes(
                chance.choice((0, 1, 4))
            )
        if chance.random() < 0.1:
            noise = bytearray(chance.randbytes(300))
        client, _ = connect()
        client.client_sends(bytes(noise), end=True)
        while not client.is_closed():
            await trio.testing.wait_all_tasks_blocked(0.0005)
        assert not any("internal error" in str(reply) for reply in client.replies())
    assert (await answers(connect, b""))[-1] == "PONG"


class Cutter(trio.abc.Instrument):
    """Cancels a scope before the n-th step of the tasks in its nursery."""

    def __init__(self, nursery: trio.Nursery, at: int) -> None:
        self._nursery = nursery
        self.left = at

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        nursery = task.parent_nursery
        while nursery is not None and nursery is not self._nursery:
            nursery = nursery.parent_task.parent_nursery
        if nursery is not None:
            self.left -= 1
            if self.left == -1:
                self._nursery.cancel_scope.cancel()


def session_of(stream_id: str) -> Iterator[bytes]:
    """Yield what a client sends that does a little of everything, with 1,000 sample frames each."""
    single = message(frame(stream_id, bytes(4000)))
    yield encode_command(f"CREATE '{stream_id}' 8000 2 16")
    yield encode_command(f"OPEN '{stream_id}'")
    yield single
    yield batch([frame(stream_id, bytes(400))] * 10)
    yield encode_command(f"INFO '{stream_id}' 'size'")
    yield encode_command(f"RANGE '{stream_id}' 0 1 |> GAIN 0.5")
    yield encode_command(f"RANGE '{stream_id}' 0 1 |> ENCODE 'audio/flac'")
    yield encode_command(f"STREAM '{stream_id}'") + single * 3 + bytes(8)
    yield encode_command(f"ATTACH '{stream_id}' 'note'") + message(bytes(2000))
    yield encode_command(f"ATTACHMENT '{stream_id}' 'note'")
    yield encode_command(f"FOLLOW '{stream_id}' 0.0") + bytes(8)
    yield encode_command("SUBSCRIBE '*'") + bytes(8)
    yield encode_command(f"CLOSE '{stream_id}'")
    yield encode_command("PING")


@pytest.mark.parametrize("together", [False, True])
async def test_a_client_that_is_cut_off_at_any_moment(
    services: Services, store: Store, *, together: bool
) -> None:
    """Whatever was acknowledged is there, whole messages only, and nothing is held for it."""
    for number in count():
        stream_id = f"s{number}"
        client = MemoryTransport(window=3000)
        connection = Connection(client, services)
        async with trio.open_nursery() as around:
            async with trio.open_nursery() as nursery:
                cutter = Cutter(nursery, number)
                trio.lowlevel.add_instrument(cutter)
                nursery.start_soon(connection.run)
                around.start_soon(_send, client, list(session_of(stream_id)), together)
                around.start_soon(_read, client)
            trio.lowlevel.remove_instrument(cutter)
            around.cancel_scope.cancel()
        assert client.is_closed()
        frames = store.info(stream_id).frames if stream_id in store.ids() else 0
        replies = client.replies()
        told = [reply for reply in replies[7:] if isinstance(reply, int)]
        acknowledged = max([1000 * replies[2:4].count(None), *told])
        assert frames >= acknowledged
        assert frames % 1000 == 0, "a part of a message"
        assert services.budget.statistics()["leased"] == 0
        assert services.reading.borrowed_tokens == 0
        busy = services.executor.statistics()
        assert (busy["blocking"], busy["waiting"]) == (0, 0)
        listening = services.bus.statistics()
        assert (listening["followers"], listening["subscribers"]) == (0, 0)
        if cutter.left >= 0:
            break
    assert number > 20
    assert frames == 5000, "the last one was not cut off"


async def _send(client: MemoryTransport, messages: list[bytes], together: bool) -> None:
    if together:
        client.client_sends(b"".join(messages))
    else:
        for each in messages:
            client.client_sends(each)
            await trio.testing.wait_all_tasks_blocked(0.0005)
    while client.replies()[-1:] != ["PONG"]:
        await trio.testing.wait_all_tasks_blocked(0.0005)
    client.client_sends(b"", end=True)


async def _read(client: MemoryTransport) -> None:
    while True:
        client.client_reads(3000)
        await trio.testing.wait_all_tasks_blocked(0.0005)
