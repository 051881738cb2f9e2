"""The hub's own JSON, under ``/api/page``: what the page is made with.

Who asks shows a master token: ``Authorization: Bearer <master>``, or in the path, as
``/r/<master>/api/page/…``, where no header can be sent (players, images). Times are RFC 3339;
errors are problem documents (RFC 9457: ``title``, ``status``, ``detail``).

======  ===========================  =======================================  =====================
method  path                         body                                     answer
======  ===========================  =======================================  =====================
GET     session                                                               {users, master, user,
                                                                              max_file, problems}
POST    masters                      {token} (a user's token is shown where   201 {}
                                     there are users)
POST    keys                         {name}                                   201 {key, hash, name,
                                                                              created, base,
                                                                              command}
GET     keys                                                                  [{hash, name,
                                                                              created, runes}],
                                                                              latest first
DELETE  keys/{hash}                                                           204
GET     runes                                                                 [rune]
GET     runes/{token}                                                         rune
DELETE  runes/{token}                                                         204: not shown any
                                                                              more
PUT     runes/{token}/target         {sample_rate, bit_depth, channels,       rune
                                     format, handover}: each can be left out
POST    uploads?name=NAME            the file's bytes                         201 {id, name, bytes}
POST    runes/{token}/runs           {values, bpm, sample_rate}               201 run
POST    runes/{token}/stop                                                    {stopped: n}
GET     runes/{token}/runs           ?limit=50&before=RUN                     [run], latest first
GET     runs                         the same, of all runes                   [run], latest first
GET     runs/{id}                                                             run
GET     runs/{id}/logs                                                        text: all of them
POST    runs/{id}/again                                                       201 run
POST    runs/{id}/stop                                                        {stopped: 0 or 1}
GET     changes?since=N                                                       {number}: held open
                                                                              for at most 20 s
                                                                              while it is N
======  ===========================  =======================================  =====================

rune
    ``token name description author version method state advice running waiting target form``:
    ``state`` is ``loading``, ``ready``, ``busy``, ``gone`` or ``unknown`` (no contract came);
    ``running`` and ``waiting`` are ids of runs; ``form`` is the list of parameters: ``name type
    component default min max step options``, of which ``component`` is ``slider``, ``choice``,
    ``number``, ``switch``, ``text`` or ``file``.
run
    ``id token rune method state values bpm sample_rate inputs outputs message error logs
    logs_size created started ended archived record``: ``state`` is ``pending``, ``processing``,
    ``completed``, ``error`` or ``aborted``; ``outputs`` grow while it runs: ``number name type
    bytes sha256 url stream attachment problem`` (``url`` gives the bytes as they came, while they
    are kept; ``stream`` names the audio in the archive); ``inputs`` are the same with ``parameter``
    and ``gain``; ``logs`` is the end of all that was printed, which has ``logs_size`` characters;
    ``record`` names the stream that has the run's record and its other files.

In ``values`` a file is ``{"upload": id}``, ``{"stream": id, "start": frame, "stop": frame}`` (both
frames can be left out) or null.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from racs.runs import record_id
from racs_server.access import EVERYONE
from racs_server.errors import AccessError, RequestError
from racs_server.hub.answers import files_of, instant
from racs_server.hub.bodies import Chunks, json_of, text_of
from racs_server.hub.contract import FILE_PATH, Param
from racs_server.hub.conversion import MIME_TYPES
from racs_server.hub.desk import NotFoundError, new_id
from racs_server.hub.door import KEY_PREFIX, Visitor, digest, is_master, visitor_of
from racs_server.hub.handlers import Handlers
from racs_server.hub.rows import Key, Mapping, Master, Run, Rune, Target

_MOST_RUNS = 200
_MOST_LOGS = 6_000
_COMPONENTS = {"runesnumberslider": "slider", "runesmultichoice": "choice"}
_PLAIN = {"bool": "switch", "int": "number", "float": "number", "str": "text", FILE_PATH: "file"}
_TARGETS: dict[str, tuple[Any, ...]] = {
    "sample_rate": (22_050, 32_000, 44_100, 48_000),
    "bit_depth": (16, 24),
    "channels": (1, 2),
    "format": tuple(MIME_TYPES),
    "handover": ("auto", "path", "url"),
}

Handler = Callable[[Request, Visitor], Awaitable[Response]]


class PageApi(Handlers):
    """What the page calls."""

    def routes(self) -> list[Route]:
        """Return all that there are."""
        table: list[tuple[str, str, Handler]] = [
            ("POST", "keys", self._make_key),
            ("GET", "keys", self._keys),
            ("DELETE", "keys/{hash}", self._drop_key),
            ("GET", "runes", self._runes),
            ("GET", "runes/{token}", self._rune),
            ("DELETE", "runes/{token}", self._drop_rune),
            ("PUT", "runes/{token}/target", self._target),
            ("POST", "uploads", self._upload),
            ("POST", "runes/{token}/runs", self._ask),
            ("POST", "runes/{token}/stop", self._stop_rune),
            ("GET", "runes/{token}/runs", self._runs),
            ("GET", "runs", self._all_runs),
            ("GET", "runs/{id}", self._run),
            ("GET", "runs/{id}/logs", self._logs),
            ("POST", "runs/{id}/again", self._again),
            ("POST", "runs/{id}/stop", self._stop),
            ("GET", "changes", self._changes),
        ]
        return [
            Route("/api/page/session", self._session, methods=["GET"]),
            Route("/api/page/masters", self._register_master, methods=["POST"]),
            *(
                Route(f"/api/page/{path}", _of_master(handler), methods=[method])
                for method, path, handler in table
            ),
        ]

    async def _session(self, request: Request) -> Response:
        visitor: Visitor | None = request.state.visitor
        return JSONResponse(
            {
                "users": self._hub.access.anyone is not EVERYONE,
                "master": visitor is not None and bool(visitor.master) and not visitor.key,
                "user": visitor.caller.name if visitor else None,
                "max_file": self._hub.files.most_bytes,
                "problems": [_NAMELESS] if self._hub.nameless else [],
            }
        )

    async def _register_master(self, request: Request) -> Response:
        visitor = visitor_of(request)
        token = text_of(await json_of(self._hub, request), "token").lower()
        if not is_master(token):
            raise RequestError("a master token is a UUID, such as crypto.randomUUID() makes")
        if visitor.key or visitor.master:
            raise AccessError("a user registers a master token, with a token of their own")
        owner = "" if visitor.caller is EVERYONE else visitor.caller.name
        hashed = digest(token)
        known = await self._do(self._book.get, Master, hashed)
        if known is not None and known.owner not in ("", owner):
            raise AccessError("this master token is another user's")
        await self._do(self._book.put, Master(hashed, owner, self._hub.now()))
        return JSONResponse({}, 201)

    async def _make_key(self, request: Request, visitor: Visitor) -> Response:
        name = text_of(await json_of(self._hub, request), "name", "")
        secret = KEY_PREFIX + new_id()
        key = Key(digest(secret), visitor.master, name, self._hub.now())
        await self._do(self._book.put, key)
        self._hub.changes.tell()
        scheme, _, rest = request.state.base.partition("://")
        base = f"{scheme}://{rest.partition('/')[0]}/r/{secret}/"
        command = f"racs rune run SCRIPT --hub {base}"
        return JSONResponse({**_key(key), "key": secret, "base": base, "command": command}, 201)

    async def _keys(self, request: Request, visitor: Visitor) -> Response:
        keys = await self._do(self._book.select, Key, master=visitor.master)
        names: dict[str, list[str]] = {}
        for rune in await self._do(self._book.select, Rune):
            if rune.contract is not None:
                names.setdefault(rune.key, []).append(rune.contract.title)
        shown = [{**_key(key), "runes": names.get(key.hash, [])} for key in reversed(keys)]
        return JSONResponse(shown)

    async def _drop_key(self, request: Request, visitor: Visitor) -> Response:
        key = await self._do(self._book.get, Key, request.path_params["hash"])
        if key is None or key.master != visitor.master:
            raise NotFoundError("there is no such key")
        await self._do(self._book.remove, key)
        self._hub.changes.tell()
        return Response(status_code=204)

    async def _runes(self, request: Request, visitor: Visitor) -> Response:
        mappings = await self._do(self._book.select, Mapping, master=visitor.master)
        found = [(await self._do(self._book.get, Rune, each.token), each) for each in mappings]
        return JSONResponse([await self._shown(rune, each) for rune, each in found if rune])

    async def _rune(self, request: Request, visitor: Visitor) -> Response:
        return JSONResponse(await self._shown(*await self._found(request, visitor)))

    async def _drop_rune(self, request: Request, visitor: Visitor) -> Response:
        _, mapping = await self._found(request, visitor)
        await self._do(self._book.remove, mapping)
        self._hub.changes.tell()
        return Response(status_code=204)

    async def _target(self, request: Request, visitor: Visitor) -> Response:
        rune, mapping = await self._found(request, visitor)
        body = await json_of(self._hub, request)
        for name, value in body.items():
            if value not in _TARGETS.get(name, ()):
                known = ", ".join(map(str, _TARGETS.get(name, tuple(_TARGETS))))
                raise RequestError(f"{name} = {value!r}: there are {known}")
        target = msgspec.convert({**msgspec.to_builtins(rune.target), **body}, Target)
        await self._hub.set_target(rune.token, target)
        return JSONResponse(
            await self._shown(msgspec.structs.replace(rune, target=target), mapping)
        )

    async def _upload(self, request: Request, visitor: Visitor) -> Response:
        name = request.query_params.get("name", "").rpartition("/")[2] or "file"
        upload = await self._hub.take_upload(
            Chunks(self._hub, request), name, visitor.master, new_id(), output=False
        )
        shown = {"id": upload.id, "name": upload.name, "bytes": upload.bytes}
        return JSONResponse(shown, 201)

    async def _ask(self, request: Request, visitor: Visitor) -> Response:
        rune, _ = await self._found(request, visitor)
        try:
            asked = msgspec.convert(await json_of(self._hub, request), _Asked)
        except msgspec.ValidationError as error:
            raise RequestError(f"{error}") from None
        run = await self._hub.ask(
            rune.token, asked.values, visitor.caller, bpm=asked.bpm, sample_rate=asked.sample_rate
        )
        return JSONResponse(await self._told(run, request), 201)

    async def _again(self, request: Request, visitor: Visitor) -> Response:
        run = await self._run_of(request, visitor)
        values = dict(run.values)
        # its inputs are in the archive, where they stay
        for file in run.inputs:
            values[file.parameter] = (
                {"stream": file.stream} if file.stream else values[file.parameter]
            )
        run = await self._hub.ask(
            run.token,
            values,
            visitor.caller,
            bpm=run.request["bpm"],
            sample_rate=run.request["sample_rate"],
        )
        return JSONResponse(await self._told(run, request), 201)

    async def _stop_rune(self, request: Request, visitor: Visitor) -> Response:
        rune, _ = await self._found(request, visitor)
        return JSONResponse({"stopped": await self._hub.abort(rune.token)})

    async def _stop(self, request: Request, visitor: Visitor) -> Response:
        run = await self._run_of(request, visitor)
        return JSONResponse({"stopped": await self._hub.abort(run.token, run.id)})

    async def _runs(self, request: Request, visitor: Visitor) -> Response:
        rune, _ = await self._found(request, visitor)
        return JSONResponse(await self._history(request, [rune.token]))

    async def _all_runs(self, request: Request, visitor: Visitor) -> Response:
        mappings = await self._do(self._book.select, Mapping, master=visitor.master)
        return JSONResponse(await self._history(request, [each.token for each in mappings]))

    async def _history(self, request: Request, tokens: list[str]) -> list[dict[str, Any]]:
        limit = request.query_params.get("limit", "50")
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_RUNS:
            raise RequestError(f"limit = {limit!r:.80}: it must be 1 to {_MOST_RUNS}")
        before = request.query_params.get("before", "")
        runs: list[Run] = []
        for token in tokens:
            runs += await self._do(self._book.last, Run, int(limit), before, token=token)
        runs.sort(key=lambda run: run.created, reverse=True)
        return [await self._told(run, request) for run in runs[: int(limit)]]

    async def _run(self, request: Request, visitor: Visitor) -> Response:
        return JSONResponse(await self._told(await self._run_of(request, visitor), request))

    async def _logs(self, request: Request, visitor: Visitor) -> Response:
        run = await self._run_of(request, visitor)
        return PlainTextResponse(run.all_logs)

    async def _changes(self, request: Request, visitor: Visitor) -> Response:
        since = request.query_params.get("since", "-1")
        number = int(since) if since.removeprefix("-").isdecimal() else -1
        return JSONResponse({"number": await self._hub.wait_for_change(number)})

    async def _found(self, request: Request, visitor: Visitor) -> tuple[Rune, Mapping]:
        """Return the rune in the path, if it is shown to who asks."""
        token = request.path_params["token"]
        return await self._rune_of(token, visitor)

    async def _rune_of(self, token: str, visitor: Visitor) -> tuple[Rune, Mapping]:
        rune = await self._do(self._hub.desk.find, token, visitor.master)
        mappings = await self._do(
            self._book.select, Mapping, master=visitor.master, token=rune.token
        )
        return rune, mappings[0]

    async def _run_of(self, request: Request, visitor: Visitor) -> Run:
        run = await self._do(self._hub.desk.run, request.path_params["id"])
        await self._rune_of(run.token, visitor)
        return run

    async def _shown(self, rune: Rune, mapping: Mapping) -> dict[str, Any]:
        contract = rune.contract
        state = await self._hub.state(rune)
        if contract is None:
            advice = "it has not said what it takes: restart it"
            state = {**state, "state": "unknown", "advice": advice}
        return {
            "token": rune.token,
            "name": contract.title if contract else mapping.name,
            "description": contract.description if contract else mapping.description,
            "author": contract.author if contract else "",
            "version": contract.version if contract else "",
            "method": contract.method_name if contract else "",
            **state,
            "target": msgspec.to_builtins(rune.target),
            "form": [_field(param) for param in contract.params] if contract else [],
        }

    async def _told(self, run: Run, request: Request) -> dict[str, Any]:
        outputs = await self._do(files_of, self._hub, run, request.state.base)
        return {
            "id": run.id,
            "token": run.token,
            "rune": run.rune,
            "method": run.method,
            "state": run.state,
            "values": run.values,
            "bpm": run.request["bpm"],
            "sample_rate": run.request["sample_rate"],
            "inputs": msgspec.to_builtins(run.inputs),
            "outputs": outputs,
            "message": run.message,
            "error": run.error,
            "logs": run.all_logs[-_MOST_LOGS:],
            "logs_size": len(run.all_logs),
            "created": instant(run.created),
            "started": instant(run.started),
            "ended": instant(run.ended),
            "archived": run.archived,
            "record": record_id(run.rune, run.id),
        }


class _Asked(msgspec.Struct):
    values: dict[str, Any] = {}
    bpm: float = 120
    sample_rate: int = 48_000


_NAMELESS = (
    "a rune runs that could not be registered: look at what it prints. All parameters need an"
    " annotation (bool, int, float, str, RunesFilePath), and the function has to be async"
)


def _of_master(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler for who has a master token."""

    async def checked(request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor.key or not visitor.master:
            raise AccessError("this is for who has a master token: show it as a bearer token")
        return await handler(request, visitor)

    return checked


def _field(param: Param) -> dict[str, Any]:
    component = _COMPONENTS.get((param.ui_component or "").lower(), _PLAIN[param.type])
    return {
        "name": param.name,
        "type": param.type,
        "component": component,
        "default": param.default,
        "min": param.min,
        "max": param.max,
        "step": param.step,
        "options": param.options,
    }


def _key(key: Key) -> dict[str, Any]:
    return {"hash": key.hash, "name": key.name, "created": instant(key.created)}
