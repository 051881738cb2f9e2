"""The special forms that all others are made of, each next to its syntax.

A form is a generator that yields its parts to be compiled and returns its node, or a function that
returns the node or an expression in its place (see `derived_forms`).
"""

from collections.abc import Callable, Generator
from typing import Any, Final

from racs_server.scheme import nodes
from racs_server.scheme.compiler import DEFINING, Form, Pieces, Steps, Task
from racs_server.scheme.errors import EvaluationError, Place
from racs_server.scheme.machine import FORMS_PER_LEVEL
from racs_server.scheme.printer import quoted
from racs_server.scheme.scope import (
    Alias,
    Globals,
    Identifier,
    Local,
    Scope,
    Special,
    plain,
    resolve,
)
from racs_server.scheme.syntax_rules import strip
from racs_server.scheme.values import (
    NIL,
    UNSPECIFIED,
    Cell,
    Node,
    Pair,
    Sealed,
    SourcePair,
    Symbol,
    Template,
    Value,
)

FORMS: Final[dict[str, Special]] = {}
"""All special forms, by their names; the modules of forms fill it."""


def special(name: str) -> Callable[[Callable[[Form], Any]], Special]:
    """Enter a form in the table of special forms."""

    def enter(compile_form: Callable[[Form], Any]) -> Special:
        FORMS[name] = Special(name, compile_form)
        return FORMS[name]

    return enter


@special("quote")
def _quote(form: Form) -> Node:
    """``(quote datum)``."""
    form.count(2, 2, "(quote datum)")
    datum = form[1]
    return nodes.constant(datum.value if isinstance(datum, Sealed) else strip(datum))


@special("if")
def _if(form: Form) -> Steps:
    """``(if test then [else])``."""
    form.count(3, 4, "(if test then else)")
    test = yield form.part(1)
    then = yield form.part(2, form.task.tail)
    other = (yield form.part(3, form.task.tail)) if len(form) == 4 else nodes.constant(UNSPECIFIED)
    return nodes.branch(test, then, other)


@special("or")
def _or(form: Form) -> Steps:
    """``(or test …)``."""
    if len(form) == 1:
        return nodes.constant(False)
    made = yield from _parts(form)
    return _chain(form, nodes.either, made)


@special("and")
def _and(form: Form) -> Steps:
    """``(and test …)``."""
    if len(form) == 1:
        return nodes.constant(True)
    no = nodes.constant(False)
    made = yield from _parts(form)
    return _chain(form, lambda test, then: nodes.branch(test, then, no), made)


def _parts(form: Form) -> Generator[Task, Node, list[Node]]:
    """Compile all parts after the form's name, the last one in tail position if the form is."""
    made: list[Node] = []
    for index in range(1, len(form)):
        node = yield form.part(index, form.task.tail and index == len(form) - 1)
        made.append(node)
    return made


def _chain(form: Form, link: Callable[[Node, Node], Node], made: list[Node]) -> Node:
    """Link nodes from the last to the first, with levels of their own where there are many."""
    whole = made[-1]
    for number, node in enumerate(reversed(made[:-1]), 1):
        whole = link(node, whole)
        if number % FORMS_PER_LEVEL == 0:
            whole = nodes.deep(form.compiler.machine, whole)
    return whole


@special("begin")
def _begin(form: Form) -> Steps:
    """``(begin expression …)``."""
    if len(form) == 1:
        return nodes.constant(UNSPECIFIED)
    made = yield from _parts(form)
    return nodes.sequence(made)


@special("lambda")
def _lambda(form: Form) -> Steps:
    """``(lambda (a b) body)``  ``(lambda (a . rest) body)``  ``(lambda rest body)``."""
    form.count(3, None, "(lambda (parameter ...) body ...)")
    template = yield from procedure(form, form[1], 2, form.task.name)
    return nodes.lambda_(template, form.compiler.meter)


def procedure(form: Form, formals: Value, start: int, name: str = "") -> Any:
    """Compile a procedure's body in the scope of its parameters."""
    required, rest = parameters(form, formals)
    names = [*required, rest] if rest else required
    scope = Scope(form.scope, names)
    body = yield from form.compiler.body(form, start, scope, tail=True)
    return Template(name, len(required), rest is not None, quoted(strip(formals)), body)


