"""Control: calls, continuations, several values, errors and promises.

Most of these work on the machine's stack: what they push is done with the value that comes next.
"""

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from racs_server.scheme.errors import EvaluationError
from racs_server.scheme.machine import Machine
from racs_server.scheme.meter import OBJECT_BYTES, STACK_BYTES, Meter
from racs_server.scheme.primitives.lists import elements
from racs_server.scheme.primitives.table import procedure, wrong
from racs_server.scheme.printer import quoted, type_name
from racs_server.scheme.values import (
    Condition,
    Control,
    Pair,
    Parameter,
    Promise,
    String,
    Value,
    Values,
    from_list,
)


@procedure("apply")
def _apply(machine: Machine, function: Value, *arguments: Value) -> Value:
    if not arguments:
        return machine.apply(function, [])
    last = elements(machine.meter, arguments[-1])
    return machine.apply(function, [*arguments[:-1], *last])


@procedure("values")
def _values(*items: Value) -> Value:
    return items[0] if len(items) == 1 else Values(items)


@procedure("call-with-values")
def _call_with_values(machine: Machine, producer: Value, consumer: Value) -> Value:
    def receive(_state: Any, value: Value) -> Value:
        items = value.items if isinstance(value, Values) else (value,)
        return machine.apply(consumer, list(items))

    machine.push(receive, consumer)
    return machine.apply(producer, [])


@procedure("call-with-current-continuation", "call/cc")
def _call_cc(machine: Machine, receiver: Value) -> Value:
    machine.meter.charge(STACK_BYTES)
    return machine.apply(receiver, [machine.here()])


call_with_escape = procedure("call-with-escape-continuation", "call/ec")(_call_cc)


@procedure("dynamic-wind")
def _dynamic_wind(machine: Machine, before: Value, thunk: Value, after: Value) -> Value:
    def entered(_state: Any, _value: Value) -> Value:
        outer = machine.winds
        machine.winds = (before, after, outer, outer[3] + 1 if outer else 1)
        machine.push(leaving, outer)
        return machine.apply(thunk, [])

    def leaving(outer: Any, value: Value) -> Value:
        machine.winds = outer
        machine.push(_give, value)
        return machine.apply(after, [])

    machine.push(entered, (before, thunk, after))
    return machine.apply(before, [])


def _give(value: Value, _ignored: Value) -> Value:
    return value


# -- errors


@procedure("with-exception-handler")
def _with_exception_handler(machine: Machine, handler: Value, thunk: Value) -> Value:
    machine.push(machine.restore_handlers, machine.handlers)
    machine.handlers = (handler, machine.handlers)
    return machine.apply(thunk, [])


@procedure("raise")
def _raise(obj: Value) -> Value:
    error = EvaluationError(_uncaught(obj), payload=obj)
    error.named = True
    raise error


def _uncaught(obj: Value) -> str:
    """Return how an object that was raised reads as a message."""
    if not isinstance(obj, Condition):
        return f"uncaught: {quoted(obj)}"
    message = obj.message.text if isinstance(obj.message, String) else quoted(obj.message)
    irritants: Iterable[Value] = obj.irritants if isinstance(obj.irritants, Pair) else ()
    return " ".join([message[:1000], *(quoted(item) for item in islice(irritants, 20))])


@procedure("raise-continuable")
def _raise_continuable(machine: Machine, obj: Value) -> Value:
    if machine.handlers is None:
        return _raise(obj)
    return machine.call_handler(obj)


@procedure("error")
def _error(meter: Meter, message: Value, *irritants: Value) -> Value:
    meter.charge(OBJECT_BYTES * (2 + len(irritants)))
    return _raise(Condition(message, from_list(irritants)))


@procedure("%assertion-failed")
def _assertion_failed(expression: Value) -> Value:
    error = EvaluationError(f"assertion failed: {quoted(expression)}")
    error.named = True
    raise error


