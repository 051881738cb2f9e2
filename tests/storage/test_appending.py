"""Audio is taken a message at a time, whole or not at all, and found again to the sample frame."""

import errno
import logging
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from racs_server.errors import DataError, DiskFullError, StorageError, StreamError
from racs_server.storage import Durability
from racs_server.values import AudioFormat
from tests.storage.helpers import (
    ALICE,
    BOB,
    MONO,
    SURROUND,
    Clock,
    archived,
    files,
    frame,
    make_open,
    noise,
    read,
    send,
    start,
)
from tests.storage.simulated import Fault, SimulatedDisk


def test_a_batch_goes_into_several_streams_in_order() -> None:
    store = start()
    make_open(store, "a", "b")
    blocks = [noise(20, seed) for seed in range(4)]
    taken = store.append([frame("ab"[i % 2], block) for i, block in enumerate(blocks)])
    assert taken == 80
    assert read(store, "a") == blocks[0] + blocks[2]
    assert read(store, "b") == blocks[1] + blocks[3]


@pytest.mark.parametrize("inflated", [False, True])
def test_a_block_that_came_compressed_is_like_any_other(inflated: bool) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    store.append([frame("a", noise(100), inflated=inflated)])
    store.upkeep.flush()
    disk.kill()
    assert read(start(disk), "a") == noise(100)


def test_one_bad_frame_refuses_the_whole_message() -> None:
    store = start()
    make_open(store, "a", "b")
    store.create("closed", MONO)
    bad = [
        (frame("b", bytes(3)), DataError),
        (frame("closed", bytes(2)), StreamError),
        (frame("unknown", bytes(2)), StreamError),
        (frame("a", bytes(2), BOB), StreamError),
    ]
    for bad_frame, error in bad:
        with pytest.raises(error):
            store.append([frame("a", bytes(2)), bad_frame, frame("b", bytes(2))])
    assert (store.info("a").frames, store.info("b").frames) == (0, 0)
    send(store, "a", bytes(2), BOB)


def test_a_disk_that_is_full_for_the_second_stream_leaves_nothing_of_the_first() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(10))
    send(store, "b", noise(10))
    before = disk.contents()
    (name,) = (n for n in files(disk, ".wav") if "/b-" in n)
    disk.faults.append(Fault("write", name, error=errno.ENOSPC, keep=100))
    with pytest.raises(DiskFullError, match="the disk is full"):
        store.append([frame("a", noise(3000, 1)), frame("b", noise(3000, 2))])
    assert disk.contents() == before, "the partial writes are cut"
    assert (read(store, "a"), read(store, "b")) == (noise(10), noise(10))
    store.append([frame("a", noise(3000, 1)), frame("b", noise(3000, 2))])
    assert read(store, "a") == noise(10) + noise(3000, 1)


def test_a_full_disk_refuses_and_appending_resumes_with_room() -> None:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=4000)
    make_open(store, "a")
    send(store, "a", noise(4000))
    disk.capacity = sum(map(len, disk.contents().values())) + 500
    opened = disk.open_files
    for _ in range(20):
        with pytest.raises(DiskFullError):
            send(store, "a", noise(4000, 1))
    assert disk.open_files == opened, "no file is left open"
    assert read(store, "a") == noise(4000), "reading goes on"
    disk.capacity = None
    send(store, "a", noise(4000, 1))
    store.close()
    assert read(start(disk), "a") == noise(4000) + noise(4000, 1)


def test_no_room_for_another_log_file_refuses_too() -> None:
    disk = SimulatedDisk()
    store = start(disk, log_bytes=400)
    make_open(store, "a")
    disk.faults.append(Fault("allocate", "log/", times=3, error=errno.ENOSPC))
    taken = 0
    for _ in range(30):
        try:
            send(store, "a", noise(10, taken))
        except DiskFullError:
            continue
        taken += 1
    assert taken == 27
    assert read(store, "a") == b"".join(noise(10, number) for number in range(27))


