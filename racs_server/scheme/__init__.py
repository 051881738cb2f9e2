"""A small Scheme: R7RS-small with budgets, as a library that knows nothing of streams.

Text becomes data (`reader`), data become nodes (`compiler`, with the forms in `core_forms`,
`macro_forms`, `derived_forms` and `library_forms`), and nodes are run (`machine`), all of it
counted (`meter`).

What is otherwise than in R7RS-small: there are no files, no processes and no input, so all ports
are in memory; all names are there without an ``import``, and `eval` has one environment, which is
that of the program; a continuation that was taken in one form at top level and is called in a later
one finishes its own form again, and then the program goes on after the later one; literal constants
can be changed, which R7RS calls an error. ``eq?`` is ``eqv?``.

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
