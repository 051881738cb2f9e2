"""EVAL: runs a program where the audio is."""

from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Output, Overload, Param, Value
from racs_server.errors import RequestError


def evaluate(context: Context, expression: str) -> Value:
    """Carry out EVAL."""
    if context.evaluator is None:
        raise RequestError(
            "EVAL is turned off on this server: its operator can turn it on with the setting"
            " eval_workers"
        )
    return context.evaluator.evaluate(context, expression)


SPECS = (
    CommandSpec(
        name="EVAL",
        doc="Evaluate Scheme, with the commands as procedures, and give the value of the last"
        " expression: a bool, int, float, string, list, vector, audio or file.",
        example='EVAL \'(encode (gain (range "chopin" 0 30) 0.8) "audio/wav")\'',
        overloads=(
            Overload((Param("expression", Kind.STRING, "Definitions, expressions."),), evaluate),
        ),
        output=Output.ANY,
        effect=Effect.READ,
        blocks=True,
        evaluates=True,
    ),
)
