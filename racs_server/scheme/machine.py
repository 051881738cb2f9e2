"""The machine that runs compiled code, on Python's stack while it is shallow and on its own beyond.

Compiled code is made of nodes: Python functions from a frame to a value (see `nodes`). A node
evaluates its parts by calling them, so that shallow code runs at the speed of Python calls. Where
that cannot go on (the calls are too deep, a census is due, a control procedure such as ``call/cc``
wants the rest of the program) someone raises `Unwind`. On its way out every unfinished node adds
to it what it has left to do, as a pair *(resume, state)*, and the machine puts these on its own
stack, a linked list on the heap. From then on it goes on there: it calls the innermost ``resume``
with its state and the value that it was waiting for, and so on outwards. That list is the
continuation, and a program may have it and return to it as often as it likes.

Invariants
----------
- A node in tail position asks for a call by setting `Machine.body` and `frame` and returning
  `TAIL`; only the machine and nodes for calls that are not in tail position ever see that.
- States are never changed once they are on the stack, since they may be resumed more than once.
- `Unwind` and `SchemeError` pass through every node: nothing that must be undone hangs on a node.
"""

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from racs_server.scheme.census import measure
from racs_server.scheme.errors import NO_PAYLOAD, BudgetError, EvaluationError, SchemeError
from racs_server.scheme.meter import STACK_BYTES, Meter
from racs_server.scheme.printer import quoted
from racs_server.scheme.values import (
    NIL,
    CaseLambda,
    Closure,
    Condition,
    Continuation,
    Control,
    Env,
    Node,
    Parameter,
    Primitive,
    Singleton,
    String,
    Value,
    Values,
    from_list,
)

Run = TypeVar("Run", bound=Callable[..., Any])

TAIL: Final = Singleton("#<tail call>")

FORMS_PER_LEVEL: Final = 4
"""How deep forms may be within forms before a level of its own is counted for them."""

_LEVELS = 64
"""How many levels there are on Python's stack before the machine goes on on its own."""
_CALLS_PER_FORM = 4
"""Of Python: from a form's node to that of a part of it, at most (``let`` with definitions)."""
_CALLS_PER_LEVEL = FORMS_PER_LEVEL * _CALLS_PER_FORM + 4
"""Those of its forms, and of what counts the level: a call with many arguments, at most."""
_RESERVE = 150
"""Python calls left for what is resumed, for primitives, and for whoever handles an error."""
_ROOM = (512 << 10) // 8
"""Words of Python's stack, twice what so many calls take."""


class Unwind(BaseException):
    """Carries what unfinished nodes have left to do out to the machine.

    Parameters
    ----------
    then
        What the machine does when it has everything on its stack.
    meter
        Counts what is kept.
    """

    def __init__(self, then: Callable[[], Value], meter: Meter) -> None:
        super().__init__()
        self.then = then
        self.rest: list[tuple[Callable[[Any, Value], Value], Any]] = []
        self._meter = meter

    def save(self, resume: Callable[[Any, Value], Value], state: Any) -> None:
        """Add what the next node further out has left to do."""
        self._meter.room -= STACK_BYTES
        self.rest.append((resume, state))


def with_room_for_calls(function: Run) -> Run:
    """Have all that a function calls lie in one piece of Python's stack with it.

    That stack is made of pieces of 16 KiB, which are mapped when a call does not fit any more and
    unmapped when it returns: a program whose calls go to and fro across a border took up to five
    times as long. A piece has the size of its first frame, rounded up to a power of two: this one
    takes half of it, and touches nothing of that.
    """
    with suppress(ValueError):  # a Python that takes no such frame is only slower
        function.__code__ = function.__code__.replace(co_stacksize=_ROOM)
    return function


