"""A disk in memory that remembers what would survive, and can crash, fail, fill up and rot.

What it promises is what `racs_server.storage.fs` promises, and no more:

- The bytes of a file are on the medium once the file has been synced; until then each 512-byte
  sector is there as it was after any one of its writes, or not at all.
- A name that was made, moved or removed is on the medium once a folder that it touches has been
  synced; until then a crash keeps some of the changes: a first part of each folder's, or any. A
  move is one change.
- A sync that fails throws its writes away as far as the medium goes: the next sync of the file has
  nothing to do and succeeds, as on Linux, while readers still see what was written.
- The database loses nothing that was committed.
"""

import errno
import os
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import Any, NamedTuple

from racs_server.errors import StartError
from racs_server.storage.fs import Buffer
from tests.storage.medium import Change, FileNode, FolderNode, Journal


class Halted(BaseException):
    """The process has ended at this operation; nothing may catch it but the test."""


class Operation(NamedTuple):
    """Something that the disk was asked to change or make durable."""

    kind: str
    name: str


class Fault:
    """Which operations fail, and how.

    Parameters
    ----------
    kind, name
        The operation, and a text that is in the file's name.
    at
        The first of them that fails, counted from 1.
    times
        How many fail.
    error
        The number of the `OSError`.
    keep
        How many bytes of a failing write are written nevertheless.
    """

    def __init__(
        self,
        kind: str,
        name: str = "",
        *,
        at: int = 1,
        times: int = 1,
        error: int = errno.EIO,
        keep: int = 0,
    ) -> None:
        self.kind, self.name, self.error, self.keep = kind, name, error, keep
        self._skip, self._left = at - 1, times

    def hits(self, operation: Operation) -> bool:
        """Return whether the operation fails."""
        if operation.kind != self.kind or self.name not in operation.name or not self._left:
            return False
        if self._skip:
            self._skip -= 1
            return False
        self._left -= 1
        return True


