"""``eval``: programs in Scheme, and what comes of them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from racs.cli.base import Failure, command

if TYPE_CHECKING:
    from racs.cli.session import Session


@command(
    "eval",
    "racs eval '(+ 1 2 3)'",
    'racs eval \'(info "chopin" "channels")\'',
    'racs eval \'(encode (fade (range "chopin" 0 5) 1 1) "audio/flac")\' -o start.flac',
    "racs eval - < program.scm",
)
@click.argument("expression", metavar="EXPR")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the result there, a file that the program made.",
)
def eval_command(session: "Session", expression: str, output: Path | None) -> None:
    """Evaluate a Scheme expression on the server.

    EXPR is one expression or more; - reads them from standard input. Audio is described, not
    printed; a file (of encode, format) goes to --output, or to standard output if that is no
    terminal.
    """
    from racs.cli.text import describe

    text = sys.stdin.read() if expression == "-" else expression
    value = session.do("EVAL", text)
    if output is not None:
        if not isinstance(value, bytes):
            raise Failure(
                f"the result is no file but {describe(value)}: make one with"
                ' (encode audio "audio/wav"), or leave --output out'
            )
        output.write_bytes(value)
    elif isinstance(value, bytes) and not (session.json or session.out.is_terminal):
        sys.stdout.buffer.write(value)
    elif session.json:
        session.show(plain_data(value), "")
    else:
        show_value(session, value)


def show_value(session: "Session", value: Any) -> None:
    """Print a result for people: texts as they are, all else described."""
    from racs.cli.text import describe

    session.out.print(describe(value), markup=False, highlight=not isinstance(value, str))


def plain_data(value: Any) -> Any:
    """Return a result as JSON has it: arrays as lists, bytes as their number."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return [str(each) for each in value] if value.dtype.kind == "c" else value.tolist()
    return {"bytes": len(value)} if isinstance(value, bytes) else value
