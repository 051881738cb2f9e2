"""What a start finds after a crash, what it mends, and what it says of it."""

import errno

import pytest

from racs_server.errors import DamageError, StorageError
from racs_server.storage import Durability
from racs_server.storage.checksums import BLOCK
from racs_server.storage.stream import folder_name, read_manifest
from tests.storage.helpers import (
    MONO,
    STEREO,
    archived,
    files,
    make_open,
    noise,
    read,
    send,
    start,
)
from tests.storage.simulated import Fault, Halted, SimulatedDisk


def test_a_clean_stop_leaves_no_log_and_nothing_to_recover() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.close()
    assert [name for name in disk.contents() if name.startswith("log/")] == []
    assert disk.open_files == 0
    store = start(disk)
    assert store.report.clean
    assert str(store.report) == "stopped in order, nothing to recover"
    assert store.report.streams == 1


def test_a_stop_closes_what_is_open() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.close()
    store = start(disk)
    assert not store.info("a").is_open
    assert read(store, "a") == noise(100)


def test_the_report_says_what_was_found() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    send(store, "b", noise(100))
    disk.kill()
    wav = next(name for name in files(disk, ".wav") if "/b-" in name)
    disk.flip(wav, 1024 + 3)
    store = start(disk)
    report = store.report
    assert not report.clean
    assert (report.streams, report.records) == (2, 6)
    assert (report.kept_frames, report.dropped_frames) == (50, 50)
    assert report.notes == [
        "stream 'b' ends at sample frame 0: the disk does not hold what was taken"
    ]
    assert str(report) == (
        "recovered 50 sample frames from 6 log records; dropped 50 that were not on the disk any"
        " more; stream 'b' ends at sample frame 0: the disk does not hold what was taken"
    )


def test_nothing_is_placed_behind_a_hole() -> None:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=100)
    make_open(store, "a")
    for number in range(4):
        send(store, "a", noise(100, number))
    disk.kill()
    disk.flip(next(n for n in files(disk, ".wav") if f"{50:020d}" in n), 1024)
    store = start(disk)
    assert read(store, "a") == noise(100)
    assert store.report.dropped_frames == 150
    assert len(files(disk, ".wav")) == 1
    archived(store, "a", noise(100, 9))
    assert read(store, "a") == noise(100) + noise(100, 9)


def test_a_log_that_begins_behind_the_end_of_a_stream_adds_nothing() -> None:
    """Somebody has put back a stream.json of the day before."""
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    manifest = f"{folder_name('a')}/stream.json"
    earlier = disk.read(manifest)
    archived(store, "a", noise(60, 1))
    store.upkeep.checkpoint()
    store.open_stream("a")
    send(store, "a", noise(20, 2))
    disk.kill()
    disk.put(manifest, earlier)
    store = start(disk)
    assert "what should lie before it is not there" in str(store.report)
    assert read(store, "a") == noise(100)
    archived(store, "a", noise(40, 3))
    assert read(store, "a") == noise(100) + noise(40, 3)


def test_a_hole_in_what_the_log_carries_itself_is_filled() -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.ALWAYS, segment_bytes=100)
    make_open(store, "a")
    for number in range(4):
        send(store, "a", noise(100, number))
    disk.kill()
    for name in files(disk, ".wav")[1:]:
        disk.remove(name)
    store = start(disk)
    assert read(store, "a") == b"".join(noise(100, number) for number in range(4))
    assert store.report.dropped_frames == 0


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("seed", range(10))
def test_a_second_recovery_changes_nothing(durability: Durability, seed: int) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=durability, segment_bytes=2000, log_bytes=1000)
    make_open(store, "a", "b")
    for number in range(12):
        send(store, "a", noise(700, number))
        send(store, "b", noise(70, number))
        if number == seed:
            store.upkeep.sync()
    disk.crash(seed)
    store = start(disk)
    infos = [store.info(stream_id) for stream_id in store.ids()]
    before = disk.contents()
    disk.crash(keep="none")
    assert disk.contents().items() >= {k: v for k, v in before.items() if "lock" not in k}.items()
    store = start(disk)
    assert disk.contents() == before
    assert [store.info(stream_id) for stream_id in store.ids()] == infos


def test_a_crash_at_every_operation_of_a_recovery_is_recovered_from() -> None:
    halts = 0
    while True:
        halts += 1
        disk = SimulatedDisk()
        store = start(disk, segment_bytes=300)
        make_open(store, "a", "b", format_=STEREO)
        for number in range(4):
            send(store, "a", noise(200, number))
        store.close_stream("b")
        store.delete("b")
        store.upkeep.sync()
        disk.crash(halts)
        disk.halt_in = halts
        try:
            store = start(disk)
        except Halted:
            disk.crash(halts + 1)
            store = start(disk)
        else:
            break
        assert store.ids() == ["a"]
        assert read(store, "a") == b"".join(noise(200, number) for number in range(4))
    assert halts > 40


def test_a_disk_that_fails_during_recovery_ends_the_start_and_loses_nothing() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    disk.kill()
    for kind in ("sync", "open", "write", "rename", "commit", "read", "list", "remove"):
        disk.faults.append(Fault(kind))
        with pytest.raises(StorageError):
            start(disk)
        disk.faults.clear()
    assert disk.open_files == 0
    store = start(disk)
    assert read(store, "a") == noise(100)


