"""Powers, roots, logarithms and angles: exact where the result is, else the nearest real."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.literals import simplest, to_float
from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.numbers import bits, made, number
from racs_server.scheme.primitives.table import procedure, wrong
from racs_server.scheme.values import Value


def _real_function(name: str, function: Callable[[float], float]) -> None:
    def compute(z: Value) -> Value:
        if number(z).__class__ is int and z == 0 and name in ("sin", "tan", "asin", "atan"):
            return 0
        try:
            return function(to_float(z))
        except ValueError:
            raise wrong(f"a number that {name} has a real value for", z) from None
        except OverflowError:
            return math.inf

    procedure(name)(compute)


for _name, _function in (
    ("sin", math.sin),
    ("cos", math.cos),
    ("tan", math.tan),
    ("asin", math.asin),
    ("acos", math.acos),
):
    _real_function(_name, _function)


@procedure("exp")
def _exp(z: Value) -> Value:
    if number(z).__class__ is int and z == 0:
        return 1
    try:
        return math.exp(to_float(z))
    except OverflowError:
        return math.inf


@procedure("log")
def _log(z: Value, base: Value = None) -> Value:
    if base is not None:
        divisor = _log(base)
        if divisor == 0:
            raise wrong("a base other than 1", base)
        return _log(z) / divisor
    if number(z).__class__ is int and z == 1:
        return 0
    if z == 0:
        return -math.inf
    if z < 0:
        raise wrong("a number that is not negative", z)
    return math.log(z) if z.__class__ is not Fraction else _log_ratio(z)


def _log_ratio(z: Fraction) -> float:
    return math.log(z.numerator) - math.log(z.denominator)


@procedure("atan")
def _atan(y: Value, x: Value = None) -> Value:
    if x is None:
        return 0 if number(y).__class__ is int and y == 0 else math.atan(to_float(y))
    if number(y).__class__ is int and y == 0 and number(x).__class__ is not float and x > 0:
        return 0
    return math.atan2(to_float(y), to_float(number(x)))


@procedure("sqrt")
def _sqrt(meter: Meter, z: Value) -> Value:
    if number(z) < 0:
        raise wrong("a number that is not negative", z)
    if z.__class__ is float:
        return math.sqrt(z)
    meter.spend(bits(z) ** 2 >> 22)
    root = Fraction(math.isqrt(z.numerator), math.isqrt(z.denominator))
    return simplest(root) if root * root == z else _inexact_root(z)


def _inexact_root(z: Any) -> float:
    value = to_float(z)
    return math.sqrt(value) if math.isfinite(value) else to_float(math.isqrt(int(z)))


@procedure("expt")
def expt(meter: Meter, base: Value, exponent: Value) -> Value:
    """Return a power, exactly where it is exact."""
    if number(exponent).__class__ is not int:
        return _real_power(number(base), exponent)
    if number(base).__class__ is float:
        return _float_power(base, to_float(exponent))
    if base in (0, 1, -1):
        if base == 0 and exponent < 0:
            raise EvaluationError("division by zero")
        return _unit_power(base, exponent)
    # What is raised has at least one bit more than this for each factor.
    size = (max(abs(base.numerator), base.denominator).bit_length() - 1) * abs(exponent)
    meter.check_bits(size)
    meter.charge(size >> 2)
    meter.spend(size * size >> 22)
    return made(meter, simplest(Fraction(base) ** exponent))


def _unit_power(base: int, exponent: int) -> int:
    if exponent == 0 or base == 1:
        return 1
    return 0 if base == 0 else 1 if exponent % 2 == 0 else -1


def _real_power(base: Any, exponent: Any) -> Value:
    if exponent.__class__ is Fraction and exponent.denominator == 2 and base.__class__ is int:
        root = math.isqrt(max(base, 0))
        if root * root == base and bits(base) * abs(exponent.numerator) < 4096:
            return simplest(Fraction(root) ** exponent.numerator) if base else 0
    return _float_power(to_float(base), to_float(exponent))


def _float_power(base: float, exponent: float) -> Value:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        if base == 0:
            return math.inf
        raise wrong("a base that is not negative for a fractional exponent", base) from None
