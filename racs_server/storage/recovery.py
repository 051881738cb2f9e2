"""Start-up: after a clean stop the catalogue is right; after a crash the log tells what to mend.

A clean stop leaves no log file. Otherwise the folders' names are compared with the catalogue, and
the log is read from the last checkpoint on: the work is in proportion to what was dirty, not to
what is archived. Each stream with records starts from its ``stream.json``; records of what this
knows already are passed over.

Invariants
----------
- An append is kept if it follows on what is kept already, and its PCM is there and matches the
  record's checksum (or comes with the record). The first that fails ends its stream, for behind a
  hole nothing can be placed.
- Recovery ends with everything settled, so that a second one finds nothing to do.
- Nothing that was acknowledged is removed. What cannot be explained is moved to ``lost``.
- A stream is deleted where the log says so, and where its folder is in ``trash``. An id is given to
  a new stream only after both are on the medium (see `Store.delete`): so where the log has a later
  stream of a deleted one's id, the folder is that one's.
"""

import logging
from collections.abc import Iterator

import msgspec
from crc32c import crc32c

from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.catalog import Catalog
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.fs import FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.log import FOLDER as LOG
from racs_server.storage.log import LogReader
from racs_server.storage.records import Appended, Closed, Created, Deleted, Expires, Opened, Record
from racs_server.storage.segment import MAX_PCM, Segment
from racs_server.storage.settle import Settler, trim
from racs_server.storage.stream import (
    FOLDER,
    LOST,
    TRASH,
    Stream,
    folder_name,
    read_manifest,
    stream_folders,
)
from racs_server.values import AudioFormat

logger = logging.getLogger(__name__)


class RecoveryReport(msgspec.Struct):
    """What a start has found.

    Attributes
    ----------
    clean
        Whether the last stop was in order: nothing had to be done.
    streams
        How many streams there are.
    records
        How many records of the log were read.
    kept_frames, dropped_frames
        Sample frames that only the log knew of and that were kept, or were not there any more.
    notes
        What was found otherwise, a sentence each.
    """

    clean: bool = True
    streams: int = 0
    records: int = 0
    kept_frames: int = 0
    dropped_frames: int = 0
    notes: list[str] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        if self.clean and not self.notes:
            return "stopped in order, nothing to recover"
        parts = [f"recovered {self.kept_frames} sample frames from {self.records} log records"]
        if self.dropped_frames:
            parts.append(f"dropped {self.dropped_frames} that were not on the disk any more")
        return "; ".join([*parts, *self.notes])


class Recovered(msgspec.Struct):
    """The outcome: all streams, the report, and the numbers that are taken.

    Attributes
    ----------
    last_serial
        No serial that is found anywhere, be it of a deleted stream, is larger.
    next_sequence
        The number for the next log file.
    """

    streams: list[Stream]
    last_serial: int
    report: RecoveryReport
    next_sequence: int


def recover(fs: FileSystem, catalog: Catalog, handles: Handles, settler: Settler) -> Recovered:
    """Bring a data folder into order, and return what is in it.

    Raises
    ------
    StorageError
        What was found could not be settled; nothing has been thrown away.
    """
    for folder in (TRASH, LOG):
        fs.make_folder(folder)
    fs.sync_folder("")
    reader = LogReader(fs)
    streams = {stream.serial: stream for stream in catalog.load()}
    deleted = {int(name) for name in fs.list(TRASH) if name.isdecimal()}
    in_order = not reader.files and catalog.replaced is None and not deleted & streams.keys()
    report = RecoveryReport(clean=in_order)
    if not report.clean:
        if catalog.replaced is not None:
            report.notes.append(f"the catalogue was made anew ({catalog.replaced})")
        # Until all is settled the log is relied on; a kill left it where a power cut can take it.
        reader.sync()
        known = set(streams)
        deleted |= {record.serial for record in reader if isinstance(record, Deleted)}
        for serial in deleted & known:
            del streams[serial]
        _compare_folders(fs, streams, deleted, report)
        replay = _Replay(fs, handles, streams, deleted, report)
        for record in reader:
            report.records += 1
            replay.apply(record)
        if reader.torn is not None and reader.dropped_bytes:
            report.notes.append(f"the log was torn: {reader.torn}")
        changed = replay.finish()
        if changed:
            logger.info("recovery: %d streams are brought into order", len(changed))
        failed = settler.for_each(changed, settler.settle)
        if failed:
            raise next(iter(failed.values()))
        _move_unexplained(fs, streams, deleted, report)
        added = [stream for serial, stream in streams.items() if serial not in known]
        _sync_folders(fs, added)
        catalog.apply({*changed, *added}, known - set(streams))
        for name in reader.files:
            fs.remove(name)
            # One by one: a later file may say that a stream of an earlier one is deleted. And all
            # before the trash is emptied, which may be all that says so.
            fs.sync_folder(LOG)
    for name in fs.list(TRASH):
        fs.remove_tree(f"{TRASH}/{name}")
    fs.sync_folder(TRASH)
    report.streams = len(streams)
    last_serial = max(deleted | streams.keys(), default=0)
    return Recovered(list(streams.values()), last_serial, report, reader.next_sequence)


