"""Commands over HTTP: a command text in, its result out.

A result is JSON; a file (ENCODE, FORMAT) is the response itself. Samples alone have no place here:
the error says how to get them as a file. What needs a connection of its own (STREAM and ATTACH
without a pipe, FOLLOW, SUBSCRIBE, AUTH) is refused before anything runs.
"""

import base64
from functools import partial
from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from racs.wire import Vector
from racs_server.commands import Value
from racs_server.commands.spec import Mode
from racs_server.errors import LimitError, RequestError
from racs_server.gateway import problems
from racs_server.gateway.audio import disposition
from racs_server.gateway.bodies import (
    JSON_WEIGHT,
    bytes_of,
    decode,
    json_numbers,
    json_response,
    media_type,
)
from racs_server.gateway.door import caller_of
from racs_server.gateway.files import file_response
from racs_server.gateway.operations import Body, Operation
from racs_server.gateway.problems import ProblemError
from racs_server.gateway.services import Services
from racs_server.gateway.shelf import NO_LIMIT
from racs_server.values import AudioPlan, EncodedPlan

MAX_VECTOR = 16 << 20
"""Bytes of a vector that is given as JSON."""

_TYPES = {"s8v": "i1", "s16v": "<i2", "u16v": "<u2", "s32v": "<i4", "u32v": "<u4", "f32v": "<f4"}
_INSTEAD = {
    Mode.APPEND: "POST /streams/{id}/audio appends audio",
    Mode.FEED: "GET /events tells what happens; a RACS client can FOLLOW",
    Mode.LOGIN: "the header Authorization says who you are",
    Mode.ATTACH: "use a RACS client",
}


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command, as JSON."""

    command: str


class Result(msgspec.Struct, frozen=True):
    """A command's result, as JSON: its type in the RACS protocol, and its value."""

    type: str
    value: Any


async def post_command(services: Services, request: Request) -> Response:
    """Carry out a command text."""
    body = await bytes_of(request, services.settings.max_eval, services.settings)
    prepared = services.executor.prepare(_text(request, body))
    for step in prepared.steps or ():
        _check_mode(step.spec.name, step.spec.mode)
    with services.lease() as lease:
        caller = caller_of(request.scope)
        value = await services.executor.run(prepared, caller, lease.grow, NO_LIMIT)
        if isinstance(value, Vector):
            await lease.grow(JSON_WEIGHT * min(len(value.data), MAX_VECTOR))
        if not isinstance(value, EncodedPlan):
            return json_response(await services.in_thread(partial(result_of, value)))
    name = value.tags.stream_id or "racs"
    headers = {"Content-Disposition": disposition(value, name)}
    return await file_response(services, request, value, headers)


def _text(request: Request, body: bytes) -> str:
    kind, _ = media_type(request)
    if kind == "application/json":
        return decode(body, Command).command
    if kind == "text/plain":
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise RequestError(f"the command is no UTF-8: {error}") from None
    raise ProblemError(
        problems.BAD_MEDIA, f"Content-Type {kind!r}: expected text/plain or application/json"
    )


def _check_mode(name: str, mode: Mode) -> None:
    if mode is not Mode.REPLY:
        raise RequestError(f"{name} needs a connection of its own: over HTTP, {_INSTEAD[mode]}")


def result_of(value: Value) -> Result:
    """Return a command's result as JSON.

    Raises
    ------
    RequestError
        It is nothing that JSON has.
    """
    if isinstance(value, AudioPlan):
        raise RequestError(
            "samples alone are not given over HTTP: make a file of them, with"
            " |> ENCODE 'audio/wav', or use GET /streams/{id}/audio"
        )
    match value:
        case None | bool() | int() | float() | str() | list():
            return Result(_name(value), value)
        case Vector(type=name, data=data) if len(data) > MAX_VECTOR:
            raise LimitError(
                f"a vector ({name}) of {len(data)} bytes: at most {MAX_VECTOR} are given as JSON"
            )
        case Vector(type="u8v", data=data):
            return Result("u8v", base64.b64encode(data).decode())
        case Vector(type=name, data=data) if name in _TYPES:
            return Result(name, json_numbers(np.frombuffer(data, _TYPES[name])))
        case _:
            raise RequestError("this needs a connection of its own: use a RACS client")


def _name(value: Value) -> str:
    names = {type(None): "null", bool: "bool", int: "int", float: "float", str: "string"}
    return names.get(type(value), "list")


_COMMAND_SCHEMA = {
    "type": "object",
    "properties": {"command": {"type": "string", "minLength": 1}},
    "required": ["command"],
    "additionalProperties": False,
}
_RESULT_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "As in the RACS protocol; u8v is base64."},
        "value": {"description": "Numbers that are infinite or none are null."},
    },
    "required": ["type", "value"],
}

OPERATIONS = (
    Operation(
        method="POST",
        path="/commands",
        name="runCommand",
        doc="Carry out a command, such as LIST '*' or RANGE 'x' 0 5 |> ENCODE 'audio/flac'.",
        call=post_command,
        body=Body(
            "The command.",
            {
                "text/plain": {"type": "string", "minLength": 1},
                "application/json": _COMMAND_SCHEMA,
            },
        ),
        responses={
            200: Body(
                "Its result; a file is sent as it is.",
                {"application/json": _RESULT_SCHEMA, "audio/*": None},
            )
        },
    ),
)
