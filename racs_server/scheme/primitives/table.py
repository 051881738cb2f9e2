"""The one table of procedures, and the checks of arguments that they share.

A procedure is a Python function under a Scheme name. How many arguments it takes, and what they
are called in messages, is read off its signature. If its first parameter is called ``meter`` it is
given the meter, because what it does can be large; if that is called ``machine`` it is a control
procedure (see `values.Control`).
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from racs_server.scheme.errors import WrongTypeError
from racs_server.scheme.machine import Machine
from racs_server.scheme.printer import quoted
from racs_server.scheme.values import Control, Primitive, String, Symbol, Value

_F = TypeVar("_F", bound=Callable[..., Any])
_MANY: Final = 1 << 30


class Entry:
    """A row of the table: a procedure before it is given to a machine.

    Parameters
    ----------
    name
        As programs call it.
    function
        What it does.
    """

    __slots__ = ("function", "given", "high", "low", "name", "parameters")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function
        parameters = list(inspect.signature(function).parameters.values())
        self.given = parameters[0].name if parameters else ""
        if self.given in ("meter", "machine"):
            del parameters[0]
        else:
            self.given = ""
        rest = any(item.kind is item.VAR_POSITIONAL for item in parameters)
        plain = [item for item in parameters if item.kind is not item.VAR_POSITIONAL]
        self.low = sum(1 for item in plain if item.default is item.empty)
        self.high = _MANY if rest else len(plain)
        words = [item.name.replace("_", "-") for item in plain]
        shown = [word if at < self.low else f"[{word}]" for at, word in enumerate(words)]
        self.parameters = f"({' '.join([*shown, '...'] if rest else shown)})"

    def bind(self, machine: Machine) -> Primitive:
        """Return the procedure as a value of one machine."""
        function = self.function
        kind: type[Primitive] = Primitive
        if self.given == "meter":
            function = partial(function, machine.meter)
        elif self.given == "machine":
            kind = Control
        return kind(self.name, function, self.low, self.high, self.parameters)


TABLE: Final[dict[str, Entry]] = {}


def procedure(*names: str) -> Callable[[_F], _F]:
    """Enter a function in the table, under its name and its synonyms."""

    def enter(function: _F) -> _F:
        for name in names:
            TABLE[name] = Entry(name, function)
        return function

    return enter


def wrong(expected: str, value: Value) -> WrongTypeError:
    """Return the error for an argument that is not what it should be."""
    return WrongTypeError(expected, quoted(value))


def index(value: Value, length: int, what: str = "an index") -> int:
    """Return a position, which must be below a length."""
    if value.__class__ is not int or not 0 <= value < length:
        raise wrong(f"{what} from 0 to {length - 1}" if length else f"{what} into something", value)
    return int(value)


def count(value: Value, what: str = "a count") -> int:
    """Return a number of things, which is an exact integer and not negative."""
    if value.__class__ is not int or value < 0:
        raise wrong(f"{what} (an exact integer, not negative)", value)
    return int(value)


def span(length: int, start: Value, end: Value) -> tuple[int, int]:
    """Return the start and the end of a part, where both may be left out."""
    first = 0 if start is None else start
    last = length if end is None else end
    if first.__class__ is not int or not 0 <= first <= length:
        raise wrong(f"a start from 0 to {length}", first)
    if last.__class__ is not int or not first <= last <= length:
        raise wrong(f"an end from {first} to {length}", last)
    return first, last


def text(value: Value) -> str:
    """Return what a string says."""
    if value.__class__ is not String:
        raise wrong("a string", value)
    return str(value.text)


def symbol(value: Value) -> Symbol:
    """Return a symbol, which it must be."""
    if not isinstance(value, Symbol):
        raise wrong("a symbol", value)
    return value
