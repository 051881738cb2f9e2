"""Numbers: arithmetic, comparisons, and their text.

Invariants
----------
- An operation whose result could be large is refused before it is carried out.
- Exact stays exact: only what has no exact value becomes a float.
"""

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.literals import LiteralError, number_text, parse_number, simplest
from racs_server.scheme.meter import OBJECT_BYTES, Meter
from racs_server.scheme.primitives.table import procedure, text, wrong
from racs_server.scheme.values import Complex, String, Value, rectangular, to_float

REALS: Final = frozenset((int, float, Fraction))
_NUMBERS = REALS | {Complex}
_SMALL = 1 << 62


def number(value: Value) -> Any:
    """Return a number, which it must be."""
    if value.__class__ not in _NUMBERS:
        raise wrong("a number", value)
    return value


def real(value: Value) -> Any:
    """Return a real number, which it must be."""
    if value.__class__ not in REALS:
        raise wrong("a real number" if value.__class__ is Complex else "a number", value)
    return value


def bits(value: Value) -> int:
    """Return how many bits an exact number has."""
    if value.__class__ is Fraction:
        return int(value.numerator.bit_length() + value.denominator.bit_length())
    if value.__class__ is Complex:
        return bits(value.real) + bits(value.imag)
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
    if a.__class__ is Complex or b.__class__ is Complex:
        return _COMPLEX[function](meter, a, b)
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
def multiply(meter: Meter, *numbers: Value) -> Value:
    """Return the product of numbers."""
    product: Value = 1
    for item in numbers:
        product = operate(meter, operator.mul, product, item)
    return product


@procedure("-")
def _subtract(meter: Meter, first: Value, *others: Value) -> Value:
    if not others:
        return operate(meter, operator.sub, 0, first) if first != 0 else -real(first)
    for item in others:
        first = operate(meter, operator.sub, first, item)
    return first


@procedure("/")
def divide(meter: Meter, first: Value, *others: Value) -> Value:
    """Return a number divided by others, or its inverse."""
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


# -- the same for numbers that are not real; a real one is its own real part


def _sum(meter: Meter, a: Any, b: Any) -> Value:
    return rectangular(
        operate(meter, operator.add, a.real, b.real), operate(meter, operator.add, a.imag, b.imag)
    )


def _difference(meter: Meter, a: Any, b: Any) -> Value:
    return rectangular(
        operate(meter, operator.sub, a.real, b.real), operate(meter, operator.sub, a.imag, b.imag)
    )


def _product(meter: Meter, a: Any, b: Any) -> Value:
    def times(x: Value, y: Value) -> Value:
        return operate(meter, operator.mul, x, y)

    return rectangular(
        operate(meter, operator.sub, times(a.real, b.real), times(a.imag, b.imag)),
        operate(meter, operator.add, times(a.real, b.imag), times(a.imag, b.real)),
    )


def _ratio(meter: Meter, a: Any, b: Any) -> Value:
    size = operate(meter, operator.add, _square(meter, b.real), _square(meter, b.imag))
    above = _product(meter, a, rectangular(b.real, operate(meter, operator.sub, 0, b.imag)))
    return rectangular(
        operate(meter, _quotient, above.real, size), operate(meter, _quotient, above.imag, size)
    )


def _square(meter: Meter, x: Value) -> Value:
    return operate(meter, operator.mul, x, x)


_COMPLEX = {
    operator.add: _sum,
    operator.sub: _difference,
    operator.mul: _product,
    _quotient: _ratio,
}


# -- comparisons


@procedure("=")
def _equal(first: Value, *others: Value) -> bool:
    number(first)
    result = True
    for item in others:
        result = number(item).real == first.real and item.imag == first.imag and result
    return result


def _compare(name: str, holds: Callable[[Any, Any], bool]) -> None:
    def compare(first: Value, *others: Value) -> bool:
        real(first)
        result = True
        for item in others:
            result = bool(holds(first, real(item))) and result
            first = item
        return result

    procedure(name)(compare)


for _name, _holds in (
    ("<", operator.lt),
    (">", operator.gt),
    ("<=", operator.le),
    (">=", operator.ge),
):
    _compare(_name, _holds)


@procedure("abs")
def _abs(meter: Meter, x: Value) -> Value:
    return made(meter, abs(real(x)))


@procedure("1+", "add1")
def _increment(meter: Meter, z: Value) -> Value:
    return operate(meter, operator.add, z, 1)


@procedure("-1+", "sub1")
def _decrement(meter: Meter, z: Value) -> Value:
    return operate(meter, operator.sub, z, 1)


# -- numbers as text


@procedure("number->string")
def _number_to_string(meter: Meter, z: Value, radix: Value = 10) -> String:
    if radix == 10 and z.__class__ is int and -_SMALL < z < _SMALL:
        meter.charge(2 * OBJECT_BYTES)
        return String(str(z))
    number(z)
    _check_radix(radix)
    if radix != 10 and z.real.__class__ is float:
        raise wrong("an exact number, for a radix other than 10", z)
    size = bits(z)
    meter.charge(size + 64)
    meter.spend(size * size >> 20)
    return String(number_text(z, radix))


def _check_radix(radix: Value) -> None:
    if radix.__class__ is not int or not 2 <= radix <= 36:
        raise wrong("a radix from 2 to 36", radix)


@procedure("string->number")
def _string_to_number(meter: Meter, string: Value, radix: Value = 10) -> Value:
    word = text(string)
    _check_radix(radix)
    meter.check_bits(len(word) * 10 // 3 if len(word) > 400 else 0)
    meter.spend(len(word) ** 2 >> 18)
    try:
        value = parse_number(word, radix, meter.integer_bits)
    except LiteralError:
        return False
    return False if value is None else value
