"""Messages cut out of a connection's bytes, however these arrive; limits; whose memory is whose."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs.wire import (
    AudioFrames,
    ClientConnection,
    Command,
    EndOfStream,
    Frame,
    FramingLost,
    Limits,
    Rejected,
    Reply,
    ServerConnection,
    Vector,
    WireError,
    decode_reply,
    encode_batch,
    encode_command,
    encode_frame,
    encode_reply,
    encode_single,
    vector_head,
)

from .feeding import SESSION, Kept, feed, message, one_by_one, pieces

SMALL = Limits(command=100, evaluation=200, message=100_000, inflated=1000, batch=5000)
FRAME = encode_frame(7, SESSION, b"\1\0\xff\xff")
FRAME_FOUND = Frame(7, SESSION, b"\1\0\xff\xff", int.from_bytes(FRAME[27:31], "little"))

REQUESTS: dict[str, tuple[bytes, Kept]] = {
    "command": (b"\5\0\0\0\0\0\0\0PING\0", Command("PING")),
    "command without its NUL": (b"\4\0\0\0\0\0\0\0PING", Command("PING")),
    "only one NUL is taken off": (message(b"PING\0\0"), Command("PING\0")),
    "a NUL alone": (message(b"\0"), Command("")),
    "UTF-8": (message("INFO 'naïve/日本' 'ref'\0".encode()), Command("INFO 'naïve/日本' 'ref'")),
    "nearly audio": (message(b"rs"), Command("rs")),
    "nothing": (bytes(8), EndOfStream()),
    "single": (encode_single(FRAME), AudioFrames([FRAME_FOUND])),
    "batch": (encode_batch([FRAME] * 3), AudioFrames([FRAME_FOUND] * 3)),
    "empty batch": (encode_batch([]), AudioFrames([])),
    "no UTF-8": (
        message(b"PING \xff"),
        Rejected(
            "byte 5 of the message is 0xff: a request is either a command in UTF-8 or audio,"
            " which starts with 'rsp'",
            audio=False,
        ),
    ),
    "cut audio": (
        message(b"rsp123"),
        Rejected("an audio message of 6 bytes: a frame has a header of 34", audio=True),
    ),
    "longest command": (message(b"x" * 100), Command("x" * 100)),
    "too long a command": (
        message(b"x" * 101),
        Rejected("a command of 101 bytes; at most 100 are allowed", audio=False),
    ),
    "much too long a command": (
        message(b"PING " * 4000),
        Rejected("a command of 20000 bytes; at most 100 are allowed", audio=False),
    ),
    "longest EVAL": (
        message(b"\n eVaL '" + b"x" * 191 + b"'"),
        Command("\n eVaL '" + "x" * 191 + "'"),
    ),
    "too long an EVAL": (
        message(b"EVAL " + b"x" * 196),
        Rejected("an EVAL of 201 bytes; at most 200 are allowed", audio=False),
    ),
    "audio is not bound by the limit for commands": (
        encode_single(encode_frame(7, SESSION, b"")),
        AudioFrames([Frame(7, SESSION, b"", 0)]),
    ),
}
REQUESTS["long audio"] = (
    encode_single(encode_frame(7, SESSION, bytes(4000))),
    AudioFrames(
        [
            Frame(
                7,
                SESSION,
                bytes(4000),
                int.from_bytes(encode_frame(7, SESSION, bytes(4000))[27:31], "little"),
            )
        ]
    ),
)
BYTES = [data for data, _ in REQUESTS.values()]
EVENTS = [event for _, event in REQUESTS.values()]
each_request = pytest.mark.parametrize(("data", "event"), REQUESTS.values(), ids=REQUESTS.keys())


@each_request
def test_whole(data: bytes, event: Kept) -> None:
    assert feed(ServerConnection(SMALL), [data]) == [event]


@each_request
def test_byte_by_byte(data: bytes, event: Kept) -> None:
    connection = ServerConnection(SMALL)
    assert feed(connection, one_by_one(data[:-1])) == []
    assert connection.partial == (8 if len(data) == 8 else len(data)) or "many bytes" in str(event)
    assert feed(connection, [data[-1:]]) == [event]
    assert connection.partial is None


@each_request
@pytest.mark.parametrize("trailing", [b"\0", b"\5\0\0\0\0\0\0\0PIN", b"\377" * 7])
def test_with_trailing_data(data: bytes, event: Kept, trailing: bytes) -> None:
    connection = ServerConnection(SMALL)
    assert feed(connection, [data + trailing]) == [event]
    assert connection.arrived == len(trailing)


@each_request
def test_several_at_once(data: bytes, event: Kept) -> None:
    assert feed(ServerConnection(SMALL), [data * 5]) == [event] * 5


def test_all_in_one_read_and_byte_by_byte() -> None:
    stream = b"".join(BYTES)
    assert feed(ServerConnection(SMALL), [stream]) == EVENTS
    assert feed(ServerConnection(SMALL), one_by_one(stream)) == EVENTS


@given(st.lists(st.sampled_from(list(REQUESTS.values())), max_size=8), st.lists(st.integers(0)))
def test_however_requests_are_split(chosen: list[tuple[bytes, Kept]], cuts: list[int]) -> None:
    stream = b"".join(data for data, _ in chosen)
    assert feed(ServerConnection(SMALL), pieces(stream, cuts)) == [event for _, event in chosen]


@given(st.binary(max_size=300), st.lists(st.integers(0), max_size=5), st.booleans())
def test_any_bytes_are_requests_or_lose_the_framing(
    data: bytes, cuts: list[int], framed: bool
) -> None:
    stream = message(data) if framed else data
    try:
        events = feed(ServerConnection(SMALL), pieces(stream, cuts))
    except FramingLost:
        assert not framed
    else:
        assert not framed or len(events) == 1


def test_length_that_cannot_be_believed() -> None:
    connection = ServerConnection(SMALL)
    assert feed(connection, [encode_command("PING")]) == [Command("PING")]
    with pytest.raises(
        FramingLost, match="a message of 100001 bytes was announced, at most 100000"
    ):
        feed(connection, [(100_001).to_bytes(8, "little")])
    with pytest.raises(FramingLost):
        connection.next_event()


def test_http_is_no_framing() -> None:
    with pytest.raises(FramingLost, match="length in 8 bytes, little-endian"):
        feed(ServerConnection(), [b"GET / HTTP/1.1\r\n\r\n"])


def test_default_limits() -> None:
    connection = ServerConnection()
    fits, too_long = b"x" * (64 << 10), b"x" * ((64 << 10) + 1)
    assert feed(connection, [message(fits)]) == [Command(fits.decode())]
    [rejected] = feed(connection, [message(too_long)])
    assert isinstance(rejected, Rejected)
    evaluation = b"EVAL " + b"x" * ((1 << 20) - 5)
    assert feed(connection, [message(evaluation)]) == [Command(evaluation.decode())]
    [rejected] = feed(connection, [message(evaluation + b"x")])
    assert isinstance(rejected, Rejected)
    assert feed(connection, [encode_command("PING")]) == [Command("PING")]


def test_what_is_too_long_is_dropped_as_it_comes() -> None:
    connection = ServerConnection(Limits(message=64 << 20))
    events = feed(connection, [(60 << 20).to_bytes(8, "little")])
    for _ in range(60):
        assert events == []
        events = feed(connection, [b" " * (1 << 20)])
        assert len(connection.get_buffer()) <= 1 << 20
    [event] = events
    assert isinstance(event, Rejected)
    assert connection.partial is None


def test_limits_smaller_than_what_is_looked_at() -> None:
    connection = ServerConnection(Limits(command=5, evaluation=10))
    assert feed(connection, [message(b"PING1")]) == [Command("PING1")]
    [rejected] = feed(connection, [message(b"PING12")])
    assert isinstance(rejected, Rejected)
    assert feed(connection, [message(b"EVAL '1'")]) == [Command("EVAL '1'")]


def test_limits_reach_the_audio() -> None:
    connection = ServerConnection(Limits(frames=2, batch=6))
    events = feed(connection, [encode_batch([FRAME] * 3), encode_batch([FRAME] * 2)])
    assert [type(event) for event in events] == [Rejected, Rejected]
    assert "at most 2" in str(events[0])
    assert "more than 6 bytes" in str(events[1])


def test_the_end() -> None:
    connection = ServerConnection()
    connection.get_buffer()
    assert not connection.ended
    connection.received(0)
    assert connection.ended


def test_how_much_of_a_message_has_come() -> None:
    connection = ServerConnection()
    assert (connection.partial, connection.arrived) == (None, 0)
    feed(connection, [b"\5\0\0"])
    assert (connection.partial, connection.arrived) == (8, 3)
    feed(connection, [b"\0\0\0\0\0PI"])
    assert (connection.partial, connection.arrived) == (13, 10)
    feed(connection, [b"NG\0"])
    assert (connection.partial, connection.arrived) == (None, 0)


def test_a_large_message_needs_no_memory_before_it_comes() -> None:
    connection = ServerConnection()
    feed(connection, [(64 << 20).to_bytes(8, "little") + FRAME])
    assert len(connection.get_buffer()) >= (64 << 20) - len(FRAME)


def test_large_buffers_are_given_back() -> None:
    connection = ServerConnection()
    feed(connection, [message(b"rsp" + bytes(10 << 20))])
    assert len(connection.get_buffer()) <= 1 << 20


def test_frames_live_until_the_next_buffer_is_asked_for() -> None:
    connection = ServerConnection()
    data = encode_batch([FRAME] * 2) + encode_single(FRAME)
    connection.get_buffer()[: len(data)] = data
    connection.received(len(data))
    first = connection.next_event()
    second = connection.next_event()
    assert first == AudioFrames([FRAME_FOUND] * 2)
    assert second == AudioFrames([FRAME_FOUND])
    assert isinstance(first, AudioFrames)
    assert isinstance(first.frames[0].pcm, memoryview)


# --- the client's end ---

REPLIES = {
    "null": b"\x06\0\0\0\0\0\0\0\x91\xa4null",
    "string": message(b"\x92\xa6string\xa4PONG"),
    "list": encode_reply(["a", "b"]),
    "short vector": vector_head("s32v", 8) + b"\1\0\0\0\2\0\0\0",
    "vector that fits the small buffer": vector_head("s16v", 200_000) + bytes(200_000),
    "vector that does not": vector_head("s32v", 1 << 20) + bytes(range(256)) * 4096,
}
each_reply = pytest.mark.parametrize("data", REPLIES.values(), ids=REPLIES.keys())


def payloads(connection: ClientConnection, parts: Iterable[bytes]) -> list[bytes]:
    events = feed(connection, parts)
    return [bytes(event.payload) for event in events if isinstance(event, Reply)]


@each_reply
@pytest.mark.parametrize("trailing", [b"", b"\0\1\2"])
def test_reply(data: bytes, trailing: bytes) -> None:
    assert payloads(ClientConnection(), [data + trailing]) == [data[8:]]
    assert payloads(ClientConnection(), [data, data + trailing]) == [data[8:]] * 2
    assert payloads(ClientConnection(), [data * 3 + trailing]) == [data[8:]] * 3


@pytest.mark.parametrize("name", ["null", "string", "list", "short vector"])
def test_reply_byte_by_byte(name: str) -> None:
    assert payloads(ClientConnection(), one_by_one(REPLIES[name] * 2)) == [REPLIES[name][8:]] * 2


@given(st.lists(st.sampled_from(list(REPLIES.values())), max_size=5), st.lists(st.integers(0)))
def test_however_replies_are_split(chosen: list[bytes], cuts: list[int]) -> None:
    parts = pieces(b"".join(chosen), cuts)
    assert payloads(ClientConnection(), parts) == [data[8:] for data in chosen]


def test_reply_longer_than_any_can_be() -> None:
    with pytest.raises(FramingLost):
        feed(ClientConnection(), [b"HTTP/1.1 400 Bad Request"])


def vectors(connection: ClientConnection, data: bytes) -> list[tuple[bool, memoryview]]:
    """Return the elements of each reply, still where they lie, and whether they are owned."""
    found = []
    while data:
        buffer = connection.get_buffer()
        count = min(len(buffer), len(data), 100_000)
        buffer[:count] = data[:count]
        data = data[count:]
        connection.received(count)
        while (event := connection.next_event()) is not None:
            vector = decode_reply(event.payload)
            assert isinstance(vector, Vector)
            found.append((event.owned, memoryview(vector.data)))
    return found


@pytest.mark.parametrize("before", [b"", encode_reply("PONG"), encode_reply("x" * 1001) * 3])
def test_long_vectors_are_owned_and_aligned(before: bytes) -> None:
    connection = ClientConnection()
    numbers = np.arange(100_000, dtype="<i4")
    feed(connection, [before])
    data = (vector_head("s32v", numbers.nbytes) + numbers.tobytes()) * 3
    found = vectors(connection, data)
    later = vectors(connection, data)
    assert len(found) == len(later) == 3
    for owned, elements in found + later:
        array = np.frombuffer(elements, "<i4")
        assert owned
        assert array.flags.writeable
        assert array.flags.aligned
        assert (array == numbers).all(), "what came later was written elsewhere"


def test_short_replies_are_views() -> None:
    [(owned, _)] = vectors(ClientConnection(), vector_head("s32v", 4) + b"\1\0\0\0")
    assert not owned


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_replies_or_a_wire_error(data: bytes, framed: bool) -> None:
    try:
        for event in feed(ClientConnection(), [message(data) if framed else data]):
            assert isinstance(event, Reply)
    except WireError:
        assert not framed
