"""Errors as JSON problem documents (RFC 9457): one table from errors to status codes.

``type`` is a URN that tells the kinds apart, ``title`` is the same for all of a kind, ``detail`` is
the error's own text, which says what to do, and ``instance`` is the path that was asked for.
"""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from racs_server.errors import (
    AccessError,
    BusyError,
    CommandError,
    DamageError,
    DataError,
    DiskFullError,
    LimitError,
    MissingError,
    RacsError,
    RequestError,
    StorageError,
    StreamError,
)

CONTENT_TYPE = "application/problem+json"
_TYPE = "urn:racs:problem:"


class Problem(msgspec.Struct, frozen=True):
    """A problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


class Kind(msgspec.Struct, frozen=True):
    """What is the same for all problems of a kind."""

    status: HTTPStatus
    name: str
    title: str


BAD_REQUEST = Kind(HTTPStatus.BAD_REQUEST, "request", "The request cannot be carried out")
UNKNOWN_CALLER = Kind(HTTPStatus.UNAUTHORIZED, "login", "Say first who you are")
FORBIDDEN = Kind(HTTPStatus.FORBIDDEN, "access", "You may not do this")
FOREIGN_ORIGIN = Kind(HTTPStatus.FORBIDDEN, "origin", "Pages of other sites may not do this")
FOREIGN_HOST = Kind(HTTPStatus.MISDIRECTED_REQUEST, "host", "The server has another name")
MISSING = Kind(HTTPStatus.NOT_FOUND, "missing", "There is no such thing")
BAD_METHOD = Kind(HTTPStatus.METHOD_NOT_ALLOWED, "method", "This cannot be done to it")
BAD_RANGE = Kind(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "range", "The file has no such bytes")
TOO_LARGE = Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body", "The request's body is too large")
TOO_SLOW = Kind(HTTPStatus.REQUEST_TIMEOUT, "slow", "The request's body did not come in time")
BAD_MEDIA = Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media", "Content of this type cannot be taken")
INTERNAL = Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The server made a mistake")

_KINDS: tuple[tuple[type[RacsError], Kind], ...] = (
    (MissingError, MISSING),
    (AccessError, FORBIDDEN),
    (CommandError, BAD_REQUEST),
    (StreamError, Kind(HTTPStatus.CONFLICT, "state", "The stream is not in a state for this")),
    (DataError, Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "data", "The audio does not fit")),
    (BusyError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "The server has no room for it now")),
    (LimitError, Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "limit", "More than a limit allows")),
    (RequestError, BAD_REQUEST),
    (DiskFullError, Kind(HTTPStatus.INSUFFICIENT_STORAGE, "full", "The disk is full")),
    (DamageError, Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "damage", "Stored audio is damaged")),
    (StorageError, Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "storage", "The disk has failed")),
    (RacsError, INTERNAL),
)
"""From the special to the general: the first that fits counts."""


class ProblemError(Exception):
    """A problem of HTTP alone, which the store knows no error for.

    Parameters
    ----------
    kind
        Which.
    detail
        What was wrong, and what to do.
    headers
        Further headers of the response.
    """

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.headers = headers


def kind_of(error: RacsError) -> Kind:
    """Return what kind of problem an error of the store is."""
    return next(kind for type_, kind in _KINDS if isinstance(error, type_))


def respond(
    kind: Kind, detail: str, instance: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response that tells of a problem.

    Parameters
    ----------
    kind
        Which.
    detail
        What was wrong.
    instance
        The path that was asked for, as it was sent.
    headers
        Further headers.
    """
    problem = Problem(_TYPE + kind.name, kind.title, int(kind.status), detail, instance)
    body = msgspec.json.encode(problem)
    return Response(body, int(kind.status), headers, media_type=CONTENT_TYPE)
