"""Expressions to nodes, ahead of their evaluation; every name is resolved here.

A form's compiler is a generator: it yields a `Task` for each part and is sent that part's node, so
that it reads like recursive code while `Compiler.compile` keeps the stack. Nothing in a program's
text, or in what its macros make of it, can therefore be nested too deep.

Knows neither which special forms there are (`Globals` hold them) nor what procedures do.
"""

import difflib
from collections.abc import Callable, Generator
from types import GeneratorType
from typing import Any, Final, NamedTuple, TypeAlias, cast

from racs_server.scheme import nodes
from racs_server.scheme.calls import QUICK, SMALL, Site, call, quick
from racs_server.scheme.errors import EvaluationError, FormError, Place, SchemeError, Source
from racs_server.scheme.machine import FORMS_PER_LEVEL, Machine
from racs_server.scheme.printer import quoted
from racs_server.scheme.scope import Alias, AnyScope, Globals, Local, Scope, Special, plain, resolve
from racs_server.scheme.syntax_rules import Macro, expand
from racs_server.scheme.values import (
    NIL,
    Cell,
    Node,
    Pair,
    Primitive,
    SourcePair,
    Symbol,
    Value,
)

_NODE_BYTES: Final = 400


class Task(NamedTuple):
    """An expression that is to be compiled.

    Parameters
    ----------
    expression, scope
        What, and what its names mean.
    tail
        Whether its value is the value of the procedure around it.
    offset
        Where it begins in the text.
    name
        What its value will be called.
    """

    expression: Value
    scope: AnyScope
    tail: bool
    offset: int
    name: str = ""


Steps: TypeAlias = Generator[Task, Node, Node]
Pieces: TypeAlias = tuple[list[Task], list[tuple[Any, Task]]]
"""What a definition in a body becomes: what to look at in its place, and names with values."""


class Form:
    """A special form in the text: its parts, and where they are.

    Parameters
    ----------
    compiler
        What compiles it.
    special
        Which form it is.
    task
        Where it was found.
    """

    def __init__(self, compiler: "Compiler", special: Special, task: Task) -> None:
        self.compiler = compiler
        self.name = special.name
        self.task = task
        self.scope = task.scope
        self.items: list[Value] = []
        self.offsets: list[int] = []
        rest = task.expression
        while isinstance(rest, Pair):
            self.items.append(rest.car)
            self.offsets.append(offset_of(rest, task.offset))
            rest = rest.cdr
        if rest is not NIL:
            raise self.error("ends with a dot")

    @property
    def globals(self) -> Globals:
        """The names at top level around the form."""
        scope = self.scope
        while isinstance(scope, Scope):
            scope = scope.outer
        return scope

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Value:
        return self.items[index]

    def part(self, index: int, tail: bool = False, name: str = "") -> Task:
        """Return the task of compiling one of the parts, counted from the form's name."""
        return Task(self.items[index], self.scope, tail, self.offsets[index], name)

    def count(self, low: int, high: int | None = None, syntax: str = "") -> None:
        """Check the number of parts, the form's name among them."""
        if len(self) < low or (high is not None and len(self) > high):
            raise self.error(f"is written {syntax}" if syntax else "has the wrong number of parts")

    def names(self, items: Value) -> list[Symbol | Alias]:
        """Return a list of names, which all of its elements must be."""
        found = list(items) if isinstance(items, Pair) else []
        if not all(isinstance(item, Symbol | Alias) for item in found):
            raise self.error("expected names only")
        return found

    def error(self, problem: str, index: int = 0) -> FormError:
        """Return an error about this form."""
        offset = self.offsets[index] if index else self.task.offset
        return self.compiler.error(f"{self.name} {problem}", self.task.expression, offset)

    def builtin(self, name: str) -> Primitive:
        """Return a procedure of the table, whatever its name means in the program."""
        return self.compiler.machine.builtins[name]

    def make(self, *items: Value, tail: Value = NIL) -> Value:
        """Return a list in the place of this form."""
        for item in reversed(items):
            tail = SourcePair(item, tail, self.task.offset)
        return tail


