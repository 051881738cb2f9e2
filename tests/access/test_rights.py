"""The decision, as tables."""

import re

import pytest

from racs_server.access import (
    EVERYONE,
    NOBODY,
    Caller,
    Effect,
    listening_problem,
    refusal,
    require,
)
from racs_server.errors import AccessError
from tests.access.users import grant

READ, WRITE, ADMIN = Effect.READ, Effect.WRITE, Effect.ADMIN
BEN = Caller("ben", [grant("read", "*"), grant("write", "birds/*")])
CORA = Caller("cora", [grant("read", "birds/*")])
DORA = Caller("dora", [grant("admin", "birds/*")])
EVE = Caller("eve", [])
ROOT = Caller("root", [grant("admin", "*")])


@pytest.mark.parametrize(
    ("caller", "effect", "stream_ids", "allowed"),
    [
        (EVERYONE, ADMIN, (), True),
        (EVERYONE, ADMIN, ("x",), True),
        (NOBODY, READ, (), False),
        (NOBODY, READ, ("x",), False),
        (ROOT, ADMIN, (), True),
        (ROOT, ADMIN, ("x", "birds/wren"), True),
        (BEN, READ, ("x",), True),
        (BEN, WRITE, ("birds/wren",), True),
        (BEN, WRITE, ("birds",), False),
        (BEN, WRITE, ("Birds/wren",), False),
        (BEN, WRITE, ("birds/wren", "x"), False),
        (BEN, ADMIN, ("birds/wren",), False),
        (BEN, READ, (), True),
        (BEN, WRITE, (), False),
        (CORA, READ, ("birds/wren", "birds/owl"), True),
        (CORA, READ, ("birds/wren", "calls/1"), False),
        (CORA, WRITE, ("birds/wren",), False),
        (DORA, ADMIN, ("birds/wren",), True),
        (DORA, READ, ("birds/wren",), True),
        (DORA, ADMIN, (), False),
        (EVE, READ, (), True),
        (EVE, READ, ("x",), False),
    ],
)
def test_who_may_do_what(
    caller: Caller, effect: Effect, stream_ids: tuple[str, ...], allowed: bool
) -> None:
    assert (refusal(caller, "DO", effect, stream_ids) is None) is allowed
    if not allowed:
        with pytest.raises(AccessError):
            require(caller, "DO", effect, stream_ids)


def test_a_refusal_says_what_is_needed_and_what_there_is() -> None:
    text = refusal(BEN, "DELETE", ADMIN, ("birds/wren",))
    assert text is not None
    assert "DELETE: not allowed for 'ben'" in text
    assert "admin on 'birds/wren'" in text
    assert "read on '*', write on 'birds/*'" in text
    assert "AUTH" in str(refusal(NOBODY, "LIST", READ))


@pytest.mark.parametrize(
    ("host", "tls", "users", "insecure", "missing"),
    [
        ("127.0.0.1", False, False, False, None),
        ("127.9.9.9", False, False, False, None),
        ("::1", False, False, False, None),
        ("localhost", False, False, False, None),
        ("0.0.0.0", True, True, False, None),
        ("0.0.0.0", False, False, True, None),
        ("0.0.0.0", False, False, False, "no TLS .* and no users"),
        ("0.0.0.0", True, False, False, "are no users"),
        ("::", False, True, False, "is no TLS"),
        ("192.168.1.2", False, True, False, "--insecure"),
        ("studio.example", False, True, False, "--tls-cert"),
        ("", False, True, False, "is no TLS"),
    ],
)
def test_where_may_be_listened(
    host: str, tls: bool, users: bool, insecure: bool, missing: str | None
) -> None:
    problem = listening_problem(host, tls=tls, users=users, insecure=insecure)
    if missing is None:
        assert problem is None
    else:
        assert problem is not None
        assert re.search(missing, problem)
