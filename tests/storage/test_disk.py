"""What the store relies on from a disk, asked of the real one and of the simulated one alike."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from racs_server.errors import StartError
from racs_server.storage import Disk, FileSystem
from racs_server.storage.fs import Buffer
from tests.storage.helpers import MONO, Clock, archived, noise, read, start
from tests.storage.simulated import Fault, SimulatedDisk


@pytest.fixture(params=["real", "simulated"])
def fs(request: pytest.FixtureRequest, tmp_path: Path) -> FileSystem:
    return Disk(tmp_path / "data") if request.param == "real" else SimulatedDisk()


def contents(fs: FileSystem, name: str) -> bytes:
    return fs.read(name)


def test_parts_are_written_one_after_another(fs: FileSystem) -> None:
    file = fs.open("a", create=True)
    file.write([b"0123", bytearray(b"45"), memoryview(b"6789")], 3)
    file.write([b"x"], 4)
    assert contents(fs, "a") == b"\0\0\0" + b"0x23456789"
    assert file.size() == 13
    many = [bytes([number % 251]) * (number % 5) for number in range(3000)]
    file.write(many, 0)
    assert contents(fs, "a")[: file.size()] == b"".join(many)
    file.close()


def test_reading_stops_at_the_end_of_the_file(fs: FileSystem) -> None:
    file = fs.open("a", create=True)
    file.write([b"0123456789"], 0)
    buffer = memoryview(bytearray(8))
    assert file.read_into(buffer, 1) == 8
    assert bytes(buffer) == b"12345678"
    assert file.read_into(buffer, 7) == 3
    assert file.read_into(buffer, 50) == 0
    file.close()


def test_a_file_is_cut_lengthened_and_allocated(fs: FileSystem) -> None:
    file = fs.open("a", create=True)
    file.write([b"0123456789"], 0)
    file.truncate(4)
    file.truncate(6)
    assert contents(fs, "a") == b"0123\0\0"
    file.allocate(10)
    file.allocate(3)
    assert contents(fs, "a") == b"0123\0\0\0\0\0\0"
    file.sync()
    file.close()


def test_a_file_that_is_not_there(fs: FileSystem) -> None:
    for act in (fs.open, fs.read, fs.remove, fs.remove_tree, fs.sync_folder):
        with pytest.raises(FileNotFoundError):
            act("nothing")
    with pytest.raises(FileNotFoundError):
        fs.rename("nothing", "something")
    assert fs.list("nothing") == []


def test_folders_are_made_listed_moved_and_removed(fs: FileSystem) -> None:
    assert fs.make_folder("a/b")
    assert not fs.make_folder("a/b")
    assert not fs.make_folder("a")
    fs.replace("a/b/file", b"contents")
    fs.rename("a/b", "c")
    fs.sync_folder("")
    assert (fs.list("a"), fs.list("c"), fs.read("c/file")) == ([], ["file"], b"contents")
    fs.make_folder("c/d/e")
    fs.remove_tree("c")
    assert fs.list("c") == []
    assert "c" not in fs.list("")


def test_a_file_is_replaced_as_a_whole(fs: FileSystem) -> None:
    for text in (b"one", b"a longer one", b""):
        fs.replace("file", text)
        assert fs.read("file") == text
    assert fs.list("") == ["file"]


def test_an_open_file_outlives_its_name(fs: FileSystem) -> None:
    fs.replace("file", b"contents")
    file = fs.open("file")
    fs.remove("file")
    buffer = memoryview(bytearray(8))
    assert file.read_into(buffer, 0) == 8
    file.close()


def test_a_database_keeps_what_was_committed(fs: FileSystem) -> None:
    database = fs.database("db.sqlite")
    database.execute("CREATE TABLE t (x)")
    database.execute("BEGIN")
    database.execute("INSERT INTO t VALUES (7)")
    database.execute("COMMIT")
    database.close()
    database = fs.database("db.sqlite")
    assert database.execute("SELECT x FROM t").fetchall() == [(7,)]
    database.close()


def test_a_folder_has_one_owner_at_a_time(fs: FileSystem) -> None:
    fs.lock()
    other = Disk(Path(fs.describe())) if isinstance(fs, Disk) else fs
    with pytest.raises(StartError, match="in use by another server"):
        other.lock()
    fs.unlock()
    other.lock()
    other.unlock()


def test_a_second_store_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    store = start(Disk(tmp_path), sync_threads=2)
    store.create("a", MONO)
    with pytest.raises(StartError, match=f"process {os.getpid()}"):
        start(Disk(tmp_path))
    archived(store, "a", noise(100))
    store.close()
    store = start(Disk(tmp_path))
    assert read(store, "a") == noise(100)
    store.close()


CHILD = """
import sys
from pathlib import Path
from racs_server.storage import Disk
disk = Disk(Path(sys.argv[1]))
disk.lock()
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_folder_that_another_process_has_is_free_once_that_one_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"locked\n"
        with pytest.raises(StartError, match=f"process {child.pid}"):
            start(Disk(tmp_path), Clock())
        child.send_signal(signal.SIGKILL)
        child.wait()
    store = start(Disk(tmp_path))
    assert store.ids() == []
    store.close()


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_short_write_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    pwrite = os.pwrite

    def short_pwrite(fd: int, data: Buffer, offset: int) -> int:
        return pwrite(fd, bytes(data)[:step], offset)

    def short_pwritev(fd: int, parts: Sequence[Buffer], offset: int) -> int:
        return pwrite(fd, b"".join(parts)[:step], offset)

    file = Disk(tmp_path).open("a", create=True)
    monkeypatch.setattr(os, "pwrite", short_pwrite)
    monkeypatch.setattr(os, "pwritev", short_pwritev)
    file.write([b"0123456789"], 0)
    file.write([b"ab", b"", b"cdefg", b"h"], 10)
    file.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789abcdefgh"


