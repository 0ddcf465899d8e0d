"""What is said twice of the containers is the same."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import yaml

from brokenpipe.stack.containers.compose_file import (
    AGENT_IMAGE,
    PGBOUNCER_IMAGE,
    PGBOUNCER_PORT,
    POSTGRES_IMAGE,
    POSTGRES_PORT,
    TOXIPROXY_IMAGE,
    NetworkAddresses,
)

SERVICES_FILE = Path(__file__).parents[2] / "compose" / "services.yaml"


def test_images_that_are_asked_for_are_those_of_the_services() -> None:
    """Before a run they are looked for by these names, and compose starts those of the file."""
    services = yaml.safe_load(SERVICES_FILE.read_text(encoding="utf-8"))["services"]
    assert {name: service["image"] for name, service in services.items()} == {
        "postgres": POSTGRES_IMAGE,
        "address_holder": POSTGRES_IMAGE,
        "toxiproxy": TOXIPROXY_IMAGE,
        "pgbouncer": PGBOUNCER_IMAGE,
        "agent": AGENT_IMAGE,
    }


def test_behind_the_proxies_are_both_servers() -> None:
    """A service that knows PgBouncer's address goes past its proxy as one does that knows Postgres's."""
    addresses = NetworkAddresses(ipaddress.IPv4Network("198.18.7.0/24"))
    assert addresses.behind_proxies == {("198.18.7.2", POSTGRES_PORT), ("198.18.7.5", PGBOUNCER_PORT)}
