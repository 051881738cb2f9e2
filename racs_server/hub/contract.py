"""What a rune says of its function, and whether values fit it: pure.

A contract is what ``POST compute/contract/`` brings. From a page come values by the names of the
parameters; what is sent to the rune has the types of the contract, since the client never casts.

===================  ===============================  ==========================
type                 a value                          missing default
===================  ===============================  ==========================
``bool``             true or false                    false
``int``              a whole number (``5.0`` too)     0
``float``            a finite number                  0.0
``str``              text                             ""
``RunesFilePath``    `Upload`, `Excerpt` or nothing   null
===================  ===============================  ==========================

A slider's least and greatest value and a choice's options bound a value; a slider's step does not:
it is how the slider moves.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from racs_server.errors import RequestError

MAX_PARAMS = 12
MAX_PARAM_NAME = 36
FILE_PATH = "RunesFilePath"
_SLIDER = "runesnumberslider"
_CHOICE = "runesmultichoice"


class Param(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parameter of a rune's function."""

    name: str
    type: str
    default_value: Any = None
    ui_component: str | None = None
    min: float | int | None = None
    max: float | int | None = None
    step: float | int | None = None
    options: list[Any] | None = None

    @property
    def default(self) -> Any:
        """Its value where none is given."""
        missing = self.default_value is None
        return TYPES[self.type].missing if missing else self.default_value


class Contract(msgspec.Struct, frozen=True):
    """What a rune offers."""

    method_name: str
    params: list[Param] = []
    author: str = ""
    name: str = ""
    description: str = ""
    version: str = ""

    @property
    def title(self) -> str:
        """The rune's name, for people and for the archive."""
        return self.name or self.method_name


class Upload(msgspec.Struct, frozen=True):
    """A file that was uploaded."""

    upload: str


class Excerpt(msgspec.Struct, frozen=True):
    """A stream of the archive, or sample frames `start` up to but without `stop` of it."""

    stream: str
    start: int = 0
    stop: int | None = None


FileValue = Upload | Excerpt


class _Type(msgspec.Struct, frozen=True):
    missing: Any
    expected: str


TYPES = {
    "bool": _Type(False, "true or false"),
    "int": _Type(0, "a whole number"),
    "float": _Type(0.0, "a number"),
    "str": _Type("", "text"),
    FILE_PATH: _Type(
        None, 'a file: {"upload": id}, {"stream": id, "start": frame, "stop": frame}, or null'
    ),
}
"""The types that parameters can have."""


def read_contract(data: object) -> Contract:
    """Return the contract that a rune has sent.

    Raises
    ------
    RequestError
        It is none; says what is wrong with it.
    """
    try:
        contract = msgspec.convert(data, Contract)
    except msgspec.ValidationError as error:
        raise RequestError(f"this is no contract of a rune: {error}") from None
    if len(contract.params) > MAX_PARAMS:
        raise RequestError(
            f"{contract.method_name} has {len(contract.params)} parameters; a rune has at most"
            f" {MAX_PARAMS}"
        )
    for param in contract.params:
        if param.type not in TYPES:
            raise RequestError(
                f"parameter {param.name!r} is a {param.type!r}; parameters are annotated with"
                f" {', '.join(TYPES)}"
            )
        if len(param.name) > MAX_PARAM_NAME:
            raise RequestError(
                f"parameter {param.name!r}: names have at most {MAX_PARAM_NAME} characters"
            )
    return contract


def check_values(contract: Contract, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter, in its type.

    Parameters
    ----------
    contract
        The rune's.
    values
        By parameter, not more than there are; those that are left out get their defaults.

    Returns
    -------
    dict
        In the contract's order; those of `FILE_PATH` are `FileValue` or None.

    Raises
    ------
    RequestError
        One does not fit; names it and says what does.
    """
    names = [param.name for param in contract.params]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise RequestError(
            f"{contract.title} has no parameter {unknown[0]!r}; it has {', '.join(names) or 'none'}"
        )
    return {
        param.name: _check(param, values.get(param.name, param.default))
        for param in contract.params
    }


def _check(param: Param, value: Any) -> Any:
    found = _typed(param.type, value)
    if found is _WRONG:
        raise _misfit(param, value, TYPES[param.type].expected)
    component = (param.ui_component or "").lower()
    if component == _CHOICE and param.options is not None and found not in param.options:
        raise _misfit(param, value, f"one of {', '.join(map(repr, param.options))}")
    if component == _SLIDER and isinstance(found, int | float):
        if param.min is not None and found < param.min:
            raise _misfit(param, value, f"at least {param.min}")
        if param.max is not None and found > param.max:
            raise _misfit(param, value, f"at most {param.max}")
    return found


_WRONG = object()


def _typed(kind: str, value: Any) -> Any:
    """Return a value as a type has it, or `_WRONG`."""
    match kind, value:
        case "bool", bool():
            return value
        case (("int" | "float"), bool()):
            return _WRONG
        case "int", int():
            return value
        case "int", float() if value.is_integer():
            return int(value)
        case "float", int() | float() if math.isfinite(value):
            return float(value)
        case "str", str():
            return value
        case "RunesFilePath", _:
            return _file(value)
    return _WRONG


def _file(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        # a foreign page names an upload by the address that it was put to
        return Upload(value.rstrip("/").rpartition("/")[2])
    try:
        return msgspec.convert(value, Upload if "upload" in value else Excerpt)
    except (msgspec.ValidationError, TypeError):
        return _WRONG


def _misfit(param: Param, value: Any, expected: str) -> RequestError:
    return RequestError(f"{param.name} = {value!r:.80}: it must be {expected}")
