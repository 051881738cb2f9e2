"""Arguments against the parameters of a command: which of its overloads they fit, or why none.

Used for whoever calls a command, in whatever language: it says which argument is at fault, and
leaves it to its caller to say where that stands.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from racs_server.commands.spec import CommandSpec, Kind, Overload, Param, closest
from racs_server.lang import Integer, Literal, Real, String, Time, quoted
from racs_server.values import NS_PER_MS

_VALUES: dict[tuple[Kind, type], Callable[[Any], object]] = {
    (Kind.STRING, String): lambda value: value,
    (Kind.INT, Integer): lambda value: value,
    (Kind.FLOAT, Integer): Fraction,
    (Kind.FLOAT, Real): lambda value: value,
    (Kind.TIME, Time): lambda value: value,
    (Kind.TIME, Integer): lambda value: value * NS_PER_MS,
}
"""Which literals each kind of parameter accepts, and the value that the handler gets for them."""

_NAMES = {String: "string", Integer: "int", Real: "float", Time: "time"}

_EXPECTED = {
    Kind.STRING: "a string",
    Kind.INT: "an int",
    Kind.FLOAT: "a number",
    Kind.TIME: "a time",
}

_UNQUOTED = "it stands without quotes"
_HINTS: dict[tuple[Kind, type], str] = {
    (Kind.STRING, Integer): "strings stand in quotes",
    (Kind.STRING, Real): "strings stand in quotes",
    (Kind.STRING, Time): "strings stand in quotes",
    (Kind.INT, String): _UNQUOTED,
    (Kind.INT, Real): "write it without a point and without an exponent",
    (Kind.INT, Time): "a number is due here, not a moment",
    (Kind.FLOAT, String): _UNQUOTED,
    (Kind.FLOAT, Time): "a number is due here, not a moment",
    (Kind.TIME, String): f"{_UNQUOTED}, like 2023-12-25T22:30:45.123Z",
    (Kind.TIME, Real): "times are like 2023-12-25T22:30:45.123Z, or whole milliseconds since 1970",
}


class Fitted(msgspec.Struct, frozen=True):
    """An overload, and the arguments for its handler."""

    overload: Overload
    arguments: tuple[object, ...]


class Misfit(msgspec.Struct, frozen=True):
    """What is wrong with some arguments.

    Attributes
    ----------
    position
        Of the argument at fault, counted from 0; it may be one past the last.
    name
        Its parameter's name, if it has one.
    problem
        What was expected and what was found.
    hint
        What to do about it.
    right_kind
        Whether it is of the kind that was expected, and only its value is wrong.
    """

    position: int
    name: str
    problem: str
    hint: str
    right_kind: bool = False

    @property
    def subject(self) -> str:
        """The argument at fault, as people call it."""
        return f"argument {self.position + 1}" + (f" ({self.name})" if self.name else "")


def fit(spec: CommandSpec, name: str, arguments: Sequence[tuple[Literal, str]]) -> Fitted | Misfit:
    """Choose the first overload that fits; else blame the argument up to which the best one did.

    Of those that fit as far, the best one takes that argument's kind.

    Parameters
    ----------
    spec, name
        The command, and the name that it was called by.
    arguments
        Each with how it is written.
    """
    faults: list[Misfit] = []
    for overload in spec.overloads:
        if len(overload.params) != len(arguments):
            continue
        fitted = _fit(overload, arguments)
        if isinstance(fitted, Fitted):
            return fitted
        faults.append(fitted)
    if not faults:
        return _wrong_count(spec, name, len(arguments))
    fault = max(faults, key=lambda each: (each.position, each.right_kind))
    written = f"{spec.name} is written {spec.usage}" if len(spec.overloads) > 1 else ""
    hint = "; ".join(filter(None, (fault.hint, written)))
    return msgspec.structs.replace(fault, hint=hint)


def _fit(overload: Overload, arguments: Sequence[tuple[Literal, str]]) -> Fitted | Misfit:
    values = []
    for position, (param, (literal, written)) in enumerate(
        zip(overload.params, arguments, strict=True)
    ):
        key = (param.kind, type(literal))
        if key not in _VALUES:
            problem = _problem(param, literal, written)
            return Misfit(position, param.name, problem, _HINTS[key])
        value = _VALUES[key](literal.value)
        if not _allowed(param, value):
            problem = _problem(param, literal, written)
            return Misfit(position, param.name, problem, _near(param, value), right_kind=True)
        values.append(value)
    return Fitted(overload, tuple(values))


def _allowed(param: Param, value: Any) -> bool:
    if param.choices:
        return value in param.choices
    if param.least is not None and value < param.least:
        return False
    return param.most is None or value <= param.most


def _problem(param: Param, literal: Literal, written: str) -> str:
    found = literal.value if isinstance(literal, String) else written
    return f"expected {_expected(param)}, found the {_NAMES[type(literal)]} {quoted(found)}"


def _expected(param: Param) -> str:
    if param.choices:
        return " or ".join(", ".join(map(repr, param.choices)).rsplit(", ", 1))
    kind = _EXPECTED[param.kind]
    if param.least is not None and param.most is not None:
        return f"{kind} from {param.least} to {param.most}"
    if param.least is not None:
        return f"{kind} of at least {param.least}"
    return f"{kind} of at most {param.most}" if param.most is not None else kind


def _near(param: Param, value: object) -> str:
    names = [choice for choice in param.choices if isinstance(choice, str)]
    guess = closest(value, names) if isinstance(value, str) else None
    return f"did you mean {guess!r}?" if guess else ""


def _wrong_count(spec: CommandSpec, name: str, count: int) -> Misfit:
    """Say which argument is missing, or is too many for every overload."""
    counts = sorted({len(overload.params) for overload in spec.overloads})
    takes = " or ".join(map(str, counts)) if counts != [0] else "no"
    plural = "" if counts == [1] else "s"
    problem = f"{name} takes {takes} argument{plural}, found {count}"
    hint = f"it is written {spec.usage}, for example: {spec.example}"
    if count > counts[-1]:
        return Misfit(counts[-1], "", problem, hint)
    params = next(each.params for each in spec.overloads if len(each.params) > count)
    return Misfit(count, params[count].name, f"it is missing: {problem}", hint)
