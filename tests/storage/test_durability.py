"""What an acknowledgement promises, and what a disk that fails cannot break."""

import errno
from collections.abc import Callable

import pytest

from racs_server.errors import DamageError, DiskFullError, StorageError, SyncFailedError
from racs_server.storage import Durability, Store
from racs_server.storage.checksums import BLOCK
from tests.storage.helpers import (
    BOB,
    MONO,
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
from tests.storage.simulated import Fault, Halted, Operation, SimulatedDisk

EACH = pytest.mark.parametrize("durability", list(Durability))
SEEDS = range(12)


def acknowledge(store: Store) -> None:
    store.upkeep.flush()
    if store.options.durability is Durability.ALWAYS:
        store.upkeep.sync_log()


# ---------------------------------------------------------------------- kill


@EACH
def test_a_killed_process_loses_nothing_acknowledged(durability: Durability) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=durability, segment_bytes=3000)
    make_open(store, "a", "b")
    for number in range(20):
        store.append([frame("a", noise(500, number)), frame("b", noise(100, -number))])
        store.upkeep.flush()
    disk.kill()
    store = start(disk)
    assert read(store, "a") == b"".join(noise(500, number) for number in range(20))
    assert read(store, "b") == b"".join(noise(100, -number) for number in range(20))
    assert store.report.kept_frames == 20 * 300
    assert store.report.dropped_frames == 0


@EACH
def test_what_was_not_flushed_may_be_lost_but_harms_nothing(durability: Durability) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=durability)
    make_open(store, "a")
    send(store, "a", noise(500))
    store.append([frame("a", noise(500, 1))])
    disk.kill()
    assert read(start(disk), "a") == noise(500)


# ---------------------------------------------------------------------- power cuts


@pytest.mark.parametrize("seed", SEEDS)
@EACH
def test_what_was_closed_survives_a_power_cut(durability: Durability, seed: int) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=durability, segment_bytes=3000)
    make_open(store, "a")
    for number in range(9):
        send(store, "a", noise(1001 * 2, number))
    store.close_stream("a")
    disk.crash(seed)
    store = start(disk)
    assert read(store, "a") == b"".join(noise(1001 * 2, number) for number in range(9))
    assert len(store.sessions("a")) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_interval_a_power_cut_loses_at_most_what_came_since_the_last_group_commit(
    seed: int,
) -> None:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=3000)
    make_open(store, "a")
    for number in range(9):
        send(store, "a", noise(2000, number))
        if number == 6:
            store.upkeep.sync()
    disk.crash(seed)
    store = start(disk)
    whole = b"".join(noise(2000, number) for number in range(9))
    found = read(store, "a")
    assert found == whole[: len(found)]
    assert len(found) >= 7 * 2000
    assert store.info("a").size == len(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_always_a_power_cut_loses_nothing_acknowledged(seed: int) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.ALWAYS, segment_bytes=3000)
    make_open(store, "a")
    for number in range(9):
        store.append([frame("a", noise(2000, number))])
        acknowledge(store)
        if number == 4:
            store.upkeep.checkpoint()
    disk.crash(seed)
    assert read(start(disk), "a") == b"".join(noise(2000, number) for number in range(9))


@pytest.mark.parametrize("seed", SEEDS)
def test_os_a_power_cut_leaves_a_first_part(seed: int) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.OS, segment_bytes=3000)
    make_open(store, "a")
    for number in range(9):
        send(store, "a", noise(2000, number))
    disk.crash(seed)
    store = start(disk)
    if "a" in store.ids():
        found = read(store, "a")
        assert found == b"".join(noise(2000, number) for number in range(9))[: len(found)]


# ---------------------------------------------------------------------- failed syncs


def fail_next_sync(disk: SimulatedDisk, name: str = ".wav") -> None:
    disk.faults.append(Fault("sync", name))


def test_a_failed_sync_poisons_the_stream_until_it_is_opened_anew() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    fail_next_sync(disk)
    store.upkeep.sync()
    for _ in range(2):
        with pytest.raises(SyncFailedError, match=r"failed to store stream 'a'.*CLOSE and OPEN"):
            send(store, "a", noise(100, 1))
    send(store, "b", noise(100, 2))
    store.close_stream("a")
    archived(store, "a", noise(100, 1))
    assert read(store, "a") == noise(100) + noise(100, 1)
    names = [name.rpartition("/")[2] for name in files(disk, ".wav") if "/a-" in name]
    assert names == [f"{first:020d}.wav" for first in (0, 50)], "in a new segment"


def test_what_a_failed_sync_did_not_store_is_written_again() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(200_000))
    fail_next_sync(disk)
    store.upkeep.sync()
    store.close_stream("a")
    disk.crash(keep="none")
    assert read(start(disk), "a") == noise(200_000)


