"""What a command text says, as frozen values with their places in the text.

Invariants
----------
- Values are exact: a float is the decimal number that was written, a time whole nanoseconds.
- ``text[span.start:span.end]`` is the piece of text that a node was made of.
"""

from fractions import Fraction
from typing import NamedTuple

import msgspec


class Span(NamedTuple):
    """Where something stands: offsets in characters, from 0, `end` is one past the last."""

    start: int
    end: int


class String(msgspec.Struct, frozen=True):
    """Text, without its quotes and with its escapes undone."""

    value: str
    span: Span


class Integer(msgspec.Struct, frozen=True):
    """A whole number of at most 64 bits, signed."""

    value: int
    span: Span


class Real(msgspec.Struct, frozen=True):
    """A number written with a point or an exponent: exactly that decimal number."""

    value: Fraction
    span: Span


class Time(msgspec.Struct, frozen=True):
    """An instant, in nanoseconds since the Unix epoch (UTC)."""

    value: int
    span: Span


Literal = String | Integer | Real | Time


class Command(msgspec.Struct, frozen=True):
    """A command and its arguments.

    Attributes
    ----------
    name
        In upper case, whatever was written.
    arguments
        In the order in which they were written.
    span
        From the name to the last argument.
    name_span
        The name alone.
    """

    name: str
    arguments: tuple[Literal, ...]
    span: Span
    name_span: Span


class Pipeline(msgspec.Struct, frozen=True):
    """One command or more; each one's result is piped into the next."""

    commands: tuple[Command, ...]