def test_what_is_to_be_safe_is_asked_of_the_system_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def note(name: str) -> None:
        call = getattr(os, name)

        def noted(what: Any, *rest: Any) -> Any:
            path = os.path.realpath(f"/proc/self/fd/{what}" if isinstance(what, int) else what)
            asked.append((name, path.removeprefix(str(tmp_path))))
            return call(what, *rest)

        monkeypatch.setattr(os, name, noted)

    for name in ("fdatasync", "fsync", "replace"):
        note(name)
    disk = Disk(tmp_path / "data")
    file = disk.open("a", create=True)
    file.write([b"1"], 0)
    assert asked == [], "writing waits for no medium"
    file.sync()
    file.close()
    disk.sync_folder("")
    disk.replace("b", b"2")
    assert asked == [
        ("fdatasync", "/data/a"),
        ("fsync", "/data"),
        ("fdatasync", "/data/b.new"),
        ("replace", "/data/b.new"),
    ]


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_sync_that_fails_is_told(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk = Disk(tmp_path / "data")
    file = disk.open("a", create=True)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="Input/output"):
        file.sync() if call == "fdatasync" else disk.sync_folder("")
    file.close()


def test_the_catalogue_is_on_the_medium_when_a_checkpoint_goes_on(tmp_path: Path) -> None:
    store = start(Disk(tmp_path / "data"))
    assert store._catalog._database.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    store.close()


def test_a_data_folder_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be made"):
        Disk(tmp_path / "file" / "data")


# ---------------------------------------------------------------------- the simulation itself


def test_unsynced_bytes_survive_sector_by_sector_or_not() -> None:
    outcomes = set()
    for seed in range(200):
        disk = SimulatedDisk()
        file = disk.open("a", create=True)
        disk.sync_folder("")
        file.write([b"0" * 1024], 0)
        file.sync()
        file.write([b"1" * 1024], 0)
        disk.crash(seed)
        found = disk.read("a")
        assert {len(set(found[:512])), len(set(found[512:]))} == {1}
        outcomes.add((found[:1], found[-1:]))
    assert len(outcomes) == 4


def test_a_file_without_a_synced_folder_entry_may_vanish() -> None:
    outcomes = set()
    for seed in range(50):
        disk = SimulatedDisk()
        file = disk.open("a", create=True)
        file.write([b"x"], 0)
        file.sync()
        disk.crash(seed)
        outcomes.add(tuple(disk.list("")))
    assert outcomes == {(), ("a",)}


def test_a_replaced_file_is_the_old_one_or_the_new_one() -> None:
    outcomes = set()
    for seed in range(50):
        disk = SimulatedDisk()
        disk.replace("a", b"old")
        disk.sync_folder("")
        disk.replace("a", b"new")
        disk.crash(seed)
        outcomes.add(disk.read("a"))
    assert outcomes == {b"old", b"new"}


def test_a_fault_hits_the_nth_operation() -> None:
    disk = SimulatedDisk()
    file = disk.open("a", create=True)
    disk.faults.append(Fault("write", "a", at=2, times=2, error=errno.ENOSPC, keep=1))
    file.write([b"1"], 0)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            file.write([b"23"], 1)
    file.write([b"4"], 2)
    assert disk.read("a") == b"124"
    assert [operation.kind for operation in disk.operations[:2]] == ["open", "write"]
