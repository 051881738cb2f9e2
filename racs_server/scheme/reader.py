"""Text to data: the grammar's words and brackets turned into values while the parser runs.

Invariants
----------
- Whatever the text, the outcome is data, a `ReadError` that points into it, or a `BudgetError`.
- The parser keeps its own stack: no nesting of the text becomes nesting of Python calls.
- Every datum that is read is a step, so that reading ends in time like any other work.
"""

import re
from functools import cache
from pathlib import Path
from typing import cast

from lark import Lark, UnexpectedCharacters, UnexpectedToken

from racs_server.scheme.builder import Builder, Datum
from racs_server.scheme.errors import BudgetError, Place, ReadError, Source
from racs_server.scheme.literals import LiteralError
from racs_server.scheme.meter import Meter

_GRAMMAR = Path(__file__).with_name("reader.lark")

_INERT = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|;[^\n]*|#\\.|\|[^|\\]*+(?:\\.[^|\\]*+)*+\||#\|', re.S
)
_COMMENT_MARK = re.compile(r"#\||\|#")
_BYTES_PER_CHARACTER = 40
_NOT_LINE_END = re.compile(r"[^\n]")


class UnfinishedError(ReadError):
    """The text ends too early; with more of it, it could be Scheme."""


def read(source: Source, meter: Meter | None = None, program: bool = True) -> list[Datum]:
    """Return all the data of a text.

    Parameters
    ----------
    source
        The text.
    meter
        Counts what the data take, and bounds the length and the nesting of the text.
    program
        Whether labels may be referred to in quoted data only, which are `Sealed` then.

    Raises
    ------
    ReadError
        The text is not Scheme.
    BudgetError
        It is too long, nested too deep, or too much.
    """
    meter = meter or Meter()
    _check_length(len(source.text), meter)
    parser, builder = _parser()
    builder.begin(meter, program)
    try:
        data = cast("list[Datum]", parser.parse(_without_nested_comments(source)))
    except LiteralError as bad:
        raise ReadError(str(bad), Place(source, builder.offset)) from None
    except UnexpectedCharacters as unexpected:
        raise _stray(source, cast("int", unexpected.pos_in_stream)) from None
    except UnexpectedToken as unexpected:
        if unexpected.token.type == "$END":
            raise UnfinishedError(
                "the text ends before all brackets are closed", Place(source, len(source.text))
            ) from None
        raise _stray(source, cast("int", unexpected.token.start_pos)) from None
    return data


def read_first(text: str, start: int, meter: Meter) -> tuple[Datum | None, int]:
    """Return the first datum of the rest of a text, or None, and where it ends.

    Raises
    ------
    ReadError
        What comes first is no datum.
    """
    rest = Source(text[start:])
    meter.spend(len(rest.text) >> 8)
    end = _end_of_first(_without_nested_comments(rest), meter)
    data = read(Source(rest.text[:end]), meter, program=False)
    return (data[0] if data else None), start + end


def _end_of_first(text: str, meter: Meter) -> int:
    """Return where the first datum ends, by its brackets alone; the end if it is too deep."""
    depth, wanted = 0, 1
    try:
        for token in _parser()[0].lex(text):
            meter.spend(1)
            if token.type in _PREFIXES:
                wanted += token.type == "SKIP"
                continue
            if token.type in _OPENING:
                depth += 1
            elif token.type == "RPAR":
                depth -= 1
            wanted -= depth <= 0
            if wanted == 0 or depth > meter.budgets.nesting:
                return cast("int", token.end_pos)
    except UnexpectedCharacters:
        pass
    return len(text)


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


_PREFIXES = {"QUOTE", "LABEL", "DIRECTIVE", "SKIP"}
_OPENING = {"OPEN", "VECTOR", "UNIFORM"}


@cache
def _parser() -> tuple[Lark, Builder]:
    """Return the parser, which reads one text at a time, and what it builds data with."""
    builder = Builder()
    grammar = _GRAMMAR.read_text("utf-8")
    return Lark(grammar, start="text", parser="lalr", lexer="basic", transformer=builder), builder
