"""Depth that a text or a program controls is never Python's: 10⁵ levels of everything."""

import pytest

from racs_server.scheme import Budgets, Interpreter

DEEP = [
    ("(define (count n) (if (= n 0) 0 (+ 1 (count (- n 1))))) (count 100000)", "100000"),
    ("(define (up a b) (if (= a b) '() (cons a (up (+ a 1) b)))) (length (up 0 100000))", "100000"),
    ("(let loop ((i 0)) (if (< i 1000000) (loop (+ i 1)) i))", "1000000"),
    ("(define (e n) (or (= n 0) (o (- n 1)))) (define (o n) (and (> n 0) (e (- n 1))))"
     " (e 100000)", "#t"),
    ("(define (f n) (cond ((= n 0) 'end) (else (f (- n 1))))) (f 100000)", "end"),
    ("(define (nest n l) (if (= n 0) l (nest (- n 1) (list l)))) (define a (nest 100000 '()))"
     " (equal? a (nest 100000 '()))", "#t"),
    ("(define (f n) (guard (e (#f 0)) (if (= n 0) 'deep (f (- n 1))))) (f 1000)", "deep"),
    ("(define (f n) (apply (lambda (x) (if (= x 0) 0 (+ 1 (f (- x 1))))) (list n)))"
     " (f 20000)", "20000"),
    ("(define (f n) (if (= n 0) 0 (+ 1 (call/cc (lambda (k) (f (- n 1))))))) (f 20000)", "20000"),
    ("(define (f n) (if (= n 0) 0 (+ 1 (car (map f (list (- n 1))))))) (f 10000)", "10000"),
    ("(define s (let loop ((i 0)) (delay-force (if (= i 50000) (delay i) (loop (+ i 1))))))"
     " (force s)", "50000"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), DEEP)
def test_deep_program(source: str, expected: str) -> None:
    interpreter = Interpreter(Budgets(seconds=100))
    assert interpreter.print(interpreter.evaluate(source)) == expected


def test_deep_text_is_read_compiled_run_and_printed() -> None:
    interpreter = Interpreter(Budgets(nesting=200_000, memory=1 << 30, seconds=100))
    depth = 3000
    data = "(" * depth + ")" * depth
    assert interpreter.print(interpreter.evaluate(f"'{data}")) == data
    assert interpreter.evaluate("(+ 1 " * depth + "0" + ")" * depth) == depth
    assert interpreter.evaluate("(if #t " * depth + "7" + ")" * depth) == 7
    assert interpreter.evaluate("(let ((x 1)) " * 1000 + "x" + ")" * 1000) == 1
    assert interpreter.evaluate("(car (list " * 1000 + "7" + "))" * 1000) == 7
