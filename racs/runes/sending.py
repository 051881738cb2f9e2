"""One run from the spool to the store, so that it may be begun again at any point.

The order is what makes that safe:

1. the record stream is made, empty;
2. each file: its stream is made, the audio that the stream has not yet got is appended (compared by
   INFO ``size``: what an earlier attempt sent stays), the original is attached if the audio is not
   all of it;
3. the record is attached: a run that has one is in the archive whole;
4. the folder in the spool is removed.

Blocks; knows no thread and no event loop.
"""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from racs.client import Racs
from racs.errors import RacsException, RacsServerError
from racs.runes.spool import RUNNING, Job
from racs.runs.naming import input_id, output_id, part, record_id, streams_pattern
from racs.runs.record import RECORD_FORMAT, RECORD_NAME, RunFile, RunRecord, decode, encode
from racs.runs.sound import Block, Sound

MAX_ATTACHMENT = 100 << 20
"""Bytes of the longest file that a store keeps with a stream."""

_MAX_NAME = 255


def send(store: Racs, job: Job) -> RunRecord:
    """Bring a run into the archive, as far as it is not there already.

    Returns
    -------
    RunRecord
        As the archive has it.

    Raises
    ------
    RacsException
        The store cannot be reached, or does not take it; the job stays as it is.
    OSError
        The spool cannot be read.
    """
    record = job.record
    if record.status == RUNNING:
        died = "the process ended during the run"
        record = msgspec.structs.replace(record, status="aborted", error=died)
    record, archived = settle_id(store, record)
    if archived is None:
        job.write(record)
        archived = _send_all(store, job, record)
    return archived


def settle_id(store: Racs, record: RunRecord) -> tuple[RunRecord, RunRecord | None]:
    """Return the record with an id that no other run has, and what the archive has of the run.

    Raises
    ------
    RacsException
        The store cannot be reached, or does not tell.
    """
    run = record.run
    for count in itertools.count(2):
        archived = _archived(store, record.rune, record.run)
        if archived is None or _is_same(archived, record):
            return record, archived
        record = msgspec.structs.replace(record, run=f"{run}-{count}")
    raise AssertionError("counting has no end")


def _is_same(one: RunRecord, other: RunRecord) -> bool:
    return (one.started, one.ended, one.parameters) == (
        other.started,
        other.ended,
        other.parameters,
    )


def _archived(store: Racs, rune: str, run: str) -> RunRecord | None:
    stream_id = record_id(rune, run)
    if stream_id not in _streams(store, rune, run):
        return None
    if RECORD_NAME not in store.attachments(stream_id):
        return None
    return decode(store.attachment(stream_id, RECORD_NAME))


def _streams(store: Racs, rune: str, run: str) -> set[str]:
    return set(store.pipeline().list(pattern=streams_pattern(rune, run)).execute())


def _send_all(store: Racs, job: Job, record: RunRecord) -> RunRecord:
    sender = _FileSender(store, job, record)
    record = msgspec.structs.replace(
        record,
        inputs=tuple(sender.send("in", file) for file in record.inputs),
        outputs=tuple(sender.send("out", file) for file in record.outputs),
    )
    store.attach(sender.record_stream, RECORD_NAME, encode(record))
    return record


class _FileSender:
    """Brings the files of one run into the archive."""

    def __init__(self, store: Racs, job: Job, record: RunRecord) -> None:
        self._store = store
        self._job = job
        self._record = record
        self._existing = _streams(store, record.rune, record.run)
        self.record_stream = record_id(record.rune, record.run)
        self._create(self.record_stream, *RECORD_FORMAT)

    def send(self, kind: str, file: RunFile) -> RunFile:
        """Bring one file into the archive; return what the record says of it."""
        if file.problem:
            return file
        path = self._job.path(kind, file.number)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            size = -1
        if size != file.bytes:
            problem = f"of its copy in the spool {max(size, 0)} bytes are left"
            return msgspec.structs.replace(file, problem=problem)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        file = msgspec.structs.replace(file, sha256=digest)
        try:
            sound = Sound(path)
        except ValueError:
            name = part(f"{kind}-{file.number:03}-{file.name}", _MAX_NAME)
            return self._attach(self.record_stream, name, path, file)
        with sound:
            return self._send_sound(kind, file, path, sound)

    def _send_sound(self, kind: str, file: RunFile, path: Path, sound: Sound) -> RunFile:
        rune, run = self._record.rune, self._record.run
        stream_id = (
            input_id(rune, run, file.parameter)
            if kind == "in"
            else output_id(rune, run, file.number, file.name)
        )
        self._create(stream_id, sound.sample_rate, sound.channels, sound.bit_depth)
        file = msgspec.structs.replace(file, type="audio", stream=stream_id)
        damage = self._append(stream_id, sound)
        if damage:
            file = msgspec.structs.replace(file, problem=damage)
        if sound.exact and not damage:
            return file
        return self._attach(stream_id, part(file.name, _MAX_NAME), path, file)

    def _create(self, stream_id: str, sample_rate: int, channels: int, bit_depth: int) -> None:
        if stream_id not in self._existing:
            create = self._store.pipeline().create(stream_id, sample_rate, channels, bit_depth)
            create.execute()

    def _append(self, stream_id: str, sound: Sound) -> str:
        """Append what the stream has not got; return why that is not all, or nothing."""
        if stream_id in self._existing:
            try:  # an attempt that was cut off may have left it open
                self._store.pipeline().close(stream_id).execute()
            except RacsServerError as error:
                if "not open" not in str(error):
                    raise
        frame_bytes = sound.channels * sound.bit_depth // 8
        blocks = _Counted(sound, self._size(stream_id) // frame_bytes)
        first = next(blocks, None)
        if first is not None:
            self._store.stream(stream_id).execute(itertools.chain([first], blocks))
        size = self._size(stream_id)
        if size != blocks.frames * frame_bytes:
            raise RacsException(
                f"stream {stream_id!r} has {size} bytes of PCM, and"
                f" {blocks.frames * frame_bytes} were to be there: somebody else writes to it"
            )
        return blocks.damage

    def _size(self, stream_id: str) -> int:
        size: int = self._store.pipeline().info(stream_id, "size").execute()
        return size

    def _attach(self, stream_id: str, name: str, path: Path, file: RunFile) -> RunFile:
        if file.bytes > MAX_ATTACHMENT:
            problem = f"{file.bytes} bytes; a store keeps files of at most {MAX_ATTACHMENT}"
            if file.stream:
                problem = f"the file itself, beside its audio, is not kept: {problem}"
            return msgspec.structs.replace(file, problem=problem)
        self._store.attach(stream_id, name, path.read_bytes())
        return msgspec.structs.replace(file, attachment=name)


class _Counted:
    """The samples of a sound from a sample frame on, counting all frames that there are.

    Where the file is damaged it ends, and says so in `damage`.
    """

    def __init__(self, sound: Sound, skip: int) -> None:
        self._blocks = sound.blocks()
        self._channels = sound.channels
        self._skip = skip
        self.frames = 0
        self.damage = ""

    def __iter__(self) -> Iterator[Block]:
        return self

    def __next__(self) -> Block:
        while True:
            try:
                block = next(self._blocks)
            except ValueError as error:
                self.damage = str(error)
                raise StopIteration from None
            begin = min(max(self._skip - self.frames, 0), len(block) // self._channels)
            self.frames += len(block) // self._channels
            if begin * self._channels < len(block):
                return block[begin * self._channels :]
