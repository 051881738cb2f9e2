"""What all rooms of the store work on: the folder, the streams by name, the log, the lock.

Invariants
----------
- The store's lock is held for memory work, reads of small files, and the writes of an append,
  never for a sync: so the methods not marked as blocking may be called from an event loop.
- Locks are taken in the order: a stream's `io`, the store's, the handles'.
- A record is added to the log only after room was made sure of, so that adding cannot fail.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from typing import Protocol

import msgspec

from racs.wire import stream_hash
from racs_server.errors import MissingError, StartError, StreamError
from racs_server.storage import records
from racs_server.storage.ahead import Ahead
from racs_server.storage.appends import Appender
from racs_server.storage.catalog import Catalog
from racs_server.storage.expiry import Mortals
from racs_server.storage.fs import FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.log import CommitLog
from racs_server.storage.recovery import recover
from racs_server.storage.report import RecoveryReport
from racs_server.storage.settle import Settler
from racs_server.storage.stream import INDEX, Stream
from racs_server.storage.upkeep import Upkeep, disk_error
from racs_server.values import Kind, StreamEvent, StreamRange


class Durability(StrEnum):
    """What an acknowledgement promises; see the README."""

    OS = "os"
    INTERVAL = "interval"
    ALWAYS = "always"


class StoreOptions(msgspec.Struct, frozen=True):
    """Settings of a store.

    Attributes
    ----------
    durability
        When appended audio is synced.
    segment_bytes
        A segment that holds this many bytes of PCM is sealed, and a new one begun.
    log_bytes
        Bytes of one commit log file; a full one asks for a checkpoint.
    open_files
        How many segment files are kept open.
    lease
        Seconds after which a stream is taken from a sender that is not heard of.
    sync_threads
        How many streams are synced at once.
    """

    durability: Durability = Durability.INTERVAL
    segment_bytes: int = 64 << 20
    log_bytes: int = 16 << 20
    open_files: int = 1024
    lease: float = 30.0
    sync_threads: int = 4


class Clock(Protocol):
    """Where the store takes the time from."""

    def wall_ms(self) -> int:
        """Return ms since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that only go forward."""


class Core:
    """An open data folder; see `racs_server.storage.store.Store`, which is made of this."""

    def __init__(
        self,
        fs: FileSystem,
        clock: Clock,
        options: StoreOptions | None = None,
        notify: Callable[[StreamEvent], object] | None = None,
    ) -> None:
        self.options = options or StoreOptions()
        self._notify = notify or _unheard
        self._fs = fs
        self._clock = clock
        self._lock = threading.RLock()
        fs.lock()
        with ExitStack() as undo:
            undo.callback(fs.unlock)
            self._handles = Handles(fs, self.options.open_files)
            undo.callback(self._handles.close)
            self._settler = Settler(fs, self._handles, self._lock, self.options.sync_threads)
            undo.callback(self._settler.close)
            try:
                _refuse_backup(fs)
                self._catalog = Catalog(fs)
                undo.callback(self._catalog.close)
                recovered = recover(fs, self._catalog, self._handles, self._settler)
            except (OSError, sqlite3.Error) as error:
                what = f"the data folder {fs.describe()} could not be brought into order"
                raise disk_error(what, error) from error
            self._release = undo.pop_all()
        self.report: RecoveryReport = recovered.report
        self._by_id = {stream.id: stream for stream in recovered.streams}
        self._by_hash = {stream_hash(stream.id): stream for stream in recovered.streams}
        self._last_serial = recovered.last_serial
        self._log = CommitLog(fs, recovered.next_sequence, self.options.log_bytes)
        self.ahead = Ahead(self._handles, self.options.segment_bytes)
        self._appender = Appender(
            fs,
            self._handles,
            self._log,
            self.ahead,
            segment_bytes=self.options.segment_bytes,
            log_pcm=self.options.durability is Durability.ALWAYS,
        )
        self.upkeep = Upkeep(fs, self._log, self._settler, self._catalog, self._handles, self._lock)
        self._open: set[Stream] = set()
        self._mortals = Mortals(recovered.streams)
        self._appended_bytes = 0

    def __repr__(self) -> str:
        return f"<Store {self._fs.describe()}: {len(self._by_id)} streams>"

    def _find(self, stream_id: str) -> Stream:
        stream = self._by_id.get(stream_id)
        if stream is None or stream.deleted:
            raise MissingError(
                f"there is no stream {stream_id!r}: CREATE it, or LIST what there is"
            )
        return stream

    def _tell(self, kind: Kind, stream: Stream) -> None:
        """Tell that something other than audio happened to a stream."""
        frames = stream.frames
        self._notify(StreamEvent(kind, stream.id, self._clock.wall_ms(), frames, frames))

    def _find_same(self, plan: StreamRange) -> Stream:
        stream = self._find(plan.stream_id)
        if stream.serial != plan.serial:
            raise StreamError(f"stream {plan.stream_id!r} was deleted and made anew meanwhile")
        return stream

    def _log_room(self, payload: bytes) -> None:
        self.upkeep.check()
        self._log.room(records.RECORD_HEAD + len(payload))

    def _add_record(self, type_: int, payload: bytes) -> None:
        self._log_room(payload)
        self._log.add(type_, payload)


def _unheard(_: StreamEvent) -> None:
    """Stand in for a listener where nobody listens."""


def _refuse_backup(fs: FileSystem) -> None:
    if INDEX in fs.list(""):
        raise StartError(
            f"{fs.describe()} is a backup, which nobody may write in: make an archive of it with"
            " `racs-server restore`"
        )
