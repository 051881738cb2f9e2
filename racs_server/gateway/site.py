"""The app: all operations, behind one door."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from racs_server.gateway import audio, commands, events, peaks, problems, streams, upload
from racs_server.gateway.bodies import json_response
from racs_server.gateway.door import Door, path_of
from racs_server.gateway.openapi import describe
from racs_server.gateway.operations import Body, Operation, routes_of
from racs_server.gateway.services import Services

_WELCOME = """\
This is racs, an audio stream store.

  GET    /streams?match=*              which streams there are
  POST   /streams                      make one
  GET    /streams/ID                   what it is
  GET    /streams/ID/audio?from=&to=   any moment of it, as a file
  POST   /streams/ID/audio             append a file, or PCM
  GET    /streams/ID/peaks             its waveform
  DELETE /streams/ID                   remove it
  POST   /commands                     carry out a command
  GET    /events                       what happens (WebSocket, or server-sent events)
  GET    /openapi.json                 all of this, for programs
"""


async def get_welcome(services: Services, request: Request) -> Response:
    """Say what this is."""
    return PlainTextResponse(_WELCOME)


async def get_openapi(services: Services, request: Request) -> Response:
    """Answer with the description of the API."""
    document: dict[str, Any] = describe(OPERATIONS)
    root = request.scope.get("root_path", "")
    return json_response({**document, "servers": [{"url": root or "/"}]})


OPERATIONS = (
    Operation(
        method="GET",
        path="/",
        name="welcome",
        doc="Say what this is.",
        call=get_welcome,
        responses={200: Body("A short text.", {"text/plain": {"type": "string"}})},
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="openapi",
        doc="Describe the API.",
        call=get_openapi,
        responses={200: Body("This document.", {"application/json": {"type": "object"}})},
    ),
    events.EVENTS,
    *commands.OPERATIONS,
    # the parts of a stream before the streams, which would take them for the end of an id
    *audio.OPERATIONS,
    *upload.OPERATIONS,
    *peaks.OPERATIONS,
    *streams.OPERATIONS,
)


def make_app(services: Services) -> Starlette:
    """Return the HTTP API as an app of its own, which can be mounted in another.

    Parameters
    ----------
    services
        What it works with.
    """
    return Starlette(
        routes=[events.socket_route(services), *routes_of(OPERATIONS, services)],
        middleware=[Middleware(Door, guard=services.guard, settings=services.settings)],
        exception_handlers={HTTPException: _of_routing},
    )


async def _of_routing(request: Request, error: Exception) -> Response:
    """Return the problem that there is no such path, or method of it."""
    assert isinstance(error, HTTPException)
    kind = problems.MISSING if error.status_code == 404 else problems.BAD_METHOD
    detail = f"there is no {request.method} {path_of(request.scope)}: /openapi.json tells what is"
    return problems.respond(kind, detail, path_of(request.scope), error.headers)
