"""The special forms that are other forms in short: expressions to expressions.

What a form inserts are the forms and procedures themselves, not their names, so that a program may
use any name for what it likes.
"""

from collections.abc import Callable
from typing import Any

from racs_server.scheme.compiler import DEFINING, Form, Pieces
from racs_server.scheme.core_forms import FORMS, bindings, parameters, special
from racs_server.scheme.primitives.records import record_procedures
from racs_server.scheme.printer import quoted
from racs_server.scheme.scope import Alias, AnyScope, Local, Scope, Special, plain, resolve
from racs_server.scheme.syntax_rules import strip
from racs_server.scheme.values import (
    NIL,
    UNBOUND,
    UNSPECIFIED,
    Pair,
    RecordType,
    SourcePair,
    Symbol,
    Value,
    Vector,
    intern,
)

_BEGIN, _IF, _LAMBDA, _LET, _OR = (FORMS[name] for name in ("begin", "if", "lambda", "let", "or"))
_DEFINE, _SET, _QUOTE, _DELAY_FORCE = (
    FORMS[name] for name in ("define", "set!", "quote", "delay-force")
)
_TEMPORARY = intern("temporary")
_PARAMETERIZE = intern("%parameterize")


def _is(item: Value, name: str, scope: AnyScope) -> bool:
    """Return whether an item is an auxiliary word such as ``else``."""
    return (
        isinstance(item, Symbol | Alias)
        and plain(item).name == name
        and not isinstance(resolve(item, scope), Local)
    )


def _clauses(form: Form, start: int) -> list[Pair]:
    clauses = form.items[start:]
    for clause in clauses:
        if not isinstance(clause, Pair) or not (isinstance(clause.cdr, Pair) or clause.cdr is NIL):
            raise form.error(f"expected a clause in brackets, got {quoted(strip(clause))}")
    return clauses


# -- choices


@special("cond")
def _cond(form: Form) -> Value:
    """``(cond (test expression …) (test => receiver) (test) … (else expression …))``."""
    if len(form) == 1:
        return UNSPECIFIED
    clause = _clauses(form, 1)[0]
    more = form.task.expression.cdr.cdr
    others = form.make(FORMS["cond"], tail=more)
    if _is(clause.car, "else", form.scope):
        if more is not NIL:
            raise form.error("has clauses after else")
        return form.make(_BEGIN, tail=clause.cdr)
    if clause.cdr is NIL:
        return form.make(_OR, clause.car, others)
    if _is(clause.cdr.car, "=>", form.scope):
        return _with_test(form, clause.car, clause.cdr.cdr, others)
    return form.make(_IF, clause.car, form.make(_BEGIN, tail=clause.cdr), others)


def _with_test(form: Form, test: Value, receiver: Value, others: Value) -> Value:
    if not isinstance(receiver, Pair) or receiver.cdr is not NIL:
        raise form.error("expected one receiver after =>")
    value = Alias(_TEMPORARY, form.scope)
    chosen = form.make(receiver.car, value)
    return form.make(_LET, form.make(form.make(value, test)), form.make(_IF, value, chosen, others))


@special("case")
def _case(form: Form) -> Value:
    """``(case key ((datum …) expression …) ((datum …) => receiver) … (else …))``."""
    form.count(2, None, "(case key ((datum ...) expression ...) ...)")
    key = Alias(_TEMPORARY, form.scope)
    clauses = []
    for clause in _clauses(form, 2):
        body = clause.cdr
        if isinstance(body, Pair) and _is(body.car, "=>", form.scope):
            if not isinstance(body.cdr, Pair):
                raise form.error("expected one receiver after =>")
            body = form.make(form.make(body.cdr.car, key))
        if _is(clause.car, "else", form.scope):
            clauses.append(form.make(_ELSE, tail=body))
        else:
            data = form.make(_QUOTE, clause.car)
            clauses.append(form.make(form.make(form.builtin("memv"), key, data), tail=body))
    cond = form.make(FORMS["cond"], *clauses)
    return form.make(_LET, form.make(form.make(key, form[1])), cond)


_ELSE = intern("else")


