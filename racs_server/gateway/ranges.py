"""Ranges and conditions of requests (RFC 9110, sections 13 and 14), as pure functions.

One range of bytes is given; a request for several at once gets the whole file, which is allowed
(14.2), as does one whose Range cannot be understood.
"""

import re

import msgspec

_SPEC = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Span(msgspec.Struct, frozen=True):
    """Bytes of a file, from `start` up to but without `stop`."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """Return the header that tells which bytes of a file of a size these are."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class UnsatisfiableError(ValueError):
    """A file has none of the bytes that were asked for."""


def wanted_span(range_: str | None, if_range: str | None, etag: str, size: int) -> Span | None:
    """Return which bytes are asked for, or None: the whole file.

    Parameters
    ----------
    range_, if_range
        The headers ``Range`` and ``If-Range``, if they were sent.
    etag
        The file's strong entity tag, in its quotes.
    size
        Its bytes.

    Raises
    ------
    UnsatisfiableError
        It has none of them.
    """
    if range_ is None or (if_range is not None and if_range.strip() != etag):
        return None
    match = _SPEC.fullmatch(re.sub(r"\s", "", range_).lower())
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        start, stop = max(size - int(last), 0), size
    elif last and int(last) < int(first):
        return None  # invalid, and so ignored
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= stop:
        raise UnsatisfiableError
    return Span(start, stop)


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has the file already: ``If-None-Match`` names it."""
    if if_none_match is None:
        return False
    tags = (each.strip().removeprefix("W/") for each in if_none_match.split(","))
    return if_none_match.strip() == "*" or etag in tags
