r"""What the store knows of one stream, and the ``stream.json`` that lies in its folder.

``stream.json`` is one JSON object: ``version`` 1, ``id``, ``serial``, ``sample_rate``,
``channels``, ``bit_depth``, ``created`` and ``ref`` (ms since the epoch), ``frames`` (sample frames
that were durable when it was written), ``appended`` (when the last of them came; 0 while there is
none), ``expiry`` (the time to live in seconds, -1 for ever), ``sessions`` (a list of ``[id, first
frame, started, ended]``, times in ms since the epoch) and last ``crc32c``, of the text before it,
so that a damaged one is found out. ``appended`` and ``expiry`` may be missing: they are 0 and -1
then. It is replaced as a whole, and all that the catalogue knows can be read from it.
"""

import json
import re
import threading
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable

import msgspec
from crc32c import crc32c

from racs.wire import stream_hash
from racs_server.errors import RequestError
from racs_server.storage.fs import FileSystem
from racs_server.storage.segment import Segment
from racs_server.values import (
    BIT_DEPTHS,
    MAX_CHANNELS,
    MAX_RATE,
    MIN_RATE,
    AudioFormat,
    StreamInfo,
)

FOLDER = "streams"
TRASH = "trash"
LOST = "lost"
INDEX = "backup.json"
"""What tells a backup from an archive."""
MAX_ID_BYTES = 255
NEVER = -1
"""The time to live of a stream that has no end."""
_MANIFEST = "stream.json"


class Session(msgspec.Struct):
    """One sender's turn, from OPEN to CLOSE.

    Attributes
    ----------
    id
        The sender's session id, 32 hex digits.
    first
        The first sample frame that it sent.
    started, ended
        When its first and its last block came, in ms since the epoch.
    """

    id: str
    first: int
    started: int
    ended: int


class Opening(msgspec.Struct):
    """The state of an open stream.

    Attributes
    ----------
    heard
        When it was opened or the last block came, in seconds of a clock that only goes forward.
    session
        Whose blocks are taken; None until the first has come.
    held
        The start of a sample frame whose rest has not come. It belongs to the session alone: what
        is not completed is dropped with it.
    turn
        The entry of the stream's sessions; None until a whole sample frame has come.
    closing
        Set while a CLOSE is being carried out.
    taken
        Bytes of PCM taken since room was last allocated ahead.
    feed
        The session of what pipes append; None until one has. See `feeding`.
    fed
        Whether a pipe appends now.
    """

    heard: float
    session: bytes | None = None
    held: bytes = b""
    turn: Session | None = None
    closing: bool = False
    taken: int = 0
    feed: bytes | None = None
    fed: bool = False


