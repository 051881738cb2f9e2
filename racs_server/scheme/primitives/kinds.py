"""What kind of number it is: exact or not, an integer, infinite, positive and so on."""

import math
from fractions import Fraction

from racs_server.scheme.primitives.numbers import REALS, number, real
from racs_server.scheme.primitives.table import procedure
from racs_server.scheme.values import Complex, Value


@procedure("number?", "complex?")
def _is_number(value: Value) -> bool:
    return value.__class__ in REALS or value.__class__ is Complex


@procedure("real?")
def _is_real(value: Value) -> bool:
    return value.__class__ in REALS


@procedure("rational?")
def _is_rational(value: Value) -> bool:
    return value.__class__ in REALS and (value.__class__ is not float or math.isfinite(value))


@procedure("integer?")
def _is_integer(value: Value) -> bool:
    return value.__class__ is int or (value.__class__ is float and value.is_integer())


@procedure("exact?")
def _is_exact(z: Value) -> bool:
    return number(z).real.__class__ is not float


@procedure("inexact?")
def _is_inexact(z: Value) -> bool:
    return number(z).real.__class__ is float


@procedure("exact-integer?")
def _is_exact_integer(value: Value) -> bool:
    return value.__class__ is int


@procedure("exact-rational?")
def _is_exact_rational(value: Value) -> bool:
    return value.__class__ in (int, Fraction)


@procedure("nan?")
def _is_nan(z: Value) -> bool:
    return bool(number(z).real != z.real or z.imag != z.imag)


def _is_infinity(part: Value) -> bool:
    return part.__class__ is float and math.isinf(part)


@procedure("infinite?")
def _is_infinite(z: Value) -> bool:
    return _is_infinity(number(z).real) or _is_infinity(z.imag)


@procedure("finite?")
def _is_finite(z: Value) -> bool:
    return not (_is_infinite(z) or _is_nan(z))


@procedure("zero?")
def _is_zero(z: Value) -> bool:
    return bool(number(z).real == 0 and z.imag == 0)


@procedure("positive?")
def _is_positive(x: Value) -> bool:
    return bool(real(x) > 0)


@procedure("negative?")
def _is_negative(x: Value) -> bool:
    return bool(real(x) < 0)
