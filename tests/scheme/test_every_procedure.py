"""Every procedure with every kind of value: a value that can be printed, or an error of its own."""

import random
import re
from pathlib import Path

import pytest

import racs_server.scheme
from racs_server.scheme import Budgets, Interpreter, SchemeError
from racs_server.scheme.primitives import TABLE

PRELUDE = Path(racs_server.scheme.__file__).with_name("prelude.scm").read_text("utf-8")
NAMES = sorted({*TABLE, *re.findall(r"^\(define \(([^ )]+)", PRELUDE, re.MULTILINE)})
VALUES = r"""
0  1  -1  7  1/3  0.5  -1e308  +inf.0  +nan.0  99999999999999999999  (expt 10 400)  (expt 10 9999)
(/ (expt 10 400) 3)  (/ -3 (expt 10 400))  1e-320  1+2i  0.5-1.5i  #t  #f  '()
""  "ab"  #\a  #\x0  'sym  '(1 2 3)  '(1 . 2)  '((a . 1))  '(#\a)  '#(1 2 3)  '#u8(1 255)
'#s16(-1 2)  '#f32(0.5)  '#c32(1+2i)  car  +  list  (lambda (x) x)  (lambda x x)
(delay 1)  (make-parameter 1)  (current-output-port)  (open-input-string "abc")
(open-output-bytevector)  (if #f #f)  (eof-object)
""".replace("\n", "  ").split("  ")[1:-1]


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    budgets = Budgets(steps=2000, memory=1 << 20, integer=8192, output=4096, nesting=60)
    return Interpreter(budgets)


@pytest.mark.parametrize("name", NAMES)
def test_it_minds_no_value(interpreter: Interpreter, name: str) -> None:
    rng = random.Random(name)
    calls = [[value] for value in VALUES]
    calls += [rng.choices(VALUES, k=count) for count in (0, *[2] * 30, *[3] * 20)]
    for arguments in calls:
        expression = f"({' '.join([name, *arguments])})"
        interpreter.forget()  # the code of earlier calls, which takes memory
        try:
            interpreter.print(interpreter.evaluate(expression))
        except SchemeError:
            continue
        finally:
            interpreter.take_output()
