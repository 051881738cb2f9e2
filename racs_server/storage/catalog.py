"""The catalogue: what streams there are, so that a start need not look into every folder.

An SQLite database (``catalog.sqlite``) that is derived: it is written at checkpoints, and all of it
can be read again from the streams' own ``stream.json``. A damaged one is put aside and made anew.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

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
"""Written into the database: one of another version is made anew."""
_NOT_DAMAGED = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
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
        [(version,)] = self._database.execute("PRAGMA user_version")
        tables = self._database.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
        schema = [sql for (sql,) in tables]
        if not schema:
            self._database.execute(f"PRAGMA user_version = {_VERSION}")
            self._database.execute(_SCHEMA)
        elif version != _VERSION:
            raise ValueError(f"it has version {version}, known is {_VERSION}")
        elif schema != [_SCHEMA]:
            raise ValueError("its table is not the one that was made")
        for (fault,) in self._database.execute("PRAGMA quick_check"):
            if fault != "ok":
                raise ValueError(fault)
        for row in self._database.execute("SELECT * FROM streams"):
            if row[-1] != _checksum(row[:-1]):
                raise ValueError(f"the entry of stream {row[1]!r} does not match its checksum")

    def load(self) -> Iterator[Stream]:
        """Yield all streams, closed and without their sessions."""
        for row in self._database.execute("SELECT * FROM streams"):
            serial, id_, folder, rate, channels, depth, created, ref, *rest = row
            stream = Stream(id_, serial, AudioFormat(rate, channels, depth), created, folder)
            stream.ref = stream.settled_ref = ref
            stream.frames = stream.settled_frames = rest[0]
            stream.settled_appended = rest[1]
            stream.expiry = stream.settled_expiry = rest[2]
            yield stream

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
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "DELETE FROM streams WHERE serial = ?", ((serial,) for serial in deleted)
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [(*row, _checksum(row)) for row in rows],
            )
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _checksum(row: Sequence[object]) -> int:
    """Return the CRC-32C of an entry: SQLite finds out only what breaks its own structure."""
    return crc32c(repr(tuple(row)).encode())
