"""Rows: programs that clients send, beside the same in Python; and ours beside other Schemes."""

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from racs.wire.replies import ReplyError
from racs_server.scheme import Budgets, Interpreter
from scripts.benchmark import textbook
from scripts.benchmark.load import Count, call, connect, together
from scripts.benchmark.rows import Bench, Measure, NotAvailableError, Row

_FIB = "(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (fib 25)"
_LOOP = "(let turn ((i 0)) (if (< i 1000000) (turn (+ i 1)) i))"


_TEXTBOOK = {
    "fib 23": (_FIB.replace("25", "23"), 28657),
    "a loop of 300,000 turns": (
        "(define (turn i) (if (< i 300000) (turn (+ i 1)) i)) (turn 0)",
        300_000,
    ),
    "100,000 vector-sets": (
        "(define (fill v i) (if (< i 100000)"
        " (begin (vector-set! v (modulo i 1000) (* i i)) (fill v (+ i 1))) (vector-ref v 999)))"
        " (fill (make-vector 1000 0) 0)",
        99_999**2,
    ),
    "50,000 string-appends": (
        "(define (grow i size) (if (< i 50000) (grow (+ i 1) (+ size"
        " (string-length (string-append (number->string i) (number->string size))))) size))"
        " (grow 0 0)",
        525_972,
    ),
}

_OTHERS = {
    "fib 20": (_FIB.replace("25", "20"), 6765, ("skime", "smallscheme", "pyscheme")),
    "fib 25": (_FIB, 75025, ("calysto_scheme",)),
    "a loop of 300,000 turns": (*_TEXTBOOK["a loop of 300,000 turns"], ("calysto_scheme", "skime")),
}
"""The others overflow Python's stack in a loop. calysto_scheme makes Python of such programs."""
_PYTHON = Path(__file__).parents[2] / ".venv-schemes" / "bin" / "python"


def _fib(n: int) -> int:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


def _loop(turns: int) -> int:
    i = 0
    while i < turns:
        i = i + 1
    return i


def _timed(work: Callable[[], object], result: int) -> Count:
    began = time.perf_counter()
    if work() != result:
        raise ValueError(f"the result is not {result}")
    return Count(1, 1, [time.perf_counter() - began])


def _evaluated(program: str, result: int) -> Measure:
    def measure(bench: Bench) -> float:
        port = bench.server().port

        def job() -> Count:
            with connect(port) as client:
                return _timed(lambda: call(client, f"EVAL '{program}'"), result)

        try:
            [count] = together([job], bench.load_cores)
        except ReplyError as error:
            raise NotAvailableError(str(error)) from None
        return 1000 * count.times[0]

    return measure


def _in_python(work: Callable[[], object], result: int) -> Measure:
    def measure(bench: Bench) -> float:
        job = partial(_timed, work, result)
        return 1000 * together([job], bench.server_cores)[0].times[0]

    return measure


def _ours(program: str, result: int) -> Measure:
    """Return what measures our interpreter, once it is there: its own procedures take longer."""

    def measure(bench: Bench) -> float:
        def job() -> Count:
            interpreter = Interpreter(Budgets(seconds=60.0))
            return _timed(lambda: interpreter.evaluate(program), result)

        return 1000 * together([job], bench.server_cores)[0].times[0]

    return measure


def _theirs(scheme: str, program: str, result: int) -> Measure:
    """Return what measures another interpreter, in its own environment."""

    def measure(bench: Bench) -> float:
        if not _PYTHON.exists():
            raise NotAvailableError(f"{_PYTHON} is not there: sh scripts/schemes.sh")
        command = [str(_PYTHON), str(Path(__file__).with_name("schemes.py")), scheme, program]
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, bench.server_cores)
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        finally:
            os.sched_setaffinity(0, before)
        *value, took = said.split()
        if str(result) not in value[-1]:
            raise ValueError(f"{scheme} says {said!r}: the result is not {result}")
        return float(took)

    return measure


def _beside_the_textbook(name: str, program: str, result: int) -> Row:
    return Row(
        f"Scheme beside a tree-walker: {name}",
        "ms",
        _ours(program, result),
        _in_python(partial(textbook.run, program), result),
        rounds=3,
    )


def _beside_another(scheme: str, name: str, program: str, result: int) -> Row:
    return Row(
        f"Scheme beside {scheme}: {name}",
        "ms",
        _ours(program, result),
        _theirs(scheme, program, result),
        rounds=3,
    )


ROWS = [
    Row(
        "EVAL: fib 25",
        "ms",
        _evaluated(_FIB, 75025),
        _in_python(partial(_fib, 25), 75025),
        quick=True,
        rounds=2,
    ),
    Row(
        "EVAL: a loop of 1,000,000 turns",
        "ms",
        _evaluated(_LOOP, 1_000_000),
        _in_python(partial(_loop, 1_000_000), 1_000_000),
        quick=True,
        rounds=2,
    ),
    *(_beside_the_textbook(name, *program) for name, program in _TEXTBOOK.items()),
    *(
        _beside_another(scheme, name, program, result)
        for name, (program, result, schemes) in _OTHERS.items()
        for scheme in schemes
    ),
]
