"""Who comes in: hosts, origins, tokens, passwords, and what they may do then."""

import base64
from pathlib import Path

import httpx
import numpy as np
import pytest

from racs_server.access import Access
from racs_server.access.origins import host_problem, origin_problem
from racs_server.storage import Store
from tests.access.users import TOKEN, access_to
from tests.gateway.conftest import MakeClient
from tests.gateway.filling import fill

FORMAT = {"sample_rate": 8000, "channels": 1, "bit_depth": 16}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:80", "192.168.1.5", "audio.example:1"],
)
def test_known_hosts(host: str) -> None:
    assert host_problem(host, frozenset({"audio.example"})) is None


@pytest.mark.parametrize(
    "host", ["", None, "evil.example", "127.0.0.1.evil.example", "[::1", "localhost.evil", "a b"]
)
def test_unknown_hosts(host: str | None) -> None:
    assert host_problem(host, frozenset({"audio.example"}))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://localhost:8080", True),
        ("HTTP://LOCALHOST:8080", True),
        ("https://lab.example", True),
        ("https://lab.example:443", True),
        ("http://localhost", False),
        ("https://localhost:8080", False),
        ("http://127.0.0.1:8080", False),
        ("http://lab.example", False),
        ("https://lab.example.evil", False),
        ("https://lab.example@evil", False),
        ("null", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_origins(origin: str | None, allowed: bool) -> None:
    named = frozenset({"https://lab.example:443"})
    problem = origin_problem(origin, "http://localhost:8080", named)
    assert (problem is None) is allowed


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_a_strangers_page_gets_nothing(client: httpx.AsyncClient, method: str) -> None:
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
    ):
        response = await client.request(method, "/streams", headers=headers)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert "access-control-allow-origin" not in response.headers


async def test_a_page_without_origin_changes_nothing(client: httpx.AsyncClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
    response = await client.post("/commands", content="CREATE 'x' 8000 1 16", headers=headers)
    assert response.status_code == 403
    assert (await client.get("/streams", headers=headers)).json()["streams"] == []


async def test_named_origins_may(make_client: MakeClient) -> None:
    page = {"Origin": "https://lab.example"}
    async with make_client(http_origins="https://lab.example, https://b.example") as client:
        asked = {**page, "Access-Control-Request-Method": "DELETE"}
        preflight = await client.options("/streams/x", headers=asked)
        assert preflight.status_code == 204
        assert "DELETE" in preflight.headers["access-control-allow-methods"]
        assert "Range" in preflight.headers["access-control-allow-headers"]
        response = await client.get("/streams", headers=page)
        assert response.headers["access-control-allow-origin"] == "https://lab.example"
        assert "Origin" in response.headers["vary"]
        wrong = await client.get("/streams/none", headers=page)
        assert wrong.headers["access-control-allow-origin"] == "https://lab.example"
        assert "access-control-allow-origin" not in (await client.get("/streams")).headers


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return access_to(tmp_path / "users.json")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer {TOKEN}"}, 200),
        ({"Authorization": "Bearer racs_wrong"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": "Digest x"}, 401),
        (basic("anna", "annas secret"), 200),
        (basic("anna", "wrong"), 401),
        (basic("nobody", "wrong"), 401),
    ],
)
async def test_who_somebody_is(
    make_client: MakeClient, access: Access, headers: dict[str, str], status: int
) -> None:
    async with make_client(access) as client:
        for path in ("/streams", "/streams/x/audio", "/streams/x/peaks", "/events"):
            if path == "/events" and status == 200:
                continue  # it would not end
            response = await client.get(path, headers=headers)
            assert response.status_code == (404 if status == 200 and "x" in path else status)
            if status == 401:
                assert response.headers["www-authenticate"].startswith("Bearer")
                assert "wrong" not in response.json()["detail"].replace("is wrong", "")
        assert (await client.get("/")).status_code == 200


async def test_pages_are_not_asked_for_a_password_by_the_browser(
    make_client: MakeClient, access: Access
) -> None:
    async with make_client(access) as client:
        page = await client.get("/streams", headers={"Sec-Fetch-Mode": "cors"})
        person = await client.get("/streams", headers={"Sec-Fetch-Mode": "navigate"})
    assert "Basic" not in page.headers["www-authenticate"]
    assert "Basic" in person.headers["www-authenticate"]


CORA = basic("cora", "coras secret")  # may read birds/*


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/streams/birds%2Fwren", 200),
        ("GET", "/streams/birds%2Fwren/audio", 200),
        ("GET", "/streams/birds%2Fwren/peaks", 200),
        ("GET", "/streams/calls", 403),
        ("GET", "/streams/calls/audio", 403),
        ("GET", "/streams/calls/peaks", 403),
        ("GET", "/streams/nothing", 403),
        ("DELETE", "/streams/birds%2Fwren", 403),
        ("POST", "/streams/birds%2Fwren/audio", 403),
        ("POST", "/streams/calls/audio", 403),
    ],
)
async def test_rights(
    make_client: MakeClient, access: Access, store: Store, method: str, path: str, status: int
) -> None:
    for stream_id in ("birds/wren", "calls"):
        fill(store, stream_id, np.zeros(10))
    async with make_client(access, CORA) as client:
        assert (await client.request(method, path)).status_code == status
        listed = (await client.get("/streams")).json()["streams"]
        assert [stream["id"] for stream in listed] == ["birds/wren"]
        new = await client.post("/streams", json={"id": "birds/x", **FORMAT})
        assert new.status_code == 403
        commands = {"Content-Type": "text/plain"}
        ran = await client.post("/commands", content="DELETE 'calls'", headers=commands)
        assert ran.status_code == 403
    assert sorted(store.ids()) == ["birds/wren", "calls"]


async def test_a_password_that_was_remembered_ends_with_its_user(
    make_client: MakeClient, access: Access, tmp_path: Path
) -> None:
    async with make_client(access, CORA) as client:
        assert (await client.get("/streams")).status_code == 200
        access_to(tmp_path / "users.json", access.users.without("cora"))
        access.refresh()
        assert (await client.get("/streams")).status_code == 401
