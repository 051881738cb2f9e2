"""What names mean while code is compiled.

A `Scope` is a set of names that share a frame at run time; the outermost is `Globals`. A macro's
template gives its own names, called aliases, to what it inserts: an alias that nothing binds means
what its symbol meant where the macro was defined. That is all that hygiene needs.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from racs_server.scheme.values import UNBOUND, Cell, Symbol, Value, intern


class Alias:
    """A name that a macro has inserted.

    Parameters
    ----------
    symbol
        How it is written in the template: a symbol, or an alias if a macro wrote the macro.
    scope
        Where the macro was defined.
    """

    __slots__ = ("scope", "symbol")

    def __init__(self, symbol: "Identifier", scope: "AnyScope") -> None:
        self.symbol = symbol
        self.scope = scope


Identifier: TypeAlias = Symbol | Alias


class Special:
    """A form that the compiler knows, such as ``if``."""

    __slots__ = ("compile", "name")

    def __init__(self, name: str, compile_form: Callable[..., Any]) -> None:
        self.name = name
        self.compile = compile_form


class Local(NamedTuple):
    """A variable in a frame.

    Parameters
    ----------
    depth
        How many frames further out.
    at
        Where in that frame.
    checked
        Whether it might not have a value yet.
    """

    depth: int
    at: int
    checked: bool


class Scope:
    """The names of one frame, or of no frame if it only holds macros.

    Parameters
    ----------
    outer
        The scope around it.
    names
        The variables, in the order of the frame.
    framed
        Whether there is a frame.
    """

    __slots__ = ("checked", "level", "names", "outer", "size")

    def __init__(
        self, outer: "AnyScope", names: Iterable[Identifier] = (), framed: bool = True
    ) -> None:
        self.outer = outer
        self.level: int = outer.level + framed
        self.names: dict[Identifier, Any] = {name: at for at, name in enumerate(names, 1)}
        self.size = len(self.names) + 1
        self.checked: set[int] = set()

    def add(self, name: Identifier) -> int:
        """Add a variable that is defined in the body; it has no value at first."""
        found = self.names.get(name)
        if isinstance(found, int) and found in self.checked:
            return found
        index = self.names[name] = self.size
        self.checked.add(index)
        self.size += 1
        return index


class Globals:
    """The names at top level; later ones may be laid over earlier ones, which stay as they are.

    Parameters
    ----------
    below
        Where to look for what is not defined here.

    Attributes
    ----------
    all_cells
        Its variables, and those of the libraries that were defined here.
    """

    __slots__ = ("all_cells", "below", "cells", "forms", "level", "libraries")

    def __init__(self, below: "Globals | None" = None) -> None:
        self.below = below
        self.level = 0
        self.cells: dict[Symbol, Cell] = {}
        self.forms: dict[Symbol, Any] = {}
        self.libraries: dict[tuple[Any, ...], dict[Symbol, Any]] = {}
        self.all_cells = [self.cells]

    def inside(self) -> "Globals":
        """Return the names inside a library that is defined here: these, and its own."""
        names = Globals(self)
        names.all_cells = self.all_cells
        self.all_cells.append(names.cells)
        return names

    def library(self, name: tuple[Any, ...]) -> dict[Symbol, Any] | None:
        """Return the names of a library with their meanings, or None if there is no such one."""
        layer: Globals | None = self
        while layer is not None:
            if name in layer.libraries:
                return layer.libraries[name]
            layer = layer.below
        return None

    def bind(self, name: Symbol, meaning: Any) -> None:
        """Give a name the meaning of another: a variable, a special form or a macro."""
        if isinstance(meaning, Cell):
            self.forms.pop(name, None)
            self.cells[name] = meaning
        else:
            self.forms[name] = meaning

    def define(self, name: str, value: Value) -> None:
        """Bind a name to a value."""
        symbol = intern(name)
        self.forms.pop(symbol, None)
        self.cell(symbol).value = value

    def form(self, symbol: Symbol) -> Any:
        """Return the special form or the macro of that name, or None."""
        layer: Globals | None = self
        while layer is not None:
            if symbol in layer.forms:
                return layer.forms[symbol]
            if symbol in layer.cells:
                return None
            layer = layer.below
        return None

    def cell(self, symbol: Symbol) -> Cell:
        """Return the variable of that name, which need not have a value yet."""
        cell = self.cells.get(symbol)
        if cell is None:
            value = self.below.cell_value(symbol) if self.below else UNBOUND
            cell = self.cells[symbol] = Cell(symbol.name, value)
        return cell

    def cell_value(self, symbol: Symbol) -> Value:
        """Return the value of a name without making a variable of it."""
        layer: Globals | None = self
        while layer is not None:
            if symbol in layer.cells:
                return layer.cells[symbol].value
            layer = layer.below
        return UNBOUND

    def bound_names(self) -> list[str]:
        """Return all names that have a value or a meaning."""
        names = self.below.bound_names() if self.below else []
        names.extend(
            symbol.name for symbol, cell in self.cells.items() if cell.value is not UNBOUND
        )
        names.extend(symbol.name for symbol in self.forms)
        return names


AnyScope: TypeAlias = Scope | Globals


def resolve(name: Identifier, scope: AnyScope) -> Any:
    """Return what a name means: a `Local`, a `Cell`, a `Special` or a macro."""
    level = scope.level
    while True:
        while isinstance(scope, Scope):
            found = scope.names.get(name)
            if found is not None:
                if isinstance(found, int):
                    return Local(level - scope.level, found, found in scope.checked)
                return found
            scope = scope.outer
        if isinstance(name, Symbol):
            return scope.form(name) or scope.cell(name)
        alias = name
        name, scope = alias.symbol, alias.scope


def plain(name: Identifier) -> Symbol:
    """Return the symbol that a name is written as."""
    while isinstance(name, Alias):
        name = name.symbol
    return name