def test_a_full_disk_at_recovery_ends_the_start_and_loses_nothing() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    disk.kill()
    disk.faults.append(Fault("write", "stream.json", error=errno.ENOSPC))
    with pytest.raises(StorageError, match="No space left"):
        start(disk)
    assert read(start(disk), "a") == noise(100)


@pytest.mark.parametrize("durability", Durability)
def test_a_power_cut_that_takes_the_name_of_the_first_segment_alone(durability: Durability) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=durability, segment_bytes=100)
    make_open(store, "a")
    for number in range(3):
        send(store, "a", noise(100, number))
    store.upkeep.sync_log()
    disk.kill()
    disk.remove(f"{folder_name('a')}/{0:020d}.wav")
    store = start(disk, durability=durability)
    if durability is Durability.ALWAYS:
        assert read(store, "a") == b"".join(noise(100, number) for number in range(3))
    else:
        assert store.info("a").size == 0
        assert "stream 'a' ends at sample frame 0" in str(store.report)


def test_what_the_disk_cannot_read_is_damage_of_these_sample_frames_alone() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    pcm = noise(3 * BLOCK)
    for start_ in range(0, len(pcm), BLOCK):
        send(store, "a", pcm[start_ : start_ + BLOCK])
    send(store, "b", noise(100))
    disk.kill()
    # The second message of "a" is read by the replay, and again for the checksums.
    disk.faults.append(Fault("read", ".wav", at=3))
    disk.faults.append(Fault("read", ".wav", at=8))
    store = start(disk)
    assert [note for note in store.report.notes if "'a'" in note] == [
        "stream 'a' is damaged in sample frames 32768 to 65536: the disk cannot read them"
        " (Input/output error)"
    ]
    half = BLOCK // 2
    assert read(store, "b") == noise(100)
    assert read(store, "a", 0, half) + read(store, "a", 2 * half) == pcm[:BLOCK] + pcm[2 * BLOCK :]
    with pytest.raises(DamageError):
        read(store, "a", half, half + 1)
    archived(store, "a", noise(100, 1))
    assert read(store, "a", 3 * half) == noise(100, 1)


def test_nothing_is_added_to_an_end_that_the_disk_cannot_read() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    disk.kill()
    disk.faults.append(Fault("read", ".wav", times=2))
    store = start(disk)
    archived(store, "a", noise(100, 1))
    assert read(store, "a", 50) == noise(100, 1)
    with pytest.raises(DamageError):
        read(store, "a", 0, 1)


def test_a_stream_json_that_cannot_be_understood_is_put_aside() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.upkeep.checkpoint()
    send(store, "a", noise(100, 1))
    disk.kill()
    name = f"{folder_name('a')}/stream.json"
    disk.flip(name, 30)
    rotten = disk.read(name)
    store = start(disk)
    assert read(store, "a") == noise(100) + noise(100, 1)
    assert disk.read(f"{name}.damaged") == rotten


@pytest.mark.parametrize("settled", [100, 0])
@pytest.mark.parametrize("keep", ["none", "some", "any"])
def test_a_power_cut_in_the_recovery_after_a_kill_leaves_the_log_that_explains_it(
    keep: str, settled: int
) -> None:
    halts = 0
    while True:
        disk = SimulatedDisk()
        store = start(disk)
        make_open(store, "a")
        if settled:
            send(store, "a", noise(200, 0))
            store.upkeep.checkpoint()
        send(store, "a", noise(200, 1))
        disk.kill()
        disk.halt_in = halts
        try:
            start(disk)
        except Halted:
            disk.crash(halts, keep)
        else:
            break
        halts += 1
        store = start(disk)
        if not settled and not store.ids():
            assert files(disk, "stream.json") == []
            continue
        assert store.info("a").frames in (settled, settled + 100)
        assert store.info("a").frames == read_manifest(disk, folder_name("a")).frames
    assert halts > 20


def test_a_folder_that_cannot_be_listed_is_told_of_and_hides_nothing() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    for stream_id in ("a", "b"):
        store.create(stream_id, STEREO)
        archived(store, stream_id, noise(400))
    store.upkeep.checkpoint()
    disk.kill()
    parent = folder_name("a").rpartition("/")[0]
    disk.faults.append(Fault("list", parent, times=3))
    store = start(disk)
    assert sorted(store.ids()) == ["a", "b"]
    [note] = [note for note in store.report.notes if parent in note]
    assert "cannot be listed (Input/output error)" in note
    disk.faults.clear()
    assert read(store, "a") == read(store, "b") == noise(400)


def test_a_new_catalogue_is_not_made_without_a_folder_that_cannot_be_listed() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", STEREO)
    store.close()
    disk.flip("catalog.sqlite", 3)
    disk.faults.append(Fault("list", folder_name("a").rpartition("/")[0]))
    with pytest.raises(StorageError, match="Input/output error"):
        start(disk)
    assert start(disk).ids() == ["a"]


def test_a_stream_whose_folder_cannot_be_listed_and_that_the_log_has_audio_for_is_named() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    disk.kill()
    disk.faults.append(Fault("list", folder_name("a")))
    with pytest.raises(StorageError, match=r"of stream 'a' cannot be listed .* without it"):
        start(disk)
    assert read(start(disk), "a") == noise(100)
