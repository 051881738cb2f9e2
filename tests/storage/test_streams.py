"""Streams are created, opened, tied to a session, closed and deleted."""

import pytest

from racs.wire import Frame, stream_hash
from racs_server.errors import DataError, RequestError, StreamError
from racs_server.storage import lives
from racs_server.values import AudioFormat
from tests.storage.helpers import (
    ALICE,
    BOB,
    MONO,
    START,
    STEREO,
    Clock,
    archived,
    files,
    make_open,
    noise,
    read,
    send,
    start,
)
from tests.storage.simulated import SimulatedDisk


def test_a_new_stream_is_empty_and_closed() -> None:
    store = start()
    store.create("a", STEREO)
    info = store.info("a")
    assert (info.format, info.frames, info.ref, info.is_open) == (STEREO, 0, 0, False)
    assert store.ids() == ["a"]
    assert read(store, "a") == b""


def test_a_stream_is_created_once() -> None:
    store = start()
    store.create("a", MONO)
    with pytest.raises(StreamError, match="'a' exists already"):
        store.create("a", STEREO)
    assert store.info("a").format == MONO


@pytest.mark.parametrize(
    ("stream_id", "message"),
    [
        ("", "0 bytes"),
        ("x" * 256, "256 bytes"),
        ("ü" * 128, "256 bytes"),
        ("a\nb", "U\\+000A"),
        ("\x7f", "U\\+007F"),
    ],
)
def test_an_id_out_of_bounds_is_refused(stream_id: str, message: str) -> None:
    store = start()
    with pytest.raises(RequestError, match=message):
        store.create(stream_id, MONO)
    assert store.ids() == []


@pytest.mark.parametrize(
    ("format_", "message"),
    [
        (AudioFormat(0, 1, 16), "0 Hz"),
        (AudioFormat(768_001, 1, 16), "768001 Hz"),
        (AudioFormat(8000, 0, 16), "0 channels"),
        (AudioFormat(8000, 33, 16), "33 channels"),
        (AudioFormat(8000, 1, 8), "bit depth of 8"),
        (AudioFormat(8000, 1, 32), "bit depth of 32"),
    ],
)
def test_a_format_out_of_bounds_is_refused(format_: AudioFormat, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        start().create("a", format_)


@pytest.mark.parametrize(
    "stream_id",
    [
        "a/../b",
        "../../etc/passwd",
        "/root",
        ".",
        "..",
        "con",
        "a\\b",
        "ü/日本",
        "x" * 255,
        " ",
        "~",
    ],
)
def test_an_odd_name_never_leaves_the_folder(stream_id: str) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create(stream_id, MONO)
    archived(store, stream_id, noise(10))
    assert read(store, stream_id) == noise(10)
    assert {len(name.split("/")) for name in files(disk) if name.startswith("streams/")} == {4}
    assert all(part not in {"", ".", ".."} for name in files(disk) for part in name.split("/"))
    store.close()
    assert start(disk).ids() == [stream_id]


def test_two_ids_with_one_hash_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "stream_hash", lambda _: 5)
    store = start()
    store.create("a", MONO)
    with pytest.raises(StreamError, match="'b' has the same 64-bit hash as 'a'"):
        store.create("b", MONO)


def test_a_stream_is_opened_and_closed_in_turn() -> None:
    store = start()
    with pytest.raises(StreamError, match="there is no stream 'a'"):
        store.open_stream("a")
    with pytest.raises(StreamError, match="there is no stream 'a'"):
        store.close_stream("a")
    store.create("a", MONO)
    with pytest.raises(StreamError, match=r"^Stream is not open"):
        store.close_stream("a")
    store.open_stream("a")
    assert store.info("a").is_open
    with pytest.raises(StreamError, match=r"^Stream is already open"):
        store.open_stream("a")
    store.close_stream("a")
    with pytest.raises(StreamError, match=r"^Stream is not open"):
        store.close_stream("a")


CLOSED = r"^Stream is closed or currently in use\."


def test_audio_is_taken_only_while_the_stream_is_open() -> None:
    store = start()
    with pytest.raises(StreamError, match=CLOSED):
        send(store, "a", bytes(2))
    store.create("a", MONO)
    with pytest.raises(StreamError, match=CLOSED):
        send(store, "a", bytes(2))
    store.open_stream("a")
    send(store, "a", bytes(2))
    store.close_stream("a")
    with pytest.raises(StreamError, match=CLOSED):
        send(store, "a", bytes(2))


def test_the_first_frame_ties_the_stream_to_its_session() -> None:
    store = start()
    make_open(store, "a")
    send(store, "a", noise(4), ALICE)
    with pytest.raises(StreamError, match=CLOSED):
        send(store, "a", noise(4), BOB)
    assert read(store, "a") == noise(4)
    store.close_stream("a")
    store.open_stream("a")
    send(store, "a", noise(4), BOB)


