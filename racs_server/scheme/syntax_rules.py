"""``syntax-rules``: patterns, templates, and the names that a template brings with it.

A template's own names become fresh aliases at each expansion (see `scope`), so that what they
bind captures nothing of the program's, and what they refer to is what the macro's author saw.

Invariants
----------
- Patterns and templates are at most `MAX_DEPTH` deep, which bounds the recursion here; what they
  are matched with may be of any depth.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from racs_server.scheme.errors import FormError
from racs_server.scheme.graphs import everything, parts_of
from racs_server.scheme.meter import PAIR_BYTES, Meter
from racs_server.scheme.scope import Alias, AnyScope, Identifier, Local, plain, resolve
from racs_server.scheme.values import (
    Char,
    Pair,
    SourcePair,
    String,
    Symbol,
    Value,
    Vector,
    from_list,
    intern,
)

MAX_DEPTH: Final = 60
_UNDERSCORE = intern("_")

Bindings: TypeAlias = dict[Identifier, Any]


class Macro:
    """What ``(syntax-rules (literal …) (pattern template) …)`` makes.

    Parameters
    ----------
    ellipsis
        The name that stands for repetition; None if it is among the literals.
    literals
        The names that match only themselves.
    rules
        Patterns and templates.
    scope
        Where the macro was defined.
    """

    __slots__ = ("ellipsis", "literals", "rules", "scope")

    def __init__(
        self,
        ellipsis: Identifier | None,
        literals: frozenset[Identifier],
        rules: list[tuple[Value, Value]],
        scope: AnyScope,
    ) -> None:
        self.ellipsis = ellipsis
        self.literals = literals
        self.rules = rules
        self.scope = scope


def check_depth(value: Value) -> None:
    """Refuse what is nested too deep for those who look into it by recursion."""
    level = {id(value): value}
    for _ in range(MAX_DEPTH):
        level = {id(part): part for item in level.values() for part in _elements(item)}
        if not level:
            return
    raise FormError(f"is nested deeper than {MAX_DEPTH} levels")


def _elements(item: Value) -> Iterator[Value]:
    if isinstance(item, Vector):
        yield from item
    while isinstance(item, Pair):
        yield item.car
        item = item.cdr


def expand(macro: Macro, form: Value, scope: AnyScope, offset: int, meter: Meter) -> Value:
    """Return what the first rule that matches makes of a form.

    Parameters
    ----------
    macro, form
        Which one, and its use.
    scope, offset
        Where that is.
    meter
        Counts what is made.

    Raises
    ------
    FormError
        No rule matches.
    """
    for pattern, template in macro.rules:
        bindings: Bindings = {}
        if _Matcher(macro, scope, meter).match(pattern.cdr, form.cdr, bindings):
            return _Writer(macro, offset, meter).write(template, bindings)
    raise FormError(f"no rule of the macro {plain(form.car).name} matches")


class _Matcher:
    """Matches one use of a macro with a pattern."""

    def __init__(self, macro: Macro, scope: AnyScope, meter: Meter) -> None:
        self.macro = macro
        self.scope = scope
        self.meter = meter

    def match(self, pattern: Value, form: Value, bindings: Bindings) -> bool:
        ellipsis = self.macro.ellipsis
        while isinstance(pattern, Pair):
            self.meter.spend(1)
            rest = pattern.cdr
            if isinstance(rest, Pair) and rest.car is ellipsis:
                found = self._repeat(pattern.car, rest.cdr, form, bindings)
                if found is None:
                    return False
                pattern, form = rest.cdr, found
                continue
            if not isinstance(form, Pair) or not self.match(pattern.car, form.car, bindings):
                return False
            pattern, form = rest, form.cdr
        if isinstance(pattern, Symbol | Alias):
            return self._match_name(pattern, form, bindings)
        if isinstance(pattern, Vector):
            return isinstance(form, Vector) and self.match(
                from_list(pattern), from_list(form), bindings
            )
        return pattern is form or _same_datum(pattern, form)

    def _match_name(self, pattern: Identifier, form: Value, bindings: Bindings) -> bool:
        if pattern in self.macro.literals:
            return isinstance(form, Symbol | Alias) and self._same_binding(pattern, form)
        if plain(pattern) is not _UNDERSCORE:
            bindings[pattern] = form
        return True

    def _same_binding(self, literal: Identifier, form: Identifier) -> bool:
        theirs, ours = resolve(form, self.scope), resolve(literal, self.macro.scope)
        if isinstance(theirs, Local) or isinstance(ours, Local):
            if not (isinstance(theirs, Local) and isinstance(ours, Local)):
                return False
            there = self.scope.level - theirs.depth
            return (there, theirs.at) == (self.macro.scope.level - ours.depth, ours.at)
        return plain(literal) is plain(form)

    def _repeat(self, pattern: Value, after: Value, form: Value, bindings: Bindings) -> Value:
        """Match as many items as leave enough for what comes after; return the rest, or None."""
        items = []
        while isinstance(form, Pair):
            items.append(form)
            form = form.cdr
            self.meter.spend(1)
        count = len(items) - sum(1 for _ in _elements(after))
        if count < 0:
            return None
        matches = []
        for item in items[:count]:
            match: Bindings = {}
            if not self.match(pattern, item.car, match):
                return None
            matches.append(match)
        for name in pattern_names(pattern, self.macro):
            bindings[name] = _Repeated([match[name] for match in matches])
        return items[count] if count < len(items) else form


class _Repeated:
    """What a name before an ellipsis has matched."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items


