"""What a file can tell of the audio in it."""

import msgspec

from racs_server.values.times import format_instant


class Tags(msgspec.Struct, frozen=True):
    """Whence and from when audio is, as far as there is an answer.

    Attributes
    ----------
    stream_id
        The stream that it was read from; the first one, where it was put together of several.
    start
        When its first sample frame sounded, in ns since the epoch.
    """

    stream_id: str | None = None
    start: int | None = None

    @property
    def date(self) -> str | None:
        """The time of the first sample frame as RFC 3339, in UTC, with milliseconds."""
        return None if self.start is None else format_instant(self.start)
