"""Backups of an archive, also of one that a server appends to, and the way back."""

from contextlib import suppress
from functools import partial

import pytest

from racs_server.errors import DamageError, DiskFullError, StartError, StorageError
from racs_server.storage import Durability, Store, care
from racs_server.storage.checksums import BLOCK
from racs_server.storage.stream import folder_name
from tests.storage.helpers import (
    STEREO,
    SURROUND,
    Clock,
    archived,
    make_open,
    noise,
    read,
    send,
    start,
)
from tests.storage.looked_after import (
    FIRST,
    HALF,
    HEADER,
    PCM,
    archive,
    file_of,
    findings,
    mend,
    rotten_audio,
)
from tests.storage.simulated import Fault, Halted, SimulatedDisk


def backed_up(
    source: SimulatedDisk, target: SimulatedDisk, now: int = 0, *, live: bool = False
) -> care.BackupReport:
    if not live:
        source.unlock()
    return care.back_up(source, target, now, care.Totals())


def restored(target: SimulatedDisk) -> Store:
    disk = SimulatedDisk()
    report = care.restore(target, disk, Clock(), care.Totals())
    assert report.findings == []
    return start(disk)


@pytest.mark.parametrize("durability", list(Durability))
def test_a_backup_beside_a_server_has_all_that_was_acknowledged(durability: Durability) -> None:
    source, target = SimulatedDisk(), SimulatedDisk()
    store = start(source, segment_bytes=3000, durability=durability)
    make_open(store, "a", "b", "empty", format_=SURROUND)
    for number in range(9):
        send(store, "a", noise(1800, number))
        send(store, "b", noise(18, number))
        if number == 4:
            store.upkeep.checkpoint()
    store.attach("b", "notes", b"abc")
    report = backed_up(source, target, live=True)
    assert (report.streams, report.findings) == (3, [])
    copy = restored(target)
    assert sorted(copy.ids()) == ["a", "b", "empty"]
    assert read(copy, "a") == b"".join(noise(1800, number) for number in range(9))
    assert read(copy, "b") == b"".join(noise(18, number) for number in range(9))
    assert copy.attachment("b", "notes") == b"abc"
    assert copy.sessions("a") == store.sessions("a")
    assert copy.info("a").ref == store.info("a").ref


def test_a_backup_while_audio_comes_between_any_two_reads() -> None:
    source, target = SimulatedDisk(), SimulatedDisk()
    store = start(source, segment_bytes=5000)
    make_open(store, "a", format_=STEREO)
    sent = [noise(1000, 0)]
    send(store, "a", sent[0])

    def meanwhile(operation: object) -> None:
        hook, source.hook = source.hook, None
        sent.append(noise(1000, len(sent)))
        send(store, "a", sent[-1])
        if len(sent) % 4 == 0:
            store.upkeep.checkpoint()
        source.hook = hook

    for now in range(3):
        before = len(b"".join(sent))
        source.hook = meanwhile
        report = backed_up(source, target, now, live=True)
        source.hook = None
        assert report.findings == []
        pcm = read(restored(target), "a")
        assert len(pcm) >= before
        assert b"".join(sent).startswith(pcm)


def test_a_second_backup_copies_only_what_is_new() -> None:
    source, target = archive("a", "b"), SimulatedDisk()
    backed_up(source, target, 0)
    store = start(source)
    archived(store, "b", noise(100, 1))
    store.close()
    report = backed_up(source, target, 1)
    assert report.kept_files == 2, "the segment of a, and its checksums"
    assert report.copied_bytes < 5 * BLOCK
    copy = restored(target)
    assert read(copy, "a") == PCM
    assert read(copy, "b") == PCM + noise(100, 1)


def test_a_deleted_stream_stays_in_the_backups_before() -> None:
    source, target = archive("a", "b"), SimulatedDisk()
    backed_up(source, target, 0)
    store = start(source)
    store.delete("a")
    store.close()
    backed_up(source, target, 1)
    assert restored(target).ids() == ["b"]


def test_a_backup_that_is_cut_off_leaves_the_one_before() -> None:
    halts = 0
    while True:
        halts += 3
        source, target = archive("a"), SimulatedDisk()
        backed_up(source, target, 0)
        store = start(source)
        archived(store, "a", noise(100, 1))
        store.close()
        target.halt_in = halts
        try:
            backed_up(source, target, 1)
        except Halted:
            target.crash(halts)
        else:
            break
        whole = read(restored(target), "a")
        assert whole in {PCM, PCM + noise(100, 1)}, halts
        target.unlock()
        backed_up(source, target, 2)
        assert read(restored(target), "a") == PCM + noise(100, 1)
    assert halts > 20


def test_a_backup_on_a_full_disk_gives_its_room_back_and_says_what_to_do() -> None:
    disk, target = archive("a", "b"), SimulatedDisk()
    backed_up(disk, target)
    before = target.contents()
    again = start(disk)
    archived(again, "b", PCM)
    target.capacity = target.used() + BLOCK
    with pytest.raises(DiskFullError, match=r"those before are as they were\. Make room"):
        backed_up(disk, target, 1)
    assert target.contents() == before


