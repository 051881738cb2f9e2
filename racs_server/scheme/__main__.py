"""``python -m racs_server.scheme [FILE]``: a program, or a conversation with a history."""

import argparse
import contextlib
import readline
import sys
from pathlib import Path

from racs_server.scheme.interpreter import Interpreter
from racs_server.scheme.repl import answer, repl

_HISTORY = Path.home() / ".racs_scheme_history"


def main() -> int:
    """Run the file that is named, or talk; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m racs_server.scheme",
        description="Run a Scheme program, or talk: Ctrl-C stops an evaluation, Ctrl-D ends.",
    )
    parser.add_argument("file", nargs="?", type=Path, help="a program; its last value is shown")
    file = parser.parse_args().file
    interpreter = Interpreter()
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            parser.error(f"cannot read {file}: {error}")
        return 0 if answer(interpreter, text, print) else 1
    with contextlib.suppress(OSError):
        readline.read_history_file(_HISTORY)
    repl(interpreter, input, print)
    with contextlib.suppress(OSError):
        readline.write_history_file(_HISTORY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
