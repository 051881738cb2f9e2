"""Lines asked for with prompt_toolkit: coloured, completed while they are typed, remembered.

Importing it fails where the extra ``racs-store[shell]`` is not installed.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Text

from racs.cli.typing_in import completions


class RacsLexer(RegexLexer):  # type: ignore[misc]  # it has no types
    """Colours commands and Scheme."""

    name = "racs"
    tokens = {  # noqa: RUF012 (as pygments has it)
        "root": [
            (r";.*", Comment),
            (r"'(?:\\.|[^'\\])*'?|\"(?:\\.|[^\"\\])*\"?", String),
            (r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)?", Number),
            (r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", Number),
            (r"\|>", Operator),
            (
                words(("define", "lambda", "let", "let*", "if", "cond", "begin"), r"\(?", r"\b"),
                Keyword,
            ),
            (r"[A-Za-z][\w!?*<>=/-]*", Name.Function),
            (r"\s+|.", Text),
        ]
    }


class _AbandonedError(Exception):
    """Ctrl-C, within prompt_toolkit: asyncio is left in disorder by a KeyboardInterrupt."""


class _Words(Completer):
    def __init__(self, commands: Callable[[], list[str]], ids: Callable[[], list[str]]) -> None:
        self._commands = commands
        self._ids = ids

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        found = completions(document.text_before_cursor, self._commands(), self._ids())
        return [Completion(text, -size) for text, size in found]


def make_asker(
    history: Path | None, commands: Callable[[], list[str]], ids: Callable[[], list[str]]
) -> Callable[[str], str]:
    """Return what asks for a line; it raises `KeyboardInterrupt` at Ctrl-C, `EOFError` at Ctrl-D.

    Parameters
    ----------
    history
        The file of the lines that were typed before; None: they are forgotten at the end.
    commands, ids
        Return all names of commands, and of streams.
    """
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)) if history else InMemoryHistory(),
        auto_suggest=AutoSuggestFromHistory(),
        completer=ThreadedCompleter(_Words(commands, ids)),
        lexer=PygmentsLexer(RacsLexer),
        complete_while_typing=True,
        interrupt_exception=_AbandonedError,
    )

    def ask(prompt: str) -> str:
        try:
            return session.prompt(prompt)
        except _AbandonedError:
            raise KeyboardInterrupt from None

    return ask
