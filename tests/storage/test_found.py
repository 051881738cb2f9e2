"""What the model and the review have found: each a regression that must not come back."""

import errno

import pytest

from racs_server.errors import StorageError
from racs_server.storage import Durability
from racs_server.storage.stream import folder_name
from racs_server.values import AudioFormat
from tests.storage.helpers import (
    ALICE,
    BOB,
    MONO,
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
from tests.storage.simulated import Fault, Halted, SimulatedDisk


def test_a_stream_without_audio_is_recovered() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.upkeep.flush()
    disk.kill()
    assert start(disk).ids() == ["a"]


def test_the_first_log_file_survives_a_power_cut() -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.ALWAYS)
    store.create("a", MONO)
    store.upkeep.flush()
    store.upkeep.sync_log()
    disk.crash(keep="none")
    assert start(disk).ids() == ["a"]


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("end", ["kill", "power cut"])
def test_an_id_given_again_has_the_new_streams_audio(end: str, *, settled: bool) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.close_stream("a")
    if settled:
        store.upkeep.checkpoint()
    store.delete("a")
    make_open(store, "a", format_=STEREO)
    send(store, "a", noise(400, 1))
    store.upkeep.sync()
    disk.kill() if end == "kill" else disk.crash(keep="none")
    store = start(disk)
    assert store.info("a").format == STEREO
    assert read(store, "a") == noise(400, 1)
    assert store.report.streams == 1


@pytest.mark.parametrize("keep", ["none", "all", "some"])
def test_a_crash_at_every_operation_of_a_deletion(keep: str) -> None:
    after = 0
    while True:
        after += 1
        disk = SimulatedDisk()
        store = start(disk)
        make_open(store, "a", "b")
        send(store, "a", noise(100))
        send(store, "b", noise(100, 1))
        store.upkeep.sync()
        store.close_stream("a")
        disk.halt_in = after
        try:
            store.delete("a")
        except Halted:
            disk.crash(after, keep)
        else:
            break
        store = start(disk)
        assert read(store, "b") == noise(100, 1)
        if "a" in store.ids():
            assert read(store, "a") == noise(100)
        else:
            store.create("a", STEREO)
        disk.crash(after, "none")
        store = start(disk)
        assert read(store, "a") in (noise(100), b"") if "a" in store.ids() else True
    assert after > 6


@pytest.mark.parametrize("seed", range(40))
def test_a_power_cut_leaves_nothing_of_a_deleted_stream_whose_id_was_given_again(seed: int) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.ALWAYS)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    store.upkeep.checkpoint()
    store.delete("a")
    store.create("a", STEREO)
    store.upkeep.flush()
    store.upkeep.sync_log()
    disk.crash(seed, "any")
    store = start(disk)
    assert store.info("a").format == STEREO
    assert store.report.notes == []
    assert [name for name in disk.contents() if name.startswith("lost/")] == []


def test_a_deletion_whose_record_fails_is_carried_out_at_the_next_start() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    store.upkeep.checkpoint()
    disk.faults.append(Fault("write", "log/"))
    with pytest.raises(StorageError):
        store.delete("a")
    assert store.ids() == []
    store.close()
    store = start(disk)
    assert store.ids() == []
    store.create("a", MONO)


def test_a_deletion_that_the_disk_refuses_changes_nothing() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    disk.faults.append(Fault("rename", "streams/"))
    with pytest.raises(StorageError):
        store.delete("a")
    archived(store, "a", noise(100, 1))
    disk.kill()
    assert read(start(disk), "a") == noise(100) + noise(100, 1)


def test_trash_that_cannot_be_removed_is_left_for_the_next_start() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    disk.faults.append(Fault("remove", "trash/"))
    store.delete("a")
    assert store.ids() == []
    store.close()
    assert [name for name in disk.contents() if name.startswith("trash/")]
    start(disk)
    assert [name for name in disk.contents() if name.startswith("trash/")] == []


def test_a_serial_is_not_given_again_while_the_clock_stands() -> None:
    disk, clock = SimulatedDisk(), Clock()
    store = start(disk, clock)
    store.create("a", MONO)
    first = store.info("a").serial
    store.delete("a")
    disk.kill()
    store = start(disk, clock)
    store.create("a", MONO)
    assert store.info("a").serial > first
    store.upkeep.checkpoint()
    disk.crash(keep="none")
    assert start(disk, clock).ids() == ["a"]


def test_recovered_audio_is_stored_again_for_a_sync_may_have_failed() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    disk.faults.append(Fault("sync", ".wav"))
    store.upkeep.sync()
    disk.kill()
    start(disk)
    disk.crash(keep="none")
    assert read(start(disk), "a") == noise(100)


def test_a_session_settled_in_its_middle_stays_one() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    disk.faults.append(Fault("commit", error=errno.ENOSPC))
    with pytest.raises(StorageError):
        store.upkeep.checkpoint()  # settled, but the log stays
    send(store, "a", noise(100, 1))
    disk.kill()
    store = start(disk)
    assert [(s.id, s.first) for s in store.sessions("a")] == [(ALICE.hex(), 0)]


