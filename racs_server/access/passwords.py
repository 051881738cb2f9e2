"""Passwords and tokens: how they are kept, and compared.

A password is kept as Argon2id (RFC 9106) with 19 MiB, 2 passes and 1 lane, the least that OWASP's
Password Storage Cheat Sheet recommends: some 30 ms of one processor. A token is 32 random bytes,
``racs_`` and 43 characters of base64url (RFC 4648 §5); nobody can guess or try these, so its plain
SHA-256 is kept, in hexadecimal.
"""

import base64
import hashlib
import secrets

import msgspec

TOKEN_PREFIX = "racs_"  # noqa: S105 (what every token begins with)
_TOKEN_BYTES = 32
_SALT_BYTES, _HASH_BYTES = 16, 32


class Login(msgspec.Struct, frozen=True):
    """What a client shows: a user's name and password, or, without a name, a token."""

    user: str | None
    secret: str

    def __repr__(self) -> str:
        return "<Login>"


class Passwords:
    """Hashes and compares passwords. Both block, for as long as one password is worth to try.

    Parameters
    ----------
    passes, memory, lanes
        Argon2's t, m (in KiB) and p.
    """

    def __init__(self, *, passes: int = 2, memory: int = 19 << 10, lanes: int = 1) -> None:
        # Imported late: it costs a server more than all else of its start, and most have no users.
        from argon2 import PasswordHasher, Type

        self._hasher = PasswordHasher(
            passes, memory, lanes, hash_len=_HASH_BYTES, salt_len=_SALT_BYTES, type=Type.ID
        )
        self._nobodys = "$".join(
            (
                "",
                "argon2id",
                "v=19",
                f"m={memory},t={passes},p={lanes}",
                _base64(secrets.token_bytes(_SALT_BYTES)),
                _base64(secrets.token_bytes(_HASH_BYTES)),
            )
        )
        """A hash that no password has: comparing with it costs the same as with a real one."""

    def __repr__(self) -> str:
        return f"<Passwords {self._hasher.memory_cost} KiB, {self._hasher.time_cost} passes>"

    def hash(self, password: str) -> str:
        """Return what is kept of a password, with a salt of its own."""
        return self._hasher.hash(password)

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that was kept; as slow where none was."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None


def new_token() -> str:
    """Return a new token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _base64(data: bytes) -> str:
    """Return base64 as in the PHC string format: without padding."""
    return base64.b64encode(data).decode().rstrip("=")
