"""The hub as an ASGI application: its addresses, the gateway's, and the page, behind one door."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from racs_server.errors import AccessError, BusyError, LimitError, RacsError, RequestError
from racs_server.hub.api import PageApi
from racs_server.hub.bodies import TooSlowError
from racs_server.hub.desk import NotFoundError
from racs_server.hub.door import Door, problem
from racs_server.hub.exchange import Exchange
from racs_server.hub.hub import Hub
from racs_server.hub.plugin import Plugin
from racs_server.hub.transfer import Transfer

PAGE = Path(__file__).parent / "page"
"""The page: what is in this folder is given to everybody."""

_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cache-control": "no-cache",
}
"""Nothing runs in the page but what is in its folder, whatever runes and streams are called."""


def create_app(hub: Hub, gateway: ASGIApp | None = None, page: Path = PAGE) -> Starlette:
    """Return the application.

    Parameters
    ----------
    hub
        What it is made of.
    gateway
        What answers all that is neither the hub's nor a file of the page, such as the archive over
        HTTP.
    page
        The folder of the page, given out under ``/``.
    """
    parts = (Exchange(hub), Plugin(hub), Transfer(hub), PageApi(hub))
    routes = [route for part in parts for route in part.routes()]
    rest = Mount("/", _PageOr(page, gateway))
    return Starlette(
        routes=[*routes, *_other_methods(routes), rest],
        middleware=[Middleware(Door, hub=hub)],
        exception_handlers={
            RacsError: _answer_error,
            HTTPException: _answer_http,
            ClientDisconnect: _answer_nobody,
        },
    )


def _other_methods(routes: Iterable[Route]) -> list[Route]:
    """Return routes that say of each path what can be done to it; to stand behind those."""
    methods: dict[str, set[str]] = {}
    for route in routes:
        methods.setdefault(route.path, set()).update(route.methods or ())
    return [Route(path, _OtherMethod(known)) for path, known in methods.items()]


class _OtherMethod:
    """Answers what cannot be done to a path.

    Parameters
    ----------
    methods
        What can be.
    """

    def __init__(self, methods: Iterable[str]) -> None:
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        detail = f"there is no {scope['method']} {scope['path']}: there is {self._allow}"
        answer = problem(405, "This cannot be done to it", detail)
        answer.headers["allow"] = self._allow
        await answer(scope, receive, send)


class _PageFiles(StaticFiles):
    """The files of the page, with their headers."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file."""
        response = super().file_response(*arguments, **options)
        response.headers.update(_PAGE_HEADERS)
        return response


class _PageOr:
    """Gives out the files of the page; what is none is somebody else's.

    Parameters
    ----------
    page
        The folder.
    other
        Who answers the rest; None: nobody.
    """

    def __init__(self, page: Path, other: ASGIApp | None) -> None:
        self._files = _PageFiles(directory=page, html=True, check_dir=False)
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = scope["path"].strip("/") or "index.html"
        if self._other is None or self._files.lookup_path(name)[1] is not None:
            await self._files(scope, receive, send)
        else:
            await self._other(scope, receive, send)


_PROBLEMS: tuple[tuple[type[RacsError], int, str], ...] = (
    (NotFoundError, 404, "Not found"),
    (AccessError, 403, "Not allowed"),
    (TooSlowError, 408, "It did not come in time"),
    (BusyError, 503, "The server has no room for it now"),
    (LimitError, 413, "It is more than a limit allows"),
    (RequestError, 400, "It cannot be done as it stands"),
    (RacsError, 503, "The server could not do it"),
)
"""Errors, their HTTP status and what it is called: the first that fits counts."""


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RacsError)
    status, title = next(
        (code, title) for kind, code, title in _PROBLEMS if isinstance(error, kind)
    )
    if status == 403 and request.state.visitor is None:
        status = 401
    return problem(status, title, str(error))


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, f"{request.method} {request.url.path}")


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=400)