def test_what_a_failed_sync_has_lost_is_an_error_of_these_blocks_alone() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(3 * BLOCK))
    fail_next_sync(disk)
    store.upkeep.sync()
    disk.flip(files(disk, ".wav")[0], 1024 + BLOCK)  # the system has thrown its memory away
    with pytest.raises(SyncFailedError, match="lost, sample frames 32768 to 65536"):
        store.close_stream("a")
    archived(store, "a", noise(100, 1))
    store.close()
    disk.crash(keep="none")
    store = start(disk)
    half = BLOCK // 2
    assert read(store, "a", 0, half) == noise(3 * BLOCK)[:BLOCK]
    assert read(store, "a", 2 * half) == noise(3 * BLOCK)[2 * BLOCK :] + noise(100, 1)
    with pytest.raises(DamageError, match="sample frames 32768 to 65536"):
        read(store, "a", half, 2 * half)


def test_a_close_that_cannot_be_stored_says_so_and_ends_the_session() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    fail_next_sync(disk)
    with pytest.raises(SyncFailedError):
        store.close_stream("a")
    assert not store.info("a").is_open
    archived(store, "a", noise(100, 1))
    store.close()
    assert read(start(disk), "a") == noise(100) + noise(100, 1)


def test_a_poisoned_stream_without_audio_is_opened_anew() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    disk.faults.append(Fault("write", ".wav", at=2, error=errno.ENOSPC))
    with pytest.raises(DiskFullError):
        send(store, "a", noise(100))
    fail_next_sync(disk)
    store.close_stream("a")
    disk.faults.clear()
    archived(store, "a", noise(100))
    archived(store, "a", noise(100, 1))
    disk.kill()
    assert read(start(disk), "a") == noise(100) + noise(100, 1)


def test_a_log_that_cannot_be_synced_stops_all() -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.ALWAYS)
    make_open(store, "a")
    store.append([frame("a", noise(100))])
    acknowledge(store)
    store.append([frame("a", noise(100, 1))])
    store.upkeep.flush()
    fail_next_sync(disk, "log/")
    with pytest.raises(StorageError, match="nothing more is taken"):
        store.upkeep.sync_log()
    for again in (
        store.upkeep.sync_log,
        store.upkeep.flush,
        lambda: send(store, "a", noise(2)),
        lambda: store.create("b", MONO),
    ):
        with pytest.raises(StorageError, match="nothing more is taken"):
            again()
    assert store.statistics()["log_failed"]
    assert read(store, "a") == noise(100) + noise(100, 1), "reading goes on"
    store.close()
    assert read(start(disk), "a") == noise(100) + noise(100, 1), "all was settled without it"


def test_a_log_that_cannot_be_written_stops_all() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.append([frame("a", noise(100, 1))])
    disk.faults.append(Fault("write", "log/", keep=7))
    with pytest.raises(StorageError, match="nothing more is taken"):
        store.upkeep.flush()
    with pytest.raises(StorageError, match="nothing more is taken"):
        send(store, "a", noise(2))
    disk.kill()
    store = start(disk)
    assert read(store, "a") == noise(100)
    assert store.report.notes, "the torn record is reported"


# ---------------------------------------------------------------------- full disks


def full(disk: SimulatedDisk, name: str, kind: str = "write", times: int = 1) -> None:
    disk.faults.append(Fault(kind, name, times=times, error=errno.ENOSPC))


@pytest.mark.parametrize("kind", ["sync", "sync_folder"])
def test_a_log_file_that_could_not_be_stored_when_it_was_prepared_is_not_used(kind: str) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    disk.faults.append(Fault(kind, "log"))
    store.upkeep.prepare_log()
    assert disk.fault_hits == 1
    make_open(store, "a")
    send(store, "a", noise(100))
    store.upkeep.sync()
    disk.crash(1, "none")
    assert read(start(disk), "a") == noise(100)


@pytest.mark.parametrize("name", [".crc.new", "stream.json.new"])
def test_a_close_on_a_full_disk_keeps_the_audio_in_the_log(name: str) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    full(disk, name)
    with pytest.raises(StorageError, match="make room"):
        store.close_stream("a")
    assert not store.info("a").is_open
    assert read(store, "a") == noise(100)
    disk.crash(keep="none")
    store = start(disk)
    assert read(store, "a") == noise(100)
    assert store.report.kept_frames == 50


def test_a_checkpoint_after_a_failed_close_makes_up_for_it() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    full(disk, ".crc.new")
    with pytest.raises(StorageError):
        store.close_stream("a")
    store.upkeep.checkpoint()
    disk.crash(keep="none")
    store = start(disk)
    assert read(store, "a") == noise(100)
    assert store.report.kept_frames == 0, "it was settled"


def test_a_stop_on_a_full_disk_needs_no_new_log_file() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    full(disk, "log/", "allocate")
    store.close()
    store = start(disk)
    assert store.report.clean
    assert read(store, "a") == noise(100)


def test_a_stream_that_cannot_be_settled_does_not_fill_the_disk_with_log_files() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    full(disk, "stream.json", times=1000)
    for number in range(20):
        send(store, "b", noise(100, number))
        with pytest.raises(StorageError):
            store.upkeep.checkpoint()
    assert len([name for name in disk.contents() if name.startswith("log/")]) <= 2
    disk.faults.clear()
    store.close()
    assert read(start(disk), "a") == noise(100)


