"""Backups of an archive, also of one that a server is appending to, and the way back.

A backup is a folder by the name of its time (``2026-11-21T03-32-29.123Z``) below the folder of the
backups. It holds every stream as a server that ended in order would have left it, cut at one moment
of its own; whatever was acknowledged before the backup began is in it. Files that have not changed
since the backup before are second names (hard links) of that one's, so that each backup is whole by
itself and takes the room of what is new. What can be made anew, the catalogue and drawings of the
waveform, is left out, and so is ``lost``.

``backup.json`` in it is sealed with a checksum as ``stream.json`` is: ``version`` 1, ``taken`` (ms
since the epoch), ``files`` (``{name: [size, CRC-32C of the contents]}``) and ``damaged``, a list of
those segments whose PCM did not match its checksums when it was copied.

Invariants
----------
- A backup is written by the name ``unfinished``, and gets its own when all of it is on the medium:
  one that is cut off leaves those before as they were.
- What is copied is read back and checked.
- Nobody writes in a backup again: no store is opened on a folder with a ``backup.json``.
"""

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec
from crc32c import crc32c

from racs_server.errors import DiskFullError, StartError, StorageError
from racs_server.storage.attachments import FOLDER as ATTACHMENTS
from racs_server.storage.care.findings import Finding, Kind, about
from racs_server.storage.care.survey import (
    Holding,
    Survey,
    damaged_blocks,
    head_of,
    pieces,
    segment_of,
)
from racs_server.storage.care.verify import Totals, lacking, load_checksums, tail_pcm
from racs_server.storage.checksums import Checksums
from racs_server.storage.fs import Buffer, File, FileSystem
from racs_server.storage.segment import READ, Segment
from racs_server.storage.stream import FOLDER, INDEX, Stream, seal, unseal
from racs_server.values import NS_PER_MS, format_instant

UNFINISHED = "unfinished"
_NAME = re.compile(r"[0-9-]{10}T[0-9.-]{12}Z")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One file of a backup: its length and the CRC-32C of its contents."""

    size: int
    checksum: int


class Index(msgspec.Struct):
    """What a ``backup.json`` says; see the module."""

    version: int
    taken: int
    files: dict[str, Entry]
    damaged: list[str]


class BackupReport(msgspec.Struct):
    """What a backup has done.

    Attributes
    ----------
    name
        The backup's folder.
    streams, frames
        What it holds.
    copied_files, copied_bytes
        What was copied.
    kept_files
        How many files are the same as in the backup before.
    findings
        What was damaged already when it was copied.
    """

    name: str = ""
    streams: int = 0
    frames: int = 0
    copied_files: int = 0
    copied_bytes: int = 0
    kept_files: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)


def backups(fs: FileSystem) -> list[str]:
    """Return the names of the complete backups in a folder of backups, oldest first."""
    return sorted(name for name in fs.list("") if _NAME.fullmatch(name) and INDEX in fs.list(name))


def read_index(fs: FileSystem, folder: str) -> Index:
    """Read a backup's index.

    Raises
    ------
    StorageError
        It is damaged, or cannot be read.
    """
    name = f"{folder}/{INDEX}" if folder else INDEX
    try:
        index = msgspec.json.decode(unseal(fs.read(name)), type=Index)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise StorageError(f"{name} in {fs.describe()} cannot be believed: {error}") from None
    if index.version != 1:
        raise StorageError(f"{name} in {fs.describe()} has version {index.version}, known is 1")
    return index


def back_up(source: FileSystem, target: FileSystem, now: int, totals: Totals) -> BackupReport:
    """Make one more backup of an archive.

    Parameters
    ----------
    source
        The data folder; nothing in it is changed.
    target
        The folder of the backups.
    now
        The time, in ms since the epoch.
    totals
        Is counted up meanwhile.

    Raises
    ------
    StartError
        Another backup is being made there.
    OSError, StorageError
        A disk failed; the backups before are as they were.
    """
    target.lock()
    try:
        earlier = backups(target)
        if UNFINISHED in target.list(""):
            target.remove_tree(UNFINISHED)
        with giving_up_when_full(target, UNFINISHED, _WHEN_FULL):
            target.make_folder(UNFINISHED)
            work = _Backup(source, target, earlier[-1] if earlier else None, totals)
            work.run()
            name = format_instant(now * NS_PER_MS).replace(":", "-")
            if name in earlier:
                raise StartError(
                    f"{target.describe()} has a backup {name} already: the clock stands"
                )
            work.finish(now, name)
        return work.report
    finally:
        target.unlock()


@contextmanager
def giving_up_when_full(fs: FileSystem, unfinished: str, what: str) -> Iterator[None]:
    """Give back the room of a folder that a full disk does not let be finished, and say so.

    Raises
    ------
    DiskFullError
        The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        with suppress(OSError):
            fs.remove_tree(unfinished)
        raise DiskFullError(f"the disk of {fs.describe()} is full: {what}") from error


