"""Each kind of damage has a name here, and says what was kept and what was dropped."""

import pytest

from racs_server.errors import DamageError, StorageError, StreamError
from racs_server.storage.catalog import NAME as CATALOG
from racs_server.storage.checksums import BLOCK
from racs_server.storage.stream import folder_name
from racs_server.values import AudioFormat
from tests.storage.helpers import (
    BOB,
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
from tests.storage.simulated import Fault, SimulatedDisk

HEADER = 1024


def stopped_archive(*ids: str, size: int = 4 * BLOCK) -> SimulatedDisk:
    """Return the disk of a store that was stopped in order."""
    disk = SimulatedDisk()
    store = start(disk)
    for number, stream_id in enumerate(ids):
        store.create(stream_id, MONO)
        archived(store, stream_id, noise(size, number))
    store.close()
    return disk


def file_of(stream_id: str, end: str) -> str:
    return f"{folder_name(stream_id)}/{end}"


FIRST = f"{0:020d}.wav"


# ---------------------------------------------------------------------- rotten PCM


def test_a_rotten_sample_is_an_error_that_names_stream_time_and_file() -> None:
    disk = stopped_archive("a")
    disk.flip(file_of("a", FIRST), HEADER + BLOCK + 1000)
    store = start(disk)
    with pytest.raises(DamageError) as caught:
        read(store, "a")
    text = str(caught.value)
    assert text.startswith(
        "stream 'a' is damaged from 2023-11-14T22:13:24.096Z to 2023-11-14T22:13:28.192Z"
    )
    assert "sample frames 32768 to 65536" in text
    assert FIRST in text
    assert "does not match its checksum" in text


def test_what_lies_before_and_after_a_rotten_block_can_be_read() -> None:
    disk = stopped_archive("a")
    disk.flip(file_of("a", FIRST), HEADER + BLOCK + 1000)
    store = start(disk)
    pcm = noise(4 * BLOCK)
    half = BLOCK // 2
    assert read(store, "a", 0, half) == pcm[:BLOCK]
    assert read(store, "a", 2 * half) == pcm[2 * BLOCK :]
    with pytest.raises(DamageError):
        read(store, "a", half, half + 1)
    with pytest.raises(DamageError, match="found by an earlier read"):
        store.plan("a", 0, half + 1)
    assert read(store, "a", 0, half) == pcm[:BLOCK]


def test_short_ranges_touch_only_their_own_blocks() -> None:
    disk = stopped_archive("a")
    disk.flip(file_of("a", FIRST), HEADER + BLOCK + 1000)
    store = start(disk)
    pcm = noise(4 * BLOCK)
    half = BLOCK // 2
    plan = store.plan("a", 0, 4 * half)
    around = [(0, 3), (5, 9), (half - 2, half), (2 * half, 2 * half + 1), (3 * half - 5, 4 * half)]
    expected = b"".join(pcm[2 * first : 2 * stop] for first, stop in around)
    assert b"".join(store.read_ranges(plan, around)) == expected
    with pytest.raises(DamageError, match="sample frames 32768 to 65536"):
        list(store.read_ranges(plan, [(0, 3), (half - 1, half + 1)]))


@pytest.mark.parametrize("place", [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 77, 3 * BLOCK + 99])
def test_no_rotten_bit_goes_unnoticed(place: int) -> None:
    disk = stopped_archive("a", size=3 * BLOCK + 100)
    disk.flip(file_of("a", FIRST), HEADER + place, bit=7)
    with pytest.raises(DamageError):
        read(start(disk), "a")


def test_a_rotten_header_harms_no_sample() -> None:
    disk = stopped_archive("a")
    for place in range(0, HEADER, 37):
        disk.flip(file_of("a", FIRST), place)
    store = start(disk)
    assert read(store, "a") == noise(4 * BLOCK)
    archived(store, "a", bytes(2))
    assert disk.read(file_of("a", FIRST))[:4] == b"RIFF", "written anew at the next sync"


def test_a_truncated_segment_is_damaged_where_it_ends() -> None:
    disk = stopped_archive("a")
    whole = disk.read(file_of("a", FIRST))
    disk.put(file_of("a", FIRST), whole[: HEADER + 2 * BLOCK + 10])
    store = start(disk)
    with pytest.raises(DamageError, match="the file is too short"):
        read(store, "a")
    assert read(store, "a", 0, BLOCK) == noise(4 * BLOCK)[: 2 * BLOCK]


# ---------------------------------------------------------------------- missing files


def three_segments() -> tuple[SimulatedDisk, bytes]:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=1000)
    make_open(store, "a", "b")
    send(store, "b", noise(50, 9))
    for number in range(3):
        send(store, "a", noise(1000, number))
    store.close()
    return disk, b"".join(noise(1000, number) for number in range(3))


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_segment_takes_only_its_own_audio(missing: int) -> None:
    disk, pcm = three_segments()
    disk.remove(file_of("a", f"{missing * 500:020d}.wav"))
    store = start(disk)
    for number in range(3):
        if number == missing:
            with pytest.raises(DamageError, match="missing"):
                read(store, "a", number * 500, (number + 1) * 500)
        else:
            found = read(store, "a", number * 500, (number + 1) * 500)
            assert found == pcm[number * 1000 : (number + 1) * 1000]
    with pytest.raises(DamageError):
        read(store, "a")
    assert read(store, "b") == noise(50, 9)


