"""Pairs and lists: those procedures that call no others (see ``prelude.scm`` for the rest).

Whatever walks along a list burns fuel for it, so that a circular one ends in a budget's error.
"""

from collections.abc import Iterator
from itertools import product

from racs_server.scheme.meter import PAIR_BYTES, Meter
from racs_server.scheme.primitives.equality import equal, eqv
from racs_server.scheme.primitives.numbers import number
from racs_server.scheme.primitives.table import TABLE, count, procedure, wrong
from racs_server.scheme.printer import quoted
from racs_server.scheme.values import NIL, UNSPECIFIED, Pair, Value, from_list

_STRIDE = 4096


def walk(meter: Meter, items: Value) -> Iterator[Pair]:
    """Yield the pairs of a list, which must be a proper one."""
    pair = items
    walked = 0
    while isinstance(pair, Pair):
        walked += 1
        if walked % _STRIDE == 0:
            meter.spend(_STRIDE // 8)
        yield pair
        pair = pair.cdr
    if pair is not NIL:
        raise wrong("a list", items)
    meter.spend(walked % _STRIDE >> 3)


def elements(meter: Meter, items: Value) -> list[Value]:
    """Return the elements of a list, and count what a new list of them will take."""
    found = []
    for pair in walk(meter, items):
        meter.room -= PAIR_BYTES
        if meter.room < 0:
            meter.attend()
        found.append(pair.car)
    return found


@procedure("cons")
def _cons(meter: Meter, first: Value, rest: Value) -> Pair:
    meter.room -= PAIR_BYTES
    if meter.room < 0:
        meter.attend()
    return Pair(first, rest)


def _pair(value: Value) -> Pair:
    if not isinstance(value, Pair):
        raise wrong("a pair", value)
    return value


@procedure("car")
def _car(pair: Value) -> Value:
    if isinstance(pair, Pair):
        return pair.car
    raise wrong("a pair", pair)


@procedure("cdr")
def _cdr(pair: Value) -> Value:
    if isinstance(pair, Pair):
        return pair.cdr
    raise wrong("a pair", pair)


def _composed(path: str) -> None:
    """Enter ``cadr`` and the like: the letters between c and r, done from the last."""

    def access(pair: Value) -> Value:
        value = pair
        for letter in reversed(path):
            if not isinstance(value, Pair):
                raise wrong("a pair at each step", pair)
            value = value.car if letter == "a" else value.cdr
        return value

    procedure(f"c{path}r")(access)


for _length in (2, 3, 4):
    for _letters in product("ad", repeat=_length):
        _composed("".join(_letters))


@procedure("set-car!")
def _set_car(pair: Value, value: Value) -> Value:
    _pair(pair).car = value
    return UNSPECIFIED


@procedure("set-cdr!")
def _set_cdr(pair: Value, value: Value) -> Value:
    _pair(pair).cdr = value
    return UNSPECIFIED


@procedure("pair?")
def _is_pair(value: Value) -> bool:
    return isinstance(value, Pair)


@procedure("null?")
def _is_null(value: Value) -> bool:
    return value is NIL


@procedure("list?", "proper-list?")
def _is_list(meter: Meter, value: Value) -> bool:
    slow = value
    odd = False
    while isinstance(value, Pair):
        value = value.cdr
        if odd:
            slow = slow.cdr
            if slow is value:
                return False
        odd = not odd
        meter.fuel -= 1
        if meter.fuel < 0:
            meter.refuel()
    return value is NIL


@procedure("list")
def _list(meter: Meter, *items: Value) -> Value:
    meter.charge(PAIR_BYTES * len(items))
    return from_list(items)


@procedure("cons*", "list*")
def _cons_star(meter: Meter, first: Value, *others: Value) -> Value:
    meter.charge(PAIR_BYTES * len(others))
    items = (first, *others)
    return from_list(items[:-1], items[-1])


@procedure("make-list")
def _make_list(meter: Meter, k: Value, fill: Value = UNSPECIFIED) -> Value:
    meter.charge(PAIR_BYTES * count(k))
    meter.spend(k >> 3)
    return from_list([fill] * k)


@procedure("iota")
def _iota(meter: Meter, k: Value, start: Value = 0, step: Value = 1) -> Value:
    meter.charge(PAIR_BYTES * count(k))
    meter.spend(k >> 2)
    number(start)
    number(step)
    if start.__class__ is int and step.__class__ is int:
        return from_list(range(start, start + k * step, step) if step else [start] * k)
    operate, multiply = TABLE["+"].function, TABLE["*"].function
    return from_list([operate(meter, start, multiply(meter, at, step)) for at in range(k)])


@procedure("length")
def _length_of(meter: Meter, items: Value) -> int:
    return sum(1 for _ in walk(meter, items))


@procedure("append", "append!")
def append(meter: Meter, *lists: Value) -> Value:
    """Return a list of all the lists' elements; the last one is shared."""
    if not lists:
        return NIL
    result = lists[-1]
    for items in reversed(lists[:-1]):
        result = from_list(elements(meter, items), result)
    return result


@procedure("concatenate")
def _concatenate(meter: Meter, lists: Value) -> Value:
    return append(meter, *elements(meter, lists))


@procedure("reverse", "reverse!")
def _reverse(meter: Meter, items: Value) -> Value:
    result: Value = NIL
    for item in elements(meter, items):
        result = Pair(item, result)
    return result


@procedure("append-reverse", "append-reverse!")
def _append_reverse(meter: Meter, items: Value, tail: Value) -> Value:
    for item in elements(meter, items):
        tail = Pair(item, tail)
    return tail


@procedure("list-copy")
def _list_copy(meter: Meter, items: Value) -> Value:
    copied = []
    while isinstance(items, Pair):
        meter.charge(PAIR_BYTES)
        meter.fuel -= 1
        if meter.fuel < 0:
            meter.refuel()
        copied.append(items.car)
        items = items.cdr
    return from_list(copied, items)


def _tail(meter: Meter, items: Value, k: Value) -> Value:
    rest = items
    meter.spend(count(k, "an index") >> 3)
    for _ in range(k):
        if not isinstance(rest, Pair):
            raise wrong(f"a list of at least {quoted(k)} elements", items)
        rest = rest.cdr
    return rest


@procedure("list-tail", "drop")
def _list_tail(meter: Meter, items: Value, k: Value) -> Value:
    return _tail(meter, items, k)


@procedure("list-ref")
def _list_ref(meter: Meter, items: Value, k: Value) -> Value:
    rest = _tail(meter, items, k)
    if not isinstance(rest, Pair):
        raise wrong(f"a list of more than {quoted(k)} elements", items)
    return rest.car


@procedure("list-set!")
def _list_set(meter: Meter, items: Value, k: Value, value: Value) -> Value:
    rest = _tail(meter, items, k)
    if not isinstance(rest, Pair):
        raise wrong(f"a list of more than {quoted(k)} elements", items)
    rest.car = value
    return UNSPECIFIED


@procedure("list-head", "take")
def _take(meter: Meter, items: Value, k: Value) -> Value:
    meter.charge(PAIR_BYTES * count(k))
    meter.spend(k >> 3)
    taken = []
    rest = items
    for _ in range(k):
        if not isinstance(rest, Pair):
            raise wrong(f"a list of at least {quoted(k)} elements", items)
        taken.append(rest.car)
        rest = rest.cdr
    return from_list(taken)


@procedure("take-right")
def _take_right(meter: Meter, items: Value, k: Value) -> Value:
    length = sum(1 for _ in walk(meter, items))
    if count(k) > length:
        raise wrong(f"a list of at least {quoted(k)} elements", items)
    return _tail(meter, items, length - k)


@procedure("drop-right")
def _drop_right(meter: Meter, items: Value, k: Value) -> Value:
    found = elements(meter, items)
    if count(k) > len(found):
        raise wrong(f"a list of at least {quoted(k)} elements", items)
    return from_list(found[: len(found) - k])


@procedure("last-pair")
def _last_pair(meter: Meter, items: Value) -> Value:
    pair = _pair(items)
    while isinstance(pair.cdr, Pair):
        meter.spend(1)
        pair = pair.cdr
    return pair


@procedure("last")
def _last(meter: Meter, items: Value) -> Value:
    pair: Pair = _last_pair(meter, items)
    return pair.car


def _nth(name: str, position: int) -> None:
    def access(items: Value) -> Value:
        rest = items
        for _ in range(position):
            rest = rest.cdr if isinstance(rest, Pair) else NIL
        if not isinstance(rest, Pair):
            raise wrong(f"a list of more than {position} elements", items)
        return rest.car

    procedure(name)(access)


for _position, _name in enumerate(("first", "second", "third", "fourth", "fifth")):
    _nth(_name, _position)


# -- looking for something; the versions that take a predicate are in the prelude


@procedure("memq", "memv")
def _memv(meter: Meter, item: Value, items: Value) -> Value:
    return next((pair for pair in walk(meter, items) if eqv(item, pair.car)), False)


@procedure("%member")
def _member(meter: Meter, item: Value, items: Value) -> Value:
    return next((pair for pair in walk(meter, items) if equal(meter, item, pair.car)), False)


@procedure("assq", "assv")
def _assv(meter: Meter, key: Value, alist: Value) -> Value:
    entries = (_pair(pair.car) for pair in walk(meter, alist))
    return next((entry for entry in entries if eqv(key, entry.car)), False)


@procedure("%assoc")
def _assoc(meter: Meter, key: Value, alist: Value) -> Value:
    entries = (_pair(pair.car) for pair in walk(meter, alist))
    return next((entry for entry in entries if equal(meter, key, entry.car)), False)