def parameters(form: Form, formals: Value) -> tuple[list[Identifier], Identifier | None]:
    """Return the required parameters and the one for the rest, if there is one."""
    required: list[Any] = []
    while isinstance(formals, Pair):
        required.append(formals.car)
        formals = formals.cdr
    rest = None if formals is NIL else formals
    names = required if rest is None else [*required, rest]
    for name in names:
        if not isinstance(name, Symbol | Alias):
            raise form.error(f"expected the name of a variable, got {quoted(strip(name))}")
    if len(set(names)) < len(names):
        raise form.error("has two variables of one name")
    return required, rest


@special("case-lambda")
def _case_lambda(form: Form) -> Steps:
    """``(case-lambda ((parameter …) body) …)``."""
    made = []
    for clause, offset in zip(form.items[1:], form.offsets[1:], strict=True):
        if not isinstance(clause, Pair):
            raise form.error("has clauses of the form ((parameter ...) body ...)")
        expression = SourcePair(FORMS["lambda"], clause, offset)
        made.append((yield Task(expression, form.scope, False, offset, form.task.name)))
    return nodes.case_lambda(made)


@special("let")
def _let(form: Form) -> Any:
    """``(let ((name init) …) body)``  ``(let loop ((name init) …) body)``."""
    form.count(3, None, "(let ((name value) ...) body ...)")
    if isinstance(form[1], Symbol | Alias):
        return _named_let(form)
    return _plain_let(form)


def _plain_let(form: Form) -> Steps:
    names, inits = bindings(form, form[1], form.offsets[1])
    made = []
    for (value, offset), name in zip(inits, names, strict=True):
        made.append((yield Task(value, form.scope, False, offset, plain(name).name)))
    parameters(form, form.make(*names))
    body = yield from form.compiler.body(form, 2, Scope(form.scope, names), form.task.tail)
    return nodes.let(made, body)


def _named_let(form: Form) -> Value:
    form.count(4, None, "(let name ((variable value) ...) body ...)")
    names, inits = bindings(form, form[2], form.offsets[2])
    body = form.task.expression.cdr.cdr.cdr
    loop = form.make(FORMS["lambda"], form.make(*names), tail=body)
    define = form.make(FORMS["define"], form[1], loop)
    values: Value = NIL
    for value, offset in reversed(inits):
        values = SourcePair(value, values, offset)
    return form.make(form.make(FORMS["let"], NIL, define, form[1]), tail=values)


def bindings(
    form: Form, items: Value, offset: int
) -> tuple[list[Identifier], list[tuple[Value, int]]]:
    """Return the names and the values of ``((name value) …)``."""
    names: list[Identifier] = []
    inits: list[tuple[Value, int]] = []
    while isinstance(items, Pair):
        item = items.car
        good = isinstance(item, Pair) and isinstance(item.cdr, Pair) and item.cdr.cdr is NIL
        if not good or not isinstance(item.car, Symbol | Alias):
            raise form.error(f"expected (name value), got {quoted(strip(item))}")
        names.append(item.car)
        inits.append((item.cdr.car, getattr(item.cdr, "offset", offset)))
        items = items.cdr
    if items is not NIL:
        raise form.error("expected a list of (name value)")
    return names, inits


@special("set!")
def _set(form: Form) -> Steps:
    """``(set! name value)``."""
    form.count(3, 3, "(set! name value)")
    name = form[1]
    if not isinstance(name, Symbol | Alias):
        raise form.error("expected the name of a variable")
    value = yield form.part(2, name=plain(name).name)
    meaning = resolve(name, form.scope)
    if isinstance(meaning, Local):
        return nodes.set_local(meaning.depth, meaning.at, value)
    if not isinstance(meaning, Cell):
        raise form.error(f"cannot change {plain(name).name}, which is syntax")
    place = Place(form.compiler.source, form.offsets[1], name)
    return nodes.set_global(meaning, value, form.compiler.unbound(meaning, place))


# -- definitions


