"""The procedures that every program has: one table, filled by the modules here."""

from racs_server.scheme.primitives import (
    characters,
    control,
    equality,
    integers,
    lists,
    numbers,
    ports,
    reals,
    strings,
    vectors,
)
from racs_server.scheme.primitives.table import TABLE, Entry, procedure

__all__ = [
    "TABLE",
    "Entry",
    "characters",
    "control",
    "equality",
    "integers",
    "lists",
    "numbers",
    "ports",
    "procedure",
    "reals",
    "strings",
    "vectors",
]
