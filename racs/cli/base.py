"""What every command is made with: examples in its help, a session, and ends in one line.

Imports no more than click, so that help and completion are quick.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from racs.cli.session import Session

DEFAULT_URL = "racs://localhost:6381"
REFUSED, WRONG_USE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
_WHO = "say first who you are"
"""How the server answers where there are users, and none was named; then how AUTH is written."""
IN_USE = "Stream is already open"
"""How the server's answer begins if a stream is taken."""
LEASE = 35.0
"""Seconds after which a sender that was killed has lost its stream, as servers are usually set."""


class Failure(click.ClickException):
    """The end of a command that could not be done: one clear line, and an exit code."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # read from the instance

    def show(self, file: Any = None) -> None:
        """Print the message to standard error."""
        click.echo(f"{click.style('racs:', fg='red', bold=True)} {self.message}", file, err=True)


def explain(error: Exception) -> Failure | None:
    """Return what the program says to an error, and its exit code; None if it is a bug."""
    from racs.errors import RacsAuthError, RacsConnectionError, RacsException

    text = ". ".join([str(error), *getattr(error, "__notes__", [])])
    if isinstance(error, RacsAuthError) or _WHO in text:
        why = "the server lets in only those whom it knows" if _WHO in text else text
        return Failure(f"{why}. Say who you are: RACS_URL=racs://user:password@host:port")
    if isinstance(error, RacsConnectionError):
        for python in ("check host= and port=", "check host="):
            text = text.replace(python, "say where it is: --url racs://host:port, or RACS_URL")
        return Failure(text, UNREACHABLE)
    if isinstance(error, RacsException):
        return Failure(text)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return Failure(": ".join(filter(None, (error.filename, error.strerror))) or text)
    return None


def brief(error: Exception) -> str:
    """Return what went wrong, without advice to those who would have to look for themselves."""
    from racs.errors import RacsConnectionError, RacsReplyLost

    if isinstance(error, RacsReplyLost):
        return "the connection broke"
    if isinstance(error, RacsConnectionError):
        return str(error).partition(": is ")[0].partition(";")[0]
    return str(error)


class Command(click.Command):
    """A command whose help ends with examples."""

    examples: tuple[str, ...] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one a line, as they are typed."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def command(name: str, *examples: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function that takes a `Session` first.

    Parameters
    ----------
    name
        What it is called.
    examples
        Lines that can be typed.
    """

    def decorate(function: Callable[..., Any]) -> Command:
        @wraps(function)
        def run(json: bool, **arguments: Any) -> Any:
            session: Session = click.get_current_context().find_root().obj
            session.json = session.json or json
            return function(session, **arguments)

        with_json = click.option("--json", is_flag=True, help="Print JSON, for programs.")(run)
        made = click.command(name, cls=Command)(with_json)
        made.examples = examples
        return made

    return decorate
