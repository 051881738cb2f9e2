"""A real server for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A server with an empty archive."""
    with Daemon(tmp_path / "archive") as running:
        yield running
