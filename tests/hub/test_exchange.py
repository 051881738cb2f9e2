"""What runes and pages say to a real hub, and what they are answered."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import soundfile

from tests.runes.hub import MASTER, HubDaemon, Page, wait_for

TOKEN = "471a5857-8147-5547-87b8-9c6f207cea7b"
CONTRACT = {
    "id": TOKEN,
    "data": {
        "method_name": "arbitrary_method",
        "params": [
            {"name": "a", "type": "int", "default_value": 5, "ui_component": None},
            {"name": "b", "type": "RunesFilePath", "default_value": None, "ui_component": None},
        ],
        "author": "Default Author",
        "name": "My Remote Code",
        "description": "…",
        "version": "0.0.0",
    },
}
MAPPING = {
    "master_token": MASTER,
    "connection_token": TOKEN,
    "connection_name": "My Remote Code",
    "connection_type": "unknown",
    "description": "…",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDaemon]:
    folder = tmp_path_factory.mktemp("hub")
    with HubDaemon(folder, "--hub-max-file", "100000", "--http-origins", "http://lab") as running:
        yield running


@pytest.fixture(scope="module")
def page(hub: HubDaemon) -> Iterator[Page]:
    with Page(hub.hub) as page:
        yield page


@pytest.fixture(scope="module")
def base(page: Page) -> str:
    found: str = page.ask("POST", "keys", json={"name": "test"})["base"]
    return found


@pytest.fixture(scope="module")
def rune(base: str) -> Iterator[httpx.Client]:
    """What speaks as the client of runes does; registered and loaded."""
    with httpx.Client(base_url=base, timeout=30) as client:
        assert client.post("/api/hub/compute/contract/", json=CONTRACT).status_code == 201
        assert client.post("/api/hub/connection_mappings/", json=MAPPING).status_code == 201
        for loaded in (False, True):
            url = f"/api/hub/connections/{TOKEN}/loaded/"
            assert client.put(url, json={"loaded": loaded}).status_code == 200
        yield client


def poll(rune: httpx.Client) -> list[dict[str, Any]]:
    response = rune.get(f"api/hub/get_latest_pending_messages/{TOKEN}/")
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.json()
    return found


def reply(rune: httpx.Client, run_id: str, **response: Any) -> None:
    body = {"id": run_id, "token": TOKEN, "status": "completed", "response": response}
    assert rune.post("api/hub/reply_to_message/", json=body).status_code == 200


def begin(rune: httpx.Client, run_id: str) -> None:
    url = f"api/hub/update_message_status/{TOKEN}/{run_id}/"
    assert rune.patch(url, json={"status": "processing"}).status_code == 200


def put(rune: httpx.Client, name: str, data: bytes) -> httpx.Response:
    signed = rune.get(f"/api/hub/get_signed_url/?token=myToken&filename={name}").json()
    url: str = signed["signed_url"]
    return httpx.put(url, content=data, headers={"Content-Type": "wav"})


def test_a_message_comes_at_once_while_a_poll_is_held(rune: httpx.Client, page: Page) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append((poll(rune), time.monotonic())))
    thread.start()
    time.sleep(0.3)  # no more than to have the poll there first: the outcome is the same
    run = page.run(TOKEN, a=7)
    sent = time.monotonic()
    thread.join(10)
    ((message,), came) = found[0]
    assert came - sent < 5  # a poll that comes to its end takes 20
    assert message["id"] == run["id"]
    assert message["status"] == "pending"
    assert message["response"] is None
    assert message["request"]["type"] == "run_method"
    assert message["request"]["bpm"] == 120
    assert message["request"]["sample_rate"] == 48_000
    assert message["request"]["data"] == {
        "method_name": "arbitrary_method",
        "params": {
            "a": {"value": 7, "type": "int"},
            "b": {"value": None, "type": "RunesFilePath"},
        },
    }
    begin(rune, run["id"])
    assert put(rune, "x.txt", b"so far").status_code == 200
    assert [each["name"] for each in page.ask("GET", f"runs/{run['id']}")["outputs"]] == ["x.txt"]
    reply(rune, run["id"], files=[{"name": "x.txt", "type": "text", "url": "http://no/x.txt"}])
    ended = page.ended(run)
    assert ended["state"] == "completed"
    assert httpx.get(ended["outputs"][0]["url"]).content == b"so far"


def test_what_is_unknown_is_answered_all_the_same(hub: HubDaemon, rune: httpx.Client) -> None:
    assert rune.get("api/hub/get_latest_pending_messages/nobody/").json() == []
    assert rune.put("api/hub/connection/compute/None/1/").status_code == 200
    assert rune.put("api/hub/connection/compute/nobody/1/").status_code == 200
    assert rune.post("api/hub/reply_to_message/", content=b"no JSON").status_code == 400
    body = {"id": "no", "token": TOKEN, "response": {}}
    assert rune.post("api/hub/reply_to_message/", json=body).status_code == 404
    session = httpx.get(f"{hub.hub}/api/page/session").json()
    assert "annotation" in session["problems"][0]


def test_a_foreign_page(hub: HubDaemon, rune: httpx.Client) -> None:
    with httpx.Client(base_url=f"{hub.hub}/api/hub/", timeout=30) as plugin:
        (mapping,) = plugin.get(f"connection_mappings/{MASTER}/").json()
        assert mapping["connection_token"] == TOKEN
        assert {"id", "created_at", "updated_at", "master_token"} <= set(mapping)
        connection = plugin.get(f"connections/{TOKEN}/").json()
        assert (connection["id"], connection["loaded"]) == (TOKEN, True)
        assert plugin.put(f"connection/plugin/{TOKEN}/1/").status_code == 200
        assert plugin.get(f"compute/contract/{TOKEN}/").json()["data"]["name"] == "My Remote Code"
        assert plugin.get("remote-sources/").json() == plugin.get("remote-images/").json() == []
        data = {"method_name": "arbitrary_method", "params": {"a": {"value": 1, "type": "int"}}}
        sent = plugin.post("send_message/", json={"token": TOKEN, "request": {"data": data}})
        assert sent.status_code == 201
        url = f"get_response/{sent.json()['id']}/{TOKEN}/"
        assert plugin.get(url).json()["status"] == "pending"
        assert plugin.post(f"abort_messages/{TOKEN}/").json() == {"aborted": 1}
        assert plugin.get(url).json()["status"] == "aborted"
        assert plugin.post(f"abort_messages/{TOKEN}/").json() == {"aborted": 0}


@pytest.mark.parametrize("stopped", [False, True])
def test_what_a_run_has_made_is_archived_although_its_rune_dies(
    hub: HubDaemon, rune: httpx.Client, page: Page, stopped: bool, tmp_path: Path
) -> None:
    run = page.run(TOKEN)
    poll(rune)
    begin(rune, run["id"])
    soundfile.write(tmp_path / "half.wav", np.arange(100, dtype=np.int16), 8000)
    put(rune, "half.wav", (tmp_path / "half.wav").read_bytes())
    put(rune, "half.txt", b"so far")
    if stopped:
        page.ask("POST", f"runs/{run['id']}/stop")
    rune.post("api/rune/output", json={"ended": "its process has ended, with status -9"})
    rune.put(f"/api/hub/connections/{TOKEN}/loaded/", json={"loaded": True})
    ended = wait_for(partial(page.with_outputs_archived, run))
    assert ended["state"] == ("aborted" if stopped else "error")
    sound, text = ended["outputs"]
    assert (sound["name"], sound["type"], text["type"]) == ("half.wav", "audio", "text")
    with hub.client() as racs:
        found = racs.execute_command(f"RANGE '{sound['stream']}' 0 1000")
        assert racs.attachment(ended["record"], text["attachment"]) == b"so far"
    assert list(found) == list(range(100))


def test_inputs_are_files_that_the_hub_made(
    hub: HubDaemon, rune: httpx.Client, page: Page, tmp_path: Path
) -> None:
    samples = np.arange(-3000, 3000, dtype=np.int16).reshape(-1, 6)
    soundfile.write(tmp_path / "six.wav", samples, 44_100)
    run = page.run(TOKEN, b=page.upload(tmp_path / "six.wav"))
    (message,) = poll(rune)
    path = Path(message["request"]["data"]["params"]["b"]["value"])
    assert path.is_absolute()
    assert path.name == "six.wav"
    assert soundfile.info(path).channels == 2
    begin(rune, run["id"])
    reply(rune, run["id"], files=[])
    (given,) = page.ended(run)["inputs"]
    with hub.client() as racs:
        found = racs.execute_command(f"RANGE '{given['stream']}' 0 1000")
        assert racs.execute_command(f"INFO '{given['stream']}' 'channels'") == 6
    assert list(found) == samples.ravel().tolist()

    again = page.ask("POST", f"runs/{run['id']}/again")
    assert again["values"]["b"] == {"stream": given["stream"], "start": 0, "stop": None}
    part = page.run(TOKEN, b={"stream": given["stream"], "start": 10, "stop": 20})
    page.ask("POST", f"runes/{TOKEN}/stop")
    with hub.client() as racs:
        stream = page.ended(part)["inputs"][0]["stream"]
        found = racs.execute_command(f"RANGE '{stream}' 0 1000")
    assert list(found) == samples[10:20].ravel().tolist()


@pytest.mark.parametrize("value", ["/etc/passwd", {"upload": "../../secret"}, {"upload": "/x"}])
def test_a_page_cannot_name_a_path(page: Page, rune: httpx.Client, value: object) -> None:
    response = page.http.post(f"runes/{TOKEN}/runs", json={"values": {"b": value}})
    assert response.status_code == 400
    assert "there is no upload" in response.json()["detail"]


def test_a_file_that_is_too_large_is_refused(rune: httpx.Client, page: Page) -> None:
    assert put(rune, "large.wav", bytes(100_001)).status_code == 413
    response = page.http.post("uploads", params={"name": "x"}, content=bytes(100_001))
    assert response.status_code == 413
    assert "hub_max_file" in response.json()["detail"]


@pytest.mark.parametrize("name", ["line\nbreak.txt", "a/b\\c.txt", "50%2Fx.txt", "<é> 'q\".txt"])
def test_a_file_may_have_any_name(rune: httpx.Client, name: str) -> None:
    signed = rune.get(f"/api/hub/get_signed_url/?token=myToken&filename={quote(name, safe='')}")
    made = httpx.put(signed.json()["signed_url"], content=b"so far").json()
    last = name.rpartition("/")[2]
    assert made["name"] == last
    response = rune.get(f"files/{made['id']}/{quote(last, safe='')}")
    assert (response.status_code, response.content) == (200, b"so far")


def test_what_cannot_be_done_to_a_path_is_told(page: Page, rune: httpx.Client) -> None:
    for path, allow in [("api/page/runes", "GET, HEAD"), ("api/hub/send_message/", "POST")]:
        response = rune.put(path)
        assert (response.status_code, response.headers["allow"]) == (405, allow)
        assert response.headers["content-type"] == "application/problem+json"
        assert allow in response.json()["detail"]


def test_an_address_that_was_not_given_out(rune: httpx.Client) -> None:
    url = rune.get("/api/hub/get_signed_url/?token=myToken&filename=a.wav").json()["signed_url"]
    assert httpx.put(url.replace("a.wav", "b.wav"), content=b"x").status_code == 403


def test_keys_are_for_their_own_master_token(hub: HubDaemon, rune: httpx.Client) -> None:
    other = {**MAPPING, "master_token": "11111111-1111-4111-8111-111111111111"}
    assert rune.post("api/hub/connection_mappings/", json=other).status_code == 403
    assert rune.get("api/page/runes").status_code == 403
    assert httpx.get(f"{hub.hub}/api/page/runes").status_code == 403
    with Page(hub.hub, other["master_token"]) as stranger:
        assert stranger.ask("GET", "runes") == []
        assert stranger.http.get(f"runes/{TOKEN}").status_code == 404
    nobody = httpx.get(f"{hub.hub}/r/rune_nothing/api/hub/get_latest_pending_messages/x/")
    assert nobody.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://lab"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    ],
)
def test_hosts_and_origins(hub: HubDaemon, headers: dict[str, str], status: int) -> None:
    response = httpx.get(f"{hub.hub}/api/hub/remote-images/", headers=headers)
    assert response.status_code == status
    allowed = response.headers.get("access-control-allow-origin")
    assert allowed == ("http://lab" if headers.get("Origin") == "http://lab" else None)


def test_a_preflight(hub: HubDaemon) -> None:
    headers = {"Origin": "http://lab", "Access-Control-Request-Method": "DELETE"}
    response = httpx.options(f"{hub.hub}/api/hub/send_message/", headers=headers)
    assert response.status_code == 204
    assert "DELETE" in response.headers["access-control-allow-methods"]


def test_what_a_rune_makes_is_not_run_in_a_browser(rune: httpx.Client) -> None:
    made = put(rune, "x.html", b"<script>alert(1)</script>").json()
    response = rune.get(f"files/{made['id']}/x.html")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in response.headers["content-security-policy"]


def test_changes_are_told(rune: httpx.Client, page: Page) -> None:
    number = page.ask("GET", "changes")["number"]
    page.ask("PUT", f"runes/{TOKEN}/target", json={"channels": 1, "format": "flac"})
    assert page.ask("GET", f"changes?since={number}")["number"] > number
    assert page.rune()["target"]["format"] == "flac"
    response = page.http.put(f"runes/{TOKEN}/target", json={"channels": 3})
    assert response.json()["detail"] == "channels = 3: there are 1, 2"


def test_the_archive_over_http_is_behind_the_same_port(hub: HubDaemon) -> None:
    assert "streams" in httpx.get(f"{hub.hub}/streams").json()


def test_nothing_is_lost_when_the_hub_is_killed(tmp_path: Path) -> None:
    sound = tmp_path / "x.wav"
    soundfile.write(sound, np.arange(100, dtype=np.int16), 8000)
    with HubDaemon(tmp_path / "a") as hub, Page(hub.hub) as page:
        key = page.ask("POST", "keys", json={})["base"].partition("/r/")[2]
        with httpx.Client(base_url=f"{hub.hub}/r/{key}") as rune:
            rune.post("api/hub/compute/contract/", json=CONTRACT)
            rune.post("api/hub/connection_mappings/", json=MAPPING)
            rune.put(f"api/hub/connections/{TOKEN}/loaded/", json={"loaded": True})
            runs = [page.run(TOKEN, b=page.upload(sound)) for _ in range(2)]
            assert poll(rune)[0]["id"] == runs[0]["id"]
            begin(rune, runs[0]["id"])
            put(rune, "out.wav", sound.read_bytes())
        hub.kill()
    with HubDaemon(tmp_path / "a") as hub, Page(hub.hub) as page:
        with httpx.Client(base_url=f"{hub.hub}/r/{key}") as rune:
            reply(rune, runs[0]["id"], files=[{"name": "out.wav", "type": "audio", "url": ""}])
            (message,) = poll(rune)
            assert message["id"] == runs[1]["id"]
            assert Path(message["request"]["data"]["params"]["b"]["value"]).is_file()
        (made,) = page.ended(runs[0])["outputs"]
        with hub.client() as racs:
            found = racs.execute_command(f"RANGE '{made['stream']}' 0 1000")
        assert list(found) == list(range(100))


def test_a_rune_that_is_gone_is_told(rune: httpx.Client, page: Page) -> None:
    def gone() -> dict[str, Any] | None:
        found: dict[str, Any] = page.ask("GET", f"runes/{TOKEN}")
        return found if found["state"] == "gone" else None

    assert "restart it" in wait_for(gone)["advice"]
