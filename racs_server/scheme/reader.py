"""Text to data: the grammar's words and brackets turned into values while the parser runs.

Invariants
----------
- Whatever the text, the outcome is data, a `ReadError` that points into it, or a `BudgetError`.
- The parser keeps its own stack: no nesting of the text becomes nesting of Python calls.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken

from racs_server.scheme import literals
from racs_server.scheme.errors import BudgetError, Place, ReadError, Source
from racs_server.scheme.literals import LiteralError
from racs_server.scheme.meter import Budgets, Meter
from racs_server.scheme.values import (
    NIL,
    UNIFORM_TYPES,
    Char,
    SourcePair,
    String,
    Uniform,
    Value,
    Vector,
    intern,
)

_GRAMMAR = Path(__file__).with_name("reader.lark")
_T = TypeVar("_T")

_INERT = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|;[^\n]*|#\\.|\|[^|\\]*+(?:\\.[^|\\]*+)*+\||#\|', re.S
)
_COMMENT_MARK = re.compile(r"#\||\|#")
_BYTES_PER_CHARACTER = 40
_MAX_BITS = Budgets().integer * 8
_NOT_LINE_END = re.compile(r"[^\n]")
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
    depth
        How many brackets or quotes are within each other in it.
    """

    value: Value
    offset: int
    depth: int = 0


class UnfinishedError(ReadError):
    """The text ends too early; with more of it, it could be Scheme."""


def read(source: Source, meter: Meter | None = None) -> list[Datum]:
    """Return all the data of a text.

    Parameters
    ----------
    source
        The text.
    meter
        Counts what the data take, and bounds the length and the nesting of the text.

    Raises
    ------
    ReadError
        The text is not Scheme.
    BudgetError
        It is too long, nested too deep, or too much.
    """
    meter = meter or Meter()
    _check_length(len(source.text), meter)
    try:
        data = cast("list[Datum]", _lark().parse(_without_nested_comments(source)))
    except _BadWordError as bad:
        raise ReadError(str(bad), Place(source, bad.offset)) from None
    except UnexpectedCharacters as unexpected:
        raise _stray(source, cast("int", unexpected.pos_in_stream)) from None
    except UnexpectedToken as unexpected:
        if unexpected.token.type == "$END":
            raise UnfinishedError(
                "the text ends before all brackets are closed", Place(source, len(source.text))
            ) from None
        raise _stray(source, cast("int", unexpected.token.start_pos)) from None
    for datum in data:
        if datum.depth > meter.budgets.nesting:
            raise BudgetError(
                "nesting",
                f"over the budget of nesting: {datum.depth} levels of brackets at line "
                f"{source.line_and_column(datum.offset)[0]}, {meter.budgets.nesting} allowed",
            )
    return data


def _check_length(length: int, meter: Meter) -> None:
    if length > meter.budgets.source:
        raise BudgetError(
            "source",
            f"over the budget of source: {length} characters of text, "
            f"{meter.budgets.source} allowed",
        )
    meter.charge(length * _BYTES_PER_CHARACTER)


def _without_nested_comments(source: Source) -> str:
    """Return the text with ``#| |#`` blanked out, so that all else stays where it is."""
    text = source.text
    if "#|" not in text:
        return text
    parts = []
    position = 0
    while inert := _INERT.search(text, position):
        if inert.group() == "#|":
            end = _comment_end(source, inert.start())
            parts.append(text[position : inert.start()])
            parts.append(_NOT_LINE_END.sub(" ", text[inert.start() : end]))
            position = end
        else:
            parts.append(text[position : inert.end()])
            position = inert.end()
    return "".join(parts) + text[position:]


