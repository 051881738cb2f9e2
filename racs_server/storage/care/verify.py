"""Reading a whole archive, and telling all that is wrong with it; nothing is changed.

It may run beside a server. Then what came since the last checkpoint is checked against the log, and
the catalogue, which is in the server's hands, is left out.
"""

from collections.abc import Callable, Iterator

import msgspec
from crc32c import crc32c

from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.attachments import FOLDER as ATTACHMENTS
from racs_server.storage.attachments import parse as parse_attachment
from racs_server.storage.care.findings import (
    MISSING,
    Finding,
    Kind,
    about,
    damage_name,
    old_checksums_name,
)
from racs_server.storage.care.survey import (
    Holding,
    Progress,
    Survey,
    damaged_blocks,
    file_size,
    head_of,
    read_piece,
    segment_of,
)
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.fs import FileSystem
from racs_server.storage.records import Appended
from racs_server.storage.segment import Segment
from racs_server.storage.stream import Stream


class Totals(msgspec.Struct):
    """How far a look at an archive has come.

    Attributes
    ----------
    streams, all_streams
        Streams done, and all of them.
    frames
        Sample frames of the streams done.
    pcm_bytes
        Bytes of PCM read.
    """

    streams: int = 0
    all_streams: int = 0
    frames: int = 0
    pcm_bytes: int = 0

    def read(self, size: int) -> None:
        """Count bytes of PCM that were read."""
        self.pcm_bytes += size


def verify(
    survey: Survey, totals: Totals, wanted: Callable[[str], object] = lambda _: True
) -> Iterator[Finding]:
    """Yield all that is wrong with an archive, stream by stream.

    Parameters
    ----------
    survey
        The archive.
    totals
        Is counted up meanwhile.
    wanted
        Says of a stream's id whether to look at the stream.

    Raises
    ------
    OSError
        The data folder itself cannot be read.
    """
    if survey.log.torn is not None:
        yield Finding(kind=Kind.LOG, why=f"it is torn: {survey.log.torn}", file="log")
    folders = survey.folders()
    totals.all_streams = len(folders)
    found: dict[str, Stream] = {}
    for folder in folders:
        try:
            holding = survey.holding(folder)
        except FileNotFoundError:
            totals.all_streams -= 1
            continue
        except OSError as error:
            survey.unreadable[folder] = error
            continue
        if holding is None:
            if not survey.live:
                yield Finding(kind=Kind.FOLDER, why="it is of no stream", file=folder)
            continue
        found[folder] = holding.stream
        if wanted(holding.stream.id):
            findings = list(_stream(survey, holding, totals.read))
            if not (findings and survey.live and survey.changed(holding.stream)):
                yield from findings
            totals.frames += holding.stream.frames
            totals.streams += 1
        else:
            totals.all_streams -= 1
    for folder, reason in survey.unreadable.items():
        why = f"it cannot be read: {reason.strerror}"
        yield Finding(kind=Kind.UNREADABLE, why=why, file=folder)
    yield from _catalogue(survey, found)


def _catalogue(survey: Survey, found: dict[str, Stream]) -> Iterator[Finding]:
    if isinstance(survey.catalog, str):
        yield Finding(kind=Kind.CATALOGUE, why=survey.catalog, file="catalog.sqlite")
    elif survey.catalog is not None and not survey.log.files:
        for folder, stream in survey.catalog.items():
            unreadable = {folder, folder.rpartition("/")[0]} & survey.unreadable.keys()
            if folder not in found and not unreadable:
                yield about(stream, Kind.CATALOGUE, "the stream's folder is gone", folder)
        for folder, stream in found.items():
            known = survey.catalog.get(folder)
            if known is None or (known.serial, known.frames) != (stream.serial, stream.frames):
                why = f"it does not know the stream in {folder} as it is"
                yield about(stream, Kind.CATALOGUE, why, "catalog.sqlite")


def _stream(survey: Survey, holding: Holding, progress: Progress) -> Iterator[Finding]:
    fs, stream = survey.fs, holding.stream
    try:
        if holding.fault is not None:
            yield about(stream, Kind.STREAM, holding.fault, stream.manifest_name)
        yield from _gaps(fs, holding)
        for segment in stream.segments or ():
            if holding.due(segment):
                yield from _segment(fs, holding, segment, progress)
        for record in holding.tail:
            yield from _tail(fs, stream, record)
            progress(record.count * stream.format.frame_bytes)
        yield from _attachments(fs, stream)
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
        yield about(stream, Kind.UNREADABLE, why, str(error.filename or stream.folder))


def _gaps(fs: FileSystem, holding: Holding) -> Iterator[Finding]:
    """Yield what should lie before the first segment."""
    segments = holding.stream.segments or ()
    first = segments[0].first if segments else holding.stream.frames
    if min(first, holding.settled):
        segment = Segment(holding.stream.folder, 0, holding.stream.format, 0)
        yield _damage(fs, holding.stream, segment.name, (0, first), "the file is missing")


