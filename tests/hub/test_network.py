"""A hub that others reach: users, their master tokens and keys, TLS, inputs over HTTP."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile

from tests.certificates import make_certificate
from tests.e2e.test_access import tool
from tests.hub.test_exchange import CONTRACT, MAPPING, TOKEN
from tests.runes.hub import MASTER, HubDaemon, Page

OTHERS = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def trust(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=make_certificate(folder)[2])


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[str, str]:
    """The tokens of two users."""
    data_dir = folder / "archive"
    tool(data_dir, "user", "add", "anna", "--admin", "*", "--no-password")
    tool(data_dir, "user", "add", "bot", "--read", "birds/*", "--no-password")
    return {name: tool(data_dir, "token", "add", name, "laptop") for name in ("anna", "bot")}


@pytest.fixture(scope="module")
def hub(folder: Path, tokens: dict[str, str], trust: ssl.SSLContext) -> Iterator[HubDaemon]:
    flags = ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]
    with HubDaemon(folder / "archive", *flags) as running:
        yield running


@pytest.fixture(scope="module")
def pages(
    hub: HubDaemon, folder: Path, tokens: dict[str, str], trust: ssl.SSLContext
) -> Iterator[dict[str, Page]]:
    for name, master in (("anna", MASTER), ("bot", OTHERS)):
        response = httpx.post(
            f"{hub.hub}/api/page/masters",
            json={"token": master},
            headers={"Authorization": f"Bearer {tokens[name]}"},
            verify=trust,
        )
        assert response.status_code == 201
    trusted = folder / "ca.pem"
    with Page(hub.hub, MASTER, trusted) as anna, Page(hub.hub, OTHERS, trusted) as bot:
        yield {"anna": anna, "bot": bot}


@contextmanager
def registered(page: Page, trust: ssl.SSLContext, master: str) -> Iterator[httpx.Client]:
    base = page.ask("POST", "keys", json={})["base"]
    mapping = {**MAPPING, "master_token": master}
    with httpx.Client(base_url=base, verify=trust, timeout=30) as rune:
        assert rune.post("api/hub/compute/contract/", json=CONTRACT).status_code == 201
        assert rune.post("api/hub/connection_mappings/", json=mapping).status_code == 201
        rune.put(f"api/hub/connections/{TOKEN}/loaded/", json={"loaded": True})
        yield rune


@pytest.mark.parametrize("credential", ["", MASTER.replace("0", "a"), "rune_x", "racs_x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/page/runes"),
        ("POST", "api/page/keys"),
        ("GET", f"api/hub/get_latest_pending_messages/{TOKEN}/"),
        ("POST", "api/hub/compute/contract/"),
        ("POST", "api/hub/send_message/"),
        ("GET", "api/hub/get_signed_url/?token=x&filename=y"),
    ],
)
def test_who_shows_nothing_that_counts_gets_nothing(
    hub: HubDaemon,
    pages: dict[str, Page],
    trust: ssl.SSLContext,
    credential: str,
    method: str,
    path: str,
) -> None:
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    response = httpx.request(method, f"{hub.hub}/{path}", headers=headers, verify=trust)
    assert response.status_code == 401


def test_a_master_token_has_one_owner(
    hub: HubDaemon, pages: dict[str, Page], tokens: dict[str, str], trust: ssl.SSLContext
) -> None:
    headers = {"Authorization": f"Bearer {tokens['bot']}"}
    response = httpx.post(
        f"{hub.hub}/api/page/masters", json={"token": MASTER}, headers=headers, verify=trust
    )
    assert response.status_code == 403


def test_inputs_over_http_are_for_their_run(
    pages: dict[str, Page], trust: ssl.SSLContext, folder: Path
) -> None:
    page = pages["anna"]
    with registered(page, trust, MASTER) as rune:
        page.ask("PUT", f"runes/{TOKEN}/target", json={"handover": "url"})
        soundfile.write(folder / "Tone 1.flac", np.zeros((100, 2), np.int16), 44_100)
        values = []
        for _ in range(2):
            page.run(TOKEN, b=page.upload(folder / "Tone 1.flac"))
            (message,) = rune.get(f"api/hub/get_latest_pending_messages/{TOKEN}/").json()
            values.append(message["request"]["data"]["params"]["b"]["value"])
            page.ask("POST", f"runes/{TOKEN}/stop")
        assert values[0].startswith("https://storage.googleapis.com:")
        assert values[0].endswith("/files/Tone_1.wav")
        assert httpx.get(values[0], verify=trust).content[:4] == b"RIFF"
        parts = urlsplit(values[0])
        bare = f"https://{parts.hostname}:{parts.port}{parts.path}"
        assert httpx.get(bare, verify=trust).status_code in (401, 403)
        wrong = f"{parts.password}"[:-1] + ("0" if f"{parts.password}"[-1] != "0" else "1")
        assert httpx.get(bare, auth=("x", wrong), verify=trust).status_code in (401, 403)


def test_what_a_user_may_not_read_is_no_input(
    hub: HubDaemon,
    pages: dict[str, Page],
    trust: ssl.SSLContext,
    tokens: dict[str, str],
    folder: Path,
) -> None:
    with hub.client(tls=folder / "ca.pem", token=tokens["anna"]) as anna:
        for stream_id in ("birds/wren", "calls/1"):
            anna.execute_command(f"CREATE '{stream_id}' 8000 1 16")
    page = pages["bot"]
    with registered(page, trust, OTHERS):
        for stream_id, status in (("birds/wren", 201), ("calls/1", 403)):
            values = {"values": {"b": {"stream": stream_id}}}
            response = page.http.post(f"runes/{TOKEN}/runs", json=values)
            assert response.status_code == status, response.text
        page.ask("POST", f"runes/{TOKEN}/stop")


def test_two_people_who_run_the_same_rune_have_one_each(
    pages: dict[str, Page], trust: ssl.SSLContext
) -> None:
    with (
        registered(pages["anna"], trust, MASTER) as annas,
        registered(pages["bot"], trust, OTHERS) as bots,
    ):
        run = pages["bot"].run(TOKEN, a=3)
        (message,) = bots.get(f"api/hub/get_latest_pending_messages/{TOKEN}/").json()
        assert (message["id"], message["token"]) == (run["id"], TOKEN)
        assert pages["anna"].http.get(f"runs/{run['id']}").status_code == 404
        body = {"id": run["id"], "token": TOKEN, "response": {"message": "forged"}}
        assert annas.post("api/hub/reply_to_message/", json=body).status_code == 404
        assert bots.post("api/hub/reply_to_message/", json=body).status_code == 200
