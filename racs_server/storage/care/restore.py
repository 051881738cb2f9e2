"""From a backup to an archive.

Everything is copied into the folder ``restoring`` first, each file checked against the backup's
index; then it is moved in place at once, and the store is opened and closed, which makes the
catalogue. A restore that is cut off leaves no archive, and is begun anew.
"""

from collections.abc import Iterator

import msgspec

from racs_server.errors import StartError
from racs_server.storage.care.backup import (
    Entry,
    backups,
    giving_up_when_full,
    read_index,
    sync_folders,
    write_file,
)
from racs_server.storage.care.findings import Finding, Kind
from racs_server.storage.care.survey import Survey, file_size
from racs_server.storage.care.verify import Totals, verify
from racs_server.storage.core import Clock, StoreOptions
from racs_server.storage.fs import FileSystem
from racs_server.storage.segment import READ
from racs_server.storage.store import Store
from racs_server.storage.stream import FOLDER, INDEX

RESTORING = "restoring"
_HARMLESS = {RESTORING, "racs.lock", "users.json"}


class RestoreReport(msgspec.Struct):
    """What a restore has done.

    Attributes
    ----------
    name
        The backup's folder; empty where the backup itself was named.
    taken
        When the backup was made, in ms since the epoch.
    streams
        How many streams were restored.
    copied_files, copied_bytes
        What was copied.
    findings
        What is damaged.
    """

    name: str
    taken: int
    streams: int = 0
    copied_files: int = 0
    copied_bytes: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)


def restore(
    source: FileSystem,
    target: FileSystem,
    clock: Clock,
    totals: Totals,
    options: StoreOptions | None = None,
) -> RestoreReport:
    """Make an archive from a backup.

    Parameters
    ----------
    source
        A backup, or a folder of backups: then the newest is taken.
    target
        An empty data folder.
    clock
        The time.
    totals
        Is counted up meanwhile.
    options
        Settings of the store.

    Raises
    ------
    StartError
        There is no backup, or the data folder is not empty or in use.
    OSError, StorageError
        A disk failed; there is no archive then.
    """
    name = _choose(source)
    index = read_index(source, name)
    report = RestoreReport(name, index.taken)
    target.lock()
    try:
        _check_empty(target)
        if RESTORING in target.list(""):
            target.remove_tree(RESTORING)
        with giving_up_when_full(target, RESTORING, _WHEN_FULL):
            target.make_folder(f"{RESTORING}/{FOLDER}")
            for file, entry in sorted(index.files.items()):
                _copy(source, name, target, file, entry, report)
            sync_folders(target, RESTORING, index.files)
        target.rename(f"{RESTORING}/{FOLDER}", FOLDER)
        target.sync_folder("")
        target.remove_tree(RESTORING)
    finally:
        target.unlock()
    store = Store(target, clock, options)
    report.streams = len(store.ids())
    store.close()
    report.findings += verify(Survey(target, live=False), totals)
    return report


_WHEN_FULL = "nothing was restored. Make room, or name a folder elsewhere with --data-dir"


def _choose(source: FileSystem) -> str:
    """Return the folder of the backup to take, below `source`."""
    if INDEX in source.list(""):
        return ""
    found = backups(source)
    if not found:
        raise StartError(
            f"there is no complete backup in {source.describe()}: name the folder that `racs-server"
            " backup` was given, or one of the folders in it"
        )
    return found[-1]


def _check_empty(target: FileSystem) -> None:
    there = sorted(set(target.list("")) - _HARMLESS)
    if there:
        raise StartError(
            f"the data folder {target.describe()} is not empty ({', '.join(there[:3])}): an archive"
            " is restored into an empty folder only; name another one with --data-dir"
        )


def _copy(
    source: FileSystem,
    folder: str,
    target: FileSystem,
    name: str,
    entry: Entry,
    report: RestoreReport,
) -> None:
    """Copy one file; one that is not what the index says is copied and told."""
    target.make_folder(f"{RESTORING}/{name}".rpartition("/")[0])
    original = f"{folder}/{name}" if folder else name
    try:
        copied = write_file(target, f"{RESTORING}/{name}", _contents(source, original))
    except FileNotFoundError:
        finding = Finding(kind=Kind.UNREADABLE, why="the backup has lost this file", file=name)
        report.findings.append(finding)
        return
    report.copied_files += 1
    report.copied_bytes += copied.size
    if copied != entry:
        why = "the backup's copy has changed since it was made"
        report.findings.append(Finding(kind=Kind.UNREADABLE, why=why, file=name))


def _contents(fs: FileSystem, name: str) -> Iterator[memoryview]:
    size = file_size(fs, name)
    file = fs.open(name, write=False)
    try:
        buffer = memoryview(bytearray(min(READ, max(1, size))))
        done = 0
        while count := file.read_into(buffer, done):
            yield buffer[:count]
            done += count
    finally:
        file.close()
