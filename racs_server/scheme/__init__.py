"""A small Scheme: R7RS-small's core with budgets, as a library that knows nothing of streams.

Text becomes data (`reader`), data become nodes (`compiler`, with the forms in `core_forms`,
`derived_forms` and `syntax_rules`), and nodes are run (`machine`), all of it counted (`meter`).

The interpreter is imported when it is first asked for: a process that only has others evaluate
needs no more than the budgets and the errors.
"""

from typing import TYPE_CHECKING, Any

from racs_server.scheme.errors import (
    BudgetError,
    EvaluationError,
    FormError,
    ReadError,
    SchemeError,
    WrongTypeError,
)
from racs_server.scheme.meter import Budgets, Meter

if TYPE_CHECKING:
    from racs_server.scheme.interpreter import Interpreter

__all__ = [
    "BudgetError",
    "Budgets",
    "EvaluationError",
    "FormError",
    "Interpreter",
    "Meter",
    "ReadError",
    "SchemeError",
    "WrongTypeError",
]


def __getattr__(name: str) -> Any:
    if name != "Interpreter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from racs_server.scheme.interpreter import Interpreter

    return Interpreter
