"""Numbers that are not real: their parts, and the way to Python's complex numbers and back."""

import cmath
import math

from racs_server.scheme.literals import polar
from racs_server.scheme.meter import OBJECT_BYTES, Meter
from racs_server.scheme.primitives.numbers import number, real
from racs_server.scheme.primitives.table import procedure
from racs_server.scheme.values import Complex, Value, rectangular, to_float


def to_complex(z: Value) -> complex:
    """Return the nearest number that Python has."""
    return complex(to_float(z.real), to_float(z.imag))


def from_complex(z: complex) -> Complex:
    """Return the same number as Scheme has it."""
    return Complex(z.real, z.imag)


@procedure("make-rectangular")
def _make_rectangular(meter: Meter, real_part: Value, imaginary_part: Value) -> Value:
    meter.charge(OBJECT_BYTES)
    real(real_part)
    return rectangular(real_part, real(imaginary_part))


@procedure("make-polar")
def _make_polar(meter: Meter, magnitude: Value, angle: Value) -> Value:
    meter.charge(OBJECT_BYTES)
    real(magnitude)
    return polar(magnitude, real(angle))


@procedure("real-part")
def _real_part(z: Value) -> Value:
    return number(z).real


@procedure("imag-part")
def _imag_part(z: Value) -> Value:
    return number(z).imag if z.__class__ is Complex else 0


@procedure("magnitude")
def _magnitude(z: Value) -> Value:
    if number(z).__class__ is not Complex:
        return abs(z)
    return math.hypot(to_float(z.real), to_float(z.imag))


@procedure("angle")
def _angle(z: Value) -> Value:
    if number(z).__class__ in (int, float) and z > 0:
        return 0
    return cmath.phase(to_complex(z))
