"""What expressions become: Python functions from a frame to a value.

Each maker here takes the nodes of an expression's parts and returns the node of the whole. A frame
is a list whose first element is the frame outside it. What a node has left to do when one of its
parts is interrupted, it gives to the `Unwind` that passes through (see `machine`); the
``try`` that this takes costs nothing while nothing happens.
"""

from collections.abc import Callable, Sequence
from typing import Any

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.machine import Machine, Unwind
from racs_server.scheme.meter import OBJECT_BYTES, Meter
from racs_server.scheme.values import (
    UNBOUND,
    UNSPECIFIED,
    CaseLambda,
    Cell,
    Closure,
    Env,
    Node,
    Promise,
    Template,
    Value,
    Values,
    from_list,
)


def constant(value: Value) -> Node:
    """``42  "text"  (quote datum)``."""
    return lambda _env: value


# -- variables


def local(depth: int, index: int) -> Node:
    """``name``, a parameter of the procedure ``depth`` levels further out."""
    if depth == 0:
        return lambda env: env[index]
    if depth == 1:
        return lambda env: env[0][index]
    if depth == 2:
        return lambda env: env[0][0][index]

    def node(env: Env) -> Value:
        for _ in range(depth):
            env = env[0]
        return env[index]

    return node


def checked_local(depth: int, index: int, complain: Callable[[], EvaluationError]) -> Node:
    """``name``, defined in a body, where it might not have a value yet."""

    def near(env: Env) -> Value:
        value = env[0][index]
        if value is UNBOUND:
            raise complain()
        return value

    def node(env: Env) -> Value:
        value = fetch(env)
        if value is UNBOUND:
            raise complain()
        return value

    fetch = local(depth, index)
    return near if depth == 1 else node


def set_local(depth: int, index: int, value: Node) -> Node:
    """``(set! name value)``, and ``(define name value)`` in a body."""

    def resume(env: Env, new: Value) -> Value:
        for _ in range(depth):
            env = env[0]
        env[index] = new
        return UNSPECIFIED

    def node(env: Env) -> Value:
        try:
            new = value(env)
        except Unwind as unwind:
            unwind.save(resume, env)
            raise
        return resume(env, new)

    return node


def global_variable(cell: Cell, complain: Callable[[], EvaluationError]) -> Node:
    """``name``, defined at top level, now or later."""

    def node(_env: Env) -> Value:
        value = cell.value
        if value is UNBOUND:
            raise complain()
        return value

    return node


def set_global(cell: Cell, value: Node, complain: Callable[[], EvaluationError] | None) -> Node:
    """``(define name value)`` at top level, and ``(set! name value)``, which complains."""

    def resume(_env: Env, new: Value) -> Value:
        if complain and cell.value is UNBOUND:
            raise complain()
        cell.value = new
        return UNSPECIFIED

    def node(env: Env) -> Value:
        try:
            new = value(env)
        except Unwind as unwind:
            unwind.save(resume, env)
            raise
        return resume(env, new)

    return node


# -- choices and sequences


def branch(test: Node, then: Node, other: Node) -> Node:
    """``(if test then other)``."""

    def resume(env: Env, value: Value) -> Value:
        return other(env) if value is False else then(env)

    def node(env: Env) -> Value:
        try:
            value = test(env)
        except Unwind as unwind:
            unwind.save(resume, env)
            raise
        return other(env) if value is False else then(env)

    return node


def either(test: Node, other: Node) -> Node:
    """``(or test other)``."""

    def resume(env: Env, value: Value) -> Value:
        return other(env) if value is False else value

    def node(env: Env) -> Value:
        try:
            value = test(env)
        except Unwind as unwind:
            unwind.save(resume, env)
            raise
        return other(env) if value is False else value

    return node