def test_a_restore_on_a_full_disk_leaves_nothing_and_says_what_to_do() -> None:
    disk, target, again = archive(), SimulatedDisk(), SimulatedDisk()
    backed_up(disk, target)
    again.capacity = 2 * BLOCK
    with pytest.raises(DiskFullError, match=r"nothing was restored\. Make room"):
        care.restore(target, again, Clock(), care.Totals())
    assert again.contents() == {}


@pytest.mark.parametrize("folder", [folder_name("a"), folder_name("a").rpartition("/")[0]])
def test_a_folder_that_cannot_be_listed_is_told_and_nothing_is_made_without_it(folder: str) -> None:
    disk = archive("a", "b")
    disk.remove(file_of("a", "stream.json"))

    def fail() -> None:
        disk.faults = [Fault("list", folder, times=1000)]

    fail()
    [finding] = findings(disk)
    assert (finding.kind, finding.file) == ("unreadable", folder)
    assert finding.why == "it cannot be read: Input/output error"
    before = disk.contents()
    for use in (mend, partial(backed_up, target=SimulatedDisk())):
        fail()
        with pytest.raises(OSError, match="Input/output"):
            use(disk)
        assert disk.contents() == before


def test_what_was_damaged_already_is_told_stays_an_error_and_is_copied_again() -> None:
    source, target = archive("a"), SimulatedDisk()
    rotten_audio(source)
    [finding] = backed_up(source, target, 0).findings
    assert (finding.kind, finding.start, finding.stop) == ("audio", HALF, 2 * HALF)
    rotten_audio(source)  # the same bit again: it is right now
    assert backed_up(source, target, 1).findings == []
    assert read(restored(target), "a") == PCM


def test_a_missing_segment_is_told_and_the_one_before_is_copied_as_it_is() -> None:
    source, target, again = SimulatedDisk(), SimulatedDisk(), SimulatedDisk()
    store = start(source, segment_bytes=BLOCK)
    make_open(store, "a")
    for number in range(3):
        send(store, "a", noise(BLOCK, number))
    store.close()
    name = file_of("a", f"{HALF:020d}.wav")
    source.remove(name)
    first = source.read(file_of("a", f"{0:020d}.wav"))
    [finding] = backed_up(source, target).findings
    assert (finding.file, finding.why) == (name, "the file is missing")
    report = care.restore(target, again, Clock(), care.Totals())
    assert [(finding.file, finding.why) for finding in report.findings] == [(name, finding.why)]
    assert again.read(file_of("a", f"{0:020d}.wav")) == first


def test_a_backup_that_rots_is_told_when_it_is_restored() -> None:
    source, target = archive("a"), SimulatedDisk()
    report = backed_up(source, target)
    target.flip(f"{report.name}/{file_of('a', FIRST)}.wav", HEADER + 5)
    disk = SimulatedDisk()
    found = care.restore(target, disk, Clock(), care.Totals()).findings
    assert [finding.kind for finding in found] == ["unreadable", "audio"]
    with pytest.raises(DamageError):
        read(start(disk), "a")


def test_a_disk_that_does_not_give_back_what_was_written_ends_the_backup() -> None:
    source, target = archive("a"), SimulatedDisk()
    target.faults.append(Fault("sync", ".wav"))
    with pytest.raises(OSError, match="Input/output"):
        backed_up(source, target)
    with pytest.raises(StartError, match="no complete backup"):
        care.restore(target, SimulatedDisk(), Clock(), care.Totals())


def test_a_restore_goes_into_an_empty_folder_only_and_may_be_begun_anew() -> None:
    source, target = archive("a"), SimulatedDisk()
    report = backed_up(source, target)
    with pytest.raises(StartError, match="is not empty"):
        care.restore(target, source, Clock(), care.Totals())
    source.unlock()
    for halts in range(1, 60, 3):
        disk = SimulatedDisk()
        disk.halt_in = halts
        with pytest.raises(Halted):
            care.restore(target, disk, Clock(), care.Totals())
        disk.crash(halts)
        with suppress(StartError):  # where it had come through before the end
            care.restore(target, disk, Clock(), care.Totals())
        assert read(start(disk), "a") == PCM
    assert report.streams == 1


def test_no_server_starts_on_a_backup() -> None:
    disk = SimulatedDisk()
    disk.put("backup.json", b"")
    with pytest.raises(StartError, match="is a backup"):
        start(disk)


def test_a_damaged_index_is_an_error() -> None:
    source, target = archive("a"), SimulatedDisk()
    report = backed_up(source, target)
    target.flip(f"{report.name}/backup.json", 20)
    with pytest.raises(StorageError, match="cannot be believed"):
        care.restore(target, SimulatedDisk(), Clock(), care.Totals())
