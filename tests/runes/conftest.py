"""A store, a spool of its own for each test, and an archive that is forgotten afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from racs import Racs
from racs.runes import archiving
from tests.e2e.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A server for all tests of a module; each has runes of its own."""
    with Daemon(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def store(daemon: Daemon) -> Iterator[Racs]:
    """A client of it."""
    with daemon.client() as racs:
        yield racs


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which runs wait; no other test's runs are sent."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("RACS_SPOOL", str(folder))
    monkeypatch.setattr(archiving, "_workers", {})
    monkeypatch.setattr(archiving, "_functions", {})
    return folder
