"""The app, called directly under trio, on a store in a folder of its own."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from racs_server.access import Access
from racs_server.app import open_store
from racs_server.commands import Executor
from racs_server.config import Settings
from racs_server.gateway import Services, Shelf, make_app
from racs_server.net import Budget, Bus, Guard, Lease
from racs_server.storage import Store

MakeClient = Callable[..., httpx.AsyncClient]
MakeServices = Callable[..., Services]


@pytest.fixture
def bus() -> Bus:
    return Bus(1_700_000_000_000)


@pytest.fixture
def store(tmp_path: Path, bus: Bus) -> Iterator[Store]:
    store = open_store(Settings(data_dir=tmp_path / "data"), bus.notify)
    yield store
    store.close()


@pytest.fixture
def make_services(store: Store, bus: Bus, tmp_path: Path) -> Iterator[MakeServices]:
    """Return what makes what the app works with, with settings and users."""
    shelves = []

    def make(
        access: Access | None = None, lease: Callable[[], Lease] | None = None, **changes: object
    ) -> Services:
        settings = Settings(data_dir=tmp_path / "data", **changes)  # type: ignore[arg-type]
        limiter = trio.CapacityLimiter(2)
        shelves.append(Shelf(store, settings.data_dir, limiter, settings.http_kept))
        return Services(
            store,
            Executor(store, lambda: None),
            Guard(access),
            bus.listener,
            limiter,
            settings,
            lease or partial(Lease, Budget(settings.memory_budget)),
            shelves[-1],
        )

    yield make
    for shelf in shelves:
        shelf.close()


@pytest.fixture
def make_client(make_services: MakeServices) -> MakeClient:
    """Return what makes a client of the app, with settings and users."""

    def make(
        access: Access | None = None, headers: dict[str, str] | None = None, **changes: object
    ) -> httpx.AsyncClient:
        app = make_app(make_services(access, **changes))
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8080", headers=headers
        )

    return make


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client() as client:
        yield client
