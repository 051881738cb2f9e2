"""Where the server is, and what it is shown: from arguments, or from a URL.

``racs://user:password@host:port`` and, with TLS, ``racss://…``. A token stands alone behind the
colon: ``racss://:racs_…@host``. What is no letter, digit or one of ``-._~`` is percent-encoded
(RFC 3986 §2.1): ``urllib.parse.quote(password, safe="")``.

Invariant: no secret is in a `repr` or in an error.
"""

from typing import TYPE_CHECKING

import msgspec

from racs.commands import checked_int, checked_text, command
from racs.errors import RacsTypeError, RacsValueError
from racs.wire import encode_command

if TYPE_CHECKING:
    import ssl

_SCHEMES = {"racs": False, "racss": True}


class Login(msgspec.Struct, frozen=True):
    """What the server is shown: a user and a password, or, without a user, a token."""

    user: str | None
    secret: str

    def __repr__(self) -> str:
        return f"<Login of {'a token' if self.user is None else repr(self.user)}>"

    def message(self) -> bytes:
        """Return the request that shows it."""
        shown = (self.secret,) if self.user is None else (self.user, self.secret)
        return encode_command(command("AUTH", *shown))


class Address(msgspec.Struct, frozen=True):
    """Where the server is, whom to trust if TLS is spoken, and what to show."""

    host: str
    port: int
    context: "ssl.SSLContext | None" = None
    login: Login | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find_address(
    host: object, port: object, tls: object, user: object, password: object, token: object
) -> Address:
    """Return what the arguments of a client mean.

    Raises
    ------
    RacsTypeError, RacsValueError
        They mean nothing, or do not go together.
    """
    # a URL is not quoted, which an error about text that cannot be sent would do
    name = host if isinstance(host, str) and "://" in host else checked_text(host, "host")
    number = checked_int(port, "port")
    login = _login(user, password, token)
    if "://" in name:
        name, url_port, secure, shown = _split(name, url_login=login is None)
        number = number if url_port is None else url_port
        if tls and not secure:
            raise RacsValueError("tls= does not go with racs://, which is without: write racss://")
        tls, login = (tls or True) if secure else False, login or shown
    if not 1 <= number <= 65_535:
        raise RacsValueError(f"port must be 1 ... 65535, not {number}")
    context = None
    if tls:
        from racs.tls import make_context  # late: most clients need none

        context = make_context(tls)
    return Address(name, number, context, login)


def _login(user: object, password: object, token: object) -> Login | None:
    """Return what is to be shown; every message names the arguments, and none their values."""
    for value, name in ((user, "user"), (password, "password"), (token, "token")):
        if value is not None and not isinstance(value, str):
            raise RacsTypeError(f"{name} must be a str, not a {type(value).__name__}")
        if isinstance(value, str) and not _can_be_sent(value):
            raise RacsValueError(f"{name} has a lone surrogate, which is no character")
    if (user is None) != (password is None) or (user is not None and token is not None):
        raise RacsValueError("give user= and password=, or token= alone, or none of them")
    if token is not None:
        return Login(None, str(token))
    return None if user is None else Login(str(user), str(password))


def _can_be_sent(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _split(url: str, *, url_login: bool) -> tuple[str, int | None, bool, Login | None]:
    """Return a URL's host, port, whether it wants TLS, and its login."""
    from urllib.parse import unquote, urlsplit

    wrong = None
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        # the error would quote what may be a part of a password
        wrong = "its host or its port cannot be read"
    else:
        if parts.scheme not in _SCHEMES:
            wrong = "it must begin with racs:// or racss://"
        elif not host or parts.path.strip("/") or parts.query or parts.fragment:
            wrong = "there must be a host, and nothing behind it and its port"
        elif (parts.username is None) != (parts.password is None):
            wrong = "a user needs a password, and a token stands behind a colon: racss://:token@…"
        elif parts.username is not None and not url_login:
            wrong = "it says who you are, and so do user= and token="
    if wrong is not None:
        raise RacsValueError(
            f"the URL given as host is not like racs://user:password@host:port: {wrong}. In user,"
            " password and token, all but letters, digits and -._~ are percent-encoded"
        )
    login = None
    if parts.username is not None:
        user, secret = unquote(parts.username), unquote(parts.password or "")
        login = _login(user, secret, None) if user else _login(None, None, secret)
    return str(host), port, _SCHEMES[parts.scheme], login
