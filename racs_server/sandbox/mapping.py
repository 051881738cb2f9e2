"""Scheme's values and those of messages: what each becomes of the other."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from racs_server.sandbox import messages
from racs_server.scheme import EvaluationError
from racs_server.scheme.meter import OBJECT_BYTES, PAIR_BYTES, Meter
from racs_server.scheme.primitives.table import wrong
from racs_server.scheme.printer import type_name
from racs_server.scheme.values import (
    NIL,
    UNIFORM_TYPES,
    UNSPECIFIED,
    Foreign,
    Pair,
    String,
    Uniform,
    Value,
    Values,
    from_list,
)

_INT_BITS = 63
_RATIONAL_BITS = 1000
_AUDIO_BYTES = 512


class AudioValue(Foreign):
    """Audio, as programs hold it: a description; the samples stay where they are.

    Parameters
    ----------
    audio
        What is known of it.
    drop
        Is told the number when no program can reach it any more.
    """

    __slots__ = ("_drop", "audio")
    kind = "audio"

    def __init__(self, audio: messages.Audio, drop: Callable[[int], object]) -> None:
        self.audio = audio
        self._drop = drop

    def __del__(self) -> None:
        self._drop(self.audio.number)


class FileValue(Foreign, Uniform):
    """The description of a file; a bytevector of its bytes for whoever looks at them.

    Parameters
    ----------
    file
        Its number.
    fetch
        Asks for the bytes.
    drop
        Is told the number when no program can reach it any more.
    """

    __slots__ = ("_bytes", "_drop", "_fetch", "file")
    kind = "file"

    def __init__(
        self,
        file: messages.File,
        fetch: Callable[[messages.File], npt.NDArray[np.uint8]],
        drop: Callable[[int], object],
    ) -> None:
        self.tag = "u8"
        self.file = file
        self._fetch = fetch
        self._drop = drop
        self._bytes: npt.NDArray[np.uint8] | None = None

    def __del__(self) -> None:
        self._drop(self.file.number)

    @property
    def array(self) -> npt.NDArray[np.uint8]:  # type: ignore[override]
        """The bytes, asked for when they are first looked at."""
        if self._bytes is None:
            self._bytes = self._fetch(self.file)
        return self._bytes

    @property
    def nbytes(self) -> int:
        """How much memory the bytes take here."""
        return 0 if self._bytes is None else self._bytes.nbytes


def exact(numerator: int, denominator: int) -> Value:
    """Return a quotient as an exact number."""
    value = Fraction(numerator, denominator)
    return value.numerator if value.denominator == 1 else value


def to_argument(value: Value) -> messages.Value:
    """Return what an argument is in a call.

    Raises
    ------
    WrongTypeError
        No procedure of the server's takes such a thing.
    """
    if isinstance(value, Fraction):
        parts = value.numerator, value.denominator
        if max(part.bit_length() for part in parts) <= _RATIONAL_BITS:
            return messages.Rational(*(f"{part:x}" for part in parts))
        raise wrong(f"a number of at most {_RATIONAL_BITS} bits", value)
    if isinstance(value, float) and not np.isfinite(value):
        raise wrong("a finite number", value)
    if isinstance(value, int) and value.bit_length() > _INT_BITS:
        raise wrong("an integer of at most 64 bits", value)
    message = _to_message(value)
    if message is _NOTHING:
        raise wrong("a string, a number, audio or a vector of numbers", value)
    return message


def to_result(value: Value) -> messages.Value:
    """Return what the value of a whole program is in a reply.

    Raises
    ------
    EvaluationError
        It cannot be sent.
    """
    if value is NIL or value is UNSPECIFIED or (isinstance(value, Values) and not value.items):
        return None
    if isinstance(value, Pair):
        return _to_list(value)
    return _sendable(value, "the result")


def _to_list(pair: Pair) -> list[messages.Scalar]:
    """Return a proper list's elements; Floyd's hare finds out whether it ends."""
    items: list[messages.Scalar] = []
    rest: Any = pair
    slow: Any = pair
    while isinstance(rest, Pair):
        item = _sendable(rest.car, f"element {len(items)} of the resulting list")
        if not isinstance(item, bool | int | float | str):
            raise _unsendable(rest.car, f"element {len(items)} of the resulting list")
        items.append(item)
        rest = rest.cdr
        if len(items) % 2 == 0:
            slow = slow.cdr
            if rest is slow:
                raise EvaluationError("the result is a list without an end, which cannot be sent")
    if rest is not NIL:
        raise EvaluationError(
            f"the result is an improper list (it ends with {_kind(rest)}), which cannot be sent"
        )
    return items


def _sendable(value: Value, what: str) -> messages.Value:
    if isinstance(value, Fraction):
        try:
            return float(value)
        except OverflowError:
            raise EvaluationError(f"{what} is a rational beyond all floats") from None
    if isinstance(value, int) and not -(2**_INT_BITS) <= value < 2**_INT_BITS:
        raise EvaluationError(
            f"{what} is an integer of {value.bit_length() + 1} bits, which cannot be sent: a reply"
            " holds 64 bits; (number->string n) can be sent"
        )
    message = _to_message(value)
    if message is _NOTHING:
        raise _unsendable(value, what)
    return message


def _unsendable(value: Value, what: str) -> EvaluationError:
    return EvaluationError(
        f"{what} is {_kind(value)}, which cannot be sent: what can be are booleans,"
        " numbers, strings, flat lists of these, uniform vectors, and audio"
    )


def _kind(value: Value) -> str:
    """Return what kind of value this is, with its article."""
    if value is NIL:
        return "an empty list"
    noun = type_name(value)
    if noun in ("audio", "unspecified", "multiple values"):
        return noun
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


_NOTHING: Any = object()


def _to_message(value: Value) -> messages.Value:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, String):
        return value.text
    if isinstance(value, FileValue):
        return value.file
    if isinstance(value, AudioValue):
        return value.audio
    if isinstance(value, Uniform):
        dtype = UNIFORM_TYPES[value.tag].newbyteorder("<")
        return messages.Numbers(value.tag, value.array.astype(dtype, copy=False).tobytes())
    result: messages.Value = _NOTHING
    return result


def from_answer(message: messages.Value, meter: Meter, wrap: Callable[[Any], Value]) -> Value:
    """Return what the server gave, as a Scheme value; `wrap` makes one of audio and of files."""
    if isinstance(message, str):
        meter.charge(OBJECT_BYTES + 4 * len(message))
        return String(message)
    if isinstance(message, list):
        meter.charge(PAIR_BYTES * len(message))
        return from_list([from_answer(each, meter, wrap) for each in message])
    if isinstance(message, messages.Numbers):
        meter.charge(OBJECT_BYTES + len(message.data))
        dtype = UNIFORM_TYPES[message.kind].newbyteorder("<")
        return Uniform(message.kind, np.frombuffer(message.data, dtype).copy())
    if isinstance(message, messages.Audio | messages.File):
        meter.charge(_AUDIO_BYTES)
        return wrap(message)
    if isinstance(message, messages.Rational):
        return Fraction(int(message.numerator, 16), int(message.denominator, 16))
    return UNSPECIFIED if message is None else message
