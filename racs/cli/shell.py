"""``shell``: a conversation with the server."""

import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racs.cli.base import Failure, command

if TYPE_CHECKING:
    from racs.cli.session import Session

_PROMPT, _MORE = "racs> ", " ...> "
_ELSEWHERE = {
    "STREAM": "racs record or racs import",
    "ATTACH": "Racs.attach of the Python client",
    "FOLLOW": "racs follow",
    "SUBSCRIBE": "racs top",
    "AUTH": "racs --url racs://user:password@host:port shell",
}
"""Commands after which a connection is not what it was, and what to use instead."""
_HELP = """\
Commands are sent as they stand: LIST '*', INFO 'chopin' 'size', RANGE 'chopin' 0 5 |> PEAKS 40.
What begins with a bracket is Scheme, over as many lines as it takes: (info "chopin" "size").
HELP lists the commands, HELP 'RANGE' tells more of one. exit, or Ctrl-D, ends."""


@command(
    "shell",
    "racs shell",
    "echo \"INFO 'chopin' 'size'\" | racs shell",
)
def shell_command(session: "Session") -> None:
    """Talk to the server: commands and programs, line by line.

    What begins with a bracket is a Scheme program, which may go over several lines. Audio is
    described, not printed. With the extra racs-store[shell] lines are coloured, and completed while
    you type; without it Tab completes them as well.
    """
    conversation = Conversation(session)
    if not sys.stdin.isatty():
        conversation.run(_piped_lines())
        return
    session.do("PING")
    session.note("commands, or Scheme in brackets; 'help' tells more, Ctrl-D ends")
    conversation.run(_typed_lines(conversation))


class Conversation:
    """Sends what is typed, and shows what comes back.

    Parameters
    ----------
    session
        The connection, and where things are shown.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._failed = False

    @cached_property
    def commands(self) -> list[str]:
        """All names of commands, as HELP lists them."""
        lines = self._ask(lambda: self._session.do("HELP").splitlines())
        return sorted({line.split()[0] for line in lines if line[:1].isupper()} - {"HELP'"})

    def ids(self) -> list[str]:
        """All names of streams."""
        found: list[str] = self._ask(lambda: self._session.do("LIST", "*"))
        return found

    def _ask(self, question: Callable[[], list[str]]) -> list[str]:
        from racs.errors import RacsException

        try:
            return question()
        except RacsException:
            return []

    def run(self, texts: Iterator[str]) -> None:
        """Answer texts until there are no more.

        Raises
        ------
        Failure
            One was answered with an error, and nobody was there to see it.
        """
        for text in texts:
            if text.strip().lower() in ("exit", "quit"):
                break
            if text.strip():
                self.answer(text.strip())
        if self._failed and not sys.stdin.isatty():
            raise Failure("not everything could be done")

    def answer(self, text: str) -> None:
        """Send a text and show the reply; an error is shown too."""
        from racs.cli.base import explain
        from racs.cli.typing_in import is_scheme
        from racs.commands import command as text_of

        if text.lower() == "help":
            self._session.say(_HELP)
        first = text.split()[0].upper()
        try:
            if first in _ELSEWHERE and "|>" not in text:
                raise Failure(f"{first} is not for the shell: use {_ELSEWHERE[first]}")
            sent = text_of("EVAL", text) if is_scheme(text) else text
            value = self._session.client.execute_command(sent)
        except KeyboardInterrupt:
            self._session.note("stopped waiting for the reply")
        except Exception as error:
            failure = error if isinstance(error, Failure) else explain(error)
            if failure is None:
                raise
            self._failed = True
            self._session.note(failure.message, "red")
        else:
            self._show(text.rpartition("|>")[2].split()[0].upper(), value)

    def _show(self, name: str, value: Any) -> None:
        from racs.cli.asking import plain_data, show_value

        if self._session.json:
            self._session.show(plain_data(value), "")
        elif isinstance(value, list) and name in _TABLES and value:
            self._session.show(value, _table(_TABLES[name], value))
        else:
            show_value(self._session, value)


_TABLES = {
    "DESCRIBE": ("id", "sample_rate", "channels", "bit_depth", "ref", "size", "open", "ttl"),
    "STATS": ("figure", "value"),
    "LOUDNESS": ("LUFS", "range LU", "sample peak dBFS", "true peak dBTP"),
}
"""Commands whose lists are tables, and their columns."""


def _table(columns: tuple[str, ...], values: list[Any]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for at in range(0, len(values), len(columns)):
        row = values[at : at + len(columns)]
        table.add_row(*(f"{x:.2f}" if isinstance(x, float) else escape(str(x)) for x in row))
    return table


def _piped_lines() -> Iterator[str]:
    """Yield what is piped in: a command a line, and programs over several."""
    from racs.cli.typing_in import is_complete

    text = ""
    for line in sys.stdin:
        text += line
        if is_complete(text):
            yield text
            text = ""
    yield text


def _typed_lines(conversation: Conversation) -> Iterator[str]:
    """Yield what is typed; Ctrl-C forgets a line that was begun, Ctrl-D ends."""
    from racs.cli.typing_in import is_complete

    ask = _asker(conversation)
    text = ""
    while True:
        try:
            text += ask(_MORE if text else _PROMPT) + "\n"
        except KeyboardInterrupt:
            text = ""
            continue
        except EOFError:
            return
        if is_complete(text):
            yield text
            text = ""


def _history() -> Path | None:
    """Return the file of what was typed before; None where none can be kept."""
    from platformdirs import user_state_path

    try:
        path = user_state_path("racs", ensure_exists=True) / "shell_history"
        path.touch(0o600)
    except OSError:
        return None
    return path


def _asker(conversation: Conversation) -> Callable[[str], str]:
    """Return what asks for a line: prompt_toolkit where it is installed, else readline."""
    try:
        from racs.cli.prompting import make_asker
    except ImportError:
        return _readline_asker(conversation)
    return make_asker(_history(), lambda: conversation.commands, conversation.ids)


def _readline_asker(conversation: Conversation) -> Callable[[str], str]:
    import atexit
    import contextlib
    import readline

    from racs.cli.typing_in import completions

    if path := _history():
        with contextlib.suppress(OSError):
            readline.read_history_file(path)
        atexit.register(readline.write_history_file, path)

    texts: list[str] = []

    def complete(word: str, number: int) -> str | None:
        if number == 0:  # the server is asked once, not for each of what it answers
            before = readline.get_line_buffer()[: readline.get_endidx()]
            found = completions(before, conversation.commands, conversation.ids())
            texts[:] = [word[: len(word) - size] + each for each, size in found]
        return texts[number] if number < len(texts) else None

    def ask(prompt: str) -> str:
        try:
            return input(prompt)
        except (KeyboardInterrupt, EOFError):
            print()  # what comes next begins a line
            raise

    readline.set_completer_delims(" \t\n")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    return ask