def offset_of(pair: Pair, otherwise: int) -> int:
    """Return where a pair's first element stands in the text."""
    return pair.offset if isinstance(pair, SourcePair) else otherwise


class Compiler:
    """Compiles the expressions of one text.

    Parameters
    ----------
    machine
        What will run the nodes.
    names
        The names at top level.
    source
        The text.
    """

    def __init__(self, machine: Machine, names: Globals, source: Source) -> None:
        self.machine = machine
        self.meter = machine.meter
        self.names = names
        self.source = source

    def compile(self, task: Task) -> Node:
        """Return the node of an expression.

        Raises
        ------
        FormError
            It is not an expression.
        """
        unfinished: list[Steps] = []
        result: Node | Steps = self._begin(task)
        while True:
            node: Any = None
            if isinstance(result, GeneratorType):
                unfinished.append(result)
            else:
                node = cast("Node", result)
                if not unfinished:
                    return cast("Node", node)
                if len(unfinished) % FORMS_PER_LEVEL == 0:
                    node = nodes.deep(self.machine, node)
            try:
                result = self._begin(unfinished[-1].send(node))
            except StopIteration as stop:
                unfinished.pop()
                result = stop.value

    def error(self, problem: str, expression: Value, offset: int) -> FormError:
        """Return an error about the text itself."""
        error = FormError(problem, Place(self.source, offset, expression))
        error.quotation = quoted(expression)
        return error

    def _begin(self, task: Task) -> Node | Steps:
        """Return the node of a simple expression, or the steps for one that has parts.

        A form that is another one in short is looked at again as that one.
        """
        while True:
            self.meter.keep(_NODE_BYTES)
            self.meter.spend(1)
            if not isinstance(task.expression, Pair):
                return self._simple(task)
            task, special = self.expand_head(task)
            if special is None:
                if isinstance(task.expression, Pair):
                    return self._call(task)
                continue
            result: Node | Steps | Value = special.compile(Form(self, special, task))
            if isinstance(result, GeneratorType) or callable(result):
                return result
            task = task._replace(expression=result)

    def _simple(self, task: Task) -> Node:
        """Return the node of a name or a constant."""
        expression = task.expression
        if isinstance(expression, Symbol | Alias):
            return self._variable(task)
        if expression is NIL:
            raise self.error("() is no expression; write '() for the empty list", NIL, task.offset)
        if expression.__class__ is int:
            self.meter.check_bits(expression.bit_length())
        return nodes.constant(expression)

    def expand_head(self, task: Task) -> tuple[Task, Special | None]:
        """Expand macros until the expression is none; return it and the special form it is."""
        while isinstance(task.expression, Pair):
            head = task.expression.car
            if isinstance(head, Special):
                return task, head
            if not isinstance(head, Symbol | Alias):
                break
            meaning = resolve(head, task.scope)
            if isinstance(meaning, Special):
                return task, meaning
            if not isinstance(meaning, Macro):
                break
            self.meter.spend(1)
            try:
                expression = expand(meaning, task.expression, task.scope, task.offset, self.meter)
            except SchemeError as error:
                if error.place is None:
                    error.place = Place(self.source, task.offset, task.expression)
                    error.quotation = quoted(task.expression)
                raise
            task = task._replace(expression=expression)
        return task, None

    # -- variables

    def _variable(self, task: Task) -> Node:
        meaning = resolve(task.expression, task.scope)
        place = Place(self.source, task.offset, task.expression)
        if isinstance(meaning, Local):
            if meaning.checked:
                return nodes.checked_local(meaning.depth, meaning.at, self.too_early(place))
            return nodes.local(meaning.depth, meaning.at)
        if isinstance(meaning, Cell):
            return nodes.global_variable(meaning, self.unbound(meaning, place))
        name = plain(task.expression).name
        raise self.error(f"{name} is syntax, not a variable", task.expression, task.offset)

    def unbound(self, cell: Cell, place: Place) -> Callable[[], EvaluationError]:
        """Return what makes the error for a variable without a value."""

        def complain() -> EvaluationError:
            name = cell.name[:60]
            names = {
                other
                for other in self.names.bound_names()
                if abs(len(other) - len(name)) < 3 and not other.startswith("%")
            }
            close = difflib.get_close_matches(name, sorted(names), 1, 0.7)
            hint = f"; did you mean {close[0].removesuffix('?')}?" if close else ""
            return EvaluationError(f"unbound variable: {cell.name}{hint}", place)

        return complain

    def too_early(self, place: Place) -> Callable[[], EvaluationError]:
        """Return what makes the error for a variable that is used before its definition."""
        name = plain(place.expression).name  # type: ignore[arg-type]

        def complain() -> EvaluationError:
            return EvaluationError(f"{name} is used before it is defined", place)

        return complain

    # -- calls

    def _call(self, task: Task) -> Steps:
        """``(procedure argument …)``."""
        parts: list[Node] = []
        rest = task.expression
        while isinstance(rest, Pair):
            offset = offset_of(rest, task.offset)
            parts.append((yield Task(rest.car, task.scope, False, offset)))
            rest = rest.cdr
        if rest is not NIL:
            raise self.error("a call ends with a dot", task.expression, task.offset)
        place = Place(self.source, task.offset, task.expression)
        head = task.expression.car
        meaning = resolve(head, task.scope) if isinstance(head, Symbol | Alias) else None
        cell = meaning if isinstance(meaning, Cell) else None
        site = Site(self.machine, parts, cell, task.tail, place)
        known = cell.value if cell and isinstance(cell.value, Primitive) else None
        if cell and known and len(parts) == 3 and known.name in QUICK and known.name == cell.name:
            return self._quick(task, site, cell)
        return call(site)

    def _quick(self, task: Task, site: Site, cell: Cell) -> Node:
        _, first, second = task.expression
        index, number = 0, None
        if isinstance(first, Symbol | Alias):
            meaning = resolve(first, task.scope)
            if isinstance(meaning, Local) and meaning.depth == 0 and not meaning.checked:
                index = meaning.at
        if second.__class__ is int and -SMALL < second < SMALL:
            number = second
        return quick(site, cell, cell.value, index, number)

    # -- bodies

    def body(self, form: Form, start: int, scope: Scope, tail: bool) -> Steps:
        """Compile what stands after the parameters: definitions, then expressions.

        Parameters
        ----------
        form
            The form whose body it is.
        start
            The first part of the body.
        scope
            The names in it, to which the body's definitions are added.
        tail
            Whether the last expression is in tail position.
        """
        if len(form) <= start:
            raise form.error("has no expression in its body")
        parameters = scope.size
        todo = [
            Task(item, scope, False, offset)
            for item, offset in zip(form.items[start:], form.offsets[start:], strict=True)
        ]
        steps = self._definitions(todo)
        made: list[Node] = []
        for number, (name, task) in enumerate(steps, 1):
            last = number == len(steps)
            node = yield task._replace(tail=tail and last and name is None)
            if name is not None:
                node = nodes.set_local(0, scope.names[name], node)
            made.append(node)
        whole = nodes.sequence(made) if made else nodes.constant(NIL)
        if scope.size > parameters:
            return nodes.body_with_definitions(scope.size - parameters, whole)
        return whole

    def _definitions(self, todo: list[Task]) -> list[tuple[Any, Task]]:
        """Return a body's parts in order, each with the name that it defines, or None.

        Macros are expanded as far as it takes to see what is a definition.
        """
        todo = todo[::-1]
        steps: list[tuple[Any, Task]] = []
        while todo:
            task, special = self.expand_head(todo.pop())
            if special is None or special.name not in DEFINING:
                steps.append((None, task))
                continue
            form = Form(self, special, task)
            spliced, defined = DEFINING[special.name](form)
            todo.extend(reversed(spliced))
            steps.extend(defined)
        return steps


DEFINING: Final[dict[str, Callable[[Form], Pieces]]] = {}
"""The forms that define names in a body; the forms' modules fill it."""
