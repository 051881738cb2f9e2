"""Looking after an archive: damage is found, named, and mended without losing audio."""

from collections.abc import Callable

import pytest

from racs_server.errors import DamageError, StartError
from racs_server.storage.catalog import NAME as CATALOG
from racs_server.storage.checksums import BLOCK
from racs_server.storage.stream import folder_name
from tests.storage.helpers import (
    MONO,
    SURROUND,
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
    kinds,
    lost,
    mend,
    new_findings,
    rotten_audio,
)
from tests.storage.simulated import Halted, SimulatedDisk

# ---------------------------------------------------------------------- each kind of damage


def rotten_checksums(disk: SimulatedDisk) -> None:
    disk.flip(file_of("a", f"{FIRST}.crc"), 16 + 4)


def missing_checksums(disk: SimulatedDisk) -> None:
    disk.remove(file_of("a", f"{FIRST}.crc"))


def rotten_header(disk: SimulatedDisk) -> None:
    disk.flip(file_of("a", f"{FIRST}.wav"), 24)


def rotten_manifest(disk: SimulatedDisk) -> None:
    disk.flip(file_of("a", "stream.json"), 30)


def missing_catalogue(disk: SimulatedDisk) -> None:
    disk.remove(CATALOG)


def stray_folder(disk: SimulatedDisk) -> None:
    disk.make_folder(folder_name("stray"))
    disk.put(file_of("stray", "something"), b"1")


def cut_audio(disk: SimulatedDisk) -> None:
    name = file_of("a", f"{FIRST}.wav")
    disk.put(name, disk.read(name)[: HEADER + 3 * BLOCK + 10])


def missing_audio(disk: SimulatedDisk) -> None:
    disk.remove(file_of("a", f"{FIRST}.wav"))
    disk.remove(file_of("a", f"{FIRST}.crc"))


@pytest.mark.parametrize(
    ("damage", "kind", "unreadable"),
    [
        (rotten_audio, "audio", (HALF, 2 * HALF)),
        (rotten_checksums, "checksums", None),
        (missing_checksums, "checksums", None),
        (rotten_header, "header", None),
        (rotten_manifest, "stream.json", None),
        (missing_catalogue, "catalogue", None),
        (stray_folder, "folder", None),
        (cut_audio, "audio", (3 * HALF, 4 * HALF)),
        (missing_audio, "audio", (0, 4 * HALF)),
    ],
)
def test_damage_is_found_then_mended_and_all_that_is_right_can_be_read(
    damage: Callable[[SimulatedDisk], None], kind: str, unreadable: tuple[int, int] | None
) -> None:
    disk = archive("a", "b")
    assert findings(disk) == []
    damage(disk)
    before = disk.contents()
    assert kinds(disk) == [kind]
    mend(disk, dry_run=True)
    assert disk.contents() == before, "a dry run changes nothing"
    mend(disk)
    assert new_findings(disk) == []
    store = start(disk)
    assert sorted(store.ids()) == ["a", "b"]
    assert read(store, "b") == PCM
    begin, end = unreadable or (4 * HALF, 4 * HALF)
    assert read(store, "a", 0, begin) == PCM[: 2 * begin]
    assert read(store, "a", end) == PCM[2 * end :]
    if unreadable:
        with pytest.raises(DamageError):
            read(store, "a", begin, end)
    archived(store, "a", noise(100, 1))
    assert read(store, "a", 4 * HALF) == noise(100, 1), "it goes on"


def test_damaged_audio_is_named_by_stream_time_frames_and_file() -> None:
    disk = archive()
    rotten_audio(disk)
    [finding] = findings(disk)
    assert str(finding) == (
        "audio: stream 'a' from 2023-11-14T22:13:24.096Z to 2023-11-14T22:13:28.192Z (sample frames"
        f" 32768 to 65536) in {file_of('a', FIRST)}.wav: the PCM does not match its checksum"
    )


