"""Sending audio over a real socket: cutting, pipelining, acknowledgements, what goes wrong."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from racs import (
    Racs,
    RacsConnectionError,
    RacsException,
    RacsReplyLost,
    RacsServerError,
    RacsTimeout,
    RacsTypeError,
    RacsValueError,
    StreamBuilder,
)
from racs.stream import SendSettings
from racs.wire import encode_reply
from racs.wire.replies import encode_error

from .fake_server import NOT_OPEN, FakeServer, HangUp, until

NULL = encode_reply(None)
NOISE = np.random.default_rng(1).integers(-32768, 32768, (100_000, 2)).astype(np.int16)


def audio_commands(server: FakeServer) -> list[str]:
    """What was done; the server does not know STREAM, so that asking for it does nothing."""
    return [text for text in server.commands if not text.startswith(("INFO", "STREAM"))]


# --- the older call ---


def test_older_call_sends_to_a_stream_that_is_open(server: FakeServer, r: Racs) -> None:
    stream = server.add("chopin")
    assert r.stream(stream_id="chopin", chunk_size=1024 * 32, pcm_data=NOISE) == 100_000
    assert bytes(stream.pcm) == NOISE.tobytes()
    assert stream.blocks == [32_768] * 12 + [6784]
    assert stream.messages == [13]
    assert len(stream.sessions) == 1
    assert r.stream("chopin", pcm_data=NOISE[:5].ravel().tolist()) == 5
    assert len(stream.sessions) == 1, "a client's calls with data are one session"
    assert audio_commands(server) == []
    assert server.accepted == 1


@pytest.mark.parametrize(
    ("channels", "depth", "chunk", "expected"),
    [(2, 16, 65_535, 65_532), (2, 24, 100, 96), (3, 24, 27, 27), (32, 24, 96, 96), (1, 16, 3, 2)],
)
def test_chunks_are_whole_sample_frames(
    server: FakeServer, r: Racs, channels: int, depth: int, chunk: int, expected: int
) -> None:
    stream = server.add("a", channels=channels, depth=depth)
    frame = channels * depth // 8
    data = bytes(i % 251 for i in range(frame * 25_000))
    assert r.stream("a", chunk, data) == 25_000
    assert bytes(stream.pcm) == data
    assert set(stream.blocks[:-1]) == {expected}


def test_a_hash_with_the_top_bit_set(server: FakeServer, r: Racs) -> None:
    stream = server.add("vocals")
    assert r.stream("vocals", pcm_data=[1, 2, 3, 4]) == 2
    assert bytes(stream.pcm) == b"\1\0\2\0\3\0\4\0"


def test_nothing_to_send(server: FakeServer, r: Racs) -> None:
    server.add("a")
    assert r.stream("a", pcm_data=[]) == 0
    assert server.audio_messages == 0


def test_a_short_message_is_a_single(server: FakeServer, r: Racs) -> None:
    stream = server.add("a")
    r.stream("a", pcm_data=[1, 2])
    assert stream.messages == [1]


WRONG: list[tuple[dict[str, Any], type[RacsException], str]] = [
    ({"chunk_size": 0}, RacsValueError, "chunk_size must be 1 ... 65535, not 0"),
    ({"chunk_size": 65_536}, RacsValueError, "chunk_size must be 1 ... 65535, not 65536"),
    ({"chunk_size": 1.5}, RacsTypeError, "chunk_size must be an int, not 1.5"),
    ({"chunk_size": 3}, RacsValueError, "chunk_size is 3 bytes, less than one sample frame"),
    ({"stream_id": 5}, RacsTypeError, "stream_id must be a str, not 5"),
    ({"pcm_data": None}, RacsTypeError, "pcm_data must be a list of ints, a numpy array"),
    ({"pcm_data": [0] * 9999 + [40_000]}, RacsValueError, "the value 40000 at index 9999"),
]


@pytest.mark.parametrize(("arguments", "kind", "text"), WRONG)
def test_wrong_data_are_refused_before_anything_is_sent(
    server: FakeServer, r: Racs, arguments: dict[str, Any], kind: type[RacsException], text: str
) -> None:
    stream = server.add("a")
    with pytest.raises(kind) as caught:
        r.stream(**({"stream_id": "a", "pcm_data": [1, 2]} | arguments))
    assert str(caught.value).startswith(text)
    assert server.audio_messages == 0
    assert stream.is_open


def test_no_such_stream(r: Racs) -> None:
    with pytest.raises(RacsServerError, match="cannot run INFO 'nope' 'sample_rate'"):
        r.stream("nope", pcm_data=[1])


# --- the newer call ---


def test_newer_call_opens_and_closes(server: FakeServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    builder = r.stream("a")
    assert isinstance(builder, StreamBuilder)
    sent = builder.chunk_size(1000).batch_size(7).execute(NOISE)
    assert sent == 100_000
    assert bytes(stream.pcm) == NOISE.tobytes()
    assert stream.blocks == [1000] * 400
    assert stream.messages == [7] * 57 + [1]
    assert not stream.is_open
    assert audio_commands(server) == ["OPEN 'a'", "CLOSE 'a'"]
    assert "'a'" in repr(builder)


def test_chunk_size_of_the_call_is_the_builders(server: FakeServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    r.stream("a", 400).execute(bytes(800))
    assert stream.blocks == [400, 400]


@pytest.mark.parametrize("kind", [True, "zstd"])
def test_compression(server: FakeServer, r: Racs, kind: bool | str) -> None:
    stream = server.add("a", opened=False)
    quiet = np.zeros((50_000, 2), np.int16)
    data = np.concatenate([quiet, NOISE])
    server.most_bytes = data.nbytes - quiet.nbytes // 2
    builder = r.stream("a").compression_level(1).compression(kind)
    assert builder.execute(data) == 150_000
    assert bytes(stream.pcm) == data.tobytes(), "what does not compress goes as it is"


def test_compression_is_off_unless_turned_on(server: FakeServer, r: Racs) -> None:
    for builder in (
        r.stream("a").compression_level(9),
        r.stream("a").compression(True).compression(False),
        r.stream("a").compression("zstd").compression(None),
    ):
        assert builder._settings.level is None
    assert r.stream("a").compression().compression_level(9)._settings.level == 9
    assert r.stream("a").compression_level(9).compression()._settings.level == 9
    assert r.stream("a").compression()._settings.level == 3


BUILDER_ERRORS: list[tuple[str, Any, type[RacsException]]] = [
    ("chunk_size", 0, RacsValueError),
    ("chunk_size", "1", RacsTypeError),
    ("batch_size", 0, RacsValueError),
    ("batch_size", 4097, RacsValueError),
    ("batch_size", True, RacsTypeError),
    ("compression", "gzip", RacsValueError),
    ("compression", 1, RacsValueError),
    ("compression_level", 0, RacsValueError),
    ("compression_level", 23, RacsValueError),
    ("compression_level", 3.0, RacsTypeError),
]


@pytest.mark.parametrize(("name", "value", "kind"), BUILDER_ERRORS)
def test_wrong_settings(r: Racs, name: str, value: Any, kind: type[RacsException]) -> None:
    with pytest.raises(kind, match=f"^{name} must be .* not "):
        getattr(r.stream("a"), name)(value)


def test_batch_that_makes_too_long_a_message(server: FakeServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    with pytest.raises(RacsValueError, match=r"a batch_size of 2000 .*; at most 1023 such blocks"):
        r.stream("a").chunk_size(65_535).batch_size(2000).execute([1, 2])
    assert (
        r.stream("a").chunk_size(65_532).batch_size(1023).execute(bytes(66_000_000)) == 16_500_000
    )
    assert stream.messages == [1008]


def test_wrong_data_leave_the_stream_closed(server: FakeServer, r: Racs) -> None:
    server.add("a", opened=False)
    with pytest.raises(RacsValueError):
        r.stream("a").execute([40_000, 0])
    assert audio_commands(server) == []


def test_stream_that_is_open_already(server: FakeServer, r: Racs) -> None:
    stream = server.add("a")
    with pytest.raises(RacsServerError, match="cannot run OPEN"):
        r.stream("a").execute([1, 2])
    assert audio_commands(server) == ["OPEN 'a'"]
    assert stream.is_open, "it is another's"


# --- messages under way ---


def reply_in_lots_of(count: int, server: FakeServer) -> None:
    server.on_audio = lambda number: NULL * count if number % count == count - 1 else b""


@pytest.mark.parametrize("count", [2, 5, 32])
def test_messages_do_not_wait_for_each_others_replies(
    server: FakeServer, r: Racs, count: int
) -> None:
    """The server withholds its replies until so many messages have come."""
    server.add("a", opened=False)
    reply_in_lots_of(count, server)
    sent = r.stream("a").chunk_size(400).batch_size(2).execute(NOISE[: 200 * count * 3])
    assert sent == 600 * count
    assert server.audio_messages == 3 * count


def test_no_more_than_a_window_of_messages_is_under_way(server: FakeServer) -> None:
    server.add("a")
    reply_in_lots_of(33, server)
    with (
        Racs("127.0.0.1", server.port, timeout=0.2) as r,
        pytest.raises(RacsTimeout, match="0 sample frames of 'a' were acknowledged"),
    ):
        r.stream("a", 4, bytes(4 * 50 * 40))
    until(lambda: server.audio_messages >= 32)
    assert server.audio_messages == 32


def test_no_more_than_a_window_of_bytes_is_under_way(server: FakeServer) -> None:
    server.add("a")
    reply_in_lots_of(6, server)
    with Racs("127.0.0.1", server.port, timeout=0.2) as r, pytest.raises(RacsTimeout):
        r.stream("a", 32 << 10, bytes(20 << 20))
    until(lambda: server.audio_messages >= 5)
    assert server.audio_messages == 5, "five of 1.6 MB are less than 8 MiB, six are more"


def test_a_message_larger_than_the_window_goes_by_itself(server: FakeServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    builder = r.stream("a").chunk_size(65_532).batch_size(400)
    assert builder.execute(bytes(60_000_000)) == 15_000_000
    assert stream.messages == [400, 400, 116]


# --- refusals ---


def test_refusal_stops_sending_and_says_how_much_was_acknowledged(
    server: FakeServer, r: Racs
) -> None:
    stream = server.add("a")
    server.on_audio = lambda number: encode_error("The disk is full.") if number == 2 else None
    with pytest.raises(RacsServerError) as caught:
        r.stream("a", 400, bytes(400 * 50 * 1000))
    assert caught.value.acknowledged == 2 * 50 * 100
    later = sum(stream.blocks) // 4 - caught.value.acknowledged
    text = "The disk is full. (10000 sample frames of 'a' were acknowledged"
    if later:
        text += f", and {later} that came after what was refused"
    assert str(caught.value) == text + "; sending was stopped)"
    assert server.audio_messages <= 3 + 32
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 1, "all replies were read: the connection is good"


def test_stream_that_is_not_open(server: FakeServer, r: Racs) -> None:
    server.add("a", opened=False)
    with pytest.raises(RacsServerError, match=r"^Stream is closed or currently in use") as caught:
        r.stream("a", pcm_data=NOISE)
    assert caught.value.acknowledged == 0
    assert "Each call of stream() is a sender of its own" in str(caught.value)


def test_newer_call_closes_after_a_refusal(server: FakeServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    server.on_audio = lambda number: encode_error("The disk is full.")
    with pytest.raises(RacsServerError, match="The disk is full"):
        r.stream("a").execute(NOISE)
    assert not stream.is_open
    assert audio_commands(server) == ["OPEN 'a'", "CLOSE 'a'"]


def test_newer_call_does_not_close_what_has_become_anothers(server: FakeServer, r: Racs) -> None:
    server.add("a", opened=False)
    server.on_audio = lambda number: encode_error(NOT_OPEN) if number else None
    with pytest.raises(RacsServerError, match="currently in use"):
        r.stream("a").batch_size(1).execute(NOISE)
    assert audio_commands(server) == ["OPEN 'a'"]


def test_error_of_closing_does_not_hide_the_first(server: FakeServer, r: Racs) -> None:
    server.add("a", opened=False)
    server.on_audio = lambda number: encode_error("The disk is full.")
    server.replies["CLOSE 'a'"] = encode_error("no such luck")
    with pytest.raises(RacsServerError, match="The disk is full") as caught:
        r.stream("a").execute(NOISE)
    assert caught.value.__notes__ == ["Closing the stream failed as well: no such luck"]


# --- broken connections ---


def hang_up_at(server: FakeServer, at: int, last: bytes = b"") -> None:
    def on_audio(number: int) -> bytes | None:
        if number == at:
            raise HangUp(last)
        return None

    server.on_audio = on_audio


def test_broken_connection_says_what_was_acknowledged(server: FakeServer, r: Racs) -> None:
    stream = server.add("a")
    hang_up_at(server, 3)
    with pytest.raises(RacsConnectionError) as caught:
        r.stream("a", 400, bytes(400 * 50 * 2000))
    assert caught.value.acknowledged is not None
    assert caught.value.acknowledged <= 3 * 50 * 100
    text = str(caught.value)
    assert f"127.0.0.1:{server.port}" in text
    assert f"{caught.value.acknowledged} sample frames of 'a' were acknowledged" in text
    assert "compare the stream's size" in text
    assert server.audio_messages == 4, "nothing was sent again"
    assert len(stream.blocks) == 150
    assert r.execute_command("PING") == "PONG"
    assert (r.statistics().made, r.statistics().discarded) == (2, 1)


def test_broken_connection_at_the_last_message(server: FakeServer, r: Racs) -> None:
    server.add("a")
    hang_up_at(server, 1)
    with pytest.raises(RacsReplyLost) as caught:
        r.stream("a", 400, bytes(400 * 50 * 2))
    assert caught.value.acknowledged == 50 * 100


def test_what_the_server_said_before_it_hung_up(server: FakeServer, r: Racs) -> None:
    server.add("a")
    hang_up_at(server, 2, encode_error("The stream is damaged."))
    with pytest.raises(RacsServerError, match=r"^The stream is damaged\.") as caught:
        r.stream("a", 400, bytes(400 * 50 * 2000))
    assert caught.value.acknowledged == 2 * 50 * 100
    assert r.execute_command("PING") == "PONG"


def test_newer_call_closes_after_a_broken_connection(server: FakeServer, r: Racs) -> None:
    stream = server.add("a", opened=False)
    hang_up_at(server, 0)
    with pytest.raises(RacsConnectionError):
        r.stream("a").execute(NOISE)
    assert not stream.is_open


# --- live sources ---


def test_live_source_leaves_the_pool_to_others(server: FakeServer) -> None:
    stream = server.add("a", opened=False)
    states = []
    with Racs("127.0.0.1", server.port, pool_size=1, timeout=20) as r:

        def source() -> Iterator[Any]:
            for number in range(5):
                assert r.execute_command("PING") == "PONG"
                states.append(r.statistics())
                yield [number] * 3

        pieces: list[Any] = [NOISE[:100], NOISE[100:200].tobytes()]
        assert r.stream("a").execute(iter(pieces)) == 200
        with pytest.raises(RacsValueError, match="incomplete sample frame"):
            r.stream("a").execute(source())
        assert r.statistics().own == 0
    assert [(s.own, s.busy, s.size) for s in states] == [(1, 0, 1)] * 5
    expected = NOISE[:200].tobytes() + np.repeat(np.arange(5, dtype=np.int16), 3)[:14].tobytes()
    assert bytes(stream.pcm) == expected
    assert not stream.is_open


@pytest.mark.parametrize("error", [RuntimeError("microphone unplugged"), KeyboardInterrupt()])
def test_error_of_the_source_is_the_callers_own(
    server: FakeServer, r: Racs, error: BaseException
) -> None:
    stream = server.add("a", opened=False)

    def source() -> Iterator[bytes]:
        yield bytes(4000)
        raise error

    with pytest.raises(type(error)) as caught:
        r.stream("a").chunk_size(100).batch_size(10).execute(source())
    assert caught.value is error
    [note] = caught.value.__notes__
    assert note.startswith("Sending to stream 'a' (44100 Hz, 2 channels, 16 bit): 1000 sample fr")
    assert len(stream.pcm) == 4000, "what came before the error is safe"
    assert not stream.is_open


def test_wrong_piece_says_what_was_acknowledged(server: FakeServer, r: Racs) -> None:
    server.add("a")
    with pytest.raises(RacsValueError, match="piece 1 of the source: the value 99999") as caught:
        r.stream("a", 400, iter([bytes(400 * 100), [99_999]]))
    assert caught.value.acknowledged == 100 * 100


def test_refusal_ends_a_live_source(server: FakeServer, r: Racs) -> None:
    server.add("a", opened=False)
    given = []

    def source() -> Iterator[bytes]:
        for number in range(100_000):
            given.append(number)
            yield bytes(400)

    with pytest.raises(RacsServerError, match="currently in use"):
        r.stream("a", 400, source())
    assert len(given) < 50 * 40, "not read to its end"


# --- settings ---


def test_settings_are_values() -> None:
    assert SendSettings() == SendSettings(chunk=32_768, batch=50, level=None)


def test_many_threads_send_at_once(server: FakeServer) -> None:
    streams = [server.add(f"s{number}", opened=False) for number in range(8)]
    with Racs("127.0.0.1", server.port, pool_size=2, timeout=20) as r:

        def work(number: int) -> None:
            r.stream(f"s{number}").chunk_size(4000).batch_size(3).execute(NOISE + number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.accepted <= 2
    for number, stream in enumerate(streams):
        assert bytes(stream.pcm) == (NOISE + number).tobytes()
