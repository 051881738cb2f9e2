"""A parsed pipeline against the command table: everything that can be known before it runs.

Names, the number of arguments, their types and bounds, what is piped into what. Nothing of a
pipeline runs unless all of it passes; errors name the command and the argument, say what was
expected and what was found, and point into the text.
"""

import msgspec

from racs_server.commands.context import Context
from racs_server.commands.fitting import Fitted, fit
from racs_server.commands.piping import accepted
from racs_server.commands.spec import (
    CommandSpec,
    CommandTable,
    Handler,
    Mode,
    Output,
    Overload,
    Value,
    closest,
)
from racs_server.errors import CommandError
from racs_server.lang import Command, Pipeline, Span, error_at, quoted


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
        return self.handler(context, accepted(self.spec, piped), *self.arguments)


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
        if steps and spec.when_piped and _may_take(spec.when_piped, steps[-1].spec):
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
    if spec.input is None or (before is not None and _may_take(spec, before)):
        return
    found = "nothing is" if before is None else f"{before.name}, which gives {before.output}, is"
    raise error_at(
        text,
        command.name_span,
        spec.name,
        f"expected {spec.input} from the pipe, but {found} piped into it",
        f"for example: {spec.example}",
    )


def _may_take(spec: CommandSpec, before: CommandSpec) -> bool:
    return before.output in (spec.input, Output.ANY)


def _step(spec: CommandSpec, command: Command, text: str) -> Step:
    """Return what to do, or raise the error that points to the argument at fault."""
    arguments = [(each, text[slice(*each.span)]) for each in command.arguments]
    fitted = fit(spec, command.name, arguments)
    if isinstance(fitted, Fitted):
        return make_step(spec, fitted.overload, fitted.arguments)
    end = command.span.end
    span = Span(end, end)
    if fitted.position < len(command.arguments):
        span = command.arguments[fitted.position].span
        if not fitted.name:  # this one and all that follow are too many
            span = Span(span.start, end)
    subject = f"{command.name}, {fitted.subject}"
    raise error_at(text, span, subject, fitted.problem, fitted.hint)


def make_step(spec: CommandSpec, overload: Overload, arguments: tuple[object, ...]) -> Step:
    """Return what carries a command out, given arguments that fit an overload of it."""
    named = zip(overload.params, arguments, strict=True)
    stream_ids = tuple(str(value) for param, value in named if param.is_stream)
    return Step(spec, overload.handler, arguments, stream_ids)
