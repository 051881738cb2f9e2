"""One client's loop: order, limits of time, and what a client can and cannot do to the server."""

from collections.abc import Callable

import pytest
import trio
import trio.lowlevel
import trio.testing

from racs.wire import Vector, encode_command, encode_frame, encode_single, stream_hash
from racs.wire.replies import ReplyError
from racs_server.config import Settings
from racs_server.errors import StorageError
from racs_server.net import Connection, Services
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.net.conftest import MemoryTransport

Connect = Callable[..., tuple[MemoryTransport, Connection]]
SESSION = b"s" * 16
MONO = AudioFormat(8000, 1, 16)


def audio(stream_id: str, pcm: bytes) -> bytes:
    return encode_single(encode_frame(stream_hash(stream_id), SESSION, pcm))


@pytest.fixture
def opened(store: Store) -> Store:
    store.create("mic", MONO)
    store.open_stream("mic")
    return store


async def test_requests_of_one_read_are_answered_in_order(connect: Connect, opened: Store) -> None:
    client, _ = connect()
    client.client_sends(
        encode_command("PING")
        + audio("mic", b"\1\0\2\0")
        + encode_command("INFO 'mic' 'size'")
        + encode_command("EXTRACT 'mic' 0 9999999999999")
        + encode_command("CLOSE 'mic'")
        + audio("mic", b"\3\0")
        + bytes(8)
        + encode_command("PING"),
        end=True,
    )
    with trio.fail_after(10):
        while not client.is_closed():
            await trio.lowlevel.checkpoint()
    replies = client.replies()
    assert replies[:5] == ["PONG", None, 4, Vector("s32v", b"\1\0\0\0\2\0\0\0"), None]
    assert isinstance(replies[5], ReplyError)
    assert "Stream is closed or currently in use." in str(replies[5])
    assert "empty message" in str(replies[6])
    assert replies[7] == "PONG"


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 12])
async def test_half_a_message_is_given_up_in_time(
    connect: Connect, settings: Settings, autojump_clock: trio.testing.MockClock, cut: int
) -> None:
    client, connection = connect()
    client.client_sends(encode_command("PING")[:cut])
    await trio.testing.wait_all_tasks_blocked()
    connection.check(trio.current_time() + settings.message_time - 1)
    await trio.testing.wait_all_tasks_blocked()
    assert not client.is_closed()
    connection.check(trio.current_time() + settings.message_time + 1)
    await trio.testing.wait_all_tasks_blocked()
    assert "did not come to its end in time" in str(client.replies()[0])
    assert client.said_goodbye
    await trio.sleep(5)
    assert client.is_closed()


