"""The only module that touches files. The store is handed a `FileSystem`; tests hand it others.

Names are paths relative to the data folder, with ``/`` between parts. What the rest of the store
relies on:

- `File.write` writes all or raises `OSError`; after a failure the range's contents are undefined.
- Nothing is safe from a power cut before `File.sync` has returned for the contents, and
  `FileSystem.sync_folder` of the parent for a name that was made, renamed or removed.
- `FileSystem.replace` puts a whole new file in the place of an old one: a crash leaves one of them.
"""

import ctypes
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from racs_server.errors import StartError

Buffer = bytes | bytearray | memoryview
_IOV_MAX = 1024
# Not `os.posix_fallocate`: where a file system knows none, that writes into the file by itself, and
# could overwrite what is appended at the same time.
_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_sync_file_range = ctypes.CDLL(None).sync_file_range
_sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_SYNC_FILE_RANGE_WRITE = 2


class File(Protocol):
    """An open file, read and written at offsets."""

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        """Write all parts one after another from `offset` on; `OSError` if not all went."""

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer from `offset` on; return how many bytes there were."""

    def size(self) -> int:
        """Return the file's length in bytes."""

    def truncate(self, size: int) -> None:
        """Cut the file, or lengthen it with zeros, to `size` bytes."""

    def allocate(self, size: int) -> None:
        """Reserve room so that the file has `size` bytes, whatever is written to it meanwhile.

        `OSError` if there is none, with EOPNOTSUPP if the file system knows no such thing.
        """

    def begin_sync(self) -> None:
        """Let writing to the medium begin, so that a `sync` soon has less to wait for."""

    def sync(self) -> None:
        """Return when all that was written is on the medium."""

    def close(self) -> None:
        """Close the file."""


