"""What rooms tell each other of streams."""

import msgspec

from racs_server.values.formats import AudioFormat
from racs_server.values.times import NS_PER_MS, NS_PER_S


class StreamInfo(msgspec.Struct, frozen=True):
    """A stream as it stands.

    Attributes
    ----------
    id
        Its name, any Unicode text of 1 to 255 bytes without control characters.
    serial
        A number given once and never again: tells a stream from a deleted one of the same id.
    format
        Its PCM format.
    ref
        When its first sample came, in ms since the epoch; 0 while it is empty.
    frames
        Whole sample frames acknowledged.
    is_open
        Whether it takes audio now.
    """

    id: str
    serial: int
    format: AudioFormat
    ref: int
    frames: int
    is_open: bool

    def instant(self, frame: int) -> int:
        """Return when a sample frame sounded, in ns since the epoch, rounded down."""
        return self.ref * NS_PER_MS + frame * NS_PER_S // self.format.sample_rate

    @property
    def size(self) -> int:
        """Bytes of PCM in whole sample frames."""
        return self.frames * self.format.frame_bytes


class AttachTo(msgspec.Struct, frozen=True):
    """What a connection is to do next: take one message as a file that belongs to a stream.

    Attributes
    ----------
    stream_id
        Which stream.
    name
        The file's name.
    """

    stream_id: str
    name: str


class AppendTo(msgspec.Struct, frozen=True):
    """What a connection is to do next: take audio for a stream, without a reply to each message.

    Attributes
    ----------
    stream_id
        Which stream.
    frames
        Its length in sample frames.
    """

    stream_id: str
    frames: int
