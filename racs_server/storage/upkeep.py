"""From written to durable, for all streams: group commits, checkpoints, the state of the log.

The owner of the store calls this in the background: `sync` some times a second while `needs_sync`
(durability ``interval``), `sync_sealed` (``os``), `sync_log` for those who wait (``always``),
`checkpoint` when `needs_checkpoint` and from time to time. Appending goes on meanwhile.

Invariants
----------
- A log file is dropped only after all that it says is durable elsewhere.
- Once the log has failed to be written or synced, nothing more is taken: it could be lost.
"""

import errno
import logging
import sqlite3
import threading
from collections.abc import Mapping

from racs_server.errors import DiskFullError, StorageError
from racs_server.storage.catalog import Catalog
from racs_server.storage.fs import FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.log import CommitLog
from racs_server.storage.settle import Settler
from racs_server.storage.stream import TRASH, Stream
from racs_server.values import Histogram

logger = logging.getLogger(__name__)


class Upkeep:
    """Keeps account of what is not yet durable or not yet settled, and makes it so."""

    def __init__(
        self,
        fs: FileSystem,
        log: CommitLog,
        settler: Settler,
        catalog: Catalog,
        handles: Handles,
        lock: threading.RLock,
    ) -> None:
        self._fs = fs
        self._log = log
        self._settler = settler
        self._catalog = catalog
        self._handles = handles
        self._lock = lock
        self._checkpointing = threading.Lock()
        self.sync_times = Histogram()
        """How long syncs of the log took."""
        self._failed: str | None = None
        self._dirty: set[Stream] = set()
        self._touched: set[Stream] = set()
        self._deleted: list[Stream] = []

    def check(self) -> None:
        """Raise `StorageError` if the log has failed."""
        if self._failed is not None:
            raise StorageError(self._failed)

    def written(self, stream: Stream) -> None:
        """Note that a stream has audio that is not durable."""
        self._dirty.add(stream)
        self._touched.add(stream)

    def touched(self, stream: Stream) -> None:
        """Note that a stream is not as the catalogue and its ``stream.json`` have it."""
        self._touched.add(stream)

    def removed(self, stream: Stream) -> None:
        """Note that a stream is gone."""
        self._dirty.discard(stream)
        self._touched.discard(stream)
        self._deleted.append(stream)

    def flush(self) -> int:
        """Hand the log's new records to the operating system, with one write.

        Returns
        -------
        A position in the log: what came before is durable once `synced` has reached it.

        Raises
        ------
        StorageError
            The log cannot be written: nothing more is taken until the server is started anew.
        """
        with self._lock:
            self.check()
            try:
                return self._log.flush()
            except OSError as error:
                raise self._fail(error) from error

    @property
    def synced(self) -> int:
        """Up to which position the log is on the medium."""
        return self._log.synced

    @property
    def needs_sync(self) -> bool:
        """Whether something has come that no sync has covered."""
        return bool(self._dirty) or self._log.written > self._log.synced

    @property
    def needs_checkpoint(self) -> bool:
        """Whether a log file is full, or too many segment files wait for a sync to be closed."""
        return self._log.old_files > 0 or self._handles.crowded

    @property
    def overcrowded(self) -> bool:
        """Whether so many files wait for a `sync` that whoever brings more has to wait for one."""
        return self._handles.overcrowded

    @property
    def untidy(self) -> bool:
        """Whether a checkpoint would have something to do."""
        return bool(self._touched or self._deleted)

    def sync_log(self) -> None:
        """Put all that is flushed of the log on the medium; blocks.

        Raises
        ------
        StorageError
            The log cannot be synced: nothing more is taken until the server is started anew.
        """
        # Once a sync has failed, the next may call a success what was never stored.
        self.check()
        try:
            with self.sync_times.timed():
                self._log.sync()
        except OSError as error:
            with self._lock:
                raise self._fail(error) from error

    def settle(self, stream: Stream, *, cut: bool = False) -> None:
        """Settle a stream that is closed, or new: one whose records the log has; blocks.

        Parameters
        ----------
        stream
            The stream.
        cut
            Whether room allocated ahead is given back.

        Raises
        ------
        StorageError
            The disk failed to store it.
        """
        if self._is_explained():
            self._settler.settle(stream, cut=cut)
            return
        with self._checkpointing:
            try:
                self._catalog.forget([stream])
            except (OSError, sqlite3.Error) as error:
                raise disk_error(f"stream {stream.id!r} is not safely stored", error) from error
            self._settler.settle(stream, cut=cut)
            try:
                self._catalog.apply([stream], [])
            except (OSError, sqlite3.Error) as error:
                logger.error("%r is not in the catalogue, but in its folder: %s", stream.id, error)

    def _is_explained(self) -> bool:
        """Put the log on the medium, ere streams with records are settled; return if it has failed.

        A crash between the files that are replaced leaves checksums of more than ``stream.json``
        knows, or a ``stream.json`` that knows more than the catalogue: a recovery looks at both
        where the log has a record of the stream. A log that has failed cannot tell of it, and must
        not keep streams from being settled: then the catalogue has to forget them before.
        """
        try:
            self.flush()
            self.sync_log()
        except StorageError as error:
            logger.error("%s", error)
            return False
        return True

    def sync(self) -> None:
        """Put all audio taken so far on the medium, then the log: a group commit; blocks.

        Streams that the disk fails are poisoned, and logged.
        """
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            self.flush()
        self._report(self._settler.sync_all(dirty))
        self._handles.evict()
        self.sync_log()

    def sync_sealed(self) -> None:
        """Put on the medium the streams that have sealed a segment since their last sync; blocks.

        With durability ``os`` nothing else does before the next checkpoint. Streams that the disk
        fails are poisoned, and logged.
        """
        with self._lock:
            sealed = [stream for stream in self._dirty if stream.has_sealed]
        self._report(self._settler.sync_all(sealed))

    def checkpoint(self) -> None:
        """Settle everything, and drop the full log files; blocks, while appending goes on.

        Raises
        ------
        StorageError
            Something could not be settled. The log keeps what recovery would need of it.
        """
        with self._checkpointing:
            with self._lock:
                self._turn_log()
                old = self._log.take_old()
                touched, self._touched = self._touched, set()
                deleted, self._deleted = self._deleted, []
            explained = self._is_explained()
            failed: dict[Stream, StorageError] = {}
            try:
                if not explained:
                    self._catalog.forget(touched)
                failed = self._settler.settle_all(touched)
                settled = [s for s in touched if s not in failed and not s.deleted]
                if deleted:
                    # Nothing may be left of a serial when the log has forgotten it.
                    self._fs.sync_folder(TRASH)
                self._catalog.apply(settled, [stream.serial for stream in deleted])
            except (OSError, sqlite3.Error) as error:
                with self._lock:
                    self._touched |= touched
                    self._deleted += deleted
                raise disk_error("no checkpoint could be made", error) from error
            with self._lock:
                self._touched |= failed.keys()
                self._dirty -= {stream for stream in settled if not stream.is_dirty}
            if failed:
                self._report(failed)
                raise next(iter(failed.values()))
            try:
                self._log.drop(old)
            except OSError as error:
                raise disk_error("no log file could be removed", error) from error

    def _turn_log(self) -> None:
        """Go on in a new log file, so that the current one can be dropped.

        Not while full ones wait to be: a stream that cannot be settled must not fill the disk with
        log files. Without room for a new one, the current one is kept: there is still much to drop.
        """
        if self._log.used and not self._log.old_files:
            try:
                self.flush()
                self._log.rotate()
            except (OSError, StorageError) as error:
                logger.warning("the commit log stays in its current file: %s", error)

    def prepare_log(self) -> None:
        """Allocate the next log file ahead of need; blocks."""
        try:
            self._log.prepare()
        except OSError as error:
            logger.warning("no log file could be allocated ahead: %s", error)

    def statistics(self) -> dict[str, int | bool]:
        """Return figures on what is under way."""
        return {
            "unsynced_streams": len(self._dirty),
            "unsettled_streams": len(self._touched),
            "log_position": self._log.written,
            "log_synced": self._log.synced,
            "log_full_files": self._log.old_files,
            "log_failed": self._failed is not None,
        }

    def give_up(self, why: str) -> StorageError:
        """Take nothing more from now on; return the error that says so."""
        self._failed = (
            f"the commit log in {self._fs.describe()} could not be stored ({why}): nothing more is"
            " taken, for it might be lost. Look after the disk and the server's log, then restart"
        )
        return StorageError(self._failed)

    def _fail(self, error: OSError) -> StorageError:
        return self.give_up(error.strerror or str(error))

    @staticmethod
    def _report(failures: Mapping[Stream, StorageError]) -> None:
        for error in failures.values():
            logger.error("%s", error)


def disk_error(what: str, error: OSError | ValueError | sqlite3.Error) -> StorageError:
    """Return the error for a disk that would not take or give something."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(
            f"{what}: the disk is full. All that was acknowledged is kept; make room and send again"
        )
    why = error.strerror if isinstance(error, OSError) else error
    return StorageError(f"{what}: the disk failed ({why}). All that was acknowledged is kept")