def test_all_segments_missing() -> None:
    disk, _ = three_segments()
    for name in files(disk, ".wav"):
        disk.remove(name)
    store = start(disk)
    with pytest.raises(DamageError, match="missing"):
        read(store, "a")
    store.open_stream("a")
    send(store, "a", noise(10, 5))
    assert read(store, "a", 1500) == noise(10, 5), "new audio keeps its place"


def test_a_damaged_checksum_makes_its_block_unreadable_but_no_other() -> None:
    disk = stopped_archive("a")
    disk.flip(file_of("a", f"{0:020d}.crc"), 16 + 4)  # the second entry
    store = start(disk)
    half = BLOCK // 2
    with pytest.raises(DamageError, match="does not match its checksum"):
        read(store, "a", half, half + 1)
    assert read(store, "a", 0, half) == noise(4 * BLOCK, 0)[:BLOCK]
    assert read(store, "a", 2 * half) == noise(4 * BLOCK, 0)[2 * BLOCK :]
    archived(store, "a", noise(1000, 1))
    assert file_of("a", f"{4 * half:020d}.wav") in files(disk), "nothing is added to such a file"


def test_a_checksum_file_of_another_length_makes_its_segment_unreadable_but_no_other() -> None:
    disk, pcm = three_segments()
    disk.flip(file_of("a", f"{500:020d}.crc"), 8 + 3)
    store = start(disk)
    with pytest.raises(DamageError, match="not as many checksums as it says"):
        read(store, "a", 600, 700)
    assert read(store, "a", 0, 500) + read(store, "a", 1000) == pcm[:1000] + pcm[2000:]


def test_checksums_that_end_within_a_sample_frame_are_an_error_from_that_frame_on() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", AudioFormat(8000, 1, 24))
    archived(store, "a", noise(300))
    store.close()
    disk.flip(file_of("a", f"{0:020d}.crc"), 8, 2)  # covers 296 bytes
    store = start(disk)
    with pytest.raises(DamageError, match="sample frames 98 to 100"):
        read(store, "a", 98)


def test_without_its_checksum_file_a_segment_is_unreadable_and_new_audio_goes_beside_it() -> None:
    disk = stopped_archive("a", size=1000)
    disk.remove(file_of("a", f"{0:020d}.crc"))
    store = start(disk)
    with pytest.raises(DamageError, match="missing"):
        read(store, "a")
    archived(store, "a", noise(1000, 1))
    assert read(store, "a", 500) == noise(1000, 1)
    assert file_of("a", f"{500:020d}.wav") in files(disk)


def test_a_foreign_file_in_a_streams_folder_is_left_alone() -> None:
    disk = stopped_archive("a", size=1000)
    disk.put(file_of("a", "notes.wav"), b"of somebody")
    disk.put("streams/.DS_Store", b"of somebody")
    disk.put(f"streams/{folder_name('a')[8:10]}/notes.txt", b"of somebody")
    store = start(disk)
    archived(store, "a", noise(10, 1))
    disk.kill()
    store = start(disk)
    assert read(store, "a") == noise(1000) + noise(10, 1)
    assert len(files(disk, "notes.wav") + files(disk, "notes.txt") + files(disk, "Store")) == 3


# ---------------------------------------------------------------------- stream.json


def test_every_flipped_bit_of_stream_json_is_found_or_harmless() -> None:
    disk = stopped_archive("a", size=100)
    size = len(disk.read(file_of("a", "stream.json")))
    for place in range(size):
        disk.flip(file_of("a", "stream.json"), place, bit=place % 8)
        store = start(disk)
        with pytest.raises(StorageError, match=r"does not match its checksum|version"):
            store.open_stream("a")
        assert read(store, "a") == noise(100)
        store.close()
        disk.flip(file_of("a", "stream.json"), place, bit=place % 8)


def test_a_damaged_stream_json_is_made_anew_by_recovery_without_its_sessions() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(100))
    store.upkeep.checkpoint()
    send(store, "a", noise(100, 1))
    disk.kill()
    disk.flip(file_of("a", "stream.json"), 30)
    store = start(disk)
    assert "stream.json of 'a'" in str(store.report)
    assert read(store, "a") == noise(100) + noise(100, 1)
    assert [session.first for session in store.sessions("a")] == [50]
    archived(store, "a", noise(10, 2))


def test_a_stream_json_of_a_later_version_is_not_guessed_at() -> None:
    disk = stopped_archive("a", size=100)
    disk.remove(CATALOG)
    text = disk.read(file_of("a", "stream.json")).replace(b'"version": 1', b'"version": 2')
    disk.put(file_of("a", "stream.json"), text)
    store = start(disk)
    assert store.ids() == []
    assert "moved to lost/" in str(store.report)
    assert [name for name in files(disk, ".wav") if name.startswith("lost/")]


# ---------------------------------------------------------------------- the catalogue