def test_an_empty_frame_ties_too() -> None:
    store = start()
    make_open(store, "a")
    send(store, "a", b"", ALICE)
    with pytest.raises(StreamError, match=CLOSED):
        send(store, "a", bytes(2), BOB)


def test_a_refused_frame_does_not_tie() -> None:
    store = start()
    make_open(store, "a")
    with pytest.raises(DataError):
        send(store, "a", bytes(3), ALICE)
    send(store, "a", bytes(2), BOB)


def test_the_lease_ends_when_the_sender_is_not_heard_of() -> None:
    clock = Clock()
    store = start(clock=clock)
    make_open(store, "a", "idle")
    send(store, "a", noise(4))
    clock.turn(29.9)
    assert store.lapse() == []
    send(store, "a", b"")
    clock.turn(1)
    assert store.lapse() == ["idle"], "counted from OPEN"
    clock.turn(28.9)
    assert store.lapse() == []
    clock.turn(0.1)
    assert store.lapse() == ["a"]
    assert not store.info("a").is_open


def test_a_lapsed_session_is_fenced_until_the_next_close() -> None:
    clock = Clock()
    store = start(clock=clock)
    make_open(store, "a")
    send(store, "a", noise(4), ALICE)
    clock.turn(30)
    store.lapse()
    store.open_stream("a")
    with pytest.raises(StreamError, match=f"{CLOSED} The lease of session {ALICE.hex()}"):
        send(store, "a", noise(4), ALICE)
    send(store, "a", noise(4, 1), BOB)
    store.close_stream("a")
    store.open_stream("a")
    send(store, "a", noise(4, 2), ALICE)
    assert read(store, "a") == noise(4) + noise(4, 1) + noise(4, 2)


def test_a_second_session_goes_on_where_the_first_ended_and_both_keep_their_times() -> None:
    disk, clock = SimulatedDisk(), Clock()
    store = start(disk, clock)
    store.create("a", MONO)
    clock.turn(5)
    archived(store, "a", noise(100), ALICE)
    clock.turn(3600)
    store.open_stream("a")
    send(store, "a", noise(60, 1), BOB)
    clock.turn(2)
    send(store, "a", noise(60, 2), BOB)
    store.close_stream("a")
    store.close()
    store = start(disk, clock)
    assert store.info("a").ref == START + 5000, "when the first sample frame came"
    assert read(store, "a") == noise(100) + noise(60, 1) + noise(60, 2)
    turns = [(s.id, s.first, s.started, s.ended) for s in store.sessions("a")]
    assert turns == [
        (ALICE.hex(), 0, START + 5000, START + 5000),
        (BOB.hex(), 50, START + 3_605_000, START + 3_607_000),
    ]
    assert len(files(disk, ".wav")) == 1, "both are in one segment"


def test_a_deleted_stream_is_gone_for_good() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    with pytest.raises(StreamError, match=r"^Stream is open"):
        store.delete("a")
    store.close_stream("a")
    plan = store.plan("a", 0, 50)
    store.delete("a")
    with pytest.raises(StreamError, match="there is no stream 'a'"):
        store.delete("a")
    with pytest.raises(StreamError, match="there is no stream 'a'"):
        list(store.read(plan))
    assert store.ids() == ["b"]
    assert files(disk, ".wav") == []


def test_an_id_can_be_given_again_and_old_plans_notice() -> None:
    store = start()
    store.create("a", MONO)
    archived(store, "a", noise(100))
    plan = store.plan("a", 0, 50)
    store.delete("a")
    store.create("a", STEREO)
    archived(store, "a", noise(400, 1))
    assert read(store, "a") == noise(400, 1)
    with pytest.raises(StreamError, match="deleted and made anew"):
        list(store.read(plan))


def test_a_reader_goes_on_while_its_stream_is_deleted() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(1 << 20))
    pieces = store.read(store.plan("a", 0, 1 << 19))
    found = bytes(next(pieces))
    store.delete("a")
    found += b"".join(map(bytes, pieces))
    assert found == noise(1 << 20)
    assert disk.open_files == 1, "the log"


def test_a_frame_of_no_stream_names_its_hash() -> None:
    with pytest.raises(StreamError, match=f"{stream_hash('nobody'):#018x}"):
        start().append([Frame(stream_hash("nobody"), ALICE, b"", 0)])


def test_the_state_can_be_looked_at() -> None:
    store = start()
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    figures = store.statistics()
    assert figures["streams"] == figures["open_streams"] == 2
    assert (figures["appended_bytes"], figures["unsynced_streams"]) == (100, 1)
    assert "2 streams" in repr(store)
    store.close()
    assert store.statistics()["unsettled_streams"] == 0
