"""The command language: text in, a tree of exact values out, or an error that points into the text.

It knows the grammar and nothing else: which commands there are, and what arguments they take, is
for `racs_server.commands`.
"""

from racs_server.lang.ast import Command, Integer, Literal, Pipeline, Real, Span, String, Time
from racs_server.lang.excerpt import error_at, quoted
from racs_server.lang.literals import write_string
from racs_server.lang.parser import parse, parse_time

__all__ = [
    "Command",
    "Integer",
    "Literal",
    "Pipeline",
    "Real",
    "Span",
    "String",
    "Time",
    "error_at",
    "parse",
    "parse_time",
    "quoted",
    "write_string",
]
