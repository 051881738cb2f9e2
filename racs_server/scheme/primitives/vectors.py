"""Vectors, bytevectors and the other uniform vectors."""

import numpy as np

from racs_server.scheme.builder import uniform_array
from racs_server.scheme.literals import LiteralError
from racs_server.scheme.meter import OBJECT_BYTES, PAIR_BYTES, SLOT_BYTES, Meter
from racs_server.scheme.primitives.lists import elements
from racs_server.scheme.primitives.strings import made
from racs_server.scheme.primitives.table import count, index, procedure, span, text, wrong
from racs_server.scheme.values import (
    UNIFORM_TYPES,
    UNSPECIFIED,
    Char,
    String,
    Uniform,
    Value,
    Vector,
    from_list,
)


def vector(value: Value) -> Vector:
    """Return a vector, which it must be."""
    if not isinstance(value, Vector):
        raise wrong("a vector", value)
    return value


def _new(meter: Meter, length: int) -> None:
    meter.charge(OBJECT_BYTES + SLOT_BYTES * length)
    meter.spend(length >> 9)


@procedure("vector?")
def _is_vector(value: Value) -> bool:
    return isinstance(value, Vector)


@procedure("make-vector")
def _make_vector(meter: Meter, k: Value, fill: Value = UNSPECIFIED) -> Vector:
    _new(meter, count(k))
    return Vector([fill]) * k if k == 1 else Vector([fill] * k)


@procedure("vector")
def _vector(meter: Meter, *items: Value) -> Vector:
    _new(meter, len(items))
    return Vector(items)


@procedure("vector-length")
def _vector_length(items: Value) -> int:
    return len(vector(items))


@procedure("vector-ref")
def _vector_ref(items: Value, k: Value) -> Value:
    if items.__class__ is Vector and k.__class__ is int and 0 <= k < len(items):
        return items[k]
    return vector(items)[index(k, len(items))]


@procedure("vector-set!")
def _vector_set(items: Value, k: Value, value: Value) -> Value:
    if items.__class__ is Vector and k.__class__ is int and 0 <= k < len(items):
        items[k] = value
    else:
        vector(items)[index(k, len(items))] = value
    return UNSPECIFIED


@procedure("vector->list")
def _vector_to_list(meter: Meter, items: Value, start: Value = None, end: Value = None) -> Value:
    first, last = span(len(vector(items)), start, end)
    meter.charge(PAIR_BYTES * (last - first))
    meter.spend(last - first >> 3)
    return from_list(items[first:last])


@procedure("list->vector")
def _list_to_vector(meter: Meter, items: Value) -> Vector:
    return Vector(elements(meter, items))


@procedure("vector-fill!")
def _vector_fill(
    meter: Meter, items: Value, fill: Value, start: Value = None, end: Value = None
) -> Value:
    first, last = span(len(vector(items)), start, end)
    meter.spend(last - first >> 6)
    items[first:last] = [fill] * (last - first)
    return UNSPECIFIED


@procedure("vector-copy", "subvector")
def _vector_copy(meter: Meter, items: Value, start: Value = None, end: Value = None) -> Vector:
    first, last = span(len(vector(items)), start, end)
    _new(meter, last - first)
    return Vector(items[first:last])


@procedure("vector-copy!")
def _vector_copy_into(
    meter: Meter, to: Value, at: Value, items: Value, start: Value = None, end: Value = None
) -> Value:
    first, last = span(len(vector(items)), start, end)
    place = index(at, len(vector(to)) + 1)
    if len(to) - place < last - first:
        raise wrong(f"room for {last - first} elements", to)
    meter.spend(last - first >> 6)
    to[place : place + last - first] = items[first:last]
    return UNSPECIFIED


@procedure("vector-append")
def _vector_append(meter: Meter, *vectors: Value) -> Vector:
    _new(meter, sum(len(vector(items)) for items in vectors))
    return Vector(item for items in vectors for item in items)


@procedure("vector->string")
def _vector_to_string(meter: Meter, items: Value, start: Value = None, end: Value = None) -> String:
    first, last = span(len(vector(items)), start, end)
    for item in items[first:last]:
        if item.__class__ is not Char:
            raise wrong("a vector of characters", items)
    return made(meter, "".join(char.text for char in items[first:last]))


@procedure("string->vector")
def _string_to_vector(
    meter: Meter, string: Value, start: Value = None, end: Value = None
) -> Vector:
    first, last = span(len(text(string)), start, end)
    meter.charge((SLOT_BYTES + OBJECT_BYTES) * (last - first))
    return Vector(Char(char) for char in string.text[first:last])


# -- uniform vectors: the same procedures for each type, under its name, and for any type


