"""What Scheme values are in Python.

Integers, rationals and reals are ``int``, ``Fraction`` and ``float``; the booleans are ``True`` and
``False``; a vector is a ``list`` of class `Vector`. Everything else has a class here, all of them
without a ``__dict__``: a program can hold these objects but reach nothing through them.

Invariants
----------
- An exact rational whose denominator is 1 is always an ``int``.
- There is one `Symbol` of each name, so symbols are compared by identity.
- Pairs made by the reader are `SourcePair`, which know where their first element stood.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

Value: TypeAlias = Any
Env: TypeAlias = list[Any]
Node: TypeAlias = Callable[[Env], Any]


class Symbol:
    """A name; made by `intern` only."""

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


_symbols: WeakValueDictionary[str, Symbol] = WeakValueDictionary()


def intern(name: str) -> Symbol:
    """Return the symbol of that name."""
    symbol = _symbols.get(name)
    if symbol is None:
        symbol = _symbols[name] = Symbol(name)
    return symbol


class Singleton:
    """One of the few objects that are only themselves."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


NIL: Final = Singleton("()")
UNSPECIFIED: Final = Singleton("#<unspecified>")
EOF: Final = Singleton("#<eof>")
UNBOUND: Final = Singleton("#<unbound>")
"""In a variable: it has no value yet. Never seen by a program."""


class Pair:
    """A pair, of which lists are made."""

    __slots__ = ("car", "cdr")

    def __init__(self, car: Value, cdr: Value) -> None:
        self.car = car
        self.cdr = cdr

    def __iter__(self) -> Iterator[Value]:
        """Iterate over the elements of a list; an improper end is left out."""
        pair: Value = self
        while isinstance(pair, Pair):
            yield pair.car
            pair = pair.cdr


class SourcePair(Pair):
    """A pair that knows where its first element stood in the text."""

    __slots__ = ("offset",)

    def __init__(self, car: Value, cdr: Value, offset: int) -> None:
        self.car = car
        self.cdr = cdr
        self.offset = offset


def from_list(items: Iterable[Value], tail: Value = NIL) -> Value:
    """Return a Scheme list of the items."""
    result = tail
    for item in reversed(items if isinstance(items, list | tuple) else list(items)):
        result = Pair(item, result)
    return result


class Complex:
    """A number that is not real; both parts are exact, or both are floats."""

    __slots__ = ("imag", "real")

    def __init__(self, real: Value, imag: Value) -> None:
        self.real = real
        self.imag = imag


def to_float(number: Value) -> float:
    """Return the nearest real, which is infinite where no other is near."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def rectangular(real: Value, imag: Value) -> Value:
    """Return the number with these parts, which is real if its imaginary part is exactly 0."""
    if imag.__class__ is int and imag == 0:
        return real
    if real.__class__ is float or imag.__class__ is float:
        return Complex(to_float(real), to_float(imag))
    return Complex(real, imag)


class Char:
    """A character."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class String:
    """A string, which can be changed in place."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Vector(list[Any]):
    """A vector."""

    __slots__ = ()


class Uniform:
    """A vector of numbers of one machine type; bytevectors are those of ``u8``.

    Parameters
    ----------
    tag
        ``u8``, ``s16``, ``f32`` and so on.
    array
        The numbers, one-dimensional.
    """

    __slots__ = ("array", "tag")

    def __init__(self, tag: str, array: npt.NDArray[Any]) -> None:
        self.tag = tag
        self.array = array

    @property
    def nbytes(self) -> int:
        """How much memory the numbers take."""
        return int(self.array.nbytes)

    def numbers(self, start: int = 0, stop: int | None = None) -> Iterator[Value]:
        """Iterate over the numbers of a part as Scheme has them."""
        for number in self.array[start:stop]:
            item = number.item()
            yield Complex(item.real, item.imag) if isinstance(item, complex) else item


class Sealed:
    """A quoted datum that refers to itself, before it is evaluated: code is always a tree."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value


class Foreign:
    """Base of the values of other kinds that whoever holds the interpreter brings along.

    Attributes
    ----------
    kind
        What messages call them.
    """

    __slots__ = ()
    kind = "foreign object"


UNIFORM_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "u8": np.dtype(np.uint8),
    "s8": np.dtype(np.int8),
    "u16": np.dtype(np.uint16),
    "s16": np.dtype(np.int16),
    "u32": np.dtype(np.uint32),
    "s32": np.dtype(np.int32),
    "f32": np.dtype(np.float32),
    "c32": np.dtype(np.complex64),
}
"""Each tag's elements; ``c32`` is a complex number of two 32-bit floats."""


