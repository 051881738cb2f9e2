"""The loop of `python -m racs_server.scheme`: reads an expression, prints its value, again.

Owns what a person sees: prompts, values, and errors with a caret under the place. Ctrl-C stops
what is being evaluated, or discards what was typed; the end of the input ends the loop.
"""

from collections.abc import Callable

from racs_server.scheme.errors import SchemeError, Source
from racs_server.scheme.interpreter import Interpreter
from racs_server.scheme.meter import Meter
from racs_server.scheme.reader import UnfinishedError, read
from racs_server.scheme.values import UNSPECIFIED

_PROMPT = "racs> "
_MORE = "  ... "
_WINDOW = 76


def repl(
    interpreter: Interpreter, ask: Callable[[str], str], show: Callable[[str], object]
) -> None:
    """Talk until the input ends.

    Parameters
    ----------
    interpreter
        What evaluates.
    ask
        Shows a prompt and returns a line; raises EOFError at the end, KeyboardInterrupt at Ctrl-C.
    show
        Puts out a text and ends the line.
    """
    while True:
        try:
            text = _ask_whole(ask)
            answer(interpreter, text, show)
        except KeyboardInterrupt:
            show("interrupted")
        except EOFError:
            return


def answer(interpreter: Interpreter, text: str, show: Callable[[str], object]) -> bool:
    """Evaluate a text and show its value, or its error; return whether there was none."""
    try:
        value = interpreter.evaluate(text)
        shown = "" if value is UNSPECIFIED else interpreter.print(value)
        good = True
    except SchemeError as error:
        shown, good = explain(error), False
    output = interpreter.take_output()
    if output:
        show(output.removesuffix("\n"))
    if shown:
        show(shown)
    return good


def explain(error: SchemeError) -> str:
    """Return an error's message, and below it the line that it is about, with a caret."""
    if error.place is None:
        return f"error: {error.problem}"
    text = error.place.source.text
    line, column = error.place.line, error.place.column
    shown = "".join(char if char.isprintable() else " " for char in text.split("\n")[line - 1])
    start = max(0, column - _WINDOW // 2)
    window = shown[start : start + _WINDOW]
    return f"error: {error.problem}\n  {window}\n  {' ' * (column - 1 - start)}^ {error.place}"


def _ask_whole(ask: Callable[[str], str]) -> str:
    """Ask for lines until all brackets are closed."""
    text = ask(_PROMPT)
    while _unfinished(text):
        text += "\n" + ask(_MORE)
    return text


def _unfinished(text: str) -> bool:
    try:
        read(Source(text), Meter())
    except UnfinishedError:
        return True
    except SchemeError:
        return False
    return False