class Stream:
    """The store's own record of a stream; guarded by the store's lock.

    Attributes
    ----------
    frames
        Whole sample frames acknowledged.
    expiry
        The time to live in seconds, or `NEVER`.
    settled_frames, settled_ref, settled_appended, settled_expiry
        What ``stream.json`` says of `frames` and so on: all that the catalogue may say.
    segments
        In order of their first frames; None until they are needed.
    opening
        None while the stream is closed.
    fenced
        The session that let its lease lapse; its blocks are refused until the next CLOSE.
    poisoned
        Why the stream takes no more audio until it is opened anew.
    io
        Held by whoever syncs, settles or cuts this stream's files.
    """

    __slots__ = (
        "created",
        "deleted",
        "expiry",
        "fenced",
        "folder",
        "format",
        "frames",
        "has_folder",
        "id",
        "io",
        "is_new",
        "is_rooted",
        "opening",
        "poisoned",
        "ref",
        "segments",
        "serial",
        "sessions",
        "settled_appended",
        "settled_expiry",
        "settled_frames",
        "settled_ref",
        "wants_segment",
    )

    def __init__(
        self, stream_id: str, serial: int, format_: AudioFormat, created: int, folder: str
    ) -> None:
        self.id = stream_id
        self.serial = serial
        self.format = format_
        self.created = created
        self.folder = folder
        self.ref = 0
        self.frames = 0
        self.settled_frames = 0
        self.settled_ref = 0
        self.settled_appended = 0
        self.expiry = self.settled_expiry = NEVER
        self.segments: list[Segment] | None = None
        self.sessions: list[Session] | None = None
        self.opening: Opening | None = None
        self.fenced: bytes | None = None
        self.poisoned: str | None = None
        self.has_folder = True
        """Its folder has been made: at the first audio or the first settling, not at CREATE."""
        self.is_new = False
        """Its folder may not be on the medium yet."""
        self.is_rooted = False
        """The folder entry of a new stream's folder has been synced."""
        self.deleted = False
        self.wants_segment = False
        """The next audio goes into a new segment."""
        self.io = threading.Lock()

    def __repr__(self) -> str:
        state = "open" if self.opening else "closed"
        return f"<Stream {self.id!r} {self.format}, {self.frames} frames, {state}>"

    def info(self) -> StreamInfo:
        """Return the stream as it stands."""
        return StreamInfo(
            self.id, self.serial, self.format, self.ref, self.frames, self.opening is not None
        )

    @property
    def appended(self) -> int:
        """When its last audio came, in ms since the epoch; 0 while there is none."""
        return max(self.settled_appended, self.sessions[-1].ended if self.sessions else 0)

    @property
    def is_dirty(self) -> bool:
        """Whether something of it waits for a sync."""
        return any(segment.dirty for segment in self.segments or ())

    @property
    def has_sealed(self) -> bool:
        """Whether its last segment but one waits for a sync."""
        return any(segment.dirty for segment in (self.segments or ())[-2:-1])

    def make_folder(self, fs: FileSystem) -> None:
        """Make its folder if that has not been done; `OSError` if the disk does not take it."""
        if not self.has_folder:
            fs.make_folder(self.folder)
            self.has_folder = True

    def load_segments(self, fs: FileSystem, *, beyond: bool = False) -> list[Segment]:
        """Return the segments, found in the folder on first use.

        Files that begin where the stream has ended already are what a power cut has left of audio
        that nothing else tells of: they are no segments, but for a recovery (`beyond`).
        """
        if self.segments is None:
            firsts = sorted(int(name[:20]) for name in fs.list(self.folder) if is_segment(name))
            if not beyond:
                firsts = [first for first in firsts if first < self.frames]
            stops = [*firsts[1:], max(self.frames, firsts[-1])] if firsts else []
            frame = self.format.frame_bytes
            self.segments = [
                Segment(self.folder, first, self.format, (stop - first) * frame)
                for first, stop in zip(firsts, stops, strict=True)
            ]
        return self.segments

    def sweep(self, fs: FileSystem) -> None:
        """Remove files that begin where the stream ends or later: its next segments come there."""
        kept = {segment.first for segment in self.segments or ()}
        for name in fs.list(self.folder):
            stem, _, ending = name.partition(".")
            if not is_segment(f"{stem}.wav") or ending not in {"wav", "crc"}:
                continue
            if int(stem) >= self.frames and int(stem) not in kept:
                fs.remove(f"{self.folder}/{name}")

    def grow(self, count: int, time: int, session: str, *, new_turn: bool) -> None:
        """Take in sample frames that a record of the log tells of.

        Parameters
        ----------
        count
            How many.
        time
            When they came, in ms since the epoch.
        session
            Whose they are, 32 hex digits.
        new_turn
            Whether the stream was opened since the frames before.
        """
        assert self.sessions is not None
        if not self.frames:
            self.ref = time
        if new_turn or not self.sessions or self.sessions[-1].id != session:
            self.sessions.append(Session(session, self.frames, time, time))
        self.sessions[-1].ended = time
        self.frames += count

    def segment_at(self, frame: int) -> Segment:
        """Return the segment that holds a sample frame, or that would; none begins behind it."""
        assert self.segments
        assert self.segments[0].first <= frame
        return self.segments[bisect_right(self.segments, frame, key=lambda s: s.first) - 1]

    def load_sessions(self, fs: FileSystem) -> list[Session]:
        """Return the sessions, read from ``stream.json`` on first use."""
        if self.sessions is None:
            self.sessions = read_manifest(fs, self.folder).sessions or []
        return self.sessions

    def manifest(self) -> bytes:
        """Return the contents of ``stream.json``."""
        assert self.sessions is not None
        return seal(
            {
                "version": 1,
                "id": self.id,
                "serial": self.serial,
                "sample_rate": self.format.sample_rate,
                "channels": self.format.channels,
                "bit_depth": self.format.bit_depth,
                "created": self.created,
                "ref": self.ref,
                "frames": self.frames,
                "appended": self.appended,
                "expiry": self.expiry,
                "sessions": [[s.id, s.first, s.started, s.ended] for s in self.sessions],
            }
        )

    @property
    def manifest_name(self) -> str:
        """The name of ``stream.json`` below the data folder."""
        return f"{self.folder}/{_MANIFEST}"


class Manifest(msgspec.Struct):
    """What a ``stream.json`` says."""

    version: int
    id: str
    serial: int
    sample_rate: int
    channels: int
    bit_depth: int
    created: int
    ref: int
    frames: int
    sessions: list[tuple[str, int, int, int]]
    appended: int = 0
    expiry: int = NEVER


