"""Values to text: what ``write`` and ``display`` put out, and what errors quote.

Invariants
----------
- `written` and the reader are inverses for all data that have a written form.
- Printing keeps its own stack and stops at its limit, whatever the value's depth or size.
"""

import re
from collections.abc import Container, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Final

from racs_server.scheme.graphs import reached_twice
from racs_server.scheme.literals import CHARACTER_NAMES, number_text, parse_number
from racs_server.scheme.scope import Alias, Special, plain
from racs_server.scheme.values import (
    NIL,
    CaseLambda,
    Char,
    Closure,
    Complex,
    Condition,
    Continuation,
    Foreign,
    Pair,
    Parameter,
    Port,
    Primitive,
    Promise,
    Record,
    RecordType,
    Singleton,
    String,
    Symbol,
    Uniform,
    Value,
    Values,
    Vector,
)

_BEFORE_LOOKING = 1000
"""Parts of a text that are made before the printer looks for circles."""

QUOTED: Final = 60
"""Characters of a value that a message quotes."""

_ABBREVIATIONS = {"quote": "'", "quasiquote": "`", "unquote": ",", "unquote-splicing": ",@"}
_PLAIN_SYMBOL = re.compile(r"""[^\s()\[\]{}"';`,|#\\][^\s()\[\]{}"';`,|\\]*""")
_NUMBER_WORDS = ("+inf.0", "-inf.0", "+nan.0", "-nan.0")
_STRING_ESCAPES = {"\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}
_CHARACTER_NAMES = {text: name for name, text in CHARACTER_NAMES.items()}


class TooLongError(Exception):
    """The text would be longer than it may be."""


def written(
    value: Value, limit: int | None = None, display: bool = False, shared: bool = False
) -> str:
    """Return the text of a value.

    Parameters
    ----------
    value
        Any.
    limit
        Characters; None: any number.
    display
        Whether strings and characters stand for themselves.
    shared
        Whether everything that is reached twice has a label, not only what is within itself.

    Raises
    ------
    TooLongError
        It would be longer than the limit; no more than that was made.
    """
    if shared:
        return _joined(_parts(value, display, limit, reached_twice(value, circles=False)), limit)
    parts = _parts(value, display, limit)
    text = _joined(islice(parts, _BEFORE_LOOKING), limit)
    rest = next(parts, None)
    if rest is None:
        return text
    labelled = reached_twice(value, circles=True)
    if labelled:
        return _joined(_parts(value, display, limit, labelled), limit)
    return text + rest + _joined(parts, limit if limit is None else limit - len(text) - len(rest))


def _joined(parts: Iterable[str], limit: int | None) -> str:
    made = []
    size = 0
    for part in parts:
        made.append(part)
        size += len(part)
        if limit is not None and size > limit:
            raise TooLongError
    return "".join(made)


def quoted(value: Value, limit: int = QUOTED) -> str:
    """Return the text of a value for a message: cut where it becomes long."""
    parts = []
    size = 0
    try:
        for part in _parts(value, False, limit):
            parts.append(part)
            size += len(part)
            if size > limit:
                return "".join(parts)[: limit - 1] + "…"
    except TooLongError:
        parts.append("#<large integer>")
    return "".join(parts)


def _parts(
    value: Value, display: bool, limit: int | None, labelled: Container[int] = ()
) -> Iterator[str]:
    """Yield the text in parts; ``stack`` holds what is still to be printed, last first."""
    stack: list[Iterator[Value]] = [iter([value])]
    labels: dict[int, int] = {}
    while stack:
        item = next(stack[-1], stack)
        if item is stack:
            stack.pop()
            continue
        if id(item) in labelled:
            if id(item) in labels:
                yield f"#{labels[id(item)]}#"
                continue
            labels[id(item)] = len(labels)
            yield f"#{labels[id(item)]}="
        if isinstance(item, Pair):
            mark = _abbreviation(item) if id(item.cdr) not in labelled else ""
            if mark:
                yield mark
                stack.append(iter([item.cdr.car]))
            else:
                yield "("
                stack.append(_list_items(item, labelled))
        elif isinstance(item, Vector):
            yield "#("
            stack.append(_spaced(item))
        elif item.__class__ is Uniform:
            yield f"#{item.tag}("
            stack.append(_spaced(item.numbers()))
        elif isinstance(item, _Literal):
            yield item.text
        else:
            yield _atom(item, display, limit)


class _Literal:
    """Text among the values that are to be printed."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_SPACE = _Literal(" ")
_DOT = _Literal(" . ")
_CLOSE = _Literal(")")


def _list_items(pair: Value, labelled: Container[int]) -> Iterator[Value]:
    yield pair.car
    pair = pair.cdr
    while isinstance(pair, Pair) and id(pair) not in labelled:
        yield _SPACE
        yield pair.car
        pair = pair.cdr
    if pair is not NIL:
        yield _DOT
        yield pair
    yield _CLOSE


def _spaced(items: Iterator[Value] | Vector) -> Iterator[Value]:
    first = True
    for item in items:
        if not first:
            yield _SPACE
        first = False
        yield item
    yield _CLOSE


def _abbreviation(pair: Pair) -> str:
    if isinstance(pair.car, Symbol) and isinstance(pair.cdr, Pair) and pair.cdr.cdr is NIL:
        mark, item = _ABBREVIATIONS.get(pair.car.name, ""), pair.cdr.car
        # A comma and a symbol that begins with @ would be read as the mark ,@.
        is_splice = mark == "," and isinstance(item, Symbol) and item.name.startswith("@")
        return "" if is_splice else mark
    return ""


def _atom(item: Value, display: bool, limit: int | None) -> str:
    if item is True or item is False:
        return "#t" if item else "#f"
    if isinstance(item, int) and limit is not None and item.bit_length() > 4 * limit + 64:
        raise TooLongError
    if isinstance(item, int | float | Fraction | Complex):
        return number_text(item)
    if isinstance(item, Symbol):
        return item.name if display else symbol_text(item.name)
    if isinstance(item, String):
        return item.text if display else _string_text(item.text)
    if isinstance(item, Char):
        return item.text if display else _character_text(item.text)
    if isinstance(item, Singleton):
        return item.text
    if isinstance(item, Alias):
        return plain(item).name
    return item.name if isinstance(item, Special) else _opaque(item)


def _opaque(item: Value) -> str:
    """Return what stands for a value that cannot be written."""
    name = ""
    if isinstance(item, Closure):
        name = f" {item.template.name}" if item.template.name else ""
    elif isinstance(item, Primitive):
        name = f" {item.name}"
    elif isinstance(item, Condition):
        text = item.message.text if isinstance(item.message, String) else quoted(item.message)
        return f"#<error {_string_text(text[:200])}>"
    elif isinstance(item, Record):
        return f"#<{item.type.name}>"
    elif isinstance(item, RecordType):
        name = f" {item.name}"
    elif isinstance(item, Values):
        return f"#<{len(item.items)} values>"
    return f"#<{type_name(item)}{name}>"


def type_name(item: Value) -> str:
    """Return what kind of value this is, as messages call it."""
    if isinstance(item, Foreign):
        return item.kind
    for kinds, name in _TYPE_NAMES:
        if isinstance(item, kinds):
            return name
    return "object"


_TYPE_NAMES: Final[list[tuple[type | tuple[type, ...], str]]] = [
    (bool, "boolean"),
    ((int, float, Fraction, Complex), "number"),
    (Symbol, "symbol"),
    (String, "string"),
    (Char, "character"),
    (Pair, "pair"),
    (Vector, "vector"),
    (Uniform, "uniform vector"),
    ((Closure, Primitive, CaseLambda), "procedure"),
    (Continuation, "continuation"),
    (Parameter, "parameter"),
    (Promise, "promise"),
    (Condition, "error object"),
    (RecordType, "record type"),
    (Record, "record"),
    (Port, "port"),
    (Values, "multiple values"),
    (Singleton, "unspecified"),
]


def symbol_text(name: str) -> str:
    """Return a symbol as a program would write it, between bars where it needs them."""
    plain = _PLAIN_SYMBOL.fullmatch(name) and name != "." and name.isprintable()
    if plain and (name[0] not in "+-.0123456789" or _is_no_number(name)):
        return name
    return "|" + "".join(_escaped(char, "|") for char in name) + "|"


def _is_no_number(name: str) -> bool:
    if name.lower().startswith(_NUMBER_WORDS):
        return False
    return len(name) < 400 and parse_number(name.replace("/0", "/1")) is None


def _string_text(text: str) -> str:
    return '"' + "".join(_escaped(char, '"') for char in text) + '"'


def _escaped(char: str, delimiter: str) -> str:
    if char == delimiter:
        return "\\" + char
    if char in _STRING_ESCAPES:
        return _STRING_ESCAPES[char]
    return char if char.isprintable() else f"\\x{ord(char):x};"


def _character_text(text: str) -> str:
    name = _CHARACTER_NAMES.get(text)
    if name is None:
        name = text if text.isprintable() else f"x{ord(text):x}"
    return f"#\\{name}"
