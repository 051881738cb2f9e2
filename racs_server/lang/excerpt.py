"""Errors that point into a command text.

Every message made here is short, however long the text is: it quotes at most `_WINDOW` characters
of one line, and marks the place under it.
"""

from racs_server.errors import CommandError
from racs_server.lang.ast import Span

_WINDOW = 60
_BEFORE = 30
_INDENT = "    "
_WORD = 32


def error_at(text: str, span: Span, subject: str, problem: str, hint: str = "") -> CommandError:
    """Return an error that says what is wrong where, and shows the place.

    Parameters
    ----------
    text
        The whole command text.
    span
        What is to be marked; an empty one marks the character there, or the end.
    subject
        Whose fault it is: a command, an argument.
    problem
        What was expected and what was found.
    hint
        What to do about it.
    """
    advice = f"; {hint}" if hint else ""
    return CommandError(
        f"{subject} at {_place(text, span.start)}: {problem}{advice}\n{_show(text, span)}"
    )


def quoted(word: str) -> str:
    """Return a word as it can stand in a message: in quotes, printable, and not too long."""
    return repr(word if len(word) <= _WORD else word[: _WORD - 1] + "…")


def _place(text: str, position: int) -> str:
    line_start = text.rfind("\n", 0, position) + 1
    character = f"character {position - line_start + 1}"
    if "\n" not in text:
        return character
    return f"line {text.count(chr(10), 0, position) + 1}, {character}"


def _show(text: str, span: Span) -> str:
    """Return the line around the span's begin, and below it a line that marks the span."""
    line_start = text.rfind("\n", 0, span.start) + 1
    line_end = text.find("\n", span.start)
    if line_end < 0:
        line_end = len(text)
    left = max(line_start, min(span.start - _BEFORE, line_end - _WINDOW))
    right = min(line_end, left + _WINDOW)
    head = "…" if left > line_start else ""
    tail = "…" if right < line_end else ""
    shown = "".join(char if char.isprintable() else " " for char in text[left:right])
    marked = max(1, min(span.end, right) - span.start)
    blank = " " * (len(head) + span.start - left)
    return f"{_INDENT}{head}{shown}{tail}\n{_INDENT}{blank}{'^' * marked}"
