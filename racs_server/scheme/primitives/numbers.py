"""Numbers: arithmetic, comparisons, kinds and rounding, and their text.

Invariants
----------
- An operation whose result could be large is refused before it is carried out.
- Exact stays exact: only what has no exact value becomes a float.
"""

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.literals import LiteralError, number_text, parse_number, simplest, to_float
from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.table import procedure, text, wrong
from racs_server.scheme.values import String, Value

_KINDS = frozenset((int, float, Fraction))
_SMALL = 1 << 62


def number(value: Value) -> Any:
    """Return a real number, which it must be."""
    if value.__class__ not in _KINDS:
        raise wrong("a number", value)
    return value


def bits(value: Value) -> int:
    """Return how many bits an exact number has."""
    if value.__class__ is Fraction:
        return int(value.numerator.bit_length() + value.denominator.bit_length())
    return int(value.bit_length()) if value.__class__ is int else 0


def made(meter: Meter, value: Value) -> Value:
    """Return a result after its size was counted."""
    if value.__class__ is int:
        if not -_SMALL < value < _SMALL:
            size = value.bit_length()
            meter.check_bits(size)
            meter.charge(size >> 3)
        return value
    if value.__class__ is Fraction:
        return made(meter, value.numerator) if value.denominator == 1 else _rational(meter, value)
    return value


def _rational(meter: Meter, value: Fraction) -> Fraction:
    made(meter, value.numerator)
    made(meter, value.denominator)
    return value


def operate(meter: Meter, function: Callable[[Any, Any], Any], a: Value, b: Value) -> Value:
    """Return what an operation makes of two numbers."""
    a, b = number(a), number(b)
    if a.__class__ is float or b.__class__ is float:
        return function(to_float(a), to_float(b))
    size = bits(a) + bits(b)
    if size > 2048:
        meter.spend(size * size >> 22)
        if function is operator.mul:
            meter.check_bits(size - 2 if isinstance(a, int) and isinstance(b, int) else 0)
            meter.charge(size >> 3)
    return made(meter, function(a, b))


@procedure("+")
def _add(meter: Meter, *numbers: Value) -> Value:
    total: Value = 0
    for item in numbers:
        total = operate(meter, operator.add, total, item)
    return total


@procedure("*")
def _multiply(meter: Meter, *numbers: Value) -> Value:
    product: Value = 1
    for item in numbers:
        product = operate(meter, operator.mul, product, item)
    return product


@procedure("-")
def _subtract(meter: Meter, first: Value, *others: Value) -> Value:
    if not others:
        return made(meter, -number(first))
    for item in others:
        first = operate(meter, operator.sub, first, item)
    return first


@procedure("/")
def _divide(meter: Meter, first: Value, *others: Value) -> Value:
    if not others:
        return operate(meter, _quotient, 1, first)
    for item in others:
        if item.__class__ is int and item == 0:
            number(first)
            raise EvaluationError("division by zero")
        first = operate(meter, _quotient, first, item)
    return first


def _quotient(a: Any, b: Any) -> Value:
    if b.__class__ is float:
        if b == 0:
            sign = math.copysign(1, b)
            return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * sign
        return a / b
    if b == 0:
        raise EvaluationError("division by zero")
    return simplest(Fraction(a) / b)


def _compare(name: str, holds: Callable[[Any, Any], bool]) -> None:
    def compare(first: Value, *others: Value) -> bool:
        number(first)
        result = True
        for item in others:
            result = bool(holds(first, number(item))) and result
            first = item
        return result

    procedure(name)(compare)


for _name, _holds in (
    ("=", operator.eq),
    ("<", operator.lt),
    (">", operator.gt),
    ("<=", operator.le),
    (">=", operator.ge),
):
    _compare(_name, _holds)


# -- what kind of number it is


@procedure("number?", "complex?", "real?")
def _is_number(value: Value) -> bool:
    return value.__class__ in _KINDS


@procedure("rational?")
def _is_rational(value: Value) -> bool:
    return value.__class__ in _KINDS and (value.__class__ is not float or math.isfinite(value))


@procedure("integer?")
def _is_integer(value: Value) -> bool:
    return value.__class__ is int or (value.__class__ is float and value.is_integer())


@procedure("exact?")
def _is_exact(z: Value) -> bool:
    return number(z).__class__ is not float


@procedure("inexact?")
def _is_inexact(z: Value) -> bool:
    return number(z).__class__ is float


@procedure("exact-integer?")
def _is_exact_integer(value: Value) -> bool:
    return value.__class__ is int


@procedure("exact-rational?")
def _is_exact_rational(value: Value) -> bool:
    return value.__class__ in (int, Fraction)


@procedure("nan?")
def _is_nan(z: Value) -> bool:
    return number(z).__class__ is float and math.isnan(z)


@procedure("infinite?")
def _is_infinite(z: Value) -> bool:
    return number(z).__class__ is float and math.isinf(z)


@procedure("finite?")
def _is_finite(z: Value) -> bool:
    return number(z).__class__ is not float or math.isfinite(z)


