"""The evaluator of the textbooks: it walks over the expression again each time it is evaluated.

Environments are dictionaries in dictionaries, looked up by name; a tail call is another turn of the
loop. It has no budgets, no places for errors, no macros, no continuations.
"""

import operator
from typing import Any

_PROCEDURES: dict[str, Any] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    "=": operator.eq,
    "modulo": operator.mod,
    "make-vector": lambda size, fill: [fill] * size,
    "vector-ref": operator.getitem,
    "vector-set!": operator.setitem,
    "string-append": operator.add,
    "string-length": len,
    "number->string": str,
}


class Environment(dict[str, Any]):
    """Names with their values, and the environment around them."""

    def __init__(self, names: Any, values: Any, outer: "Environment | None" = None) -> None:
        super().__init__(zip(names, values, strict=True))
        self.outer = outer

    def find(self, name: str) -> "Environment":
        """Return the innermost environment in which a name has a value."""
        environment: Environment | None = self
        while environment is not None:
            if name in environment:
                return environment
            environment = environment.outer
        raise NameError(name)


class Procedure:
    """What ``lambda`` makes."""

    def __init__(self, names: list[str], body: list[Any], environment: Environment) -> None:
        self.names = names
        self.body = body
        self.environment = environment


def read(text: str) -> list[Any]:
    """Return the expressions of a program as nested lists of names and numbers."""
    words = text.replace("(", " ( ").replace(")", " ) ").split()
    stack: list[list[Any]] = [[]]
    for word in words:
        if word == "(":
            stack.append([])
        elif word == ")":
            finished = stack.pop()
            stack[-1].append(finished)
        else:
            stack[-1].append(int(word) if word.lstrip("-").isdecimal() else word)
    return stack[0]


def evaluate(x: Any, environment: Environment) -> Any:
    """Return the value of an expression."""
    while True:
        if isinstance(x, str):
            return environment.find(x)[x]
        if not isinstance(x, list):
            return x
        if x[0] == "if":
            x = x[2] if evaluate(x[1], environment) is not False else x[3]
        elif x[0] == "define":
            (name, *names), body = x[1], x[2:]
            environment[name] = Procedure(names, body, environment)
            return None
        elif x[0] == "begin":
            for part in x[1:-1]:
                evaluate(part, environment)
            x = x[-1]
        else:
            procedure, *values = [evaluate(part, environment) for part in x]
            if not isinstance(procedure, Procedure):
                return procedure(*values)
            environment = Environment(procedure.names, values, procedure.environment)
            x = ["begin", *procedure.body]


def run(text: str) -> Any:
    """Return the value of a program's last expression."""
    environment = Environment(_PROCEDURES, _PROCEDURES.values())
    value = None
    for expression in read(text):
        value = evaluate(expression, environment)
    return value
