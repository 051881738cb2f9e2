"""The app: all operations, behind one door."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from racs_server.gateway import problems, streams
from racs_server.gateway.door import Door, path_of
from racs_server.gateway.operations import Services, routes_of

OPERATIONS = (*streams.OPERATIONS,)


def make_app(services: Services) -> Starlette:
    """Return the HTTP API as an app of its own, which can be mounted in another.

    Parameters
    ----------
    services
        What it works with.
    """
    return Starlette(
        routes=routes_of(OPERATIONS, services),
        middleware=[Middleware(Door, guard=services.guard, settings=services.settings)],
        exception_handlers={HTTPException: _of_routing},
    )


async def _of_routing(request: Request, error: Exception) -> Response:
    """Return the problem that there is no such path, or method of it."""
    assert isinstance(error, HTTPException)
    kind = problems.MISSING if error.status_code == 404 else problems.BAD_METHOD
    detail = f"there is no {request.method} {path_of(request.scope)}: /openapi.json tells what is"
    return problems.respond(kind, detail, path_of(request.scope), error.headers)
