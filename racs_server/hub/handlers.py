"""What the hub's groups of requests have in common: each group is a class, a handler a method."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from racs_server.hub.hub import Hub

Handler = Callable[[Request], Awaitable[Response]]


class Handlers:
    """One group of requests.

    Parameters
    ----------
    hub
        What its handlers use.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._desk = hub.desk
        self._book = hub.desk.book
        self._do = hub.do

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._hub!r}>"


def routes_of(table: Iterable[tuple[str, str, Handler]]) -> list[Route]:
    """Return the routes of a table under ``/api/hub``: each path may end in a slash, or not."""
    return [
        Route(f"/api/hub/{path}{end}", handler, methods=[method])
        for method, path, handler in table
        for end in ("/", "")
    ]