@procedure("%guard")
def _guard(machine: Machine, clauses: Value, thunk: Value) -> Value:
    """Run a thunk; what it raises goes to the clauses, out here, which may raise it again there."""
    outside = machine.here()

    def handle(machine: Machine, obj: Value) -> Value:
        inside = machine.here()
        error, machine.signalled = machine.signalled, None

        def raise_it(machine: Machine) -> Value:
            if machine.handlers is None and error is not None and error.payload is obj:
                raise error
            machine.signalled = error
            return _raise_continuable(machine, obj)

        def again(machine: Machine) -> Value:
            return machine.travel(inside, lambda: raise_it(machine))

        def choose() -> Value:
            return machine.apply(clauses, [obj, _control("raise again", again, 0)])

        return machine.travel(outside, choose)

    handler = _control("guard", handle, 1)
    return _with_exception_handler(machine, handler, thunk)


def _control(name: str, function: Any, arity: int) -> Control:
    return Control(name, function, arity, arity, "(object)")


@procedure("error-object?", "condition?")
def _is_error_object(value: Value) -> bool:
    return isinstance(value, Condition)


def _condition(value: Value) -> Condition:
    if not isinstance(value, Condition):
        raise wrong("an error object", value)
    return value


@procedure("error-object-message", "condition/report-string")
def _message(error_object: Value) -> Value:
    return _condition(error_object).message


@procedure("error-object-irritants")
def _irritants(error_object: Value) -> Value:
    return _condition(error_object).irritants


@procedure("read-error?")
def _is_read_error(value: Value) -> bool:
    return isinstance(value, Condition) and value.kind == "read"


@procedure("file-error?")
def _is_file_error(value: Value) -> bool:
    return isinstance(value, Condition) and value.kind == "file"


# -- promises and parameters


@procedure("make-promise")
def _make_promise(meter: Meter, value: Value) -> Promise:
    meter.charge(2 * OBJECT_BYTES)
    return value if isinstance(value, Promise) else Promise(True, value)


@procedure("promise?")
def _is_promise(value: Value) -> bool:
    return isinstance(value, Promise)


@procedure("force")
def _force(machine: Machine, promise: Value) -> Value:
    """Return a promise's value; one that is a promise in its turn takes its place."""
    if not isinstance(promise, Promise):
        return promise
    done, content = promise.box
    if done:
        return content

    def receive(_state: Any, value: Value) -> Value:
        if not promise.box[0]:
            if not isinstance(value, Promise):
                value = Promise(True, value)
            promise.box[:] = value.box
            value.box = promise.box
        return _force(machine, promise)

    machine.push(receive, promise)
    return machine.apply(content, [])


@procedure("make-parameter")
def _make_parameter(machine: Machine, value: Value, converter: Value = False) -> Value:
    machine.meter.charge(OBJECT_BYTES)
    if converter is False:
        return Parameter(value, False)
    machine.push(_parameter_of, converter)
    return machine.apply(converter, [value])


def _parameter_of(converter: Value, value: Value) -> Parameter:
    return Parameter(value, converter)


@procedure("%parameter-converter")
def _converter(parameter: Value) -> Value:
    if not isinstance(parameter, Parameter):
        raise wrong("a parameter", parameter)
    return parameter.converter


@procedure("%swap-parameter!")
def _swap(parameter: Value, value: Value) -> Value:
    if not isinstance(parameter, Parameter):
        raise wrong("a parameter", parameter)
    old, parameter.value = parameter.value, value
    return old


@procedure("type-name")
def _type_name(value: Value) -> String:
    return String(type_name(value))


# -- time


@procedure("current-second")
def _current_second() -> float:
    return time.time()


@procedure("current-jiffy")
def _current_jiffy() -> int:
    return time.monotonic_ns() // 1000


@procedure("jiffies-per-second")
def _jiffies_per_second() -> int:
    return 1_000_000
