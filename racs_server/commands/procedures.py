"""The commands as procedures of Scheme, made from the command table.

A command that takes piped input takes it as its first argument. Whatever there is in the table is
a procedure, under all its names in lower case, if it answers with one reply: a new row needs
nothing here. ``list`` and ``delete`` remain Scheme's own; LIST is ``streams``, ``ls`` and
``search``, DELETE is ``delete-stream``.
"""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import reduce
from typing import Any

import msgspec

from racs_server.commands.check import make_step
from racs_server.commands.context import Context
from racs_server.commands.fitting import Misfit, fit
from racs_server.commands.piping import described
from racs_server.commands.spec import CommandSpec, Effect, Kind, Mode, Output, Value
from racs_server.errors import RacsError, RequestError, StartError
from racs_server.lang import Integer, Literal, Real, Span, String, parse_time
from racs_server.values import AudioPlan, building

Procedure = Callable[[Context, list[Any]], Value]
"""Carries out a call, with its arguments."""

RENAMED = {"list": "streams", "delete": "delete-stream"}
"""Names of commands that mean something else in Scheme, and what they are called instead."""

_NOWHERE = Span(0, 0)
_LONGEST_TEXT = 64 << 10


def procedures(table: Iterable[CommandSpec], changing: frozenset[str]) -> dict[str, Procedure]:
    """Return all procedures by name.

    Parameters
    ----------
    table
        The commands.
    changing
        Which of those that change anything may be used, by name, in upper case.
    """
    found: dict[str, Procedure] = {}
    for spec in table:
        variants = _variants(spec)
        allowed = [each for each in variants if each.effect is Effect.READ or spec.name in changing]
        for name in (spec.name, *spec.aliases) if variants else ():
            scheme_name = RENAMED.get(name.lower(), name.lower())
            found[scheme_name] = _Row(scheme_name, allowed) if allowed else _refuse
    for name, joined in _JOINS.items():
        if name in found:
            found[name] = _Joining(found[name], joined)
    return found


def changing_commands(table: Iterable[CommandSpec], names: str) -> frozenset[str]:
    """Return the names of the commands that a setting allows to change something.

    Raises
    ------
    StartError
        There is no such command, or EVAL cannot have it.
    """
    known = {
        spec.name
        for spec in table
        if any(each.effect is not Effect.READ for each in _variants(spec))
    }
    wanted = frozenset(names.upper().replace(",", " ").split())
    if wanted <= known:
        return wanted
    raise StartError(
        f"the setting eval_commands names {', '.join(sorted(wanted - known))}: there is no such"
        f" command, or EVAL cannot have it; it can have {', '.join(sorted(known))}"
    )


def _variants(spec: CommandSpec) -> list[CommandSpec]:
    """Return the command, and what it is when it is piped something, as far as EVAL can have it."""
    both = [spec, *([spec.when_piped] if spec.when_piped else [])]
    return [
        each for each in both if each.mode is Mode.REPLY and not (each.evaluates or each.secret)
    ]


def _refuse(context: Context, arguments: list[Any]) -> Value:
    raise RequestError(
        "this is not for EVAL on this server: its operator can allow it with the setting"
        " eval_commands"
    )


class _Row:
    """A command as a procedure.

    Parameters
    ----------
    name
        What programs call it.
    variants
        Its row, and the one for when it is given something to work on.
    """

    def __init__(self, name: str, variants: list[CommandSpec]) -> None:
        self._name = name
        self._variants = variants

    def __call__(self, context: Context, arguments: list[Any]) -> Value:
        spec = self._choose(arguments)
        first = 0 if spec.input is None else 1
        piped = arguments[0] if first else None
        fitted = fit(spec, self._name, _literals(spec, arguments, first))
        if isinstance(fitted, Misfit):
            fault = msgspec.structs.replace(fitted, position=fitted.position + first)
            hint = f"; {fault.hint}" if fault.hint else ""
            raise RequestError(f"{fault.subject}: {fault.problem}{hint}")
        try:
            return make_step(spec, fitted.overload, fitted.arguments).run(context, piped)
        except RacsError as error:
            # the procedure's name is put before it where the program's place is known
            raise type(error)(str(error).removeprefix(f"{spec.name}: ")) from error

    def _choose(self, arguments: list[Any]) -> CommandSpec:
        for spec in self._variants:
            if len(arguments) in _counts(spec):
                return spec
        ways = " or ".join(_usage(self._name, spec) for spec in self._variants)
        plural = "" if len(arguments) == 1 else "s"
        raise RequestError(f"expected {ways}, got {len(arguments)} argument{plural}")


def _counts(spec: CommandSpec) -> set[int]:
    return {len(overload.params) + (spec.input is not None) for overload in spec.overloads}


def _usage(name: str, spec: CommandSpec) -> str:
    piped = {Output.AUDIO: ["audio"], Output.BYTES: ["file"]}.get(spec.input or Output.NULL, [])
    return " or ".join(
        f"({' '.join([name, *piped, *(param.name for param in overload.params)])})"
        for overload in spec.overloads
    )


def _literals(spec: CommandSpec, arguments: list[Any], first: int) -> list[tuple[Literal, str]]:
    """Return the arguments from the first one on as literals, each with how it is written."""
    ways = [each.params for each in spec.overloads if len(each.params) == len(arguments) - first]
    return [
        (_literal(value, place + first, {way[place].kind for way in ways}), str(value))
        for place, value in enumerate(arguments[first:])
    ]


def _literal(value: Any, position: int, kinds: set[Kind]) -> Literal:
    """Return what a value is in the command language; texts can be times."""
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        time = parse_time(value) if Kind.TIME in kinds else None
        return String(value, _NOWHERE) if time is None else time
    if isinstance(value, int) and not isinstance(value, bool):
        return Integer(value, _NOWHERE)
    if isinstance(value, float) and math.isfinite(value):
        return Real(Fraction(repr(value)), _NOWHERE)
    if isinstance(value, Fraction):
        return Real(value, _NOWHERE)
    found = "a string that is too long" if isinstance(value, str) else described(value)
    raise RequestError(f"argument {position + 1}: expected a string or a number, found {found}")


class _Joining:
    """A procedure that puts pieces of audio together, and is its command for anything else."""

    def __init__(self, row: Procedure, join: Callable[[list[AudioPlan]], AudioPlan]) -> None:
        self._row = row
        self._join = join

    def __call__(self, context: Context, arguments: list[Any]) -> Value:
        if arguments and all(isinstance(each, AudioPlan) for each in arguments):
            return self._join(arguments)
        return self._row(context, arguments)


def _mix(pieces: list[AudioPlan]) -> AudioPlan:
    return reduce(building.mix, pieces)


def _merge(pieces: list[AudioPlan]) -> AudioPlan:
    if len(pieces) != 2:
        raise RequestError(f"expected (merge left right), got {len(pieces)} arguments")
    return building.merge(*pieces)


_JOINS = {"mix": _mix, "merge": _merge}
