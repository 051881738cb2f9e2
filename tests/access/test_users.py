"""The users file: its bytes, its safety, and changes while a server runs."""

import hmac
import logging
import stat
from pathlib import Path

import pytest

from racs_server.access import (
    EVERYONE,
    NOBODY,
    Access,
    Caller,
    Effect,
    Login,
    Passwords,
    Token,
    User,
    Users,
    UsersFile,
)
from racs_server.access import passwords as kept
from racs_server.errors import AccessError, StartError
from tests.access.users import TOKEN, access_to, cheap, grant, some_users

BYTES = b"""{
  "version": 1,
  "users": {
    "anna": {
      "grants": [
        {
          "role": "read",
          "pattern": "*"
        }
      ],
      "password": null,
      "tokens": {
        "laptop": {
          "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
          "created": "2026-03-01T09:30:00Z"
        }
      }
    }
  }
}
"""


def test_the_bytes_of_the_file(tmp_path: Path) -> None:
    file = UsersFile(tmp_path / "deep" / "users.json")
    token = Token(kept.digest("test"), "2026-03-01T09:30:00Z")
    users = Users(users={"anna": User((grant("read", "*"),), None, {"laptop": token})})
    file.edit(lambda _: users)
    assert file.path.read_bytes() == BYTES
    assert file.load() == users
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [each.name for each in file.path.parent.iterdir()] == ["users.json"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff",
        b"[]",
        BYTES[:-10],
        BYTES.replace(b'"read"', b'"root"'),
        BYTES.replace(b'"version": 1', b'"version": 2'),
        BYTES.replace(b"pattern", b"patern"),
    ],
)
def test_a_damaged_file_is_said_to_be_so(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "users.json"
    path.write_bytes(damage)
    with pytest.raises(StartError, match=r"users\.json"):
        Access(UsersFile(path))


def test_a_file_that_cannot_be_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Access(UsersFile(tmp_path / "file" / "users.json")).anyone is EVERYONE
    with pytest.raises(StartError, match="cannot be read: File name too long"):
        Access(UsersFile(tmp_path / ("x" * 300)))
    with pytest.raises(StartError, match="cannot be read: Is a directory"):
        Access(UsersFile(tmp_path))


def test_an_edit_that_fails_changes_nothing(tmp_path: Path) -> None:
    access_to(tmp_path / "users.json")
    before = (tmp_path / "users.json").read_bytes()

    def fail(_: Users) -> Users:
        raise StartError("no")

    with pytest.raises(StartError, match="no"):
        UsersFile(tmp_path / "users.json").edit(fail)
    assert (tmp_path / "users.json").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_without_users_everybody_may_do_everything_unless_it_is_required(tmp_path: Path) -> None:
    file = UsersFile(tmp_path / "users.json")
    assert Access(file).anyone is EVERYONE
    assert Access(file, required=True).anyone is NOBODY
    assert access_to(tmp_path / "users.json").anyone is NOBODY
    with pytest.raises(AccessError, match="no users"):
        Access().identify(TOKEN)


def test_who_shows_what_is_whom(tmp_path: Path) -> None:
    access = access_to(tmp_path / "users.json")
    assert access.identify(TOKEN).name == "ben"
    assert access.check_password(Login("anna", "annas secret")).name == "anna"
    for wrong in [
        Login("anna", "bens secret"),
        Login("nobody", "annas secret"),
        Login("", ""),
        Login("anna", ""),
    ]:
        with pytest.raises(AccessError, match=r"^the user or the password is wrong$"):
            access.check_password(wrong)
    with pytest.raises(AccessError, match=r"^there is no such token$"):
        access.identify(TOKEN[:-1] + "u")


def test_a_user_without_a_password_has_none(tmp_path: Path) -> None:
    access = access_to(tmp_path / "u", Users(users={"bot": User((grant("read", "*"),))}))
    for shown in ("", "None", "x"):
        with pytest.raises(AccessError):
            access.check_password(Login("bot", shown))


def test_an_unknown_user_costs_one_comparison_like_a_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argon2

    costs: list[argon2.Parameters] = []
    verify = argon2.PasswordHasher.verify

    def counting(self: argon2.PasswordHasher, hash_: str, password: str) -> bool:
        costs.append(argon2.extract_parameters(hash_))
        return bool(verify(self, hash_, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    access = access_to(tmp_path / "users.json")
    for user in ("anna", "nobody", ""):
        with pytest.raises(AccessError):
            access.check_password(Login(user, "wrong"))
    assert len(costs) == 3
    assert len(set(map(repr, costs))) == 1


def test_every_token_is_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {f"t{n}": Token(kept.digest(f"{n}"), "") for n in range(5)}
    access = access_to(tmp_path / "u", Users(users={"bot": User((), None, tokens)}))
    compared = []
    compare = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for shown in ("0", "4"):
        assert access.identify(shown).name == "bot"
    with pytest.raises(AccessError):
        access.identify("5")
    assert len(compared) == 15


def test_passwords_are_kept_as_the_documentation_says() -> None:
    hashed = Passwords().hash("x")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert Passwords().hash("x") != hashed
    assert not cheap().matches("nonsense", "x")


def test_tokens_are_long_random_and_kept_as_sha256() -> None:
    tokens = {kept.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {48}
    assert kept.digest("test") in BYTES.decode()


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    access = access_to(tmp_path / "users.json")
    login = Login("anna", "annas secret")
    caller = access.check_password(login)
    assert "secret" not in repr((login, caller, access))
    assert caller.proof not in repr(caller)


CHANGES = {
    "nothing": (lambda users: users, "ben", True),
    "another one removed": (lambda users: users.without("cora"), "ben", True),
    "removed": (lambda users: users.without("ben"), "nobody", False),
    "without the token": (
        lambda users: users.with_user("ben", User((grant("read", "*"),), "x")),
        "nobody",
        False,
    ),
    "fewer roles": (
        lambda users: users.with_user(
            "ben", User((grant("read", "*"),), None, users.users["ben"].tokens)
        ),
        "ben",
        False,
    ),
}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_of_the_file_counts_for_callers(tmp_path: Path, change: str) -> None:
    edit, name, may_write = CHANGES[change]
    access = access_to(tmp_path / "users.json")
    caller = access.identify(TOKEN)
    UsersFile(tmp_path / "users.json").edit(edit)
    access.refresh()
    renewed = access.renew(caller)
    assert renewed.name == name
    assert renewed.may(Effect.WRITE, "birds/wren") is may_write


def test_the_first_user_ends_the_time_of_everyone_and_the_last_brings_it_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = UsersFile(tmp_path / "users.json")
    access = Access(file, passwords=cheap)
    file.edit(lambda _: some_users())
    access.refresh()
    assert access.renew(EVERYONE) is NOBODY
    ben = access.identify(TOKEN)
    file.edit(lambda _: Users())
    access.refresh()
    assert access.renew(NOBODY) is access.renew(ben) is EVERYONE
    assert "whoever reaches it may do everything" in caplog.text


@pytest.mark.parametrize("content", [None, b"{"])
def test_a_file_that_is_lost_changes_nothing(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    access = access_to(tmp_path / "users.json")
    ben: Caller = access.identify(TOKEN)
    path = tmp_path / "users.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for _ in range(3):
        access.refresh()
    assert access.anyone is NOBODY
    assert access.renew(ben).name == "ben"
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    UsersFile(path).path.unlink(missing_ok=True)
    UsersFile(path).edit(lambda _: some_users().without("ben"))
    access.refresh()
    assert access.renew(ben) is NOBODY


def test_a_file_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    access = access_to(tmp_path / "users.json")
    assert not caplog.records
    (tmp_path / "users.json").chmod(0o644)
    access.refresh()
    assert "chmod 600" in caplog.text
