"""The words of a Scheme text, and numbers as text in either direction.

Invariants
----------
- No number costs more than its bound: digits are counted before they are converted.
- Whatever Python's limit on the digits of an integer is, integers of any size can be written.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from racs_server.scheme.values import Complex, Value, rectangular, to_float

MAX_EXPONENT: Final = 10_000
"""Of an exact decimal such as ``#e1e400``: larger ones are not converted."""

_CHUNK = 4000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_RADIX = {"x": 16, "b": 2, "o": 8, "d": 10}
_PREFIX = re.compile(r"#[xbod](?:#[ei])?|#[ei](?:#[xbod])?", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[esfdl][+-]?\d+)?", re.IGNORECASE | re.ASCII)
_OTHER_MARKS = str.maketrans("sfdl", "eeee")
"""Marks of an exponent in earlier reports, where they stood for a precision."""
_INTEGER = {
    radix: re.compile(f"[+-]?[{_DIGITS[:radix]}]+", re.ASCII | re.IGNORECASE)
    for radix in range(2, 37)
}
_SPECIAL = {"+inf.0": math.inf, "-inf.0": -math.inf, "+nan.0": math.nan, "-nan.0": math.nan}
_ESCAPE = re.compile(r"\\(?:[ \t]*(?:\r\n?|\n)[ \t]*|x([0-9a-fA-F]+);|(.))", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\", "|": "|"}
CHARACTER_NAMES: Final = {
    "alarm": "\a",
    "backspace": "\b",
    "delete": "\x7f",
    "escape": "\x1b",
    "newline": "\n",
    "null": "\0",
    "return": "\r",
    "space": " ",
    "tab": "\t",
}


class LiteralError(ValueError):
    """A word that stands for nothing; the message says why."""


def parse_number(word: str, radix: int = 10, max_bits: int = 1 << 20) -> Value:
    """Return the number that a word stands for, or None if it is none.

    Parameters
    ----------
    word
        Any text.
    radix
        What its digits count, from 2 to 36, where it does not say so itself.
    max_bits
        Of each integer in it.

    Raises
    ------
    LiteralError
        It is a number, but too long, or divided by zero.
    """
    exactness = ""
    marks = _PREFIX.match(word)
    for mark in marks.group().lower()[1::2] if marks else ():
        if mark in _RADIX:
            radix = _RADIX[mark]
        else:
            exactness = mark
    word = word[marks.end() :] if marks else word

    def real(part: str) -> Value:
        number = _real(part, radix, exactness == "e", max_bits)
        return to_float(number) if exactness == "i" and number is not None else number

    number = real(word)
    if number is None and word[-1:] in "iI":
        return _rectangular(word[:-1], radix, real)
    if number is None and "@" in word:
        parts = [real(part) for part in word.split("@", 1)]
        return None if None in parts else polar(*parts)
    return number


def _rectangular(word: str, radix: int, real: Callable[[str], Value]) -> Value:
    """Return ``a+bi`` without its i; the last sign that is no exponent's is before the b."""
    split = len(word)
    while True:
        split = max(word.rfind("+", 0, split), word.rfind("-", 0, split))
        if split < 0:
            return None
        if radix > 10 or split == 0 or word[split - 1].lower() not in "esfdl":
            break
    before, after = word[:split], word[split:]
    parts = [real(before or "0"), real(after + "1" if after in "+-" else after)]
    return None if None in parts else rectangular(*parts)


def polar(magnitude: Value, angle: Value) -> Value:
    """Return the number of this magnitude and angle."""
    if angle.__class__ is int and angle == 0:
        return magnitude
    size, turn = to_float(magnitude), to_float(angle)
    if not math.isfinite(turn):
        return Complex(math.nan, math.nan)
    return Complex(size * math.cos(turn), size * math.sin(turn))


def _real(word: str, radix: int, exact: bool, max_bits: int) -> Value:
    if _INTEGER[radix].fullmatch(word):
        return _integer(word, radix, max_bits)
    above, slash, below = word.partition("/")
    if slash:
        if not (_INTEGER[radix].fullmatch(above) and _INTEGER[radix].fullmatch(below)):
            return None
        if below[0] in "+-":
            return None
        divisor = _integer(below, radix, max_bits)
        if divisor == 0:
            raise LiteralError("a number divided by zero")
        return simplest(Fraction(_integer(above, radix, max_bits), divisor))
    special = _SPECIAL.get(word.lower())
    if special is not None:
        if exact:
            raise LiteralError("there is no exact infinity")
        return special
    if radix != 10 or not _DECIMAL.fullmatch(word):
        return None
    word = word.lower().translate(_OTHER_MARKS)
    return _exact_decimal(word, max_bits) if exact else float(word)


def _integer(word: str, radix: int, max_bits: int) -> int:
    if len(word) * math.log2(radix) > max_bits + 64:
        raise LiteralError(f"an integer of {len(word)} digits is too long")
    if radix != 10 or len(word) <= _CHUNK:
        return int(word, radix)
    digits = word.lstrip("+-")
    value = 0
    for start in range(0, len(digits), _CHUNK):
        chunk = digits[start : start + _CHUNK]
        value = value * 10 ** len(chunk) + int(chunk)
    return -value if word[0] == "-" else value


def _exact_decimal(word: str, max_bits: int) -> Value:
    exponent = word.partition("e")[2] or "0"
    if len(word) > _CHUNK or len(exponent) > 6 or abs(int(exponent)) > MAX_EXPONENT:
        raise LiteralError("an exact number that is too long")
    if abs(int(exponent)) * 3.33 > max_bits:
        raise LiteralError("an exact number that is too long")
    return simplest(Fraction(word))


def simplest(number: Fraction) -> Value:
    """Return an exact number as an integer where it is one."""
    return number.numerator if number.denominator == 1 else number


def number_text(number: Value, radix: int = 10) -> str:
    """Return a number as a program would write it."""
    if isinstance(number, Fraction):
        above = integer_text(number.numerator, radix)
        return f"{above}/{integer_text(number.denominator, radix)}"
    if isinstance(number, int):
        return integer_text(number, radix)
    if isinstance(number, Complex):
        real = (
            ""
            if number.real.__class__ is int and number.real == 0
            else number_text(number.real, radix)
        )
        imaginary = number_text(number.imag, radix)
        imaginary = {"1": "+", "-1": "-"}.get(imaginary, imaginary)
        return f"{real}{'' if imaginary[0] in '+-' else '+'}{imaginary}i"
    if math.isfinite(number):
        return repr(number)
    return "+nan.0" if math.isnan(number) else "+inf.0" if number > 0 else "-inf.0"


def integer_text(number: int, radix: int = 10) -> str:
    """Return an integer's digits, however many they are."""
    if number < 0:
        return "-" + integer_text(-number, radix)
    if radix != 10:
        form = {2: "b", 8: "o", 16: "x"}.get(radix)
        return format(number, form) if form else _digits(number, radix)
    if number.bit_length() < 3 * _CHUNK:
        return str(number)
    chunks = []
    unit = 10**_CHUNK
    while number >= unit:
        number, rest = divmod(number, unit)
        chunks.append(f"{rest:0{_CHUNK}d}")
    return str(number) + "".join(reversed(chunks))


def _digits(number: int, radix: int) -> str:
    digits = []
    while number >= radix:
        number, rest = divmod(number, radix)
        digits.append(_DIGITS[rest])
    digits.append(_DIGITS[number])
    return "".join(reversed(digits))


def unescape(body: str) -> str:
    r"""Return what the inside of a string or of a ``|symbol|`` says.

    Raises
    ------
    LiteralError
        An escape that there is none of.
    """
    return _ESCAPE.sub(_unescape_one, body) if "\\" in body else body


def _unescape_one(match: re.Match[str]) -> str:
    code, letter = match.group(1, 2)
    if code is not None:
        return _scalar(code)
    if letter is None:
        return ""
    if letter not in _ESCAPES:
        raise LiteralError(f"\\{letter} is no escape; write \\\\ for a backslash")
    return _ESCAPES[letter]


def character(word: str) -> str:
    r"""Return the character that ``#\`` and a name or a code stand for.

    Raises
    ------
    LiteralError
        There is no such character.
    """
    name = word[2:]
    if len(name) == 1:
        return name
    if name in CHARACTER_NAMES:
        return CHARACTER_NAMES[name]
    if name[0] in "xX" and all(digit in "0123456789abcdefABCDEF" for digit in name[1:]):
        return _scalar(name[1:])
    raise LiteralError(f"there is no character named {name[:40]}")


def _scalar(digits: str) -> str:
    code = int(digits, 16) if len(digits) <= 8 else -1
    if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise LiteralError(f"there is no character with the code {digits[:40]}")
    return chr(code)
