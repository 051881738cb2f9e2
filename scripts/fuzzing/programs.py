"""Scheme programs out of bytes: each is a choice, so that what a fuzzer mutates stays a program.

Mutated text is nearly always refused by the reader, and says nothing about the evaluator.
"""

from collections.abc import Iterator

from racs_server.scheme.interpreter import FORMS
from racs_server.scheme.primitives import TABLE

_NAMES = ("a", "b", "c", "f", "g", "k", "x", "y")
_ATOMS = r"""
0  1  -1  2  7  10  1/3  -5/2  0.5  -1e308  1e-320  +inf.0  +nan.0  99999999999999999999  #t  #f
()  ""  "ab\n"  #\a  #\x0  'sym  '()  '(1 2 3)  '(1 . 2)  #(1 2 3)  #u8(1 255)  #s16(-1 2)
#f32(0.5)  #c32(1+2i)  `(1 ,@'(2 3))  (list 1 2)  (lambda x x)  car  +  list  values
(current-output-port)  (delay 1)
""".replace("\n", "  ").split("  ")[1:-1]
_SHAPES = r"""
(define {n} {e})
(define ({n} {n}) {e} {e})
(define ({n} . {n}) {e})
(set! {n} {e})
(lambda ({n} {n}) {e})
(lambda {n} {e})
(let (({n} {e}) ({n} {e})) {e})
(let* (({n} {e})) {e} {e})
(letrec (({n} (lambda ({n}) {e}))) {e})
(let {n} (({n} {e})) (if {e} {e} ({n} {e})))
(do (({n} 0 (+ {n} 1))) ((= {n} 5) {e}) {e})
(if {e} {e} {e})
(cond ({e} {e}) ({e} => {e}) (else {e}))
(case {e} ((1 a) {e}) (else {e}))
(and {e} {e})
(or {e} {e})
(when {e} {e})
(begin {e} {e})
(quasiquote ({e} (unquote {e})))
(call/cc (lambda ({n}) {e}))
(call/cc (lambda ({n}) ({n} {e})))
(dynamic-wind (lambda () {e}) (lambda () {e}) (lambda () {e}))
(guard ({n} (#t {e})) {e})
(guard ({n} ((symbol? {n}) {e})) {e})
(raise {e})
(with-exception-handler (lambda ({n}) {e}) (lambda () {e}))
(raise-continuable {e})
(call-with-values (lambda () (values {e} {e})) (lambda ({n} {n}) {e}))
(let-values ((({n} . {n}) (values {e} {e}))) {e})
(apply {e} (list {e} {e}))
({e} {e})
(map {e} (list {e} {e}))
(vector-map {e} (vector {e}))
(for-each {e} (list {e}))
(define-record-type {n} (mk {n}) p? ({n} get set))
(delay {e})
(force {e})
(parameterize (((make-parameter 1) {e})) {e})
(error "e" {e})
(string-append "a" {e})
(define-syntax {n} (syntax-rules () ((_ a ...) (list a ...)) ((_ (a b) ...) (+ a ...))))
(let-syntax (({n} (syntax-rules () ((_ a) (let (({n} a)) {e}))))) ({n} {e}))
""".strip().splitlines()
_DEEPEST = 7


def generate(data: bytes) -> str:
    """Return the program that the bytes stand for: the same for the same bytes."""
    choices = iter(data)
    return "\n".join(_forms(choices))


def _forms(choices: Iterator[int]) -> Iterator[str]:
    for first in choices:
        yield _expression(choices, first, 0)


def _expression(choices: Iterator[int], choice: int, depth: int) -> str:
    kind, rest = choice % 4, choice // 4
    if depth == _DEEPEST or kind == 0:
        atoms = [*_ATOMS, *_NAMES]
        return atoms[(rest + next(choices, 0)) % len(atoms)]
    if kind == 1:
        return _fill(_SHAPES[rest % len(_SHAPES)], choices, depth)
    if kind == 2:
        count = rest % 4
        name = _PROCEDURES[(next(choices, 0) * 256 + next(choices, 0)) % len(_PROCEDURES)]
        return f"({' '.join([name, *_some(choices, count, depth)])})"
    forms = _KEYWORDS
    return f"({' '.join([forms[rest % len(forms)], *_some(choices, next(choices, 0) % 4, depth)])})"


def _some(choices: Iterator[int], count: int, depth: int) -> list[str]:
    return [_expression(choices, next(choices, 0), depth + 1) for _ in range(count)]


def _fill(shape: str, choices: Iterator[int], depth: int) -> str:
    parts = []
    for number, part in enumerate(
        shape.replace("{n}", "\0n\0").replace("{e}", "\0e\0").split("\0")
    ):
        if number % 2 == 0:
            parts.append(part)
        elif part == "n":
            parts.append(_NAMES[next(choices, 0) % len(_NAMES)])
        else:
            parts.append(_expression(choices, next(choices, 0), depth + 1))
    return "".join(parts)


_PROCEDURES = sorted(TABLE)
_KEYWORDS = sorted(FORMS)