class Machine:
    """What runs: the stack, the dynamic environment, and the call that comes next.

    Parameters
    ----------
    meter
        Counts the steps.
    blame
        Tells an error as that of whom a stack is waiting for.

    Attributes
    ----------
    caller
        The call of the control procedure that is at work, if one is: where its errors are told.
    signalled
        The error that the innermost handler was last called for.
    """

    __slots__ = (
        "blame",
        "body",
        "builtins",
        "caller",
        "frame",
        "globals",
        "handlers",
        "levels",
        "meter",
        "roots",
        "signalled",
        "stack",
        "winds",
    )

    def __init__(self, meter: Meter, blame: Callable[[Any, SchemeError], None]) -> None:
        self.meter = meter
        self.blame = blame
        self.builtins: dict[str, Primitive] = {}
        self.roots: list[Any] = []
        self.globals: list[Any] = []
        self.reset()

    def reset(self) -> None:
        """Forget everything about an earlier run."""
        self.stack: Any = None
        self.winds: Any = None
        self.handlers: Any = None
        self.body: Node = _idle
        self.frame: Env = []
        self.levels = 0
        self.caller: Any = None
        self.signalled: SchemeError | None = None

    @with_room_for_calls
    def run(self, node: Node) -> Value:
        """Return the value of a top-level node."""
        self.reset()
        _make_room_for_calls()
        then: Callable[[], Value] = partial(node, [])
        while True:
            self.levels = _LEVELS
            try:
                value = then()
                while True:
                    while value is TAIL:
                        value = self.body(self.frame)
                    if self.stack is None:
                        return value
                    resume, state, self.stack = self.stack
                    value = resume(state, value)
            except Unwind as unwind:
                for resume, state in reversed(unwind.rest):
                    self.stack = (resume, state, self.stack)
                then = unwind.then
            except SchemeError as error:
                if error.place is None and not isinstance(error, BudgetError) and self.caller:
                    self.caller.blame_control(error)
                self.blame(self.stack, error)
                if self.handlers is None or isinstance(error, BudgetError):
                    raise
                then = partial(self._signal, error)

    def pause(self) -> None:
        """Look after the budgets and the depth before the call in `body` and `frame` is made."""
        if self.meter.fuel < 0:
            self.meter.refuel()
        if self.meter.room < 0:
            self.meter.attend()
        if self.meter.census_due or self.levels <= 0:
            raise Unwind(self._go_on, self.meter)

    def _go_on(self) -> Value:
        body, frame = self.body, self.frame
        if self.meter.census_due or self.meter.room < 0:
            roots = [self.stack, self.winds, self.handlers, frame, self.globals, *self.roots]
            self.meter.counted(self.meter.code + measure(roots))
        self.body, self.frame = body, frame
        return TAIL

    def finish(self, value: Value) -> Value:
        """Return the value of a call that is not in tail position."""
        if value is TAIL:
            if self.levels <= 0:
                self.pause()
            self.levels -= 1
            while value is TAIL:
                value = self.body(self.frame)
            self.levels += 1
        return value

    def apply(self, procedure: Value, arguments: list[Value]) -> Value:
        """Call any procedure: return its value, or `TAIL`."""
        if isinstance(procedure, Closure):
            self.body = procedure.body
            self.frame = frame_of(procedure, arguments)
            self.meter.fuel -= 1
            if self.meter.fuel < 0:
                self.pause()
            return TAIL
        if isinstance(procedure, Primitive):
            if not procedure.low <= len(arguments) <= procedure.high:
                raise wrong_count(procedure, len(arguments))
            if isinstance(procedure, Control):
                raise Unwind(partial(procedure.function, self, *arguments), self.meter)
            try:
                return procedure.function(*arguments)
            except SchemeError as error:
                error.name(procedure.name)
                raise
        return self._apply_other(procedure, arguments)

    def _apply_other(self, procedure: Value, arguments: list[Value]) -> Value:
        if isinstance(procedure, Continuation):
            value = arguments[0] if len(arguments) == 1 else Values(tuple(arguments))
            raise Unwind(partial(self.travel, procedure, lambda: value), self.meter)
        if isinstance(procedure, Parameter):
            if arguments:
                raise EvaluationError("a parameter takes no argument; parameterize changes it")
            return procedure.value
        if isinstance(procedure, CaseLambda):
            for closure in procedure.closures:
                if len(arguments) == closure.arity or (
                    closure.arity < 0 and len(arguments) >= closure.template.required
                ):
                    return self.apply(closure, arguments)
            raise EvaluationError(f"case-lambda: no clause takes {_arguments(len(arguments))}")
        raise EvaluationError(f"expected a procedure to call, got {quoted(procedure)}")

    # -- the dynamic environment

    def here(self) -> Continuation:
        """Return the continuation of the control procedure that is running."""
        return Continuation(self.stack, self.winds, self.handlers)

    def push(self, resume: Callable[[Any, Value], Value], state: Any) -> None:
        """Have something done with the value of what is done next, for the same caller."""
        self.meter.charge(STACK_BYTES)
        self.stack = (self._resume, (resume, state, self.caller), self.stack)

    def _resume(self, pushed: Any, value: Value) -> Value:
        resume, state, self.caller = pushed
        return resume(state, value)

    def travel(self, target: Continuation, then: Callable[[], Value]) -> Value:
        """Leave and enter what ``dynamic-wind`` guards on the way to a continuation, go on there.

        Parameters
        ----------
        target
            Where to go.
        then
            What to do there.
        """
        if self.winds is not target.winds:
            thunk, winds_during, winds_after = _next_wind(self.winds, target.winds)
            self.winds = winds_during
            self.push(self._arrive, (target, then, winds_after))
            return self.apply(thunk, [])
        self.stack = target.stack
        self.handlers = target.handlers
        return then()

    def _arrive(self, state: Any, _value: Value) -> Value:
        target, then, self.winds = state
        return self.travel(target, then)

    def restore_handlers(self, handlers: Any, value: Value) -> Value:
        """Return a value, out of the reach of some handlers."""
        self.handlers = handlers
        return value

    def _signal(self, error: SchemeError) -> Value:
        """Call the innermost handler for an error, which must not return."""
        payload = error.payload
        if payload is NO_PAYLOAD:
            payload = error.payload = Condition(String(error.problem), NIL, error.kind)
        self.signalled = error
        self.push(self._returned, (error, self.handlers[1]))
        return self.call_handler(payload)

    def _returned(self, state: Any, _value: Value) -> Value:
        """Raise an error again, further out, since a handler has returned from it."""
        error, self.handlers = state
        raise error

    def call_handler(self, payload: Value) -> Value:
        """Call the innermost handler, with the handlers outside it in force."""
        handler, outer = self.handlers
        self.push(self.restore_handlers, self.handlers)
        self.handlers = outer
        return self.apply(handler, [payload])


