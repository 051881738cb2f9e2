"""Ways in which a connection's bytes may arrive, and what came out of them, as values that last."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from racs.wire import (
    AudioFrames,
    Bytes,
    ClientConnection,
    Command,
    EndOfStream,
    Frame,
    Rejected,
    Reply,
    ServerConnection,
)
from racs.wire.connection import PREFIX

SESSION = bytes.fromhex("11" * 16)
Kept = Command | AudioFrames | Bytes | EndOfStream | Rejected | Reply


def message(body: bytes) -> bytes:
    return len(body).to_bytes(PREFIX, "little") + body


def kept(event: Kept) -> Kept:
    """Return the event with the memory that it views copied."""
    if isinstance(event, AudioFrames):
        return AudioFrames(
            [Frame(f.stream_hash, f.session, bytes(f.pcm), f.checksum) for f in event.frames]
        )
    if isinstance(event, Bytes):
        return Bytes(memoryview(bytes(event.payload)))
    if isinstance(event, Reply):
        return Reply(memoryview(bytes(event.payload)))
    return event


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, stop in pairwise(places):
        yield data[start:stop]


def feed(connection: ServerConnection | ClientConnection, parts: Iterable[bytes]) -> list[Kept]:
    """Feed bytes as a socket would, and return all events."""
    events: list[Kept] = []
    for part in parts:
        rest = part
        while rest:
            buffer = connection.get_buffer()
            assert len(buffer), "a lent buffer is never empty"
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            rest = rest[count:]
            connection.received(count)
            while (event := connection.next_event()) is not None:
                events.append(kept(event))
    return events


def one_by_one(data: bytes) -> Sequence[bytes]:
    return [data[i : i + 1] for i in range(len(data))]