def _sync_folders(fs: FileSystem, found: list[Stream]) -> None:
    """Put on the medium what leads to streams that a folder alone told of, ere the catalogue does.

    A settling that failed, or a kill in its middle, left them where a power cut can take them.
    """
    folders = {stream.folder for stream in found}
    parents = {folder.rpartition("/")[0] for folder in folders}
    for folder in [*sorted(folders), *sorted(parents), *([FOLDER, ""] if found else [])]:
        fs.sync_folder(folder)


def _compare_folders(
    fs: FileSystem, streams: dict[int, Stream], deleted: set[int], report: RecoveryReport
) -> None:
    """Make the catalogue's streams agree with the folders that there are."""
    folders = set(stream_folders(fs))
    for serial, stream in list(streams.items()):
        if stream.folder not in folders:
            report.notes.append(f"the folder of stream {stream.id!r} is gone")
            del streams[serial]
    for folder in sorted(folders - {stream.folder for stream in streams.values()}):
        try:
            stream = read_manifest(fs, folder)
        except FileNotFoundError:
            continue  # made since the last checkpoint: the log knows it, or nobody
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            report.notes.append(f"{folder} cannot be understood ({error})")
            continue
        if stream.serial not in deleted:
            streams[stream.serial] = stream


def _move_unexplained(
    fs: FileSystem, streams: dict[int, Stream], deleted: set[int], report: RecoveryReport
) -> None:
    """Put folders that belong to no stream where a new stream cannot stumble over them."""
    unexplained = sorted(set(stream_folders(fs)) - {s.folder for s in streams.values()})
    for folder in unexplained:
        if _is_deleted(fs, folder, deleted) or not fs.list(folder):
            fs.remove_tree(folder)
            continue
        report.notes.append(f"{folder} belongs to no stream: moved to {move_to_lost(fs, folder)}")
    # Or a power cut could bring a deleted stream back when the log says nothing of it any more.
    for parent in sorted({folder.rpartition("/")[0] for folder in unexplained}):
        fs.sync_folder(parent)


def _is_deleted(fs: FileSystem, folder: str, deleted: set[int]) -> bool:
    try:
        return read_manifest(fs, folder).serial in deleted
    except (OSError, ValueError, msgspec.MsgspecError):
        return False


def move_to_lost(fs: FileSystem, folder: str) -> str:
    """Move a folder to a name of its own in ``lost``, and return that name."""
    fs.make_folder(LOST)
    taken = set(fs.list(LOST))
    base = folder.rpartition("/")[2]
    name = next(n for n in _numbered(base) if n not in taken)
    fs.rename(folder, f"{LOST}/{name}")
    return f"{LOST}/{name}"


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 1
    while True:
        number += 1
        yield f"{base}.{number}"


