"""Appending: a message is checked as a whole, then written, then recorded and made visible.

Invariants
----------
- Checking changes nothing, writing changes nothing that can be seen, and recording cannot fail: so
  a message is taken whole or not at all, over all the streams that it has frames of.
- A sample frame may span two blocks of a session. Its start is held until the rest has come, and is
  not written before: what lies in a segment is whole sample frames.
"""

import logging
from collections.abc import Mapping, Sequence

import msgspec
from crc32c import crc32c

from racs.wire import Frame
from racs_server.errors import DataError, StreamError, SyncFailedError
from racs_server.storage import records
from racs_server.storage.ahead import Ahead
from racs_server.storage.fs import Buffer, FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.log import CommitLog
from racs_server.storage.segment import MAX_PCM, Segment
from racs_server.storage.settle import trim
from racs_server.storage.stream import Opening, Session, Stream

logger = logging.getLogger(__name__)

_REFUSED = "Stream is closed or currently in use."
LARGEST_MESSAGE = 64 << 20


class Take(msgspec.Struct):
    """What a message adds to one stream.

    Attributes
    ----------
    parts
        The PCM of whole sample frames.
    size
        Bytes in `parts`.
    checksum
        CRC-32C of `parts`.
    held
        The start of a sample frame, left over.
    """

    stream: Stream
    opening: Opening
    session: bytes
    parts: list[Buffer]
    size: int
    checksum: int
    held: bytes


def check_frames(streams: Mapping[int, Stream], frames: Sequence[Frame]) -> list[Take]:
    """Check all frames of a message against the streams that they are for.

    Parameters
    ----------
    streams
        All streams by their hashes.
    frames
        The frames, in order.

    Raises
    ------
    StreamError
        A stream is not open, or another session has it.
    DataError
        A block does not hold whole samples.
    SyncFailedError
        The stream is poisoned.
    """
    if len(frames) == 1:
        return [_check_stream(streams, frames)]
    groups: dict[int, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.stream_hash, []).append(frame)
    return [_check_stream(streams, group) for group in groups.values()]


def _check_stream(streams: Mapping[int, Stream], frames: Sequence[Frame]) -> Take:
    hash_ = frames[0].stream_hash
    stream = streams.get(hash_)
    if stream is None:
        raise StreamError(
            f"{_REFUSED} No stream has the hash {hash_:#018x}: CREATE and OPEN it first; the hash"
            " is the unsigned first half of MurmurHash3 x64-128 of its id"
        )
    opening = stream.opening
    if opening is None or opening.closing:
        raise StreamError(f"{_REFUSED} {stream.id!r} is not open: OPEN it first")
    if stream.poisoned is not None:
        raise SyncFailedError(stream.poisoned)
    session = opening.session or frames[0].session
    if session == stream.fenced:
        raise StreamError(
            f"{_REFUSED} The lease of session {session.hex()} on {stream.id!r} has ended;"
            " CLOSE and OPEN the stream, or send as a new session"
        )
    sample = stream.format.sample_bytes
    for frame in frames:
        if frame.session != session:
            raise StreamError(
                f"{_REFUSED} {stream.id!r} takes audio from session {session.hex()} until it is"
                f" closed; this frame is of session {frame.session.hex()}"
            )
        if len(frame.pcm) % sample:
            raise DataError(
                f"a block of {len(frame.pcm)} bytes for {stream.id!r}: its samples have"
                f" {stream.format.bit_depth} bits, so a block is a multiple of {sample} bytes"
            )
    return _take(stream, opening, session, frames)


def _take(stream: Stream, opening: Opening, session: bytes, frames: Sequence[Frame]) -> Take:
    parts: list[Buffer] = [frame.pcm for frame in frames]
    if opening.held:
        parts.insert(0, opening.held)
    size = sum(map(len, parts))
    over = size % stream.format.frame_bytes
    held = b""
    while over > len(held):
        last = memoryview(parts.pop())
        cut = max(0, len(last) - (over - len(held)))
        held = bytes(last[cut:]) + held
        if cut:
            parts.append(last[:cut])
    if len(parts) == 1 and not held and not opening.held and frames[0].checksum is not None:
        checksum = frames[0].checksum
    else:
        checksum = 0
        for part in parts:
            checksum = crc32c(part, checksum)
    return Take(stream, opening, session, parts, size - over, checksum, held)


