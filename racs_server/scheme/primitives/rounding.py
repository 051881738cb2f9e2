"""From numbers to others near them: rounding, exactness, the largest, the parts of a ratio."""

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from racs_server.scheme.literals import simplest
from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.numbers import made, number, real
from racs_server.scheme.primitives.table import procedure, wrong
from racs_server.scheme.values import Complex, Value, rectangular, to_float


@procedure("max")
def _max(first: Value, *others: Value) -> Value:
    return _extreme(operator.gt, first, others)


@procedure("min")
def _min(first: Value, *others: Value) -> Value:
    return _extreme(operator.lt, first, others)


def _extreme(better: Callable[[Any, Any], bool], first: Value, others: tuple[Value, ...]) -> Value:
    best = real(first)
    inexact = best.__class__ is float
    for item in others:
        inexact = real(item).__class__ is float or inexact
        if better(item, best) or item != item:
            best = item
    return to_float(best) if inexact else best


def _rounding(name: str, exact: Callable[[Any], int]) -> None:
    def convert(x: Value) -> Value:
        if real(x).__class__ is int:
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
    if number(z).__class__ is Complex:
        return rectangular(exact(meter, z.real), exact(meter, z.imag))
    if z.__class__ is not float:
        return z
    if not math.isfinite(z):
        raise wrong("a finite number", z)
    return made(meter, simplest(Fraction(z)))


@procedure("inexact", "exact->inexact")
def _inexact(z: Value) -> Value:
    if number(z).__class__ is Complex:
        return Complex(to_float(z.real), to_float(z.imag))
    return to_float(z)


@procedure("numerator")
def _numerator(q: Value) -> Value:
    if real(q).__class__ is float:
        return to_float(_ratio(q).numerator)
    return q.numerator


@procedure("denominator")
def _denominator(q: Value) -> Value:
    if real(q).__class__ is float:
        return to_float(_ratio(q).denominator)
    return q.denominator


def _ratio(q: Any) -> Fraction:
    if not math.isfinite(q):
        raise wrong("a rational number", q)
    return Fraction(q)


@procedure("rationalize")
def _rationalize(x: Value, y: Value) -> Value:
    inexact = float in (real(x).__class__, real(y).__class__)
    near, within = to_float(x), to_float(y)
    if inexact and not (math.isfinite(near) and math.isfinite(within)):
        if math.isnan(near) or math.isnan(within) or (math.isinf(near) and math.isinf(within)):
            return math.nan
        return near if math.isinf(near) else 0.0
    low, high = sorted((Fraction(x) - Fraction(y), Fraction(x) + Fraction(y)))
    best = simplest(_simplest_between(low, high))
    return to_float(best) if inexact else best


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
