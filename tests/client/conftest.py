from collections.abc import Iterator

import pytest

from racs import Racs

from .fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def r(server: FakeServer) -> Iterator[Racs]:
    """A client of the server; a test that would hang fails after its time limit instead."""
    with Racs("127.0.0.1", server.port, timeout=20) as client:
        yield client
