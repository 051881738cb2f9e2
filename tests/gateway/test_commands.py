"""Commands and waveforms over HTTP."""

import base64

import httpx
import numpy as np
import pytest

from racs_server.gateway.site import OPERATIONS
from racs_server.storage import Store
from tests.gateway.filling import fill

TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(autouse=True)
def stream(store: Store) -> None:
    fill(store, "x", np.arange(8000) - 4000, 8000, 2)
    store.attach("x", "notes", b"\x00\xff")


@pytest.mark.parametrize(
    ("command", "type_", "value"),
    [
        ("PING", "string", "PONG"),
        ("LIST '*'", "list", ["x"]),
        ("INFO 'x' 'size'", "int", 16000),
        ("CREATE 'y' 8000 1 16", "null", None),
        ("RANGE 'x' 0 0.0005 |> PEAKS 1", "f32v", None),
        ("ATTACHMENT 'x' 'notes'", "u8v", base64.b64encode(b"\x00\xff").decode()),
    ],
)
async def test_results(client: httpx.AsyncClient, command: str, type_: str, value: object) -> None:
    plain = await client.post("/commands", content=command, headers=TEXT)
    assert plain.status_code == 200
    result = plain.json()
    assert result["type"] == type_
    assert value is None or result["value"] == value


async def test_json_and_files(client: httpx.AsyncClient) -> None:
    asked = {"command": "RANGE 'x' 0 0.25 |> ENCODE 'audio/wav'"}
    response = await client.post("/commands", json=asked)
    assert response.headers["content-type"] == "audio/wav"
    whole = await client.get("/streams/x/audio", params={"to": 0.25})
    assert response.content == whole.content


@pytest.mark.parametrize(
    ("command", "status", "detail"),
    [
        ("NOPE", 400, "unknown command"),
        ("", 400, ""),
        ("RANGE 'x' 0 1", 400, "ENCODE 'audio/wav'"),
        ("STREAM 'x'", 400, "POST /streams/{id}/audio"),
        ("SUBSCRIBE '*'", 400, "GET /events"),
        ("AUTH 'a' 'b'", 400, "Authorization"),
        ("ATTACH 'x' 'y'", 400, "RACS client"),
        ("DELETE 'nope'", 404, "no stream 'nope'"),
        ("OPEN 'x' |> OPEN 'x'", 409, "already open"),
        ("X" * (1 << 20) + "X", 413, "1048576"),
        ("RANGE 'x' 0 1 |> PAD 0 1e12 |> ENCODE 'audio/flac'", 422, "at most 2^32 sample frames"),
        ("RANGE 'x' 0 1 |> PAD 0 5e5 |> ENCODE 'audio/wav'", 422, "more than 4 GiB"),
        ("RANGE 'x' 0 1 |> FORMAT 'audio/wav' 1000000000 2 16", 400, "from 1 to 768000"),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, command: str, status: int, detail: str
) -> None:
    response = await client.post("/commands", content=command, headers=TEXT)
    assert (response.status_code, detail in response.json()["detail"]) == (status, True)


async def test_get_never_changes_anything(client: httpx.AsyncClient) -> None:
    assert (await client.get("/commands?command=DELETE")).status_code == 405
    readers = {operation.name for operation in OPERATIONS if operation.method == "GET"}
    assert readers == {
        "welcome", "openapi", "events", "getAudio", "getPeaks", "listStreams", "getStream"
    }  # fmt: skip


async def test_peaks(client: httpx.AsyncClient) -> None:
    asked = {"from": 0, "to": 0.25, "n": 10}
    told = (await client.get("/streams/x/peaks", params=asked)).json()
    assert (told["points"], told["channels"]) == (10, 2)
    binary = await client.get("/streams/x/peaks", params={**asked, "format": "f32"})
    picture = np.frombuffer(binary.content, "<f4").reshape(10, 2, 3)
    assert told["peaks"] == picture.tolist()
    left = (np.arange(8000) - 4000)[:4000:2].reshape(10, 200)
    scale = left.min() / picture[0, 0, 0]
    assert np.allclose(picture[:, 0, 0] * scale, left.min(axis=1))
    assert np.allclose(picture[:, 0, 1] * scale, left.max(axis=1))
    nothing = await client.get("/streams/x/peaks", params={"from": "2", "to": "1"})
    assert nothing.json() == {"points": 0, "channels": 2, "peaks": []}
    wrong = await client.get("/streams/x/peaks", params={"n": 0})
    assert wrong.status_code == 400


async def test_the_description_names_every_operation(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    described = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    }
    assert described == {(o.method, o.path.replace(":path", "")) for o in OPERATIONS}


async def test_the_welcome_is_text(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert response.headers["content-type"].startswith("text/plain")
    assert "/openapi.json" in response.text
