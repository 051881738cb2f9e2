"""Integers: division in all its kinds, divisors, roots and bits."""

import math
from collections.abc import Callable
from typing import Any

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.numbers import bits, made, multiply
from racs_server.scheme.primitives.table import count, procedure, wrong
from racs_server.scheme.values import Value, Values, to_float

_SMALL = 1 << 62


def integer(value: Value) -> Any:
    """Return an integer, exact or not, which it must be."""
    if value.__class__ is int or (value.__class__ is float and value.is_integer()):
        return value
    raise wrong("an integer", value)


def exact_integer(value: Value) -> int:
    """Return an exact integer, which it must be."""
    if value.__class__ is not int:
        raise wrong("an exact integer", value)
    return int(value)


def _divide(meter: Meter, n: Value, d: Value, divide: Callable[[int, int], Any]) -> Any:
    """Divide integers, exact or not; ``divide`` works on exact ones."""
    if n.__class__ is int and d.__class__ is int and d and -_SMALL < n < _SMALL:
        return divide(n, d)
    inexact = float in (integer(n).__class__, integer(d).__class__)
    if d == 0:
        raise EvaluationError("division by zero")
    meter.spend(bits(n) * bits(d) >> 22)
    results = [made(meter, item) for item in divide(int(n), int(d))]
    return [to_float(item) for item in results] if inexact else results


def _floor(n: int, d: int) -> tuple[int, int]:
    return divmod(n, d)


def _truncate(n: int, d: int) -> tuple[int, int]:
    quotient, rest = divmod(abs(n), abs(d))
    return (quotient if (n < 0) == (d < 0) else -quotient), (-rest if n < 0 else rest)


@procedure("quotient", "truncate-quotient")
def _quotient(meter: Meter, n: Value, d: Value) -> Value:
    return _divide(meter, n, d, _truncate)[0]


@procedure("remainder", "truncate-remainder")
def _remainder(meter: Meter, n: Value, d: Value) -> Value:
    return _divide(meter, n, d, _truncate)[1]


@procedure("modulo", "floor-remainder")
def _modulo(meter: Meter, n: Value, d: Value) -> Value:
    return _divide(meter, n, d, _floor)[1]


@procedure("floor-quotient")
def _floor_quotient(meter: Meter, n: Value, d: Value) -> Value:
    return _divide(meter, n, d, _floor)[0]


@procedure("floor/")
def _floor_both(meter: Meter, n: Value, d: Value) -> Values:
    return Values(tuple(_divide(meter, n, d, _floor)))


@procedure("truncate/")
def _truncate_both(meter: Meter, n: Value, d: Value) -> Values:
    return Values(tuple(_divide(meter, n, d, _truncate)))


@procedure("even?")
def _is_even(n: Value) -> bool:
    return bool(integer(n) % 2 == 0)


@procedure("odd?")
def _is_odd(n: Value) -> bool:
    return bool(integer(n) % 2 == 1)


@procedure("gcd")
def _gcd(meter: Meter, *integers: Value) -> Value:
    return _combine(meter, math.gcd, integers)


@procedure("lcm")
def _lcm(meter: Meter, *integers: Value) -> Value:
    return _combine(meter, math.lcm, integers)


def _combine(meter: Meter, function: Callable[..., int], integers: tuple[Value, ...]) -> Value:
    result = function()
    for item in integers:
        meter.spend((bits(item) + 64) * (bits(result) + 64) >> 18)
        result = made(meter, function(result, int(integer(item))))
    return to_float(result) if any(item.__class__ is float for item in integers) else result


@procedure("square")
def _square(meter: Meter, z: Value) -> Value:
    return multiply(meter, z, z)


@procedure("exact-integer-sqrt")
def _exact_integer_sqrt(meter: Meter, k: Value) -> Values:
    meter.spend(bits(k) ** 2 >> 20)
    root = math.isqrt(count(k, "a number"))
    return Values((root, k - root * root))


@procedure("bitwise-and", "logand")
def _and(*integers: Value) -> int:
    result = -1
    for item in integers:
        result &= exact_integer(item)
    return result


@procedure("bitwise-or", "bitwise-ior", "logior")
def _or(*integers: Value) -> int:
    result = 0
    for item in integers:
        result |= exact_integer(item)
    return result


@procedure("bitwise-xor", "logxor")
def _xor(*integers: Value) -> int:
    result = 0
    for item in integers:
        result ^= exact_integer(item)
    return result


@procedure("bitwise-not", "lognot")
def _not(n: Value) -> int:
    return ~exact_integer(n)


@procedure("arithmetic-shift", "ash")
def _shift(meter: Meter, n: Value, shift: Value) -> Value:
    if exact_integer(shift) < 0:
        return exact_integer(n) >> min(-shift, meter.integer_bits + 1)
    if exact_integer(n) == 0:
        return 0
    meter.check_bits(bits(n) + shift)
    return made(meter, n << shift)


@procedure("bit-count")
def _bit_count(n: Value) -> int:
    return int((n if exact_integer(n) >= 0 else ~n).bit_count())


@procedure("integer-length")
def _integer_length(n: Value) -> int:
    return int((n if exact_integer(n) >= 0 else ~n).bit_length())


@procedure("exact-nonnegative-integer?")
def _is_natural(value: Value) -> bool:
    return value.__class__ is int and value >= 0