def test_a_lost_catalogue_is_made_anew_from_the_folders() -> None:
    disk = stopped_archive("a", "ü")
    disk.remove(CATALOG)
    store = start(disk)
    assert "the catalogue was made anew (it was missing)" in str(store.report)
    assert sorted(store.ids()) == ["a", "ü"]
    assert read(store, "ü") == noise(4 * BLOCK, 1)
    store.close()
    assert start(disk).report.clean


@pytest.mark.parametrize("contents", [b"garbage" * 1000, b"SQLite format 3\0" + bytes(4080)])
def test_a_catalogue_that_is_none_is_put_aside(contents: bytes) -> None:
    disk = stopped_archive("a")
    disk.put(CATALOG, contents)
    store = start(disk)
    assert "the catalogue was made anew" in str(store.report)
    assert read(store, "a") == noise(4 * BLOCK)
    assert disk.read(f"{CATALOG}.damaged")[:6] == contents[:6]


def test_every_rotten_byte_of_the_catalogue_is_found_or_harmless() -> None:
    disk = stopped_archive("a", "ü", size=100)
    size = len(disk.read(CATALOG))
    original = disk.read(CATALOG)
    for place in range(0, size, 7):
        damaged = bytearray(original)
        damaged[place] ^= 0xFF
        disk.put(CATALOG, bytes(damaged))
        store = start(disk)
        assert sorted(store.ids()) == ["a", "ü"], place
        assert (read(store, "a"), read(store, "ü")) == (noise(100), noise(100, 1))
        assert store.info("a").ref == 1_700_000_000_000
        disk.kill()
        if f"{CATALOG}.damaged" in disk.list(""):
            disk.remove(f"{CATALOG}.damaged")


def test_a_catalogue_row_of_no_folder_is_dropped_after_a_crash() -> None:
    disk = stopped_archive("a", "b")
    disk.remove_tree(folder_name("b"))
    store = start(disk)
    store.open_stream("a")
    send(store, "a", bytes(2))
    disk.kill()
    store = start(disk)
    assert store.ids() == ["a"]
    assert "the folder of stream 'b' is gone" in str(store.report)


# ---------------------------------------------------------------------- the log


def test_a_rotten_log_record_drops_what_only_the_log_knew_from_there_on() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    send(store, "b", noise(100, 1))
    mark = disk.read("log/0000000000000001.log").rstrip(b"\0")
    send(store, "a", noise(100, 2))
    send(store, "b", noise(100, 3))
    disk.kill()
    disk.flip("log/0000000000000001.log", len(mark) + 20)
    store = start(disk)
    assert "the log was torn: log/0000000000000001.log at byte" in str(store.report)
    assert (read(store, "a"), read(store, "b")) == (noise(100), noise(100, 1))


def test_folders_that_belong_to_no_stream_are_moved_out_of_the_way() -> None:
    disk = stopped_archive("a", "b", size=100)
    disk.flip(file_of("a", "stream.json"), 20)
    disk.remove(CATALOG)
    store = start(disk)
    assert store.ids() == ["b"]
    assert "belongs to no stream: moved to lost/" in str(store.report)
    assert sum(name.startswith("lost/") for name in files(disk, ".wav")) == 1
    store.create("a", STEREO)
    archived(store, "a", noise(400, 2), BOB)
    assert read(store, "a") == noise(400, 2)
    disk.kill()
    assert read(start(disk), "b") == noise(100, 1)
    assert sum(name.startswith("lost/") for name in files(disk, ".wav")) == 1


def test_an_unknown_stream_is_not_damaged_but_unknown() -> None:
    with pytest.raises(StreamError):
        start().plan("a", 0, 1)


def test_a_stream_json_that_cannot_be_read_is_told_by_all_that_need_it() -> None:
    disk = stopped_archive("a", "b")
    store = start(disk)
    store.expire("a", 3600)
    store.expire("b", 3600)
    disk.faults.append(Fault("read", file_of("a", "stream.json"), times=3))
    for call in (
        store.upkeep.checkpoint,
        lambda: store.sessions("a"),
        lambda: store.open_stream("a"),
    ):
        with pytest.raises(StorageError, match="'a'"):
            call()
    store.upkeep.checkpoint()
    disk.crash(keep="none")
    assert [start(disk).seconds_left("a")] == [3600]


def test_a_rotten_table_of_the_catalogue_is_found_out() -> None:
    disk = stopped_archive("a")
    place = bytes(disk.read(CATALOG)).index(b"serial INTEGER")
    disk.flip(CATALOG, place)
    store = start(disk)
    assert store.report.notes == [
        "the catalogue was made anew (its table is not the one that was made)"
    ]
    assert read(store, "a") == noise(4 * BLOCK, 0)


def test_a_catalogue_that_a_flipped_bit_has_made_read_only_is_made_anew() -> None:
    disk = stopped_archive("a")
    disk.flip(CATALOG, 18, 2)  # the version of the file format that is needed to write
    store = start(disk)
    assert "readonly" in str(store.report)
    archived(store, "a", noise(100, 1))
    store.close()
    assert start(disk).info("a").size == 4 * BLOCK + 100