@special("when")
def _when(form: Form) -> Value:
    """``(when test expression …)``."""
    form.count(3, None, "(when test expression ...)")
    return form.make(_IF, form[1], form.make(_BEGIN, tail=form.task.expression.cdr.cdr))


@special("unless")
def _unless(form: Form) -> Value:
    """``(unless test expression …)``."""
    form.count(3, None, "(unless test expression ...)")
    body = form.make(_BEGIN, tail=form.task.expression.cdr.cdr)
    return form.make(_IF, form[1], UNSPECIFIED, body)


# -- binding


@special("let*")
def _let_star(form: Form) -> Value:
    """``(let* ((name init) …) body)``."""
    form.count(3, None, "(let* ((name value) ...) body ...)")
    bindings(form, form[1], form.offsets[1])
    return _nested(form, _LET)


@special("let*-values")
def _let_star_values(form: Form) -> Value:
    """``(let*-values ((formals init) …) body)``."""
    form.count(3, None, "(let*-values ((formals value) ...) body ...)")
    return _nested(form, FORMS["let-values"])


def _nested(form: Form, inner: Special) -> Value:
    clauses = list(form[1]) if isinstance(form[1], Pair) else []
    expression = form.make(_LET, NIL, tail=form.task.expression.cdr.cdr)
    for clause in reversed(clauses):
        expression = form.make(inner, form.make(clause), expression)
    return expression


@special("letrec*")
def _letrec_star(form: Form) -> Value:
    """``(letrec* ((name init) …) body)``."""
    form.count(3, None, f"({form.name} ((name value) ...) body ...)")
    names, inits = bindings(form, form[1], form.offsets[1])
    parameters(form, form.make(*names))
    defines = [
        form.make(_DEFINE, name, tail=SourcePair(value, NIL, offset))
        for name, (value, offset) in zip(names, inits, strict=True)
    ]
    body = form.make(_LET, NIL, tail=form.task.expression.cdr.cdr)
    return form.make(_LET, NIL, *defines, body)


@special("letrec")
def _letrec(form: Form) -> Value:
    """``(letrec ((name init) …) body)``: no name has a value before all inits have theirs."""
    form.count(3, None, f"({form.name} ((name value) ...) body ...)")
    names, inits = bindings(form, form[1], form.offsets[1])
    if all(_is_lambda(form, value) for value, _ in inits):
        return form.make(FORMS["letrec*"], tail=form.task.expression.cdr)
    parameters(form, form.make(*names))
    defines = [form.make(_DEFINE, name, UNBOUND) for name in names]
    fresh = [Alias(name, form.scope) for name in names]
    first = [
        form.make(name, tail=SourcePair(value, NIL, offset))
        for name, (value, offset) in zip(fresh, inits, strict=True)
    ]
    then = [form.make(_SET, name, other) for name, other in zip(names, fresh, strict=True)]
    body = form.make(_LET, NIL, tail=form.task.expression.cdr.cdr)
    return form.make(_LET, NIL, *defines, form.make(_LET, form.make(*first), *then), body)


def _is_lambda(form: Form, value: Value) -> bool:
    head = value.car if isinstance(value, Pair) else None
    return isinstance(head, Symbol | Alias) and resolve(head, form.scope) is _LAMBDA


@special("do")
def _do(form: Form) -> Value:
    """``(do ((name init step) …) (test result …) command …)``."""
    form.count(3, None, "(do ((name init step) ...) (test result ...) command ...)")
    loop = Alias(_TEMPORARY, form.scope)
    starts, steps = [], []
    for item in form[1] if isinstance(form[1], Pair) else ():
        parts = list(item) if isinstance(item, Pair) else []
        if len(parts) not in (2, 3):
            raise form.error(f"expected (name init step), got {quoted(strip(item))}")
        starts.append(form.make(parts[0], parts[1]))
        steps.append(parts[-1] if len(parts) == 3 else parts[0])
    end = form[2]
    if not isinstance(end, Pair):
        raise form.error("expected (test result ...)")
    again = form.make(_BEGIN, *form.items[3:], form.make(loop, *steps))
    body = form.make(_IF, end.car, form.make(_BEGIN, tail=end.cdr), again)
    return form.make(_LET, loop, form.make(*starts), body)


