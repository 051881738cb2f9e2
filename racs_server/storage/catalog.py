"""The catalogue: what streams there are, so that a start need not look into every folder.

An SQLite database (``catalog.sqlite``) that is derived: it is written at checkpoints, and all of it
can be read again from the streams' own ``stream.json``. A damaged one is put aside and made anew.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from racs_server.storage.fs import FileSystem
from racs_server.storage.stream import Stream
from racs_server.values import AudioFormat

NAME = "catalog.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,
    sample_rate INTEGER NOT NULL,
    channels INTEGER NOT NULL,
    bit_depth INTEGER NOT NULL,
    created INTEGER NOT NULL,
    ref INTEGER NOT NULL,
    frames INTEGER NOT NULL
) STRICT
"""
_COLUMNS = "serial, id, folder, sample_rate, channels, bit_depth, created, ref, frames"


class Catalog:
    """The catalogue of a data folder.

    Parameters
    ----------
    fs
        The data folder.

    Attributes
    ----------
    replaced
        Why the database that was there had to be made anew, or None.
    """

    def __init__(self, fs: FileSystem) -> None:
        self.replaced: str | None = None
        self._fs = fs
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self.replaced = str(error)
            for suffix in ("-wal", "-shm", ""):
                if NAME + suffix in fs.list(""):
                    fs.rename(NAME + suffix, f"{NAME}.damaged{suffix}")
            self._open()

    def _open(self) -> None:
        self._database = self._fs.database(NAME)
        # FULL: the log files that a checkpoint drops are only needless once this is on the medium.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(_SCHEMA)
        self._database.execute("SELECT count(*) FROM streams").fetchone()

    def load(self) -> Iterator[Stream]:
        """Yield all streams, closed and without their sessions."""
        for row in self._database.execute(f"SELECT {_COLUMNS} FROM streams"):  # noqa: S608
            serial, id_, folder, rate, channels, depth, created, ref, frames = row
            stream = Stream(id_, serial, AudioFormat(rate, channels, depth), created, folder)
            stream.ref, stream.frames = ref, frames
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
                stream.ref,
                stream.frames,
            )
            for stream in changed
        ]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "DELETE FROM streams WHERE serial = ?", ((serial,) for serial in deleted)
            )
            self._database.executemany(
                f"INSERT OR REPLACE INTO streams ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608
                rows,
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._database.close()
