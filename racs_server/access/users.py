"""The users file: who there is, what they may do, and what is kept of their secrets.

JSON, with UTF-8, written by ``racs-server user`` and ``racs-server token``::

    {
      "version": 1,
      "users": {
        "anna": {
          "password": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$…",
          "grants": [{"role": "read", "pattern": "*"}, {"role": "write", "pattern": "birds/*"}],
          "tokens": {
            "laptop": {
              "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
              "created": "2026-03-01T09:30:00Z"
            }
          }
        }
      }
    }

``password`` is null for a user who has tokens only. ``sha256`` is that of the token's text.

Invariants
----------
- The file is whole whatever happens: it is written beside its place, synced, and renamed into it.
- Only its owner can read it (mode 0600).
- One process edits it at a time: `UsersFile.edit` holds a lock on its folder.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from racs_server.access.rights import Grant
from racs_server.errors import StartError

MAX_NAME = 64
"""Characters of a user's or a token's name."""

_NO_FILE = (FileNotFoundError, NotADirectoryError)


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a token, and when it was made (RFC 3339)."""

    sha256: str
    created: str


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One user; their tokens by name."""

    grants: tuple[Grant, ...]
    password: str | None = None
    tokens: dict[str, Token] = {}

    @property
    def proofs(self) -> set[str]:
        """All hashes of what the user may show."""
        tokens = {token.sha256 for token in self.tokens.values()}
        return tokens if self.password is None else {*tokens, self.password}


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All users by name."""

    version: int = 1
    users: dict[str, User] = {}

    def __bool__(self) -> bool:
        return bool(self.users)

    def with_user(self, name: str, user: User) -> "Users":
        """Return these users, with one more or another one of that name."""
        return Users(users={**self.users, name: user})

    def without(self, name: str) -> "Users":
        """Return these users but for one."""
        return Users(users={each: user for each, user in self.users.items() if each != name})


class UsersFile:
    """The file.

    Parameters
    ----------
    path
        Where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def __repr__(self) -> str:
        return f"<UsersFile {self.path}>"

    def state(self) -> tuple[int, ...] | None:
        """Return its mode, and what changes with its contents; None while there is no file.

        Raises
        ------
        StartError
            Nobody can tell.
        """
        try:
            found = self.path.stat()
        except _NO_FILE:
            return None
        except OSError as error:
            raise self._unreadable(error) from None
        return found.st_mode, found.st_ino, found.st_mtime_ns, found.st_size

    def load(self) -> Users:
        """Read all users; none, if there is no file.

        Raises
        ------
        StartError
            The file cannot be read, or is not what this module's docstring says.
        """
        try:
            users = msgspec.json.decode(self.path.read_bytes(), type=Users)
        except _NO_FILE:
            return Users()
        except OSError as error:
            raise self._unreadable(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # the decoder's message names a place, never a value
            raise StartError(
                f"the users file {self.path} is damaged: {error}. Put a copy of it back, or move it"
                " away and define the users anew with racs-server user add"
            ) from None
        if users.version != 1:
            raise StartError(
                f"the users file {self.path} is of version {users.version}, and this racs-server"
                " reads version 1: it was written by a later one"
            )
        return users

    def _unreadable(self, error: OSError) -> StartError:
        return StartError(f"the users file {self.path} cannot be read: {error.strerror}")

    def edit(self, change: Callable[[Users], Users]) -> None:
        """Replace the users by what `change` makes of them, while nobody else can.

        Raises
        ------
        StartError
            The file cannot be read or written; or whatever `change` raises. It is unchanged then.
        """
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._write(change(self.load()), folder)
                os.fsync(lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise StartError(
                f"the users file {self.path} cannot be written: {error.strerror}"
            ) from None

    def _write(self, users: Users, folder: Path) -> None:
        data = msgspec.json.format(msgspec.json.encode(users), indent=2)
        # mkstemp makes a file that only its owner can read
        descriptor, name = tempfile.mkstemp(prefix=".users-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data + b"\n")
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(self.path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise
