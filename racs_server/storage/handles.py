"""A bounded cache of open segment files: ten thousand streams do not need ten thousand files open.

A file that somebody uses stays open, and so does one of which something waits for a sync, for
closing it could hide the sync's failure. Nothing is synced here, where locks are held: with twice
as many files open as there should be, whoever brings more waits for a sync before it goes on (see
`Upkeep.overcrowded`), and is slowed down to what the disk can do.
"""

import logging
import threading
from collections import OrderedDict
from itertools import islice

from racs_server.storage.checksums import Checksums
from racs_server.storage.fs import FileSystem
from racs_server.storage.segment import Segment

logger = logging.getLogger(__name__)


class Handles:
    """The open files of segments, least recently used first.

    Parameters
    ----------
    fs
        The data folder.
    limit
        How many files to keep open.
    """

    def __init__(self, fs: FileSystem, limit: int) -> None:
        self._fs = fs
        self._limit = limit
        self._open: OrderedDict[Segment, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def crowded(self) -> bool:
        """Whether more files are open than there should be: a sync would let some be closed."""
        return len(self._open) > self._limit

    @property
    def overcrowded(self) -> bool:
        """Whether so many more are open that nobody should bring others before a sync."""
        return len(self._open) > 2 * self._limit

    def acquire(self, segment: Segment, *, create: bool = False) -> None:
        """Open the segment's file if it is not open, and keep it so until `release`."""
        with self._lock:
            if segment.file is None:
                segment.file = self._fs.open(segment.name, create=create)
            self._open[segment] = None
            self._open.move_to_end(segment)
            segment.users += 1
            self._evict()

    def release(self, segment: Segment) -> None:
        """Allow the file to be closed when room is needed."""
        with self._lock:
            segment.users -= 1
            if not segment.users and segment not in self._open:
                self._close(segment)

    def use(self, segment: Segment, *, create: bool = False) -> "_Use":
        """Keep the segment's file open for the length of a ``with`` block."""
        return _Use(self, segment, create)

    def load_checksums(self, segment: Segment) -> Checksums:
        """Return the segment's checksums, from its ``.crc`` file if they are not in memory.

        Called with the store's lock held and the segment in use: or they could be read here while
        an append goes on from others, or be dropped before they are looked at. They cover less than
        what should be valid where audio is missing, and more where a power cut came between the two
        files that tell of it.

        Raises
        ------
        ValueError
            The file is damaged.
        OSError
            It cannot be read.
        """
        if not segment.covered:
            segment.checksums = segment.checksums or Checksums()
        if segment.checksums is None:
            segment.checksums = Checksums.load(self._fs.read(segment.crc_name))
        return segment.checksums

    def salvage_checksums(self, segment: Segment) -> Checksums:
        """Return what `load_checksums` does, or what a damaged file still has: to read by only."""
        try:
            return self.load_checksums(segment)
        except ValueError as error:
            logger.warning("%s: %s. What matches it is right nevertheless", segment.crc_name, error)
            return Checksums.salvage(self._fs.read(segment.crc_name))

    def forget(self, segment: Segment) -> None:
        """Close the segment's file, now or when its last user is done: it is to be removed."""
        with self._lock:
            self._open.pop(segment, None)
            segment.dirty = segment.unsettled = False
            if not segment.users:
                self._close(segment)

    def evict(self) -> None:
        """Close what may be closed of the files that are too many."""
        with self._lock:
            self._evict()

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for segment in self._open:
                self._close(segment)
            self._open.clear()

    def _evict(self) -> None:
        surplus = len(self._open) - self._limit
        if surplus <= 0:
            return
        idle = (segment for segment in self._open if not (segment.users or segment.dirty))
        for segment in list(islice(idle, surplus)):
            del self._open[segment]
            self._close(segment)

    @staticmethod
    def _close(segment: Segment) -> None:
        if segment.file is not None:
            segment.file.close()
            segment.file = None
        if not segment.unsettled:
            segment.checksums = None


class _Use:
    """What `Handles.use` returns; a generator would cost an append some microseconds more."""

    __slots__ = ("_create", "_handles", "_segment")

    def __init__(self, handles: Handles, segment: Segment, create: bool) -> None:
        self._handles = handles
        self._segment = segment
        self._create = create

    def __enter__(self) -> None:
        self._handles.acquire(self._segment, create=self._create)

    def __exit__(self, *_: object) -> None:
        self._handles.release(self._segment)
