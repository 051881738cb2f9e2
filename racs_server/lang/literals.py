"""The words of a command text and the exact values that they stand for.

Each function takes a word that already has the shape that the grammar asks of it; what can still
be wrong is its value. Nothing here costs more than a little: numbers of absurd length are refused
before they are converted.
"""

import calendar
import re
from datetime import date
from fractions import Fraction

from racs_server.values import NS_PER_S

_ESCAPE = re.compile(r"""\\(['"\\])""")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_INT_DIGITS = 19
_MAX_REAL = 1000
_MAX_EXPONENT = 308


class LiteralError(ValueError):
    """A word of the right shape whose value cannot be.

    Parameters
    ----------
    problem
        What is wrong with it.
    hint
        What to write instead.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def string(word: str) -> str:
    """Return what a quoted string says."""
    body = word[1:-1]
    return _ESCAPE.sub(r"\1", body) if "\\" in body else body


def write_string(value: str) -> str:
    """Return the quoted string that says something: what `string` undoes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def integer(word: str) -> int:
    """Return a whole number.

    Raises
    ------
    LiteralError
        64 bits cannot hold it.
    """
    digits = word.lstrip("+-0")
    sign = "-" if word[0] == "-" else ""
    value = int(sign + (digits or "0")) if len(digits) <= _INT_DIGITS else None
    if value is None or not _INT_MIN <= value <= _INT_MAX:
        raise LiteralError(
            f"an integer of {len(digits)} digits is too large",
            f"integers have 64 bits: {_INT_MIN} to {_INT_MAX}",
        )
    return value


def real(word: str) -> Fraction:
    """Return exactly the decimal number that is written.

    Raises
    ------
    LiteralError
        Too many digits, or an exponent beyond 308 either way.
    """
    if len(word) > _MAX_REAL:
        raise LiteralError(
            f"a number of {len(word)} characters is too long", f"at most {_MAX_REAL} are read"
        )
    exponent = word.lower().partition("e")[2]
    if abs(int(exponent or "0")) > _MAX_EXPONENT:
        raise LiteralError(
            f"an exponent of {exponent} is too large",
            f"exponents go from -{_MAX_EXPONENT} to {_MAX_EXPONENT}",
        )
    return Fraction(word)


def time(word: str) -> int:
    """Return an RFC 3339 time in nanoseconds since the Unix epoch (UTC).

    Raises
    ------
    LiteralError
        The calendar or the clock has no such time. A leap second (``23:59:60``) has none either:
        the clocks of computers, which streams go by, do not count them.
    """
    year, month, day = int(word[:4]), int(word[5:7]), int(word[8:10])
    hour, minute, second = int(word[11:13]), int(word[14:16]), int(word[17:19])
    _check_date(year, month, day)
    _check_clock(hour, minute, second)
    fraction, offset = _split_tail(word[len("2023-12-25T22:30:45") :])
    seconds = (date(year, month, day).toordinal() - _EPOCH_DAY) * 86_400
    seconds += hour * 3600 + minute * 60 + second - _offset_seconds(offset)
    return seconds * NS_PER_S + int(fraction.ljust(9, "0"))


def _split_tail(tail: str) -> tuple[str, str]:
    """Return the digits of the fraction, and the offset (empty: UTC)."""
    if tail[-1] in "Zz":
        return tail[1:-1], ""
    return tail[1:-6], tail[-6:]


def _check_date(year: int, month: int, day: int) -> None:
    if year == 0:
        raise LiteralError("there is no year 0000", "years go from 0001 to 9999")
    if not 1 <= month <= 12:
        raise LiteralError(f"there is no month {month:02}", "months go from 01 to 12")
    days = calendar.monthrange(year, month)[1]
    if not 1 <= day <= days:
        raise LiteralError(
            f"there is no day {day:02} in {year:04}-{month:02}", f"that month has {days} days"
        )


def _check_clock(hour: int, minute: int, second: int) -> None:
    if second == 60:
        raise LiteralError(
            "a leap second, which the clock that streams go by does not count",
            "write second 59, or second 00 of the next minute",
        )
    if hour > 23 or minute > 59 or second > 59:
        raise LiteralError(
            f"there is no {hour:02}:{minute:02}:{second:02} on the clock",
            "it goes from 00:00:00 to 23:59:59",
        )


def _offset_seconds(offset: str) -> int:
    if not offset:
        return 0
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise LiteralError(f"there is no offset {offset}", "offsets go from -23:59 to +23:59")
    return (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
