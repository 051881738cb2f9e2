"""Who comes in: hosts, origins, base paths, and what visitors show.

What a visitor shows is a **credential**: in the path (``/r/CREDENTIAL/…``), as a bearer token, or
as the password of Basic authentication. It is one of

============== ==================================================================================
a rune's key   made by the hub for a master token; runes register and work with it
a master token a UUID that a page has made; shows its runes, and lets them run
a RACS token   of a user (``racs-server token add``)
nothing        everybody, while the server has no users and only this machine reaches it
============== ==================================================================================

Invariants
----------
- A request for a name that is not this server's is refused (DNS rebinding): it has to be an
  address, ``localhost``, or named by the setting.
- A page of another origin gets nothing, unless the setting names it.
- Secrets are kept as their SHA-256.
"""

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from racs_server.access import EVERYONE, NOBODY, Caller
from racs_server.access.origins import host_problem, normal_origin, origin_problem
from racs_server.errors import AccessError
from racs_server.hub.hub import Hub
from racs_server.hub.rows import Key, Master

KEY_PREFIX = "rune_"
_BASE = re.compile(r"^/+r/+([^/]+)(?=/|$)")
_CORS = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
    "vary": "origin",
}
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


class Visitor(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes
    ----------
    caller
        The user who answers for it.
    key
        The hash of the rune's key that it has; "".
    master
        The hash of the master token that it speaks for; "".
    """

    caller: Caller
    key: str = ""
    master: str = ""

    @property
    def identity(self) -> str:
        """What its uploads are known by."""
        return self.key or self.master


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_master(text: str) -> bool:
    """Whether a text can be a master token: a UUID."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


class Door:
    """ASGI middleware: lets in, and puts ``visitor`` and ``base`` into the request's state.

    Parameters
    ----------
    app
        What is behind the door.
    hub
        What it is the door of.
    """

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        refused = self._refusal(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        allowed = origin is not None and normal_origin(origin) in self._hub.origins
        cors = {"access-control-allow-origin": str(origin), **_CORS} if allowed else {}
        if allowed and scope.get("method") == "OPTIONS":
            await Response(status_code=204, headers=cors)(scope, receive, send)
            return
        # as it was sent: in a stream's id, an encoded slash or percent sign is not a plain one
        raw = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        base = _BASE.match(raw)
        credential = unquote(base[1]) if base else shown(headers)
        visitor = await self._visitor(credential)
        raw = re.sub("//+", "/", raw[base.end() :] if base else raw) or "/"
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        state = {
            **scope.get("state", {}),
            "visitor": visitor,
            "base": f"{scheme}://{headers['host']}{base[0] if base else ''}",
        }
        scope = {**scope, "path": unquote(raw), "raw_path": raw.encode("latin-1"), "state": state}
        if visitor is not None and visitor.master and not visitor.key:
            scope["racs.caller"] = visitor.caller  # what is behind need not ask again
        await self._app(scope, receive, _with_headers(send, {**_HEADERS, **cors}))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host")
        refused = host_problem(host, self._hub.names)
        if refused is not None:
            return problem(421, "This is not the server for that name", refused)
        # what a person follows a link to changes nothing
        site = headers.get("sec-fetch-site")
        site = None if headers.get("sec-fetch-mode") == "navigate" else site
        own = f"{scope['scheme']}://{host}"
        refused = origin_problem(headers.get("origin"), own, self._hub.origins, site)
        if refused is not None:
            return problem(403, "Pages of other origins may not use this server", refused)
        return None

    async def _visitor(self, credential: str | None) -> Visitor | None:
        """Return who shows that; None if it counts for nothing."""
        access, book = self._hub.access, self._hub.desk.book
        if credential is None:
            return Visitor(EVERYONE) if access.anyone is EVERYONE else None
        hashed = digest(credential)
        if credential.startswith(KEY_PREFIX):
            key = await self._hub.do(book.get, Key, hashed)
            caller = await self._caller_of(key.master) if key else NOBODY
            return Visitor(caller, hashed, key.master) if key and caller is not NOBODY else None
        if is_master(credential):
            hashed = digest(credential.lower())
            caller = await self._caller_of(hashed)
            return Visitor(caller, master=hashed) if caller is not NOBODY else None
        try:
            return Visitor(access.identify(credential))
        except AccessError:
            # what runes have in the place of a key counts for nothing, and harms nothing
            return Visitor(EVERYONE) if access.anyone is EVERYONE else None

    async def _caller_of(self, master: str) -> Caller:
        """Return the user who answers for a master token."""
        access = self._hub.access
        if access.anyone is EVERYONE:
            return EVERYONE
        known = await self._hub.do(self._hub.desk.book.get, Master, master)
        user = access.users.users.get(known.owner) if known else None
        return Caller(known.owner, user.grants) if known and user else NOBODY


def shown(headers: Mapping[str, str]) -> str | None:
    """Return the credential that a request's headers have; None if they have none."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    extra = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {name for name, _ in given}
            message = {
                **message,
                "headers": given + [each for each in extra if each[0] not in names],
            }
        await send(message)

    return sending


def visitor_of(request: HTTPConnection) -> Visitor:
    """Return who asks.

    Raises
    ------
    AccessError
        They have not shown what counts.
    """
    visitor: Visitor | None = request.state.visitor
    if visitor is None:
        raise AccessError(
            "show a key, a master token that a user has registered, or a user's token: in the path"
            " (/r/…/), or as a bearer token"
        )
    return visitor


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """Return an error as RFC 9457 has it."""
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status,
        media_type="application/problem+json",
    )
