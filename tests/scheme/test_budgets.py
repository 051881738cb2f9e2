"""Programs that want more than they get: each ends soon, with the error of the right budget."""

import itertools

import pytest

from racs_server.scheme import BudgetError, Budgets, EvaluationError, Interpreter

SMALL = Budgets(steps=100_000, memory=8 * 1024 * 1024, output=10_000)

HOSTILE = [
    ("steps", "(let loop () (loop))"),
    ("steps", "(define (f) (g)) (define (g) (f)) (f)"),
    ("steps", "(do () (#f) 1)"),
    ("steps", "(call/cc (lambda (k) (define (f) (call/cc (lambda (j) (f)))) (f)))"),
    ("steps", "(let ((l (list 1))) (set-cdr! l l) (length l))"),
    ("steps", "(let ((q (list 'quote 1))) (set-cdr! (cdr q) q) (eval q))"),
    ("memory", "(let ((l (list 1))) (set-cdr! l l) (list-copy l))"),
    ("memory", "(let ((l (list 1))) (set-cdr! l l) (append! l '(1)))"),
    ("memory", "(let ((l (list 1))) (set-cdr! l l) (apply + l))"),
    ("memory", "(let ((l (list 1))) (set-cdr! l l) (reverse l))"),
    ("steps", "(let ((l (list 1))) (set-cdr! l l) (map + l l))"),
    ("steps", "(let ((l (list 1))) (set-cdr! l l) (for-each 1+ l))"),
    ("memory", "(define-syntax m (syntax-rules () ((_ x) (m x)))) (m 1)"),
    ("steps", "(define (f) (guard (e (#t (f))) (raise 'x))) (f)"),
    ("memory", "(define-syntax m (syntax-rules () ((_ x ...) (m x ... x ...)))) (m 1 2)"),
    ("memory", "(define-syntax m (syntax-rules () ((_ () x) x) ((_ (a . b) x) (m b (+ x x)))))"
               " (m (" + "1 " * 50 + ") 1)"),
    ("memory", "(define-syntax m (syntax-rules () ((_ (x ...)) (m ((x x x) ...))))) (m (1))"),
    ("memory", "(define (f n) (+ 1 (f n))) (f 1)"),
    ("memory", "(define (f) (call/cc (lambda (k) (cons k (f))))) (f)"),
    ("memory", "(let loop ((l '())) (loop (call/cc (lambda (k) (cons k l)))))"),
    ("memory", "(define-library (a) (export f) (begin (define l '())"
               " (define (f) (set! l (cons 1 l)) (f)))) (import (a)) (f)"),
    ("memory", "(let loop ((l '())) (loop (cons 1 l)))"),
    ("memory", "(let loop ((l '())) (loop (list l l l)))"),
    ("memory", "(let loop ((k 0)) (loop (lambda () k)))"),
    ("memory", "(make-vector 100000000 0)"),
    ("memory", "(make-string 100000000)"),
    ("memory", "(make-list 100000000)"),
    ("memory", "(make-bytevector 100000000000)"),
    ("memory", "(make-f32vector 100000000000 1.0)"),
    ("memory", "(iota 100000000)"),
    ("memory", '(let loop ((s "ab")) (loop (string-append s s)))'),
    ("memory", "(let loop ((v (vector 1 2))) (loop (vector-append v v)))"),
    ("memory", "(let loop ((l '(1 2))) (loop (append l l)))"),
    ("memory", "(let loop ((i 0) (l '())) (loop (+ i 1) (cons (expt 3 5000) l)))"),
    ("memory", "(let ((v (make-vector 50000))) (do ((i 0 (+ i 1))) (#f)"
               " (vector-set! v i (make-vector 100 i))))"),
    ("memory", "(let loop ((s '())) (loop (cons (delay s) s)))"),
    ("integer", "(expt 7 (expt 7 77))"),
    ("integer", "(let loop ((x 3)) (loop (* x x)))"),
    ("integer", "(let loop ((x 1/3)) (loop (* x x)))"),
    ("integer", "(arithmetic-shift 1 10000000000)"),
    ("integer", "(exact (expt 10.0 1)) (expt 1/2 (expt 10 10))"),
    ("integer", "(apply * (map (lambda (x) (expt 2 60000)) (iota 10)))"),
    ("integer", "(let loop ((x 1/3)) (loop (+ x (/ 1 (* x x)))))"),
    ("integer", "(let loop ((x 1+2i)) (loop (* x x)))"),
    ("integer", "(expt 1+i (expt 10 10))"),
    ("integer", '(string->number (make-string 100000 #\\9))'),
    ("output", "(let loop () (display 123456789) (loop))"),
    ("output", "(let loop ((l '(1))) (write l) (loop (list l l)))"),
    ("output", "(let ((p (open-output-bytevector))) (let loop () (write-u8 1 p) (loop)))"),
    ("nesting", "(" * 2000 + ")" * 2000),
    ("nesting", "(" * 150_000),
    ("nesting", "'" * 150_000),
    ("nesting", "(read (open-input-string (make-string 1000000 #\\()))"),
    ("source", "1 " * 600_000),
]  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Interpreter:
    return Interpreter(SMALL)


@pytest.mark.parametrize(("budget", "source"), HOSTILE, ids=lambda text: text[:40])
def test_hostile_program(small: Interpreter, budget: str, source: str) -> None:
    small.forget()
    with pytest.raises(BudgetError, match=f"over the budget of {budget}") as caught:
        small.evaluate(source)
    assert caught.value.budget == budget
    assert small.evaluate("(+ 1 2)") == 3


def test_time_is_looked_at() -> None:
    ticks = itertools.count()
    interpreter = Interpreter(Budgets(seconds=50), clock=lambda: float(next(ticks)))
    with pytest.raises(BudgetError, match="more than 50 seconds"):
        interpreter.evaluate("(let loop () (loop))")


def test_reading_is_counted() -> None:
    interpreter = Interpreter(Budgets(steps=1000))
    with pytest.raises(BudgetError, match="more than 1000 steps"):
        interpreter.evaluate("1 " * 2000)


def test_a_value_that_prints_too_long(small: Interpreter) -> None:
    value = small.evaluate("(make-string 20000 #\\a)")
    with pytest.raises(BudgetError, match="output"):
        small.print(value)


def test_garbage_is_not_held_against_a_program(small: Interpreter) -> None:
    source = "(do ((i 0 (+ i 1))) ((= i 200) 'done) (make-vector 50000 i))"
    assert small.print(small.evaluate(source)) == "done"


def test_a_budget_cannot_be_handled(small: Interpreter) -> None:
    with pytest.raises(BudgetError, match="steps"):
        small.evaluate("(guard (e (#t 'handled)) (let loop () (loop)))")


def test_over_budget_says_how_much(small: Interpreter) -> None:
    with pytest.raises(BudgetError, match=r"memory: 32\d{8} bytes are needed, 8388608 allowed"):
        small.evaluate("(make-vector 100000000)")


def test_a_message_does_not_spell_out_a_large_integer(small: Interpreter) -> None:
    with pytest.raises(EvaluationError, match="expected a pair, got #<large integer>"):
        small.evaluate("(car (expt 3 1000))")
