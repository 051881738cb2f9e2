"""Libraries: ``import``, ``define-library`` and ``cond-expand``.

All names of the standard libraries are there from the beginning, so importing one of them only
checks that there is such a library. A program's own libraries have variables of their own; what is
imported are these variables, under the names that the importer chooses.
"""

from typing import Any, Final

from racs_server.scheme import nodes
from racs_server.scheme.compiler import DEFINING, Form, Pieces, Steps, Task
from racs_server.scheme.core_forms import FORMS, special
from racs_server.scheme.errors import FormError
from racs_server.scheme.printer import quoted
from racs_server.scheme.scope import Alias, Globals, plain
from racs_server.scheme.syntax_rules import check_depth, strip
from racs_server.scheme.values import UNSPECIFIED, Node, Pair, Symbol, Value, intern

FEATURES: Final = ("r7rs", "exact-closed", "exact-complex", "ieee-float", "full-unicode", "ratios")

# What needs files, a process or an environment to evaluate in is missing from its library here.
_STANDARD: Final = {
    *(
        ("scheme", name)
        for name in [
            "base",
            "case-lambda",
            "char",
            "complex",
            "cxr",
            "eval",
            "file",
            "inexact",
            "lazy",
            "load",
            "process-context",
            "r5rs",
            "read",
            "repl",
            "time",
            "write",
        ]
    ),
    *(("srfi", number) for number in (0, 1, 2, 6, 8, 9, 11, 16, 23, 30, 39, 45, 46, 62, 87)),
}


def _words(item: Value) -> list[Value]:
    return list(strip(item)) if isinstance(item, Pair) else []


def _checked(form: Form, item: Value) -> Value:
    """Return an import set or a requirement of which no part is nested too deep."""
    try:
        check_depth(item)
    except FormError as error:
        raise form.error(f"has a part that {error.problem}") from None
    return strip(item)


def _library_name(form: Form, item: Value) -> tuple[Any, ...]:
    """Return a library's name, such as ``(scheme base)``, as a tuple."""
    words = _words(item)
    if not words or not all(isinstance(word, Symbol | int) for word in words):
        raise form.error(f"expected the name of a library, got {quoted(strip(item))}")
    return tuple(word.name if isinstance(word, Symbol) else word for word in words)


def _is_known(form: Form, name: tuple[Any, ...]) -> bool:
    return name in _STANDARD or form.globals.library(name) is not None


# -- import


def _imported(form: Form, item: Value) -> dict[Symbol, Any]:
    """Return what an import set brings: names with their variables or their syntax.

    A standard library as a whole brings nothing, since its names are there already.
    """
    words = _words(item)
    kind = words[0].name if words and isinstance(words[0], Symbol) else ""
    if kind not in _MODIFIERS or len(words) < 2 or not isinstance(words[1], Pair):
        name = _library_name(form, item)
        if not _is_known(form, name):
            raise form.error(f"finds no library {quoted(strip(item))}")
        return form.globals.library(name) or _Everything(form.globals)
    return _MODIFIERS[kind](form, _imported(form, words[1]), words[2:])


class _Everything(dict[Symbol, Any]):
    """The names of a standard library: whatever is asked for."""

    def __init__(self, names: Globals) -> None:
        self.names = names

    def __missing__(self, name: Symbol) -> Any:
        return self.names.form(name) or self.names.cell(name)


def _chosen(form: Form, found: dict[Symbol, Any], name: Value) -> Any:
    if not isinstance(name, Symbol) or (name not in found and not isinstance(found, _Everything)):
        raise form.error(f"finds no {quoted(name)} in the library")
    return found[name]


def _only(form: Form, found: dict[Symbol, Any], words: list[Value]) -> dict[Symbol, Any]:
    return {word: _chosen(form, found, word) for word in words}


def _except(form: Form, found: dict[Symbol, Any], words: list[Value]) -> dict[Symbol, Any]:
    for word in words:
        _chosen(form, found, word)
    if isinstance(found, _Everything):
        return {}
    return {name: meaning for name, meaning in found.items() if name not in words}


