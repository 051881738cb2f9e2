"""What the hub knows, as JSON: what more than one kind of visitor is told."""

from typing import Any
from urllib.parse import quote

import msgspec

from racs.runs.record import kind_of
from racs_server.hub.archive import instant_of
from racs_server.hub.desk import outside
from racs_server.hub.hub import Hub
from racs_server.hub.outputs import match_originals
from racs_server.hub.rows import Mapping, Run, Upload


def files_of(hub: Hub, run: Run, base: str) -> list[dict[str, Any]]:
    """Return what a run has made, or has made so far, with addresses; uses the database."""
    if run.outputs:
        pairs = zip(run.outputs, run.files, strict=True)
        return [
            {**msgspec.to_builtins(file), "url": url_of(base, upload, file.name)}
            for file, upload in pairs
        ]
    uploads = hub.desk.book.select(Upload, run=run.id)
    put = [each for each in uploads if not each.original]
    originals, left = match_originals(
        [each.name for each in put], [each for each in uploads if each.original]
    )
    shown = [*(before or after for before, after in zip(originals, put, strict=True)), *left]
    return [
        {
            "number": number,
            "name": upload.name,
            "type": kind_of(upload.name),
            "bytes": upload.bytes,
            "url": url_of(base, upload.id, upload.name),
        }
        for number, upload in enumerate(shown, 1)
    ]


def converted_files_of(hub: Hub, run: Run, base: str) -> list[dict[str, Any]]:
    """Return the same as the rune's client has put it; uses the database."""
    found = files_of(hub, run, base)
    for file, upload_id in zip(found, run.converted, strict=False):
        upload = hub.desk.book.get(Upload, upload_id)
        if upload is not None:
            file["name"], file["bytes"] = upload.name, upload.bytes
            file["url"] = url_of(base, upload.id, upload.name)
    return found


def url_of(base: str, upload_id: str, name: str) -> str:
    """Return where an upload can be had; "" if there is none."""
    return f"{base}/files/{upload_id}/{quote(name, safe='')}" if upload_id else ""


def instant(seconds: float) -> str | None:
    """Return a time as RFC 3339; None for none."""
    return instant_of(seconds) or None


def mapping_answer(mapping: Mapping, master: str) -> dict[str, Any]:
    """Return a mapping as the client of runes and plugin pages know it."""
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


def message_answer(run: Run, response: dict[str, Any] | None) -> dict[str, Any]:
    """Return a run as the client of runes and plugin pages know it."""
    return {
        "id": run.id,
        "token": outside(run.token),
        "status": run.state,
        "response": response,
        "request": run.request,
    }
