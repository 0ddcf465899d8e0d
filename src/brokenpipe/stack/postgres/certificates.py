"""A certificate authority for one run, and the certificate that it gives a server.

    authority.pem     the only authority that a client trusts      read by every client
    server.pem        identity of the server, signed by the authority   read by the server
    server.key        its private key                                 read by the server alone

The authority's own key is never written down, so that nothing else can be signed with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from brokenpipe.stack.processes.ports import LOOPBACK

VALIDITY = timedelta(days=30)  # longer than any soak
SSL_MODE = "verify-full"
LOOPBACK_NAMES = (LOOPBACK, "localhost")
NO_TLS = {"sslmode": "disable", "sslrootcert": ""}  # parameters of a client without certificates


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of the certificate files."""

    authority: Path
    server: Path
    key: Path

    @property
    def server_settings(self) -> Mapping[str, str]:
        """The settings with which Postgres speaks TLS."""
        return {"ssl": "on", "ssl_cert_file": str(self.server), "ssl_key_file": str(self.key)}

    @property
    def client_parameters(self) -> Mapping[str, str]:
        """Parameters of a connection string with which a client encrypts and verifies the server."""
        return {"sslmode": SSL_MODE, "sslrootcert": str(self.authority)}

    @property
    def environment(self) -> Mapping[str, str]:
        """The same as environment variables, which libpq and asyncpg read where a connection string says nothing."""
        return {f"PG{name.upper()}": value for name, value in self.client_parameters.items()}


def make_certificates(
    folder: Path, names: Sequence[str] = LOOPBACK_NAMES, *, until: datetime | None = None
) -> Certificates:
    """Make an authority and let it certify a server that is reached by these names and addresses.

    `until`: when the server's certificate expires, LASTS from now by default. Raises OSError.
    """
    import trustme  # it takes a tenth of a second, and only TLS needs it

    authority = trustme.CA()
    certificate = authority.issue_cert(*names, not_after=until or datetime.now(UTC) + VALIDITY)
    files = certificates_in(folder)
    files.authority.write_bytes(authority.cert_pem.bytes())
    files.server.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    files.key.touch(mode=0o600, exist_ok=False)  # before there is anything in it to read
    files.key.write_bytes(certificate.private_key_pem.bytes())
    return files


def certificates_in(folder: Path) -> Certificates:
    """The certificates in this folder."""
    return Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")


def require_tls(data: Path) -> None:
    """Refuse TCP connections without TLS in the cluster in this folder."""
    rules = data / "pg_hba.conf"
    rules.write_text(re.sub(r"^host\b", "hostssl", rules.read_text(), flags=re.MULTILINE))


def remedy_without_tls(log: Sequence[str]) -> str | None:
    """The remedy for a server that was built without TLS, if its log says so."""
    if any("SSL is not supported by this build" in line for line in log):
        return "Name the programs of one that has it in BROKENPIPE_PG_BIN, or leave tls out of [postgres]."
    return None