def _prefix(form: Form, found: dict[Symbol, Any], words: list[Value]) -> dict[Symbol, Any]:
    if len(words) != 1 or not isinstance(words[0], Symbol):
        raise form.error("is written (import (prefix set name))")
    if isinstance(found, _Everything):
        found = {name: found[name] for name in map(intern, found.names.bound_names())}
    return {intern(words[0].name + name.name): meaning for name, meaning in found.items()}


def _rename(form: Form, found: dict[Symbol, Any], words: list[Value]) -> dict[Symbol, Any]:
    pairs = [_words(word) for word in words]
    if not all(len(pair) == 2 and isinstance(pair[1], Symbol) for pair in pairs):
        raise form.error("is written (import (rename set (name name) ...))")
    others = _except(form, found, [pair[0] for pair in pairs])
    return others | {pair[1]: _chosen(form, found, pair[0]) for pair in pairs}


_MODIFIERS = {"only": _only, "except": _except, "prefix": _prefix, "rename": _rename}


@special("import")
def _import(form: Form) -> Node:
    """``(import (library name) (only set name …) (prefix set name) …)``."""
    for item in form.items[1:]:
        for name, meaning in dict(_imported(form, _checked(form, item))).items():
            form.globals.bind(name, meaning)
    return nodes.constant(UNSPECIFIED)


# -- define-library


@special("define-library")
def _define_library(form: Form) -> Steps:
    """``(define-library (name) (export name …) (import set …) (begin definition …) …)``."""
    form.count(2, None, "(define-library name declaration ...)")
    name = _library_name(form, form[1])
    if name in _STANDARD:
        raise form.error(f"cannot define {quoted(strip(form[1]))}, which is a standard library")
    inside = form.globals.inside()
    exports: list[Value] = []
    made = [nodes.constant(UNSPECIFIED)]
    for item, offset in zip(form.items[2:], form.offsets[2:], strict=True):
        kind = item.car if isinstance(item, Pair) else None
        word = plain(kind).name if isinstance(kind, Symbol | Alias) else ""
        if word == "export":
            exports += _words(item)[1:]
        elif word in ("import", "begin", "cond-expand"):
            expression = form.make(FORMS[word], tail=item.cdr)
            made.append((yield Task(expression, inside, False, offset)))
        else:
            raise form.error(f"has no declaration {quoted(strip(item))}")
    form.globals.libraries[name] = dict(_export(form, inside, item) for item in exports)
    return nodes.sequence(made)


def _export(form: Form, inside: Globals, item: Value) -> tuple[Symbol, Any]:
    """Return the name and the meaning of what ``name`` or ``(rename name outside)`` exports."""
    words = _words(item)[1:] or [item, item]
    if len(words) != 2 or not all(isinstance(word, Symbol) for word in words):
        raise form.error(f"cannot export {quoted(item)}")
    return words[1], inside.form(words[0]) or inside.cell(words[0])


# -- cond-expand


def _holds(form: Form, requirement: Value) -> bool:
    if isinstance(requirement, Symbol):
        return requirement.name == "else" or requirement.name in FEATURES
    words = _words(requirement)
    kind = words[0].name if words and isinstance(words[0], Symbol) else ""
    if kind == "library" and len(words) == 2:
        return _is_known(form, _library_name(form, words[1]))
    if kind == "not" and len(words) == 2:
        return not _holds(form, words[1])
    if kind == "and":
        return all(_holds(form, word) for word in words[1:])
    if kind == "or":
        return any(_holds(form, word) for word in words[1:])
    raise form.error(f"knows no requirement {quoted(requirement)}")


def _chosen_clause(form: Form) -> Value:
    for clause in form.items[1:]:
        if not isinstance(clause, Pair):
            raise form.error("has clauses of the form (requirement expression ...)")
        if _holds(form, _checked(form, clause.car)):
            return form.make(FORMS["begin"], tail=clause.cdr)
    return form.make(FORMS["begin"])


@special("cond-expand")
def _cond_expand(form: Form) -> Value:
    """``(cond-expand (requirement expression …) …)``, with (and …) (or …) (not …) (library …)."""
    return _chosen_clause(form)


def _cond_expand_in_body(form: Form) -> Pieces:
    return [form.task._replace(expression=_chosen_clause(form))], []


DEFINING["cond-expand"] = _cond_expand_in_body