class FileSystem(Protocol):
    """A data folder."""

    def describe(self) -> str:
        """Return the folder's name, for messages."""

    def lock(self) -> None:
        """Take the folder for this process; `StartError` if another has it."""

    def unlock(self) -> None:
        """Give the folder back."""

    def in_use(self) -> bool:
        """Return whether a process has the folder."""

    def open(self, name: str, *, create: bool = False, write: bool = True) -> File:
        """Open a file for reading and writing, or for reading alone."""

    def make_folder(self, name: str) -> bool:
        """Make a folder and its parents; return whether it was not there before."""

    def list(self, name: str) -> list[str]:
        """Return the names in a folder, none if there is no such folder."""

    def read(self, name: str) -> bytes:
        """Return a whole small file."""

    def replace(self, name: str, *contents: Buffer) -> None:
        """Put a synced new file in the place of `name`; its folder is not synced."""

    def rename(self, old: str, new: str) -> None:
        """Move a file or folder."""

    def link(self, old: str, new: str) -> None:
        """Give a file another name; `OSError` where the disk cannot."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def remove_tree(self, name: str) -> None:
        """Remove a folder with all that is in it."""

    def sync_folder(self, name: str) -> None:
        """Return when the names in a folder are on the medium."""

    def database(self, name: str) -> sqlite3.Connection:
        """Open an SQLite database."""

    def read_database(self, name: str) -> sqlite3.Connection:
        """Return a copy in memory of an SQLite database that nobody uses."""


class DiskFile:
    """A `File` on a real disk."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor

    def __repr__(self) -> str:
        return f"<DiskFile descriptor={self._fd}>"

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        """Write all parts one after another from `offset` on."""
        if len(parts) == 1:
            written = os.pwrite(self._fd, parts[0], offset)
            if written == len(parts[0]):
                return
            self._write_rest(memoryview(parts[0])[written:], offset + written)
            return
        for i in range(0, len(parts), _IOV_MAX):
            group = parts[i : i + _IOV_MAX]
            written = os.pwritev(self._fd, group, offset)
            for part in group:
                if written < len(part):
                    self._write_rest(memoryview(part)[written:], offset + written)
                written = max(0, written - len(part))
                offset += len(part)

    def _write_rest(self, rest: memoryview, offset: int) -> None:
        """Go on after a short write: the next attempt says why (a full disk, mostly)."""
        while rest:
            written = os.pwrite(self._fd, rest, offset)
            rest = rest[written:]
            offset += written

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer from `offset` on; return how many bytes there were."""
        total = 0
        while total < len(buffer):
            count = os.preadv(self._fd, [buffer[total:]], offset + total)
            if not count:
                break
            total += count
        return total

    def size(self) -> int:
        """Return the file's length in bytes."""
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        """Cut the file, or lengthen it with zeros."""
        os.ftruncate(self._fd, size)

    def allocate(self, size: int) -> None:
        """Reserve room so that the file has `size` bytes."""
        if _fallocate(self._fd, 0, 0, size):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def begin_sync(self) -> None:
        """Let writing to the medium begin; whatever comes of it, `sync` tells."""
        _sync_file_range(self._fd, 0, 0, _SYNC_FILE_RANGE_WRITE)

    def sync(self) -> None:
        """Return when all that was written is on the medium."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class Disk:
    """A `FileSystem` in a folder of a real disk.

    Parameters
    ----------
    root
        The data folder; made if it is not there.

    Raises
    ------
    StartError
        The folder cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: int | None = None
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"the data folder {root} cannot be made: {error.strerror}."
                " Name a folder that this user may write (--data-dir)"
            ) from None

    def __repr__(self) -> str:
        return f"<Disk {self._root}>"

    def describe(self) -> str:
        """Return the folder's name."""
        return str(self._root)

    def lock(self) -> None:
        """Take the folder for this process."""
        try:
            fd = os.open(self._root / "racs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartError(
                f"the data folder {self._root} cannot be written: {error.strerror}."
                " Name a folder that this user may write (--data-dir)"
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            raise StartError(
                f"the data folder {self._root} is in use by another server (process {owner})."
                " Stop that one, or give this one a folder of its own (--data-dir)"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock = fd

    def unlock(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def in_use(self) -> bool:
        """Return whether a process has the folder."""
        try:
            fd = os.open(self._root / "racs.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def open(self, name: str, *, create: bool = False, write: bool = True) -> DiskFile:
        """Open a file for reading and writing, or for reading alone."""
        flags = (os.O_RDWR if write else os.O_RDONLY) | (os.O_CREAT if create else 0)
        return DiskFile(os.open(self._root / name, flags | os.O_CLOEXEC, 0o644))

    def make_folder(self, name: str) -> bool:
        """Make a folder and its parents; return whether it was not there before."""
        try:
            (self._root / name).mkdir(parents=True)
        except FileExistsError:
            return False
        return True

    def list(self, name: str) -> list[str]:
        """Return the names in a folder, none if there is no such folder."""
        try:
            return os.listdir(self._root / name)  # noqa: PTH208 - names are what is wanted
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """Return a whole small file."""
        return (self._root / name).read_bytes()

    def replace(self, name: str, *contents: Buffer) -> None:
        """Put a synced new file in the place of `name`."""
        path = self._root / name
        temporary = path.with_name(path.name + ".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        file = DiskFile(fd)
        try:
            file.write(contents, 0)
            file.sync()
        finally:
            file.close()
        temporary.replace(path)

    def rename(self, old: str, new: str) -> None:
        """Move a file or folder."""
        (self._root / old).rename(self._root / new)

    def link(self, old: str, new: str) -> None:
        """Give a file another name."""
        (self._root / new).hardlink_to(self._root / old)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self._root / name).unlink()

    def remove_tree(self, name: str) -> None:
        """Remove a folder with all that is in it."""
        shutil.rmtree(self._root / name)

    def sync_folder(self, name: str) -> None:
        """Return when the names in a folder are on the medium."""
        fd = os.open(self._root / name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def database(self, name: str) -> sqlite3.Connection:
        """Open an SQLite database; it is used by one thread at a time."""
        return sqlite3.connect(self._root / name, isolation_level=None, check_same_thread=False)

    def read_database(self, name: str) -> sqlite3.Connection:
        """Return a copy in memory: opened where it lies, SQLite would write beside it."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{self._root / name}{suffix}", f"{folder}/copy{suffix}")
            original = sqlite3.connect(f"{folder}/copy")
            with closing(original):
                original.backup(copy)
        return copy
