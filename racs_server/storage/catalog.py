"""The catalogue: what streams there are, so that a start need not look into every folder.

An SQLite database (``catalog.sqlite``) that is derived: it is written at checkpoints, and all of it
can be read again from the streams' own ``stream.json``. A damaged one is put aside and made anew.
"""

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

from crc32c import crc32c

from racs_server.storage.fs import FileSystem
from racs_server.storage.stream import FOLDER, Stream
from racs_server.values import AudioFormat

NAME = "catalog.sqlite"
_SCHEMA = """CREATE TABLE streams (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,
    sample_rate INTEGER NOT NULL,
    channels INTEGER NOT NULL,
    bit_depth INTEGER NOT NULL,
    created INTEGER NOT NULL,
    ref INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    appended INTEGER NOT NULL,
    expiry INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT"""
_VERSION = 2
"""Written into the database with its first entries: one of another version is made anew."""
_INCOMPLETE = "it was not complete"
"""Said of a database that was cut off between its making and its first entries."""
_NOT_DAMAGED = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
"""What SQLite reports of a database that there is nothing wrong with."""


class Catalog:
    """The catalogue of a data folder.

    Parameters
    ----------
    fs
        The data folder.

    Attributes
    ----------
    replaced
        Why the database had to be made anew where there had been one, or None.
    """

    def __init__(self, fs: FileSystem) -> None:
        self.replaced: str | None = None
        self._fs = fs
        self._forgotten: set[int] = set()
        if NAME not in fs.list("") and fs.list(FOLDER):
            self.replaced = "it was missing"
        self._database = fs.database(NAME)
        try:
            self._open()
        except (sqlite3.DatabaseError, ValueError) as error:
            self._database.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_DAMAGED:
                raise
            self.replaced = str(error)
            for suffix in ("-wal", "-shm", ""):
                if NAME + suffix in fs.list(""):
                    fs.rename(NAME + suffix, f"{NAME}.damaged{suffix}")
            self._database = fs.database(NAME)
            self._open()

    def _open(self) -> None:
        # FULL: the log files that a checkpoint drops are only needless once this is on the medium.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        if not self._database.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._database.execute(_SCHEMA)
        self._complete = _check(self._database)
        # A flipped bit of its head makes a database one that SQLite reads, but does not write.
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute(f"PRAGMA user_version = {_VERSION}")
        self._database.execute("ROLLBACK")
        if not self._complete and self._fs.list(FOLDER):
            self.replaced = self.replaced or _INCOMPLETE
        elif not self._complete:
            self._finish()

    def _finish(self) -> None:
        """Say that nothing is missing, along with the entries that a transaction brings."""
        self._database.execute(f"PRAGMA user_version = {_VERSION}")
        self._complete = True

    def load(self) -> Iterator[Stream]:
        """Yield all streams, closed and without their sessions."""
        return _load(self._database)

    def forget(self, streams: Iterable[Stream]) -> None:
        """Let a recovery look into the folders of these streams, until `apply` tells of them anew.

        Their ``stream.json`` is about to know more than is said here, and no log tells of it.
        """
        serials = {stream.serial for stream in streams}
        with self._transaction():
            self._database.execute("PRAGMA user_version = 0")
            self._remove(serials)
        self._complete = False
        self._forgotten |= serials

    def apply(self, changed: Iterable[Stream], deleted: Iterable[int]) -> None:
        """Take over what has changed since the last checkpoint, in one transaction."""
        rows = [
            (
                stream.serial,
                stream.id,
                stream.folder,
                stream.format.sample_rate,
                stream.format.channels,
                stream.format.bit_depth,
                stream.created,
                stream.settled_ref,
                stream.settled_frames,
                stream.settled_appended,
                stream.settled_expiry,
            )
            for stream in changed
        ]
        gone = set(deleted)
        forgotten = self._forgotten - gone - {serial for serial, *_ in rows}
        with self._transaction():
            if not self._complete and not forgotten:
                self._finish()
            self._remove(gone)
            self._database.executemany(
                "INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [(*row, _checksum(row)) for row in rows],
            )
        self._forgotten = forgotten

    def _remove(self, serials: Iterable[int]) -> None:
        self._database.executemany(
            "DELETE FROM streams WHERE serial = ?", ((serial,) for serial in serials)
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            [(version,)] = self._database.execute("PRAGMA user_version")
            self._complete = bool(version)
            raise

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def read_catalog(fs: FileSystem) -> list[Stream]:
    """Return what the catalogue of a folder that nobody uses says, and leave it as it is.

    Raises
    ------
    FileNotFoundError
        There is none.
    ValueError, sqlite3.Error
        It is damaged.
    """
    if NAME not in fs.list(""):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), NAME)
    with closing(fs.read_database(NAME)) as database:
        if not _check(database):
            raise ValueError(_INCOMPLETE)
        return list(_load(database))


def _check(database: sqlite3.Connection) -> bool:
    """Raise `ValueError` or `sqlite3.Error` if a database is damaged; return if it is complete."""
    [(version,)] = database.execute("PRAGMA user_version")
    if version not in {0, _VERSION}:
        raise ValueError(f"it has version {version}, known is {_VERSION}")
    tables = database.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
    if [sql for (sql,) in tables] != [_SCHEMA]:
        raise ValueError("its table is not the one that was made")
    for (fault,) in database.execute("PRAGMA integrity_check"):
        if fault != "ok":
            raise ValueError(fault)
    for row in database.execute("SELECT * FROM streams"):
        if row[-1] != _checksum(row[:-1]):
            raise ValueError(f"the entry of stream {row[1]!r} does not match its checksum")
    return bool(version)


def _load(database: sqlite3.Connection) -> Iterator[Stream]:
    for row in database.execute("SELECT * FROM streams"):
        serial, id_, folder, rate, channels, depth, created, ref, *rest = row
        stream = Stream(id_, serial, AudioFormat(rate, channels, depth), created, folder)
        stream.ref = stream.settled_ref = ref
        stream.frames = stream.settled_frames = rest[0]
        stream.settled_appended = rest[1]
        stream.expiry = stream.settled_expiry = rest[2]
        yield stream


def _checksum(row: Sequence[object]) -> int:
    """Return the CRC-32C of an entry: SQLite finds out only what breaks its own structure."""
    return crc32c(repr(tuple(row)).encode())
