"""What is wrong with an archive: one `Finding` each, of one of the kinds in `Kind`.

Audio that is damaged for good is set down under ``lost/damage``: a file for each damaged range,
with the bytes that were found there, named ``<serial>/<first frame>-<stop>.<CRC-32C>.pcm``. While
the range still holds these bytes the damage is a known one. In the same way
``lost/checksums/<serial>/<first frame of the segment>.crc`` holds a checksum file that could not be
believed: what it does not prove of its segment is known to be unproven.
"""

from enum import StrEnum

import msgspec
from crc32c import crc32c

from racs_server.storage.stream import LOST, Stream
from racs_server.values import format_instant

MISSING = "it is missing"
DAMAGE = f"{LOST}/damage"
CHECKSUMS = f"{LOST}/checksums"


class Kind(StrEnum):
    """What can be wrong."""

    AUDIO = "audio"
    UNPROVEN = "unproven"
    TAIL = "tail"
    CHECKSUMS = "checksums"
    HEADER = "header"
    STREAM = "stream.json"
    FOLDER = "folder"
    ATTACHMENT = "attachment"
    LOG = "log"
    CATALOGUE = "catalogue"
    UNREADABLE = "unreadable"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong.

    Attributes
    ----------
    kind
        What, in one word.
    why
        What, in a sentence.
    file
        Where, below the data folder.
    stream
        The id of the stream concerned, or None.
    serial
        Its serial, or 0.
    start, stop
        First sample frame concerned and one past the last, or None where no audio is.
    begins, ends
        The same in wall-clock time, RFC 3339.
    known
        Whether an earlier repair has set it down already: it is told, but is nothing new.
    """

    kind: Kind
    why: str
    file: str
    stream: str | None = None
    serial: int = 0
    start: int | None = None
    stop: int | None = None
    begins: str | None = None
    ends: str | None = None
    known: bool = False

    def __str__(self) -> str:
        text = f"{self.kind}: "
        if self.stream is not None:
            text += f"stream {self.stream!r} "
        if self.start is not None:
            text += f"from {self.begins} to {self.ends} (sample frames {self.start} to {self.stop})"
            text += " "
        return f"{text}in {self.file}: {self.why}{' (known since a repair)' * self.known}"


def about(
    stream: Stream,
    kind: Kind,
    why: str,
    file: str,
    frames: tuple[int, int] | None = None,
    *,
    known: bool = False,
) -> Finding:
    """Return a finding on a stream, or on a range of its sample frames."""
    info = stream.info()
    start, stop = frames or (None, None)
    return Finding(
        kind=kind,
        why=why,
        file=file,
        stream=stream.id,
        serial=stream.serial,
        start=start,
        stop=stop,
        begins=None if start is None else format_instant(info.instant(start)),
        ends=None if stop is None else format_instant(info.instant(stop)),
        known=known,
    )


def damage_name(serial: int, start: int, stop: int, found: bytes) -> str:
    """Return the file in which damaged audio is set down."""
    return f"{DAMAGE}/{serial}/{start:020d}-{stop:020d}.{crc32c(found):08x}.pcm"


def old_checksums_name(serial: int, first: int) -> str:
    """Return the file in which a checksum file is kept that could not be believed."""
    return f"{CHECKSUMS}/{serial}/{first:020d}.crc"
