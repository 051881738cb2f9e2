"""Bringing a damaged archive back into order, without ever deleting audio.

A repair goes over what `verify` finds: each kind of damage has a remedy in `REMEDIES`. Then the
store is opened and closed once: that is a recovery, which carries out what the log says, cuts what
is torn, moves folders of no stream to ``lost`` and makes the catalogue anew.

Invariants
----------
- Bytes that a checksum contradicts, and files that cannot be believed, are put under ``lost``
  durably before anything is changed in their place.
- PCM that does not match its checksum stays where it is, and stays an error for whoever reads it:
  its checksum is never made to fit. All around it can be read.
- Every step replaces or moves one file as a whole: a repair that is cut off is begun anew.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from racs_server.riff import SEGMENT_HEADER
from racs_server.storage.care.findings import (
    MISSING,
    Finding,
    Kind,
    damage_name,
    old_checksums_name,
)
from racs_server.storage.care.survey import (
    Holding,
    Survey,
    file_size,
    head_of,
    pieces,
    read_piece,
)
from racs_server.storage.care.verify import (
    Totals,
    extent,
    found_audio,
    load_checksums,
    pcm_there,
    verify,
)
from racs_server.storage.catalog import NAME as CATALOG
from racs_server.storage.checksums import Checksums
from racs_server.storage.core import Clock, StoreOptions
from racs_server.storage.fs import FileSystem
from racs_server.storage.segment import Segment
from racs_server.storage.store import Store
from racs_server.storage.stream import LOST, folder_name, is_segment


class Step(NamedTuple):
    """One thing that a repair does, or would do.

    Attributes
    ----------
    text
        What, in a sentence.
    finding
        Why, or None.
    """

    text: str
    finding: Finding | None = None


def repair(
    fs: FileSystem,
    clock: Clock,
    totals: Totals,
    options: StoreOptions | None = None,
    *,
    dry_run: bool = False,
) -> Iterator[Step]:
    """Repair an archive that no server has; yield what is done, before it is.

    Parameters
    ----------
    fs
        The data folder.
    clock
        The time.
    totals
        Is counted up meanwhile.
    options
        Settings of the store.
    dry_run
        Only tell what would be done: nothing is changed.

    Raises
    ------
    StartError
        A server has the data folder.
    OSError, StorageError
        The disk failed. What was done until then is whole, and the repair can be begun anew.
    """
    if not dry_run:
        fs.lock()
    try:
        survey = Survey(fs, live=False)
        for finding in verify(survey, totals):
            remedy = REMEDIES[finding.kind]
            if not finding.known:
                yield Step(remedy.told(finding), finding)
                if not dry_run:
                    remedy.act(survey, finding)
        for error in survey.unreadable.values():
            raise error  # nobody knows what is in there: no catalogue is made without it
        for name, start in _loose_ends(survey):
            yield Step(f"what lies behind the stream's end in {name} is kept in {LOST}")
            if not dry_run:
                keep_from(fs, name, start)
        if survey.log.files:
            yield Step(f"the log of {len(survey.log.files)} files is carried out and removed")
        yield Step("the catalogue is made anew from the streams' folders")
        if not dry_run:
            _drop_catalog(fs)
    finally:
        if not dry_run:
            fs.unlock()
    if not dry_run:
        store = Store(fs, clock, options)
        notes = store.report.notes
        store.close()
        yield from (Step(note) for note in notes if not note.startswith("the catalogue was made"))


def _loose_ends(survey: Survey) -> Iterator[tuple[str, int]]:
    """Yield files with bytes that a recovery would cut, and where these begin."""
    for folder in survey.folders():
        try:
            holding = survey.holding(folder)
        except OSError:
            continue  # gone, or told by `verify`
        if holding is not None:
            yield from _behind(survey, holding)


def _behind(survey: Survey, holding: Holding) -> Iterator[tuple[str, int]]:
    fs, stream = survey.fs, holding.stream
    if stream.serial not in survey.log.records:
        return
    kept = {segment.name: segment for segment in stream.segments or ()}
    for entry in sorted(fs.list(stream.folder)):
        name = f"{stream.folder}/{entry}"
        if is_segment(entry):
            valid = kept[name].covered if name in kept else 0
            if _has_bytes(fs, name, valid):
                yield name, SEGMENT_HEADER + valid


def _has_bytes(fs: FileSystem, name: str, start: int) -> bool:
    """Return whether anything but zeros lies behind a place of a segment's PCM."""
    file = fs.open(name, write=False)
    try:
        return any(bytes(piece).strip(b"\0") for piece in pieces(file, start, file.size()))
    finally:
        file.close()


def keep_from(fs: FileSystem, name: str, start: int) -> None:
    """Keep the end of a file under ``lost``."""
    tail = read_piece(fs, name, start, max(0, file_size(fs, name) - start)).rstrip(b"\0")
    folder, _, last = name.rpartition("/")
    keep(fs, f"{LOST}/tails/{folder.rpartition('/')[2]}/{last}.from-{start}", tail)


def keep(fs: FileSystem, name: str, contents: bytes) -> None:
    """Put bytes under ``lost`` durably; where other bytes of that name are, by a name beside it."""
    folder, _, last = name.rpartition("/")
    fs.make_folder(folder)
    number, taken = 1, set(fs.list(folder))
    target = last
    while target in taken and fs.read(f"{folder}/{target}") != contents:
        number += 1
        target = f"{last}.{number}"
    if target not in taken:
        fs.replace(f"{folder}/{target}", contents)
    while folder:
        fs.sync_folder(folder)
        folder = folder.rpartition("/")[0]
    fs.sync_folder("")


