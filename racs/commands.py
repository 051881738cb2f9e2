r"""The text of commands: names, quoted strings, numbers and times.

Owns what a Python value looks like in a command. Knows nothing of connections.

A string is written in single quotes; a backslash goes before each single quote and each backslash
in it. The server reads ``\'`` ``\"`` and ``\\`` as one character each, so that no text can end its
quotes early: ``it's`` is ``'it\'s'``, ``C:\"a"`` is ``'C:\\"a"'``.
"""

import operator
import re
from datetime import UTC, datetime

import numpy as np

from racs.errors import RacsTypeError, RacsValueError

PIPE = " |> "
_STRING = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_CHANGES_MODE = re.compile(r"\b(?:stream|attach|follow|subscribe)\b", re.IGNORECASE)


def quote(text: str) -> str:
    """Return text as a string of the command language, from which nothing can break out."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def command(name: str, *arguments: str | int | float) -> str:
    """Return a command, with its arguments quoted where they are text."""
    texts = (quote(a) if isinstance(a, str) else repr(a) for a in arguments)
    return " ".join((name, *texts))


def may_change_mode(text: str) -> bool:
    """Whether a connection may be in another mode than request and reply after this text."""
    return _CHANGES_MODE.search(_STRING.sub("''", text)) is not None


def checked_text(value: object, name: str) -> str:
    """Return `value` if it is a str that can be sent.

    Raises
    ------
    RacsTypeError
        It is no str.
    RacsValueError
        It holds a lone surrogate, which UTF-8 has no bytes for.
    """
    if not isinstance(value, str):
        raise RacsTypeError(f"{name} must be a str, not {value!r} ({type(value).__name__})")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RacsValueError(
            f"{name} has the lone surrogate {value[error.start]!r} at index {error.start}, which"
            f" is no character and cannot be sent: {value!r}"
        ) from None
    return str(value)


def checked_int(value: object, name: str) -> int:
    """Return `value` as an int if it is a whole number by type; a bool is none.

    Raises
    ------
    RacsTypeError
        It is not.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return operator.index(value)
    raise RacsTypeError(f"{name} must be an int, not {value!r} ({type(value).__name__})")


def checked_number(value: object, name: str) -> int | float:
    """Return `value` as an int or a finite float; a bool is neither.

    Raises
    ------
    RacsTypeError
        It is no number.
    RacsValueError
        It is infinite, or no number by value.
    """
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise RacsValueError(f"{name} must be finite, not {value!r}")
        return float(value)
    try:
        return checked_int(value, name)
    except RacsTypeError:
        raise RacsTypeError(
            f"{name} must be an int or a float, not {value!r} ({type(value).__name__})"
        ) from None


def checked_time(value: object, name: str) -> str:
    """Return a time as the server reads it: RFC 3339 in UTC, or milliseconds since the epoch.

    Raises
    ------
    RacsTypeError
        It is neither a datetime nor an int.
    RacsValueError
        It is a datetime without a time zone, or too near the ends of the calendar.
    """
    if not isinstance(value, datetime):
        try:
            return str(checked_int(value, name))
        except RacsTypeError:
            raise RacsTypeError(
                f"{name} must be a datetime with a time zone, or an int (milliseconds since"
                f" 1970-01-01 UTC), not {value!r} ({type(value).__name__})"
            ) from None
    if value.utcoffset() is None:
        raise RacsValueError(
            f"{name} is {value!r}, a datetime without a time zone, which is no certain moment;"
            " give it one: datetime(..., tzinfo=timezone.utc), or .astimezone() for local time"
        )
    try:
        in_utc = value.astimezone(UTC)
    except OverflowError:
        raise RacsValueError(f"{name} is {value!r}, which in UTC has no year 1 ... 9999") from None
    return in_utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