def test_two_turns_of_one_session_stay_two() -> None:
    disk, clock = SimulatedDisk(), Clock()
    store = start(disk, clock)
    store.create("a", MONO)
    archived(store, "a", noise(100), BOB)
    store.open_stream("a")
    clock.turn(5)
    send(store, "a", noise(100, 1), BOB)
    turns = [(s.id, s.first, s.started, s.ended) for s in store.sessions("a")]
    disk.kill()
    store = start(disk, clock)
    assert [(s.id, s.first, s.started, s.ended) for s in store.sessions("a")] == turns
    assert len(turns) == 2


def test_segments_beyond_the_end_that_nothing_tells_of_are_no_part_of_the_stream() -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.OS, segment_bytes=100)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    store.upkeep.checkpoint()
    store.open_stream("a")
    for number in range(1, 4):
        send(store, "a", noise(100, number))
    left = {n: b for n, b in disk.contents().items() if n.endswith(".wav")}
    disk.crash(keep="none")
    for name, contents in left.items():
        disk.put(name, contents)
    store = start(disk, segment_bytes=100)
    assert read(store, "a") == noise(100)
    store.open_stream("a")
    for number in range(5):
        send(store, "a", noise(60, 9 - number))
    store.close()
    store = start(disk)
    assert read(store, "a") == noise(100) + b"".join(noise(60, 9 - n) for n in range(5))


def test_a_copy_of_a_streams_folder_is_not_taken_for_the_stream() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    store.close()
    for name, contents in list(disk.contents().items()):
        if name.startswith("streams/"):
            copy = name.replace(folder_name("a"), folder_name("a") + ".bak")
            disk.make_folder(copy.rpartition("/")[0])
            disk.put(copy, contents)
    store = start(disk)
    store.open_stream("a")
    send(store, "a", b"")
    store.create("b", MONO)
    disk.kill()
    store = start(disk)
    archived(store, "a", noise(100, 1))
    assert read(store, "a") == noise(100) + noise(100, 1)
    assert len(files(disk, ".wav")) == 2, "the copy is left alone"


def test_a_short_sample_frame_format_survives_torn_blocks() -> None:
    format_ = AudioFormat(768_000, 32, 24)
    for seed in range(30):
        disk = SimulatedDisk()
        store = start(disk, segment_bytes=5000)
        make_open(store, "a", format_=format_)
        whole = noise(96 * 100, seed)
        for offset in range(0, len(whole), 96 * 7):
            send(store, "a", whole[offset : offset + 96 * 7])
            if offset == 96 * 7 * 5:
                store.upkeep.sync()
        disk.crash(seed)
        found = read(start(disk), "a")
        assert len(found) >= 96 * 7 * 6
        assert found == whole[: len(found)]


def test_a_stream_closed_with_a_failed_log_is_whole_after_a_power_cut() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.upkeep.checkpoint()
    send(store, "a", noise(60, 1))
    disk.faults.append(Fault("write", "log/"))
    store.close_stream("a")
    disk.crash(keep="none")
    assert read(start(disk), "a") == noise(100) + noise(60, 1)


def test_a_reader_that_loads_checksums_does_not_set_an_append_back() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    store.close()
    store = start(disk)
    store.open_stream("a")
    pieces = store.read(store.plan("a", 0, 50))
    send(store, "a", noise(60, 1))
    assert b"".join(map(bytes, pieces)) == noise(100)
    send(store, "a", noise(60, 2))
    assert read(store, "a") == noise(100) + noise(60, 1) + noise(60, 2)


def test_a_stream_that_only_its_folder_tells_of_survives_the_next_power_cut() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    disk.faults += [Fault("write", "log/"), Fault("sync_folder", "streams")]
    with pytest.raises(StorageError):
        store.upkeep.flush()
    with pytest.raises(StorageError):
        store.close()
    disk.kill()
    assert start(disk).ids() == ["a"]
    disk.crash(keep="none")
    store = start(disk)
    assert store.ids() == ["a"]
    assert store.sessions("a") == []


def test_another_turn_of_the_same_session_is_known_though_a_checkpoint_came_after_open() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    store.open_stream("a")
    store.upkeep.checkpoint()
    send(store, "a", noise(100, 1))
    disk.kill()
    assert [session.first for session in start(disk).sessions("a")] == [0, 50]


def test_a_folder_of_no_stream_is_kept_whatever_lies_in_it() -> None:
    """Not only audio: an attachment whose ``stream.json`` is gone must not be removed either."""
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.upkeep.flush()
    unknown, empty = "who-knows-ff00000000000000", "nothing-ff00000000000001"
    disk.make_folder(f"streams/ff/{unknown}")
    disk.replace(f"streams/ff/{unknown}/something", b"kept")
    disk.make_folder(f"streams/ff/{empty}")
    disk.kill()
    again = start(disk)
    assert again.ids() == ["a"]
    assert disk.read(f"lost/{unknown}/something") == b"kept"
    assert disk.list("streams/ff") == []
    assert f"{unknown} belongs to no stream: moved to lost/{unknown}" in str(again.report)
