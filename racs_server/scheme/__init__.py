"""A small Scheme: R7RS-small's core with budgets, as a library that knows nothing of streams.

Text becomes data (`reader`), data become nodes (`compiler`, with the forms in `core_forms`,
`derived_forms` and `syntax_rules`), and nodes are run (`machine`), all of it counted (`meter`).
"""

from racs_server.scheme.errors import (
    BudgetError,
    EvaluationError,
    FormError,
    ReadError,
    SchemeError,
    WrongTypeError,
)
from racs_server.scheme.interpreter import Interpreter
from racs_server.scheme.meter import Budgets, Meter

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
