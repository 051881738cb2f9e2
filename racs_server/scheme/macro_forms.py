"""The forms that define macros, each next to its syntax; `syntax_rules` says what macros do."""

from racs_server.scheme import nodes
from racs_server.scheme.compiler import DEFINING, Form, Pieces, Steps
from racs_server.scheme.core_forms import bindings, special
from racs_server.scheme.errors import FormError
from racs_server.scheme.graphs import everything
from racs_server.scheme.printer import quoted
from racs_server.scheme.scope import (
    Alias,
    AnyScope,
    Globals,
    Identifier,
    Scope,
    Special,
    plain,
    resolve,
)
from racs_server.scheme.syntax_rules import Macro, check_depth, strip
from racs_server.scheme.values import UNSPECIFIED, Node, Pair, String, Symbol, Value, intern

_ELLIPSIS = intern("...")


@special("define-syntax")
def _define_syntax(form: Form) -> Node:
    """``(define-syntax name (syntax-rules …))``."""
    form.count(3, 3, "(define-syntax name (syntax-rules ...))")
    if not isinstance(form.scope, Globals):
        raise form.error("cannot stand here; definitions are at the beginning of a body")
    form.scope.forms[plain(form[1])] = transformer(form, form[2], form.scope)
    return nodes.constant(UNSPECIFIED)


def _define_syntax_in_body(form: Form) -> Pieces:
    form.count(3, 3, "(define-syntax name (syntax-rules ...))")
    assert isinstance(form.scope, Scope)
    form.scope.names[form[1]] = transformer(form, form[2], form.scope)
    return [], []


DEFINING["define-syntax"] = _define_syntax_in_body


def transformer(form: Form, rules: Value, scope: AnyScope) -> Macro | Special:
    """Return the macro that ``(syntax-rules (literal …) (pattern template) …)`` describes."""
    items = list(rules) if isinstance(rules, Pair) else []
    name = items[0] if items else rules
    meaning = resolve(name, form.scope) if isinstance(name, Symbol | Alias) else None
    if not items and isinstance(meaning, Macro | Special):
        return meaning
    if not isinstance(name, Symbol | Alias) or plain(name).name != "syntax-rules" or len(items) < 2:
        raise form.error("expected (syntax-rules (literal ...) (pattern template) ...)")
    ellipsis: Identifier | None = _ELLIPSIS
    if isinstance(items[1], Symbol | Alias):
        ellipsis = items.pop(1)
    else:
        ellipsis = _ellipsis_in(items) or ellipsis
    checked = [_rule(form, rule) for rule in items[2:]]
    literals = frozenset(items[1]) if isinstance(items[1], Pair) else frozenset()
    return Macro(None if ellipsis in literals else ellipsis, literals, checked, scope)


def _ellipsis_in(items: list[Value]) -> Identifier | None:
    """Return the alias of ``...`` if a macro's template wrote these rules."""
    for item in items:
        for part in everything(item):
            if isinstance(part, Alias) and plain(part) is _ELLIPSIS:
                return part
    return None


def _rule(form: Form, rule: Value) -> tuple[Value, Value]:
    parts = list(rule) if isinstance(rule, Pair) else []
    if len(parts) != 2 or not isinstance(parts[0], Pair):
        raise form.error(f"expected a rule (pattern template), got {quoted(strip(rule))}")
    for part in parts:
        try:
            check_depth(part)
        except FormError as error:
            raise form.error(f"has a rule that {error.problem}") from None
    return parts[0], parts[1]


@special("let-syntax")
def _let_syntax(form: Form) -> Steps:
    """``(let-syntax ((name (syntax-rules …)) …) body)``."""
    return _local_syntax(form, recursive=False)


@special("letrec-syntax")
def _letrec_syntax(form: Form) -> Steps:
    """``(letrec-syntax ((name (syntax-rules …)) …) body)``."""
    return _local_syntax(form, recursive=True)


def _local_syntax(form: Form, recursive: bool) -> Steps:
    form.count(3, None, f"({form.name} ((name (syntax-rules ...)) ...) body ...)")
    names, rules = bindings(form, form[1], form.offsets[1])
    scope = Scope(form.scope)
    for name, (value, _) in zip(names, rules, strict=True):
        scope.names[name] = transformer(form, value, scope if recursive else form.scope)
    body = yield from form.compiler.body(form, 2, scope, form.task.tail)
    return nodes.let([], body)


@special("syntax-error")
def _syntax_error(form: Form) -> Node:
    """``(syntax-error "message" datum …)``."""
    message = form[1].text if len(form) > 1 and isinstance(form[1], String) else ""
    details = " ".join(quoted(strip(item)) for item in form.items[2:])
    raise form.compiler.error(
        f"{message} {details}".strip(), form.task.expression, form.task.offset
    )
