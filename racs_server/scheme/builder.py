# ruff: noqa: N802, D102 (lark finds what a word becomes by the name of a method)
"""Data out of the grammar's words and rules, while the parser runs.

Labels are the last thing to be looked at: until the whole text has been read, what refers to one is
a placeholder, and all data are trees.
"""

from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from lark import Token, Transformer

from racs_server.scheme import literals
from racs_server.scheme.errors import BudgetError
from racs_server.scheme.graphs import everything, parts_of
from racs_server.scheme.literals import LiteralError
from racs_server.scheme.meter import Budgets, Meter
from racs_server.scheme.values import (
    NIL,
    UNIFORM_TYPES,
    Char,
    Complex,
    Pair,
    Sealed,
    SourcePair,
    String,
    Uniform,
    Value,
    Vector,
    intern,
    to_float,
)

_MAX_BITS = Budgets().integer * 8
_ABBREVIATIONS = {
    "'": intern("quote"),
    "`": intern("quasiquote"),
    ",": intern("unquote"),
    ",@": intern("unquote-splicing"),
}


class Datum(NamedTuple):
    """One datum of a text.

    Parameters
    ----------
    value
        What it is.
    offset
        Where it begins.
    """

    value: Value
    offset: int


_Children: TypeAlias = list[Any]
_Seals: TypeAlias = list[Sealed]


class Builder(Transformer[Token, list[Datum]]):
    """What each rule and each word of the grammar becomes, called by the parser as it goes.

    Attributes
    ----------
    offset
        Where the word or the bracket stands that is being converted; errors point there.
    """

    def begin(self, meter: Meter, program: bool) -> None:
        """Get ready for another text."""
        self.meter = meter
        self.program = program
        self.offset = 0
        self.depth = 0
        self.fold = False
        self.references: dict[str, _Reference] = {}

    # -- data one after the other

    def text(self, children: _Children) -> _Children:
        data: _Children = children[0]
        if not self.references:
            return data
        sealed = self._seal(data) if self.program else []
        for seal in sealed:
            seal.value = _joined(seal.value)
        return [item._replace(value=_joined(item.value)) for item in data]

    def items(self, _children: _Children) -> _Children:
        return []

    def append(self, children: _Children) -> _Children:
        items: _Children = children[0]
        items.append(children[1])
        self.meter.fuel -= 1
        if self.meter.fuel < 0:
            self.meter.refuel()
        return items

    def ignore(self, children: _Children) -> Any:
        return children[0]

    def skipped(self, _children: _Children) -> None:
        return None

    # -- lists and vectors

    def OPEN(self, word: Token) -> Token:
        self.depth += 1
        if self.depth > self.meter.budgets.nesting:
            raise BudgetError(
                "nesting",
                f"over the budget of nesting: more than {self.meter.budgets.nesting} levels of "
                f"brackets, at line {word.line}",
            )
        return word

    VECTOR = UNIFORM = QUOTE = OPEN

    def list(self, children: _Children) -> Datum:
        return self._list(children[0], children[1], NIL)

    def dotted(self, children: _Children) -> Datum:
        opening, items, _dot, last = children
        if not items or len(last) != 1:
            raise self._bad("a dot stands between data and exactly one last datum", opening)
        return self._list(opening, items, last[0].value)

    def _list(self, opening: Token, items: _Children, tail: Value) -> Datum:
        self.depth -= 1
        for item in reversed(items):
            tail = SourcePair(item.value, tail, item.offset)
        return Datum(tail, _at(opening))

    def vector(self, children: _Children) -> Datum:
        self.depth -= 1
        return Datum(Vector(item.value for item in children[1]), _at(children[0]))

    def uniform(self, children: _Children) -> Datum:
        opening, items = children
        self.depth -= 1
        self.offset = _at(opening)
        tag = opening[1:-1].lower().removeprefix("v")
        return Datum(Uniform(tag, uniform_array(tag, [item.value for item in items])), self.offset)

    def abbreviation(self, children: _Children) -> Datum:
        mark, datum = children[0], children[-1]
        self.depth -= 1
        rest = SourcePair(datum.value, NIL, datum.offset)
        return Datum(SourcePair(_ABBREVIATIONS[mark], rest, _at(mark)), _at(mark))

    # -- labels

    def labelled(self, children: _Children) -> Datum:
        label, datum = children[0], children[-1]
        reference = self.references.setdefault(label[1:-1], _Reference())
        if reference.value is not None or datum.value is reference:
            raise self._bad(f"{label} names a datum that is already named, or itself", label)
        reference.value = datum.value
        return cast("Datum", datum)

    def REFERENCE(self, word: Token) -> Datum:
        self.offset = _at(word)
        return Datum(self.references.setdefault(word[1:-1], _Reference()), self.offset)

    def _seal(self, data: _Children) -> _Seals:
        """Seal the quoted data with references in them, outside of which there may be none."""
        pending: list[tuple[Value, Any]] = [(item.value, None) for item in data]
        sealed = {}
        while pending:
            item, quoted = pending.pop()
            if isinstance(item, _Reference):
                if quoted is None:
                    raise LiteralError("a label can only be referred to in a quoted datum")
                sealed[id(quoted)] = quoted
            elif isinstance(item, Pair) and item.car is _ABBREVIATIONS["'"] and quoted is None:
                pending.append((item.cdr, item.cdr))
            else:
                pending.extend((part, quoted) for part in parts_of(item))
        for quoted in sealed.values():
            quoted.car = Sealed(quoted.car)
        return [quoted.car for quoted in sealed.values()]

    # -- words

    def NUMBER(self, word: Token) -> Datum:
        if len(word) < 16 and word.isdecimal():
            return Datum(int(word), _at(word))
        self.offset = _at(word)
        number = literals.parse_number(str(word), max_bits=_MAX_BITS)
        if number is None:
            raise LiteralError(f"{word[:40]} is no number")
        return Datum(number, self.offset)

    RADIX = COMPLEX = NUMBER

    def SYMBOL(self, word: Token) -> Datum:
        return Datum(intern(word.casefold() if self.fold else str(word)), _at(word))

    def BAR_SYMBOL(self, word: Token) -> Datum:
        self.offset = _at(word)
        return Datum(intern(literals.unescape(word[1:-1])), self.offset)

    def STRING(self, word: Token) -> Datum:
        self.offset = _at(word)
        return Datum(String(literals.unescape(word[1:-1])), self.offset)

    def CHARACTER(self, word: Token) -> Datum:
        self.offset = _at(word)
        return Datum(Char(literals.character(str(word))), self.offset)

    def BOOLEAN(self, word: Token) -> Datum:
        return Datum(word[1] in "tT", _at(word))

    def DIRECTIVE(self, word: Token) -> Token:
        self.fold = word == "#!fold-case"
        return word

    def _bad(self, problem: str, word: Token) -> LiteralError:
        self.offset = _at(word)
        return LiteralError(problem)


