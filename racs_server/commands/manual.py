"""HELP: what the command table says, for people."""

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param, closest
from racs_server.errors import RequestError


def help_all(context: Context) -> str:
    """Carry out HELP."""
    lines = [spec.usage + _also(spec) for spec in context.table]
    return "\n".join([*lines, "HELP 'name' tells more of one; |> pipes a result into the next."])


def help_one(context: Context, name: str) -> str:
    """Carry out HELP with a name."""
    spec = context.table.find(name.upper())
    if spec is None:
        guess = closest(name.upper(), context.table.names)
        suggestion = f"did you mean {guess}? " if guess else ""
        raise RequestError(
            f"HELP: there is no command {name[:40]!r}; {suggestion}the commands are"
            f" {', '.join(context.table.names)}"
        )
    return "\n".join(_describe(spec))


def _also(spec: CommandSpec) -> str:
    return f" (also {', '.join(spec.aliases)})" if spec.aliases else ""


def _describe(spec: CommandSpec) -> list[str]:
    """Return what is to be told of a command, line by line."""
    lines = [spec.usage, spec.doc]
    # overloads share parameters; each is explained once
    params = dict.fromkeys(param for overload in spec.overloads for param in overload.params)
    lines += [f"  {param.name} ({param.kind}): {param.doc}{_bounds(param)}" for param in params]
    taken = f"takes {spec.input} from the pipe, " if spec.input else ""
    if spec.when_piped is not None:
        taken = f"takes {spec.when_piped.input} from the pipe or nothing, "
    lines.append(f"It {taken}gives {spec.output}.")
    if spec.aliases:
        lines.append(f"Also named {', '.join(spec.aliases)}.")
    examples = [spec.example, *([spec.when_piped.example] if spec.when_piped else [])]
    return [*lines, *(f"Example: {example}" for example in examples)]


def _bounds(param: Param) -> str:
    if param.choices:
        return f" One of {', '.join(map(str, param.choices))}."
    if param.least is not None and param.most is not None:
        return f" From {param.least} to {param.most}."
    if param.least is not None:
        return f" At least {param.least}."
    return f" At most {param.most}." if param.most is not None else ""


SPECS = (
    CommandSpec(
        name="HELP",
        doc="Tell how all commands are written, or all about one.",
        example="HELP 'EXTRACT'",
        overloads=(
            Overload((), help_all),
            Overload((Param("name", Kind.STRING, "A command's name or alias."),), help_one),
        ),
        output=Output.STRING,
        effect=Effect.READ,
    ),
)