def test_damaged_audio_is_set_down_as_it_was_found_and_stays_where_it_is() -> None:
    disk = archive()
    rotten_audio(disk)
    found = disk.read(file_of("a", f"{FIRST}.wav"))[HEADER + BLOCK : HEADER + 2 * BLOCK]
    mend(disk)
    assert list(lost(disk).values()) == [found]
    assert disk.read(file_of("a", f"{FIRST}.wav"))[HEADER + BLOCK : HEADER + 2 * BLOCK] == found
    [finding] = findings(disk)
    assert finding.known
    disk.flip(file_of("a", f"{FIRST}.wav"), HEADER + BLOCK + 2000)
    assert [finding.known for finding in findings(disk)] == [False], "other damage is new"


def test_a_damaged_block_between_sample_frames_is_set_down_too() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", SURROUND)
    archived(store, "a", noise(18 * 20_000))
    store.close()
    rotten_audio(disk)
    mend(disk)
    assert [finding.known for finding in findings(disk)] == [True]


def test_what_a_damaged_checksum_does_not_prove_is_told_for_ever() -> None:
    disk = archive()
    old = disk.read(file_of("a", f"{FIRST}.crc"))
    rotten_checksums(disk)
    mend(disk)
    [finding] = findings(disk)
    assert (finding.kind, finding.start, finding.stop) == ("unproven", HALF, 2 * HALF)
    assert disk.read(file_of("a", f"{FIRST}.crc")) == old, "the audio was right after all"
    [kept] = lost(disk).values()
    assert len(kept) == len(old)


def test_audio_that_rots_with_its_checksum_file_lost_is_unproven_all_of_it() -> None:
    disk = archive()
    missing_checksums(disk)
    mend(disk)
    found = findings(disk)
    assert {finding.kind for finding in found} == {"unproven"}
    assert (found[0].start, found[-1].stop) == (0, 4 * HALF)


def test_a_stream_json_is_made_anew_from_the_catalogue_or_else_from_the_segments() -> None:
    for drop in (False, True):
        disk = archive()
        rotten_manifest(disk)
        if drop:
            disk.remove(CATALOG)
        mend(disk)
        store = start(disk)
        assert read(store, "a") == PCM
        info = store.info("a")
        assert (info.format, info.ref) == (MONO, 1_700_000_000_000)
        assert store.sessions("a") == []
        assert any(name.startswith("lost/streams/") for name in lost(disk))


def test_without_a_checksum_file_the_whole_segment_is_one_unproven_range() -> None:
    disk = archive()
    missing_checksums(disk)
    assert mend(disk)[0] == "made anew from what the disk holds"
    [finding] = findings(disk)
    assert (finding.kind, finding.start, finding.stop) == ("unproven", 0, 4 * HALF)
    assert finding.why == "no checksum proves it, its file was missing"


def test_a_missing_stream_json_is_called_missing() -> None:
    disk = archive()
    disk.remove(file_of("a", "stream.json"))
    [finding] = findings(disk)
    assert (finding.kind, finding.why) == ("stream.json", "it is missing")
    assert mend(disk)[0] == "made anew without its sessions"
    rotten_manifest(disk)
    [finding] = findings(disk)
    assert finding.why == "it does not match its checksum"


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_segment_is_told_by_its_own_name_and_the_one_before_is_whole(
    missing: int,
) -> None:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=BLOCK)
    make_open(store, "a")
    for number in range(3):
        send(store, "a", noise(BLOCK, number))
    store.close()
    name = f"{missing * HALF:020d}.wav"
    disk.remove(file_of("a", name))
    before = disk.read(file_of("a", f"{(missing - 1) * HALF:020d}.wav"))
    [finding] = findings(disk)
    assert finding.kind == "audio"
    assert finding.file == file_of("a", name)
    assert (finding.start, finding.stop) == (missing * HALF, (missing + 1) * HALF)
    assert finding.why == "the file is missing"
    mend(disk)
    assert disk.read(file_of("a", f"{(missing - 1) * HALF:020d}.wav")) == before
    assert [finding.known for finding in findings(disk)] == [True]
    disk.flip(file_of("a", f"{(missing - 1) * HALF:020d}.wav"), 24)
    mend(disk)
    assert disk.read(file_of("a", f"{(missing - 1) * HALF:020d}.wav")) == before


