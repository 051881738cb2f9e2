"""Text to tree: the grammar's words turned into values while the parser runs.

Invariants
----------
- Whatever the text, the outcome is a `Pipeline` or a `CommandError` that points into the text.
- Nothing is kept between two texts; `parse` may be called from several threads at once.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken

from racs_server.errors import CommandError
from racs_server.lang import literals
from racs_server.lang.ast import Command, Integer, Literal, Pipeline, Real, Span, String, Time
from racs_server.lang.diagnosis import count_words, explain_end, explain_value, explain_word
from racs_server.lang.literals import LiteralError

_GRAMMAR = Path(__file__).with_name("grammar.lark")
_T = TypeVar("_T")

MAX_WORDS = 4096
"""Names, arguments and pipes in one request: bounds the time that parsing and running it take."""


def parse(text: str) -> Pipeline:
    """Parse a command text.

    Parameters
    ----------
    text
        One request, without the NUL byte that may end it.

    Raises
    ------
    CommandError
        It does not follow the grammar, a number or time in it cannot be, or it has more than
        `MAX_WORDS` words.
    """
    if len(text) > 2 * MAX_WORDS and count_words(text, MAX_WORDS + 1) > MAX_WORDS:
        raise CommandError(
            f"more than {MAX_WORDS} words in one request of {len(text)} characters; send several"
        )
    try:
        return cast("Pipeline", _lark().parse(text))
    except _BadValueError as bad:
        error = explain_value(text, bad.span, bad.cause)
    except UnexpectedCharacters as unexpected:
        error = explain_word(text, cast("int", unexpected.pos_in_stream))
    except UnexpectedToken as unexpected:
        if unexpected.token.type == "$END":
            error = explain_end(text)
        else:
            error = explain_word(text, unexpected.token.start_pos)
    raise error


def parse_time(text: str) -> Time | None:
    """Return the time that a text is, written as commands write it; None if it is none."""
    if len(text) > _LONGEST_TIME:
        return None
    try:
        (command,) = parse(f"AT {text}").commands
        (time,) = command.arguments
    except (CommandError, ValueError):
        return None
    return time if isinstance(time, Time) else None


_LONGEST_TIME = 40


class _BadValueError(Exception):
    """Carries a literal's error out of the parser, with its place."""

    def __init__(self, span: Span, cause: LiteralError) -> None:
        super().__init__(span, cause)
        self.span = span
        self.cause = cause


class _Builder(Transformer[Token, Pipeline]):
    """What each rule and each word of the grammar becomes, called by the parser as it goes."""

    def pipeline(self, commands: list[Command]) -> Pipeline:
        return Pipeline(tuple(commands))

    def command(self, parts: list[Token | Literal]) -> Command:
        name = cast("Token", parts[0])
        arguments = cast("list[Literal]", parts[1:])
        name_span = _span(name)
        end = arguments[-1].span.end if arguments else name_span.end
        return Command(name.upper(), tuple(arguments), Span(name_span.start, end), name_span)

    def string(self, words: list[Token]) -> String:
        return String(literals.string(words[0]), _span(words[0]))

    def integer(self, words: list[Token]) -> Integer:
        return Integer(_value(literals.integer, words[0]), _span(words[0]))

    def real(self, words: list[Token]) -> Real:
        return Real(_value(literals.real, words[0]), _span(words[0]))

    def time(self, words: list[Token]) -> Time:
        return Time(_value(literals.time, words[0]), _span(words[0]))


def _value(convert: Callable[[str], _T], word: Token) -> _T:
    try:
        return convert(word)
    except LiteralError as error:
        raise _BadValueError(_span(word), error) from None


def _span(token: Token) -> Span:
    start = cast("int", token.start_pos)
    return Span(start, start + len(token))


@cache
def _lark() -> Lark:
    return Lark(
        _GRAMMAR.read_text("utf-8"),
        start="pipeline",
        parser="lalr",
        lexer="basic",
        transformer=_Builder(),
    )
