"""Powers, roots, logarithms and angles: powers and roots are exact where their result is."""

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.literals import simplest
from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.complexes import from_complex, to_complex
from racs_server.scheme.primitives.numbers import bits, divide, made, multiply, number, real
from racs_server.scheme.primitives.table import procedure, wrong
from racs_server.scheme.values import Complex, Value, rectangular, to_float


def _function(
    name: str, of_real: Callable[[float], float], of_complex: Callable[[complex], complex]
) -> None:
    def compute(z: Value) -> Value:
        try:
            if number(z).__class__ is Complex:
                return from_complex(of_complex(to_complex(z)))
            return of_real(to_float(z))
        except OverflowError:
            return math.inf
        except ValueError:
            return _beyond_the_reals(name, of_complex, z)

    procedure(name)(compute)


def _beyond_the_reals(name: str, function: Callable[[complex], complex], z: Value) -> Value:
    """Return a function's value at a number, a real one lying on the side of the cut R7RS says."""
    try:
        beside = to_complex(z)
        if z.__class__ is not Complex and z > 1:
            beside = complex(beside.real, -0.0)
        return from_complex(function(beside))
    except ValueError:
        raise wrong(f"a number that {name} has a value for", z) from None


for _name in ("exp", "sin", "cos", "tan", "asin", "acos"):
    _function(_name, getattr(math, _name), getattr(cmath, _name))


@procedure("log")
def _log(meter: Meter, z: Value, base: Value = None) -> Value:
    if base is not None:
        divisor = _log(meter, base)
        if divisor == 0:
            raise wrong("a base other than 1", base)
        return divide(meter, _log(meter, z), divisor)
    if number(z).__class__ is Complex:
        return from_complex(cmath.log(to_complex(z))) if to_complex(z) else -math.inf
    if z == 0:
        return -math.inf
    if z < 0:
        return Complex(_log(meter, -z), math.pi)
    return math.log(z) if z.__class__ is not Fraction else _log_ratio(z)


def _log_ratio(z: Fraction) -> float:
    return math.log(z.numerator) - math.log(z.denominator)


@procedure("atan")
def _atan(y: Value, x: Value = None) -> Value:
    if x is not None:
        return math.atan2(to_float(real(y)), to_float(real(x)))
    if number(y).__class__ is Complex:
        return _beyond_the_reals("atan", cmath.atan, y)
    return math.atan(to_float(y))


@procedure("sqrt")
def _sqrt(meter: Meter, z: Value) -> Value:
    if number(z).__class__ is Complex:
        return from_complex(cmath.sqrt(to_complex(z)))
    if z < 0:
        return rectangular(0, _sqrt(meter, -z))
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
    if Complex in (number(base).__class__, number(exponent).__class__):
        return _complex_power(meter, base, exponent)
    if exponent.__class__ is not int:
        return _real_power(base, exponent)
    if base.__class__ is float:
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
        return _power_off_the_line(base, exponent)


def _power_off_the_line(base: complex, exponent: complex) -> Value:
    try:
        return from_complex(complex(base) ** exponent)
    except (OverflowError, ZeroDivisionError):
        return Complex(math.nan, math.nan)


def _complex_power(meter: Meter, base: Value, exponent: Value) -> Value:
    if exponent.__class__ is not int:
        return _power_off_the_line(to_complex(base), to_complex(exponent))
    if exponent < 0:
        return divide(meter, 1, _complex_power(meter, base, -exponent))
    power: Value = 1
    while exponent:
        meter.spend(10)
        if exponent & 1:
            power = multiply(meter, power, base)
        exponent >>= 1
        base = multiply(meter, base, base) if exponent else base
    return power