def test_a_damaged_attachment_is_moved_aside() -> None:
    disk = archive()
    store = start(disk)
    store.attach("a", "notes", b"abc")
    store.close()
    [name] = [name for name in disk.contents() if "/attachments/" in name]
    disk.flip(name, 32)
    whole = disk.read(name)
    assert kinds(disk) == ["attachment"]
    mend(disk)
    assert new_findings(disk) == []
    assert list(lost(disk).values()) == [whole]


def crashed() -> SimulatedDisk:
    """Return the disk of a store that was killed while a stream was open."""
    disk = archive()
    store = start(disk)
    store.open_stream("a")
    for number in range(5):
        send(store, "a", noise(1000, number + 1))
    disk.kill()
    return disk


def test_a_kill_is_no_damage() -> None:
    disk = crashed()
    assert findings(disk) == []
    mend(disk)
    assert read(start(disk), "a") == PCM + b"".join(noise(1000, n + 1) for n in range(5))


def test_a_rotten_log_is_found_and_what_it_does_not_prove_any_more_is_kept_aside() -> None:
    disk = crashed()
    [log] = [name for name in disk.contents() if name.startswith("log/")]
    disk.flip(log, 32 + 25 + 30)  # in the first append
    assert "log" in kinds(disk)
    mend(disk)
    assert new_findings(disk) == []
    kept = lost(disk)
    assert f"lost/{log}" in kept
    tail = next(data for name, data in kept.items() if name.startswith("lost/tails/"))
    assert tail == b"".join(noise(1000, n + 1) for n in range(5))
    assert read(start(disk), "a") == PCM


def test_audio_that_rots_before_it_is_settled_is_found_by_the_log() -> None:
    disk = crashed()
    disk.flip(file_of("a", f"{FIRST}.wav"), HEADER + 4 * BLOCK + 2500)
    [finding] = findings(disk)
    assert (finding.kind, finding.start, finding.stop) == ("tail", 4 * HALF + 1000, 4 * HALF + 1500)
    mend(disk)
    assert read(start(disk), "a") == PCM + noise(1000, 1) + noise(1000, 2)
    assert [len(data) for data in lost(disk).values()] == [3000]


# ---------------------------------------------------------------------- a server is running


def test_a_server_may_go_on_while_all_is_read() -> None:
    disk = archive()
    store = start(disk)
    store.open_stream("a")
    send(store, "a", noise(1000, 1))
    assert findings(disk, live=True) == []
    disk.flip(file_of("a", f"{FIRST}.wav"), HEADER + 4 * BLOCK + 5)
    assert [finding.kind for finding in findings(disk, live=True)] == ["tail"]


def test_a_repair_beside_a_server_is_refused() -> None:
    disk = archive()
    start(disk)
    with pytest.raises(StartError):
        mend(disk)


def test_appends_and_checkpoints_between_any_two_reads_look_like_no_damage() -> None:
    disk = archive()
    store = start(disk, segment_bytes=5000)
    make_open(store, "b")
    number = 0

    def meanwhile(operation: object) -> None:
        nonlocal number
        hook, disk.hook = disk.hook, None
        number += 1
        send(store, "b", noise(999 * 2, number))
        if number % 3 == 0:
            store.upkeep.checkpoint()
        disk.hook = hook

    disk.hook = meanwhile
    assert findings(disk, live=True) == []
    assert number > 10


# ---------------------------------------------------------------------- repairs that are cut off


@pytest.mark.parametrize("damage", [rotten_audio, rotten_checksums, rotten_manifest, cut_audio])
def test_a_repair_that_a_power_cut_ends_is_begun_anew(
    damage: Callable[[SimulatedDisk], None],
) -> None:
    halts = 0
    while True:
        halts += 1
        disk = archive()
        damage(disk)
        disk.halt_in = halts
        try:
            mend(disk)
        except Halted:
            disk.crash(halts)
            mend(disk)
        else:
            break
        assert new_findings(disk) == [], halts
        store = start(disk)
        assert read(store, "a", 0, HALF) == PCM[:BLOCK], halts
        assert read(store, "a", 2 * HALF, 3 * HALF) == PCM[2 * BLOCK : 3 * BLOCK], halts
    assert halts > 20
