"""A parsed pipeline against the command table: everything that can be known before it runs.

Names, the number of arguments, their types and bounds, what is piped into what. Nothing of a
pipeline runs unless all of it passes; errors name the command and the argument, say what was
expected and what was found, and point into the text.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec

from racs_server.commands.context import Context
from racs_server.commands.spec import (
    CommandSpec,
    CommandTable,
    Handler,
    Kind,
    Mode,
    Overload,
    Param,
    Value,
    closest,
)
from racs_server.errors import CommandError
from racs_server.lang import (
    Command,
    Integer,
    Literal,
    Pipeline,
    Real,
    Span,
    String,
    Time,
    error_at,
    quoted,
)
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


class Step(msgspec.Struct, frozen=True):
    """A command that can run.

    Attributes
    ----------
    spec
        Its row.
    handler, arguments
        The handler of the overload, and what it gets.
    stream_ids
        Those of the arguments that name streams.
    """

    spec: CommandSpec
    handler: Handler
    arguments: tuple[object, ...]
    stream_ids: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Step {self.spec.name}>"  # its arguments may be secret

    def permit(self, context: Context) -> None:
        """Raise `AccessError` unless the context's caller may do this."""
        context.permit(self.spec, self.stream_ids)

    def run(self, context: Context, piped: Value) -> Value:
        """Carry out the command, if it is permitted; `piped` is what the one before it gave."""
        self.permit(context)
        if self.spec.input is None:
            return self.handler(context, *self.arguments)
        return self.handler(context, piped, *self.arguments)


def check(pipeline: Pipeline, text: str, table: CommandTable) -> tuple[Step, ...]:
    """Return what has to be done, in order.

    Parameters
    ----------
    pipeline, text
        A pipeline, and the text that it was parsed from.
    table
        The commands there are.

    Raises
    ------
    CommandError
        It cannot run as it stands.
    """
    steps: list[Step] = []
    for command in pipeline.commands:
        spec = table.find(command.name)
        if spec is None:
            raise _unknown(command, text, table)
        if steps and spec.when_piped and spec.when_piped.input is steps[-1].spec.output:
            spec = spec.when_piped
        _check_pipe(steps[-1].spec if steps else None, spec, command, text)
        steps.append(_step(spec, command, text))
    return tuple(steps)


def _unknown(command: Command, text: str, table: CommandTable) -> CommandError:
    if command.name in table.turned_off:
        problem = "this server is told not to have it (setting disable)"
        return error_at(text, command.name_span, command.name, problem)
    guess = closest(command.name, table.names)
    suggestion = f"did you mean {guess}? " if guess else ""
    return error_at(
        text,
        command.name_span,
        "unknown command",
        f"there is no {quoted(command.name)}",
        f"{suggestion}the commands are {', '.join(table.names)}",
    )


def _check_pipe(before: CommandSpec | None, spec: CommandSpec, command: Command, text: str) -> None:
    """Refuse what cannot fit: a command that takes nothing ignores what is piped."""
    if before is not None and before.mode is not Mode.REPLY:
        problem = f"nothing can follow {before.name}, it must be the last command"
        raise error_at(text, command.name_span, spec.name, problem)
    if spec.input is None or (before is not None and before.output is spec.input):
        return
    found = "nothing is" if before is None else f"{before.name}, which gives {before.output}, is"
    raise error_at(
        text,
        command.name_span,
        spec.name,
        f"expected {spec.input} from the pipe, but {found} piped into it",
        f"for example: {spec.example}",
    )


def _step(spec: CommandSpec, command: Command, text: str) -> Step:
    """Choose the first overload that fits; else blame the argument up to which the best one did."""
    count = len(command.arguments)
    faults: list[_Fault] = []
    for overload in spec.overloads:
        if len(overload.params) != count:
            continue
        fitted = _fit(overload, command, text)
        if not isinstance(fitted, _Fault):
            return make_step(spec, overload, fitted)
        faults.append(fitted)
    if not faults:
        raise _wrong_count(spec, command, text)
    fault = max(faults, key=lambda each: each.position)
    written = f"{spec.name} is written {spec.usage}" if len(spec.overloads) > 1 else ""
    hint = "; ".join(filter(None, (fault.hint, written)))
    subject = f"{command.name}, argument {fault.position + 1} ({fault.param.name})"
    raise error_at(text, command.arguments[fault.position].span, subject, fault.problem, hint)


def make_step(spec: CommandSpec, overload: Overload, arguments: tuple[object, ...]) -> Step:
    """Return what carries a command out, given arguments that fit an overload of it."""
    named = zip(overload.params, arguments, strict=True)
    stream_ids = tuple(str(value) for param, value in named if param.is_stream)
    return Step(spec, overload.handler, arguments, stream_ids)


class _Fault(msgspec.Struct, frozen=True):
    """The first argument that does not fit an overload, and why."""

    position: int
    param: Param
    problem: str
    hint: str


def _fit(overload: Overload, command: Command, text: str) -> tuple[object, ...] | _Fault:
    """Return the values of the arguments for the handler, or why they do not fit."""
    values = []
    for position, (param, literal) in enumerate(
        zip(overload.params, command.arguments, strict=True)
    ):
        key = (param.kind, type(literal))
        if key not in _VALUES:
            return _Fault(position, param, _problem(param, literal, text), _HINTS[key])
        value = _VALUES[key](literal.value)
        if not _allowed(param, value):
            return _Fault(position, param, _problem(param, literal, text), _near(param, value))
        values.append(value)
    return tuple(values)


def _allowed(param: Param, value: Any) -> bool:
    if param.choices:
        return value in param.choices
    if param.least is not None and value < param.least:
        return False
    return param.most is None or value <= param.most


def _problem(param: Param, literal: Literal, text: str) -> str:
    found = literal.value if isinstance(literal, String) else text[slice(*literal.span)]
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


def _wrong_count(spec: CommandSpec, command: Command, text: str) -> CommandError:
    """Say which argument is missing, or is too many for every overload."""
    count = len(command.arguments)
    counts = sorted({len(overload.params) for overload in spec.overloads})
    takes = " or ".join(map(str, counts)) if counts != [0] else "no"
    plural = "" if counts == [1] else "s"
    problem = f"{command.name} takes {takes} argument{plural}, found {count}"
    hint = f"it is written {spec.usage}, for example: {spec.example}"
    if count > counts[-1]:
        span = Span(command.arguments[counts[-1]].span.start, command.span.end)
        return error_at(text, span, f"{command.name}, argument {counts[-1] + 1}", problem, hint)
    end = command.span.end
    params = next(each.params for each in spec.overloads if len(each.params) > count)
    subject = f"{command.name}, argument {count + 1} ({params[count].name})"
    return error_at(text, Span(end, end), subject, f"it is missing: {problem}", hint)
