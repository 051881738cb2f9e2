"""Who may come in: the Host and the Origin of a request, and who it is from.

A web page of a stranger runs in the browser of somebody who can reach this server. Two checks keep
it out, whatever it sends:

- ``Host`` must be localhost, an address, or a name from the setting ``http_hosts``: a stranger can
  let a name of their own stand for this server's address (DNS rebinding), but not one of these.
- ``Origin`` (RFC 6454), where a browser sends it, must be this server's own or one of the setting
  ``http_origins``; only for those CORS headers (Fetch Standard, 3.2) are sent.

Then it is found out who asks: by a token (``Authorization: Bearer``, RFC 6750; on a WebSocket, for
which pages cannot set headers, also the subprotocol ``bearer.TOKEN``), or by a user's name and
password (``Basic``, RFC 7617). The caller is put into the request's scope; what they may do is
decided where it is done.
"""

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from racs_server.access import EVERYONE, NOBODY, Access, Caller, Login
from racs_server.access.origins import host_problem, names_of, origin_problem, origins_of
from racs_server.commands.cache import Cache
from racs_server.config import Settings
from racs_server.errors import AccessError
from racs_server.gateway import problems

SUBPROTOCOL = "racs"
"""What a WebSocket speaks, for pages that have to name something beside their token."""

_TOKEN_PROTOCOL = "bearer."  # noqa: S105 (what stands before a token)
_CHALLENGE = 'Bearer realm="racs"'
_CHALLENGE_OF_PEOPLE = f'{_CHALLENGE}, Basic realm="racs", charset="UTF-8"'
_REMEMBERED = 256
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = "Authorization, Content-Type, Range, If-Range, Last-Event-ID"
_RESPONSE_HEADERS = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Location"
)


class Guard(Protocol):
    """What tells who has shown something."""

    access: Access

    async def identify(self, login: Login, address: str) -> Caller:
        """Return who has shown something; `AccessError` if it was wrong."""


def shown(headers: Mapping[str, str]) -> Login | None:
    """Return what a request shows of who it is from, or None.

    Raises
    ------
    AccessError
        It is nothing that can be understood; it is not quoted.
    """
    value = headers.get("authorization")
    if value is None:
        protocols = headers.get("sec-websocket-protocol", "").split(",")
        found = [each.strip() for each in protocols if each.strip().startswith(_TOKEN_PROTOCOL)]
        return Login(None, found[0].removeprefix(_TOKEN_PROTOCOL)) if found else None
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return Login(None, rest.strip())
    if scheme.lower() == "basic":
        try:
            user, colon, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = colon = password = ""
        if colon and user:
            return Login(user, password)
    raise AccessError(
        "Authorization: expected 'Bearer TOKEN', or 'Basic' and user:password in base64"
    )


class Door:
    """Lets requests in to an app; for all apps on one port.

    Parameters
    ----------
    app
        What is behind it. Finds who asks by `caller_of`.
    guard
        What tells who somebody is.
    settings
        Which hosts and origins are known.
    """

    def __init__(self, app: ASGIApp, guard: Guard, settings: Settings) -> None:
        self._app = app
        self._guard = guard
        self._hosts = names_of(f"{settings.host},{settings.http_hosts}")
        self._origins = origins_of(settings.http_origins)
        self._callers: Cache[bytes, Caller] = Cache(_REMEMBERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may not come in; hand on any other."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        refusal = self._refusal(scope, headers)
        if refusal is None and origin is not None and _is_preflight(scope, headers):
            refusal = Response(status_code=204, headers=_preflight_headers())
        if refusal is None:
            try:
                known = scope.get("racs.caller")  # by the door of an app that this is part of
                scope["racs.caller"] = known or await self._caller(scope, headers)
            except AccessError as error:
                refusal = unknown_caller(str(error), scope)
        if origin is not None and (refusal is None or refusal.status_code not in (403, 421)):
            send = _with_cors(send, origin)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, path = headers.get("host"), path_of(scope)
        problem = host_problem(host, self._hosts)
        if problem is not None:
            return problems.respond(problems.FOREIGN_HOST, problem, path)
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        site = headers.get("sec-fetch-site") if changes else None
        own = f"{scope['scheme']}://{host}"
        problem = origin_problem(headers.get("origin"), own, self._origins, site)
        if problem is not None:
            return problems.respond(problems.FOREIGN_ORIGIN, problem, path)
        return None

    async def _caller(self, scope: Scope, headers: Headers) -> Caller:
        access = self._guard.access
        login = shown(headers)
        if login is None or access.anyone is EVERYONE:
            return access.anyone
        # what is remembered is neither a password nor fit to find one by
        key = sha256(repr((login.user, login.secret)).encode()).digest()
        known = self._callers.get(key)
        if known is not None and access.renew(known).proof == known.proof:
            return access.renew(known)
        client = scope.get("client")
        caller = await self._guard.identify(login, client[0] if client else "")
        self._callers.put(key, caller)
        return caller


def caller_of(scope: Scope) -> Caller:
    """Return who sent the request that came in through the door."""
    caller = scope.get("racs.caller", NOBODY)
    assert isinstance(caller, Caller)
    return caller


def path_of(scope: Scope) -> str:
    """Return the path that was asked for, as it was sent."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def unknown_caller(detail: str, scope: Scope) -> Response:
    """Return the response to somebody who has to say first who they are.

    Browsers ask people for a password where Basic is offered; not for the requests of a page, which
    asks in its own way.
    """
    mode = Headers(scope=scope).get("sec-fetch-mode", "navigate")
    challenge = _CHALLENGE_OF_PEOPLE if mode == "navigate" else _CHALLENGE
    headers = {"WWW-Authenticate": challenge}
    return problems.respond(problems.UNKNOWN_CALLER, detail, path_of(scope), headers)


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "OPTIONS"
        and "access-control-request-method" in headers
    )


def _preflight_headers() -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _REQUEST_HEADERS,
        "Access-Control-Max-Age": "600",
    }


def _with_cors(send: Send, origin: str) -> Send:
    """Return a `send` that lets a page of an origin read the response."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _RESPONSE_HEADERS
            headers.add_vary_header("Origin")
        await send(message)

    return wrapped
