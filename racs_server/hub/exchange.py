"""The addresses under ``/api/hub``: what the client of runes calls, and a plugin page.

======== ================================================ ============================ =========
method   path                                             answer                       who
======== ================================================ ============================ =========
PUT      connection/compute/{token}/1/                    {}                           rune
POST     compute/contract/                                201 {}                       rune
POST     connection_mappings/                             201 the mapping              rune
PUT      connections/{token}/loaded/                      {}                           rune
GET      get_latest_pending_messages/{token}/             [] or [message]; held open   rune
PATCH    update_message_status/{token}/{id}/              {}                           rune
POST     reply_to_message/                                {}                           rune
GET      get_signed_url/?token=…&filename=…               {"signed_url": …}            both
GET      connection_mappings/{master}/                    [mapping …]                  page
DELETE   connection_mappings/{master}/{token}/            204                          page
GET      connections/{token}/                             the connection               page
PUT      connection/plugin/{token}/1/                     {}                           page
GET      compute/contract/{token}/                        {"id", "data"}               page
POST     send_message/                                    201 {"id"}                   page
GET      get_response/{id}/{token}/                       the message                  page
POST     abort_messages/{token}/                          {"aborted": n}               page
GET      remote-sources/, remote-images/                  []                           page
======== ================================================ ============================ =========

``POST /api/rune/output`` (``{"text": …, "ended": …}``) is for the launcher: what a rune's process
has printed, and, when it is over, why; the answer ``{"stop": id}`` names a run that only the end of
the process can end, or is "".
``PUT /uploads/…`` is what a signed URL stands for; ``GET /files/…`` gives files out.
"""

import mimetypes
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, unquote_plus

import msgspec
import trio
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from racs_server.access import is_loopback
from racs_server.errors import AccessError, RequestError
from racs_server.hub.archive import instant_of
from racs_server.hub.contract import read_contract
from racs_server.hub.desk import NotFoundError, inside, new_id, outside
from racs_server.hub.door import Visitor, digest, shown, visitor_of
from racs_server.hub.hub import Hub
from racs_server.hub.rows import Mapping, Run, Rune, Upload

_SHOWN = ("audio/", "video/", "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain")
"""What a browser may show that comes from a rune; the rest it saves."""
_MOST_JSON = 8 << 20
_NOBODY = ("None", "null", "undefined")

Handler = Callable[[Request], Awaitable[Response]]


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request has brought; `RequestError` if it is none."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_JSON:
            raise RequestError(f"more than {_MOST_JSON >> 20} MiB of JSON")
    try:
        body = msgspec.json.decode(data or b"{}")
    except msgspec.DecodeError as error:
        raise RequestError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    return body