def test_a_log_file_that_is_full_on_a_full_disk_refuses_and_tears_nothing() -> None:
    disk = SimulatedDisk()
    store = start(disk, log_bytes=300)
    make_open(store, "a")
    send(store, "a", noise(10))
    taken, refused = noise(10), 0
    for number in range(12):
        disk.capacity = disk.used() + 10  # enough for the PCM alone
        try:
            send(store, "a", noise(10, number))
            taken += noise(10, number)
        except DiskFullError:
            refused += 1
            disk.capacity = None
            send(store, "a", noise(10, number))
            taken += noise(10, number)
    assert refused > 1
    disk.kill()
    assert read(start(disk), "a") == taken


# ---------------------------------------------------------------------- held sample frames


def test_a_sample_frame_may_span_blocks() -> None:
    store = start()
    make_open(store, "a", format_=SURROUND)
    pcm = noise(18 * 5)
    cuts = [0, 3, 6, 30, 33, 54, 75, 90]
    for begin, end in pairwise(cuts):
        send(store, "a", pcm[begin:end])
        assert store.info("a").frames == end // 18, "an incomplete sample frame is not counted"
    assert read(store, "a") == pcm


def test_a_sample_frame_may_span_the_blocks_of_a_batch() -> None:
    store = start()
    make_open(store, "a", format_=SURROUND)
    pcm = noise(18 * 3)
    store.append([frame("a", pcm[i : i + 3]) for i in range(0, len(pcm), 3)])
    assert read(store, "a") == pcm


def test_an_incomplete_sample_frame_is_dropped_at_close(caplog: pytest.LogCaptureFixture) -> None:
    store = start()
    make_open(store, "a", format_=SURROUND)
    send(store, "a", noise(18 + 15))
    with caplog.at_level(logging.WARNING):
        store.close_stream("a")
    assert "its 15 bytes are dropped" in caplog.text
    archived(store, "a", noise(18, 1))
    assert read(store, "a") == noise(18 + 15)[:18] + noise(18, 1)


def test_a_refused_message_leaves_the_held_part_as_it_was() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", format_=SURROUND)
    pcm = noise(18 * 2)
    send(store, "a", pcm[:24])
    disk.faults.append(Fault("write", ".wav", error=errno.ENOSPC))
    with pytest.raises(DiskFullError):
        send(store, "a", pcm[24:])
    send(store, "a", pcm[24:])
    assert read(store, "a") == pcm


# ---------------------------------------------------------------------- segments


def test_a_full_segment_gets_no_more() -> None:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=1000)
    make_open(store, "a")
    for number in range(5):
        send(store, "a", noise(800, number))
    store.close_stream("a")
    names = [name.rpartition("/")[2] for name in files(disk, ".wav")]
    assert names == [f"{first:020d}.wav" for first in (0, 800, 1600)]
    assert read(store, "a", 300, 1900) == b"".join(noise(800, n) for n in range(5))[600:3800]


def test_a_plan_is_cut_to_what_there_is() -> None:
    store = start()
    make_open(store, "a")
    send(store, "a", noise(200))
    plan = store.plan("a", 60, 1000)
    send(store, "a", noise(200, 1))
    assert (plan.start, plan.stop) == (60, 100)
    assert b"".join(map(bytes, store.read(plan))) == noise(200)[120:]
    assert store.plan("a", 500, 900).frames == 0
    assert store.plan("a", 90, 10).frames == 0
    assert store.plan("a", -5, 10).frames == 10


def test_many_streams_need_few_open_files() -> None:
    disk = SimulatedDisk()
    store = start(disk, open_files=8)
    ids = [f"stream {number}" for number in range(100)]
    for stream_id in ids:
        make_open(store, stream_id)
    for turn in range(3):
        for stream_id in ids:
            send(store, stream_id, noise(20, turn))
            if store.upkeep.needs_checkpoint:
                store.upkeep.checkpoint()
            assert disk.open_files <= 8 + 4
    for stream_id in ids:
        assert read(store, stream_id) == b"".join(noise(20, turn) for turn in range(3))
        assert disk.open_files <= 8 + 4
    store.close()
    assert disk.open_files == 0


