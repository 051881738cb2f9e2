"""Calls of procedures: the nodes that most time is spent in.

What is said in general at the end of `call` is written out here for one, two and three arguments,
and for the arithmetic and the comparisons of small integers. A call is made in one of two ways: in
tail position it is left to whoever waits for the value (`TAIL`), elsewhere it is run here.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from racs_server.scheme.errors import Place, SchemeError
from racs_server.scheme.machine import TAIL, Machine, Unwind
from racs_server.scheme.nodes import gather_rest
from racs_server.scheme.printer import quoted
from racs_server.scheme.values import (
    UNBOUND,
    Cell,
    Closure,
    Control,
    Env,
    Library,
    Node,
    Primitive,
    Value,
)

_PENDING: Final[Any] = object()


class Site:
    """One call in the text.

    Parameters
    ----------
    machine
        What runs it.
    nodes
        The procedure's node, and those of its arguments.
    cell
        The global variable that names the procedure, if one does.
    tail
        Whether it is in tail position.
    place
        Where it is.
    """

    __slots__ = ("_resume", "cell", "machine", "nodes", "place", "tail")

    def __init__(
        self, machine: Machine, nodes: Sequence[Node], cell: Cell | None, tail: bool, place: Place
    ) -> None:
        self.machine = machine
        self.nodes = nodes
        self.cell = cell
        self.tail = tail
        self.place = place
        self._resume = gather_rest(nodes, lambda _env, values: self.call(values[0], values[1:]))

    def interrupted(self, unwind: Unwind, env: Env, *values: Value) -> None:
        """Save the values that there are, up to the first that is pending."""
        done = tuple(value for value in values if value is not _PENDING)
        unwind.save(self._resume, (env, done))

    def call(self, procedure: Value, arguments: list[Value]) -> Value:
        """Call anything with anything: return its value, or `TAIL` in tail position."""
        try:
            if procedure is UNBOUND:
                self.nodes[0]([])
            if procedure.__class__ is Control:
                self.machine.caller = Caller(self, procedure)
            value = self.machine.apply(procedure, arguments)
        except SchemeError as error:
            raise self.blame(procedure, error) from None
        if value is TAIL and procedure.__class__ is Library and not self.place.source.hidden:
            return self._finish(procedure)
        if value is TAIL and not self.tail:
            return self.machine.finish(value)
        return value

    def _finish(self, procedure: Library) -> Value:
        """Wait for a procedure of the prelude, even in tail position, to tell its errors here."""
        try:
            return self.machine.finish(TAIL)
        except Unwind as unwind:
            unwind.save(self.returned, procedure)
            raise
        except SchemeError as error:
            raise self.blame_library(procedure, error) from None

    def returned(self, _procedure: Library, value: Value) -> Value:
        """Go on after a procedure of the prelude; the machine finds this on its stack as well."""
        return value

    def blame_library(self, procedure: Library, error: SchemeError) -> SchemeError:
        """Tell an error from inside a procedure of the prelude as its own."""
        if error.place is None or error.place.source.hidden:
            name = procedure.template.name
            error.rename(name.lstrip("%"))
            error.place = self.place
            error.quotation = "" if name[0] == "%" else self._quotation()
        return error

    def blame(self, procedure: Value, error: SchemeError) -> SchemeError:
        """Say in an error who complains, and where."""
        if isinstance(procedure, Primitive):
            error.name(procedure.name)
        if error.place is None:
            error.place = self.place
            error.quotation = self._quotation()
        return error

    def _quotation(self) -> str:
        """Return the call as messages quote it; a form's own call is nothing that was written."""
        expression: Any = self.place.expression
        return "" if isinstance(expression.car, Primitive) else quoted(expression)


class Caller(NamedTuple):
    """The call of a control procedure, which goes on after its node is done."""

    site: Site
    procedure: Control

    def blame_control(self, error: SchemeError) -> None:
        """Tell an error that came up in no other call as that of this one."""
        self.site.blame(self.procedure, error)


def blame_waiting(stack: Any, error: SchemeError) -> None:
    """Tell an error as that of the procedure of the prelude that a stack is waiting for."""
    while stack is not None and (error.place is None or error.place.source.hidden):
        resume, state, stack = stack
        if state.__class__ is Library:
            resume.__self__.blame_library(state, error)


def call(site: Site) -> Node:
    """``(procedure argument …)``."""
    maker = {2: _call_one, 3: _call_two, 4: _call_three}.get(len(site.nodes))
    if maker:
        return maker(site)
    nodes = site.nodes

    def node(env: Env) -> Value:
        values = []
        try:
            for part in nodes:
                value = part(env)
                values.append(value)
        except Unwind as unwind:
            site.interrupted(unwind, env, *values)
            raise
        return site.call(values[0], values[1:])

    return node