def test_a_checkpoint_whose_catalogue_fails_keeps_the_log_and_is_made_up_for() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    archived_pcm = noise(100)
    send(store, "a", archived_pcm)
    store.close_stream("b")
    store.delete("b")
    disk.faults.append(Fault("commit", error=errno.ENOSPC))
    with pytest.raises(StorageError, match="no checkpoint could be made"):
        store.upkeep.checkpoint()
    store.upkeep.checkpoint()
    store.close()
    store = start(disk)
    assert store.ids() == ["a"]
    assert read(store, "a") == archived_pcm


def test_one_lapsed_stream_that_fails_does_not_hold_the_others() -> None:
    disk, clock = SimulatedDisk(), Clock()
    store = start(disk, clock)
    make_open(store, "a", "b", "c")
    for stream_id in "abc":
        send(store, stream_id, noise(100))
    clock.turn(31)
    fail_next_sync(disk)
    assert sorted(store.lapse()) == ["a", "b", "c"]
    for stream_id in "abc":
        archived(store, stream_id, noise(100, 1), BOB)


# ---------------------------------------------------------------------- while something goes on


def at(disk: SimulatedDisk, kind: str, name: str, action: Callable[[], object]) -> None:
    """Do something before the next operation of that kind."""

    def hook(operation: Operation) -> None:
        if operation.kind == kind and name in operation.name:
            disk.hook = None
            action()

    disk.hook = hook


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("sync", "log/"),
        ("write", ".wav"),
        ("sync", ".wav"),
        ("rename", ".crc"),
        ("rename", "stream.json"),
        ("sync_folder", "streams"),
        ("commit", ""),
        ("remove", "log/"),
    ],
)
@pytest.mark.parametrize("end", ["checkpoint", "power cut", "kill", "close"])
def test_audio_that_comes_during_a_checkpoint_is_not_mixed_up_with_it(
    kind: str, name: str, end: str
) -> None:
    disk = SimulatedDisk()
    store = start(disk, open_files=1)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    at(disk, kind, name, lambda: send(store, "a", noise(60, 1)))
    store.upkeep.checkpoint()
    assert disk.hook is None, "it came in between"
    assert read(store, "a") == noise(100) + noise(60, 1)
    if end == "checkpoint":
        store.upkeep.checkpoint()
        disk.crash(keep="none")
    elif end == "power cut":
        disk.crash(keep="none")
    elif end == "kill":
        disk.kill()
    else:
        store.close()
    store = start(disk)
    found = read(store, "a")
    assert found == noise(100) + (noise(60, 1) if end != "power cut" else found[100:])
    assert store.info("a").frames * 2 == len(found)


def test_a_group_commit_waits_for_a_checkpoint_that_has_taken_its_streams_over() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    seen = []
    at(disk, "sync", "log/", lambda: seen.append(store.upkeep.needs_sync))
    store.upkeep.checkpoint()
    assert seen == [True], "nothing is called synced before it is"
    assert not store.upkeep.needs_sync or store.statistics()["unsynced_streams"] == 0


def test_a_power_cut_between_the_checksums_and_stream_json_of_a_close_without_a_log() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(1600))
    store.make_durable("a")
    store.upkeep.checkpoint()
    send(store, "a", noise(14, 1))
    disk.faults.append(Fault("sync", "log/", times=9))
    disk.faults.append(Fault("open", "stream.json"))
    with pytest.raises(StorageError):
        store.close_stream("a")
    disk.crash(keep="all")
    store = start(disk)
    assert read(store, "a", 0, 800) == noise(1600)


def test_with_durability_os_a_sealed_segment_is_synced_at_the_roll() -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.OS, segment_bytes=100)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    send(store, "b", noise(50))
    disk.operations.clear()
    store.upkeep.sync_sealed()
    assert [o for o in disk.operations if o.kind == "sync"] == []
    send(store, "a", noise(100, 1))
    store.upkeep.sync_sealed()
    synced = {o.name for o in disk.operations if o.kind == "sync"}
    assert synced == {name for name in files(disk, ".wav") if "/a-" in name}


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("cut", ["before a removal", "behind one"])
def test_a_power_cut_between_the_removals_of_log_files_leaves_no_gap_in_the_log(
    cut: str, seed: int
) -> None:
    disk = SimulatedDisk()
    store = start(disk, durability=Durability.ALWAYS, log_bytes=300)
    make_open(store, "a")
    for number in range(4):
        send(store, "a", noise(200, number))
    removed = 0

    def meanwhile(operation: Operation) -> None:
        if operation.kind == "sync" and operation.name.endswith(".wav"):
            disk.hook = end
            send(store, "a", noise(200, 4))
            store.upkeep.sync_log()

    def end(operation: Operation) -> None:
        nonlocal removed
        if removed == 2 and cut == "behind one":
            raise Halted
        removed += operation.kind == "remove" and operation.name.startswith("log/")
        if removed == 2 and cut == "before a removal":
            raise Halted

    disk.hook = meanwhile
    with pytest.raises(Halted):
        store.upkeep.checkpoint()
    disk.crash(seed, "any")
    assert read(start(disk), "a") == b"".join(noise(200, number) for number in range(5))
