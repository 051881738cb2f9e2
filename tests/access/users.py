"""A few users, with passwords that cost next to nothing to compare."""

from pathlib import Path

from racs_server.access import Access, Effect, Grant, Passwords, Token, User, Users, UsersFile
from racs_server.access.passwords import digest

TOKEN = "racs_" + "t" * 43


def cheap() -> Passwords:
    return Passwords(passes=1, memory=8)


def grant(role: str, pattern: str) -> Grant:
    return Grant(Effect(role), pattern)


def some_users() -> Users:
    keep = cheap().hash
    token = Token(digest(TOKEN), "2026-03-01T09:30:00Z")
    return Users(
        users={
            "anna": User((grant("admin", "*"),), keep("annas secret")),
            "ben": User(
                (grant("read", "*"), grant("write", "birds/*")),
                keep("bens secret"),
                {"laptop": token},
            ),
            "cora": User((grant("read", "birds/*"),), keep("coras secret")),
        }
    )


def access_to(path: Path, users: Users | None = None) -> Access:
    """Return access by a users file at a path, written first."""
    file = UsersFile(path)
    file.edit(lambda _: some_users() if users is None else users)
    return Access(file, passwords=cheap)