class _Replay:
    """Carries out the log's records on the streams as they were at the last checkpoint."""

    def __init__(
        self,
        fs: FileSystem,
        handles: Handles,
        streams: dict[int, Stream],
        deleted: set[int],
        report: RecoveryReport,
    ) -> None:
        self._fs = fs
        self._handles = handles
        self._streams = streams
        self._deleted = deleted
        self._report = report
        self._settled: dict[Stream, int] = {}
        self._ended: set[Stream] = set()
        self._opened: set[Stream] = set()

    def apply(self, record: Record) -> None:
        """Carry out one record."""
        if record.serial in self._deleted:
            return
        if isinstance(record, Created):
            self._create(record)
        elif isinstance(record, Appended):
            stream = self._load(record.serial)
            if stream is not None:
                self._append(stream, record)
        elif isinstance(record, Opened | Closed | Expires):
            stream = self._load(record.serial)
            if stream is not None and isinstance(record, Opened):
                self._opened.add(stream)
            elif stream is not None and isinstance(record, Expires):
                stream.expiry = record.seconds

    def finish(self) -> list[Stream]:
        """Bring the files of all streams with records to what was kept; return these streams."""
        for stream, settled in self._settled.items():
            self._mend(stream, settled)
        return list(self._settled)

    def _load(self, serial: int) -> Stream | None:
        """Return the stream of a record as its ``stream.json`` has it, or None if it is gone."""
        stream = self._streams.get(serial)
        if stream is None or stream in self._settled:
            return stream
        try:
            fresh = read_manifest(self._fs, stream.folder)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            if not isinstance(error, FileNotFoundError):
                self._fs.rename(stream.manifest_name, f"{stream.manifest_name}.damaged")
            if stream.frames or not isinstance(error, FileNotFoundError):
                self._report.notes.append(
                    f"stream.json of {stream.id!r}: {error}. Its sessions are lost"
                )
            fresh = stream
            fresh.sessions = []
        if fresh.serial != serial:
            self._report.notes.append(
                f"{stream.folder} is not of stream {stream.id!r}: moved to"
                f" {move_to_lost(self._fs, stream.folder)}"
            )
            self._fs.make_folder(stream.folder)
            if fresh.serial in self._streams:
                del self._streams[fresh.serial]
            fresh = stream
            fresh.frames, fresh.sessions = 0, []
        fresh.is_new = True
        self._streams[serial] = fresh
        self._settled[fresh] = fresh.frames
        fresh.load_segments(self._fs, beyond=True)
        return fresh

    def _create(self, record: Created) -> None:
        if record.serial in self._streams:
            self._load(record.serial)
            return
        folder = folder_name(record.stream_id)
        self._fs.make_folder(folder)
        format_ = AudioFormat(record.sample_rate, record.channels, record.bit_depth)
        stream = Stream(record.stream_id, record.serial, format_, record.time, folder)
        self._streams[record.serial] = stream
        self._load(record.serial)

    def _append(self, stream: Stream, record: Appended) -> None:
        if record.position + record.count <= self._settled[stream]:
            self._opened.discard(stream)
            return
        if stream in self._ended or record.position != stream.frames:
            self._drop(stream, record, "what should lie before it is not there")
        elif record.pcm is not None:
            self._restore(stream, record.position, record.pcm)
            self._keep(stream, record)
        elif self._is_kept(stream, record):
            self._keep(stream, record)
        else:
            self._drop(stream, record, "the disk does not hold what was taken")

    def _is_kept(self, stream: Stream, record: Appended) -> bool:
        """Whether the disk holds what was taken; where it cannot read it now, the log is believed.

        Then its place is kept, and reading it is an error.
        """
        try:
            return self._is_on_disk(stream, record)
        except _Unreadable as error:
            stop = record.position + record.count
            self._report.notes.append(
                f"stream {stream.id!r} is damaged in sample frames {record.position} to {stop}:"
                f" the disk cannot read them ({error.strerror})"
            )
            return True

    def _keep(self, stream: Stream, record: Appended) -> None:
        new_turn = stream in self._opened
        stream.grow(record.count, record.time, record.session.hex(), new_turn=new_turn)
        self._opened.discard(stream)
        self._report.kept_frames += record.count

    def _drop(self, stream: Stream, record: Appended, why: str) -> None:
        if stream not in self._ended:
            self._ended.add(stream)
            self._report.notes.append(
                f"stream {stream.id!r} ends at sample frame {stream.frames}: {why}"
            )
        self._report.dropped_frames += record.count

    def _is_on_disk(self, stream: Stream, record: Appended) -> bool:
        if not _begins_before(stream, record.position):
            return False
        segment = stream.segment_at(record.position)
        frame = stream.format.frame_bytes
        start = (record.position - segment.first) * frame
        found, size = 0, 0
        with self._handles.use(segment):
            for piece in _pieces(segment, start, start + record.count * frame):
                found = crc32c(piece, found)
                size += len(piece)
            if size != record.count * frame or found != record.checksum:
                return False
            # Once more: a sync may have failed before the end, and be called a success by now.
            for piece in _pieces(segment, start, start + size):
                assert segment.file is not None
                segment.file.write([piece], SEGMENT_HEADER + start)
                start += len(piece)
        return True

    def _restore(self, stream: Stream, position: int, pcm: bytes) -> None:
        """Put PCM that the log carries where it belongs."""
        assert stream.segments is not None
        frame = stream.format.frame_bytes
        last = stream.segment_at(position) if _begins_before(stream, position) else None
        if last is None or (position - last.first) * frame + len(pcm) > MAX_PCM:
            stream.segments.append(Segment.new(stream.folder, position, stream.format))
            stream.segments.sort(key=lambda s: s.first)
        segment = stream.segment_at(position)
        offset = (position - segment.first) * frame
        with self._handles.use(segment, create=True):
            assert segment.file is not None
            segment.file.write([pcm], SEGMENT_HEADER + offset)

    def _mend(self, stream: Stream, settled: int) -> None:
        """Cut a stream's files to what was kept, and make their checksums anew from there on."""
        assert stream.segments is not None
        for segment in [s for s in stream.segments if s.first >= stream.frames]:
            stream.segments.remove(segment)
            self._handles.forget(segment)
            for name in (segment.name, segment.crc_name):
                if name.rpartition("/")[2] in self._fs.list(stream.folder):
                    self._fs.remove(name)
        stops = [s.first for s in stream.segments[1:]] + [stream.frames]
        for segment, stop in zip(stream.segments, stops, strict=False):
            segment.covered = (stop - segment.first) * stream.format.frame_bytes
            if stop > settled or segment is stream.segments[-1]:
                with self._handles.use(segment):
                    self._check_anew(stream, segment, settled)
                    trim(segment)
                segment.dirty = segment.unsettled = segment.is_new = True

    def _check_anew(self, stream: Stream, segment: Segment, settled: int) -> None:
        """Go on from the checksums that were settled: these also cover what recovery cannot."""
        why = "it covers too little"
        try:
            sums = Checksums.load(self._fs.read(segment.crc_name))
        except (OSError, ValueError) as error:
            sums, why = Checksums(), str(error)
        due = min((settled - segment.first) * stream.format.frame_bytes, segment.covered)
        if sums.covered < due:
            self._report.notes.append(
                f"{segment.crc_name} of {stream.id!r} was made anew from what the disk holds: {why}"
            )
        if sums.covered > segment.covered:
            sums.cut(segment.covered)
        _extend(sums, segment)
        segment.checksums = sums


