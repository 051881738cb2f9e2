"""Where may be listened, and under which conditions."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name counts only if it is localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening_problem(host: str, *, tls: bool, users: bool, insecure: bool) -> str | None:
    """Decide whether to listen; return why not and what to do, or None.

    Parameters
    ----------
    host
        The address.
    tls
        Whether there are a certificate and a key.
    users
        Whether users are defined.
    insecure
        Whether the operator wants it all the same.
    """
    if insecure or is_loopback(host):
        return None
    missing = []
    if not tls:
        missing.append("TLS (--tls-cert cert.pem --tls-key key.pem)")
    if not users:
        missing.append("users (racs-server user add NAME --admin '*')")
    if not missing:
        return None
    return (
        f"{host} can be reached from other machines, and there {'is' if not tls else 'are'} no"
        f" {' and no '.join(missing)}: whoever reaches it could read, forge and delete everything."
        " Give what is missing, or --host 127.0.0.1, or --insecure if the network itself keeps"
        " strangers out"
    )
