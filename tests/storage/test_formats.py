"""Every byte format of the data folder, pinned by bytes written by hand."""

import io
import json

import numpy as np
import pytest
import soundfile
from crc32c import crc32c

from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.log import CommitLog, LogReader
from racs_server.storage.records import (
    OPEN,
    Appended,
    Closed,
    Created,
    Deleted,
    Expires,
    Opened,
)
from racs_server.storage.stream import folder_name
from racs_server.values import AudioFormat
from tests.storage.helpers import ALICE, MONO, START, archived, files, make_open, noise, send, start
from tests.storage.simulated import SimulatedDisk


def little(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def checked(body: bytes) -> bytes:
    return body + little(crc32c(body))


# ---------------------------------------------------------------------- the commit log


def test_a_log_file_starts_with_its_number_and_holds_records() -> None:
    disk = SimulatedDisk()
    disk.make_folder("log")
    log = CommitLog(disk, sequence=1, size=128)
    log.room(100)
    log.add(OPEN, little(7, 8) + little(1000, 8))
    log.flush()

    header = checked(b"RACSLOG1" + bytes.fromhex("01 00 00 00 00 00 00 00") + bytes(12))
    payload = bytes.fromhex("07 00 00 00 00 00 00 00  e8 03 00 00 00 00 00 00")
    check = little(crc32c(bytes.fromhex("01 00 00 00 00 00 00 00  02") + payload))
    record = bytes.fromhex("10 00 00 00") + check + b"\x02" + payload
    contents = disk.read("log/0000000000000001.log")
    assert contents == (header + record).ljust(32 + 100 + 17, b"\0")
    assert list(LogReader(disk)) == [Opened(7, 1000)]


def two_log_files() -> SimulatedDisk:
    """Return a disk with an OPEN of stream 7 in one file, and one of stream 8 in the next."""
    disk = SimulatedDisk()
    disk.make_folder("log")
    log = CommitLog(disk, sequence=1, size=128)
    for serial in (7, 8):
        log.room(25)
        log.add(OPEN, little(serial, 8) + little(1000, 8))
        log.flush()
        if serial == 7:
            log.rotate()
    return disk


def test_a_log_file_says_in_which_one_the_log_goes_on() -> None:
    disk = two_log_files()
    payload = little(2, 8)
    check = little(crc32c(little(1, 8) + b"\x08" + payload))
    first = disk.read("log/0000000000000001.log")
    assert first[32 + 25 :].rstrip(b"\0") == (little(8, 4) + check + b"\x08" + payload).rstrip(
        b"\0"
    )
    reader = LogReader(disk)
    assert list(reader) == [Opened(7, 1000), Opened(8, 1000)]
    assert reader.torn is None


@pytest.mark.parametrize("lost", ["the end of a file", "a file"])
def test_what_follows_a_lost_part_of_the_log_is_not_believed(lost: str) -> None:
    disk = two_log_files()
    if lost == "a file":
        disk.rename("log/0000000000000002.log", "log/0000000000000003.log")
    else:
        disk.open("log/0000000000000001.log").truncate(32 + 25)
    reader = LogReader(disk)
    assert list(reader) == [Opened(7, 1000)]
    assert reader.torn is not None
    assert "the end of the file before it is missing" in reader.torn
    assert reader.dropped_bytes > 0


def log_file(*records: tuple[int, bytes], number: int = 1) -> bytes:
    """Return a log file, made as the format's table says."""
    contents = checked(b"RACSLOG1" + little(number, 8) + bytes(12))
    for type_, payload in records:
        check = crc32c(little(number, 8) + bytes([type_]) + payload)
        contents += little(len(payload)) + little(check) + bytes([type_]) + payload
    return contents


RECORDS = [
    (
        1,
        little(7, 8) + little(9, 8) + little(44_100) + little(2, 2) + little(24, 2) + b"\xc3\xbc",
        Created(7, 9, 44_100, 2, 24, "ü"),
    ),
    (2, little(7, 8) + little(9, 8), Opened(7, 9)),
    (
        3,
        little(7, 8) + little(9, 8) + little(100, 8) + little(2) + little(0xCAFE) + ALICE,
        Appended(7, 9, 100, 2, 0xCAFE, ALICE),
    ),
    (
        4,
        little(7, 8) + little(9, 8) + little(100, 8) + little(2) + little(0xCAFE) + ALICE + b"pcm!",
        Appended(7, 9, 100, 2, 0xCAFE, ALICE, b"pcm!"),
    ),
    (5, little(7, 8) + little(9, 8) + little(102, 8), Closed(7, 9, 102)),
    (6, little(7, 8) + little(9, 8), Deleted(7, 9)),
    (7, little(7, 8) + little(9, 8) + little(3600, 8), Expires(7, 9, 3600)),
    (7, little(7, 8) + little(9, 8) + b"\xff" * 8, Expires(7, 9, -1)),
]


def read_log(contents: bytes) -> tuple[list[object], LogReader]:
    disk = SimulatedDisk()
    disk.make_folder("log")
    disk.put("log/0000000000000001.log", contents)
    reader = LogReader(disk)
    return list(reader), reader


def test_every_record_is_read_as_it_is_written_down() -> None:
    found, reader = read_log(log_file(*[(type_, payload) for type_, payload, _ in RECORDS]))
    assert found == [record for _, _, record in RECORDS]
    assert reader.torn is None


def test_a_torn_record_ends_the_log_and_says_where() -> None:
    whole = log_file(*[(type_, payload) for type_, payload, _ in RECORDS[:2]])
    for kept in range(len(whole) - 25, len(whole)):
        found, reader = read_log(whole[:kept].ljust(500, b"\0"))
        assert found in ([RECORDS[0][2]], [RECORDS[0][2], RECORDS[1][2]])
        if len(found) == 1 and kept > len(whole) - 25:
            assert reader.torn is not None
            assert "0000000000000001.log at byte" in reader.torn


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_is_found(bit: int) -> None:
    records = [(type_, payload) for type_, payload, _ in RECORDS]
    whole = log_file(*records)
    expected = [record for _, _, record in RECORDS]
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        found, reader = read_log(bytes(damaged) + bytes(64))
        assert found == expected[: len(found)]
        assert len(found) < len(expected)
        assert reader.torn is not None
        assert reader.dropped_bytes > 0


def test_a_record_of_another_log_file_is_not_taken_for_one_of_this() -> None:
    stale = log_file((2, RECORDS[1][1]), number=9)[32:]
    found, reader = read_log(log_file(number=1) + stale)
    assert found == []
    assert reader.torn == "log/0000000000000001.log at byte 32: the record does not check"


def test_a_record_of_an_unknown_type_ends_the_log() -> None:
    found, reader = read_log(log_file((2, RECORDS[1][1]), (99, b"?"), (2, RECORDS[1][1])))
    assert found == [Opened(7, 9)]
    assert reader.torn is not None
    assert "there is no record type 99" in reader.torn


def test_what_lies_behind_a_tear_is_not_read_in_later_files_either() -> None:
    disk = SimulatedDisk()
    disk.make_folder("log")
    disk.put("log/0000000000000001.log", log_file((2, RECORDS[1][1]))[:-1])
    disk.put("log/0000000000000002.log", log_file((6, RECORDS[5][1]), number=2))
    disk.put("log/notes.txt", b"of somebody")
    reader = LogReader(disk)
    assert list(reader) == []
    assert reader.next_sequence == 3
    assert reader.dropped_bytes > 32


# ---------------------------------------------------------------------- checksums


def test_a_checksum_file_is_as_it_is_written_down() -> None:
    sums = Checksums()
    sums.extend(bytes.fromhex("01 00 ff ff"))
    body = b"RACSCRC1" + bytes.fromhex("04 00 00 00 00 00 00 00")
    assert sums.dump() == checked(body + little(crc32c(bytes.fromhex("01 00 ff ff"))))
    assert Checksums().dump() == checked(b"RACSCRC1" + bytes(8))


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 9])
@pytest.mark.parametrize("step", [1000, BLOCK, BLOCK * 2 + 1])
def test_checksums_do_not_depend_on_how_the_bytes_came(size: int, step: int) -> None:
    pcm = noise(size)
    sums = Checksums()
    for offset in range(0, size, step):
        sums.extend(pcm[offset : offset + step])
    blocks = [crc32c(pcm[at : at + BLOCK]) for at in range(0, size, BLOCK)]
    assert sums.snapshot(0, len(blocks)) == blocks
    loaded = Checksums.load(sums.dump())
    assert (loaded.covered, loaded.snapshot(0, len(blocks))) == (size, blocks)


