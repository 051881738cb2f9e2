"""Which requests of web pages are refused: pure, for whatever speaks HTTP.

A web page of a stranger runs in the browser of somebody who can reach this server. Two checks keep
it out, whatever it sends:

- ``Host`` must be localhost, an address, or a name from the setting ``http_hosts``: a stranger can
  let a name of their own stand for this server's address (DNS rebinding), but not one of these.
- ``Origin`` (RFC 6454), where a browser sends it, must be this server's own or one of the setting
  ``http_origins``.
"""

import ipaddress
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAME = {"ws": "http", "wss": "https"}


def names_of(setting: str) -> frozenset[str]:
    """Return the names of a setting that joins them by commas, in lower case."""
    return frozenset(name.strip().lower() for name in setting.split(",") if name.strip())


def origins_of(setting: str) -> frozenset[str]:
    """Return the origins of such a setting, as `normal_origin` returns them."""
    return frozenset(filter(None, map(normal_origin, names_of(setting))))


def host_problem(host: str | None, known: frozenset[str]) -> str | None:
    """Decide whether a request's Host can be this server; return why not, or None.

    Parameters
    ----------
    host
        The header.
    known
        Names by which the server is reached, in lower case.
    """
    if not host:
        return "a request needs a Host header that names this server"
    name = _host_name(host)
    if name is not None and (name in known or name == "localhost" or _is_address(name)):
        return None
    return (
        f"Host {host!r} is not known to be this server: reach it as localhost or by its address,"
        " or have its operator name it in the setting http_hosts"
    )


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_problem(
    origin: str | None, own: str, allowed: frozenset[str], site: str | None = None
) -> str | None:
    """Decide whether the page that sent a request may; return why not, or None.

    Parameters
    ----------
    origin
        The header; None: it was not sent, so that it was no page of another origin that could read
        the response, or change something.
    own
        The origin that this server's own pages have.
    allowed
        Further origins.
    site
        ``Sec-Fetch-Site`` of a request that may change something; browsers alone send it.
    """
    if origin is None:
        if site in (None, "none", "same-origin"):
            return None
        return f"a request from a page of another origin (Sec-Fetch-Site: {site}) changes nothing"
    normal = normal_origin(origin)
    if normal is not None and (normal == normal_origin(own) or normal in allowed):
        return None
    return (
        f"pages of {origin} may not use this server; its operator can allow it with the setting"
        " http_origins"
    )


def normal_origin(origin: str) -> str | None:
    """Return an origin in lower case and with its port; None if it is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or parts.path not in ("", "/"):
        return None
    return f"{_SAME.get(parts.scheme, parts.scheme)}://{parts.hostname}:{port}"