def _comment_end(source: Source, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(source.text, start):
        depth += 1 if mark.group() == "#|" else -1
        if depth == 0:
            return mark.end()
    raise UnfinishedError("a #| comment has no end", Place(source, start))


def _stray(source: Source, offset: int) -> ReadError:
    """Return the error for a character or word that the grammar has no use for."""
    word = source.text[offset]
    place = Place(source, offset)
    if word == '"':
        return UnfinishedError("a string has no closing quote", place)
    if word == "|":
        return UnfinishedError("a symbol has no closing bar", place)
    if word == ")":
        return ReadError(
            "a closing bracket that nothing has opened, or that comes too early", place
        )
    if word in "[]{}":
        return ReadError(f"{word} is not used in Scheme; lists stand in ( )", place)
    if word == "#":
        word = source.text[offset : offset + 12].split(maxsplit=1)[0]
    return ReadError(f"{word!r} cannot stand here", place)


class _BadWordError(Exception):
    """Carries a word's error out of the parser, with its place."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.offset = offset


_Children: TypeAlias = list[Any]
_complex = complex


class _Builder(Transformer[Token, list[Datum]]):
    """What each rule and each word of the grammar becomes, called by the parser as it goes."""

    def text(self, items: _Children) -> _Children:
        return [item for item in items if item is not None]

    def skipped(self, _items: _Children) -> None:
        return None

    def list(self, items: _Children) -> Datum:
        opening = cast("Token", items[0])
        data = [item for item in items[1:] if item is not None]
        tail: Value = NIL
        depth = max([item.depth for item in data if isinstance(item, Datum)], default=0)
        if len(data) >= 2 and isinstance(data[-2], Token):
            tail = data.pop().value
            data.pop()
        if any(isinstance(item, Token) for item in data) or (tail is not NIL and not data):
            raise _BadWordError(
                "a dot stands between data and exactly one last datum", _at(opening)
            )
        for item in reversed(data):
            tail = SourcePair(item.value, tail, item.offset)
        return Datum(tail, _at(opening), depth + 1)

    def vector(self, items: _Children) -> Datum:
        data = [item for item in items[1:] if item is not None]
        depth = max([item.depth for item in data], default=0)
        return Datum(Vector(item.value for item in data), _at(items[0]), depth + 1)

    def uniform(self, items: _Children) -> Datum:
        opening = cast("Token", items[0])
        tag = opening[1:-1].lower().removeprefix("v")
        elements = [item.value for item in items[1:] if item is not None]
        return Datum(Uniform(tag, _word(uniform_array, tag, elements, opening)), _at(opening), 1)

    def abbreviation(self, items: _Children) -> Datum:
        mark = cast("Token", items[0])
        datum = cast("Datum", items[-1])
        rest = SourcePair(datum.value, NIL, datum.offset)
        whole = SourcePair(_ABBREVIATIONS[mark], rest, _at(mark))
        return Datum(whole, _at(mark), datum.depth + 1)

    def number(self, items: _Children) -> Datum:
        word = items[0]
        if len(word) < 16 and word.isdecimal():
            return Datum(int(word), _at(word))
        return Datum(_word(_number, str(word), word), _at(word))

    radix = number

    def complex(self, items: _Children) -> Datum:
        word = str(items[0][:-1]).lower()
        split = max(
            index
            for index, sign in enumerate(word)
            if sign in "+-" and word[index - 1 : index] != "e"
        )
        imaginary = word[split:] if word[split:] not in "+-" else word[split:] + "1"
        return Datum(
            _complex(
                _word(_number, word[:split] or "0", items[0]), _word(_number, imaginary, items[0])
            ),
            _at(items[0]),
        )

    def symbol(self, items: _Children) -> Datum:
        return Datum(intern(str(items[0])), _at(items[0]))

    def bar_symbol(self, items: _Children) -> Datum:
        word = items[0]
        return Datum(intern(_word(literals.unescape, word[1:-1], word)), _at(word))

    def string(self, items: _Children) -> Datum:
        word = items[0]
        return Datum(String(_word(literals.unescape, word[1:-1], word)), _at(word))

    def character(self, items: _Children) -> Datum:
        return Datum(Char(_word(literals.character, str(items[0]), items[0])), _at(items[0]))

    def boolean(self, items: _Children) -> Datum:
        return Datum(items[0][1] in "tT", _at(items[0]))


def _number(word: str) -> Value:
    number = literals.parse_number(word, max_bits=_MAX_BITS)
    if number is None:
        raise LiteralError(f"{word[:40]} is no number")
    return number


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
    kinds = (int, float, Fraction) if dtype.kind == "f" else (int, float, Fraction, complex)
    for element in elements:
        if not isinstance(element, kinds) or isinstance(element, bool):
            raise LiteralError(f"an element of #{tag} is a number")
    plain = [item if isinstance(item, complex) else literals.to_float(item) for item in elements]
    with np.errstate(over="ignore"):
        return np.array(plain, dtype)


def _word(convert: Callable[..., _T], *arguments: Any) -> _T:
    """Convert; the last argument is the word whose place an error names."""
    try:
        return convert(*arguments[:-1])
    except LiteralError as error:
        raise _BadWordError(str(error), _at(arguments[-1])) from None


def _at(token: Token) -> int:
    return cast("int", token.start_pos)


@cache
def _lark() -> Lark:
    return Lark(
        _GRAMMAR.read_text("utf-8"),
        start="text",
        parser="lalr",
        lexer="basic",
        transformer=_Builder(),
    )