def test_a_damaged_checksum_file_is_refused() -> None:
    sums = Checksums()
    sums.extend(noise(BLOCK + 5))
    whole = sums.dump()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        with pytest.raises(ValueError, match="checksum file is damaged itself"):
            Checksums.load(bytes(damaged))
    for size in (0, 3, 19, len(whole) - 1):
        with pytest.raises(ValueError, match="damaged"):
            Checksums.load(whole[:size])
    with pytest.raises(ValueError, match="not as many"):
        Checksums.load(checked(whole[:-8]))


# ---------------------------------------------------------------------- stream.json


def test_stream_json_is_plain_json_sealed_with_its_own_checksum() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "ü", format_=AudioFormat(44_100, 2, 16))
    send(store, "ü", bytes(8))
    store.close_stream("ü")
    text = (
        "{\n"
        ' "version": 1,\n'
        ' "id": "ü",\n'
        f' "serial": {START * 1000},\n'
        ' "sample_rate": 44100,\n'
        ' "channels": 2,\n'
        ' "bit_depth": 16,\n'
        f' "created": {START},\n'
        f' "ref": {START},\n'
        ' "frames": 2,\n'
        f' "appended": {START},\n'
        ' "expiry": -1,\n'
        ' "sessions": [\n'
        "  [\n"
        '   "11111111111111111111111111111111",\n'
        "   0,\n"
        f"   {START},\n"
        f"   {START}\n"
        "  ]\n"
        " ]"
    ).encode()
    check = crc32c(text + b"\n}")
    contents = disk.read(f"{folder_name('ü')}/stream.json")
    assert contents == text + f',\n "crc32c": "{check:08x}"\n}}\n'.encode()
    assert json.loads(contents)["id"] == "ü"