def _set_down(survey: Survey, finding: Finding) -> None:
    """Keep damaged audio as it was found: verify knows it from then on."""
    assert finding.start is not None
    assert finding.stop is not None
    frames = (finding.start, finding.stop)
    found = found_audio(survey.fs, _holding(survey, finding).stream, finding.file, *frames)
    keep(survey.fs, damage_name(finding.serial, *frames, found), found)


def _keep_tail(survey: Survey, finding: Finding) -> None:
    """Keep all that a recovery will cut with the first sample frames that are not as taken."""
    stream = _holding(survey, finding).stream
    assert finding.start is not None
    for segment in stream.segments or ():
        if segment.stop > finding.start:
            cut = max(0, finding.start - segment.first) * stream.format.frame_bytes
            keep_from(survey.fs, segment.name, SEGMENT_HEADER + cut)


def _remake_checksums(survey: Survey, finding: Finding) -> None:
    """Take a segment's PCM as the disk holds it; the old checksums tell what of it is proven."""
    holding = _holding(survey, finding)
    name = finding.file.removesuffix("crc") + "wav"
    segment = next(s for s in holding.stream.segments or () if s.name == name)
    last = finding.file.rpartition("/")[2]
    there = last in survey.fs.list(holding.stream.folder)
    old = survey.fs.read(finding.file) if there else b""
    keep(survey.fs, old_checksums_name(finding.serial, segment.first), old)
    survey.fs.replace(finding.file, _sums_of(survey.fs, holding, segment).dump())
    survey.fs.sync_folder(holding.stream.folder)


def _sums_of(fs: FileSystem, holding: Holding, segment: Segment) -> Checksums:
    sums = Checksums()
    due, room = holding.due(segment), pcm_there(fs, segment)
    file = fs.open(segment.name, write=False)
    try:
        for piece in pieces(file, 0, min(due, room)):
            sums.extend(piece)
    finally:
        file.close()
    return sums


def _write_header(survey: Survey, finding: Finding) -> None:
    holding = _holding(survey, finding)
    stream = holding.stream
    segment = next(s for s in stream.segments or () if s.name == finding.file)
    keep(
        survey.fs,
        f"{LOST}/headers/{finding.serial}/{segment.first:020d}.header",
        read_piece(survey.fs, segment.name, 0, SEGMENT_HEADER),
    )
    file = survey.fs.open(segment.name)
    try:
        due = extent(survey.fs, holding, segment, load_checksums(survey.fs, segment)[0])
        file.write([head_of(stream, segment.first, due)], 0)
        file.sync()
    finally:
        file.close()


def _write_manifest(survey: Survey, finding: Finding) -> None:
    stream = _holding(survey, finding).stream
    if finding.file.rpartition("/")[2] in survey.fs.list(stream.folder):
        name = f"{LOST}/streams/{stream.folder.rpartition('/')[2]}.json"
        keep(survey.fs, name, survey.fs.read(finding.file))
    survey.fs.replace(finding.file, stream.manifest())
    survey.fs.sync_folder(stream.folder)


def _move_aside(survey: Survey, finding: Finding) -> None:
    folder, _, last = finding.file.rpartition("/")
    keep(survey.fs, f"{LOST}/attachments/{finding.serial}/{last}", survey.fs.read(finding.file))
    survey.fs.remove(finding.file)
    survey.fs.sync_folder(folder)


def _keep_log(survey: Survey, finding: Finding) -> None:
    for name in survey.log.files:
        keep(survey.fs, f"{LOST}/{name}", survey.fs.read(name).rstrip(b"\0"))


def _leave(_survey: Survey, _finding: Finding) -> None:
    """Do nothing here: the recovery at the end does it."""


def _drop_catalog(fs: FileSystem) -> None:
    # The database before its journal: without this it is what it was, not what it is.
    for suffix in ("", "-wal", "-shm"):
        if CATALOG + suffix in fs.list(""):
            fs.remove(CATALOG + suffix)
            fs.sync_folder("")


def _holding(survey: Survey, finding: Finding) -> Holding:
    """Return the stream that a finding is about, as it is now."""
    assert finding.stream is not None
    holding = survey.holding(folder_name(finding.stream))
    assert holding is not None
    return holding


class Remedy(NamedTuple):
    """What is done about a kind of damage.

    Attributes
    ----------
    text
        It, in a sentence.
    act
        Does it.
    kept
        What is said beside of a file that was there.
    """

    text: str
    act: Callable[[Survey, Finding], None]
    kept: str = ""

    def told(self, finding: Finding) -> str:
        """Return what is said of a finding."""
        return self.text if finding.why == MISSING else self.text + self.kept


REMEDIES = {
    Kind.AUDIO: Remedy(
        "set down in lost/damage; it stays an error to read it, all around it can be read",
        _set_down,
    ),
    Kind.UNPROVEN: Remedy("told", _leave),
    Kind.TAIL: Remedy(
        "the stream ends before it; what lies there and behind is kept in lost/tails", _keep_tail
    ),
    Kind.CHECKSUMS: Remedy(
        "made anew from what the disk holds",
        _remake_checksums,
        "; the old ones are kept in lost/checksums",
    ),
    Kind.HEADER: Remedy("written anew; the old one is kept in lost/headers", _write_header),
    Kind.STREAM: Remedy(
        "made anew without its sessions",
        _write_manifest,
        "; the old one is kept in lost/streams",
    ),
    Kind.FOLDER: Remedy("moved to lost", _leave),
    Kind.ATTACHMENT: Remedy("moved to lost/attachments", _move_aside),
    Kind.LOG: Remedy("kept in lost/log; what lies behind the tear is cut", _keep_log),
    Kind.CATALOGUE: Remedy("made anew", _leave),
    Kind.UNREADABLE: Remedy("left as it is: look after the disk", _leave),
}
