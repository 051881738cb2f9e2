"""Attachments over a real connection: by both clients, and out of a pipe."""

import anyio
import pytest

from racs import AsyncRacs, RacsServerError
from tests.e2e.daemon import Daemon

LARGE = bytes(range(256)) * (80 << 12)
"""80 MiB: more than any other message may have."""


def test_files_of_a_stream(daemon: Daemon) -> None:
    with daemon.client() as r:
        r.pipeline().create("a", 8000, 1, 16).execute()
        r.stream("a").execute([1, 2, 3])
        assert r.attachments("a") == []
        r.attach("a", "original.mp3", LARGE)
        r.attach("a", "PING", b"SHUTDOWN")
        r.attach("a", "empty", b"")
        assert r.attachments("a") == ["PING", "empty", "original.mp3"]
        assert r.attachment("a", "original.mp3") == LARGE
        assert (r.attachment("a", "PING"), r.attachment("a", "empty")) == (b"SHUTDOWN", b"")
        assert r.statistics().made == 1
        for ask in (lambda: r.attach("b", "x", b"1"), lambda: r.attachment("a", "x")):
            with pytest.raises(RacsServerError):
                ask()
        assert r.execute_command("PING") == "PONG"
        assert r.statistics().made == 1


def test_too_large_a_file_is_refused_and_the_connection_lives_on(daemon: Daemon) -> None:
    with daemon.client() as r:
        r.pipeline().create("a", 8000, 1, 16).execute()
        with pytest.raises(RacsServerError, match="at most 104857600"):
            r.attach("a", "huge", bytes((100 << 20) + 1))
        assert r.execute_command("PING") == "PONG"
        assert r.statistics().made == 1
        assert r.attachments("a") == []


def test_out_of_a_pipe(daemon: Daemon) -> None:
    with daemon.client() as r:
        r.pipeline().create("a", 8000, 1, 16).execute()
        r.stream("a").execute([1, 2, 3])
        for kind in ("wav", "flac"):
            encode = f"RANGE 'a' 0 1 |> ENCODE 'audio/{kind}'"
            assert r.execute_command(f"{encode} |> ATTACH 'a' 'preview.{kind}'") is None
            assert r.attachment("a", f"preview.{kind}") == r.execute_command(encode)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_client_that_awaits(daemon: Daemon, backend: str) -> None:
    async def main() -> None:
        async with AsyncRacs("127.0.0.1", daemon.port) as r:
            await r.pipeline().create("a", 8000, 1, 16).execute()
            await r.attach("a", "x", b"abc")
            assert await r.attachment("a", "x") == b"abc"
            assert await r.attachments("a") == ["x"]

    anyio.run(main, backend=backend)