def check_id(stream_id: str) -> None:
    """Raise `RequestError` unless the text can be a stream's id."""
    check_name(stream_id, "stream id")


def check_name(text: str, what: str) -> None:
    """Raise `RequestError` unless a text can be the name of something."""
    size = len(text.encode())
    if not 1 <= size <= MAX_ID_BYTES:
        raise RequestError(
            f"a {what} of {size} bytes: it must have 1 to {MAX_ID_BYTES} bytes in UTF-8"
        )
    if text.isprintable():
        return
    for place, character in enumerate(text):
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise RequestError(
                f"character {place} of the {what} {text!r} is the control character"
                f" U+{ord(character):04X}: names are text without control characters"
            )


def check_format(format_: AudioFormat) -> None:
    """Raise `RequestError` unless a stream can have the format."""
    if not MIN_RATE <= format_.sample_rate <= MAX_RATE:
        raise RequestError(
            f"a sample rate of {format_.sample_rate} Hz: it must be {MIN_RATE} to {MAX_RATE}"
        )
    if not 1 <= format_.channels <= MAX_CHANNELS:
        raise RequestError(f"{format_.channels} channels: there must be 1 to {MAX_CHANNELS}")
    if format_.bit_depth not in BIT_DEPTHS:
        raise RequestError(f"a bit depth of {format_.bit_depth}: it must be 16 or 24")


def folder_name(stream_id: str) -> str:
    """Return a stream's folder: a slug of harmless characters for people, the hash to identify."""
    hash_ = stream_hash(stream_id)
    slug = re.sub("[^A-Za-z0-9_.-]", "-", stream_id)[:40].strip("-.") or "stream"
    return f"{FOLDER}/{hash_ >> 56:02x}/{slug}-{hash_:016x}"


def seal(fields: dict[str, object]) -> bytes:
    """Return JSON of the fields with the checksum of its own text as the last one."""
    text = json.dumps(fields, ensure_ascii=False, indent=1).encode()
    return text[:-2] + f',\n "crc32c": "{crc32c(text):08x}"\n}}\n'.encode()


def unseal(contents: bytes) -> bytes:
    """Return the JSON that `seal` was given; `ValueError` if its checksum is another."""
    text, _, check = contents.rpartition(b',\n "crc32c": "')
    text += b"\n}"
    if check[:8] != f"{crc32c(text):08x}".encode() or check[8:] != b'"\n}\n':
        raise ValueError("does not match its checksum")
    return text


def read_manifest(fs: FileSystem, folder: str) -> Stream:
    """Read a folder's ``stream.json``; the stream has its sessions, and is closed.

    Raises
    ------
    ValueError
        It is damaged, or was written by a later version; the text says how.
    OSError
        It cannot be read.
    """
    try:
        text = unseal(fs.read(f"{folder}/{_MANIFEST}"))
    except ValueError as error:
        raise ValueError(f"{folder}/{_MANIFEST} {error}") from None
    fields = msgspec.json.decode(text, type=Manifest)
    if fields.version != 1:
        raise ValueError(f"{folder}/{_MANIFEST} has version {fields.version}, known is 1")
    format_ = AudioFormat(fields.sample_rate, fields.channels, fields.bit_depth)
    stream = Stream(fields.id, fields.serial, format_, fields.created, folder)
    stream.ref = stream.settled_ref = fields.ref
    stream.frames = stream.settled_frames = fields.frames
    stream.settled_appended = fields.appended
    stream.expiry = stream.settled_expiry = fields.expiry
    stream.sessions = [Session(*entry) for entry in fields.sessions]
    return stream


def stream_folders(fs: FileSystem, unreadable: dict[str, OSError] | None = None) -> Iterable[str]:
    """Return the folders of all streams; what else somebody has put beside them is left alone.

    Parameters
    ----------
    fs
        The data folder.
    unreadable
        Gets those folders of folders that cannot be listed, and why; without it that is raised.
    """
    for part in fs.list(FOLDER):
        if re.fullmatch("[0-9a-f]{2}", part):
            try:
                names = fs.list(f"{FOLDER}/{part}")
            except OSError as error:
                if unreadable is None:
                    raise
                unreadable[f"{FOLDER}/{part}"] = error
                continue
            for name in names:
                if re.fullmatch(f".+-{part}[0-9a-f]{{14}}", name):
                    yield f"{FOLDER}/{part}/{name}"


def is_segment(name: str) -> bool:
    """Return whether a file of a stream's folder is a segment."""
    return re.fullmatch(r"[0-9]{20}\.wav", name) is not None