# -- quasiquotation


@special("quasiquote")
def _quasiquote(form: Form) -> Value:
    """`` `(a ,b ,@c)``."""
    form.count(2, 2, "(quasiquote template)")
    return _template(form, form[1], 1)


def _template(form: Form, item: Value, depth: int) -> Value:
    """Return an expression that makes a template's value, one level of brackets at a time.

    What is further inside becomes a quasiquotation of its own, which is expanded in its turn.
    """
    if isinstance(item, Vector):
        parts = form.make(*item)
        return form.make(form.builtin("list->vector"), _inner(form, parts, depth))
    if not isinstance(item, Pair):
        return form.make(_QUOTE, item)
    change = _change(form, item)
    if change == -1 and depth == 1:
        return item.cdr.car
    if change:
        inside = _inner(form, item.cdr.car, depth + change)
        return form.make(form.builtin("list"), form.make(_QUOTE, item.car), inside)
    return _list_template(form, item, depth)


def _list_template(form: Form, item: Value, depth: int) -> Value:
    segments: list[Value] = []
    while isinstance(item, Pair) and not _change(form, item):
        part = item.car
        if isinstance(part, Pair) and _marked(form, part, "unquote-splicing"):
            if depth == 1:
                segments.append(part.cdr.car)
            else:
                inside = _inner(form, part.cdr.car, depth - 1)
                kept = form.make(form.builtin("list"), form.make(_QUOTE, part.car), inside)
                segments.append(form.make(form.builtin("list"), kept))
        else:
            segments.append(form.make(form.builtin("list"), _inner(form, part, depth)))
        item = item.cdr
    segments.append(_inner(form, item, depth))
    return form.make(form.builtin("append"), *segments)


def _inner(form: Form, item: Value, depth: int) -> Value:
    return form.make(_AT_DEPTH, item, depth)


def _at_depth(form: Form) -> Value:
    return _template(form, form[1], form[2])


_AT_DEPTH = Special("quasiquote", _at_depth)


def _marked(form: Form, item: Pair, name: str) -> bool:
    return _is(item.car, name, form.scope) and isinstance(item.cdr, Pair) and item.cdr.cdr is NIL


def _change(form: Form, item: Pair) -> int:
    """Return by how much a marked list changes the depth of quasiquotation."""
    if _marked(form, item, "unquote"):
        return -1
    return 1 if _marked(form, item, "quasiquote") else 0


# -- promises, parameters, errors


@special("delay")
def _delay(form: Form) -> Value:
    """``(delay expression)``."""
    form.count(2, 2, "(delay expression)")
    return form.make(_DELAY_FORCE, form.make(form.builtin("make-promise"), form[1]))


@special("cons-stream")
def _cons_stream(form: Form) -> Value:
    """``(cons-stream first rest)``."""
    form.count(3, 3, "(cons-stream first rest)")
    return form.make(form.builtin("cons"), form[1], form.make(FORMS["delay"], form[2]))


@special("parameterize")
def _parameterize(form: Form) -> Value:
    """``(parameterize ((parameter value) …) body)``."""
    form.count(3, None, "(parameterize ((parameter value) ...) body ...)")
    pairs = []
    for item in form[1] if isinstance(form[1], Pair) else ():
        parts = list(item) if isinstance(item, Pair) else []
        if len(parts) != 2:
            raise form.error(f"expected (parameter value), got {quoted(strip(item))}")
        pairs.append(form.make(form.builtin("cons"), *parts))
    thunk = form.make(_LAMBDA, NIL, tail=form.task.expression.cdr.cdr)
    return form.make(_PARAMETERIZE, form.make(form.builtin("list"), *pairs), thunk)


