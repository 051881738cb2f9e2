"""The log's records carried out on the streams as they were at the last checkpoint.

Each stream with records starts from its ``stream.json``; records of what this knows already are
passed over.

Invariants
----------
- An append is kept if it follows on what is kept already, and its PCM is there and matches the
  record's checksum (or comes with the record). The first that fails ends its stream, for behind a
  hole nothing can be placed.
"""

from collections.abc import Iterator

import msgspec
from crc32c import crc32c

from racs_server.errors import StorageError
from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.folders import move_to_lost
from racs_server.storage.fs import FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.records import Appended, Closed, Created, Expires, Opened, Record
from racs_server.storage.report import RecoveryReport
from racs_server.storage.segment import MAX_PCM, Segment
from racs_server.storage.settle import trim
from racs_server.storage.stream import Stream, folder_name, read_manifest
from racs_server.values import AudioFormat


class Replay:
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
        try:
            fresh.load_segments(self._fs, beyond=True)
        except OSError as error:
            raise StorageError(
                f"{fresh.folder} of stream {fresh.id!r} cannot be listed ({error.strerror}), and"
                " the log has audio for it. Look after the disk and start again, or move this"
                " folder out of the data folder to start without it"
            ) from error
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