def test_files_stay_open_until_a_sync_and_whoever_brings_more_is_told() -> None:
    disk = SimulatedDisk()
    store = start(disk, open_files=4, durability=Durability.OS)
    for number in range(50):
        make_open(store, f"stream {number}")
        send(store, f"stream {number}", noise(20))
        if store.upkeep.overcrowded:
            store.upkeep.sync()
        assert disk.open_files <= 4 * 2 + 2
    syncs = [op for op in disk.operations if op.kind == "sync" and op.name.endswith(".wav")]
    assert len(syncs) in range(40, 51)
    disk.kill()
    store = start(disk)
    assert all(read(store, f"stream {number}") == noise(20) for number in range(50))


formats = st.builds(
    AudioFormat, st.integers(1, 768_000), st.integers(1, 32), st.sampled_from((16, 24))
)


@settings(max_examples=60, deadline=None)
@given(
    format_=formats,
    blocks=st.lists(st.integers(0, 20_000), max_size=12),
    segment_bytes=st.sampled_from((1, 1000, 70_000, 1 << 20)),
    ranges=st.lists(st.tuples(st.integers(0, 1 << 17), st.integers(0, 1 << 17)), max_size=5),
    sessions=st.sets(st.integers(0, 12)),
    restart=st.booleans(),
)
def test_every_range_is_exact(
    format_: AudioFormat,
    blocks: list[int],
    segment_bytes: int,
    ranges: list[tuple[int, int]],
    sessions: set[int],
    *,
    restart: bool,
) -> None:
    disk, clock = SimulatedDisk(), Clock()
    store = start(disk, clock, segment_bytes=segment_bytes)
    make_open(store, "a", format_=format_)
    expected, held = b"", b""
    for number, samples in enumerate(blocks):
        if number in sessions:
            store.close_stream("a")
            store.open_stream("a")
            held = b""
        block = noise(samples * format_.sample_bytes, number)
        send(store, "a", block[:40_002])
        send(store, "a", block[40_002:]) if len(block) > 40_002 else None
        held += block
        whole = len(held) - len(held) % format_.frame_bytes
        expected, held = expected + held[:whole], held[whole:]
    if restart:
        store.close()
        store = start(disk, clock)
    assert store.info("a").frames == len(expected) // format_.frame_bytes
    assert read(store, "a") == expected
    for first, stop in ranges:
        size = format_.frame_bytes
        assert read(store, "a", first, stop) == expected[first * size : stop * size]
    # and all at once, when they lie apart
    edges = sorted({min(edge, store.info("a").frames) for pair in ranges for edge in pair})
    apart = list(zip(edges[::2], edges[1::2], strict=False))
    found = b"".join(store.read_ranges(store.plan("a", 0, 0), apart))
    size = format_.frame_bytes
    assert found == b"".join(expected[first * size : stop * size] for first, stop in apart)


# ---------------------------------------------------------------------- reading while it comes


def test_what_has_been_acknowledged_can_be_read_at_once() -> None:
    store = start(durability=Durability.ALWAYS)
    make_open(store, "a")
    for number in range(20):
        send(store, "a", noise(30_000, number))
        assert read(store, "a", number * 15_000) == noise(30_000, number)


def test_a_file_that_cannot_be_read_is_the_disks_fault() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    disk.faults.append(Fault("read", ".wav"))
    with pytest.raises(StorageError, match=r"stream 'a' cannot be read: Input/output error"):
        read(store, "a")
    assert read(store, "a") == noise(100)


def test_a_session_id_says_who_is_refused() -> None:
    store = start()
    make_open(store, "a")
    send(store, "a", bytes(2), ALICE)
    with pytest.raises(StreamError, match=f"{ALICE.hex()}.*{BOB.hex()}"):
        send(store, "a", bytes(2), BOB)
