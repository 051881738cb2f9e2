"""The waveform file: its bytes, what becomes of a damaged one, crashes, deletion."""

from collections.abc import Sequence

import pytest
from crc32c import crc32c

from racs_server.errors import StreamError
from racs_server.storage import Store
from racs_server.storage.waveform import NAME, Waveform
from racs_server.values import StreamRange
from tests.storage.helpers import archived, files, make_open, noise, send, start
from tests.storage.simulated import SimulatedDisk

SIZE = 2


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


def opened(disk: SimulatedDisk) -> tuple[Store, Waveform, StreamRange]:
    """Return a store with a stream ``a``, and its waveform of two bytes a block."""
    store = start(disk)
    if "a" not in store.ids():
        make_open(store, "a")
        send(store, "a", noise(1000))
        store.close_stream("a")
    plan = store.plan("a", 0, 1 << 62)
    return store, store.waveform(plan, SIZE), plan


def path(disk: SimulatedDisk) -> str:
    (name,) = files(disk, NAME)
    return name


def crc(data: bytes) -> bytes:
    return crc32c(data).to_bytes(4, "little")


def read(waveform: Waveform, *numbers: int) -> bytes | None:
    found = waveform.read(numbers)
    return None if found is None else bytes(found)


def fill(waveform: Waveform, blocks: Sequence[bytes] = (b"aa", b"bb", b"cc")) -> None:
    waveform.append(0, blocks)


def test_its_bytes(disk: SimulatedDisk) -> None:
    _, waveform, plan = opened(disk)
    waveform.append(0, [b"\xaa\xbb"])
    waveform.append(1, [b"\xcc\xdd"])
    head = b"RACSPKS1" + plan.serial.to_bytes(8, "little") + b"\x02\0\0\0"
    blocks = b"\xaa\xbb" + crc(b"\xaa\xbb") + b"\xcc\xdd" + crc(b"\xcc\xdd")
    assert disk.read(path(disk)) == head + crc(head) + blocks


def test_blocks_come_back(disk: SimulatedDisk) -> None:
    _, waveform, _ = opened(disk)
    assert waveform.count() == 0
    assert read(waveform, 0) is None
    fill(waveform)
    assert waveform.count() == 3
    assert read(waveform, 2, 0) == b"ccaa"
    assert read(waveform) == b""
    assert read(waveform, 3) is None


def test_appending_twice_does_no_harm_and_a_gap_is_not_made(disk: SimulatedDisk) -> None:
    _, waveform, _ = opened(disk)
    fill(waveform)
    waveform.append(1, [b"bb"])
    waveform.append(4, [b"ee"])
    assert waveform.count() == 3
    assert read(waveform, 0, 1, 2) == b"aabbcc"


@pytest.mark.parametrize("place", [0, 9, 17, 21])
def test_a_damaged_head_is_no_file(disk: SimulatedDisk, place: int) -> None:
    _, waveform, _ = opened(disk)
    fill(waveform)
    disk.flip(path(disk), place)
    assert waveform.count() == 0
    waveform.append(0, [b"xx"])
    assert waveform.count() == 1
    assert read(waveform, 0) == b"xx"


@pytest.mark.parametrize("place", [30, 33])
def test_a_damaged_block_is_found(disk: SimulatedDisk, place: int) -> None:
    _, waveform, _ = opened(disk)
    fill(waveform)
    disk.flip(path(disk), place)
    assert read(waveform, 0) == b"aa"
    assert read(waveform, 1) is None
    assert read(waveform, 0, 1, 2) is None
    waveform.drop()
    assert waveform.count() == 0
    assert not files(disk, NAME)
    waveform.drop()


def test_a_torn_block_does_not_count(disk: SimulatedDisk) -> None:
    _, waveform, _ = opened(disk)
    fill(waveform)
    file = disk.open(path(disk))
    file.truncate(file.size() - 1)
    file.close()
    assert waveform.count() == 2
    waveform.append(2, [b"cc"])
    assert read(waveform, 0, 1, 2) == b"aabbcc"


def test_a_file_of_other_blocks_is_begun_anew(disk: SimulatedDisk) -> None:
    store, waveform, plan = opened(disk)
    fill(waveform)
    other = store.waveform(plan, 3)
    assert other.count() == 0
    other.append(0, [b"xyz"])
    assert other.count() == 1
    assert waveform.count() == 0


def test_it_goes_with_its_stream(disk: SimulatedDisk) -> None:
    store, waveform, _ = opened(disk)
    fill(waveform)
    store.delete("a")
    assert not files(disk, NAME)
    with pytest.raises(StreamError, match="no stream"):
        waveform.count()
    make_open(store, "a")
    for use in (waveform.count, waveform.settled, waveform.drop, lambda: fill(waveform)):
        with pytest.raises(StreamError, match="made anew"):
            use()
    assert not files(disk, NAME)


def test_a_start_does_not_mind_it(disk: SimulatedDisk) -> None:
    store, waveform, _ = opened(disk)
    fill(waveform)
    store.close()
    store, waveform, _ = opened(disk)
    assert store.report.clean
    assert not store.report.notes
    assert read(waveform, 0, 1, 2) == b"aabbcc"


def test_a_recovery_does_not_mind_it(disk: SimulatedDisk) -> None:
    store, waveform, _ = opened(disk)
    fill(waveform)
    make_open(store, "b")
    send(store, "b", noise(100))
    disk.kill()
    store, waveform, _ = opened(disk)
    assert not store.report.clean
    assert not store.report.notes
    assert read(waveform, 0, 1, 2) == b"aabbcc"


def test_what_is_settled(disk: SimulatedDisk) -> None:
    """Taken audio counts once no power cut takes it back."""
    store, waveform, _ = opened(disk)
    store.open_stream("a")
    send(store, "a", noise(1000))
    assert waveform.settled() == 500
    store.upkeep.checkpoint()
    assert waveform.settled() == 1000


def test_streams_that_grew_are_told_once(disk: SimulatedDisk) -> None:
    store, _, plan = opened(disk)
    assert store.grown() == [plan]
    assert store.grown() == []
    store.upkeep.checkpoint()
    assert store.grown() == []
    store.note_growth(plan)
    assert store.grown() == [plan]
    archived(store, "a", noise(1000))
    store.delete("a")
    assert store.grown() == []


def test_recovered_streams_have_grown(disk: SimulatedDisk) -> None:
    store = start(disk)
    make_open(store, "a")
    send(store, "a", noise(1000))
    disk.kill()
    (plan,) = start(disk).grown()
    assert (plan.stream_id, plan.frames) == ("a", 500)