def text_of(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of a JSON object; `RequestError` if it is not there, or none."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise RequestError(f"{name} = {value!r:.80}: it must be text")
    return value


class Exchange:
    """The handlers.

    Parameters
    ----------
    hub
        What they use.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._desk = hub.desk
        self._do = hub.do

    def __repr__(self) -> str:
        return f"<Exchange of {self._hub!r}>"

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
            ("GET", "get_signed_url", self._sign),
            ("GET", "connection_mappings/{master}", self._mappings),
            ("DELETE", "connection_mappings/{master}/{token}", self._unmap),
            ("GET", "connections/{token}", self._connection),
            ("PUT", "connection/plugin/{token}/1", self._plugin_beat),
            ("GET", "compute/contract/{token}", self._contract),
            ("POST", "send_message", self._send),
            ("GET", "get_response/{id}/{token}", self._response),
            ("POST", "abort_messages/{token}", self._abort),
            ("GET", "remote-sources", self._nothing),
            ("GET", "remote-images", self._nothing),
        ]
        hub = [
            Route(f"/api/hub/{path}{end}", handler, methods=[method])
            for method, path, handler in table
            for end in ("/", "")
        ]
        return [
            *hub,
            Route("/api/rune/output", self._output, methods=["POST"]),
            Route("/uploads/{id}/{name:path}", self._take_upload, methods=["PUT"]),
            Route("/files/{id}/{name:path}", self._file, methods=["GET"]),
            Route("/files/{name}", self._input, methods=["GET"]),
        ]

    # runes

    async def _beat(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        if request.path_params["token"] in _NOBODY:
            self._hub.nameless += 1
        elif await self._do(self._desk.book.get, Rune, token) is not None:
            self._hub.heard(token)
        return JSONResponse({})

    async def _register(self, request: Request) -> Response:
        visitor_of(request)
        body = await body_of(request)
        contract = read_contract(body.get("data"))
        visitor, token = of_rune(request, text_of(body, "id"))
        host = request.headers["host"]
        near = request.client is None or is_loopback(request.client.host)
        await self._hub.register(token, contract, visitor.key, host, near=near)
        return JSONResponse({}, 201)

    async def _map(self, request: Request) -> Response:
        visitor_of(request)
        body = await body_of(request)
        visitor, token = of_rune(request, text_of(body, "connection_token"))
        master = text_of(body, "master_token").lower()
        if visitor.key and visitor.master != digest(master):
            raise AccessError(
                "the rune's key was made for another master token than the one that it has set"
            )
        names = ("connection_name", "connection_type", "description")
        texts = [text_of(body, name, "") for name in names]
        mapping = await self._do(self._desk.map, digest(master), token, *texts)
        self._hub.tell()
        return JSONResponse(_mapping(mapping, master), 201)

    async def _loaded(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        loaded = (await body_of(request)).get("loaded")
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
        return JSONResponse([] if run is None else [_message(run, response=None)])

    async def _status(self, request: Request) -> Response:
        _, token = of_rune(request, request.path_params["token"])
        run_id = request.path_params["id"]
        status = text_of(await body_of(request), "status")
        await self._hub.take_status(token, run_id, status)
        return JSONResponse({})

    async def _reply(self, request: Request) -> Response:
        visitor_of(request)
        body = await body_of(request)
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
        body = await body_of(request)
        texts = (text_of(body, "text", ""), text_of(body, "ended", ""))
        stop = await self._hub.take_output(visitor.key, *texts)
        return JSONResponse({"stop": stop})

    # files

    async def _sign(self, request: Request) -> Response:
        visitor = visitor_of(request)
        # the client does not encode the name, which may hold & and =
        query = request.scope["query_string"].decode("latin-1")
        name = unquote_plus(query.partition("filename=")[2]).rpartition("/")[2] or "file"
        by_page = "sec-fetch-mode" in request.headers or "origin" in request.headers
        upload_id = new_id()
        kind = "in" if by_page or not (visitor.key or not visitor.master) else "out"
        proof = self._hub.files.sign(f"{upload_id} {kind} {visitor.identity} {name}")
        identity = visitor.identity or "-"
        path = f"/uploads/{upload_id}/{kind}/{identity}/{proof}/{quote(name, safe='')}"
        return JSONResponse({"signed_url": request.state.base + path})

    async def _take_upload(self, request: Request) -> Response:
        upload_id = request.path_params["id"]
        kind, identity, proof, name = _upload_parts(request.path_params["name"])
        identity = identity.removeprefix("-")
        if not self._hub.files.proves(proof, f"{upload_id} {kind} {identity} {name}"):
            raise AccessError("this address was not given out by this server")
        upload = await self._hub.take_upload(
            request.stream(), name, identity, upload_id, output=kind == "out"
        )
        return JSONResponse({"id": upload.id, "name": name, "bytes": upload.bytes})

    async def _file(self, request: Request) -> Response:
        upload_id = request.path_params["id"]
        upload = await self._do(self._desk.book.get, Upload, upload_id)
        path = self._hub.files.upload_path(upload_id)
        if upload is None or path is None:
            raise NotFoundError(
                "there is no such file, or it was removed: what was in it is in the archive"
            )
        return file_response(path, upload.name)

    async def _input(self, request: Request) -> Response:
        """Give an input to a rune that has the secret of its run."""
        secret = shown(request.headers) or ""
        run_id, _, proof = secret.partition(".")
        if not self._hub.files.proves(proof, f"input {run_id}"):
            raise AccessError("this needs the password of the run that the file is for")
        path = self._hub.files.input_path(
            run_id, re.sub("[/\\\\]", "", request.path_params["name"])
        )
        if not path.is_file():
            raise NotFoundError("there is no such file")
        return FileResponse(path)

    # pages

    async def _mappings(self, request: Request) -> Response:
        master = await self._of_master(request)
        found = await self._do(self._desk.book.select, Mapping, master=digest(master))
        return JSONResponse([_mapping(each, master) for each in found])

    async def _unmap(self, request: Request) -> Response:
        master = await self._of_master(request)
        rune = await self._do(self._desk.find, request.path_params["token"], digest(master))
        for each in await self._do(
            self._desk.book.select, Mapping, master=digest(master), token=rune.token
        ):
            await self._do(self._desk.book.remove, each)
        self._hub.tell()
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

    async def _plugin_beat(self, request: Request) -> Response:
        await self._of_page(request, request.path_params["token"])
        return JSONResponse({})

    async def _contract(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        if rune.contract is None:
            raise NotFoundError(f"the rune {rune.token!r} has not said what it takes: restart it")
        return JSONResponse({"id": outside(rune.token), "data": msgspec.to_builtins(rune.contract)})

    async def _send(self, request: Request) -> Response:
        visitor_of(request)
        body = await body_of(request)
        visitor, rune = await self._of_page(request, text_of(body, "token"))
        values, bpm, rate = _asked(body, rune)
        run = await self._hub.ask(rune.token, values, visitor.caller, bpm=bpm, sample_rate=rate)
        return JSONResponse({"id": run.id}, 201)

    async def _response(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        run = await self._do(self._desk.run, request.path_params["id"])
        if run.token != rune.token:
            raise NotFoundError(f"there is no run {run.id!r} of this connection")
        names = await self._do(files_of, self._hub, run, request.state.base)
        response = {
            "files": names,
            "error": run.error,
            "logs": run.logs,
            "message": run.message,
            "status": run.state,
            "id": run.id,
        }
        return JSONResponse(_message(run, response))

    async def _abort(self, request: Request) -> Response:
        _, rune = await self._of_page(request, request.path_params["token"])
        return JSONResponse({"aborted": await self._hub.abort(rune.token)})

    async def _nothing(self, request: Request) -> Response:
        visitor_of(request)
        return JSONResponse([])


def of_rune(request: Request, token: str) -> tuple[Visitor, str]:
    """Return who asks, and the hub's own name for the connection that they speak for."""
    visitor = visitor_of(request)
    return visitor, inside(token, visitor.master)


def files_of(hub: Hub, run: Run, base: str) -> list[dict[str, Any]]:
    """Return what a run has made, or has made so far, with addresses; uses the database."""
    if run.outputs:
        pairs = zip(run.outputs, run.files, strict=True)
        return [
            {
                **msgspec.to_builtins(file),
                "url": f"{base}/files/{upload}/{quote(file.name, safe='')}" if upload else "",
            }
            for file, upload in pairs
        ]
    return [
        {
            "number": number,
            "name": upload.name,
            "type": kind_of(upload.name),
            "bytes": upload.bytes,
            "url": f"{base}/files/{upload.id}/{quote(upload.name, safe='')}",
        }
        for number, upload in enumerate(hub.desk.book.select(Upload, run=run.id), 1)
    ]


def kind_of(name: str) -> str:
    """Return what a file seems to be, by its name, in the words of the client of runes."""
    found = mimetypes.guess_type(name)[0] or ""
    kind = found.partition("/")[0]
    if found in ("audio/midi", "audio/x-midi"):
        return "midi"
    return kind if kind in ("audio", "text", "video", "image") else "other"


def file_response(path: Any, name: str) -> Response:
    """Return a file that anybody may have made: nothing of it is run in a browser."""
    media = mimetypes.guess_type(name)[0] or "application/octet-stream"
    safe = media.startswith(_SHOWN)
    return FileResponse(
        path,
        media_type=media if safe else "application/octet-stream",
        filename=name,
        content_disposition_type="inline" if safe else "attachment",
        headers={"content-security-policy": "sandbox; default-src 'none'"},
    )


def instant(seconds: float) -> str | None:
    """Return a time as RFC 3339; None for none."""
    return instant_of(seconds) or None


def _upload_parts(rest: str) -> tuple[str, str, str, str]:
    match rest.split("/", 3):
        case [kind, identity, proof, name]:
            return kind, identity, proof, name
    raise NotFoundError("there is no such address")


def _mapping(mapping: Mapping, master: str) -> dict[str, Any]:
    return {
        "id": mapping.id,
        "master_token": master,
        "connection_token": outside(mapping.token),
        "connection_name": mapping.name,
        "connection_type": mapping.type,
        "description": mapping.description,
        "created_at": instant(mapping.created),
        "updated_at": instant(mapping.updated),
    }


def _message(run: Run, response: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "token": outside(run.token),
        "status": run.state,
        "response": response,
        "request": run.request,
    }


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
