"""The façade: streams are created, opened, appended to, closed, read and deleted here.

The way of an append: `Store.append` checks every frame of a message, writes the PCM behind what the
stream has, adds a record to the commit log and makes the audio visible; `Upkeep.flush` writes the
log's records, once for all messages of one read from a socket. Then it may be acknowledged; with
durability ``always`` once `Upkeep.sync_log` has covered the position that `flush` returned.

Invariants
----------
- A message is taken whole or not at all.
- Nothing of a stream that was acknowledged is ever overwritten.
"""

from collections.abc import Iterable, Iterator, Sequence

from racs.wire import Frame
from racs_server.errors import SyncFailedError
from racs_server.storage.appends import check_frames
from racs_server.storage.attaching import Attaching
from racs_server.storage.feeding import Feed
from racs_server.storage.fs import Buffer
from racs_server.storage.lives import Lives
from racs_server.storage.picturing import Picturing
from racs_server.storage.reading import Ranges, known_damage, read_ranges
from racs_server.storage.stream import Stream
from racs_server.storage.turns import Turns
from racs_server.storage.upkeep import disk_error
from racs_server.values import Kind, StreamEvent, StreamInfo, StreamRange


class Store(Lives, Turns, Attaching, Picturing):
    """An archive of audio streams in one data folder, which this process owns.

    Opening it takes the folder's lock and recovers what a crash has left; this blocks.

    Parameters
    ----------
    fs
        The data folder.
    clock
        The time.
    options
        Settings.
    notify
        Is told what happens to streams, from any thread and with locks held: it must return at
        once, and not come back to the store.

    Attributes
    ----------
    report
        What recovery found.
    upkeep, ahead
        What has to be done in the background.

    Raises
    ------
    StartError
        Another process has the folder, or it cannot be written.
    StorageError
        The disk failed during recovery; nothing has been thrown away.
    """

    def info(self, stream_id: str) -> StreamInfo:
        """Return a stream as it stands; `StreamError` if there is none of that id."""
        with self._lock:
            return self._find(stream_id).info()

    def ids(self) -> list[str]:
        """Return the ids of all streams, in no order."""
        with self._lock:
            return [stream_id for stream_id, s in self._by_id.items() if not s.deleted]

    def id_of(self, hash_: int) -> str | None:
        """Return the id of the stream with a hash, or None."""
        # one look into a dictionary: needs no lock
        stream = self._by_hash.get(hash_)
        return None if stream is None else stream.id

    def append(self, frames: Sequence[Frame]) -> int:
        """Take the frames of one message, all or none; `Upkeep.flush` before they are acknowledged.

        Parameters
        ----------
        frames
            Checked and decompressed; of one stream or of several.

        Returns
        -------
        How many bytes of PCM were taken.

        Raises
        ------
        StreamError
            A stream is not open, or is in use by another session.
        DataError
            A block does not hold whole samples.
        StorageError
            The disk is full, or failed.
        """
        with self._lock:
            self.upkeep.check()
            takes = check_frames(self._by_hash, frames)
            try:
                self._appender.write(takes)
            except OSError as error:
                names = ", ".join(repr(take.stream.id) for take in takes)
                raise disk_error(f"the audio for {names} was not taken", error) from error
            now, heard = self._clock.wall_ms(), self._clock.monotonic()
            total = 0
            for take in takes:
                self._appender.admit(take, now, heard)
                if take.size:
                    self.upkeep.written(take.stream)
                    total += take.size
                    stop = take.stream.frames
                    start = stop - take.size // take.stream.format.frame_bytes
                    self._notify(StreamEvent(Kind.APPENDED, take.stream.id, now, start, stop))
            self._appended_bytes += total
            return total

    def feed(self, stream_id: str, blocks: Iterable[Buffer]) -> int:
        """Append blocks to an open stream, one after the other; blocks like each of them.

        Parameters
        ----------
        stream_id
            A stream that no sender has.
        blocks
            Packed PCM in whole sample frames, in the stream's format.

        Returns
        -------
        How many bytes of PCM were taken.

        Raises
        ------
        StreamError
            There is no such stream, or it is not open, in use, or was closed meanwhile.
        StorageError
            The disk is full, or failed. The blocks before are in the stream.
        """
        with self._lock:
            feed = Feed(self._find(stream_id))
        try:
            total = 0
            for block in blocks:
                with self._lock:
                    total += self.append([feed.frame(block)])
                    self.upkeep.flush()
            return total
        finally:
            feed.end()

    def make_durable(self, stream_id: str) -> int:
        """Put all of a stream on the medium, which stays open; blocks.

        Returns
        -------
        How many sample frames of it are durable.

        Raises
        ------
        StreamError
            There is no such stream.
        StorageError
            The disk failed to store it.
        """
        with self._lock:
            stream = self._find(stream_id)
            self.upkeep.flush()
            frames = stream.frames
        self._settler.sync(stream)
        self.upkeep.sync_log()
        if stream.poisoned is not None:
            raise SyncFailedError(stream.poisoned)
        return frames

    def plan(self, stream_id: str, start: int, stop: int) -> StreamRange:
        """Describe a range of a stream.

        Parameters
        ----------
        stream_id
            The stream.
        start, stop
            First sample frame, and one past the last; cut to what there is.

        Raises
        ------
        StreamError
            There is no such stream.
        DamageError
            An earlier read has found damage in the range.
        """
        with self._lock:
            stream = self._find(stream_id)
            start = min(max(start, 0), stream.frames)
            stop = min(max(stop, start), stream.frames)
            if (damage := known_damage(stream, start, stop)) is not None:
                raise damage
            return StreamRange(stream_id, stream.serial, start, stop, stream.format)

    def read(self, plan: StreamRange) -> Iterator[memoryview]:
        """Yield the PCM that a plan describes; blocks, and may be run in any thread.

        Yields
        ------
        Packed, interleaved PCM in whole sample frames, about 512 KiB at most; each piece is good
        until the next is asked for.

        Raises
        ------
        StreamError
            The stream is gone.
        DamageError
            A block of it does not match its checksum.
        StorageError
            A file cannot be read.
        """
        return self.read_ranges(plan, [(plan.start, plan.stop)])

    def read_ranges(self, plan: StreamRange, ranges: Ranges) -> Iterator[memoryview]:
        """Yield the PCM of ranges of a plan's stream, one after the other; else the same as `read`.

        Parameters
        ----------
        plan
            Any range of the stream.
        ranges
            First sample frames, and those past the last ones: ascending, apart from each other.
        """
        return read_ranges(plan, ranges, self._planned, self._handles, self._lock)

    def _planned(self, plan: StreamRange) -> Stream:
        stream = self._find_same(plan)
        stream.load_segments(self._fs)
        return stream

    def close(self) -> None:
        """Put everything on the medium and give the folder back; blocks.

        Raises
        ------
        StorageError
            The disk failed; the log is left for the next start.
        """
        with self._release:
            settled = False
            try:
                self.close_all()
                settled = True
            finally:
                try:
                    self._log.close(remove=settled)
                except OSError as error:
                    raise disk_error("a log file could not be removed", error) from error

    def statistics(self) -> dict[str, int | str | bool]:
        """Return figures on the store's state."""
        with self._lock:
            return {
                "streams": len(self._by_id),
                "open_streams": len(self._open),
                "open_files": len(self._handles),
                "appended_bytes": self._appended_bytes,
                "durability": str(self.options.durability),
                **self.upkeep.statistics(),
            }
