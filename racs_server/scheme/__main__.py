"""``python -m racs_server.scheme [FILE]``: a program, or a conversation with a history."""

import contextlib
import readline
import sys
from pathlib import Path

from racs_server.scheme.interpreter import Interpreter
from racs_server.scheme.repl import answer, repl

_HISTORY = Path.home() / ".racs_scheme_history"


def main() -> int:
    """Run the file that is named, or talk; return the exit status."""
    interpreter = Interpreter()
    if len(sys.argv) > 1:
        text = Path(sys.argv[1]).read_text("utf-8")
        return 0 if answer(interpreter, text, print) else 1
    with contextlib.suppress(OSError):
        readline.read_history_file(_HISTORY)
    repl(interpreter, input, print)
    with contextlib.suppress(OSError):
        readline.write_history_file(_HISTORY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
