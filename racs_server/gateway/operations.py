"""What an operation is: a row of the one table that routing, checks and OpenAPI are made of.

Paths
-----
A stream's id stands in the path percent-encoded (UTF-8, RFC 3986). A slash of it may be written as
``%2F`` or as it is; ``/audio`` and ``/peaks`` written as they are at the end name a part of the
stream. So the audio of ``birds/wren`` is ``/streams/birds/wren/audio`` or
``/streams/birds%2Fwren/audio``, and a stream that is itself called ``birds/audio`` is
``/streams/birds%2Faudio``. To encode all of an id (``encodeURIComponent``, ``quote(id, safe="")``)
is always right.
"""

import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import msgspec
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from racs.wire.replies import MAX_BIN
from racs_server.access import NOBODY
from racs_server.commands import Value
from racs_server.errors import AccessError, RacsError, RequestError
from racs_server.gateway import problems
from racs_server.gateway.door import caller_of, path_of, unknown_caller
from racs_server.gateway.services import Services

logger = logging.getLogger(__name__)

MAX_QUERY = 1000
"""Characters of a parameter's value."""


class Query(msgspec.Struct, frozen=True):
    """A parameter of a query.

    Attributes
    ----------
    name
        Its name.
    doc
        What it means, with its unit.
    read
        Makes a value of its text; `ValueError` says what was expected.
    schema
        Its JSON schema.
    """

    name: str
    doc: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]


def text(name: str, doc: str, choices: Sequence[str] = ()) -> Query:
    """Return a parameter that is any text, or one of several."""

    def read(value: str) -> str:
        if choices and value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    schema: dict[str, Any] = {"type": "string", "maxLength": MAX_QUERY}
    return Query(name, doc, read, {**schema, "enum": list(choices)} if choices else schema)


def number(name: str, doc: str, least: int, most: int) -> Query:
    """Return a parameter that is a whole number."""

    def read(value: str) -> int:
        # the digits first: to convert a text of any length takes long
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
            raise ValueError("a whole number")
        if not least <= int(value) <= most:
            raise ValueError(f"{least} to {most}")
        return int(value)

    return Query(name, doc, read, {"type": "integer", "minimum": least, "maximum": most})


_DIGITS = 19


class Body(msgspec.Struct, frozen=True):
    """What a request or a response consists of: schemas by media type; None is any bytes."""

    doc: str
    content: Mapping[str, Any]


Call = Callable[..., Awaitable[Response]]
"""Carries an operation out: ``call(services, request, **query)``; its `RacsError` and
`ProblemError` become problem documents."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    Attributes
    ----------
    method, path
        Which; ``{id:path}`` stands for a stream's id.
    name
        A name for programs, unlike all others.
    doc
        What it does.
    call
        What carries it out; it gets the parameters that were given by name.
    query
        The parameters that it knows.
    body
        What the request has to bring, if anything.
    responses
        What it answers, by status.
    """

    method: str
    path: str
    name: str
    doc: str
    call: Call
    query: tuple[Query, ...] = ()
    body: Body | None = None
    responses: Mapping[int, Body]

    def read_query(self, request: HTTPConnection) -> dict[str, Any]:
        """Return the parameters that a request gives.

        Raises
        ------
        RequestError
            One is unknown, or given twice, or cannot be what it is.
        """
        known = {each.name: each for each in self.query}
        values: dict[str, Any] = {}
        for name, value in request.query_params.multi_items():
            query = known.get(name)
            if query is None:
                names = ", ".join(known) or "none"
                raise RequestError(f"there is no parameter {name!r}: there are {names}")
            if name in values:
                raise RequestError(f"parameter {name} is given twice")
            try:
                if len(value) > MAX_QUERY:
                    raise ValueError(f"at most {MAX_QUERY} characters")
                values[name] = query.read(value)
            except ValueError as error:
                raise RequestError(f"parameter {name} = {value[:80]!r}: expected {error}") from None
        return values


class RawRoute(Route):
    """A route that looks at the path as it was sent, in which ``%2F`` separates nothing."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this route is meant, and the parts of the path, still encoded."""
        return super().matches({**scope, "path": path_of(scope)})


def stream_id_of(request: Request) -> str:
    """Return the id of the stream that a path names.

    Raises
    ------
    RequestError
        It is no UTF-8.
    """
    encoded = request.path_params["id"]
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise RequestError(f"the path's {encoded!r} is no percent-encoded UTF-8") from None


def path_to(request: Request, stream_id: str) -> str:
    """Return the path of a stream."""
    return f"{request.scope.get('root_path', '')}/streams/{quote(stream_id, safe='')}"


def routes_of(operations: Iterable[Operation], services: Services) -> list[Route]:
    """Return the routes of operations: one for each path, in their order."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        RawRoute(path, functools.partial(_answer, services, methods), methods=list(methods))
        for path, methods in by_path.items()
    ]


async def _answer(
    services: Services, methods: Mapping[str, Operation], request: Request
) -> Response:
    """Carry out what a request asks for; whatever goes wrong is its response."""
    operation = methods["GET" if request.method == "HEAD" else request.method]
    scope = request.scope
    try:
        return await operation.call(services, request, **operation.read_query(request))
    except ClientDisconnect:
        return Response(status_code=400)  # to nobody
    except (RacsError, problems.ProblemError) as error:
        return failed(error, scope)
    except Exception as error:
        logger.exception("%s %s failed", request.method, operation.path)
        detail = f"{type(error).__name__}: the server's log has the particulars"
        return problems.respond(problems.INTERNAL, detail, path_of(scope))


def failed(error: RacsError | problems.ProblemError, scope: Scope) -> Response:
    """Return the response that tells of an error."""
    if isinstance(error, problems.ProblemError):
        return problems.respond(error.kind, str(error), path_of(scope), error.headers)
    if isinstance(error, AccessError) and caller_of(scope) is NOBODY:
        return unknown_caller(str(error), scope)
    return problems.respond(problems.kind_of(error), str(error), path_of(scope))


async def run(services: Services, request: Request, *commands: str, most: int = MAX_BIN) -> Value:
    """Carry out commands, each piped into the next, for whoever sent a request.

    All that an operation does to streams, it does by a command text: so its checks, its rights, and
    what the operator has turned off, are those of the command.
    """
    text = " |> ".join(commands)
    with services.lease() as lease:
        return await services.executor.run(text, caller_of(request.scope), lease.grow, most)
