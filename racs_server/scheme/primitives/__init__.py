"""The procedures that every program has: one table, filled by the modules here."""

from racs_server.scheme.primitives import (
    characters,
    complexes,
    control,
    equality,
    integers,
    kinds,
    lists,
    numbers,
    ports,
    reals,
    rounding,
    strings,
    vectors,
)
from racs_server.scheme.primitives.table import TABLE, Entry, procedure

__all__ = [
    "TABLE",
    "Entry",
    "characters",
    "complexes",
    "control",
    "equality",
    "integers",
    "kinds",
    "lists",
    "numbers",
    "ports",
    "procedure",
    "reals",
    "rounding",
    "strings",
    "vectors",
]
