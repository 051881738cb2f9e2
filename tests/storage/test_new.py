"""A stream that was just made: the log alone has it until its first audio or checkpoint."""

import pytest

from racs_server.errors import StorageError
from racs_server.storage import Store, care
from racs_server.storage.stream import folder_name
from tests.storage.helpers import (
    MONO,
    STEREO,
    SURROUND,
    Clock,
    archived,
    files,
    noise,
    read,
    send,
    start,
)
from tests.storage.simulated import Fault, SimulatedDisk


def made(*ids: str) -> tuple[SimulatedDisk, Store]:
    """Return a store with streams that a group commit has covered, and nothing else has."""
    disk = SimulatedDisk()
    store = start(disk)
    for stream_id in ids or ("a",):
        store.create(stream_id, SURROUND)
    store.upkeep.sync()
    return disk, store


def test_it_is_one_record_of_the_log_until_a_checkpoint() -> None:
    disk, store = made()
    assert store.ids() == ["a"]
    assert (store.sessions("a"), store.attachments("a")) == ([], [])
    assert read(store, "a") == b""
    assert disk.list("streams") == []
    store.upkeep.checkpoint()
    assert files(disk, "stream.json") == [f"{folder_name('a')}/stream.json"]


def test_its_folder_comes_with_its_first_audio() -> None:
    disk, store = made()
    store.open_stream("a")
    assert disk.list("streams") == []
    send(store, "a", noise(18))
    assert files(disk) == [f"{folder_name('a')}/{0:020d}.wav"]


@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_leaves_it_and_recovery_makes_its_folder(seed: int) -> None:
    disk, store = made()
    store.expire("a", 60)
    store.upkeep.sync()
    disk.crash(seed)
    store = start(disk)
    assert store.info("a").format == SURROUND
    assert store.seconds_left("a") == 60
    assert files(disk, "stream.json") == [f"{folder_name('a')}/stream.json"]


@pytest.mark.parametrize("seed", range(6))
def test_it_is_deleted_and_made_again(seed: int) -> None:
    disk, store = made()
    store.delete("a")
    assert store.ids() == []
    store.create("a", STEREO)
    store.upkeep.sync()
    disk.crash(seed)
    assert start(disk).info("a").format == STEREO


def test_one_that_was_deleted_before_it_had_a_folder_stays_away() -> None:
    disk, store = made()
    store.delete("a")
    disk.crash(1)
    assert start(disk).ids() == []


def test_what_lies_where_its_folder_will_be_is_put_aside() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    folder = folder_name("a")
    disk.make_folder(folder)
    disk.put(f"{folder}/{0:020d}.wav", b"somebody's")
    store.create("a", MONO)
    archived(store, "a", noise(20))
    assert read(store, "a") == noise(20)
    [name] = files(disk, "lost/" + folder.rpartition("/")[2] + f"/{0:020d}.wav")
    assert disk.read(name) == b"somebody's"


def test_a_disk_that_will_not_make_its_folder_refuses_the_audio() -> None:
    disk, store = made()
    store.open_stream("a")
    disk.faults.append(Fault("make_folder"))
    with pytest.raises(StorageError, match="was not taken"):
        send(store, "a", noise(18))
    send(store, "a", noise(18))
    assert read(store, "a") == noise(18)


def test_a_disk_that_will_not_make_its_folder_keeps_it_in_the_log() -> None:
    disk, store = made()
    disk.faults.append(Fault("make_folder"))
    with pytest.raises(StorageError, match="what describes stream 'a'"):
        store.upkeep.checkpoint()
    disk.crash(1)
    assert start(disk).ids() == ["a"]


# ---------------------------------------------------------------------- looked at from outside


def test_a_backup_beside_a_server_has_it() -> None:
    disk, store = made("empty", "with audio")
    store.open_stream("with audio")
    send(store, "with audio", noise(36))
    target, copy = SimulatedDisk(), SimulatedDisk()
    report = care.back_up(disk, target, 0, care.Totals())
    assert (report.streams, report.findings) == (2, [])
    assert care.restore(target, copy, Clock(), care.Totals()).findings == []
    again = start(copy)
    assert again.info("empty").format == SURROUND
    assert read(again, "with audio") == noise(36)


def test_whoever_looks_tells_a_new_stream_from_one_that_was_deleted_meanwhile() -> None:
    disk, store = made("new", "gone")
    for stream_id in ("new", "gone"):
        store.open_stream(stream_id)
        send(store, stream_id, noise(18))
    survey = care.Survey(disk, live=True)
    holdings = [survey.holding(folder_name(stream_id)) for stream_id in ("new", "gone")]
    store.close_stream("gone")
    store.delete("gone")
    assert [holding and survey.changed(holding.stream) for holding in holdings] == [False, True]
    with pytest.raises(FileNotFoundError):
        survey.holding(folder_name("gone"))


def test_a_look_at_a_folder_that_a_crash_has_left_finds_nothing_wrong() -> None:
    disk, _ = made()
    disk.crash(1)
    survey = care.Survey(disk, live=False)
    totals = care.Totals()
    assert list(care.verify(survey, totals)) == []
    assert totals.streams == 1
    list(care.repair(disk, Clock(), care.Totals()))
    assert start(disk).ids() == ["a"]