def pattern_names(pattern: Value, macro: Macro) -> list[Identifier]:
    """Return the names that a pattern binds."""
    return [
        item
        for item in everything(pattern)
        if isinstance(item, Symbol | Alias)
        and item is not macro.ellipsis
        and item not in macro.literals
        and plain(item) is not _UNDERSCORE
    ]


def _same_datum(pattern: Value, form: Value) -> bool:
    if pattern.__class__ is not form.__class__:
        return False
    if isinstance(pattern, String | Char):
        return bool(pattern.text == form.text)
    return isinstance(pattern, int | float) and pattern == form


class _Writer:
    """Writes one expansion."""

    def __init__(self, macro: Macro, offset: int, meter: Meter) -> None:
        self.macro = macro
        self.offset = offset
        self.meter = meter
        self.aliases: dict[Identifier, Alias] = {}
        self.ellipsis = macro.ellipsis

    def write(self, template: Value, bindings: Bindings) -> Value:
        if isinstance(template, Symbol | Alias):
            return self._name(template, bindings)
        if isinstance(template, Vector):
            return Vector(_elements(self.write(from_list(template), bindings)))
        if not isinstance(template, Pair):
            return template
        if self.ellipsis and template.car is self.ellipsis and isinstance(template.cdr, Pair):
            return self._verbatim(template.cdr.car, bindings)
        items: list[tuple[Value, int]] = []
        while isinstance(template, Pair):
            part, offset = template.car, self.offset
            template = template.cdr
            depth = 0
            while isinstance(template, Pair) and template.car is self.ellipsis:
                depth += 1
                template = template.cdr
            if depth:
                items += [(item, offset) for item in self._repeat(part, bindings, depth)]
            else:
                items.append((self.write(part, bindings), offset))
            self.meter.charge(PAIR_BYTES)
        result = self.write(template, bindings)
        self.meter.charge(PAIR_BYTES * len(items))
        for item, offset in reversed(items):
            result = SourcePair(item, result, offset)
        return result

    def _verbatim(self, template: Value, bindings: Bindings) -> Value:
        """Write ``(... template)``, in which the ellipsis is a name like any other."""
        self.ellipsis, kept = None, self.ellipsis
        result = self.write(template, bindings)
        self.ellipsis = kept
        return result

    def _name(self, name: Identifier, bindings: Bindings) -> Value:
        if name in bindings:
            value = bindings[name]
            if isinstance(value, _Repeated):
                raise FormError(f"{plain(name).name} needs an ellipsis in the template")
            return value
        if name not in self.aliases:
            self.aliases[name] = Alias(name, self.macro.scope)
        return self.aliases[name]

    def _repeat(self, part: Value, bindings: Bindings, depth: int) -> list[Value]:
        names = [
            name
            for name in pattern_names(part, self.macro)
            if isinstance(bindings.get(name), _Repeated)
        ]
        if not names:
            raise FormError("an ellipsis in the template follows nothing that repeats")
        count = max(len(bindings[name].items) for name in names)
        self.meter.charge(PAIR_BYTES * count)
        result: list[Value] = []
        for index in range(count):
            self.meter.spend(1)
            inner = dict(bindings)
            for name in names:
                items = bindings[name].items
                if index >= len(items):
                    raise FormError(f"{plain(name).name} repeats less often than its neighbours")
                inner[name] = items[index]
            if depth > 1:
                result += self._repeat(part, inner, depth - 1)
            else:
                result.append(self.write(part, inner))
        return result


def strip(value: Value) -> Value:
    """Return a datum with the names that macros inserted as the symbols that were written."""
    if not any(isinstance(item, Alias) for item in everything(value)):
        return value
    done: dict[int, Value] = {}
    pending = [value]
    while pending:
        item = pending[-1]
        parts = parts_of(item)
        waiting = [part for part in parts if id(part) not in done]
        if waiting:
            pending += waiting
            continue
        pending.pop()
        if isinstance(item, Alias):
            done[id(item)] = plain(item)
        elif isinstance(item, Pair):
            done[id(item)] = Pair(done[id(item.car)], done[id(item.cdr)])
        elif isinstance(item, Vector):
            done[id(item)] = Vector(done[id(part)] for part in item)
        else:
            done[id(item)] = item
    return done[id(value)]
