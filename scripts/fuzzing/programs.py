"""Scheme programs out of bytes: each is a choice, so that what a fuzzer mutates stays a program.

Mutated text is nearly always refused by the reader, and says nothing about the evaluator. These
programs are data from the beginning, so that most of the time is the evaluator's.
"""

from collections.abc import Iterator

from racs_server.scheme.errors import Source
from racs_server.scheme.interpreter import FORMS
from racs_server.scheme.primitives import TABLE
from racs_server.scheme.reader import read
from racs_server.scheme.values import Pair, String, Uniform, Value, Vector, from_list, intern


def _data(text: str) -> list[Value]:
    return [datum.value for datum in read(Source(text))]


_NAMES = _data("a b c f g k x y")
_ATOMS = _data(r"""
0  1  -1  2  7  10  1/3  -5/2  0.5  -1e308  1e-320  +inf.0  +nan.0  99999999999999999999  #t  #f
()  ""  "ab\n"  #\a  #\x0  'sym  '()  '(1 2 3)  '(1 . 2)  #(1 2 3)  #u8(1 255)  #s16(-1 2)
#f32(0.5)  #c32(1+2i)  `(1 ,@'(2 3))  (list 1 2)  (lambda x x)  car  +  list  values
1+2i  0.5-1.0i  (current-output-port)  (open-input-string "(a . b) 1")  (open-output-string)
(open-input-bytevector #u8(1 2))  (delay 1)
""")
_SHAPES = _data(
    r"""
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
(eval (quasiquote {e}))
(import (prefix (only (scheme base) car) {n}))
(define-library ({n}) (export {n}) (begin (define {n} {e})))
(import ({n}))
(cond-expand ((library ({n})) {e}) (else {e}))
(string-set! {e} 0 {e})
(set-cdr! {e} {e})
""".replace("{n}", "$n").replace("{e}", "$e")
)
_NAME, _PART = intern("$n"), intern("$e")
_LONGEST = 96
_DEEPEST = 7


def generate(data: bytes) -> list[Value]:
    """Return the program that the bytes stand for: the same for the same bytes."""
    choices = iter(data[:_LONGEST])
    return [_expression(choices, first, 0) for first in choices]


def _expression(choices: Iterator[int], choice: int, depth: int) -> Value:
    kind, rest = choice % 4, choice // 4
    if depth == _DEEPEST or kind == 0:
        atoms = _ATOMS + _NAMES
        return _fill(atoms[(rest + next(choices, 0)) % len(atoms)], choices, depth)
    if kind == 1:
        return _fill(_SHAPES[rest % len(_SHAPES)], choices, depth)
    if kind == 2:
        count = rest % 4
        name = _PROCEDURES[(next(choices, 0) * 256 + next(choices, 0)) % len(_PROCEDURES)]
    else:
        name = _KEYWORDS[rest % len(_KEYWORDS)]
        count = next(choices, 0) % 4
    return from_list([name, *(_part(choices, depth) for _ in range(count))])


def _part(choices: Iterator[int], depth: int) -> Value:
    return _expression(choices, next(choices, 0), depth + 1)


def _fill(shape: Value, choices: Iterator[int], depth: int) -> Value:
    """Return a copy of a shape with choices in its gaps; what can be changed is always new."""
    if shape is _NAME:
        return _NAMES[next(choices, 0) % len(_NAMES)]
    if shape is _PART:
        return _part(choices, depth)
    if isinstance(shape, Pair):
        first = _fill(shape.car, choices, depth)
        return Pair(first, _fill(shape.cdr, choices, depth))
    if isinstance(shape, Vector):
        return Vector(_fill(item, choices, depth) for item in shape)
    if isinstance(shape, String):
        return String(shape.text)
    return Uniform(shape.tag, shape.array.copy()) if isinstance(shape, Uniform) else shape


_PROCEDURES = [intern(name) for name in sorted(TABLE)]
_KEYWORDS = [intern(name) for name in sorted(FORMS)]
