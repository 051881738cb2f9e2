"""What is done to runes-client, where there is one, as soon as it has been imported.

The package itself is never imported from here, so that a rune decides when that takes its time, and
with which variables set. All that is used of it is public: ``register_method``, ``set_name``,
``output`` and ``results`` of its module ``core``; what is missing is passed over.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from racs.runes.output import listen_to
from racs.runes.recording import guarded

_PACKAGE = "runes_client"
_CORE = "runes_client.core"
_OUTPUTS = ("output", "results")

Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]

_decorate: Decorate | None = None
_name: str | None = None


def rune_name() -> str | None:
    """Return the name that runes-client was told."""
    return _name


def wrap_registered(decorate: Decorate) -> None:
    """Have every function decorated that is registered from now on."""
    global _decorate
    _decorate = decorate


def watch_client() -> None:
    """Look at runes-client as soon as it is there; done once."""
    if _CORE in sys.modules:
        _change(sys.modules[_CORE])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def listen_to_client() -> None:
    """Listen to the objects by which runes-client answers; they may come late."""
    for module in (sys.modules.get(_CORE), sys.modules.get(_PACKAGE)):
        for name in _OUTPUTS:
            give = getattr(module, name, None)
            if callable(give):
                guarded(f"{_PACKAGE}.{name}()", lambda give=give: _listen(give()))  # type: ignore[misc]


def _listen(output: object) -> None:
    if output is not None:
        listen_to(type(output))


def _change(core: ModuleType) -> None:
    """Put functions that look on in the place of those that name and register a rune."""
    _replace(core, "register_method", _registering)
    _replace(core, "set_name", _naming)


def _replace(core: ModuleType, name: str, make: Callable[[Callable[..., Any]], Any]) -> None:
    original = getattr(core, name, None)
    if not callable(original) or hasattr(original, "__racs_runes__"):
        return
    looking = make(original)
    looking.__racs_runes__ = True
    for module in (core, sys.modules.get(_PACKAGE)):
        if getattr(module, name, None) is original:
            setattr(module, name, looking)


def _registering(original: Callable[..., Any]) -> Callable[..., Any]:
    def register_method(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        chosen = [method]
        if _decorate is not None:
            decorate = _decorate
            guarded("archive.install()", lambda: chosen.append(decorate(method)))
        return original(chosen[-1], *args, **kwargs)

    return register_method


def _naming(original: Callable[..., Any]) -> Callable[..., Any]:
    def set_name(name: str, *args: Any, **kwargs: Any) -> Any:
        global _name
        _name = str(name)
        return original(name, *args, **kwargs)

    return set_name


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the module as the others do, and has it looked at when it has been imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's spec, if it is the one that is waited for."""
        if name != _CORE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            _change_after(spec.loader)
        return spec


def _change_after(loader: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        guarded(_CORE, lambda: _change(module))

    loader.exec_module = exec_module
