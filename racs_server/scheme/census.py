"""How much memory values hold: everything that can be reached, each thing once.

Must not recurse, and must not count too little; knows nothing of the machine but that its stack
and its frames are tuples and lists.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from racs_server.scheme.meter import OBJECT_BYTES, PAIR_BYTES, SLOT_BYTES, TUPLE_BYTES
from racs_server.scheme.values import (
    CaseLambda,
    Cell,
    Closure,
    Complex,
    Condition,
    Continuation,
    Pair,
    Parameter,
    Port,
    Promise,
    Record,
    Singleton,
    String,
    Symbol,
    Uniform,
    Value,
    Values,
)

_SMALL_INT = 1 << 60


def measure(roots: list[Any]) -> int:
    """Return the bytes that can be reached from some values, states and frames."""
    seen: set[int] = set()
    pending = list(roots)
    total = 0
    while pending:
        item = pending.pop()
        kind = item.__class__
        if kind is int:
            if not -_SMALL_INT < item < _SMALL_INT:
                total += item.bit_length() // 7
            continue
        if kind in _FREE:
            continue
        address = id(item)
        if address in seen:
            continue
        seen.add(address)
        if kind is tuple:
            total += TUPLE_BYTES
            pending.extend(item)
        elif isinstance(item, Pair):
            total += PAIR_BYTES
            pending.append(item.car)
            pending.append(item.cdr)
        elif isinstance(item, list):
            total += OBJECT_BYTES + len(item) * SLOT_BYTES
            pending.extend(item)
        else:
            total += _size(item)
            pending.extend(_fields(item))
    return total


def _nothing() -> None:
    pass


_FREE = frozenset((bool, float, Symbol, Singleton, type(_nothing), type(len), type(None)))


def _size(item: Any) -> int:
    if isinstance(item, String):
        return OBJECT_BYTES + string_bytes(item.text)
    if isinstance(item, Uniform):
        return OBJECT_BYTES + item.nbytes
    if isinstance(item, Port):
        return OBJECT_BYTES + 4 * (item.size + len(item.source or ""))
    return OBJECT_BYTES


def _fields(item: Any) -> Iterable[Value]:
    fields = _FIELDS.get(item.__class__)
    return fields(item) if fields else ()


_FIELDS: dict[type, Callable[[Any], Iterable[Value]]] = {
    CaseLambda: lambda item: item.closures,
    Cell: lambda item: (item.value,),
    Closure: lambda item: (item.env,),
    Complex: lambda item: (item.real, item.imag),
    Condition: lambda item: (item.message, item.irritants),
    Continuation: lambda item: (item.stack, item.winds, item.handlers),
    Fraction: lambda item: (item.numerator, item.denominator),
    Parameter: lambda item: (item.value, item.converter),
    Promise: lambda item: item.box,
    Record: lambda item: item.slots,
    Values: lambda item: item.items,
    dict: lambda item: item.values(),
}
"""What each kind of object holds. A kind that is not here must hold nothing a program made."""


def string_bytes(text: str) -> int:
    """Return the bytes that a text takes at most."""
    return len(text) if text.isascii() else 4 * len(text)
