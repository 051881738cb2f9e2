"""Laws for all values, and texts that mean nothing: only a SchemeError may come out."""

import contextlib
import math
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from racs_server.scheme import Budgets, Interpreter, SchemeError
from racs_server.scheme.errors import Source
from racs_server.scheme.literals import simplest
from racs_server.scheme.printer import written
from racs_server.scheme.reader import read
from racs_server.scheme.values import Char, String, Vector, from_list, intern

CHARS = st.characters(exclude_categories=["Cs"])
NUMBERS = st.one_of(
    st.integers(), st.fractions().map(simplest), st.floats(allow_nan=False), st.booleans()
)
ATOMS = st.one_of(
    NUMBERS,
    st.text(CHARS).map(String),
    CHARS.map(Char),
    st.text(CHARS, min_size=0).map(intern),
    st.sampled_from(["a", "+", "...", "1+", "-x", "+i", "-1", ".5", ".", "a|b", "#t", ""]).map(
        intern
    ),
)
DATA = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner).map(from_list),
        st.lists(inner).map(Vector),
        st.tuples(st.lists(inner, min_size=1), ATOMS).map(lambda pair: from_list(*pair)),
    ),
)

SMALL = Interpreter(Budgets(steps=20_000, memory=4 << 20, output=10_000, seconds=2))


@given(DATA)
def test_reader_and_printer_are_inverses(datum: Any) -> None:
    text = written(datum)
    again = read(Source(text))
    assert len(again) == 1
    assert written(again[0].value) == text


EXACT = st.one_of(st.integers(), st.fractions().map(simplest))


@given(EXACT, EXACT)
def test_exact_arithmetic_agrees_with_python(a: Any, b: Any) -> None:
    program = f"(list (+ {a} {b}) (- {a} {b}) (* {a} {b}) (< {a} {b}) (= {a} {b}) (max {a} {b}))"
    ours = list(SMALL.evaluate(program))
    exact = [simplest(Fraction(x)) for x in (Fraction(a) + b, Fraction(a) - b, Fraction(a) * b)]
    assert ours == [*exact, a < b, a == b, max(a, b)]
    if b:
        assert SMALL.evaluate(f"(/ {a} {b})") == Fraction(a) / b


@given(st.integers(), st.integers().filter(bool))
def test_division_of_integers_agrees_with_python(a: int, b: int) -> None:
    q, r, m = SMALL.evaluate(f"(list (quotient {a} {b}) (remainder {a} {b}) (modulo {a} {b}))")
    assert (q * b + r, abs(r) < abs(b), m) == (a, True, a % b)
    assert q == math.trunc(Fraction(a, b))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e300, 1e300))
def test_float_arithmetic_agrees_with_python(a: float, b: float) -> None:
    assert list(SMALL.evaluate(f"(list (+ {a} {b}) (- {a} {b}) (* {a} {b}) (< {a} {b}))")) == [
        a + b,
        a - b,
        a * b,
        a < b,
    ]


WORDS = st.sampled_from(
    [
        "(",
        ")",
        "(",
        ")",
        "(",
        ")",
        "'",
        "`",
        ",",
        ",@",
        "#(",
        "#u8(",
        ".",
        "define",
        "lambda",
        "let",
        "let*",
        "letrec",
        "if",
        "cond",
        "else",
        "=>",
        "case",
        "do",
        "begin",
        "set!",
        "quote",
        "quasiquote",
        "unquote",
        "guard",
        "raise",
        "error",
        "dynamic-wind",
        "call/cc",
        "values",
        "call-with-values",
        "let-values",
        "define-values",
        "define-record-type",
        "define-syntax",
        "syntax-rules",
        "...",
        "_",
        "parameterize",
        "delay",
        "force",
        "car",
        "cdr",
        "cons",
        "list",
        "append",
        "map",
        "for-each",
        "apply",
        "vector-ref",
        "make-vector",
        "string-append",
        "expt",
        "*",
        "+",
        "-",
        "/",
        "sqrt",
        "exact",
        "inexact",
        "number->string",
        "string->number",
        "x",
        "y",
        "k",
        "0",
        "1",
        "-1",
        "2.5",
        "1/2",
        "1e308",
        "+inf.0",
        "+nan.0",
        "100000",
        '"s"',
        "#\\a",
        "#t",
        "#f",
        "#;",
        ";",
        "|",
        '"a\\n',
        "99999999999999999999999",
        "let-syntax",
        "case-lambda",
        "make-string",
        "iota",
        "length",
        "list-tail",
        "sort",
        "fold",
        "reduce",
        "string-ref",
        "substring",
        "exact-integer-sqrt",
        "u8vector",
        "vector-map",
        "with-exception-handler",
        "raise-continuable",
        "make-parameter",
        "equal?",
        "write",
        "display",
        "string->symbol",
        "list->string",
        "atan",
        "log",
        "exp",
        "max",
        "floor",
        "round",
        "rationalize",
        "numerator",
        "arithmetic-shift",
        "f32vector",
        "c32vector",
        "uvector-ref",
        "string-copy!",
        "vector-fill!",
        "delay-force",
        "make-promise",
    ]
)


def evaluates_or_complains(text: str) -> None:
    with contextlib.suppress(SchemeError):
        SMALL.print(SMALL.evaluate(text))
    SMALL.take_output()
    SMALL.forget()


@settings(max_examples=300, deadline=3000)
@given(st.text(st.one_of(st.sampled_from("()'`,@#\\\"|;. \n"), st.characters())))
def test_any_text(text: str) -> None:
    evaluates_or_complains(text)


@settings(max_examples=400, deadline=3000)
@given(st.lists(WORDS, max_size=40))
def test_any_words(words: list[str]) -> None:
    evaluates_or_complains(" ".join(words))


EXPRESSIONS = st.recursive(
    WORDS.filter(
        lambda word: word not in ["(", ")", "#;", ";", "|", "'", "`", ",", ",@", "#(", "#u8(", "."]
    ),
    lambda inner: st.lists(inner, max_size=5).map(lambda items: f"({' '.join(items)})"),
    max_leaves=30,
)


@settings(max_examples=600, deadline=3000)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3))
def test_any_expressions(expressions: list[str]) -> None:
    evaluates_or_complains("\n".join(expressions))
