"""Sending in append mode, to a server that has it: what is sent, what is made of its reports."""

from collections.abc import Iterator

import numpy as np
import pytest

from racs import Racs, RacsConnectionError, RacsProtocolError, RacsServerError
from racs.wire import AudioFrames, Command, EndOfStream, Event, encode_reply
from racs.wire.replies import encode_error

from .fake_server import FakeServer, HangUp

NOISE = np.random.default_rng(1).integers(-32768, 32768, (100_000, 2)).astype(np.int16)


class AppendServer(FakeServer):
    """Has append mode, for one connection at a time.

    `report_every` says after how many messages it reports, `fail_at` at which it sends an error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.appending: str | None = None
        self.dropping = False
        self.report_every = 3
        self.fail_at = -1
        self.ends = 0

    def _answer(self, event: Event) -> bytes:
        if self.appending is None:
            if isinstance(event, Command) and event.text.startswith("STREAM"):
                self.commands.append(event.text)
                self.appending = event.text.split("'")[1]
                return self.length()
            return super()._answer(event)
        if isinstance(event, EndOfStream):
            last, self.appending, self.dropping = self.length(), None, False
            self.ends += 1
            return last
        assert isinstance(event, AudioFrames)
        number, self.audio_messages = self.audio_messages, self.audio_messages + 1
        scripted = self.on_audio(number)
        if scripted is not None:
            return scripted
        if self.dropping:
            return b""
        if number == self.fail_at:
            self.dropping = True
            return encode_error("The disk is full.")
        self._append(event)
        return self.length() if number % self.report_every == 0 else b""

    def length(self) -> bytes:
        assert self.appending is not None
        return encode_reply(len(self.streams[self.appending].pcm) // 4)


@pytest.fixture
def server() -> Iterator[AppendServer]:
    with AppendServer() as server:
        yield server


def test_messages_get_no_replies_of_their_own(server: AppendServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    stream.pcm += bytes(40)  # ten sample frames of an earlier session
    assert r.stream("a").chunk_size(1000).batch_size(7).execute(NOISE) == 100_000
    assert bytes(stream.pcm[40:]) == NOISE.tobytes()
    assert stream.messages == [7] * 57 + [1]
    assert not stream.is_open
    assert [text for text in server.commands if text[:4] != "INFO"] == [
        "OPEN 'a'",
        "STREAM 'a'",
        "PING",
        "CLOSE 'a'",
    ]
    assert server.accepted == 1, "the connection is as good as before"
    assert r.statistics().idle == 1


@pytest.mark.parametrize("every", [1, 1_000_000])
def test_however_often_it_reports(server: AppendServer, r: Racs, every: int) -> None:
    server.report_every = every
    server.add("a")
    assert r.stream("a", 100, bytes(100 * 50 * 400)) == 25 * 50 * 400
    assert r.execute_command("PING") == "PONG"


def test_a_few_blocks_are_acknowledged_one_by_one(server: AppendServer, r: Racs) -> None:
    server.add("a")
    assert r.stream("a", 100, bytes(400)) == 100
    assert "STREAM 'a'" not in server.commands
    assert r.stream("a", 100, bytes(500)) == 125
    assert "STREAM 'a'" in server.commands


def test_a_live_source_appends(server: AppendServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    assert r.stream("a").execute(iter([NOISE[:10], NOISE[10:25]])) == 25
    assert bytes(stream.pcm) == NOISE[:25].tobytes()
    assert "STREAM 'a'" in server.commands


def test_refusal_stops_sending(server: AppendServer, r: Racs) -> None:
    server.add("a")
    server.fail_at = 5
    with pytest.raises(RacsServerError) as caught:
        r.stream("a", 400, bytes(400 * 50 * 5000))
    assert caught.value.acknowledged == 5 * 50 * 100
    assert str(caught.value) == (
        "The disk is full. (25000 sample frames of 'a' were acknowledged; sending was stopped)"
    )
    assert server.ends == 1
    assert server.audio_messages < 5000
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 1


def test_refusal_of_the_last_message(server: AppendServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    server.fail_at = 1
    with pytest.raises(RacsServerError, match="The disk is full") as caught:
        r.stream("a").chunk_size(400).execute(bytes(400 * 100))
    assert caught.value.acknowledged == 50 * 100
    assert not stream.is_open


def test_broken_connection_says_what_was_acknowledged(server: AppendServer, r: Racs) -> None:
    server.add("a")

    def on_audio(number: int) -> bytes | None:
        if number == 4:
            raise HangUp
        return None

    server.on_audio = on_audio
    with pytest.raises(RacsConnectionError, match="compare the stream's size") as caught:
        r.stream("a", 400, bytes(400 * 50 * 2000))
    assert caught.value.acknowledged is not None
    assert caught.value.acknowledged <= 4 * 50 * 100
    server.appending = None
    assert r.execute_command("PING") == "PONG"
    assert r.statistics().discarded == 1


def test_error_of_the_source_ends_append_mode(server: AppendServer, r: Racs) -> None:
    stream = server.add("a", opened=False)

    def source() -> Iterator[bytes]:
        yield bytes(4000)
        raise RuntimeError("microphone unplugged")

    with pytest.raises(RuntimeError) as caught:
        r.stream("a").chunk_size(100).batch_size(10).execute(source())
    [note] = caught.value.__notes__
    assert ": 1000 sample frames of 'a' were acknowledged" in note
    assert server.ends == 1
    assert not stream.is_open


def test_a_reply_that_is_no_length(server: AppendServer, r: Racs) -> None:
    server.add("a")
    server.on_audio = lambda number: encode_reply("what?")
    with pytest.raises(RacsProtocolError, match=r"number of sample frames was due, but 'what\?'"):
        r.stream("a", 400, bytes(400 * 500))
    assert r.statistics().idle == 0
