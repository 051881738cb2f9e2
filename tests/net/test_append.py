"""Append mode: the table of its states, and the same on a connection with a store."""

import pytest
import trio
import trio.testing

from racs.wire import (
    AudioFrames,
    Command,
    EndOfStream,
    Event,
    Rejected,
    decode_reply,
    encode_command,
)
from racs.wire.replies import ReplyError
from racs_server.net.append import REPORT_WITHIN, AppendMode, State
from racs_server.storage import Durability, Store
from racs_server.values import AppendTo
from tests.net.memory import END, Client, audio, connected
from tests.storage.helpers import ALICE, BOB, MONO, Clock, frame, make_open, noise, read, start
from tests.storage.simulated import Fault, SimulatedDisk

EVERY_DURABILITY = pytest.mark.parametrize("durability", list(Durability))


def mode() -> AppendMode:
    return AppendMode(AppendTo("a", 5))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Rejected("the block's checksum is wrong", audio=True), "checksum"),
        (Command("PING"), "append mode"),
        (AudioFrames([frame("a", b"12"), frame("b", b"34")]), "frame 1 of 2"),
    ],
)
def test_what_is_no_audio_for_the_stream_is_a_problem(event: Event, words: str) -> None:
    problem = mode().problem(event)
    assert problem is not None
    assert words in problem


def test_audio_for_the_stream_is_none() -> None:
    assert mode().problem(AudioFrames([frame("a", b"12"), frame("a", b"34")])) is None


def test_a_report_is_due_a_while_after_the_first_audio_that_it_does_not_cover() -> None:
    machine = mode()
    machine.took(100.0)
    machine.took(100.01)
    assert machine.deadline == 100.0 + REPORT_WITHIN
    assert decode_reply(memoryview(machine.report(9))[8:]) == 9
    machine.took(200.0)
    assert machine.deadline == 200.0 + REPORT_WITHIN
    assert machine.reported == 9


def test_there_is_one_error() -> None:
    machine = mode()
    machine.took(100.0)
    assert len(machine.refuse(b"bad")) == 1
    assert machine.refuse(b"worse") == []
    assert machine.state is State.DROPPING
    assert machine.deadline is None


def test_an_end_outside_append_mode_is_no_event_of_it() -> None:
    assert mode().problem(EndOfStream()) is not None


# ------------------------------------------------------------------ on a connection


async def begin(store: Store, client: Client, stream_id: str = "a") -> None:
    make_open(store, stream_id)
    assert await client.ask(f"STREAM '{stream_id}'") == 0


@EVERY_DURABILITY
async def test_audio_is_taken_without_a_reply_to_each_message(
    autojump_clock: trio.testing.MockClock, durability: Durability
) -> None:
    store, pcm = start(durability=durability), noise(2 * 500)
    async with connected(store) as client:
        await begin(store, client)
        for place in range(0, len(pcm), 10):
            await client.send(audio("a", pcm[place : place + 10]))
        await client.send(END, encode_command("PING"))
        replies = []
        while (reply := await client.reply()) != "PONG":
            replies.append(reply)
        assert replies[-1] == 500
        assert replies == sorted(replies, key=lambda n: n if isinstance(n, int) else -1)
        assert len(replies) < 20
    assert read(store, "a") == pcm


async def test_the_length_is_told_while_nothing_more_comes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = start()
    async with connected(store) as client:
        await begin(store, client)
        for round_ in range(1, 4):
            began = trio.current_time()
            await client.send(audio("a", noise(20)))
            assert await client.reply() == round_ * 10
            assert trio.current_time() - began <= 0.1
        await trio.sleep(1000)
        assert client.silent


async def test_all_is_durable_when_it_has_ended() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    async with connected(store) as client:
        await begin(store, client)
        await client.send(audio("a", pcm := noise(2 * 300)), END)
        assert await client.reply() == 300
        assert await client.ask("INFO 'a' 'size'") == 600
        await client.send(audio("a", b"more"))
        assert await client.reply() is None
    disk.crash(keep="none")
    assert read(start(disk), "a")[:600] == pcm


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (audio("b", b"1234"), "is for the stream with the hash"),
        (audio("a", b"1234", BOB), "takes audio from session"),
        (audio("a", b"123"), "a block is a multiple of 2 bytes"),
        (audio("a", b"1234")[:-1] + b"x", "checksum"),
        (encode_command("PING"), "a command in append mode"),
    ],
)
async def test_after_a_bad_frame_all_is_dropped_up_to_the_end(
    autojump_clock: trio.testing.MockClock, bad: bytes, words: str
) -> None:
    store = start()
    make_open(store, "b")
    async with connected(store) as client:
        await begin(store, client)
        await client.send(audio("a", b"good"), bad, audio("a", b"late"), bad, END)
        error = await client.reply()
        assert isinstance(error, ReplyError)
        assert words in str(error)
        assert await client.reply() == 2
        assert await client.ask("PING") == "PONG"
    assert read(store, "a") == b"good"
    assert read(store, "b") == b""


async def test_only_an_open_stream_takes_audio() -> None:
    store = start()
    store.create("a", MONO)
    async with connected(store) as client:
        for text in ("STREAM 'a'", "STREAM 'none'"):
            assert isinstance(await client.ask(text), ReplyError)
        assert await client.ask("OPEN 'a' |> STREAM 'a'") == 0
        await client.send(END)
        assert await client.reply() == 0


async def test_a_stream_that_lapses_in_append_mode_refuses_the_rest(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()
    store = start(clock=clock)
    async with connected(store) as client:
        await begin(store, client)
        await client.send(audio("a", b"good"))
        assert await client.reply() == 2
        clock.turn(20)
        await client.send(audio("a", b""))  # an empty block renews the lease
        assert await client.reply() == 2
        clock.turn(20)
        assert store.lapse() == []
        clock.turn(20)
        assert store.lapse() == ["a"]
        await client.send(audio("a", b"late"), END)
        assert "is not open" in str(await client.reply())
        assert await client.reply() == 2


async def test_a_disk_that_fails_to_sync_is_told_and_the_last_length_stays() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    async with connected(store) as client:
        await begin(store, client)
        await client.send(audio("a", noise(20), ALICE))
        assert await client.reply() == 10
        disk.faults.append(Fault("sync", ".wav"))
        await client.send(END)
        assert isinstance(await client.reply(), ReplyError)
        assert await client.reply() == 10
        assert await client.ask("PING") == "PONG"