def _uniform(value: Value, tag: str = "") -> Uniform:
    if not isinstance(value, Uniform) or (tag and value.tag != tag):
        raise wrong(f"a {tag}vector" if tag else "a uniform vector", value)
    return value


def _array(meter: Meter, tag: str, numbers: list[Value]) -> Uniform:
    meter.charge(OBJECT_BYTES + UNIFORM_TYPES[tag].itemsize * len(numbers))
    try:
        return Uniform(tag, uniform_array(tag, numbers))
    except LiteralError as error:
        raise wrong(str(error).removeprefix("an element of "), Vector(numbers)) from None


def _enter(tag: str, name: str) -> None:
    """Enter the procedures of one type, under a name such as ``s16vector``."""
    size = UNIFORM_TYPES[tag].itemsize

    def make(meter: Meter, k: Value, fill: Value = 0) -> Uniform:
        one = _array(meter, tag, [fill]).array
        meter.charge(OBJECT_BYTES + size * count(k))
        return Uniform(tag, np.repeat(one, k))

    procedure(f"make-{name}")(make)
    procedure(name)(lambda meter, *numbers: _array(meter, tag, list(numbers)))
    procedure(f"list->{name}")(lambda meter, numbers: _array(meter, tag, elements(meter, numbers)))
    procedure(f"{name}?")(lambda value: isinstance(value, Uniform) and value.tag == tag)
    _enter_access(tag, name)


def _enter_access(tag: str, name: str) -> None:
    def ref(items: Value, k: Value) -> Value:
        array = _uniform(items, tag).array
        at = index(k, len(array))
        return next(items.numbers(at, at + 1))

    def set_(meter: Meter, items: Value, k: Value, value: Value) -> Value:
        array = _uniform(items, tag).array
        array[index(k, len(array))] = _array(meter, items.tag, [value]).array[0]
        return UNSPECIFIED

    def to_list(meter: Meter, items: Value, start: Value = None, end: Value = None) -> Value:
        array = _uniform(items, tag).array
        first, last = span(len(array), start, end)
        meter.charge(PAIR_BYTES * (last - first))
        meter.spend(last - first >> 3)
        return from_list(list(items.numbers(first, last)))

    def copy(meter: Meter, items: Value, start: Value = None, end: Value = None) -> Uniform:
        array = _uniform(items, tag).array
        first, last = span(len(array), start, end)
        meter.charge(OBJECT_BYTES + array[first:last].nbytes)
        return Uniform(items.tag, array[first:last].copy())

    procedure(f"{name}-length")(lambda items: len(_uniform(items, tag).array))
    procedure(f"{name}-ref", *([f"{name}-u8-ref"] if name == "bytevector" else []))(ref)
    procedure(f"{name}-set!", *([f"{name}-u8-set!"] if name == "bytevector" else []))(set_)
    procedure(f"{name}->list")(to_list)
    procedure(f"{name}-copy")(copy)


_enter("u8", "bytevector")
_enter_access("", "uvector")
for _tag in UNIFORM_TYPES:
    _enter(_tag, f"{_tag}vector")


@procedure("uvector?")
def _is_uniform(value: Value) -> bool:
    return isinstance(value, Uniform)


@procedure("bytevector-append")
def _bytevector_append(meter: Meter, *bytevectors: Value) -> Uniform:
    arrays = [_uniform(item, "u8").array for item in bytevectors]
    meter.charge(OBJECT_BYTES + sum(len(array) for array in arrays))
    return Uniform("u8", np.concatenate([np.zeros(0, np.uint8), *arrays]))


@procedure("bytevector-copy!")
def _bytevector_copy_into(
    to: Value, at: Value, items: Value, start: Value = None, end: Value = None
) -> Value:
    source, target = _uniform(items, "u8").array, _uniform(to, "u8").array
    first, last = span(len(source), start, end)
    place = index(at, len(target) + 1)
    if len(target) - place < last - first:
        raise wrong(f"room for {last - first} bytes", to)
    target[place : place + last - first] = source[first:last].copy()
    return UNSPECIFIED


@procedure("utf8->string")
def _utf8_to_string(meter: Meter, items: Value, start: Value = None, end: Value = None) -> String:
    array = _uniform(items, "u8").array
    first, last = span(len(array), start, end)
    meter.charge(OBJECT_BYTES + 4 * (last - first))
    try:
        return String(array[first:last].tobytes().decode("utf-8"))
    except UnicodeDecodeError:
        raise wrong("bytes that are UTF-8", items) from None


@procedure("string->utf8")
def _string_to_utf8(meter: Meter, string: Value, start: Value = None, end: Value = None) -> Uniform:
    first, last = span(len(text(string)), start, end)
    meter.charge(OBJECT_BYTES + 4 * (last - first))
    encoded = string.text[first:last].encode("utf-8")
    return Uniform("u8", np.frombuffer(encoded, np.uint8).copy())
