"""Streams over HTTP: found, made, told of, deleted."""

from urllib.parse import quote

import httpx
import numpy as np
import pytest

from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.gateway.filling import fill

FORMAT = {"sample_rate": 8000, "channels": 1, "bit_depth": 16}


async def test_make_find_and_delete_a_stream(client: httpx.AsyncClient) -> None:
    made = await client.post("/streams", json={"id": "birds/wren", **FORMAT})
    assert made.status_code == 201
    assert made.headers["location"] == "/streams/birds%2Fwren"
    expected = {"id": "birds/wren", **FORMAT, "frames": 0, "size": 0, "ref": 0}
    expected |= {"first": None, "last": None, "open": False}
    assert made.json() == expected
    assert (await client.get(made.headers["location"])).json() == expected
    assert (await client.get("/streams/birds/wren")).json() == expected
    assert (await client.get("/streams")).json() == {"streams": [expected], "next": None}
    assert (await client.delete("/streams/birds%2Fwren")).status_code == 204
    assert (await client.get("/streams")).json() == {"streams": [], "next": None}


async def test_times_and_length(client: httpx.AsyncClient, store: Store) -> None:
    fill(store, "take", np.zeros(8001))
    told = (await client.get("/streams/take")).json()
    assert (told["frames"], told["size"]) == (8001, 16002)
    assert told["ref"] > 0
    first, last = (np.datetime64(told[name].rstrip("Z")) for name in ("first", "last"))
    assert last - first == np.timedelta64(1000, "ms")


async def test_pages_have_all_streams_once(client: httpx.AsyncClient, store: Store) -> None:
    ids = sorted([f"x{n}" for n in range(25)] + ["ä/ö", "other"])
    for stream_id in ids:
        store.create(stream_id, AudioFormat(8000, 1, 16))
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await client.get("/streams", params={"limit": 4, **after})).json()
        found += [stream["id"] for stream in page["streams"]]
        assert len(page["streams"]) <= 4
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == ids
    matching = (await client.get("/streams", params={"match": "x1*"})).json()
    assert [stream["id"] for stream in matching["streams"]] == [i for i in ids if i[:2] == "x1"]


@pytest.mark.parametrize(
    "stream_id",
    [
        "a",
        "a/b",
        "a//b",
        "a b",
        "ä/日本",
        "100%",
        "a%2Fb",
        "x/audio",
        "audio",
        "peaks",
        "?#&=+",
        "'\\",
    ],
)
async def test_any_id_can_stand_in_a_path(
    client: httpx.AsyncClient, store: Store, stream_id: str
) -> None:
    store.create(stream_id, AudioFormat(8000, 1, 16))
    found = await client.get(f"/streams/{quote(stream_id, safe='')}")
    assert found.json()["id"] == stream_id
    assert (await client.delete(f"/streams/{quote(stream_id, safe='')}")).status_code == 204
    assert list(store.ids()) == []


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "detail"),
    [
        ("GET", "/streams/nope", {}, 404, "there is no stream 'nope'"),
        ("GET", "/streams/%ff", {}, 400, "no percent-encoded UTF-8"),
        ("GET", "/streams?limit=0", {}, 400, "limit = '0': expected 1 to 1000"),
        ("GET", "/streams?limit=1&limit=2", {}, 400, "twice"),
        ("GET", "/streams?pattern=x", {}, 400, "there are match, after, limit"),
        ("GET", "/nothing", {}, 404, "/openapi.json"),
        ("PUT", "/streams", {}, 405, "no PUT"),
        ("DELETE", "/streams/open", {}, 409, "CLOSE"),
        ("POST", "/streams", {"json": {"id": "open", **FORMAT}}, 409, "open"),
        ("POST", "/streams", {"json": {"id": "x", **FORMAT, "channels": 99}}, 400, "1 to 32"),
        ("POST", "/streams", {"json": {"id": "x"}}, 400, "sample_rate"),
        ("POST", "/streams", {"json": {"id": "x", **FORMAT, "b": 1}}, 400, "`b`"),
        ("POST", "/streams", {"content": b"{"}, 415, "application/json"),
        ("POST", "/streams", {"json": "x" * 70_000}, 413, "65536"),
    ],
)
async def test_what_is_wrong_is_a_problem_document(
    client: httpx.AsyncClient,
    store: Store,
    method: str,
    path: str,
    options: dict[str, object],
    status: int,
    detail: str,
) -> None:
    store.create("open", AudioFormat(8000, 1, 16))
    store.open_stream("open")
    response = await client.request(method, path, **options)  # type: ignore[arg-type]
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert detail in problem["detail"]
    assert problem["instance"] == path.partition("?")[0]
    assert problem["type"].startswith("urn:racs:problem:")
    assert problem["title"]
