"""What the hub's door hands on to the archive behind it, and to whom."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from tests.access.users import TOKEN, access_to
from tests.runes.hub import MASTER, HubDaemon

STRANGE = "100%41/a b/ü?#&"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDaemon]:
    with HubDaemon(tmp_path_factory.mktemp("hub")) as running, running.client() as client:
        client.pipeline().create(STRANGE, 8000, 1, 16).execute()
        yield running


@pytest.fixture(scope="module")
def hub_of_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDaemon]:
    folder = tmp_path_factory.mktemp("users")
    access_to(folder / "users.json")
    with HubDaemon(folder) as running:
        yield running


@pytest.mark.parametrize("base", ["", f"/r/{MASTER}"])
def test_an_id_reaches_the_archive_as_it_was_sent(hub: HubDaemon, base: str) -> None:
    answer = httpx.get(f"{hub.hub}{base}/streams/{quote(STRANGE, safe='')}")
    assert answer.json()["id"] == STRANGE


def test_a_master_token_has_the_archive_of_the_user_who_registered_it(
    hub_of_users: HubDaemon,
) -> None:
    hub = hub_of_users.hub
    streams = f"{hub}/r/{MASTER}/streams"
    assert httpx.get(streams).status_code == 401
    login = {"Authorization": f"Bearer {TOKEN}"}
    registered = httpx.post(f"{hub}/api/page/masters", json={"token": MASTER}, headers=login)
    assert registered.status_code == 201
    assert httpx.get(streams).json() == {"streams": [], "next": None}
    new = {"id": "birds/wren", "sample_rate": 8000, "channels": 1, "bit_depth": 16}
    assert httpx.post(streams, json=new).status_code == 201
    assert httpx.post(streams, json={**new, "id": "private"}).status_code == 403


def test_a_rune_s_key_opens_no_archive(hub_of_users: HubDaemon) -> None:
    hub = hub_of_users.hub
    login = {"Authorization": f"Bearer {TOKEN}"}
    httpx.post(f"{hub}/api/page/masters", json={"token": MASTER}, headers=login)
    base = httpx.post(f"{hub}/r/{MASTER}/api/page/keys", json={"name": "k"}).json()["base"]
    assert httpx.get(f"{base}streams").status_code == 401


def test_the_page_may_run_nothing_but_its_own_files(hub: HubDaemon) -> None:
    policy = httpx.get(hub.hub).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
