"""Runs that wait on disk until the store has them.

One folder for each run::

    <spool>/<run id>/
        lock         locked (flock) by the process that runs the rune, or that sends the run
        job.json     the record (`racs.runs.record`), replaced atomically; status "running" until
                     the function has ended
        in-001 …     copies of the files, numbered as in the record
        out-001 …

A name that begins with a dot is a folder that is being made or removed. A folder whose lock is
free and whose status is still "running" is of a process that died during the run.

Invariants: whoever changes a folder holds its lock; files are copies, since originals change and
vanish; a folder is whole at any moment at which the process may be killed. Knows no server.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from racs.runs.naming import part
from racs.runs.record import RunRecord, decode, encode

RUNNING = "running"
"""The status of a run whose function has not ended."""

_RECORD = "job.json"
_LOCK = "lock"
_MAX_FOLDER = 100
_ABANDONED = 24 * 3600.0
"""Seconds after which a folder that was never finished is swept up."""

_COUNTED = 10.0
"""Seconds for which the bytes in use are believed: other processes use the folder as well."""

_log = logging.getLogger("racs.runes")


class SpoolFull(Exception):
    """The files that wait for the store take all the room that they may have."""


class Job:
    """One run in the spool, whose lock this process holds.

    Attributes
    ----------
    folder
        Where it is.
    record
        What is known of the run.
    """

    def __init__(self, spool: "Spool", folder: Path, record: RunRecord, lock: int) -> None:
        self._spool = spool
        self._lock = lock
        self.folder = folder
        self.record = record

    def __repr__(self) -> str:
        return f"<Job {self.record.run} of {self.record.rune!r}, {self.record.status}>"

    def path(self, kind: str, number: int) -> Path:
        """Return where the copy of a file is; `kind` is ``in`` or ``out``."""
        return self.folder / f"{kind}-{number:03}"

    def keep(self, kind: str, number: int, original: Path) -> int:
        """Copy a file as it is now; return its bytes.

        Raises
        ------
        SpoolFull
            There is no room for it.
        OSError
            It cannot be read, or not be written.
        """
        copy = self.path(kind, number)
        with original.open("rb") as source:
            self._spool.take(os.fstat(source.fileno()).st_size)
            try:
                with copy.open("xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                    return target.tell()
            except OSError:
                copy.unlink(missing_ok=True)
                raise

    def write(self, record: RunRecord) -> None:
        """Put another record in the place of the one that there is."""
        self.record = record
        _write(self.folder, record)

    def release(self) -> None:
        """Let another, or a later sender, have it."""
        os.close(self._lock)

    def remove(self) -> None:
        """Remove it: the store has all of it."""
        gone = self.folder.with_name(f".gone-{os.getpid()}-{self.folder.name}")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        self.release()


class Spool:
    """A folder of runs that wait; safe for use by many threads and processes at once.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    limit
        Bytes that may wait in it.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._used = 0
        self._count_again = 0.0
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"<Spool {self.folder}, {self._used} of {self.limit} bytes>"

    def begin(self, record: RunRecord) -> Job:
        """Make the folder of a run that begins.

        A run whose id is taken gets ``-2``, ``-3`` … behind it.

        Raises
        ------
        SpoolFull
            There is no room for one more.
        OSError
            It cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.take(len(encode(record)))
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
        lock = _try_lock(new)
        assert lock is not None, "nobody else looks into a folder that has just been made"
        try:
            run, count = record.run, 1
            while True:
                _write(new, record)
                folder = self.folder / part(record.run, _MAX_FOLDER)
                # an empty folder would be replaced; these never are empty
                with suppress(FileExistsError):
                    if not folder.exists():
                        new.rename(folder)
                        return Job(self, folder, record, lock)
                count += 1
                record = msgspec.structs.replace(record, run=f"{run}-{count}")
        except BaseException:
            os.close(lock)
            shutil.rmtree(new, ignore_errors=True)
            raise

    def take(self, size: int) -> None:
        """Take room for so many bytes.

        Raises
        ------
        SpoolFull
            There is not so much.
        """
        with self._guard:
            now = time.monotonic()
            if now >= self._count_again or self._used + size > self.limit:
                self._used = _bytes_in(self.folder)
                self._count_again = now + _COUNTED
            if self._used + size > self.limit:
                raise SpoolFull(
                    f"{self._used >> 20} of {self.limit >> 20} MiB wait for the store in"
                    f" {str(self.folder)!r}, so that {size} bytes more are not kept"
                )
            self._used += size

    def waiting(self) -> Iterator[Job]:
        """Yield the runs that nobody else works on, oldest first; each is to be released."""
        for folder in self._folders():
            lock = _try_lock(folder)
            if lock is None:
                continue
            try:
                record = decode((folder / _RECORD).read_bytes())
            except FileNotFoundError:  # another process has just sent it
                os.close(lock)
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                os.close(lock)
                _log.error("%s cannot be read and is left as it is: %s", folder, error)
            else:
                yield Job(self, folder, record, lock)

    def __len__(self) -> int:
        return sum(1 for _ in self._folders())

    def sweep(self) -> None:
        """Remove what processes that were killed had begun to make or to remove."""
        with suppress(OSError):
            for folder in self.folder.glob(".*"):
                with suppress(FileNotFoundError):
                    if folder.stat().st_mtime < time.time() - _ABANDONED:
                        shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        # ids are UUIDs that sort by time, unless the caller made others
        with suppress(OSError):
            return sorted(p for p in self.folder.iterdir() if not p.name.startswith("."))
        return []


def _write(folder: Path, record: RunRecord) -> None:
    new = folder / f".{_RECORD}"
    new.write_bytes(encode(record))
    new.replace(folder / _RECORD)


def _try_lock(folder: Path) -> int | None:
    """Return the descriptor of a folder's lock, locked; None if another has it."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _bytes_in(folder: Path) -> int:
    """Return how much files take; those that vanish meanwhile take nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(where) / name).lstat().st_size
    return total
