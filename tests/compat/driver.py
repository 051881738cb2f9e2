"""Run by the Python that has ``racs==0.1.2``: carries out calls of that client, prints what came.

Reads from standard input one JSON object: ``port`` and ``calls``, each a list. ``["stream", id,
settings, samples]`` sends; ``["pipeline", [[method, keyword arguments], ...]]`` and ``["command",
text]`` ask. Prints a JSON list of outcomes: ``{"value": ...}``, where bytes are ``{"bytes":
base64}``, or ``{"error": text}``.
"""

import base64
import json
import sys
from typing import Any

from racs import Racs


def carry_out(client: Any, call: list[Any]) -> Any:
    """Return what a call gives."""
    kind, *arguments = call
    if kind == "stream":
        stream_id, settings, samples = arguments
        builder = client.stream(stream_id)
        for name, value in settings.items():
            builder = getattr(builder, name)(value)
        return builder.execute(samples)
    if kind == "pipeline":
        pipeline = client.pipeline()
        pipeline.reset()
        for name, keywords in arguments[0]:
            pipeline = getattr(pipeline, name)(**keywords)
        return pipeline.execute()
    return client.execute_command(arguments[0])


def outcome(client: Any, call: list[Any]) -> dict[str, Any]:
    """Return what a call gives, or how it failed, as JSON can hold it."""
    try:
        value = carry_out(client, call)
    except Exception as error:  # whatever it is, the test judges it
        return {"error": f"{type(error).__name__}: {error}"}
    if isinstance(value, bytes | bytearray):
        return {"value": {"bytes": base64.b64encode(value).decode()}}
    if isinstance(value, tuple):
        value = list(value)
    return {"value": value}


if __name__ == "__main__":
    work = json.load(sys.stdin)
    client = Racs(host="127.0.0.1", port=work["port"])
    json.dump([outcome(client, call) for call in work["calls"]], sys.stdout)
