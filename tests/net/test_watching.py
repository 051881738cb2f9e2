"""What the server tells of the requests that it answers."""

import logging
from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.lowlevel
import trio.testing

from racs.wire import encode_command, encode_frame, encode_single, stream_hash
from racs_server.errors import StorageError
from racs_server.net import Connection, Services, Watch
from racs_server.net.watching import Result
from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.net.conftest import MemoryTransport

AUDIO = encode_single(encode_frame(stream_hash("mic"), b"s" * 16, b"\1\0\2\0"))
Connect = Callable[..., tuple[MemoryTransport, Connection]]


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def services(services: Services, watch: Watch, store: Store) -> Services:
    store.create("mic", AudioFormat(8000, 1, 16))
    store.open_stream("mic")
    return msgspec.structs.replace(services, watch=watch)


def counts(watch: Watch) -> dict[tuple[str, Result], int]:
    return {kind: sum(times.counts) for kind, times in watch.times.items()}


async def test_requests_are_counted_by_command_and_result(connect: Connect, watch: Watch) -> None:
    client, connection = connect()
    client.client_sends(
        encode_command("ping")
        + encode_command("PING")
        + AUDIO
        + encode_command("RANGE 'mic' 0 1 |> GAIN 2")
        + encode_command("INFO 'nobody' 'size'")
        + encode_command("HARM 'mic'")
        + encode_command("CLOSE 'mic'")
        + AUDIO
        + bytes(8),
        end=True,
    )
    with trio.fail_after(10):
        while not client.is_closed():
            await trio.lowlevel.checkpoint()
    assert counts(watch) == {
        ("PING", Result.OK): 2,
        ("audio", Result.OK): 1,
        ("audio", Result.ERROR): 1,
        ("GAIN", Result.OK): 1,
        ("INFO", Result.ERROR): 1,
        ("invalid", Result.ERROR): 1,
        ("CLOSE", Result.OK): 1,
        ("end", Result.ERROR): 1,
    }
    traffic = connection.traffic
    assert (traffic.requests, traffic.errors) == (9, 4)
    assert traffic.sent == len(client.sent)


async def test_what_the_log_did_not_take_is_an_error(
    connect: Connect, services: Services, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StorageError("no")

    monkeypatch.setattr(services.commit, "flush", fail)
    client, connection = connect()
    client.client_sends(AUDIO)
    await trio.testing.wait_all_tasks_blocked()
    assert counts(watch) == {("audio", Result.ERROR): 1}
    connection.end()


async def test_one_event_a_request_without_its_text(
    connect: Connect, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "racs_server.requests"):
        told = Watch(counts=False)
        client = MemoryTransport()
        connection = Connection(client, msgspec.structs.replace(services, watch=told))
        client.client_sends(
            AUDIO + encode_command("AUTH 'anna' 'hush'") + encode_command("HARM 'mic'"), end=True
        )
        await connection.run()
    audio, auth, harm = caplog.records
    assert (
        vars(audio).items()
        >= {
            "connection": connection.number,
            "request": 1,
            "command": "audio",
            "result": "ok",
            "bytes_in": 4,
        }.items()
    )
    assert vars(auth)["command"] == "AUTH"
    assert vars(auth)["result"] == "error"
    assert vars(harm).items() >= {"command": "invalid", "bytes_in": len("HARM 'mic'")}.items()
    assert sum(vars(record)["bytes_out"] for record in caplog.records) == len(client.sent)
    assert "hush" not in caplog.text
    assert "anna" not in caplog.text


async def test_nothing_is_noted_unless_somebody_wants_to_know() -> None:
    assert not Watch(counts=False).is_wanted
