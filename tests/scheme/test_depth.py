"""Depth that a text or a program controls is never Python's: 10⁵ levels of everything."""

import itertools
import resource

import pytest

from racs_server.scheme import Budgets, FormError, Interpreter

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


WITHIN = [
    "(if #t X 0)",
    "(if X 1 0)",
    "(and 1 2 3 4 X)",
    "(or X 1)",
    "(begin 1 X)",
    "(let ((a 1) (b 2)) (define c X) (define d 1) c)",
    "(let ((a X)) 1 a)",
    "(let* () X)",
    "(letrec ((a (lambda () X))) 1 (a))",
    "(let-values (((a . b) (values 1 2))) (define c X) 1 c)",
    "(let-values (((a b) (values 1 X))) a)",
    "(let loop ((i 0)) (define c X) c)",
    "(do ((i 0 (+ i 1))) ((= i 1) 5) X)",
    "(cond (#f 1) (X => (lambda (x) x)) (else 2))",
    "(case 1 ((2) 3) (else 1 X))",
    "(guard (e (#f 1)) X)",
    "(parameterize () X)",
    "(let ((a 1)) (set! a X) a)",
    "(+ X 1)",
    "(+ 1 2 3 4 X)",
    "((lambda (a b c d) (define e X) e) 1 2 3 4)",
    "((lambda (a . b) X) 1)",
    "(car (map (lambda (a) X) '(1)))",
    "(quasiquote (unquote X))",
    "(let-syntax ((m (syntax-rules () ((_ a) (or #f a))))) (m X))",
    "(force (delay X))",
    "((lambda () (define-values (a b) (values 1 X)) b))",
]


def nested(wrappers: list[str], depth: int, innermost: str) -> str:
    before, after = [], []
    for wrapper in itertools.islice(itertools.cycle(wrappers), depth):
        left, right = wrapper.split("X")
        before.append(left)
        after.append(right)
    return "".join(before) + innermost + "".join(reversed(after))


@pytest.mark.parametrize("wrappers", [*([each] for each in WITHIN), WITHIN, WITHIN[::-1]])
def test_no_form_within_itself_or_others_is_too_deep(wrappers: list[str]) -> None:
    interpreter = Interpreter(Budgets(nesting=10_000, memory=1 << 28, seconds=100))
    interpreter.evaluate(nested(wrappers, 300, "1"))
    recursion = f"(define (f n) (if (= n 0) 0 {nested(wrappers, len(wrappers), '(f (- n 1))')}))"
    interpreter.evaluate(f"{recursion} (f {600 // len(wrappers)})")


def test_a_chain_of_forms_that_are_others_in_short_takes_no_depth() -> None:
    interpreter = Interpreter(Budgets(nesting=100_000))
    assert interpreter.evaluate("(quasiquote (unquote " * 3000 + "7" + "))" * 3000) == 7


@pytest.mark.parametrize(
    "source", ["(cond-expand (DEEP 1) (else 2))", "(import DEEP)"], ids=["requirement", "import"]
)
def test_what_a_library_form_asks_for_is_looked_into_so_far_only(source: str) -> None:
    deep = "(not " * 900 + "r7rs" + ")" * 900
    with pytest.raises(FormError, match="has a part that is nested deeper than 60 levels"):
        Interpreter().evaluate(source.replace("DEEP", deep))


def test_calls_that_go_to_and_fro_map_no_memory_however_deep_they_begin() -> None:
    interpreter = Interpreter()
    program = "(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))) (fib 20)"

    def faults(depth: int) -> int:
        """Return how often new memory was touched by a program that begins so many calls deep."""
        if depth:
            return faults(depth - 1)
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        assert interpreter.evaluate(program) == 6765
        return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

    # the least of some runs: now and then Python takes memory for other things
    assert max(min(faults(depth) for _ in range(3)) for depth in range(0, 100, 10)) < 1500
