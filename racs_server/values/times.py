"""Exact time: instants are whole nanoseconds since the Unix epoch (UTC); no float takes part."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import msgspec

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


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
