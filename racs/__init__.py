"""racs: stream audio into an archive and get any moment of it back, exact to the sample.

Start with `Racs`. Names are loaded when they are first used, so that importing this package (as
the server does, for `racs.wire`) costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from racs.aio import AsyncRacs as AsyncRacs
    from racs.aio import AsyncStreamBuilder as AsyncStreamBuilder
    from racs.client import Racs as Racs
    from racs.errors import RacsAuthError as RacsAuthError
    from racs.errors import RacsClosed as RacsClosed
    from racs.errors import RacsConnectionError as RacsConnectionError
    from racs.errors import RacsException as RacsException
    from racs.errors import RacsProtocolError as RacsProtocolError
    from racs.errors import RacsReplyLost as RacsReplyLost
    from racs.errors import RacsServerError as RacsServerError
    from racs.errors import RacsTimeout as RacsTimeout
    from racs.errors import RacsTypeError as RacsTypeError
    from racs.errors import RacsValueError as RacsValueError
    from racs.live import LiveBlock as LiveBlock
    from racs.live import StreamEvent as StreamEvent
    from racs.pipeline import Pipeline as Pipeline
    from racs.stream import StreamBuilder as StreamBuilder

_HOMES = {
    "AsyncRacs": "racs.aio",
    "AsyncStreamBuilder": "racs.aio",
    "LiveBlock": "racs.live",
    "Pipeline": "racs.pipeline",
    "Racs": "racs.client",
    "RacsAuthError": "racs.errors",
    "RacsClosed": "racs.errors",
    "RacsConnectionError": "racs.errors",
    "RacsException": "racs.errors",
    "RacsProtocolError": "racs.errors",
    "RacsReplyLost": "racs.errors",
    "RacsServerError": "racs.errors",
    "RacsTimeout": "racs.errors",
    "RacsTypeError": "racs.errors",
    "RacsValueError": "racs.errors",
    "StreamBuilder": "racs.stream",
    "StreamEvent": "racs.live",
}

__all__ = [
    "AsyncRacs",
    "AsyncStreamBuilder",
    "LiveBlock",
    "Pipeline",
    "Racs",
    "RacsAuthError",
    "RacsClosed",
    "RacsConnectionError",
    "RacsException",
    "RacsProtocolError",
    "RacsReplyLost",
    "RacsServerError",
    "RacsTimeout",
    "RacsTypeError",
    "RacsValueError",
    "StreamBuilder",
    "StreamEvent",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
