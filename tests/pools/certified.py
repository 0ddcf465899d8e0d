"""A server with another certificate than it should have, as its clients see it."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta

import psycopg

from brokenpipe.drive.raw_postgres.session import SSL_REQUEST
from brokenpipe.stack.postgres.certificates import Certificates, certificates_in, make_certificates
from brokenpipe.stack.postgres.server import Postgres

from .conftest import until
from .provocation_setup import Ground, address


def expired(ground: Ground) -> str:
    return _certified(ground, "expired", until=datetime.now(UTC) - timedelta(days=1))


def another_name(ground: Ground) -> str:
    """As if one were led to another server of the same owner."""
    return _certified(ground, "another_name", names=("db.example",))


def another_authority(ground: Ground) -> str:
    return _certified(ground, "another_authority", trusted=False)


def _certified(ground: Ground, name: str, *, trusted: bool = True, **options: object) -> str:
    server = ground.server("miscertified", tls=True)
    folder = ground.folder / f"certificates-{name}"
    if folder.exists():
        made = certificates_in(folder)
    else:
        folder.mkdir()
        made = make_certificates(folder, **options)  # type: ignore[arg-type]
        if trusted:
            ground.trust(made)
    _exchange(server, made)
    return address(server, server.port)


def _exchange(server: Postgres, made: Certificates) -> None:
    """Let it prove itself by these from now on."""
    assert server.certificates
    server.certificates.server.write_bytes(made.server.read_bytes())
    server.certificates.key.write_bytes(made.key.read_bytes())
    with psycopg.connect(server.dsn(), sslmode="require", sslrootcert="", autocommit=True) as admin:
        admin.execute("SELECT pg_reload_conf()")
    shown = ssl.PEM_cert_to_DER_cert(made.server.read_text())
    until(lambda: _shown(server) == shown or None, "the server to show its other certificate")


def _shown(server: Postgres) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((server.host, server.port), timeout=2) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as secured:
            return secured.getpeercert(binary_form=True)
