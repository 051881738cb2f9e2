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
