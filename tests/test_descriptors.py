"""Clients and segments get no more files than can be spared."""

import resource

import pytest

from racs_server.config import Settings
from racs_server.descriptors import SPARE, allow_many, fit


def files(settings: Settings) -> int:
    """Return how many a server may have open for its clients and segments."""
    doors = 1 + (settings.http_port >= 0) + (settings.hub_port >= 0)
    return doors * settings.max_connections + 2 * settings.open_files


def test_settings_that_fit_stay_as_they_are() -> None:
    settings = Settings(max_connections=1000, open_files=1024)
    assert fit(settings, 1000 + 2 * 1024 + SPARE) is settings


@pytest.mark.parametrize("limit", [64, 128, 256, 1024, 4096])
@pytest.mark.parametrize("http_port", [-1, 0])
def test_what_does_not_fit_is_cut_down_in_proportion_and_that_is_logged(
    limit: int, http_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = Settings(max_connections=4000, open_files=2000, http_port=http_port)
    fitting = fit(wanted, limit)
    assert files(fitting) <= max(limit - SPARE, limit // 2)
    assert 1 <= fitting.max_connections < 4000
    assert 1 <= fitting.open_files < 2000
    assert f"at most {limit} files can be open at once" in caplog.text
    assert f"allow {files(wanted) + SPARE}" in caplog.text


def test_as_many_files_are_allowed_as_the_user_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 64), hard))
        assert allow_many() == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