class OpenFile:
    """A `File` of the simulated disk."""

    def __init__(self, disk: "SimulatedDisk", name: str, node: FileNode) -> None:
        self._disk, self._name, self._node = disk, name, node
        disk.open_files += 1

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        data = b"".join(parts)
        failure, kept = self._disk.begin_write(self._name, self._node, offset, data)
        self._node.write(offset, data[:kept])
        if failure is not None:
            raise failure

    def read_into(self, buffer: memoryview, offset: int) -> int:
        self._disk.step("read", self._name)
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        data = self._node.data[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def size(self) -> int:
        return len(self._node.data)

    def truncate(self, size: int) -> None:
        self._disk.step("truncate", self._name)
        self._node.resize(size)

    def allocate(self, size: int) -> None:
        self._disk.step("allocate", self._name)
        self._disk.check_room(size - self.size())
        if size > self.size():
            self._node.resize(size)

    def begin_sync(self) -> None:
        pass

    def sync(self) -> None:
        try:
            self._disk.step("sync", self._name)
        except OSError:
            self._node.forget_pending()
            raise
        self._node.sync()

    def close(self) -> None:
        self._disk.open_files -= 1


class Database(sqlite3.Connection):
    """An SQLite database in memory, whose committed state is one of the disk's files."""

    disk: "SimulatedDisk"
    node: FileNode

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            try:
                self.disk.step("commit", "database")
            except OSError as error:
                raise sqlite3.OperationalError(error.strerror) from error
        return super().execute(sql, *args)

    def close(self) -> None:
        if self.disk.connection is self:
            self.rollback()
            self.store()
            self.disk.connection = None
        super().close()

    def store(self) -> None:
        """Put the committed state into the disk's file."""
        self.node.data = bytearray(self.serialize())
        self.node.medium = bytearray(self.node.data)


class SimulatedDisk:
    """A `FileSystem` in memory.

    Attributes
    ----------
    operations, done
        What was done since the last crash or kill; and how many operations since the beginning.
    faults, fault_hits
        What fails, and how often something has failed.
    halt_in, halted_at
        After how many operations the process ends, or None; and the one that it has ended at.
    capacity
        How many bytes all files together may have, or None.
    hook
        Called before every operation, for what happens meanwhile.
    open_files
        How many files are open.
    """

    def __init__(self) -> None:
        self._root = FolderNode()
        self._journal = Journal()
        self._locked = False
        self._mutex = RLock()
        self.connection: Database | None = None
        self.operations: list[Operation] = []
        self.done = 0
        self.faults: list[Fault] = []
        self.halt_in: int | None = None
        self.capacity: int | None = None
        self.hook: Callable[[Operation], None] | None = None
        self.open_files = 0
        self.fault_hits = 0
        self.halted_at: Operation | None = None

    def __repr__(self) -> str:
        return f"<SimulatedDisk {len(self.operations)} operations, {self._journal!r}>"

    # ------------------------------------------------------------------ what a test does to it

    def kill(self) -> None:
        """End the process: what it has written stays."""
        if self.connection is not None:
            self.connection.close()
        self._locked = False
        self.hook, self.halt_in, self.capacity, self.open_files = None, None, None, 0
        self.halted_at = None
        self.faults.clear()
        self.operations.clear()

    def crash(self, seed: int = 0, keep: str | None = None) -> None:
        """Cut the power.

        Parameters
        ----------
        seed
            Decides what survives of what was not synced.
        keep
            ``none``, ``all``, ``some`` or ``any`` of it, see `Journal.crash`; None lets the seed
            decide.
        """
        self.kill()
        rng = random.Random(seed)
        keep = keep or rng.choice(("none", "all", "some", "any"))
        self._journal.crash(rng, keep)
        self._root.crash(rng, keep)

    def flip(self, name: str, offset: int, bit: int = 0) -> None:
        """Let a bit of a file rot."""
        node = self._file(name)
        for contents in (node.data, node.medium):
            if offset < len(contents):
                contents[offset] ^= 1 << bit

    def put(self, name: str, contents: bytes) -> None:
        """Make a file or change it, durably, as if somebody had done it by hand."""
        folder, last = self._parent(name)
        folder.names[last] = folder.medium[last] = FileNode(contents)

    def contents(self) -> dict[str, bytes]:
        """Return all files but the database: names and bytes."""
        return dict(self._walk(self._root, ""))

    def sizes(self) -> dict[str, int]:
        """Return all files, the database as well: names and bytes."""
        sizes = {name: len(contents) for name, contents in self.contents().items()}
        for name, node in self._root.names.items():
            if isinstance(node, FileNode):
                sizes[name] = len(node.data)
        return sizes

    def used(self) -> int:
        """Return how many bytes all files but the database have."""
        return sum(map(len, self.contents().values()))

    def copy(self) -> "SimulatedDisk":
        """Return another disk with all that a kill would leave now."""
        if self.connection is not None:
            self.connection.store()
        other = SimulatedDisk()
        other._root = self._root.copy()
        return other

    def _walk(self, folder: FolderNode, path: str) -> Iterator[tuple[str, bytes]]:
        for name, node in sorted(folder.names.items()):
            if isinstance(node, FolderNode):
                yield from self._walk(node, f"{path}{name}/")
            elif ".sqlite" not in name:
                yield path + name, bytes(node.data)

    # ------------------------------------------------------------------ faults

    def step(self, kind: str, name: str) -> None:
        """Note an operation; raise what happens at it instead, if something does."""
        failure = self._begin(kind, name)[0]
        if failure is not None:
            raise failure

    def _begin(self, kind: str, name: str) -> tuple[BaseException | None, int]:
        """Note an operation; return how it fails, and how much of a write is done before."""
        operation = Operation(kind, name)
        if self.hook is not None and self.halt_in != 0:
            self.hook(operation)
        with self._mutex:
            if self.halt_in is not None:
                if not self.halt_in:
                    return Halted(), 0
                self.halt_in -= 1
                if not self.halt_in:
                    self.halted_at = operation
                    return Halted(), len(self.operations) % 3 * 100
            self.operations.append(operation)
            self.done += 1
            for fault in self.faults:
                if fault.hits(operation):
                    self.fault_hits += 1
                    return OSError(fault.error, os.strerror(fault.error)), fault.keep
        return None, 0

    def begin_write(
        self, name: str, node: FileNode, offset: int, data: bytes
    ) -> tuple[BaseException | None, int]:
        """Return how a write fails, if it does, and how many bytes of it are done."""
        failure, kept = self._begin("write", name)
        if failure is not None:
            return failure, min(kept, len(data))
        room = self._room()
        grows = offset + len(data) - len(node.data)
        if room is None or grows <= room:
            return None, len(data)
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return full, max(0, len(data) - (grows - room))

    def check_room(self, size: int) -> None:
        """Raise `OSError` unless that many bytes more fit on the disk."""
        room = self._room()
        if room is not None and size > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _room(self) -> int | None:
        if self.capacity is None:
            return None
        return max(0, self.capacity - self.used())

    # ------------------------------------------------------------------ FileSystem

    def describe(self) -> str:
        return "simulated disk"

    def lock(self) -> None:
        if self._locked:
            raise StartError("the data folder is in use by another server")
        self._locked = True

    def unlock(self) -> None:
        self._locked = False

    def in_use(self) -> bool:
        return self._locked

    def open(self, name: str, *, create: bool = False, write: bool = True) -> OpenFile:
        self.step("open", name)
        folder, last = self._parent(name)
        if create and last not in folder.names:
            self._change([(folder, last, FileNode())])
        return OpenFile(self, name, self._file(name))

    def make_folder(self, name: str) -> bool:
        self.step("make_folder", name)
        folder, made = self._root, False
        for part in name.split("/"):
            made = part not in folder.names
            if made:
                self._change([(folder, part, FolderNode())])
            node = folder.names[part]
            assert isinstance(node, FolderNode)
            folder = node
        return made

    def list(self, name: str) -> list[str]:
        self.step("list", name)
        try:
            return list(self._folder(name).names)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        self.step("read", name)
        return bytes(self._file(name).data)

    def replace(self, name: str, *contents: Buffer) -> None:
        file = self.open(name + ".new", create=True)
        try:
            file.truncate(0)
            file.write(contents, 0)
            file.sync()
        finally:
            file.close()
        self.rename(name + ".new", name)

    def rename(self, old: str, new: str) -> None:
        self.step("rename", old)
        (source, old_name), (target, new_name) = self._parent(old), self._parent(new)
        if old_name not in source.names:
            raise _not_found()
        self._change([(source, old_name, None), (target, new_name, source.names[old_name])])

    def link(self, old: str, new: str) -> None:
        self.step("link", old)
        folder, last = self._parent(new)
        self._change([(folder, last, self._file(old))])

    def remove(self, name: str) -> None:
        self.step("remove", name)
        self._file(name)
        folder, last = self._parent(name)
        self._change([(folder, last, None)])

    def remove_tree(self, name: str) -> None:
        for child, node in list(self._folder(name).names.items()):
            if isinstance(node, FolderNode):
                self.remove_tree(f"{name}/{child}")
            else:
                self.remove(f"{name}/{child}")
        self.step("remove", name)
        folder, last = self._parent(name)
        self._change([(folder, last, None)])

    def sync_folder(self, name: str) -> None:
        self.step("sync_folder", name)
        with self._mutex:
            self._journal.sync(self._folder(name))

    def database(self, name: str) -> sqlite3.Connection:
        if name not in self._root.names:
            self.put(name, b"")
        node = self._file(name)
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=Database
        )
        connection.disk, connection.node = self, node
        self.connection = connection
        if node.data:
            connection.deserialize(bytes(node.data))
        return connection

    def read_database(self, name: str) -> sqlite3.Connection:
        self.step("read", name)
        copy = sqlite3.connect(":memory:", isolation_level=None)
        copy.deserialize(bytes(self._file(name).data))
        return copy

    # ------------------------------------------------------------------ helpers

    def _change(self, change: Change) -> None:
        with self._mutex:
            self._journal.change(change)

    def _folder(self, name: str) -> FolderNode:
        folder = self._root
        for part in filter(None, name.split("/")):
            node = folder.names.get(part)
            if not isinstance(node, FolderNode):
                raise _not_found()
            folder = node
        return folder

    def _parent(self, name: str) -> tuple[FolderNode, str]:
        path, _, last = name.rpartition("/")
        return self._folder(path), last

    def _file(self, name: str) -> FileNode:
        folder, last = self._parent(name)
        node = folder.names.get(last)
        if not isinstance(node, FileNode):
            raise _not_found()
        return node


def _not_found() -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