async def test_a_silent_client_may_stay_for_ever(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    client, connection = connect()
    client.client_sends(encode_command("PING"))
    await trio.testing.wait_all_tasks_blocked()
    connection.check(trio.current_time() + 10**6)
    await trio.testing.wait_all_tasks_blocked()
    client.client_sends(encode_command("PING"), end=True)
    await trio.testing.wait_all_tasks_blocked()
    assert client.replies() == ["PONG", "PONG"]


async def test_a_slow_sender_whose_messages_come_whole_is_not_given_up(
    connect: Connect, settings: Settings, autojump_clock: trio.testing.MockClock
) -> None:
    """Each message has its own time, also when one begins in the read that ends another."""
    client, connection = connect()
    message = encode_command("PING")
    client.client_sends(message[:5])
    for _ in range(5):
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(settings.message_time - 1)
        connection.check(trio.current_time())
        client.client_sends(message[5:] + message[:5])
    await trio.testing.wait_all_tasks_blocked()
    assert client.replies() == ["PONG"] * 5
    assert not client.is_closed()
    connection.end()


async def test_a_client_that_does_not_read_is_closed_in_time(
    connect: Connect, opened: Store, settings: Settings, autojump_clock: trio.testing.MockClock
) -> None:
    client, connection = connect(window=30)
    client.client_sends(encode_command("PING") * 3)
    await trio.testing.wait_all_tasks_blocked()
    connection.check(trio.current_time() + settings.send_time - 1)
    await trio.testing.wait_all_tasks_blocked()
    assert not client.is_closed()
    connection.check(trio.current_time() + settings.send_time + 1)
    await trio.testing.wait_all_tasks_blocked()
    assert client.is_closed()
    assert len(client.sent) == 30


async def test_a_client_that_reads_slowly_gets_everything(
    connect: Connect, settings: Settings, autojump_clock: trio.testing.MockClock
) -> None:
    client, connection = connect(window=0)
    client.client_sends(encode_command("PING") * 3, end=True)
    for _ in range(21):
        await trio.sleep(settings.send_time - 1)
        connection.check(trio.current_time())
        client.client_reads(3)
    await trio.testing.wait_all_tasks_blocked()
    assert client.replies() == ["PONG"] * 3


async def test_one_that_does_not_read_does_not_delay_another(
    connect: Connect, opened: Store
) -> None:
    stuck, _ = connect(window=0)
    stuck.client_sends(encode_command("PING") * 100)
    other, connection = connect()
    other.client_sends(encode_command("PING"))
    await trio.testing.wait_all_tasks_blocked()
    assert other.replies() == ["PONG"]
    connection.end()


async def test_one_that_sends_much_at_once_lets_others_have_their_turn(
    connect: Connect, opened: Store
) -> None:
    greedy, connection = connect()
    greedy.client_sends(encode_command("PING") * 10_000)
    modest, other = connect()
    modest.client_sends(encode_command("PING"))
    with trio.fail_after(10):
        while not modest.sent:
            await trio.lowlevel.checkpoint()
    assert len(greedy.replies()) < 200
    with trio.fail_after(10):
        while len(greedy.sent) < 10_000 * len(modest.sent):
            await trio.lowlevel.checkpoint()
    connection.end()
    other.end()


async def test_garbage_is_answered_and_the_connection_closed(connect: Connect) -> None:
    client, _ = connect()
    client.client_sends(b"GET / HTTP/1.1\r\n\r\n", end=True)
    await trio.testing.wait_all_tasks_blocked()
    assert "length in 8 bytes" in str(client.replies()[0])
    assert client.is_closed()


@pytest.mark.parametrize(
    "message",
    [
        encode_command("x" * 70_000),
        encode_command("NONSENSE 1 2"),
        (9).to_bytes(8, "little") + b"PING\xff\xfe\xfd\xfc\xfb",
        (10).to_bytes(8, "little") + b"rsp" + bytes(7),
        audio("nobody", b"\1\0"),
        audio("mic", b"\1"),
        audio("mic", b"\1\0")[:-1] + b"\7",
    ],
)
async def test_a_bad_request_is_an_error_and_the_next_one_works(
    connect: Connect, opened: Store, message: bytes
) -> None:
    client, connection = connect()
    client.client_sends(message + encode_command("PING"))
    await trio.testing.wait_all_tasks_blocked()
    error, pong = client.replies()
    assert isinstance(error, ReplyError)
    assert pong == "PONG"
    assert opened.info("mic").frames == 0
    connection.end()


async def test_a_mistake_of_the_server_is_an_error_reply(
    connect: Connect,
    opened: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(type(opened), "append", fail)
    monkeypatch.setattr(type(opened), "info", fail)
    client, connection = connect()
    client.client_sends(
        audio("mic", b"\1\0") + encode_command("INFO 'mic' 'size'") + encode_command("PING")
    )
    await trio.testing.wait_all_tasks_blocked()
    first, second, pong = client.replies()
    assert "internal error (ZeroDivisionError)" in str(first)
    assert "internal error (ZeroDivisionError)" in str(second)
    assert pong == "PONG"
    assert "oops" in caplog.text
    connection.end()


async def test_what_the_log_did_not_take_is_not_acknowledged(
    connect: Connect, opened: Store, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StorageError("the commit log could not be stored")

    monkeypatch.setattr(services.commit, "flush", fail)
    client, connection = connect()
    client.client_sends(audio("mic", b"\1\0") + audio("nobody", b"\1\0") + audio("mic", b"\2\0"))
    await trio.testing.wait_all_tasks_blocked()
    first, second, third = map(str, client.replies())
    assert first == third == "the commit log could not be stored"
    assert "No stream has the hash" in second
    connection.end()


async def test_the_end_lets_the_request_under_way_finish(connect: Connect, opened: Store) -> None:
    client, connection = connect(window=5)
    idle, other = connect()
    client.client_sends(audio("mic", b"\1\0") + encode_command("PING"))
    await trio.testing.wait_all_tasks_blocked()
    connection.end()
    other.end()
    await trio.testing.wait_all_tasks_blocked()
    assert idle.is_closed()
    assert not client.is_closed()
    client.client_reads(1000)
    await trio.testing.wait_all_tasks_blocked()
    assert client.said_goodbye
    client.client_sends(b"", end=True)
    await trio.testing.wait_all_tasks_blocked()
    assert client.is_closed()
    assert client.replies() == [None, "PONG"]


async def test_after_the_last_error_nothing_else_is_said(connect: Connect, opened: Store) -> None:
    client, connection = connect()
    client.client_sends(b"\xff" * 4)
    await trio.testing.wait_all_tasks_blocked()
    client.client_sends(b"\xff" * 4)
    await trio.testing.wait_all_tasks_blocked()
    connection.check(trio.current_time() + 1000)
    await trio.testing.wait_all_tasks_blocked()
    [error] = client.replies()
    assert "was announced" in str(error)
    connection.end()
