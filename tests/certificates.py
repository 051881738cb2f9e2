"""Certificates for tests."""

from pathlib import Path

import trustme


def make_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Return the files of a certificate, of its key, and of who vouches for it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    cert, key, trusted = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    return cert, key, trusted
