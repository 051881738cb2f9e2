"""Characters: comparisons, classes and cases."""

import operator
import unicodedata
from collections.abc import Callable
from itertools import pairwise

from racs_server.scheme.primitives.table import count, procedure, wrong
from racs_server.scheme.values import Char, Value


def letter(value: Value) -> str:
    """Return the character, which it must be."""
    if value.__class__ is not Char:
        raise wrong("a character", value)
    return str(value.text)


@procedure("char?")
def _is_char(value: Value) -> bool:
    return value.__class__ is Char


def compare_all(name: str, holds: Callable[[str, str], bool], key: Callable[[Value], str]) -> None:
    """Enter a procedure that compares each argument with the next."""

    def compare(first: Value, *others: Value) -> bool:
        keys = [key(item) for item in (first, *others)]
        return all(holds(a, b) for a, b in pairwise(keys))

    procedure(name)(compare)


COMPARISONS = (
    ("=?", operator.eq),
    ("<?", operator.lt),
    (">?", operator.gt),
    ("<=?", operator.le),
    (">=?", operator.ge),
)

for _sign, _holds in COMPARISONS:
    compare_all(f"char{_sign}", _holds, letter)
    compare_all(f"char-ci{_sign}", _holds, lambda value: letter(value).casefold())


@procedure("char->integer")
def _char_to_integer(char: Value) -> int:
    return ord(letter(char))


@procedure("integer->char")
def _integer_to_char(n: Value) -> Char:
    if count(n, "a code") > 0x10FFFF or 0xD800 <= n <= 0xDFFF:
        raise wrong("the code of a character", n)
    return Char(chr(n))


@procedure("char-alphabetic?")
def _is_alphabetic(char: Value) -> bool:
    return letter(char).isalpha()


@procedure("char-numeric?")
def _is_numeric(char: Value) -> bool:
    return unicodedata.category(letter(char)) == "Nd"


@procedure("char-whitespace?")
def _is_whitespace(char: Value) -> bool:
    return letter(char).isspace()


@procedure("char-upper-case?")
def _is_upper(char: Value) -> bool:
    return letter(char).isupper()


@procedure("char-lower-case?")
def _is_lower(char: Value) -> bool:
    return letter(char).islower()


@procedure("digit-value")
def _digit_value(char: Value) -> Value:
    return unicodedata.digit(letter(char)) if _is_numeric(char) else False


def _same_length(char: Value, converted: str) -> Char:
    return Char(converted) if len(converted) == 1 else char


@procedure("char-upcase")
def _upcase(char: Value) -> Char:
    return _same_length(char, letter(char).upper())


@procedure("char-downcase")
def _downcase(char: Value) -> Char:
    return _same_length(char, letter(char).lower())


@procedure("char-foldcase")
def _foldcase(char: Value) -> Char:
    return _same_length(char, letter(char).casefold())
