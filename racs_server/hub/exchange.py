"""What the client of runes calls, under ``/api/hub``; `Transfer` has the rest of it, the files.

======== ================================================ ============================
method   path                                             answer
======== ================================================ ============================
PUT      connection/compute/{token}/1/                    {}
POST     compute/contract/                                201 {}
POST     connection_mappings/                             201 the mapping
PUT      connections/{token}/loaded/                      {}
GET      get_latest_pending_messages/{token}/             [] or [message]; held open
PATCH    update_message_status/{token}/{id}/              {}
POST     reply_to_message/                                {}
======== ================================================ ============================

``POST /api/rune/output`` (``{"printed": [[age, text] …], "ended": …}``) is for the launcher: what a
rune's process has printed, ``age`` seconds ago, and, when it is over, why; the answer
``{"stop": id}`` names a run that only the end of the process can end, or is "".
"""

import msgspec
import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from racs_server.access import is_loopback
from racs_server.errors import AccessError, RequestError
from racs_server.hub.answers import mapping_answer, message_answer
from racs_server.hub.bodies import json_of, text_of
from racs_server.hub.contract import read_contract
from racs_server.hub.desk import inside
from racs_server.hub.door import Visitor, digest, visitor_of
from racs_server.hub.handlers import Handler, Handlers, routes_of
from racs_server.hub.rows import Run, Rune

_NOBODY = ("None", "null", "undefined")


class Exchange(Handlers):
    """What the client of runes calls, but for the files."""

    def routes(self) -> list[Route]:
        """Return all that there are."""
        table: list[tuple[str, str, Handler]] = [
            ("PUT", "connection/compute/{token}/1", self._beat),
            ("POST", "compute/contract", self._register),
            ("POST", "connection_mappings", self._map),
            ("PUT", "connections/{token}/loaded", self._loaded),
            ("GET", "get_latest_pending_messages/{token}", self._poll),
            ("PATCH", "update_message_status/{token}/{id}", self._status),
            ("POST", "reply_to_message", self._reply),
        ]
        output = Route("/api/rune/output", self._output, methods=["POST"])
        return [*routes_of(table), output]

    async def _beat(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        if request.path_params["token"] in _NOBODY:
            self._hub.nameless += 1
        elif await self._do(self._desk.book.get, Rune, token) is not None:
            self._hub.heard(token)
        return JSONResponse({})

    async def _register(self, request: Request) -> Response:
        visitor_of(request)
        body = await json_of(self._hub, request)
        contract = read_contract(body.get("data"))
        visitor, token = of_rune(request, text_of(body, "id"))
        host = request.headers["host"]
        near = request.client is None or is_loopback(request.client.host)
        await self._hub.register(token, contract, visitor.key, host, near=near)
        return JSONResponse({}, 201)

    async def _map(self, request: Request) -> Response:
        visitor_of(request)
        body = await json_of(self._hub, request)
        visitor, token = of_rune(request, text_of(body, "connection_token"))
        master = text_of(body, "master_token").lower()
        if visitor.key and visitor.master != digest(master):
            raise AccessError(
                "the rune's key was made for another master token than the one that it has set"
            )
        names = ("connection_name", "connection_type", "description")
        texts = [text_of(body, name, "") for name in names]
        mapping = await self._do(self._desk.map, digest(master), token, *texts)
        self._hub.changes.tell()
        return JSONResponse(mapping_answer(mapping, master), 201)

    async def _loaded(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        loaded = (await json_of(self._hub, request)).get("loaded")
        await self._hub.set_loaded(token, loaded is True)
        return JSONResponse({})

    async def _poll(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        run: Run | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            run = await self._hub.poll(token)
            nursery.cancel_scope.cancel()
        return JSONResponse([] if run is None else [message_answer(run, response=None)])

    async def _status(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        run_id = request.path_params["id"]
        status = text_of(await json_of(self._hub, request), "status")
        await self._hub.take_status(token, run_id, status)
        return JSONResponse({})

    async def _reply(self, request: Request) -> Response:
        visitor_of(request)
        body = await json_of(self._hub, request)
        _, token = of_rune(request, text_of(body, "token"))
        response = body.get("response")
        if not isinstance(response, dict):
            raise RequestError(f"response = {response!r:.80}: it must be an object")
        await self._hub.reply(token, text_of(body, "id"), response)
        return JSONResponse({})

    async def _output(self, request: Request) -> Response:
        """Take what a rune's process has printed, from what has started it."""
        visitor = visitor_of(request)
        if not visitor.key:
            raise AccessError("this is for who has a rune's key")
        body = await json_of(self._hub, request)
        try:
            printed = msgspec.convert(body.get("printed", []), list[tuple[float, str]])
        except msgspec.ValidationError as error:
            raise RequestError(f"printed: {error}") from None
        stop = await self._hub.take_output(visitor.key, printed, text_of(body, "ended", ""))
        return JSONResponse({"stop": stop})


def of_rune(request: Request, token: str) -> tuple[Visitor, str]:
    """Return who asks, and the hub's own name for the connection that they speak for."""
    visitor = visitor_of(request)
    return visitor, inside(token, visitor.master)