def sequence(nodes: Sequence[Node]) -> Node:
    """``(begin first … last)``."""
    if len(nodes) == 1:
        return nodes[0]
    firsts, last = nodes[:-1], nodes[-1]

    def resume(state: Any, _value: Value) -> Value:
        env, done = state
        return go_on(env, done)

    def go_on(env: Env, done: int) -> Value:
        try:
            for step in firsts[done:]:
                done += 1
                step(env)
        except Unwind as unwind:
            unwind.save(resume, (env, done))
            raise
        return last(env)

    def node(env: Env) -> Value:
        done = 0
        try:
            for step in firsts:
                done += 1
                step(env)
        except Unwind as unwind:
            unwind.save(resume, (env, done))
            raise
        return last(env)

    return node


# -- several values, one after the other

Resume = Callable[[Any, Value], Value]


def gather_rest(nodes: Sequence[Node], then: Callable[[Env, list[Value]], Value]) -> Resume:
    """Return what goes on when one of several nodes was interrupted.

    It evaluates the nodes that are left, from left to right, and does something with all values.
    Its state is the frame and the values that there are already.
    """

    def resume(state: Any, value: Value) -> Value:
        env, done = state
        values = [*done, value]
        try:
            for node in nodes[len(values) :]:
                value = node(env)
                values.append(value)
        except Unwind as unwind:
            unwind.save(resume, (env, tuple(values)))
            raise
        return then(env, values)

    return resume


def let(inits: Sequence[Node], body: Node) -> Node:
    """``(let ((name init) …) body)``."""
    if len(inits) == 1:
        return _let_one(inits[0], body)
    resume = gather_rest(inits, lambda env, values: body([env, *values]))

    def node(env: Env) -> Value:
        frame = [env]
        try:
            for init in inits:
                value = init(env)
                frame.append(value)
        except Unwind as unwind:
            unwind.save(resume, (env, tuple(frame[1:])))
            raise
        return body(frame)

    return node


def _let_one(init: Node, body: Node) -> Node:
    def resume(env: Env, value: Value) -> Value:
        return body([env, value])

    def node(env: Env) -> Value:
        try:
            value = init(env)
        except Unwind as unwind:
            unwind.save(resume, env)
            raise
        return body([env, value])

    return node


def let_values(
    init: Node, required: int, rest: bool, body: Node, complain: Callable[[int], EvaluationError]
) -> Node:
    """``(let-values (((a b . rest) init)) body)``, one set of names."""

    def frame(env: Env, value: Value) -> Env:
        items = value.items if value.__class__ is Values else (value,)
        if len(items) < required or (len(items) > required and not rest):
            raise complain(len(items))
        tail = [from_list(items[required:])] if rest else []
        return [env, *items[:required], *tail]

    def resume(env: Env, value: Value) -> Value:
        return body(frame(env, value))

    def node(env: Env) -> Value:
        try:
            value = init(env)
        except Unwind as unwind:
            unwind.save(resume, env)
            raise
        return body(frame(env, value))

    return node


# -- procedures


def body_with_definitions(count: int, body: Node) -> Node:
    """Make room in the frame for so many names that are defined in a body."""
    blank = [UNBOUND] * count

    def node(env: Env) -> Value:
        return body(env + blank)

    return node


def lambda_(template: Template, meter: Meter) -> Node:
    """``(lambda (parameter …) body)``."""

    def node(env: Env) -> Value:
        meter.room -= size
        if meter.room < 0:
            meter.attend()
        return Closure(template, env)

    size = 3 * OBJECT_BYTES
    return node


def case_lambda(nodes: Sequence[Node]) -> Node:
    """``(case-lambda ((parameter …) body) …)``."""
    return lambda env: CaseLambda(tuple(node(env) for node in nodes))


def delay(node: Node, meter: Meter) -> Node:
    """``(delay-force expression)``; a thunk is a closure without parameters."""
    thunk = lambda_(Template("promise", 0, False, "()", node), meter)
    return lambda env: Promise(False, thunk(env))


# -- depth


def deep(machine: Machine, body: Node) -> Node:
    """Count a level for a node that is deep within others; go on on the heap when none is left."""

    def node(env: Env) -> Value:
        if machine.levels <= 0:
            machine.body, machine.frame = body, env
            machine.pause()
        machine.levels -= 1
        value = body(env)
        machine.levels += 1
        return value

    return node
