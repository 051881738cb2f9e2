"""Strings and symbols."""

from collections.abc import Callable

from racs_server.scheme.census import string_bytes
from racs_server.scheme.meter import OBJECT_BYTES, PAIR_BYTES, Meter
from racs_server.scheme.primitives.characters import COMPARISONS, compare_all, letter
from racs_server.scheme.primitives.lists import elements
from racs_server.scheme.primitives.table import count, index, procedure, span, symbol, text, wrong
from racs_server.scheme.values import (
    UNSPECIFIED,
    Char,
    String,
    Symbol,
    Value,
    from_list,
    intern,
)


def made(meter: Meter, content: str) -> String:
    """Return a new string, counted; it must not be longer than what it was made from."""
    meter.charge(OBJECT_BYTES + string_bytes(content))
    return String(content)


@procedure("string?")
def _is_string(value: Value) -> bool:
    return value.__class__ is String


@procedure("make-string")
def _make_string(meter: Meter, k: Value, char: Value = None) -> String:
    fill = " " if char is None else letter(char)
    meter.charge(OBJECT_BYTES + 4 * count(k))
    meter.spend(k >> 10)
    return String(fill * k)


@procedure("string")
def _string(meter: Meter, *chars: Value) -> String:
    return made(meter, "".join(letter(char) for char in chars))


@procedure("string-length")
def _string_length(string: Value) -> int:
    return len(text(string))


@procedure("string-ref")
def _string_ref(string: Value, k: Value) -> Char:
    content = text(string)
    return Char(content[index(k, len(content))])


@procedure("string-set!")
def _string_set(meter: Meter, string: Value, k: Value, char: Value) -> Value:
    content = text(string)
    position = index(k, len(content))
    meter.spend(len(content) >> 10)
    if string_bytes(content) == len(content):
        meter.charge(4 * len(content) if not letter(char).isascii() else 0)
    string.text = content[:position] + letter(char) + content[position + 1 :]
    return UNSPECIFIED


for _sign, _holds in COMPARISONS:
    compare_all(f"string{_sign}", _holds, text)
    compare_all(f"string-ci{_sign}", _holds, lambda value: text(value).casefold())


def _convert(name: str, conversion: Callable[[str], str]) -> None:
    def convert(meter: Meter, string: Value) -> String:
        # A character can become three in another case.
        meter.charge(OBJECT_BYTES + 12 * len(text(string)))
        meter.spend(len(string.text) >> 8)
        return String(conversion(string.text))

    procedure(name)(convert)


_convert("string-upcase", str.upper)
_convert("string-downcase", str.lower)
_convert("string-foldcase", str.casefold)


@procedure("substring")
def _substring(meter: Meter, string: Value, start: Value, end: Value = None) -> String:
    return _string_copy(meter, string, start, end)


@procedure("string-copy")
def _string_copy(meter: Meter, string: Value, start: Value = None, end: Value = None) -> String:
    first, last = span(len(text(string)), start, end)
    meter.charge(OBJECT_BYTES + 4 * (last - first))
    return String(string.text[first:last])


@procedure("string-append")
def _string_append(meter: Meter, *strings: Value) -> String:
    meter.charge(OBJECT_BYTES + sum(string_bytes(text(string)) for string in strings))
    joined = "".join(string.text for string in strings)
    meter.spend(len(joined) >> 10)
    return String(joined)


@procedure("string->list")
def _string_to_list(meter: Meter, string: Value, start: Value = None, end: Value = None) -> Value:
    first, last = span(len(text(string)), start, end)
    meter.charge((PAIR_BYTES + OBJECT_BYTES) * (last - first))
    meter.spend(last - first >> 3)
    return from_list([Char(char) for char in string.text[first:last]])


@procedure("list->string")
def _list_to_string(meter: Meter, chars: Value) -> String:
    return made(meter, "".join(letter(char) for char in elements(meter, chars)))


@procedure("string-fill!")
def _string_fill(
    meter: Meter, string: Value, char: Value, start: Value = None, end: Value = None
) -> Value:
    content = text(string)
    first, last = span(len(content), start, end)
    meter.charge(4 * len(content))
    string.text = content[:first] + letter(char) * (last - first) + content[last:]
    return UNSPECIFIED


@procedure("string-copy!")
def _string_copy_into(
    meter: Meter, to: Value, at: Value, string: Value, start: Value = None, end: Value = None
) -> Value:
    target = text(to)
    first, last = span(len(text(string)), start, end)
    place = index(at, len(target) + 1)
    if len(target) - place < last - first:
        raise wrong(f"room for {last - first} characters", to)
    meter.charge(4 * len(target))
    part = string.text[first:last]
    to.text = target[:place] + part + target[place + len(part) :]
    return UNSPECIFIED


@procedure("string-null?")
def _is_null(string: Value) -> bool:
    return not text(string)


@procedure("string-index")
def _string_index(string: Value, char: Value) -> Value:
    found = text(string).find(letter(char))
    return found if found >= 0 else False


@procedure("string-search-forward")
def _string_search_forward(meter: Meter, pattern: Value, string: Value, start: Value) -> Value:
    return _string_search(meter, string, pattern, start)


@procedure("string-contains")
def _string_search(meter: Meter, string: Value, pattern: Value, start: Value = 0) -> Value:
    content = text(string)
    meter.spend(len(content) >> 6)
    found = content.find(text(pattern), index(start, len(content) + 1))
    return found if found >= 0 else False


@procedure("string-prefix?")
def _is_prefix(prefix: Value, string: Value) -> bool:
    return text(string).startswith(text(prefix))


@procedure("string-suffix?")
def _is_suffix(suffix: Value, string: Value) -> bool:
    return text(string).endswith(text(suffix))


@procedure("string-join")
def _string_join(meter: Meter, strings: Value, delimiter: Value = None) -> String:
    parts = [text(item) for item in elements(meter, strings)]
    between = " " if delimiter is None else text(delimiter)
    size = sum(string_bytes(part) for part in parts) + string_bytes(between) * len(parts)
    meter.charge(OBJECT_BYTES + 4 * size)
    return String(between.join(parts))


@procedure("string-trim")
def _string_trim(meter: Meter, string: Value) -> String:
    return made(meter, text(string).strip())


# -- symbols


@procedure("symbol->string")
def _symbol_to_string(meter: Meter, name: Value) -> String:
    return made(meter, symbol(name).name)


@procedure("string->symbol", "intern")
def _string_to_symbol(meter: Meter, string: Value) -> Symbol:
    meter.charge(2 * OBJECT_BYTES + string_bytes(text(string)))
    return intern(string.text)


@procedure("symbol-append")
def _symbol_append(meter: Meter, *symbols: Value) -> Symbol:
    names = [symbol(item).name for item in symbols]
    meter.charge(2 * OBJECT_BYTES + sum(string_bytes(name) for name in names))
    return intern("".join(names))