class Appender:
    """Writes and records takes.

    Parameters
    ----------
    fs, handles, log
        Where they go.
    ahead
        Is told how much came.
    segment_bytes
        A segment that holds this many bytes of PCM gets no more.
    log_pcm
        Whether the log's records carry the PCM too.
    """

    def __init__(
        self,
        fs: FileSystem,
        handles: Handles,
        log: CommitLog,
        ahead: Ahead,
        *,
        segment_bytes: int,
        log_pcm: bool,
    ) -> None:
        self._fs = fs
        self._handles = handles
        self._log = log
        self._ahead = ahead
        self._segment_bytes = min(segment_bytes, MAX_PCM - LARGEST_MESSAGE)
        self._log_pcm = log_pcm

    def write(self, takes: Sequence[Take]) -> None:
        """Write the PCM, and make sure that the log has room; nothing is visible yet.

        Raises
        ------
        OSError
            The disk is full, or failed. What was written is cut again.
        """
        try:
            pcm = sum([take.size for take in takes]) if self._log_pcm else 0
            self._log.room(len(takes) * records.APPEND_SIZE + pcm)
            for take in takes:
                if take.size:
                    self._write(take)
        except OSError:
            for take in takes:
                self._give_back(take.stream)
            raise

    def admit(self, take: Take, now: int, heard: float) -> None:
        """Record what was written, and make it visible.

        Parameters
        ----------
        take
            What was written.
        now
            Time of arrival, ms since the epoch.
        heard
            The same in seconds of the monotonic clock.
        """
        stream, opening = take.stream, take.opening
        opening.heard, opening.session, opening.held = heard, take.session, take.held
        if not take.size:
            return
        count = take.size // stream.format.frame_bytes
        if opening.turn is None:
            # Not at OPEN: a checkpoint in between would forget it, for stream.json knows no turns
            # without audio.
            self._log.add(records.OPEN, records.open_payload(stream.serial, now))
        payload = records.append_payload(
            stream.serial, now, stream.frames, count, take.checksum, take.session
        )
        if self._log_pcm:
            self._log.add(records.APPEND_PCM, payload, take.parts)
        else:
            self._log.add(records.APPEND, payload)
        assert stream.segments
        segment = stream.segments[-1]
        segment.advance(take.parts)
        self._ahead.took(stream, segment, take.size)
        if opening.turn is None:
            opening.turn = Session(take.session.hex(), stream.frames, now, now)
            stream.load_sessions(self._fs).append(opening.turn)
        opening.turn.ended = now
        if not stream.frames:
            stream.ref = now
        stream.frames += count

    def _write(self, take: Take) -> None:
        """Write to the last segment, or to a new one where that is full or not fit for it."""
        stream = take.stream
        segments = stream.load_segments(self._fs)
        last = segments[-1] if segments else None
        if last is not None and (
            last.first == stream.frames
            or (last.covered < self._segment_bytes and not stream.wants_segment)
        ):
            why = self._write_behind(last, take.parts)
            if why is None:
                return
            logger.warning("%s is not appended to: %s", last.name, why)
        segment = Segment.new(stream.folder, stream.frames, stream.format)
        stream.make_folder(self._fs)
        try:
            with self._handles.use(segment, create=True):
                assert segment.file is not None
                segment.file.truncate(0)
                segment.write_header(0, stream_id=stream.id, serial=stream.serial, ref=stream.ref)
                segment.write(take.parts)
        except OSError:
            self._handles.forget(segment)
            self._remove(segment)
            raise
        if last is not None and last.first == segment.first:
            self._handles.forget(segments.pop())
        segments.append(segment)
        stream.wants_segment = False

    def _remove(self, segment: Segment) -> None:
        """Remove the file of a segment that could not be begun: a full disk needs the room."""
        try:
            self._fs.remove(segment.name)
        except OSError as error:
            logger.warning("%s could not be removed: %s", segment.name, error)

    def _write_behind(self, segment: Segment, parts: Sequence[Buffer]) -> str | None:
        """Write behind a segment's PCM; return why not, where it is not fit for it."""
        try:
            self._handles.acquire(segment)
        except OSError as error:
            return str(error)
        try:
            try:
                covered = self._handles.load_checksums(segment).covered
            except (OSError, ValueError) as error:
                return str(error)
            if covered != segment.covered:
                return "its last part is missing"
            segment.write(parts)
            return None
        finally:
            self._handles.release(segment)

    def _give_back(self, stream: Stream) -> None:
        """Cut what a failed write has left behind the valid PCM: a full disk needs the room."""
        if not stream.segments:
            return
        segment = stream.segments[-1]
        try:
            with self._handles.use(segment):
                trim(segment)
        except OSError as error:
            logger.warning("%s could not be cut: %s", segment.name, error)
