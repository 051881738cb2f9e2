"""Files in and out: what runes and pages put, and what they are given.

===== ========================================= ==================================== =============
PUT   what a signed URL stands for, /uploads/…  {"id", "name", "bytes"}              both
GET   /api/hub/get_signed_url/?…&filename=…     {"signed_url": …}                    both
PUT   /api/rune/original?name=…                 {"id", "name", "bytes"}              launcher
GET   /files/{id}/{name}                        a file, as it was put                both
GET   /files/{name}                             an input, for who has its secret     rune
===== ========================================= ==================================== =============

The client converts sounds before it puts them. The launcher puts them as they are just before that,
so that the archive has what the rune has made.
"""

import mimetypes
import re
from pathlib import Path
from urllib.parse import quote, unquote_plus

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from racs_server.errors import AccessError
from racs_server.hub.bodies import Chunks
from racs_server.hub.desk import NotFoundError, new_id
from racs_server.hub.door import shown, visitor_of
from racs_server.hub.handlers import Handlers
from racs_server.hub.rows import Upload

_SHOWN = ("audio/", "video/", "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain")
"""What a browser may show that comes from a rune; the rest it saves."""


class _Rest(Convertor[str]):
    """The rest of a path, whatever it is: a file's name may have a line break in it."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """Return it."""
        return value

    def to_string(self, value: str) -> str:
        """Return it."""
        return value


register_url_convertor("rest", _Rest())


class Transfer(Handlers):
    """Files, in both directions."""

    def routes(self) -> list[Route]:
        """Return all that there are."""
        return [
            *(Route(f"/api/hub/get_signed_url{end}", self._sign) for end in ("/", "")),
            Route("/uploads/{id}/{name:rest}", self._take_upload, methods=["PUT"]),
            Route("/api/rune/original", self._take_original, methods=["PUT"]),
            Route("/files/{id}/{name:rest}", self._file, methods=["GET"]),
            Route("/files/{name}", self._input, methods=["GET"]),
        ]

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
            Chunks(self._hub, request), name, identity, upload_id, output=kind == "out"
        )
        return JSONResponse({"id": upload.id, "name": name, "bytes": upload.bytes})

    async def _take_original(self, request: Request) -> Response:
        visitor = visitor_of(request)
        if not visitor.key:
            raise AccessError("this is for who has a rune's key")
        name = request.query_params.get("name", "").rpartition("/")[2] or "file"
        upload = await self._hub.take_upload(
            Chunks(self._hub, request), name, visitor.key, new_id(), output=True, original=True
        )
        return JSONResponse({"id": upload.id, "name": name, "bytes": upload.bytes})

    async def _file(self, request: Request) -> Response:
        upload_id = request.path_params["id"]
        upload = await self._hub.do(self._hub.desk.book.get, Upload, upload_id)
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


def file_response(path: Path, name: str) -> Response:
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


def _upload_parts(rest: str) -> tuple[str, str, str, str]:
    match rest.split("/", 3):
        case [kind, identity, proof, name]:
            return kind, identity, proof, name
    raise NotFoundError("there is no such address")