@procedure("zero?")
def _is_zero(z: Value) -> bool:
    return bool(number(z) == 0)


@procedure("positive?")
def _is_positive(x: Value) -> bool:
    return bool(number(x) > 0)


@procedure("negative?")
def _is_negative(x: Value) -> bool:
    return bool(number(x) < 0)


@procedure("max")
def _max(first: Value, *others: Value) -> Value:
    return _extreme(operator.gt, first, others)


@procedure("min")
def _min(first: Value, *others: Value) -> Value:
    return _extreme(operator.lt, first, others)


def _extreme(better: Callable[[Any, Any], bool], first: Value, others: tuple[Value, ...]) -> Value:
    best = number(first)
    inexact = best.__class__ is float
    for item in others:
        inexact = inexact or number(item).__class__ is float
        if better(item, best) or item != item:
            best = item
    return to_float(best) if inexact else best


@procedure("abs", "magnitude")
def _abs(meter: Meter, x: Value) -> Value:
    return made(meter, abs(number(x)))


@procedure("1+", "add1")
def _increment(meter: Meter, z: Value) -> Value:
    return operate(meter, operator.add, z, 1)


@procedure("-1+", "sub1")
def _decrement(meter: Meter, z: Value) -> Value:
    return operate(meter, operator.sub, z, 1)


# -- rounding, exactness


def _rounding(name: str, exact: Callable[[Any], int]) -> None:
    def convert(x: Value) -> Value:
        if number(x).__class__ is int:
            return x
        if x.__class__ is Fraction:
            return exact(x)
        return math.copysign(float(exact(x)), x) if math.isfinite(x) else x

    procedure(name)(convert)


for _name, _exact in (
    ("floor", math.floor),
    ("ceiling", math.ceil),
    ("truncate", math.trunc),
    ("round", round),
):
    _rounding(_name, _exact)


@procedure("exact", "inexact->exact")
def exact(meter: Meter, z: Value) -> Value:
    """Return the exact number of the same value."""
    if number(z).__class__ is not float:
        return z
    if not math.isfinite(z):
        raise wrong("a finite number", z)
    return made(meter, simplest(Fraction(z)))


@procedure("inexact", "exact->inexact")
def _inexact(z: Value) -> float:
    return to_float(number(z))


@procedure("numerator")
def _numerator(q: Value) -> Value:
    if number(q).__class__ is float:
        return float(_ratio(q).numerator)
    return q.numerator


@procedure("denominator")
def _denominator(q: Value) -> Value:
    if number(q).__class__ is float:
        return float(_ratio(q).denominator)
    return q.denominator


def _ratio(q: Any) -> Fraction:
    if not math.isfinite(q):
        raise wrong("a rational number", q)
    return Fraction(q)


@procedure("rationalize")
def _rationalize(x: Value, y: Value) -> Value:
    inexact = number(x).__class__ is float or number(y).__class__ is float
    if inexact and not (math.isfinite(x) and math.isfinite(y)):
        if math.isnan(x) or math.isnan(y) or (math.isinf(x) and math.isinf(y)):
            return math.nan
        return x if math.isinf(x) else 0.0
    low, high = sorted((Fraction(x) - Fraction(y), Fraction(x) + Fraction(y)))
    best = simplest(_simplest_between(low, high))
    return float(best) if inexact else best


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -_simplest_between_positive(-high, -low)
    return _simplest_between_positive(low, high)


def _simplest_between_positive(low: Fraction, high: Fraction) -> Fraction:
    """Walk down the continued fractions of both ends while they agree."""
    terms = []
    while True:
        floor = low.numerator // low.denominator
        if floor == low:
            terms.append(floor)
            break
        if floor < high.numerator // high.denominator:
            terms.append(floor + 1)
            break
        terms.append(floor)
        low, high = 1 / (high - floor), 1 / (low - floor)
    result = Fraction(terms.pop())
    while terms:
        result = terms.pop() + 1 / result
    return result


# -- numbers as text


@procedure("number->string")
def _number_to_string(meter: Meter, z: Value, radix: Value = 10) -> String:
    number(z)
    if radix.__class__ is not int or not 2 <= radix <= 36:
        raise wrong("a radix from 2 to 36", radix)
    if radix != 10 and z.__class__ is float:
        raise wrong("an exact number, for a radix other than 10", z)
    size = bits(z)
    meter.charge(size + 64)
    meter.spend(size * size >> 20)
    return String(number_text(z, radix))


@procedure("string->number")
def _string_to_number(meter: Meter, string: Value, radix: Value = 10) -> Value:
    word = text(string)
    if radix not in (2, 8, 10, 16):
        raise wrong("a radix of 2, 8, 10 or 16", radix)
    meter.check_bits(len(word) * 10 // 3 if len(word) > 400 else 0)
    meter.spend(len(word) ** 2 >> 18)
    try:
        value = parse_number(word, radix, meter.integer_bits)
    except LiteralError:
        return False
    return False if value is None else value