def _make_room_for_calls() -> None:
    """Let Python call as deep as the levels go, from here; its limit is never lowered."""
    depth = sum(1 for _ in traceback.walk_stack(None))
    wanted = depth + _LEVELS * _CALLS_PER_LEVEL + _RESERVE
    if sys.getrecursionlimit() < wanted:
        sys.setrecursionlimit(wanted)


def _idle(_frame: Env) -> Value:
    return NIL


def _next_wind(here: Any, there: Any) -> tuple[Value, Any, Any]:
    """Return the first guard to run on the way, and the winds during and after it.

    Winds are linked as *(before, after, outer, depth)*.
    """
    depth_here = here[3] if here else 0
    path = None
    while (there[3] if there else 0) > depth_here:
        path, there = there, there[2]
    if here is not there:
        return here[1], here[2], here[2]
    assert path is not None
    return path[0], path[2], path


def frame_of(closure: Closure, arguments: list[Value]) -> Env:
    """Return the frame in which a closure's body runs.

    Raises
    ------
    EvaluationError
        It does not take so many arguments.
    """
    template = closure.template
    count = len(arguments)
    if count == closure.arity:
        return [closure.env, *arguments]
    required = template.required
    if not template.rest or count < required:
        raise wrong_count(closure, count)
    return [closure.env, *arguments[:required], from_list(arguments[required:])]


def wrong_count(procedure: Value, count: int) -> EvaluationError:
    """Return the error for a call with so many arguments."""
    if isinstance(procedure, Closure):
        template = procedure.template
        name, parameters = template.name or "lambda", template.parameters
        low, high = template.required, -1 if template.rest else template.required
    else:
        name, parameters = procedure.name, procedure.parameters
        low, high = procedure.low, procedure.high
    if high == low:
        wanted = _arguments(low)
    elif high < 0 or high > 1000:
        wanted = f"at least {_arguments(low)}"
    else:
        wanted = f"{low} to {_arguments(high)}"
    error = EvaluationError(f"{name}: expected {wanted} {parameters}, got {count}")
    error.named = True
    return error


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"
