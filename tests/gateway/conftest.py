"""The app, called directly under trio, on a store in a folder of its own."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import trio

from racs_server.access import Access
from racs_server.app import open_store
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.gateway import Services, make_app
from racs_server.net import Bus, Guard
from racs_server.storage import Store

MakeClient = Callable[..., httpx.AsyncClient]


@pytest.fixture
def bus() -> Bus:
    return Bus(1_700_000_000_000)


@pytest.fixture
def store(tmp_path: Path, bus: Bus) -> Iterator[Store]:
    store = open_store(Settings(data_dir=tmp_path / "data"), bus.notify)
    yield store
    store.close()


@pytest.fixture
def make_client(store: Store, bus: Bus, tmp_path: Path) -> MakeClient:
    """Return what makes a client of the app, with settings and users."""

    def make(
        access: Access | None = None, headers: dict[str, str] | None = None, **changes: object
    ) -> httpx.AsyncClient:
        settings = Settings(data_dir=tmp_path / "data", **changes)  # type: ignore[arg-type]
        services = Services(
            store,
            Executor(store, lambda: None),
            Guard(access),
            bus.listener,
            trio.CapacityLimiter(2),
            settings,
        )
        transport = httpx.ASGITransport(make_app(services), raise_app_exceptions=True)
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8080", headers=headers
        )

    return make


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client() as client:
        yield client
