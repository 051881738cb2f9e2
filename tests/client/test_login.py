"""Where the server is and what it is shown: URLs, arguments, and what never shows."""

import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
import trio

from racs import AsyncRacs, Racs, RacsAuthError, RacsException, RacsTypeError, RacsValueError
from racs.address import Login, find_address
from racs.wire.replies import encode_error, encode_reply

from .fake_server import FakeServer, HangUp

AUTH = r"AUTH 'an:na' 'it\'s / hush'"
SHOWN: dict[str, Any] = {"user": "an:na", "password": "it's / hush"}


def find(host: str, **options: Any) -> tuple[str, int, bool, Login | None]:
    given = {"port": 6381, "tls": False, "user": None, "password": None, "token": None, **options}
    address = find_address(host, *given.values())
    return address.host, address.port, address.context is not None, address.login


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("studio", {}, ("studio", 6381, False, None)),
        ("studio", {"tls": True}, ("studio", 6381, True, None)),
        ("racs://studio", {}, ("studio", 6381, False, None)),
        ("racs://studio", {"port": 7}, ("studio", 7, False, None)),
        ("RACSS://studio:1/", {}, ("studio", 1, True, None)),
        ("racs://[::1]:99", {}, ("::1", 99, False, None)),
        ("racss://anna:hush@h:1", {}, ("h", 1, True, Login("anna", "hush"))),
        ("racs://an%3Ana:it%27s%20%2F%20@h", {}, ("h", 6381, False, Login("an:na", "it's / "))),
        ("racs://anna:a%C3%A9@h", {}, ("h", 6381, False, Login("anna", "aé"))),
        ("racs://anna:@h", {}, ("h", 6381, False, Login("anna", ""))),
        ("racss://:racs_x@h", {}, ("h", 6381, True, Login(None, "racs_x"))),
        ("racs://h", {"token": "x"}, ("h", 6381, False, Login(None, "x"))),
        ("racs://h", {"user": "a", "password": "b"}, ("h", 6381, False, Login("a", "b"))),
    ],
)
def test_what_urls_and_arguments_mean(url: str, options: Any, expected: object) -> None:
    assert find(url, **options) == expected


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("http://anna:hush@h", {}, "must begin with racs://"),
        ("racs://anna:hush@", {}, "must be a host"),
        ("racs://anna:hush@h/x", {}, "nothing behind it"),
        ("racs://anna:hush@h?x=1", {}, "nothing behind it"),
        ("racs://anna:hu/sh@h", {}, "percent-encoded"),
        ("racs://anna:hush@h:hush", {}, "host or its port"),
        ("racs://anna:hush@h:99999", {}, "host or its port"),
        ("racs://anna:hush@[::1", {}, "host or its port"),
        ("racs://hush@h", {}, "a user needs a password"),
        ("racs://anna:hush@h", {"token": "hush"}, "so do user= and token="),
        ("racs://anna:hu\ud800sh@h", {}, "lone surrogate"),
        ("racs://h:0", {}, "1 ... 65535"),
        ("racs://h", {"tls": True}, "racss://"),
        ("h", {"user": "hush"}, "user= and password="),
        ("h", {"password": "hush"}, "user= and password="),
        ("h", {"user": "a", "password": "hush", "token": "hush"}, "or token= alone"),
        ("h", {"user": "a", "password": b"hush"}, "password must be a str, not a bytes"),
        ("h", {"token": "hush\ud800"}, "token has a lone surrogate"),
        ("h", {"tls": 1.5}, "tls must be True"),
        ("h", {"tls": "no/such/hu.pem"}, "is no PEM file"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(url: str, options: Any, error: str) -> None:
    with pytest.raises((RacsValueError, RacsTypeError)) as raised:
        Racs(url, **options)
    assert error in str(raised.value)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nonsense", encoding="ascii")
    with pytest.raises(RacsValueError, match=r"x\.pem"):
        Racs(tls=tmp_path / "x.pem")


def test_every_connection_is_shown_it_first(server: FakeServer) -> None:
    server.replies[AUTH] = encode_reply(None)
    with Racs("127.0.0.1", server.port, timeout=20, **SHOWN) as r:
        assert r.execute_command("PING") == "PONG"
        assert r.execute_command("PING") == "PONG"
        assert "hush" not in repr(r)
    assert server.commands == [AUTH, "PING", "PING"]


async def test_the_async_client_too(server: FakeServer) -> None:
    server.replies["AUTH 'racs_hush'"] = encode_reply(None)
    async with AsyncRacs(f"racs://:racs_hush@127.0.0.1:{server.port}", timeout=20) as r:
        with trio.fail_after(20):
            assert await r.execute_command("PING") == "PONG"
        assert "hush" not in repr(r)
    assert server.commands == ["AUTH 'racs_hush'", "PING"]


def _hang_up() -> bytes:
    raise HangUp


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (encode_error("the user or the password is wrong"), "'an:na' in: the user or the password"),
        (_hang_up, "the connection ended before the reply came"),
        (bytes(8), "sent no RACS reply"),
    ],
)
def test_what_goes_wrong_names_no_secret(server: FakeServer, reply: Any, error: str) -> None:
    server.replies[AUTH] = reply
    with Racs("127.0.0.1", server.port, timeout=20, **SHOWN) as r:
        for _ in range(2):
            with pytest.raises(RacsException, match=error) as raised:
                r.execute_command("PING")
            assert isinstance(raised.value, RacsAuthError) is ("wrong" in error or "user" in error)
            assert raised.value.__context__ is None
            frames = [frame.f_locals for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
            assert "hush" not in repr(frames[1:])
        assert r.statistics().idle == r.statistics().busy == 0


def test_a_login_shows_nothing() -> None:
    assert "hush" not in repr(Login("anna", "hush"))
    assert pickle.loads(pickle.dumps(Login("anna", "hush"))) == Login("anna", "hush")