class _Unreadable(OSError):
    """The disk has failed to read PCM."""


def _extend(sums: Checksums, segment: Segment) -> None:
    """Take in the rest of an open segment's PCM, block by block.

    What the disk cannot read matches nothing later. Where that is the end, it is left out: then new
    audio goes into another segment (see `appends`), and not into a block that cannot be read.
    """
    while (start := sums.covered) < segment.covered:
        stop = min(start - start % BLOCK + BLOCK, segment.covered)
        try:
            for piece in _pieces(segment, start, stop):
                sums.extend(piece)
        except _Unreadable:
            if stop == segment.covered:
                return
            sums.skip(stop - start)
        if sums.covered == start:
            return


def _begins_before(stream: Stream, position: int) -> bool:
    """Whether a segment can hold a sample frame: a power cut may have taken the first ones."""
    segments = stream.segments or ()
    return any(segment.first <= position for segment in segments[:1])


def _pieces(segment: Segment, start: int, stop: int) -> Iterator[memoryview]:
    """Read a range of an open segment's PCM, in bytes, unchecked; it may end early.

    Raises
    ------
    _Unreadable
        The disk fails.
    """
    assert segment.file is not None
    buffer = memoryview(bytearray(min(16 * BLOCK, max(stop - start, 0))))
    while start < stop:
        try:
            count = segment.file.read_into(buffer[: stop - start], SEGMENT_HEADER + start)
        except OSError as error:
            raise _Unreadable(*error.args) from error
        if not count:
            return
        yield buffer[:count]
        start += count
