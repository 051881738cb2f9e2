"""The procedures of one record type, made when it is defined."""

from collections.abc import Callable
from typing import Any

from racs_server.scheme.meter import OBJECT_BYTES, SLOT_BYTES, Meter
from racs_server.scheme.primitives.table import wrong
from racs_server.scheme.values import UNSPECIFIED, Primitive, Record, RecordType, Symbol, Value


def record_procedures(
    record: RecordType,
    maker: str,
    chosen: list[Symbol],
    predicate: str,
    fields: list[list[str]],
    meter: Meter,
) -> list[Value]:
    """Return the maker, the predicate, and each field's accessor and modifier, in this order.

    Parameters
    ----------
    record
        The type.
    maker, chosen
        What makes one, and the fields that it is given.
    predicate
        What tells whether a value is one.
    fields
        Each field's own name and those of its procedures.
    meter
        Counts the records.
    """
    words = f"({' '.join(name.name for name in chosen)})"
    make = _maker(record, [record.fields.index(name) for name in chosen], meter)
    procedures = [
        Primitive(maker, make, len(chosen), len(chosen), words),
        Primitive(predicate, lambda value: _is(record, value), 1, 1, "(value)"),
    ]
    for position, names in enumerate(fields):
        makers: list[tuple[Callable[..., Any], str]] = [
            (_accessor(record, position), "(record)"),
            (_modifier(record, position), "(record value)"),
        ]
        for name, (function, parameters) in zip(names[1:], makers, strict=False):
            arity = len(parameters.split())
            procedures.append(Primitive(name, function, arity, arity, parameters))
    return procedures


def _is(record: RecordType, value: Value) -> bool:
    return isinstance(value, Record) and value.type is record


def _maker(record: RecordType, positions: list[int], meter: Meter) -> Callable[..., Value]:
    count = len(record.fields)
    size = OBJECT_BYTES * 2 + SLOT_BYTES * count

    def make(*values: Value) -> Record:
        meter.charge(size)
        slots: list[Value] = [UNSPECIFIED] * count
        for position, value in zip(positions, values, strict=True):
            slots[position] = value
        return Record(record, slots)

    return make


def _accessor(record: RecordType, position: int) -> Callable[..., Value]:
    def access(value: Value) -> Value:
        if value.__class__ is not Record or value.type is not record:
            raise wrong(f"a record of type {record.name}", value)
        return value.slots[position]

    return access


def _modifier(record: RecordType, position: int) -> Callable[..., Value]:
    def modify(value: Value, new: Value) -> Value:
        if value.__class__ is not Record or value.type is not record:
            raise wrong(f"a record of type {record.name}", value)
        value.slots[position] = new
        return UNSPECIFIED

    return modify