_WHEN_FULL = (
    "this backup was given up, those before are as they were. Make room, by removing old backups"
    " for instance, and begin again"
)


class _Backup:
    """One backup as it is made."""

    def __init__(
        self, source: FileSystem, target: FileSystem, earlier: str | None, totals: Totals
    ) -> None:
        self._source, self._target, self._totals = source, target, totals
        self._earlier = earlier
        self._before = read_index(target, earlier) if earlier else Index(1, 0, {}, [])
        self._files: dict[str, Entry] = {}
        self._damaged: list[str] = []
        self.report = BackupReport()

    def run(self) -> None:
        """Copy all streams."""
        survey = Survey(self._source, live=self._source.in_use())
        folders = survey.folders()
        for error in survey.unreadable.values():
            raise error
        self._totals.all_streams = len(folders)
        for folder in folders:
            self._copy_stream(survey, folder)
            self._totals.streams += 1

    def finish(self, now: int, name: str) -> None:
        """Put everything on the medium, then give the backup its name."""
        files = {name: [entry.size, entry.checksum] for name, entry in self._files.items()}
        fields = {"version": 1, "taken": now, "files": files, "damaged": sorted(set(self._damaged))}
        self._target.replace(f"{UNFINISHED}/{INDEX}", seal(fields))
        sync_folders(self._target, UNFINISHED, self._files)
        self._target.rename(UNFINISHED, name)
        self._target.sync_folder("")
        self.report.name = name

    def _copy_stream(self, survey: Survey, folder: str) -> None:
        files, damaged, findings = (
            dict(self._files),
            list(self._damaged),
            list(self.report.findings),
        )
        holding: Holding | None = None
        try:
            holding = _proven(survey, folder)
            if holding is not None:
                self._copy(holding)
                if not (survey.live and survey.changed(holding.stream)):
                    self.report.streams += 1
                    self.report.frames += holding.stream.frames
                    return
        except FileNotFoundError:
            if holding is not None and not survey.changed(holding.stream):
                raise
        # Deleted while it was copied, or of no stream.
        self._files, self._damaged, self.report.findings = files, damaged, findings
        if folder.rpartition("/")[2] in self._target.list(self._name(folder.rpartition("/")[0])):
            self._target.remove_tree(self._name(folder))
        if holding is None and not survey.live:
            finding = Finding(kind=Kind.FOLDER, why="it is of no stream", file=folder)
            self.report.findings.append(finding)

    def _copy(self, holding: Holding) -> None:
        stream = holding.stream
        self._target.make_folder(self._name(stream.folder))
        if holding.fault is not None:
            finding = about(stream, Kind.STREAM, holding.fault, stream.manifest_name)
            self.report.findings.append(finding)
        for segment in stream.segments or ():
            self._copy_segment(holding, segment)
        inner = f"{stream.folder}/{ATTACHMENTS}"
        for entry in sorted(self._source.list(inner)):
            if len(entry) == 32:
                self._target.make_folder(self._name(inner))
                self._put(f"{inner}/{entry}", [self._source.read(f"{inner}/{entry}")])
        self._put(stream.manifest_name, [stream.manifest()])

    def _copy_segment(self, holding: Holding, segment: Segment) -> None:
        sums, fault = Checksums(), None
        if holding.due(segment):
            sums, fault = load_checksums(self._source, segment)
        if fault is None and self._is_kept(segment, sums):
            return
        file = self._source.open(segment.name, write=False)
        try:
            parts = self._parts(file, holding, segment, sums, believed=fault is None)
            self._put(segment.name, parts)
        finally:
            file.close()
        if fault is None:
            copy = self._target.open(self._name(segment.name), write=False)
            try:
                self._check(holding.stream, segment, copy, sums)
            finally:
                copy.close()
            self._put(segment.crc_name, [sums.dump()])
        else:
            self._note(segment, about(holding.stream, Kind.CHECKSUMS, fault, segment.crc_name))
            if segment.crc_name.rpartition("/")[2] in self._source.list(holding.stream.folder):
                self._put(segment.crc_name, [self._source.read(segment.crc_name)])

    def _parts(
        self, file: File, holding: Holding, segment: Segment, sums: Checksums, *, believed: bool
    ) -> Iterator[Buffer]:
        """Yield a segment's file as it was when it was cut, and go on with its checksums."""
        due, stream = holding.due(segment), holding.stream
        if believed and sums.covered < due:
            self._note(segment, lacking(self._source, holding, segment, sums.covered))
            yield head_of(stream, segment.first, sums.covered)
            yield from pieces(file, 0, sums.covered)
            return
        yield head_of(stream, segment.first, segment.covered)
        if sums.covered > due:
            # A checkpoint has come between. What covers more proves what is wanted, then goes.
            self._check(stream, segment, file, sums)
            sums.cut(due)
        done = 0
        for piece in pieces(file, 0, due):
            if believed:
                sums.extend(piece[max(0, min(len(piece), sums.covered - done)) :])
            done += len(piece)
            yield piece
        for record in holding.tail:
            if segment.first <= record.position < segment.stop:
                pcm = tail_pcm(self._source, segment, record)
                if pcm is None:
                    raise StorageError(f"{segment.name} changes meanwhile: look after the disk")
                sums.extend(pcm)
                yield pcm
        yield bytes(segment.covered % 2)

    def _note(self, segment: Segment, finding: Finding) -> None:
        """Note damage that was copied: the next backup must not rely on this one there."""
        self.report.findings.append(finding)
        self._damaged.append(segment.name)

    def _is_kept(self, segment: Segment, sums: Checksums) -> bool:
        """Give the earlier backup's files a second name, where they are what would be copied."""
        if (
            segment.name in self._before.damaged
            or segment.crc_name not in self._before.files
            or sums.covered != segment.covered
        ):
            return False
        # The files themselves: the CRC-32C of bytes that end with their own is always the same.
        if self._target.read(f"{self._earlier}/{segment.crc_name}") != sums.dump():
            return False
        return all(self._link(name) for name in (segment.name, segment.crc_name))

    def _link(self, name: str) -> bool:
        try:
            self._target.link(f"{self._earlier}/{name}", self._name(name))
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        self._files[name] = self._before.files[name]
        self.report.kept_files += 1
        return True

    def _check(self, stream: Stream, segment: Segment, file: File, sums: Checksums) -> None:
        """Note the blocks of a segment's copy that do not match their checksums."""
        frame = stream.format.frame_bytes
        for start, stop, why in damaged_blocks(file, sums, self._totals.read):
            frames = (segment.first + start // frame, segment.first - (-stop // frame))
            self._note(segment, about(stream, Kind.AUDIO, why, segment.name, frames))

    def _put(self, name: str, parts: Iterable[Buffer]) -> None:
        if self._files.pop(name, None) is not None:
            # A second name of the earlier backup's file, which is never written in.
            self._target.remove(self._name(name))
        entry = write_file(self._target, self._name(name), parts)
        self._files[name] = entry
        self.report.copied_files += 1
        self.report.copied_bytes += entry.size

    @staticmethod
    def _name(name: str) -> str:
        return f"{UNFINISHED}/{name}"


_NO_LINKS = {
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EXDEV,
}
"""What a disk says that cannot link a file."""


def _proven(survey: Survey, folder: str) -> Holding | None:
    """Return a stream as far as the log's last records of it are true."""
    holding = survey.holding(folder)
    if holding is not None:
        for record in holding.tail:
            segment = segment_of(holding.stream, record.position)
            if segment is None or tail_pcm(survey.fs, segment, record) is None:
                return survey.holding(folder, record.position)
    return holding


def write_file(fs: FileSystem, name: str, parts: Iterable[Buffer]) -> Entry:
    """Write a new file, put it on the medium, and read it back.

    Raises
    ------
    OSError
        The disk does not hold what was written.
    """
    file = fs.open(name, create=True)
    try:
        size = check = 0
        for part in parts:
            file.write([part], size)
            check = crc32c(part, check)
            size += len(part)
        file.sync()
        if _read_entry(file) != Entry(size, check):
            raise OSError(errno.EIO, "the disk does not give back what was written", name)
    finally:
        file.close()
    return Entry(size, check)


def _read_entry(file: File) -> Entry:
    size = check = 0
    buffer = memoryview(bytearray(READ))
    while count := file.read_into(buffer, size):
        check = crc32c(buffer[:count], check)
        size += count
    return Entry(size, check)


def sync_folders(fs: FileSystem, root: str, files: Iterable[str]) -> None:
    """Put on the medium the names of all files below a folder, and of the folders between."""
    folders = {root, f"{root}/{FOLDER}"} if FOLDER in fs.list(root) else {root}
    for name in files:
        folder = f"{root}/{name}".rpartition("/")[0]
        while folder != root:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for folder in sorted(folders, reverse=True):
        fs.sync_folder(folder)
