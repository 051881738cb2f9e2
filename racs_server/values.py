"""The values that pass between the rooms: formats, exact times, stream descriptions, audio plans.

Time is exact everywhere: instants are whole nanoseconds since the Unix epoch (UTC), and sample
frame *i* of a stream is at ``ref + i * 1000 / rate`` milliseconds. No float takes part.
"""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import msgspec

BIT_DEPTHS = (16, 24)
MAX_CHANNELS = 32
MIN_RATE = 1
MAX_RATE = 768_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class AudioFormat(msgspec.Struct, frozen=True):
    """How PCM is laid out.

    Attributes
    ----------
    sample_rate
        Sample frames a second, 1 ... 768,000.
    channels
        1 ... 32.
    bit_depth
        16 or 24.
    """

    sample_rate: int
    channels: int
    bit_depth: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample: 2 at 16 bits, 3 (packed) at 24."""
        return self.bit_depth // 8

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample frame: one sample of every channel."""
        return self.bit_depth // 8 * self.channels

    def __str__(self) -> str:
        channels = "channel" if self.channels == 1 else "channels"
        return f"{self.sample_rate} Hz, {self.channels} {channels}, {self.bit_depth} bit"


class TimeRange(msgspec.Struct, frozen=True):
    """All instants from `start` up to but without `stop`, in nanoseconds since the epoch."""

    start: int
    stop: int

    def frames(self, ref_ms: int, rate: int, length: int) -> tuple[int, int]:
        """Return the sample frames that lie in the range, as first and one past the last.

        Holds every frame with ``start <= its time < stop``, so that adjoining ranges tile without
        overlap or gap at every rate; cut to the `length` frames that there are.

        Parameters
        ----------
        ref_ms
            When sample frame 0 came, in ms since the epoch.
        rate
            Sample frames a second.
        length
            How many frames there are.
        """
        first, stop = (
            _first_frame_from(instant - ref_ms * NS_PER_MS, rate)
            for instant in (self.start, self.stop)
        )
        first = min(max(first, 0), length)
        return first, min(max(stop, first), length)


def _first_frame_from(offset_ns: int, rate: int) -> int:
    """Return the first frame at or after an offset from the stream's begin: an exact ceiling."""
    return -(-offset_ns * rate // NS_PER_S)


def format_instant(instant: int) -> str:
    """Return an instant, in ns since the epoch, as RFC 3339 in UTC with milliseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant // NS_PER_MS)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_to_frames(seconds: Fraction, rate: int) -> int:
    """Return how many sample frames a number of seconds is: ``ceil(seconds * rate)``, exactly."""
    return -(-seconds.numerator * rate // seconds.denominator)


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


class AudioPlan(msgspec.Struct, frozen=True):
    """What audio to read: a description, not the audio.

    It can be kept, sent to another process and opened there; whoever reads it gets exactly
    `frames` sample frames, or an error.

    Attributes
    ----------
    stream_id, serial
        Which stream, and that it is still the same one.
    start, stop
        First sample frame, and one past the last.
    format
        The format of what is read.
    """

    stream_id: str
    serial: int
    start: int
    stop: int
    format: AudioFormat

    @property
    def frames(self) -> int:
        """Exact length in sample frames."""
        return self.stop - self.start

    @property
    def samples(self) -> int:
        """Exact length in samples, all channels counted."""
        return self.frames * self.format.channels
