"""What is wrong with a text that does not parse, in words that help whoever wrote it.

The parser says only where it stopped. What stands there is looked up in tables of common mistakes,
most particular first; whose argument it would have been is counted from the words before it. These
words are well formed, or the parser would have stopped at them.
"""

import re
from itertools import islice
from typing import NamedTuple

from racs_server.errors import CommandError
from racs_server.lang.ast import Span
from racs_server.lang.excerpt import error_at, quoted
from racs_server.lang.literals import LiteralError

_BODY = r"(?:[^{0}\\]++|\\.)*+"
_SINGLE = "'" + _BODY.format("'")
_DOUBLE = '"' + _BODY.format('"')
_STRING = re.compile(f"{_SINGLE}'|{_DOUBLE}\"", re.DOTALL)
_WORD = re.compile(r"""\|>|[^\s|,'"]+""")
# text that never ends counts as one word: looking for its end at every quote in it takes for ever
_WORDS = re.compile(rf"""{_SINGLE}'?|{_DOUBLE}"?|\|>|[^\s|'"]+""", re.DOTALL)
_END = re.compile(r"[\s|,]|\Z")
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")

_AN_ARGUMENT = "expected an argument (quoted text, a number or a time), |> or the end"
_A_COMMAND = "expected the name of a command, such as PING"
_LONGEST_NAME = 32


class _Mistake(NamedTuple):
    """A pattern that the text is tried with where the parser stopped, and what it betrays."""

    pattern: re.Pattern[str]
    hint: str


def _mistake(pattern: str, hint: str) -> _Mistake:
    return _Mistake(re.compile(pattern, re.IGNORECASE), hint)


_DATE = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = "[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_TIMES = "times are written like 2023-12-25T22:30:45.123Z"

_ANYWHERE = (
    _mistake(r"\|(?!>)", "commands are joined by |>"),
    _mistake(r",", "white space alone separates, without commas"),
    _mistake(
        "[\N{LEFT SINGLE QUOTATION MARK}-\N{DOUBLE LOW-9 QUOTATION MARK}`]",
        "text stands in plain quotes, ' or \"",
    ),
)

_IN_ARGUMENTS = (
    _mistake(rf"{_DATE}(?![0-9T])", "a date needs its time of day too, like 2025-01-01T00:00:00Z"),
    _mistake(r"[0-9-]{8,10}T[0-9:]+\.[0-9]{10}", "a time has at most 9 digits after the point"),
    _mistake(
        rf"{_DATE}T{_CLOCK}(?:\.[0-9]+)?(?![0-9.:Z+-])",
        "a time ends with Z (UTC) or with an offset like +01:00",
    ),
    _mistake(rf"{_DATE}T", _TIMES),
    _mistake(_CLOCK, f"a time needs its date: {_TIMES}"),
    _mistake(r"[+-]?(?:nan|inf|infinity)(?!\w)", "every number is finite"),
    _mistake(r"[+-]?\.?[0-9]", "numbers are written like 44100, -1, 0.5 or 1e-05"),
    _mistake(r"\(", "quote an expression: '(+ 1 2)'"),
)


def explain_word(text: str, position: int) -> CommandError:
    """Explain why the parser stopped at a word."""
    context = _context(text, position)
    if text[position] in "'\"" and (error := _explain_quotes(text, position, context)):
        return error
    word = _STRING.match(text, position) or _WORD.match(text, position)
    found = word[0] if word else text[position]
    expected, hint = (
        (_A_COMMAND, _command_hint) if context.name is None else (_AN_ARGUMENT, _argument_hint)
    )
    return error_at(
        text,
        Span(position, position + len(found)),
        context.subject,
        f"{expected}, found {quoted(found)}",
        _hint(text, position, _ANYWHERE) or hint(text, position, found),
    )


def explain_end(text: str) -> CommandError:
    """Explain why the text must not end where it does."""
    end = len(text.rstrip())
    if not end:
        return CommandError(f"empty command: {_A_COMMAND}")
    subject = _context(text, end).subject
    hint = "add a command or leave out the last |>"
    return error_at(text, Span(end, end), subject, f"{_A_COMMAND}, found the end", hint)


def explain_value(text: str, span: Span, error: LiteralError) -> CommandError:
    """Explain a number or a time that cannot be."""
    subject = _context(text, span.start).subject
    return error_at(text, span, subject, error.problem, error.hint)


def count_words(text: str, limit: int) -> int:
    """Return how many words a text has, counted up to a limit."""
    return sum(1 for _ in islice(_WORDS.finditer(text), limit))


class _Context(NamedTuple):
    """Where in a pipeline a place is: in which command (None: before its name), as what."""

    name: str | None
    subject: str


def _context(text: str, position: int) -> _Context:
    words = _WORDS.findall(text, 0, position)
    pipes = [number for number, word in enumerate(words) if word == "|>"]
    before = words[pipes[-1] + 1 :] if pipes else words
    if not before:
        return _Context(None, f"command {len(pipes) + 1}")
    name = before[0].upper()
    shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
    return _Context(name, f"{shown}, argument {len(before)}")


def _explain_quotes(text: str, position: int, context: _Context) -> CommandError | None:
    """Explain text without a closing quote, or with something right after it."""
    quote = text[position]
    closed = _STRING.match(text, position)
    if closed is None:
        hint = rf"inside text, \{quote} does not end it, and \\ is a backslash"
        problem = f"the text that starts here has no closing {quote}"
        return error_at(text, Span(position, position + 1), context.subject, problem, hint)
    end = closed.end()
    if _END.match(text, end):
        return None
    problem = f"expected white space after quoted text, found {quoted(text[end])}"
    hint = rf"a {quote} inside text is written \{quote}"
    return error_at(text, Span(end, end + 1), context.subject, problem, hint)


def _hint(text: str, position: int, mistakes: tuple[_Mistake, ...]) -> str:
    hints = (hint for pattern, hint in mistakes if pattern.match(text, position))
    return next(hints, "")


def _argument_hint(text: str, position: int, found: str) -> str:
    hint = _hint(text, position, _IN_ARGUMENTS)
    if not hint and _NAME.fullmatch(found):
        example = f": '{found}'" if len(found) <= _LONGEST_NAME else ""
        return f"text stands in quotes{example}; a further command comes after |>"
    return hint


def _command_hint(text: str, position: int, found: str) -> str:
    if text.startswith("|>", position):
        return "no command stands before this |>"
    if _NAME.fullmatch(found):
        return "white space separates a command from its arguments"
    return "a command starts with its name: letters, digits and _"
