"""Feeds on a connection: FOLLOW and SUBSCRIBE, as a client sees them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio
import trio.testing

from racs.wire import Vector, encode_command
from racs.wire.replies import ReplyError
from racs_server.net import Bus
from racs_server.net.bus import COALESCE, TICK
from racs_server.net.feeds import LAG
from racs_server.storage import Store
from racs_server.values import Kind, StreamEvent
from tests.net.memory import END, Client, connected
from tests.storage.helpers import MONO, START, Clock, archived, make_open, noise, send, start


@pytest.fixture(autouse=True)
def _clock(autojump_clock: trio.testing.MockClock) -> None:
    """Let no test wait for real."""


class Live:
    """A store, its bus, and clients of both."""

    def __init__(self) -> None:
        self.bus = Bus(7)
        self.clock = Clock()
        self.store: Store = start(clock=self.clock, notify=self.bus.notify)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with connected(self.store, self.bus) as client:
            yield client


@pytest.fixture
def live() -> Live:
    return Live()


async def audio_reply(client: Client) -> tuple[int, bytes]:
    """Return the next piece of audio: its first sample frame, and its 16-bit samples."""
    head = await client.reply()
    assert isinstance(head, list), head
    kind, first, frames = head
    assert kind == "audio"
    samples = await client.reply()
    assert isinstance(samples, Vector)
    assert samples.type == "s32v"
    packed = np.frombuffer(samples.data, "<i4").astype("<i2").tobytes()
    assert len(packed) == 2 * frames
    return first, packed


# ---------------------------------------------------------------------------------- FOLLOW


async def test_audio_is_sent_as_it_comes(
    live: Live, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.1  # the clock stands still while a thread reads
    pcm = noise(2 * 100)
    make_open(live.store, "a")
    async with live.client() as client:
        assert await client.ask("FOLLOW 'a'") == ["opened", 0]
        for start_ in range(0, 100, 25):
            told = trio.current_time()
            send(live.store, "a", pcm[2 * start_ : 2 * start_ + 50])
            assert await audio_reply(client) == (start_, pcm[2 * start_ : 2 * start_ + 50])
            assert trio.current_time() - told <= 0.05
        assert client.silent


@pytest.mark.parametrize(
    ("start_", "first"),
    [
        ("0.0", 0),
        ("0.005", 40),
        (str(START + 1), 8),
        ("2023-11-14T22:13:20.002Z", 16),
        ("99.5", 100),
        ("-1.0", 0),
        ("0", 0),
    ],
)
async def test_what_came_since_a_time_is_sent_first(live: Live, start_: str, first: int) -> None:
    pcm = noise(2 * 100)
    live.store.create("a", MONO)
    archived(live.store, "a", pcm)
    async with live.client() as client:
        await client.send(encode_command(f"FOLLOW 'a' {start_}"))
        if first < 100:
            assert await audio_reply(client) == (first, pcm[2 * first :])
        assert await client.reply() == ["closed", 100]


async def test_it_goes_on_when_the_stream_is_closed_and_opened_again(live: Live) -> None:
    make_open(live.store, "a")
    async with live.client() as client:
        assert await client.ask("FOLLOW 'a'") == ["opened", 0]
        send(live.store, "a", b"1234")
        live.store.close_stream("a")
        assert await audio_reply(client) == (0, b"1234")
        assert await client.reply() == ["closed", 2]
        live.store.open_stream("a")
        assert await client.reply() == ["opened", 2]
        send(live.store, "a", b"56")
        assert await audio_reply(client) == (2, b"56")


async def test_a_deleted_stream_ends_it_with_an_error(live: Live) -> None:
    live.store.create("a", MONO)
    async with live.client() as client:
        assert await client.ask("FOLLOW 'a'") == ["closed", 0]
        live.store.delete("a")
        error = await client.reply()
        assert isinstance(error, ReplyError)
        assert "there is no stream 'a'" in str(error)
        assert await client.ask("PING") == "PONG"


async def test_a_stream_made_anew_is_another_one(live: Live) -> None:
    live.store.create("a", MONO)
    async with live.client() as client:
        assert await client.ask("FOLLOW 'a'") == ["closed", 0]
        live.store.delete("a")
        live.clock.turn(1)
        live.store.create("a", MONO)
        error = await client.reply()
        assert isinstance(error, ReplyError)
        assert "made anew" in str(error)


async def test_a_follower_that_falls_behind_is_told_what_it_missed(live: Live) -> None:
    make_open(live.store, "a")
    second = 8000
    async with live.client() as client:
        assert await client.ask("FOLLOW 'a'") == ["opened", 0]
        too_much = int(LAG * second) + 1
        send(live.store, "a", noise(2 * too_much))
        assert await client.reply() == ["missed", 0, too_much]
        send(live.store, "a", b"ab")
        assert await audio_reply(client) == (too_much, b"ab")


async def test_who_asks_for_the_past_misses_nothing_of_it(live: Live) -> None:
    pcm = noise(2 * 8000 * 12)
    live.store.create("a", MONO)
    archived(live.store, "a", pcm)
    async with live.client() as client:
        await client.send(encode_command("FOLLOW 'a' 0.0"))
        got = b""
        while len(got) < len(pcm):
            first, piece = await audio_reply(client)
            assert first == len(got) // 2
            got += piece
        assert got == pcm
        assert await client.reply() == ["closed", 8000 * 12]


# ------------------------------------------------------------------------------- SUBSCRIBE


async def test_events_are_told_with_numbers_without_a_gap(live: Live) -> None:
    async with live.client() as client:
        assert await client.ask("SUBSCRIBE '*'") == [7000, "ready"]
        live.store.create("a", MONO)
        live.store.open_stream("a")
        send(live.store, "a", b"1234")
        live.store.close_stream("a")
        live.store.delete("a")
        assert [await client.reply() for _ in range(5)] == [
            [7001, "created", "a", START, 0, 0],
            [7002, "opened", "a", START, 0, 0],
            [7003, "appended", "a", START, 0, 2],
            [7004, "closed", "a", START, 2, 2],
            [7005, "deleted", "a", START, 2, 2],
        ]


async def test_audio_is_gathered_into_few_events(live: Live) -> None:
    make_open(live.store, "a", "b")
    async with live.client() as client:
        assert await client.ask("SUBSCRIBE 'a'") == [7004, "ready"]
        for _ in range(100):
            send(live.store, "a", b"12")
            send(live.store, "b", b"12")
            await trio.sleep(COALESCE / 25)
        await trio.sleep(2 * COALESCE)
        ranges = []
        while not client.silent:
            reply = await client.reply()
            assert isinstance(reply, list)
            assert reply[1:3] == ["appended", "a"]
            ranges.append(reply[4:])
        assert len(ranges) <= 10
        assert [each[0] for each in ranges] == [0, *(each[1] for each in ranges[:-1])]
        assert ranges[-1][1] == 100


async def test_only_what_matches_is_told(live: Live) -> None:
    async with live.client() as client:
        await client.ask("SUBSCRIBE 'birds/*'")
        live.store.create("cats/1", MONO)
        live.store.create("birds/1", MONO)
        reply = await client.reply()
        assert isinstance(reply, list)
        assert reply[:3] == [7002, "created", "birds/1"]
        await trio.sleep(1)
        assert client.silent


async def test_a_client_resumes_from_the_number_that_it_knows(live: Live) -> None:
    for name in "abc":
        live.store.create(name, MONO)
    async with live.client() as client:
        await trio.sleep(1)
        assert await client.ask("SUBSCRIBE '*' 7001") == [7001, "ready"]
        assert [(await client.reply())[2] for _ in range(2)] == ["b", "c"]  # type: ignore[index]


@pytest.mark.parametrize("since", [6999, 7004, 0])
async def test_numbers_of_another_run_of_the_server_are_not_taken_for_its_own(
    live: Live, since: int
) -> None:
    for name in "abc":
        live.store.create(name, MONO)
    async with live.client() as client:
        await trio.sleep(1)
        assert await client.ask(f"SUBSCRIBE '*' {since}") == [7003, "missed"]


async def test_one_that_is_too_slow_is_told_to_start_afresh() -> None:
    bus = Bus(0, kept=10)
    async with connected(start(), bus) as client:
        assert await client.ask("SUBSCRIBE '*'") == [0, "ready"]
        for number in range(11):
            bus.notify(StreamEvent(Kind.CREATED, str(number), 1, 0, 0))
        assert await client.reply() == [11, "missed"]
        bus.notify(StreamEvent(Kind.DELETED, "0", 1, 0, 0))
        assert await client.reply() == [12, "deleted", "0", 1, 0, 0]


# ------------------------------------------------------------------------------ either's end


@pytest.mark.parametrize("command", ["FOLLOW 'a'", "SUBSCRIBE '*'"])
async def test_a_message_of_length_0_ends_it(live: Live, command: str) -> None:
    make_open(live.store, "a")
    async with live.client() as client:
        await client.ask(command)
        await trio.sleep(10 * TICK)
        while not client.silent:
            await client.reply()
        await client.send(END)
        assert await client.reply() is None
        assert await client.ask("PING") == "PONG"
        await client.send(END)
        assert isinstance(await client.reply(), ReplyError)


@pytest.mark.parametrize("command", ["FOLLOW 'a'", "SUBSCRIBE '*'"])
async def test_a_request_ends_it_and_is_answered(live: Live, command: str) -> None:
    make_open(live.store, "a")
    async with live.client() as client:
        await client.send(encode_command(command), encode_command("PING"))
        replies = [await client.reply()]
        while replies[-1] != "PONG":
            replies.append(await client.reply())
        assert replies[-2] is None


@pytest.mark.parametrize("command", ["FOLLOW 'a'", "SUBSCRIBE '*'"])
async def test_a_client_that_leaves_is_forgotten(live: Live, command: str) -> None:
    make_open(live.store, "a")
    async with live.client() as client:
        await client.ask(command)
        assert live.bus.statistics()["subscribers"] + live.bus.statistics()["followers"] == 1
        await client.send_stream.aclose()
        await client.closed.wait()
    assert live.bus.statistics()["subscribers"] + live.bus.statistics()["followers"] == 0


@pytest.mark.parametrize("command", ["FOLLOW 'a' |> GAIN 1", "PING |> SUBSCRIBE '*' |> PING"])
async def test_a_feed_is_the_last_command(live: Live, command: str) -> None:
    make_open(live.store, "a")
    async with live.client() as client:
        assert isinstance(await client.ask(command), ReplyError)
