"""Opened to a network as the README says: users, tokens and TLS, by real processes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trio

from racs import AsyncRacs, Racs, RacsAuthError, RacsConnectionError, RacsServerError
from tests.certificates import make_certificate
from tests.e2e.daemon import Daemon


def tool(data_dir: Path, *arguments: str, password: str = "") -> str:
    command = [sys.executable, "-m", "racs_server", "--data-dir", str(data_dir), *arguments]
    return subprocess.run(
        command, input=password, capture_output=True, text=True, check=True
    ).stdout.strip()


def until_refused(client: Racs) -> str:
    """Ask until the server says no, and return what it says."""
    while True:
        try:
            client.execute_command("LIST '*'")
        except RacsServerError as error:
            return str(error)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return the files of a certificate, of its key, and of who vouches for it."""
    return make_certificate(tmp_path)


def test_users_and_tls(tmp_path: Path, certificate: tuple[Path, Path, Path]) -> None:
    cert, key, trusted = certificate
    data_dir = tmp_path / "archive"
    tool(data_dir, "user", "add", "anna", "--admin", "*", "--password-stdin", password="annas hush")
    tool(data_dir, "user", "add", "bot", "--write", "birds/*", "--no-password")
    token = tool(data_dir, "token", "add", "bot", "laptop")
    flags = ["--host", "0.0.0.0", "--tls-cert", str(cert), "--tls-key", str(key)]
    samples = np.arange(300_000, dtype=np.int16)
    with Daemon(data_dir, *flags, "--log-level", "debug") as daemon:
        url = f"racss://anna:annas%20hush@127.0.0.1:{daemon.port}"
        with Racs(url, tls=trusted, timeout=20) as anna:
            anna.execute_command("CREATE 'birds/wren' 48000 1 16")
            anna.execute_command("CREATE 'calls/1' 48000 1 16")
            with daemon.client(tls=trusted, token=token, timeout=20) as bot:
                bot.stream("birds/wren").compression(True).execute(samples)
                assert bot.execute_command("LIST '*'") == ["birds/wren"]
                got = bot.execute_command("RANGE 'birds/wren' 0 100")
                assert np.array_equal(got, samples)
                with pytest.raises(RacsServerError, match="'bot'"):
                    bot.stream("calls/1").execute(samples)
                with pytest.raises(RacsServerError, match="admin on"):
                    bot.execute_command("SHUTDOWN")

                async def asynchronously() -> None:
                    async with AsyncRacs(url, tls=trusted, timeout=20) as client:
                        await client.stream("calls/1").execute(samples)
                        again = await client.execute_command("RANGE 'calls/1' 0 100")
                        assert np.array_equal(again, samples)

                trio.run(asynchronously)
                assert anna.statistics().stale == bot.statistics().stale == 0

                tool(data_dir, "token", "remove", "bot", "laptop")
                assert "say first who you are" in until_refused(bot)
        wrong = [
            (Racs(url.replace("annas", "bens"), tls=trusted), RacsAuthError, "'anna' in"),
            (daemon.client(tls=trusted, token=token), RacsAuthError, "this token in"),
            (daemon.client(tls=True, token=token), RacsConnectionError, "not to be trusted"),
            (daemon.client(timeout=20), RacsConnectionError, "127.0.0.1"),
        ]
        for client, kind, text in wrong:
            with client, pytest.raises(kind, match=text) as raised:
                client.execute_command("PING")
            assert "hush" not in str(raised.value)
        assert daemon.stop() == 0
        log = daemon.log()
    assert "no TLS handshake" in log
    assert "'anna' logged in" in log
    assert "hush" not in log
    assert token not in log


def test_a_server_without_tls_is_told_from_one_that_is_not_trusted(daemon: Daemon) -> None:
    with (
        daemon.client(tls=True, timeout=20) as client,
        pytest.raises(RacsConnectionError, match="no TLS with"),
    ):
        client.execute_command("PING")


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--host", "0.0.0.0"], "--insecure"),
        (["--tls-cert", "cert.pem"], "only one was given"),
        (["--disable", "FLY"], "no command 'FLY'"),
    ],
)
def test_what_keeps_it_from_starting(tmp_path: Path, flags: list[str], error: str) -> None:
    command = [sys.executable, "-m", "racs_server", "--port", "0", "--data-dir", str(tmp_path)]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert error in done.stderr