@special("guard")
def _guard(form: Form) -> Value:
    """``(guard (name clause …) body)``; the clauses are those of ``cond``."""
    form.count(3, None, "(guard (name clause ...) body ...)")
    if not isinstance(form[1], Pair) or not isinstance(form[1].car, Symbol | Alias):
        raise form.error("expected (name clause ...)")
    clauses = list(form[1].cdr) if isinstance(form[1].cdr, Pair) else []
    again = Alias(_TEMPORARY, form.scope)
    last = clauses[-1] if clauses else None
    if not (isinstance(last, Pair) and _is(last.car, "else", form.scope)):
        clauses.append(form.make(_ELSE, form.make(again)))
    choice = form.make(FORMS["cond"], *clauses)
    handler = form.make(_LAMBDA, form.make(form[1].car, again), choice)
    thunk = form.make(_LAMBDA, NIL, tail=form.task.expression.cdr.cdr)
    return form.make(form.builtin("%guard"), handler, thunk)


@special("assert")
def _assert(form: Form) -> Value:
    """``(assert expression)``."""
    form.count(2, 2, "(assert expression)")
    failed = form.make(form.builtin("%assertion-failed"), form.make(_QUOTE, form[1]))
    return form.make(_IF, form[1], UNSPECIFIED, failed)


# -- definitions of several names: a list of (name, expression) pairs

Definitions = list[tuple[Any, Value]]


def _define_values(form: Form) -> Definitions:
    """``(define-values (a b . rest) expression)``."""
    form.count(3, 3, "(define-values formals expression)")
    required, rest = parameters(form, form[1])
    names = [*required, rest] if rest else required
    if not names:
        return [(Alias(_TEMPORARY, form.scope), form[2])]
    fresh = {name: Alias(name, form.scope) for name in names}
    formals = form.make(*(fresh[name] for name in required), tail=fresh[rest] if rest else NIL)
    sets = [form.make(_SET, name, fresh[name]) for name in names[1:]]
    body = form.make(
        FORMS["let-values"], form.make(form.make(formals, form[2])), *sets, fresh[names[0]]
    )
    later = [(name, UNSPECIFIED) for name in names[1:]]
    return [*later, (names[0], body)]


def _define_record_type(form: Form) -> Definitions:
    """``(define-record-type name (maker field …) predicate (field accessor [modifier]) …)``."""
    syntax = "(define-record-type name (maker field ...) predicate (field accessor) ...)"
    form.count(4, None, syntax)
    type_name = form[1].car if isinstance(form[1], Pair) else form[1]
    fields = [list(item) if isinstance(item, Pair) else [item] for item in form.items[4:]]
    if not all(isinstance(part, Symbol | Alias) for field in fields for part in field):
        raise form.error(f"is written {syntax}")
    if not isinstance(type_name, Symbol | Alias) or any(len(field) > 3 for field in fields):
        raise form.error(f"is written {syntax}")
    record = RecordType(plain(type_name).name, tuple(plain(field[0]) for field in fields))
    maker = form[2]
    if isinstance(maker, Pair):
        chosen = [plain(name) for name in form.names(maker.cdr)]
        maker = maker.car
    else:
        chosen = list(record.fields)
    if set(chosen) - set(record.fields):
        raise form.error("has a maker with a field that is not one of its own")
    made = record_procedures(
        record,
        _word(maker),
        chosen,
        _word(form[3]),
        [[_word(name) for name in field] for field in fields],
        form.compiler.meter,
    )
    names = [maker, form[3], *(name for field in fields for name in field[1:])]
    defined = [(type_name, record), *zip(names, made, strict=True)]
    return [(name, value) for name, value in defined if isinstance(name, Symbol | Alias)]


def _word(name: Value) -> str:
    return plain(name).name if isinstance(name, Symbol | Alias) else ""


def _defining(name: str, define: Callable[[Form], Definitions]) -> None:
    def in_body(form: Form) -> Pieces:
        made = []
        for target, value in define(form):
            assert isinstance(form.scope, Scope)
            form.scope.add(target)
            task = form.task._replace(expression=value, name=plain(target).name)
            made.append((target, task))
        return [], made

    def at_top(form: Form) -> Value:
        if isinstance(form.scope, Scope):
            raise form.error("cannot stand here; definitions are at the beginning of a body")
        return form.make(
            _BEGIN, *(form.make(_DEFINE, target, value) for target, value in define(form))
        )

    FORMS[name] = Special(name, at_top)
    DEFINING[name] = in_body


_defining("define-values", _define_values)
_defining("define-record-type", _define_record_type)
