"""Sameness: ``eq?``, ``eqv?``, ``equal?``, and predicates of types without a room of their own.

``eq?`` is ``eqv?`` here: numbers and characters are the same if they read the same.
"""

import math
from fractions import Fraction

from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.table import procedure, symbol
from racs_server.scheme.values import (
    APPLICABLE,
    EOF,
    UNSPECIFIED,
    Char,
    Complex,
    Pair,
    String,
    Symbol,
    Uniform,
    Value,
    Vector,
)

_NUMBERS = frozenset((int, float, Fraction))
_BEFORE_LOOKING = 10_000
"""Pairs that `equal` compares before it begins to look for circles."""
_SEEN_BYTES = 200


@procedure("eqv?", "eq?")
def eqv(a: Value, b: Value) -> bool:
    """Return whether two values are the same."""
    if a is b:
        return True
    kind = a.__class__
    if kind is not b.__class__:
        return False
    if kind in _NUMBERS:
        if kind is float and a == 0:
            return bool(b == 0) and math.copysign(1, a) == math.copysign(1, b)
        return bool(a == b) or (kind is float and a != a and b != b)
    if kind is Char or kind is String:
        return bool(a.text == b.text) and (kind is Char or not a.text)
    if kind is Complex:
        return eqv(a.real, b.real) and eqv(a.imag, b.imag)
    return False


@procedure("equal?")
def equal(meter: Meter, a: Value, b: Value) -> bool:
    """Return whether two values have the same structure and the same elements.

    Two circles are the same if nothing tells them apart: a pair of places that is compared again
    while it is being compared says nothing new.
    """
    pending = [(a, b)]
    places = _Places(meter)
    while pending:
        a, b = pending.pop()
        while isinstance(a, Pair) and isinstance(b, Pair) and places.are_new(a, b, 1):
            if isinstance(a.car, Pair | Vector):
                pending.append((a.cdr, b.cdr))
                a, b = a.car, b.car
            elif not _same(a.car, b.car):
                return False
            else:
                a, b = a.cdr, b.cdr
        if isinstance(a, Pair) and isinstance(b, Pair):
            continue
        if isinstance(a, Vector) and isinstance(b, Vector):
            if len(a) != len(b):
                return False
            if places.are_new(a, b, len(a)):
                pending.extend(zip(a, b, strict=True))
        elif not _same(a, b):
            return False
    return True


class _Places:
    """Where `equal` has been: looked at after many steps only, which few comparisons take."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.left = _BEFORE_LOOKING
        self.seen: set[tuple[int, int]] = set()

    def are_new(self, a: Value, b: Value, steps: int) -> bool:
        """Return whether comparing two pairs or vectors can tell anything new."""
        if a is b:
            return False
        self.meter.spend(steps)
        self.left -= 1
        if self.left > 0:
            return True
        if (id(a), id(b)) in self.seen:
            return False
        self.meter.charge(_SEEN_BYTES)
        self.seen.add((id(a), id(b)))
        return True


def _same(a: Value, b: Value) -> bool:
    if isinstance(a, String) and isinstance(b, String):
        return a.text == b.text
    if isinstance(a, Uniform) and isinstance(b, Uniform):
        return a.tag == b.tag and a.array.tobytes() == b.array.tobytes()
    return eqv(a, b)


@procedure("not")
def _not(value: Value) -> bool:
    return value is False


@procedure("boolean?")
def _is_boolean(value: Value) -> bool:
    return value is True or value is False


@procedure("symbol?")
def _is_symbol(value: Value) -> bool:
    return isinstance(value, Symbol)


@procedure("procedure?")
def _is_procedure(value: Value) -> bool:
    return isinstance(value, APPLICABLE)


@procedure("default-object?")
def _is_default(value: Value) -> bool:
    return value is UNSPECIFIED


@procedure("boolean=?")
def _same_boolean(a: Value, b: Value, *others: Value) -> bool:
    return all(item is a for item in (b, *others)) and _is_boolean(a)


@procedure("symbol=?")
def _same_symbol(a: Value, b: Value, *others: Value) -> bool:
    return all(symbol(item) is symbol(a) for item in (b, *others))


@procedure("eof-object")
def _eof_object() -> Value:
    return EOF


@procedure("eof-object?")
def _is_eof(value: Value) -> bool:
    return value is EOF


@procedure("void")
def _void(*_values: Value) -> Value:
    return UNSPECIFIED
