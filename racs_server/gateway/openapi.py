"""The API's description, made from the table of operations (OpenAPI 3.1)."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from racs_server.gateway import problems
from racs_server.gateway.operations import Body, Operation
from racs_server.gateway.streams import STREAM_SCHEMA

_PROBLEM_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
    "required": list(problems.Problem.__struct_fields__),
}
_PROBLEM = {"$ref": "#/components/responses/Problem"}
_STREAM_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The stream's id, percent-encoded; / as %2F.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of some operations."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path.replace("{id:path}", "{id}")
        item = paths.setdefault(path, {"parameters": [_STREAM_ID]} if "{id}" in path else {})
        item[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "racs: an audio stream store",
            "version": version("racs-store"),
            "description": "Streams of PCM, and any moment of them as a file.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Stream": STREAM_SCHEMA, "Problem": _PROBLEM_SCHEMA},
            "responses": {
                "Problem": {
                    "description": "What was wrong, and what to do (RFC 9457).",
                    "content": {
                        problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
                    },
                }
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"token": []}, {"password": []}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "description": operation.doc,
        "responses": {
            **{str(status): _body(body) for status, body in operation.responses.items()},
            "default": _PROBLEM,
        },
    }
    if operation.query:
        described["parameters"] = [
            {"name": each.name, "in": "query", "description": each.doc, "schema": each.schema}
            for each in operation.query
        ]
    if operation.body is not None:
        described["requestBody"] = {**_body(operation.body), "required": True}
    return described


def _body(body: Body) -> dict[str, Any]:
    described: dict[str, Any] = {"description": body.doc}
    if body.content:
        described["content"] = {kind: _media(schema) for kind, schema in body.content.items()}
    return described


def _media(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if schema is None else {"schema": schema}
