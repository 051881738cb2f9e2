"""Rows: programs that clients send, against the same in Python; and against a textbook's Scheme."""

import time
from collections.abc import Callable
from functools import partial

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


def _beside_the_textbook(name: str, program: str, result: int) -> Row:
    def ours() -> object:
        return Interpreter(Budgets(seconds=60.0)).evaluate(program)

    return Row(
        f"Scheme beside a tree-walker: {name}",
        "ms",
        _in_python(ours, result),
        _in_python(partial(textbook.run, program), result),
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
]