def _segment(
    fs: FileSystem, holding: Holding, segment: Segment, progress: Progress
) -> Iterator[Finding]:
    stream, frame = holding.stream, segment.format.frame_bytes
    sums, fault = load_checksums(fs, segment)
    due = extent(fs, holding, segment, sums)
    frames = (segment.first, segment.first + due // frame)
    head = read_piece(fs, segment.name, 0, SEGMENT_HEADER)
    stated = int.from_bytes(head[-4:], "little")
    if head != head_of(stream, segment.first, stated) or stated < due:
        yield about(stream, Kind.HEADER, "it does not say what it should", segment.name)
    there = pcm_there(fs, segment)
    if fault is None and sums.covered < min(due, there):
        fault = "it covers too little"
    if fault is not None:
        yield about(stream, Kind.CHECKSUMS, fault, segment.crc_name, frames)
    readable = there if fault is not None else sums.covered
    if readable < holding.due(segment):
        yield lacking(fs, holding, segment, readable)
    file = fs.open(segment.name, write=False)
    try:
        for start, stop, why in damaged_blocks(file, sums, progress):
            lost = (segment.first + start // frame, segment.first - (-stop // frame))
            yield _damage(fs, stream, segment.name, lost, why)
    finally:
        file.close()
    yield from _unproven(fs, stream, segment, sums)


def lacking(fs: FileSystem, holding: Holding, segment: Segment, readable: int) -> Finding:
    """Return what is wrong where a segment's file has less PCM, in bytes, than is due."""
    stream, due = holding.stream, holding.due(segment)
    first, stop = (segment.first + size // segment.format.frame_bytes for size in (readable, due))
    if pcm_there(fs, segment) == readable and load_checksums(fs, segment)[0].covered == readable:
        behind = Segment(stream.folder, first, stream.format, 0)
        return _damage(fs, stream, behind.name, (first, stop), "the file is missing")
    return _damage(fs, stream, segment.name, (first, stop), "a part of it is missing")


def extent(fs: FileSystem, holding: Holding, segment: Segment, sums: Checksums) -> int:
    """Return how many bytes of PCM a segment's own file should hold.

    That is what is due up to the next file, but where its checksums say that it was complete: then
    it is a file behind it that is missing.
    """
    due = holding.due(segment)
    return (
        sums.covered if 0 < sums.covered < due and sums.covered == pcm_there(fs, segment) else due
    )


def pcm_there(fs: FileSystem, segment: Segment) -> int:
    """Return how many bytes of whole sample frames a segment's file has."""
    frame = segment.format.frame_bytes
    return max(0, file_size(fs, segment.name) - SEGMENT_HEADER) // frame * frame


def load_checksums(fs: FileSystem, segment: Segment) -> tuple[Checksums, str | None]:
    """Return a segment's checksums, none if they cannot be believed, and why they cannot."""
    try:
        return Checksums.load(fs.read(segment.crc_name)), None
    except FileNotFoundError:
        return Checksums(), MISSING
    except ValueError as error:
        return Checksums(), str(error)


def _damage(
    fs: FileSystem, stream: Stream, name: str, frames: tuple[int, int], why: str
) -> Finding:
    noted = damage_name(stream.serial, *frames, found_audio(fs, stream, name, *frames))
    folder, _, last = noted.rpartition("/")
    return about(stream, Kind.AUDIO, why, name, frames, known=last in fs.list(folder))


def found_audio(fs: FileSystem, stream: Stream, name: str, start: int, stop: int) -> bytes:
    """Return the bytes that a segment's file holds for sample frames, as far as there are any."""
    folder, _, last = name.rpartition("/")
    if last not in fs.list(folder):
        return b""
    frame = stream.format.frame_bytes
    offset = SEGMENT_HEADER + (start - int(last[:20])) * frame
    return read_piece(fs, name, offset, (stop - start) * frame)


def _unproven(
    fs: FileSystem, stream: Stream, segment: Segment, sums: Checksums
) -> Iterator[Finding]:
    """Yield what was taken as the disk held it, when the checksum file could not be believed."""
    name = old_checksums_name(stream.serial, segment.first)
    folder, _, last = name.rpartition("/")
    if last not in fs.list(folder):
        return
    frame, checks, old = segment.format.frame_bytes, sums.entries(), fs.read(name)
    try:
        proven = Checksums.salvage(old).entries()
    except ValueError:
        proven = []
    why = f"no checksum proves it, {f'{name} is damaged' if old else 'its file was missing'}"
    begin = 0
    for block, check in enumerate([*checks, None]):
        if check is None or proven[block : block + 1] == [check]:
            if begin < block:
                stop = min(block * BLOCK, sums.covered)
                lost = (segment.first + begin * BLOCK // frame, segment.first - (-stop // frame))
                yield about(stream, Kind.UNPROVEN, why, segment.name, lost, known=True)
            begin = block + 1


def _tail(fs: FileSystem, stream: Stream, record: Appended) -> Iterator[Finding]:
    """Check what only the log vouches for."""
    segment = segment_of(stream, record.position)
    if record.pcm is None and (segment is None or tail_pcm(fs, segment, record) is None):
        frames = (record.position, record.position + record.count)
        name = segment.name if segment is not None else stream.folder
        yield about(stream, Kind.TAIL, "the disk does not hold what was taken", name, frames)


def tail_pcm(fs: FileSystem, segment: Segment, record: Appended) -> bytes | None:
    """Return the PCM that a record of the log tells of, or None if it is not as it was taken."""
    if record.pcm is not None:
        return record.pcm
    frame = segment.format.frame_bytes
    offset = SEGMENT_HEADER + (record.position - segment.first) * frame
    pcm = read_piece(fs, segment.name, offset, record.count * frame)
    return pcm if crc32c(pcm) == record.checksum else None


def _attachments(fs: FileSystem, stream: Stream) -> Iterator[Finding]:
    folder = f"{stream.folder}/{ATTACHMENTS}"
    for entry in sorted(fs.list(folder)):
        if len(entry) == 32:
            try:
                parse_attachment(stream.folder, entry, fs.read(f"{folder}/{entry}"))
            except ValueError as error:
                yield about(stream, Kind.ATTACHMENT, str(error), f"{folder}/{entry}")