# ---------------------------------------------------------------------- segments


def test_the_header_of_a_stereo_segment() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "chopin", format_=AudioFormat(44_100, 2, 16))
    send(store, "chopin", bytes.fromhex("01 00 ff ff 02 00 fe ff"))
    store.close_stream("chopin")
    (name,) = files(disk, ".wav")
    wav = disk.read(name)
    assert name.endswith("/00000000000000000000.wav")
    assert wav[:36] == bytes.fromhex(
        "52494646 00040000 57415645  666d7420 100000000100 0200 44ac0000 10b10200 0400 1000"
    )
    assert wav[36:44] == b"bext" + little(602)
    assert wav[44:300] == b"chopin".ljust(256, b"\0")
    assert wav[300:332] == b"racs".ljust(32, b"\0")
    assert wav[332:364] == f"{START * 1000:020d}".encode().ljust(32, b"\0")
    assert wav[364:382] == b"2023-11-1422:13:20"
    since_midnight = (22 * 3600 + 13 * 60 + 20) * 44_100
    assert wav[382:392] == little(since_midnight, 8) + little(1, 2)
    assert wav[392:646] == bytes(254)
    assert wav[646:654] == b"JUNK" + little(1016 - 654)
    assert wav[1016:] == b"data" + little(8) + bytes.fromhex("01 00 ff ff 02 00 fe ff")


def test_more_than_two_channels_have_an_extensible_header() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "surround", format_=AudioFormat(48_000, 3, 24))
    send(store, "surround", bytes(9))
    store.close_stream("surround")
    wav = disk.read(files(disk, ".wav")[0])
    assert wav[12:60] == b"fmt " + bytes.fromhex(
        "28000000 feff 0300 80bb0000 80970600 0900 1800"
        "1600 1800 00000000 0100000000001000800000aa00389b71"
    )
    assert wav[1016:] == b"data" + little(9) + bytes(9) + b"\0", "padded to an even size"
    assert wav[4:8] == little(len(wav) - 8)


def test_a_later_segment_states_its_own_time() -> None:
    disk = SimulatedDisk()
    store = start(disk, segment_bytes=8000)
    make_open(store, "a", format_=MONO)
    send(store, "a", noise(16_000))
    send(store, "a", noise(20))
    store.close_stream("a")
    wav = disk.read(files(disk, "00000000000000008000.wav")[0])
    since_midnight = (22 * 3600 + 13 * 60 + 21) * 8000
    assert wav[364:390] == b"2023-11-1422:13:21" + little(since_midnight, 8)


@pytest.mark.parametrize("channels", [1, 2, 3, 32])
@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize("frames", [1, 7, 4000])
def test_other_programs_open_the_segments(channels: int, depth: int, frames: int) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    format_ = AudioFormat(48_000, channels, depth)
    store.create("a", format_)
    pcm = noise(frames * format_.frame_bytes)
    archived(store, "a", pcm)
    wav = disk.read(files(disk, ".wav")[0])
    assert len(wav) == SEGMENT_HEADER + len(pcm) + len(pcm) % 2
    with soundfile.SoundFile(io.BytesIO(wav)) as file:
        assert (file.samplerate, file.channels, file.subtype) == (48_000, channels, f"PCM_{depth}")
        found = file.read(dtype="int32", always_2d=True)
    raw = np.frombuffer(pcm, np.uint8).reshape(frames, channels, depth // 8)
    padded = np.concatenate([np.zeros((frames, channels, 4 - depth // 8), np.uint8), raw], axis=2)
    assert np.array_equal(found, padded.view("<i4")[:, :, 0])
