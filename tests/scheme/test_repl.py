import subprocess
import sys
from pathlib import Path

from racs_server.scheme import Interpreter
from racs_server.scheme.repl import repl


def talk(*lines: str | type[BaseException]) -> list[str]:
    said: list[str] = []
    waiting = list(lines)

    def ask(prompt: str) -> str:
        if not waiting:
            raise EOFError
        line = waiting.pop(0)
        if isinstance(line, str):
            return line
        raise line

    repl(Interpreter(), ask, said.append)
    return said


def test_values_output_and_lines() -> None:
    assert talk("(define x 2)", "(+ x", "   40)", '(display "hi")', "'(a b)") == [
        "42",
        "hi",
        "(a b)",
    ]


def test_errors_have_a_caret_and_definitions_stay() -> None:
    said = talk("(define x 1)", "(+ x (car 5))", "x")
    assert said == [
        "error: car: expected a pair, got 5\n  (+ x (car 5))\n       ^ line 1, column 6",
        "1",
    ]


def test_ctrl_c_discards_the_lines_and_goes_on() -> None:
    assert talk("(+ 1", KeyboardInterrupt, "5") == ["interrupted", "5"]


def program(file: Path) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "racs_server.scheme", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_program_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "program.scm"
    file.write_text('(display "hi")\n(newline)\n(* 6 7)\n')
    assert program(file) == (0, "hi\n42\n", "")
    file.write_text("(car 5)")
    status, said, _ = program(file)
    assert status == 1
    assert said.startswith("error: car: expected a pair, got 5\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe")
    for name in ("nowhere.scm", "sound.wav"):
        status, said, problem = program(tmp_path / name)
        assert (status, said) == (2, "")
        assert problem.splitlines()[-1].startswith(
            f"python -m racs_server.scheme: error: cannot read {tmp_path / name}: "
        )
