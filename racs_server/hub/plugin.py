"""What a plugin page calls, under ``/api/hub``: a foreign one, which this project has not made.

======== ================================================ ============================
method   path                                             answer
======== ================================================ ============================
GET      connection_mappings/{master}/                    [mapping …]
DELETE   connection_mappings/{master}/{token}/            204
GET      connections/{token}/                             the connection
PUT      connection/plugin/{token}/1/                     {}
GET      compute/contract/{token}/                        {"id", "data"}
POST     send_message/                                    201 {"id"}
GET      get_response/{id}/{token}/                       the message
POST     abort_messages/{token}/                          {"aborted": n}
GET      remote-sources/, remote-images/                  []
======== ================================================ ============================
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from racs_server.errors import AccessError, RequestError
from racs_server.hub.answers import converted_files_of, instant, mapping_answer, message_answer
from racs_server.hub.bodies import json_of, text_of
from racs_server.hub.desk import NotFoundError, outside
from racs_server.hub.door import Visitor, digest, visitor_of
from racs_server.hub.handlers import Handler, Handlers, routes_of
from racs_server.hub.rows import Mapping, Rune


class Plugin(Handlers):
    """What a plugin calls."""

    def routes(self) -> list[Route]:
        """Return all that there are."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "connection_mappings/{master}", self._mappings),
            ("DELETE", "connection_mappings/{master}/{token}", self._unmap),
            ("GET", "connections/{token}", self._connection),
            ("PUT", "connection/plugin/{token}/1", self._beat),
            ("GET", "compute/contract/{token}", self._contract),
            ("POST", "send_message", self._send),
            ("GET", "get_response/{id}/{token}", self._response),
            ("POST", "abort_messages/{token}", self._abort),
            ("GET", "remote-sources", self._nothing),
            ("GET", "remote-images", self._nothing),
        ]
        return routes_of(table)

    async def _mappings(self, request: Request) -> Response:
        master = await self._of_master(request)
        found = await self._do(self._desk.book.select, Mapping, master=digest(master))
        return JSONResponse([mapping_answer(each, master) for each in found])

    async def _unmap(self, request: Request) -> Response:
        master = await self._of_master(request)
        rune = await self._do(self._desk.find, request.path_params["token"], digest(master))
        for each in await self._do(
            self._desk.book.select, Mapping, master=digest(master), token=rune.token
        ):
            await self._do(self._desk.book.remove, each)
        self._hub.changes.tell()
        return Response(status_code=204)

    async def _of_master(self, request: Request) -> str:
        """Return the master token in a path, if who asks may use it."""
        master: str = request.path_params["master"].lower()
        visitor = visitor_of(request)
        if visitor.key or (visitor.master and visitor.master != digest(master)):
            raise AccessError("this is another master token's")
        return master

    async def _of_page(self, request: Request, token: str) -> tuple[Visitor, Rune]:
        """Return who asks, and a rune that is shown to them."""
        visitor = visitor_of(request)
        if visitor.key:
            raise AccessError("a rune's key is for the rune alone")
        return visitor, await self._do(self._desk.find, token, visitor.master)

    async def _connection(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        state = await self._hub.state(rune)
        return JSONResponse(
            {
                "id": outside(rune.token),
                "plugin": rune.plugin_at > 0,
                "compute": state["state"] != "gone",
                "loaded": rune.loaded,
                "plugin_updated_at": instant(rune.plugin_at),
                "compute_updated_at": instant(rune.compute_at),
            }
        )

    async def _beat(self, request: Request) -> Response:
        await self._of_page(request, request.path_params["token"])
        return JSONResponse({})

    async def _contract(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        if rune.contract is None:
            raise NotFoundError(f"the rune {rune.token!r} has not said what it takes: restart it")
        return JSONResponse({"id": outside(rune.token), "data": msgspec.to_builtins(rune.contract)})

    async def _send(self, request: Request) -> Response:
        visitor_of(request)
        body = await json_of(self._hub, request)
        visitor, rune = await self._of_page(request, text_of(body, "token"))
        values, bpm, rate = _asked(body, rune)
        run = await self._hub.ask(rune.token, values, visitor.caller, bpm=bpm, sample_rate=rate)
        return JSONResponse({"id": run.id}, 201)

    async def _response(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        run = await self._do(self._desk.run, request.path_params["id"])
        if run.token != rune.token:
            raise NotFoundError(f"there is no run {run.id!r} of this connection")
        names = await self._do(converted_files_of, self._hub, run, request.state.base)
        response = {
            "files": names,
            "error": run.error,
            "logs": run.logs,
            "message": run.message,
            "status": run.state,
            "id": run.id,
        }
        return JSONResponse(message_answer(run, response))

    async def _abort(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        return JSONResponse({"aborted": await self._hub.abort(rune.token)})

    async def _nothing(self, request: Request) -> Response:
        visitor_of(request)
        return JSONResponse([])


def _asked(body: dict[str, Any], rune: Rune) -> tuple[dict[str, Any], float, int]:
    """Return the values of a message to a rune, with its beats per minute and sample rate."""
    try:
        request = msgspec.convert(body.get("request"), _Request)
    except msgspec.ValidationError as error:
        raise RequestError(f"request: {error}") from None
    wanted = rune.contract.method_name if rune.contract else request.data.method_name
    if request.data.method_name != wanted:
        raise RequestError(
            f"method_name = {request.data.method_name!r}: the rune's function is {wanted!r}"
        )
    values = {
        name: each.get("value") if isinstance(each, dict) else each
        for name, each in request.data.params.items()
    }
    return values, request.bpm, request.sample_rate


class _Data(msgspec.Struct):
    method_name: str
    params: dict[str, Any] = {}


class _Request(msgspec.Struct):
    data: _Data
    bpm: float = 120
    sample_rate: int = 48_000