def definition(form: Form) -> tuple[Identifier, Task]:
    """Return what ``(define name value)`` or ``(define (name parameter …) body)`` defines."""
    form.count(2, None, "(define name value)")
    target = form[1]
    if isinstance(target, Pair):
        form.count(3, None, "(define (name parameter ...) body ...)")
        name = target.car
        body = form.task.expression.cdr.cdr
        value = form.make(FORMS["lambda"], target.cdr, tail=body)
        offset = form.task.offset
    else:
        form.count(2, 3, "(define name value)")
        name = target
        value = form[2] if len(form) == 3 else UNSPECIFIED
        offset = form.offsets[-1]
    if not isinstance(name, Symbol | Alias):
        raise form.error(f"expected a name, got {quoted(strip(name))}")
    return name, Task(value, form.scope, False, offset, plain(name).name)


@special("define")
def _define(form: Form) -> Steps:
    """``(define name value)``  ``(define (name parameter …) body)``."""
    name, task = definition(form)
    if not isinstance(form.scope, Globals):
        raise form.error("cannot stand here; definitions are at the beginning of a body")
    symbol = plain(name)
    form.scope.forms.pop(symbol, None)
    cell = form.scope.cell(symbol)
    value = yield task
    return nodes.set_global(cell, value, None)


def _define_in_body(form: Form) -> Pieces:
    name, task = definition(form)
    assert isinstance(form.scope, Scope)
    form.scope.add(name)
    return [], [(name, task)]


def _begin_in_body(form: Form) -> Pieces:
    return [form.part(index) for index in range(1, len(form))], []


DEFINING["define"] = _define_in_body
DEFINING["begin"] = _begin_in_body


# -- several values, promises


@special("let-values")
def _let_values(form: Form) -> Any:
    """``(let-values ((formals init) …) body)``."""
    form.count(3, None, "(let-values ((formals value) ...) body ...)")
    clauses = list(form[1]) if isinstance(form[1], Pair) else []
    if len(clauses) == 1:
        return _let_one_values(form, clauses[0])
    return _nest_values(form, clauses)


def _nest_values(form: Form, clauses: list[Value]) -> Value:
    """Bind fresh names one clause after the other, then all the real names at once."""
    renamed, inner = [], []
    for clause in clauses:
        formals, mapping = _renamed(form, clause)
        renamed.append(form.make(formals, tail=clause.cdr))
        inner += [form.make(name, fresh) for name, fresh in mapping]
    body = form.make(FORMS["let"], form.make(*inner), tail=form.task.expression.cdr.cdr)
    for clause in reversed(renamed):
        body = form.make(FORMS["let-values"], form.make(clause), body)
    return body


def _renamed(form: Form, clause: Value) -> tuple[Value, list[tuple[Identifier, Identifier]]]:
    if not isinstance(clause, Pair):
        raise form.error("expected (formals value)")
    required, rest = parameters(form, clause.car)
    mapping = [(name, Alias(name, form.scope)) for name in required]
    tail = Alias(rest, form.scope) if rest else NIL
    formals = form.make(*(fresh for _, fresh in mapping), tail=tail)
    if isinstance(tail, Alias) and rest:
        mapping.append((rest, tail))
    return formals, [(name, fresh) for name, fresh in mapping]


def _let_one_values(form: Form, clause: Value) -> Steps:
    if not isinstance(clause, Pair) or not isinstance(clause.cdr, Pair):
        raise form.error("expected (formals value)")
    required, rest = parameters(form, clause.car)
    init = yield Task(clause.cdr.car, form.scope, False, form.offsets[1])
    names = [*required, rest] if rest else required
    body = yield from form.compiler.body(form, 2, Scope(form.scope, names), form.task.tail)
    place = Place(form.compiler.source, form.task.offset, form.task.expression)

    def complain(count: int) -> EvaluationError:
        wanted = f"at least {len(required)}" if rest else f"{len(required)}"
        return EvaluationError(f"expected {wanted} values, got {count}", place)

    return nodes.let_values(init, len(required), rest is not None, body, complain)


@special("delay-force")
def _delay_force(form: Form) -> Steps:
    """``(delay-force expression)``, whose value is a promise."""
    form.count(2, 2, "(delay-force expression)")
    body = yield Task(form[1], Scope(form.scope), True, form.offsets[1])
    return nodes.delay(body, form.compiler.meter)
