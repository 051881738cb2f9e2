"""The hub's database: rows of `racs_server.hub.rows` in one SQLite file, as JSON.

Each kind has a table: what is looked for is in columns, the rest in ``document``. Rows keep the
order in which they came.

Invariants
----------
- What `put` was given is on the disk when it returns, all of it or nothing (WAL, synchronous FULL).
- One connection, one thread at a time.
"""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from racs_server.errors import StartError
from racs_server.hub.rows import Key, Mapping, Master, Run, Rune, Upload

Row = Master | Key | Rune | Mapping | Upload | Run
T = TypeVar("T", bound=Row)

_COLUMNS: dict[type, tuple[str, ...]] = {
    Master: ("hash",),
    Key: ("hash", "master"),
    Rune: ("token",),
    Mapping: ("id", "master", "token"),
    Upload: ("id", "key", "run"),
    Run: ("id", "token", "state", "holds", "archived"),
}
"""The columns of each kind's table; the first one is its key."""


class Book:
    """Keeps rows.

    Parameters
    ----------
    path
        The file; it is made if it is not there.

    Raises
    ------
    StartError
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            for kind, columns in _COLUMNS.items():
                self._create(kind.__name__.lower(), columns)
        except sqlite3.Error as error:
            raise StartError(f"the hub's database {path} cannot be opened: {error}") from None

    def _create(self, table: str, columns: tuple[str, ...]) -> None:
        names = ", ".join((f"{columns[0]} PRIMARY KEY", *columns[1:]))
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {table}"
            f" (number INTEGER PRIMARY KEY, {names.replace(' PRIMARY KEY', ' UNIQUE')}, document)"
        )
        for column in columns[1:]:
            self._db.execute(f"CREATE INDEX IF NOT EXISTS {table}_{column} ON {table} ({column})")

    def __repr__(self) -> str:
        return f"<Book {self._path}>"

    def put(self, *rows: Row) -> None:
        """Keep rows, in the place of those of the same key."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                for row in rows:
                    self._put(row)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _put(self, row: Row) -> None:
        table, columns = type(row).__name__.lower(), _COLUMNS[type(row)]
        names = (*columns, "document")
        values = [getattr(row, column) for column in columns]
        self._db.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            f" ON CONFLICT ({columns[0]}) DO UPDATE SET"
            f" {', '.join(f'{name} = excluded.{name}' for name in names[1:])}",
            (*values, msgspec.json.encode(row)),
        )

    def get(self, kind: type[T], key: str) -> T | None:
        """Return the row of a key, or None."""
        return next(iter(self.select(kind, **{_COLUMNS[kind][0]: key})), None)

    def select(self, kind: type[T], **where: str | bool) -> list[T]:
        """Return the rows whose columns have these values, in the order in which they came."""
        return list(self._select(kind, where, "ORDER BY number"))

    def last(self, kind: type[T], count: int, before: str, **where: str | bool) -> list[T]:
        """Return the latest rows, latest first, of those before the one with a key ("": all)."""
        table, key = kind.__name__.lower(), _COLUMNS[kind][0]
        limit = f"AND number < (SELECT number FROM {table} WHERE {key} = :before)" if before else ""
        return list(
            self._select(kind, where, f"{limit} ORDER BY number DESC LIMIT {int(count)}", before)
        )

    def _select(
        self, kind: type[T], where: dict[str, str | bool], end: str, before: str = ""
    ) -> Iterator[T]:
        conditions = " AND ".join(f"{column} = :{column}" for column in where) or "1"
        query = f"SELECT document FROM {kind.__name__.lower()} WHERE {conditions} {end}"
        with self._lock:
            found = self._db.execute(query, {**where, "before": before}).fetchall()
        return (msgspec.json.decode(document, type=kind) for (document,) in found)

    def remove(self, row: Row) -> None:
        """Forget a row."""
        table, key = type(row).__name__.lower(), _COLUMNS[type(row)][0]
        with self._lock:
            self._db.execute(f"DELETE FROM {table} WHERE {key} = ?", (getattr(row, key),))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