def _at(token: Token) -> int:
    return cast("int", token.start_pos)


class _Reference:
    """Stands for a datum that has a label until the whole text has been read."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Value = None


def _joined(value: Value) -> Value:
    """Put the data that have labels where they are referred to."""
    whole = Pair(value, NIL)
    for item in everything(whole):
        if isinstance(item, Pair):
            item.car, item.cdr = _target(item.car), _target(item.cdr)
        elif isinstance(item, Vector):
            item[:] = [_target(part) for part in item]
    return whole.car


def _target(value: Value) -> Value:
    while isinstance(value, _Reference):
        if value.value is None:
            raise LiteralError("a label that is never given to a datum")
        value = value.value
    return value


def uniform_array(tag: str, elements: list[Value]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return numbers as an array of a uniform vector's type.

    Raises
    ------
    LiteralError
        One of them is none, or does not fit.
    """
    dtype = UNIFORM_TYPES[tag]
    if dtype.kind in "iu":
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        for element in elements:
            if element.__class__ is not int or not low <= element <= high:
                raise LiteralError(f"an element of #{tag} is an integer from {low} to {high}")
        return np.array(elements, dtype)
    kinds = (int, float, Fraction) if dtype.kind == "f" else (int, float, Fraction, Complex)
    for element in elements:
        if not isinstance(element, kinds) or isinstance(element, bool):
            raise LiteralError(f"an element of #{tag} is a number")
    plain = [
        complex(item.real, item.imag) if item.__class__ is Complex else to_float(item)
        for item in elements
    ]
    with np.errstate(over="ignore"):
        return np.array(plain, dtype)