class Values:
    """Not exactly one value; never stored, only passed on."""

    __slots__ = ("items",)

    def __init__(self, items: tuple[Value, ...]) -> None:
        self.items = items


class Condition:
    """An error object: what ``error`` makes, and what a procedure's complaint becomes."""

    __slots__ = ("irritants", "kind", "message")

    def __init__(self, message: Value, irritants: Value, kind: str = "error") -> None:
        self.message = message
        self.irritants = irritants
        self.kind = kind


class Promise:
    """A delayed expression: a box that promises of one chain share.

    ``box`` is ``[done, value or thunk]``.
    """

    __slots__ = ("box",)

    def __init__(self, done: bool, content: Value) -> None:
        self.box = [done, content]


class Parameter:
    """A parameter object; calling it gives its value."""

    __slots__ = ("converter", "value")

    def __init__(self, value: Value, converter: Value) -> None:
        self.value = value
        self.converter = converter


class RecordType:
    """What ``define-record-type`` defines."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: tuple[Symbol, ...]) -> None:
        self.name = name
        self.fields = fields


class Record:
    """An instance of a record type."""

    __slots__ = ("slots", "type")

    def __init__(self, kind: RecordType, slots: list[Value]) -> None:
        self.type = kind
        self.slots = slots


class Port:
    """A port in memory: what is still to be read, or what has been written.

    Parameters
    ----------
    kind
        Of what it is: ``str`` or ``bytes``.
    source
        What can be read from it; None if it is written to.
    """

    __slots__ = ("kind", "open", "parts", "position", "size", "source")

    def __init__(self, kind: type[str] | type[bytes], source: Any) -> None:
        self.kind = kind
        self.source = source
        self.position = 0
        self.parts: list[Any] = []
        self.size = 0
        self.open = True


class Primitive:
    """A procedure that is written in Python and calls no other procedure.

    Parameters
    ----------
    name
        As programs call it.
    function
        What it does.
    low, high
        How many arguments it takes, at least and at most.
    parameters
        Their names, for messages.
    """

    __slots__ = ("function", "high", "low", "name", "parameters")

    def __init__(
        self, name: str, function: Callable[..., Value], low: int, high: int, parameters: str
    ) -> None:
        self.name = name
        self.function = function
        self.low = low
        self.high = high
        self.parameters = parameters


class Control(Primitive):
    """A procedure that is written in Python and works on the machine itself.

    It is called when all unfinished expressions are on the machine's stack, and returns a value
    or asks the machine for a call.
    """

    __slots__ = ()


class Template:
    """What is known of a ``lambda`` before it is evaluated.

    Parameters
    ----------
    name
        What it is defined as, or "lambda".
    required, rest
        The number of its parameters, and whether the last takes all further arguments.
    parameters
        How they are written, for messages.
    body
        What it does, in a frame of its arguments.
    """

    __slots__ = ("body", "name", "parameters", "required", "rest")

    def __init__(self, name: str, required: int, rest: bool, parameters: str, body: Node) -> None:
        self.name = name
        self.required = required
        self.rest = rest
        self.parameters = parameters
        self.body = body


class Closure:
    """A procedure that is written in Scheme.

    ``arity`` is the exact number of arguments, or -1 where there may be more; a frame is the list
    ``[env, first argument, …]``.
    """

    __slots__ = ("arity", "body", "env", "template")

    def __init__(self, template: Template, env: Env) -> None:
        self.template = template
        self.body = template.body
        self.arity = -1 if template.rest else template.required
        self.env = env


class Library(Closure):
    """A procedure of the prelude, whose errors are told as its own, where it was called."""

    __slots__ = ()


class CaseLambda:
    """A procedure that has a body for each number of arguments."""

    __slots__ = ("closures",)

    def __init__(self, closures: tuple[Closure, ...]) -> None:
        self.closures = closures


class Continuation:
    """All that remains to be done after an expression."""

    __slots__ = ("handlers", "stack", "winds")

    def __init__(self, stack: Value, winds: Value, handlers: Value) -> None:
        self.stack = stack
        self.winds = winds
        self.handlers = handlers


class Cell:
    """A global variable."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Value = UNBOUND) -> None:
        self.name = name
        self.value = value


APPLICABLE: Final = (Closure, Primitive, CaseLambda, Continuation, Parameter)