def _call_one(site: Site) -> Node:
    machine, meter, cell, tail = site.machine, site.machine.meter, site.cell, site.tail
    procedure, first = site.nodes

    def node(env: Env) -> Value:
        f = x = _PENDING
        try:
            f = procedure(env) if cell is None else cell.value
            x = first(env)
        except Unwind as unwind:
            site.interrupted(unwind, env, f, x)
            raise
        if f.__class__ is Closure and f.arity == 1:
            meter.fuel -= 1
            if tail:
                machine.body = f.body
                machine.frame = [f.env, x]
                if meter.fuel < 0:
                    machine.pause()
                return TAIL
            if meter.fuel < 0 or machine.levels <= 0:
                machine.body, machine.frame = f.body, [f.env, x]
                machine.pause()
            machine.levels -= 1
            value = f.body([f.env, x])
            while value is TAIL:
                value = machine.body(machine.frame)
            machine.levels += 1
            return value
        if f.__class__ is Primitive and f.low <= 1 <= f.high:
            try:
                return f.function(x)
            except SchemeError as error:
                raise site.blame(f, error) from None
        return site.call(f, [x])

    return node


def _call_two(site: Site) -> Node:
    machine, meter, cell, tail = site.machine, site.machine.meter, site.cell, site.tail
    procedure, first, second = site.nodes

    def node(env: Env) -> Value:
        f = x = y = _PENDING
        try:
            f = procedure(env) if cell is None else cell.value
            x = first(env)
            y = second(env)
        except Unwind as unwind:
            site.interrupted(unwind, env, f, x, y)
            raise
        if f.__class__ is Closure and f.arity == 2:
            meter.fuel -= 1
            if tail:
                machine.body = f.body
                machine.frame = [f.env, x, y]
                if meter.fuel < 0:
                    machine.pause()
                return TAIL
            if meter.fuel < 0 or machine.levels <= 0:
                machine.body, machine.frame = f.body, [f.env, x, y]
                machine.pause()
            machine.levels -= 1
            value = f.body([f.env, x, y])
            while value is TAIL:
                value = machine.body(machine.frame)
            machine.levels += 1
            return value
        if f.__class__ is Primitive and f.low <= 2 <= f.high:
            try:
                return f.function(x, y)
            except SchemeError as error:
                raise site.blame(f, error) from None
        return site.call(f, [x, y])

    return node


def _call_three(site: Site) -> Node:
    machine, meter, cell, tail = site.machine, site.machine.meter, site.cell, site.tail
    procedure, first, second, third = site.nodes

    def node(env: Env) -> Value:
        f = x = y = z = _PENDING
        try:
            f = procedure(env) if cell is None else cell.value
            x = first(env)
            y = second(env)
            z = third(env)
        except Unwind as unwind:
            site.interrupted(unwind, env, f, x, y, z)
            raise
        if f.__class__ is Closure and f.arity == 3:
            meter.fuel -= 1
            if tail:
                machine.body = f.body
                machine.frame = [f.env, x, y, z]
                if meter.fuel < 0:
                    machine.pause()
                return TAIL
            if meter.fuel < 0 or machine.levels <= 0:
                machine.body, machine.frame = f.body, [f.env, x, y, z]
                machine.pause()
            machine.levels -= 1
            value = f.body([f.env, x, y, z])
            while value is TAIL:
                value = machine.body(machine.frame)
            machine.levels += 1
            return value
        if f.__class__ is Primitive and f.low <= 3 <= f.high:
            try:
                return f.function(x, y, z)
            except SchemeError as error:
                raise site.blame(f, error) from None
        return site.call(f, [x, y, z])

    return node


# -- arithmetic and comparisons of two numbers, as long as their names mean what they say

QUICK: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
}
"""What Python does for these procedures when both arguments are integers."""

SMALL: Final = 1 << 62
"""Integers up to here are added and multiplied without a look at the budgets."""


def quick(site: Site, cell: Cell, primitive: Primitive, index: int, number: Value) -> Node:
    """``(+ x y)``, ``(< x 2)`` and the like.

    Parameters
    ----------
    site, cell, primitive
        The call, the variable that names the procedure, and what it was bound to.
    index
        Where the first argument is in the innermost frame, or 0 if it is not there.
    number
        The second argument, if it is a small integer; else None.
    """
    operate = QUICK[primitive.name]
    general = call(site)
    if number is None:
        return _quick_two(site, cell, primitive, operate, general)
    if index == 0:
        return _quick_constant(site, cell, primitive, number, general)

    def node(env: Env) -> Value:
        x = env[index]
        if x.__class__ is int and -SMALL < x < SMALL and cell.value is primitive:
            return operate(x, number)
        return general(env)

    return node


def _quick_constant(
    site: Site, cell: Cell, primitive: Primitive, number: int, general: Node
) -> Node:
    operate, first = QUICK[primitive.name], site.nodes[1]

    def node(env: Env) -> Value:
        if cell.value is not primitive:
            return general(env)
        try:
            x = first(env)
        except Unwind as unwind:
            site.interrupted(unwind, env, primitive)
            raise
        if x.__class__ is int and -SMALL < x < SMALL:
            return operate(x, number)
        return site.call(primitive, [x, number])

    return node


def _quick_two(
    site: Site,
    cell: Cell,
    primitive: Primitive,
    operate: Callable[[Any, Any], Any],
    general: Node,
) -> Node:
    first, second = site.nodes[1:]

    def node(env: Env) -> Value:
        if cell.value is not primitive:
            return general(env)
        x = _PENDING
        try:
            x = first(env)
            y = second(env)
        except Unwind as unwind:
            site.interrupted(unwind, env, primitive, x)
            raise
        if x.__class__ is int and y.__class__ is int and -SMALL < x < SMALL and -SMALL < y < SMALL:
            return operate(x, y)
        return site.call(primitive, [x, y])

    return node
