"""Files that belong to a stream: their bytes, what keeps them safe, what cannot break out."""

import pytest
from crc32c import crc32c

from racs_server.errors import DamageError, LimitError, RequestError, StorageError, StreamError
from racs_server.storage import MAX_ATTACHMENT
from racs_server.storage.stream import folder_name
from tests.storage.helpers import MONO, archived, files, make_open, noise, send, start
from tests.storage.simulated import Fault, SimulatedDisk


def test_the_bytes_of_its_file() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.attach("a", "é", b"abc")
    [path] = [name for name in files(disk) if "/attachments/" in name]
    head = bytes.fromhex("52 41 43 53 41 54 54 31  03 00 00 00 00 00 00 00")
    head += crc32c(b"abc").to_bytes(4, "little") + bytes.fromhex("02 00  c3 a9")
    assert crc32c(b"abc").to_bytes(4, "little").hex(" ") == "b7 3f 4b 36"
    assert disk.read(path) == head + crc32c(head).to_bytes(4, "little") + b"abc"
    assert path == f"{folder_name('a')}/attachments/{path[-32:]}"


def test_what_is_attached_comes_back() -> None:
    store = start()
    store.create("a", MONO)
    assert store.attachments("a") == []
    store.attach("a", "run.json", b"{}")
    store.attach("a", "original.mp3", data := noise(100_000))
    store.attach("a", "run.json", b"{1}")
    store.attach("a", "empty", b"")
    assert store.attachments("a") == ["empty", "original.mp3", "run.json"]
    assert store.attachment("a", "original.mp3") == data
    assert store.attachment("a", "run.json") == b"{1}"
    assert store.attachment("a", "empty") == b""


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "..", "a/b", "x" * 255, "ü" * 127])
def test_no_name_leaves_the_folder(name: str) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.attach("a", name, b"abc")
    assert store.attachment("a", name) == b"abc"
    assert store.attachments("a") == [name]
    inside = f"{folder_name('a')}/attachments/"
    assert len([path for path in files(disk) if path.startswith(inside)]) == 1


def test_what_cannot_be_attached() -> None:
    store = start()
    store.create("a", MONO)
    for name in ("", "x" * 256, "a\nb", "\0"):
        with pytest.raises(RequestError, match="file name"):
            store.attach("a", name, b"abc")
    with pytest.raises(LimitError, match="100 MiB"):
        store.check_attachment("a", "x", MAX_ATTACHMENT + 1)
    with pytest.raises(StreamError, match="there is no stream 'b'"):
        store.attach("b", "x", b"abc")
    with pytest.raises(StreamError, match="has no attachment 'x'"):
        store.attachment("a", "x")


@pytest.mark.parametrize("keep", ["none", "all", "some"])
def test_it_is_durable_once_it_is_attached(keep: str) -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.attach("a", "run.json", data := noise(5000))
    disk.crash(seed=3, keep=keep)
    store = start(disk)
    assert store.attachment("a", "run.json") == data
    archived(store, "a", noise(20))
    assert store.attachments("a") == ["run.json"]


def test_one_that_the_disk_does_not_take_leaves_the_old_one() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.attach("a", "run.json", b"old")
    disk.faults.append(Fault("replace", "attachments"))
    disk.faults.append(Fault("write", "attachments"))
    disk.faults.append(Fault("sync", "attachments"))
    with pytest.raises(StorageError, match="was not attached"):
        store.attach("a", "run.json", b"new")
    assert store.attachment("a", "run.json") == b"old"


def test_damage_is_found() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.attach("a", "run.json", b"abc")
    [path] = [name for name in files(disk) if "/attachments/" in name]
    for place in range(len(disk.read(path))):
        disk.flip(path, place)
        with pytest.raises(DamageError, match=r"run\.json"):
            store.attachment("a", "run.json")
        disk.flip(path, place)
    assert store.attachment("a", "run.json") == b"abc"


def test_they_go_with_their_stream() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    store.attach("a", "run.json", b"abc")
    store.delete("a")
    assert [name for name in files(disk) if "attachments" in name] == []
    store.create("a", MONO)
    assert store.attachments("a") == []


def test_a_second_attempt_makes_durable_what_the_first_has_begun() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    disk.faults.append(Fault("sync_folder", "/attachments"))
    with pytest.raises(StorageError, match="not attached"):
        store.attach("a", "notes", b"first")
    store.attach("a", "notes", b"second")
    disk.crash(keep="none")
    assert start(disk).attachment("a", "notes") == b"second"


def test_attaching_stores_nothing_that_the_log_could_not_take() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a")
    store.upkeep.checkpoint()
    disk.faults.append(Fault("write", "log/"))
    with pytest.raises(StorageError, match="commit log"):
        send(store, "a", noise(100))
    store.attach("a", "notes", b"abc")
    disk.crash(keep="none")
    store = start(disk)
    assert store.attachment("a", "notes") == b"abc"
    assert store.info("a").size == 0
    assert store.sessions("a") == []
